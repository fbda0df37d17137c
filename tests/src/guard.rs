//! Nothing is left behind, whatever happens: a program for people (the demo, the attackers) runs as the
//! first process of a PID namespace, with whose end the kernel kills every other one in it, and keeps its
//! files in a mount namespace.

use std::{env, os::fd::AsFd as _, process::ExitCode};

use anyhow::{Context as _, ensure};
use nix::{
    mount::{MsFlags, mount},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, pipe},
};

/// What people and their terminals end a program with.
const ENDS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Runs `play` in a process that takes all its children with it. To be called before any thread is made.
/// `verb` is what `cargo xtask` calls the program.
///
/// # Errors
///
/// Not root, or no namespaces in this kernel.
pub fn alone(verb: &str, play: impl FnOnce() -> ExitCode) -> anyhow::Result<ExitCode> {
    let mut signals = SigSet::from_iter(ENDS);
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    unshare(CloneFlags::CLONE_NEWPID).with_context(|| {
        format!(
            "it makes namespaces of its own and loads BPF programs: run it as root \
             (sudo -E env PATH=\"$PATH\" cargo xtask {verb})"
        )
    })?;
    let (parent, lifeline) = pipe()?;
    // SAFETY: `main` has made no thread, so the child has all that it needs.
    match unsafe { fork() }.context("cannot start a process in a PID namespace")? {
        ForkResult::Parent { child } => watch_over(child, &signals),
        ForkResult::Child => {
            drop(lifeline);
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // A parent that was killed before that sends nothing any more; getppid(2) is always 0 here.
            let mut waited = [PollFd::new(parent.as_fd(), PollFlags::POLLHUP)];
            ensure!(poll(&mut waited, PollTimeout::ZERO)? == 0, "its parent was killed");
            SigSet::empty().thread_set_mask()?;
            keep_files_private()?;
            Ok(play())
        }
    }
}

/// Temporary files, such as the daemon's log, go where nobody else sees them.
fn keep_files_private() -> anyhow::Result<()> {
    const NOWHERE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOWHERE, "/", NOWHERE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOWHERE)?;
    // Not on /tmp: the build may lie there.
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), NOWHERE)?;
    // SAFETY: no other thread reads the environment, for there is none yet.
    unsafe { env::set_var("TMPDIR", "/run") };
    Ok(())
}

fn watch_over(child: Pid, signals: &SigSet) -> anyhow::Result<ExitCode> {
    loop {
        let signal = signals.wait()?;
        if signal == Signal::SIGCHLD {
            let status = waitpid(child, Some(WaitPidFlag::WNOHANG))?;
            if let WaitStatus::Exited(_, code) = status {
                return Ok(ExitCode::from(u8::try_from(code)?));
            }
            ensure!(!matches!(status, WaitStatus::Signaled(..)), "it was killed: {status:?}");
            // It was stopped, or goes on.
            continue;
        }
        // The child is PID 1 to the others: when it has been waited for, none of them is left.
        kill(child, Signal::SIGKILL)?;
        waitpid(child, None)?;
        eprintln!("\n{signal}: the daemon, the guests and their namespaces are gone.");
        return Ok(ExitCode::from(128 + u8::try_from(signal as i32)?));
    }
}
