//! A guest: a real Linux stack in a namespace of its own, behind a TAP of the host's.

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::pipe,
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
        let stack = Host::new()?;
        let inner = Tap::new(&stack, INTERFACE)?;
        let taps = Arc::new((tap, inner));
        let (stopped, stop) = pipe()?;
        let pumped = Arc::clone(&taps);
        let pump = thread::spawn(move || pump(&pumped, &stopped));
        stack.ip(&format!("link set {INTERFACE} address {mac} up"))?;
        Ok(Self { stack, taps, pump: Some(pump), stop: Some(stop) })
    }

    /// The guest's stack, to run things in.
    pub const fn stack(&self) -> &Host {
        &self.stack
    }

    /// The host's TAP.
    pub fn tap(&self) -> &Tap {
        &self.taps.0
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
        let (scope, index) = (self.taps.1.index, self.taps.0.index);
        let bound = SocketAddrV6::new(address, port, 0, scope);
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
        let addresses = host.ip(&format!("-6 addr show dev {interface} scope link"))?;
        anyhow::ensure!(!addresses.contains("dadfailed"), "DAD failed on {interface}: {addresses}");
        Ok((addresses.contains("inet6") && !addresses.contains("tentative")).then_some(()))
    })
}

/// Whether `from` gets an answer from `to` on this interface.
pub fn pings(from: &Host, to: Ipv6Addr, interface: &str) -> bool {
    let target = format!("{to}%{interface}");
    succeed(from.command("ping").args(["-6", "-c", "1", "-W", "5", &target])).is_ok()
}

/// Carries frames between the two TAPs until the pipe is closed.
fn pump(taps: &(Tap, Tap), stopped: &OwnedFd) {
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
        for (from, to) in [(&taps.0, &taps.1), (&taps.1, &taps.0)] {
            while let Ok(Some(frame)) = from.receive() {
                quiet = false;
                // A side that is down takes nothing, as a cable that is not plugged in.
                let _lost = to.send(&frame);
            }
        }
        if quiet {
            // A TAP that is being deleted polls as ready for ever.
            thread::sleep(Duration::from_millis(1));
        }
    }
}
