//! Frames from the host to a guest, past the host's stack: what a TAP is asked needs no address on it.
//!
//! One AF_PACKET socket for all TAPs, opened at start: sending on it takes no capability. It is bound to no
//! protocol, so it hears nothing. What it sends passes the egress program as all of the host's frames do.

use std::{
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// The socket, as long as this lives.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens it in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// EPERM without CAP_NET_RAW.
    pub fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: socket(2) returns a new descriptor that nobody else knows.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends an IPv6 frame, Ethernet header included, on the interface with this index.
    ///
    /// # Errors
    ///
    /// ENXIO or ENODEV for an interface that is gone, ENETDOWN for one that is down, ENOBUFS for a frame
    /// that a queue or a program has dropped, EAGAIN while too many are under way.
    pub fn send(&self, interface: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: plain old data, of which zero is a value.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_protocol = (libc::ETH_P_IPV6 as u16).to_be();
        to.sll_ifindex = interface.cast_signed();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the frame and the address are as long as they are said to be, and outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                length,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
