//! What the host's stack gets to see: an AF_PACKET socket on the TAP, behind XDP.

use std::{
    io::{self, ErrorKind},
    mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use nix::sys::socket::{setsockopt, sockopt};

use crate::{host::Host, tap::FRAME};

/// Bytes of frames that may wait to be seen.
const QUEUE: usize = 16 << 20;

/// A socket that sees every frame on an interface that XDP has let through.
#[derive(Debug)]
pub struct Witness(OwnedFd);

impl Witness {
    /// On the interface with this index in the host's namespace; 0: on all of them, those to come included.
    ///
    /// # Errors
    ///
    /// No such interface, or not root.
    pub fn new(host: &Host, index: u32) -> anyhow::Result<Self> {
        host.run(|| {
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // Protocol 0, no frames: it would hear every interface until it is bound to one.
            // SAFETY: no pointer.
            let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
            if fd < 0 {
                return Err(io::Error::last_os_error().into());
            }
            // SAFETY: a new descriptor that nobody else knows.
            let socket = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: plain old data, of which zero is a value.
            let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            address.sll_ifindex = i32::try_from(index)?;
            let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            // SAFETY: the address is one of AF_PACKET, of this length.
            let bound =
                unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
            if bound < 0 {
                return Err(io::Error::last_os_error().into());
            }
            // A flood is seen to the last frame.
            setsockopt(&socket, sockopt::RcvBufForce, &QUEUE)?;
            Ok(Self(socket))
        })
    }

    /// Sends a frame as the host, past its stack; whether it got past the egress hook.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub fn send(&self, frame: &[u8]) -> io::Result<bool> {
        // SAFETY: the buffer is as long as it is said to be.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent >= 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        // What a program drops is to the sender as a full queue (net_xmit_errno in linux/netdevice.h).
        if error.raw_os_error() == Some(libc::ENOBUFS) { Ok(false) } else { Err(error) }
    }

    /// How many frames have come since the last time, be it that they did not fit the socket's queue.
    ///
    /// # Errors
    ///
    /// The kernel's word.
    pub fn count(&self) -> io::Result<u32> {
        Ok(self.statistics()?.tp_packets)
    }

    /// The frames that came from the guest since the last time.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub fn seen(&self) -> io::Result<Vec<Vec<u8>>> {
        std::iter::from_fn(|| self.next().transpose()).collect()
    }

    /// The next frame that came from the guest, if there is one.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub fn next(&self) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; FRAME];
        loop {
            // SAFETY: plain old data, of which zero is a value.
            let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
            let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            // SAFETY: both buffers are as long as they are said to be.
            let got = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
                    frame.as_mut_ptr().cast(),
                    frame.len(),
                    libc::MSG_TRUNC,
                    (&raw mut from).cast(),
                    &raw mut length,
                )
            };
            let Ok(got) = usize::try_from(got) else {
                let error = io::Error::last_os_error();
                return if error.kind() == ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
            };
            if from.sll_pkttype != libc::PACKET_OUTGOING {
                frame.truncate(got);
                return Ok(Some(frame));
            }
        }
    }

    /// How many frames found its queue full since the last time this was asked.
    ///
    /// # Errors
    ///
    /// The kernel's word.
    pub fn missed(&self) -> io::Result<u64> {
        Ok(self.statistics()?.tp_drops.into())
    }

    /// The kernel's counts, which begin anew each time that they are asked for (packet(7)).
    fn statistics(&self) -> io::Result<libc::tpacket_stats> {
        // SAFETY: plain old data, of which zero is a value.
        let mut counts: libc::tpacket_stats = unsafe { mem::zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the buffer is one of PACKET_STATISTICS, of this length.
        let got = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        if got < 0 { Err(io::Error::last_os_error()) } else { Ok(counts) }
    }
}
