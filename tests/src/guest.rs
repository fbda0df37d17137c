//! A guest: a real Linux stack in a namespace of its own, behind a TAP of the host's.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::pipe2,
};

use crate::{
    host::{Host, succeed},
    tap::Tap,
    wait,
};

/// The guest's name for its own interface.
pub const INTERFACE: &str = "eth0";

/// A guest, until this is dropped.
#[derive(Debug)]
pub struct Guest {
    stack: Host,
    /// The host's TAP, and the guest's.
    taps: Arc<(Tap, Tap)>,
    sent: Arc<AtomicU64>,
    pump: Option<JoinHandle<()>>,
    stop: Option<OwnedFd>,
}

impl Guest {
    /// Boots a guest with this MAC behind a new TAP of the host, up on both sides.
    ///
    /// # Errors
    ///
    /// Not root, or the name is taken.
    pub fn boot(host: &Host, tap: &str, mac: &str) -> anyhow::Result<Self> {
        let tap = Tap::new(host, tap)?;
        host.ip(&format!("link set {} up", tap.name))?;
        Self::behind(tap, mac)
    }

    /// Boots a guest behind a TAP that exists.
    ///
    /// # Errors
    ///
    /// Not root.
    pub fn behind(tap: Tap, mac: &str) -> anyhow::Result<Self> {
        Self::with(Host::new()?, tap, mac)
    }

    /// … that says nothing by itself: it has no IPv6, and only what runs in it speaks.
    ///
    /// # Errors
    ///
    /// Not root.
    pub fn silent(tap: Tap, mac: &str) -> anyhow::Result<Self> {
        let stack = Host::new()?;
        // Before the interface is there: XDP sees what a TAP takes while it is down, too.
        stack.run(|| Ok(fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?))?;
        Self::with(stack, tap, mac)
    }

    fn with(stack: Host, tap: Tap, mac: &str) -> anyhow::Result<Self> {
        let inner = Tap::new(&stack, INTERFACE)?;
        let taps = Arc::new((tap, inner));
        // A daemon that is started later must not hold it open.
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC)?;
        let sent = Arc::new(AtomicU64::new(0));
        let (pumped, counter) = (Arc::clone(&taps), Arc::clone(&sent));
        let pump = thread::spawn(move || pump(&pumped, &counter, &stopped));
        stack.ip(&format!("link set {INTERFACE} address {mac} up"))?;
        Ok(Self { stack, taps, sent, pump: Some(pump), stop: Some(stop) })
    }

    /// The guest's stack, to run things in.
    pub const fn stack(&self) -> &Host {
        &self.stack
    }

    /// The host's TAP.
    pub fn tap(&self) -> &Tap {
        &self.taps.0
    }

    /// How many frames of the guest have been written into the host's TAP. XDP sees them all: it runs before
    /// the kernel asks whether the TAP is up (tun_get_user in drivers/net/tun.c).
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Gives the guest an address in fe80::/64, and waits until its DAD is done.
    ///
    /// # Errors
    ///
    /// DAD has failed, or has not ended.
    pub fn add(&self, address: &str) -> anyhow::Result<()> {
        self.stack.ip(&format!("-6 addr add {address}/64 dev {INTERFACE}"))?;
        wait_for_dad(&self.stack, INTERFACE)
    }

    /// Whether the guest gets an answer from `to` on the link.
    pub fn pings(&self, to: Ipv6Addr) -> bool {
        pings(&self.stack, to, INTERFACE)
    }

    /// Whether the guest can open a TCP connection to this port of the host's, on which somebody listens. A
    /// second is enough for one that nothing is in the way of.
    ///
    /// # Errors
    ///
    /// What the socket says, other than that nothing answers.
    pub fn opens(&self, host: Ipv6Addr, port: u16) -> anyhow::Result<bool> {
        let to = SocketAddrV6::new(host, port, 0, self.taps.1.index).into();
        self.stack.run(|| match TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error.into()),
        })
    }

    /// Whether a TCP connection from `host` to any port of the guest's `address` carries a line there and
    /// back.
    ///
    /// # Errors
    ///
    /// What the sockets say.
    pub fn echoes(&self, host: &Host, address: Ipv6Addr) -> anyhow::Result<()> {
        self.echoes_at(host, address, 0)
    }

    /// … or to this port.
    ///
    /// # Errors
    ///
    /// What the sockets say.
    pub fn echoes_at(&self, host: &Host, address: Ipv6Addr, port: u16) -> anyhow::Result<()> {
        self.echoes_over(host, self.taps.0.index, address, port)
    }

    /// … over the host's interface with this index: the bridge that the TAP is a port of.
    ///
    /// # Errors
    ///
    /// What the sockets say.
    pub fn echoes_over(
        &self,
        host: &Host,
        index: u32,
        address: Ipv6Addr,
        port: u16,
    ) -> anyhow::Result<()> {
        let bound = SocketAddrV6::new(address, port, 0, self.taps.1.index);
        let listener = self.stack.run(|| Ok(TcpListener::bind(bound)?))?;
        let port = listener.local_addr()?.port();
        let server = thread::spawn(move || {
            listener.accept().and_then(|(stream, _)| std::io::copy(&mut &stream, &mut &stream))
        });
        host.run(|| {
            use std::io::{Read as _, Write as _};
            let to = SocketAddrV6::new(address, port, 0, index).into();
            let mut stream = TcpStream::connect_timeout(&to, wait::PATIENCE).context("connect")?;
            stream.set_read_timeout(Some(wait::PATIENCE))?;
            stream.write_all(b"ping")?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).context("answer")?;
            anyhow::ensure!(&answer == b"ping", "the echo says {answer:?}");
            Ok(())
        })?;
        drop(server);
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(pump) = self.pump.take() {
            let _panicked = pump.join();
        }
    }
}

