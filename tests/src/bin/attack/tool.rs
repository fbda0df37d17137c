//! An attacker's tool at work in the hostile guest.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use netmon_tests::{host::Host, wait};
use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use crate::catalog::Attack;

/// How long a tool may take that does not end by itself; twice as long, if what happens meanwhile takes
/// longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many frames a second a flood may have on average. More would tell nothing but how fast this machine
/// is, and a host without netmon needs minutes to forget what a faster flood has taught it.
const FLOOD: f64 = 2_000.0;

/// How many bytes of what a tool has said are kept.
const LAST_WORDS: u64 = 200;

/// The running commands of an attack; killed with this.
pub(crate) struct Tool<'a> {
    stack: &'a Host,
    children: Vec<Child>,
    start: Instant,
    log: File,
}

impl<'a> Tool<'a> {
    /// Starts it, and waits until it has a packet socket to attack with (or has ended).
    pub(crate) fn start(attack: &Attack, stack: &'a Host) -> anyhow::Result<Self> {
        let log = File::from(memfd_create(c"netmon-attack", MFdFlags::MFD_CLOEXEC)?);
        let mut tool = Self { stack, children: Vec::new(), start: Instant::now(), log };
        for words in attack.commands()? {
            let (program, words) = words.split_first().context("no command")?;
            let mut command = stack.command(program);
            command.args(words).stdin(Stdio::null());
            command.stdout(tool.log.try_clone()?).stderr(tool.log.try_clone()?);
            let child = command.spawn().with_context(|| {
                format!("cannot start {program} (cargo xtask attack installs it)")
            })?;
            tool.children.push(child);
        }
        wait::until(&format!("the packet socket of {}", attack.name), || {
            Ok((tool.has_ended()? || tool.has_packet_socket()?).then_some(()))
        })?;
        Ok(tool)
    }

    fn has_ended(&mut self) -> anyhow::Result<bool> {
        for child in &mut self.children {
            if child.try_wait()?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_packet_socket(&self) -> anyhow::Result<bool> {
        let sockets = self.stack.run(|| Ok(fs::read_to_string("/proc/thread-self/net/packet")?))?;
        // The first line is the head.
        Ok(sockets.lines().count() > 1)
    }

    /// Lets it come to its end, or ends it when it has had its time and `is_over`; what it said at last.
    /// `sent` tells how many frames the guest has sent: a flood is kept to its rate.
    pub(crate) fn finish(
        mut self,
        sent: impl Fn() -> u64,
        is_over: impl Fn() -> bool,
    ) -> anyhow::Result<String> {
        let before = sent();
        while !self.has_ended()? {
            let elapsed = self.start.elapsed();
            if elapsed > PATIENCE * 2 || is_over() && elapsed > PATIENCE {
                break;
            }
            let allowed = elapsed.as_secs_f64() * FLOOD;
            let is_ahead = (sent() - before) as f64 > allowed;
            self.signal(if is_ahead { Signal::SIGSTOP } else { Signal::SIGCONT });
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        let length = self.log.metadata()?.len();
        let start = length.saturating_sub(LAST_WORDS);
        let mut said = vec![0; (length - start) as usize];
        self.log.read_exact_at(&mut said, start)?;
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }

    fn signal(&self, signal: Signal) {
        for child in &self.children {
            // It may have ended.
            let _gone = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    fn kill(&mut self) {
        for child in &mut self.children {
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}

impl Drop for Tool<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}
