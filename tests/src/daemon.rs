//! The real daemon and the real command line, in the host's namespaces.

use std::{
    env,
    fs::File,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use serde_json::Value;

use crate::{host::Host, lines::Lines, wait};

/// The binary under test: `NETMON_BIN`, which xtask sets, else the debug build of this workspace.
pub fn binary() -> PathBuf {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/debug/netmon");
    env::var_os("NETMON_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

/// What a command has said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None`: killed.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output as JSON.
    ///
    /// # Errors
    ///
    /// The command failed, or said no JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        anyhow::ensure!(self.code == Some(0), "exit code {:?}: {}", self.code, self.err);
        serde_json::from_str(&self.out).with_context(|| self.out.clone())
    }
}

/// Runs `netmon` with these words to its end.
///
/// # Errors
///
/// It could not be started.
pub fn netmon(host: &Host, words: &str) -> anyhow::Result<Said> {
    let mut command = host.command(binary());
    let output = command.args(words.split_whitespace()).output();
    let output =
        output.with_context(|| format!("{} (cargo xtask build makes it)", binary().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// A running `netmon run`. Its log is printed in the end, and the test harness shows that of a test that fails.
#[derive(Debug)]
pub struct Daemon<'a> {
    host: &'a Host,
    child: Child,
    log: File,
    silent: bool,
}

impl<'a> Daemon<'a> {
    /// Starts it with these further words, and waits until it answers.
    ///
    /// # Errors
    ///
    /// It has ended instead, with what it said.
    pub fn start(host: &'a Host, words: &str) -> anyhow::Result<Self> {
        let mut command = host.command(binary());
        command.arg("run").args(words.split_whitespace());
        Self::of(host, command)
    }

    /// As [`start`](Self::start), by a command that comes to `netmon run`.
    ///
    /// # Errors
    ///
    /// It has ended instead, with what it said.
    pub fn of(host: &'a Host, command: Command) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn_command(host, command)?;
        wait::until("an answer of the daemon", || {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("netmon run: {status}: {}", daemon.log());
            }
            Ok((daemon.netmon("status")?.code == Some(0)).then_some(()))
        })?;
        Ok(daemon)
    }

    /// Starts it with these further words and variables, and does not wait for anything.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn spawn(host: &'a Host, words: &str, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = host.command(binary());
        command.arg("run").args(words.split_whitespace()).envs(variables.iter().copied());
        Self::spawn_command(host, command)
    }

    /// … by a command that comes to `netmon run`.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn spawn_command(host: &'a Host, mut command: Command) -> anyhow::Result<Self> {
        // Without a name: nothing is left of it, however the test ends.
        let log = File::from(memfd_create(c"netmon-log", MFdFlags::MFD_CLOEXEC)?);
        command.env("RUST_LOG", "netmon=debug");
        let child = command.stdout(Stdio::null()).stderr(log.try_clone()?).spawn()?;
        Ok(Self { host, child, log, silent: false })
    }

    /// Keeps its log to itself.
    #[must_use]
    pub const fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Runs a verb to its end.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn netmon(&self, words: &str) -> anyhow::Result<Said> {
        netmon(self.host, words)
    }

    /// Runs a verb with `-o json`.
    ///
    /// # Errors
    ///
    /// It failed, or said no JSON.
    pub fn json(&self, words: &str) -> anyhow::Result<Value> {
        self.netmon(&format!("{words} -o json"))?.json()
    }

    /// Waits until the rows of `netmon <words> -o json` are such that `found` finds something in them.
    ///
    /// # Errors
    ///
    /// It never does.
    pub fn wait_json<T>(
        &self,
        words: &str,
        found: impl Fn(&[Value]) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut last = Value::Null;
        wait::until(&format!("netmon {words}"), || {
            last = self.json(words)?;
            Ok(last.as_array().and_then(|rows| found(rows)))
        })
        .with_context(|| format!("at last: {last}; log: {}", self.log()))
    }

    /// Starts a verb that goes on.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn lines(&self, words: &str) -> anyhow::Result<Lines> {
        let mut command = self.host.command(binary());
        Lines::of(command.args(words.split_whitespace()))
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(self.pid(), signal)?)
    }

    /// Whether it runs.
    ///
    /// # Errors
    ///
    /// The kernel's word.
    pub fn is_alive(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The process of this name that it has started.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn child(&self, name: &str) -> anyhow::Result<Pid> {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let is_it = |child: &&str| {
            std::fs::read_to_string(format!("/proc/{child}/comm"))
                .is_ok_and(|comm| comm.trim() == name)
        };
        let child = children.split_whitespace().find(is_it);
        let child = child.with_context(|| format!("no {name} among the children {children:?}"))?;
        Ok(Pid::from_raw(child.parse()?))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let child = &mut self.child;
        wait::until("the daemon's end", || Ok(child.try_wait()?))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        // Not by read(2): its position is the daemon's, too.
        let mut log = vec![0; self.log.metadata().map_or(0, |log| log.len() as usize)];
        let length = self.log.read_at(&mut log, 0).unwrap_or_default();
        log.truncate(length);
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if !self.silent {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}
