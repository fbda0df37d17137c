//! The real daemon and the real command line, in the host's namespaces.

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{host::Host, wait};

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
    let output = output.with_context(|| format!("{} (cargo xtask build makes it)", binary().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// A running `netmon run`. Its log is shown where a test fails.
#[derive(Debug)]
pub struct Daemon<'a> {
    host: &'a Host,
    child: Child,
    log: PathBuf,
}

impl<'a> Daemon<'a> {
    /// Starts it with these further words, and waits until it answers.
    ///
    /// # Errors
    ///
    /// It has ended instead, with what it said.
    pub fn start(host: &'a Host, words: &str) -> anyhow::Result<Self> {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = env::temp_dir().join(format!("netmon-test-{}-{number}.log", std::process::id()));
        let mut command = host.command(binary());
        command.arg("run").args(words.split_whitespace()).env("RUST_LOG", "netmon=debug");
        let child = command.stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
        let mut daemon = Self { host, child, log };
        wait::until("an answer of the daemon", || {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("netmon run: {status}: {}", daemon.log());
            }
            Ok((daemon.netmon("status")?.code == Some(0)).then_some(()))
        })?;
        Ok(daemon)
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
    pub fn wait_json<T>(&self, words: &str, found: impl Fn(&[Value]) -> Option<T>) -> anyhow::Result<T> {
        let mut last = Value::Null;
        wait::until(&format!("netmon {words}"), || {
            last = self.json(words)?;
            Ok(last.as_array().and_then(|rows| found(rows)))
        })
        .with_context(|| format!("at last: {last}; log: {}", self.log()))
    }

    /// Starts a verb that goes on; its lines come out of the channel.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn lines(&self, words: &str) -> anyhow::Result<Lines> {
        let mut command = self.host.command(binary());
        let mut child = command.args(words.split_whitespace()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("stdout")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Lines { child, lines })
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(self.pid(), signal)?)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
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
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        let _gone = fs::remove_file(&self.log);
    }
}

/// A verb that goes on.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// Waits for a line that `found` finds something in.
    ///
    /// # Errors
    ///
    /// None comes.
    pub fn find<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(wait::PATIENCE) {
                Ok(line) => match found(&line) {
                    Some(found) => return Ok(found),
                    None => seen.push(line),
                },
                Err(RecvTimeoutError::Timeout) => bail!("{what}: not in time, after {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("{what}: the stream ended after {seen:#?}"),
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Waits for a command's end.
///
/// # Errors
///
/// It could not be started.
pub fn exit_code(command: &mut Command) -> anyhow::Result<Option<i32>> {
    Ok(command.status()?.code())
}
