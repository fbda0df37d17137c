//! A host of the test's own: a network namespace, and a mount namespace with an empty bpffs and `/run`.

use std::{
    fs::File,
    io,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Command, Output},
    thread,
};

use anyhow::{Context as _, bail};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::prctl,
};

/// A network namespace, and for a host a mount namespace too. Gone with the last of its processes.
#[derive(Debug)]
pub struct Host {
    net: File,
    mount: File,
}

impl Host {
    /// A new one, with loopback up.
    ///
    /// # Errors
    ///
    /// Not root, or no namespaces in this kernel.
    pub fn new() -> anyhow::Result<Self> {
        // A namespace belongs to a thread: this one makes it and ends; the descriptors hold it.
        let made = thread::spawn(|| -> anyhow::Result<Self> {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )?;
            mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), Some("mode=0700"))?;
            mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
            let net = File::open("/proc/thread-self/ns/net")?;
            Ok(Self { net, mount: File::open("/proc/thread-self/ns/mnt")? })
        });
        let host = made.join().unwrap_or_else(|_| bail!("the thread panicked"));
        let host =
            host.context("cannot make namespaces of the test's own (run the tests as root)")?;
        host.ip("link set lo up")?;
        Ok(host)
    }

    /// Runs `work` on a thread in the network namespace: its sockets and TAPs are made there.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub fn run<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET)?;
                work()
            });
            thread.join().unwrap_or_else(|_| bail!("the thread panicked"))
        })
    }

    /// A command in these namespaces. It does not outlive the thread that starts it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let namespaces = self.net.try_clone().and_then(|net| Ok((net, self.mount.try_clone()?)));
        let enter = move || {
            let (net, mount) = namespaces.as_ref().map_err(|error| error.kind())?;
            setns(net.as_fd(), CloneFlags::CLONE_NEWNET)?;
            setns(mount.as_fd(), CloneFlags::CLONE_NEWNS)?;
            prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            io::Result::Ok(())
        };
        // SAFETY: setns(2) and prctl(2) are all that happens between fork and exec.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs `ip` with these words; what it printed.
    ///
    /// # Errors
    ///
    /// `ip` failed, with what it said.
    pub fn ip(&self, words: &str) -> anyhow::Result<String> {
        let mut command = self.command("ip");
        succeed(command.args(words.split_whitespace()))
    }
}

/// Runs a command to its end; what it printed.
///
/// # Errors
///
/// It could not be started or has failed, with what it said.
pub fn succeed(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
