//! What the daemon was asked for: the command line's flags, then the configuration, then defaults.

mod read;
mod reserved;

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "a test that panics has failed")]
mod tests;

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use glob::Pattern;

pub use self::reserved::Reservation;
use crate::{
    endpoints::Timers,
    policy::{Mode, Policies, Policy, PolicyChange, Profile, Rule},
};

/// The configuration that is used if it is there and no other is named.
pub const FILE: &str = "/etc/netmon/netmon.toml";

/// Where maps are pinned unless it is said otherwise.
pub const BPFFS: &str = "/sys/fs/bpf/netmon";

/// Every key with its explanation and its default.
pub const SAMPLE: &str = include_str!("../../docs/netmon.toml");

/// What was said, by flags or in a file; what was not is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Globs of the TAPs to protect.
    pub taps: Option<Vec<Pattern>>,
    /// The Unix socket of the API.
    pub socket: Option<PathBuf>,
    /// This instance's directory in bpffs.
    pub bpffs: Option<PathBuf>,
    /// The mode of all TAPs without a rule about it.
    pub mode: Option<Mode>,
    /// Their profile, likewise.
    pub profile: Option<Profile>,
    /// What is different for some TAPs.
    pub rules: Vec<Rule>,
    /// What no guest of some links may have.
    pub reserved: Vec<Reservation>,
}

/// What the daemon does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Globs of the TAPs to protect.
    pub taps: Vec<Pattern>,
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// This instance's directory in bpffs.
    pub bpffs: PathBuf,
    /// What the TAPs' guests may do.
    pub policies: Policies,
    /// What no guest of some links may have.
    pub reserved: Vec<Reservation>,
    /// Enforcement ends with the daemon: a flag only.
    pub detach_on_exit: bool,
    /// How long an endpoint may be quiet: flags only.
    pub timers: Timers,
}

/// Where options come from: read at start, and again for each reload.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What the command line says, which wins over any file.
    pub flags: Config,
    /// The file that it names; `None`: [`FILE`], if that is there.
    pub file: Option<PathBuf>,
}

/// The configuration cannot be used. It is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not to be read.
    #[error("{}: {source} (the configuration must be a readable file of UTF-8)", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file says something that makes no sense; a line for each.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Bad(Vec<Problem>),
    /// A running daemon cannot take it over.
    #[error("{0} has changed, which takes a restart of the daemon")]
    Restart(&'static str),
}

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1 on.
    pub line: usize,
    /// The key, such as `policy.quota`; empty: no TOML.
    pub key: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, why } = self;
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        write!(f, "{}:{line}: {key}{why}", file.display())
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// There is none, anything in it is wrong, or it is about an interface that is not there.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file)
            .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
        let config = read::config(file, &text).map_err(ConfigError::Bad)?;
        let problems: Vec<_> =
            config.reserved.iter().filter_map(|reserved| reserved.problem(file)).collect();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Bad(problems)) }
    }

    /// What this says, and what `other` says of the rest.
    fn over(self, other: Self) -> Self {
        Self {
            taps: self.taps.or(other.taps),
            socket: self.socket.or(other.socket),
            bpffs: self.bpffs.or(other.bpffs),
            mode: self.mode.or(other.mode),
            profile: self.profile.or(other.profile),
            rules: [self.rules, other.rules].concat(),
            reserved: [self.reserved, other.reserved].concat(),
        }
    }
}

/// With defaults for what nobody has said.
impl From<Config> for Options {
    fn from(config: Config) -> Self {
        let Config { taps, socket, bpffs, mode, profile, rules, reserved } = config;
        let change = PolicyChange { mode, profile, ..PolicyChange::default() };
        Self {
            taps: taps.unwrap_or_else(|| Pattern::new("*").into_iter().collect()),
            socket: socket.unwrap_or_else(|| PathBuf::from(crate::api::DEFAULT_SOCKET)),
            bpffs: bpffs.unwrap_or_else(|| PathBuf::from(BPFFS)),
            policies: Policies { all: Policy::default().with(&change), rules },
            reserved,
            detach_on_exit: false,
            timers: Timers::default(),
        }
    }
}

impl Source {
    /// Reads the file, if there is one, and puts the flags over it.
    ///
    /// # Errors
    ///
    /// A named file is not there, or anything in the file is wrong.
    pub fn load(&self) -> Result<Options, ConfigError> {
        let file = match &self.file {
            Some(file) => Config::read(file)?,
            None => match Config::read(Path::new(FILE)) {
                Err(ConfigError::Unreadable { source, .. })
                    if source.kind() == ErrorKind::NotFound =>
                {
                    Config::default()
                }
                read => read?,
            },
        };
        Ok(self.flags.clone().over(file).into())
    }

    /// Reads all anew, for a daemon that runs with `current`.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load); or what has changed is not to be changed in a running daemon.
    pub fn reload(&self, current: &Options) -> Result<Options, ConfigError> {
        let new = self.load()?;
        if new.socket != current.socket {
            return Err(ConfigError::Restart("socket"));
        }
        if new.bpffs != current.bpffs {
            return Err(ConfigError::Restart("bpffs"));
        }
        let Options { detach_on_exit, timers, .. } = *current;
        Ok(Options { detach_on_exit, timers, ..new })
    }
}
