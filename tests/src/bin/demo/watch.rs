//! `netmon watch`, line by line as it speaks, on standard output and error alike.

use std::{
    io::{self, BufRead as _, BufReader},
    process::Child,
    sync::mpsc::{Receiver, channel},
    thread,
};

use anyhow::Context as _;
use netmon_tests::{daemon::binary, host::Host, wait};

/// A running `netmon watch`.
#[derive(Debug)]
pub(crate) struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts it in the host.
    pub(crate) fn start(host: &Host) -> anyhow::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = host.command(binary());
        command.arg("watch").stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn()?;
        // The command holds our ends of the pipe: it must not keep the reader waiting.
        drop(command);
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(reader).lines().map_while(Result::ok);
            // A receiver that is gone has seen enough.
            let _enough = lines.map(|line| sender.send(line)).find(Result::is_err);
        });
        Ok(Self { child, lines })
    }

    /// The next line.
    pub(crate) fn next(&self) -> anyhow::Result<String> {
        self.lines.recv_timeout(wait::PATIENCE).context("netmon watch has no more to say")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