/// Waits until no address of the interface is tentative, and there is one.
///
/// # Errors
///
/// DAD has failed, or has not ended.
pub fn wait_for_dad(host: &Host, interface: &str) -> anyhow::Result<()> {
    wait::until(&format!("DAD on {interface}"), || {
        let states = dad(host, interface)?;
        let failed = states.iter().find(|(_, state)| *state == Dad::Failed);
        anyhow::ensure!(failed.is_none(), "DAD failed on {interface}: {failed:?}");
        let done = states.iter().all(|(_, state)| *state == Dad::Done);
        Ok((done && !states.is_empty()).then_some(()))
    })
}

/// What duplicate address detection says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dad {
    /// It asks.
    Tentative,
    /// Nobody has objected.
    Done,
    /// Somebody has.
    Failed,
}

/// The link-local addresses of an interface.
///
/// # Errors
///
/// `/proc` has changed its format.
pub fn dad(host: &Host, interface: &str) -> anyhow::Result<Vec<(Ipv6Addr, Dad)>> {
    // Not by `ip`: this is asked again and again.
    let table = host.run(|| Ok(fs::read_to_string("/proc/thread-self/net/if_inet6")?))?;
    let mut states = Vec::new();
    for row in table.lines() {
        // fe80…01 02 40 20 80 eth0: address, index, prefix length, scope, flags, interface.
        let words: Vec<_> = row.split_whitespace().collect();
        let [address, _, _, scope, flags, name] = words.as_slice() else {
            anyhow::bail!("if_inet6 says {row}")
        };
        if *name != interface || *scope != "20" {
            continue;
        }
        let flags = u32::from_str_radix(flags, 16)?;
        let state = match (flags & libc::IFA_F_DADFAILED, flags & libc::IFA_F_TENTATIVE) {
            (0, 0) => Dad::Done,
            (0, _) => Dad::Tentative,
            _ => Dad::Failed,
        };
        states.push((u128::from_str_radix(address, 16)?.into(), state));
    }
    Ok(states)
}

/// Whether `from` gets an answer from `to` on this interface.
pub fn pings(from: &Host, to: Ipv6Addr, interface: &str) -> bool {
    pings_for(from, to, interface, 5)
}

/// … within so many seconds.
pub fn pings_for(from: &Host, to: Ipv6Addr, interface: &str, seconds: u8) -> bool {
    let (target, seconds) = (format!("{to}%{interface}"), seconds.to_string());
    succeed(from.command("ping").args(["-6", "-c", "1", "-W", &seconds, &target])).is_ok()
}

/// … within a second, though it has to ask for `to` anew.
pub fn reaches_anew(from: &Host, to: Ipv6Addr, interface: &str) -> bool {
    // There may be no entry.
    let _forgotten = from.ip(&format!("-6 neigh del {to} dev {interface}"));
    pings_for(from, to, interface, 1)
}

/// Carries frames between the two TAPs until the pipe is closed.
fn pump(taps: &(Tap, Tap), sent: &AtomicU64, stopped: &OwnedFd) {
    let readable = PollFlags::POLLIN;
    loop {
        let mut waited = [
            PollFd::new(taps.0.as_fd(), readable),
            PollFd::new(taps.1.as_fd(), readable),
            PollFd::new(stopped.as_fd(), readable),
        ];
        if poll(&mut waited, PollTimeout::NONE).is_err() {
            continue;
        }
        let [_, _, end] = &waited;
        if end.revents().is_some_and(|events| !events.is_empty()) {
            return;
        }
        let mut quiet = true;
        let (host, guest) = taps;
        // A side that is down takes nothing, as a cable that is not plugged in.
        while let Ok(Some(frame)) = host.receive() {
            quiet = false;
            let _lost = guest.send(&frame);
        }
        while let Ok(Some(frame)) = guest.receive() {
            quiet = false;
            let _lost = host.send(&frame);
            sent.fetch_add(1, Ordering::Relaxed);
        }
        if quiet {
            // A TAP that is being deleted polls as ready for ever.
            thread::sleep(Duration::from_millis(1));
        }
    }
}
