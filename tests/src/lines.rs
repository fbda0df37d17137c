//! A command that goes on, and its lines as they come.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// A running command, until this is dropped.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// Starts a command whose standard output is read.
    ///
    /// # Errors
    ///
    /// It could not be started.
    pub fn of(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("stdout")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Stops reading, or goes on, by a signal.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }

    /// Waits for a line that `found` finds something in, as long as anything may take.
    ///
    /// # Errors
    ///
    /// None comes.
    pub fn find<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        self.find_within(wait::PATIENCE, what, found)
    }

    /// … or this long. Other lines do not put off the deadline.
    ///
    /// # Errors
    ///
    /// None comes.
    pub fn find_within<T>(
        &self,
        patience: Duration,
        what: &str,
        found: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + patience;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => match found(&line) {
                    Some(found) => return Ok(found),
                    None => seen.push(line),
                },
                Err(RecvTimeoutError::Timeout) => bail!("{what}: not in time, after {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{what}: the stream ended after {seen:#?}")
                }
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
