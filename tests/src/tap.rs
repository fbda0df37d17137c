//! A TAP and the VMM's end of it: what is written here the guest has sent, what is read here was sent to it.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    net::UdpSocket,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use anyhow::{Context as _, ensure};

use nix::errno::Errno;

use crate::{host::Host, wait};

mod ioctl {
    #![allow(missing_docs, reason = "tun(4) has them; the lint fires only in some builds")]
    nix::ioctl_write_ptr_bad!(tun_set_iff, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_write_ptr_bad!(tun_set_index, libc::TUNSETIFINDEX, libc::c_uint);
    nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
    nix::ioctl_write_int_bad!(tun_set_persist, libc::TUNSETPERSIST);
    nix::ioctl_read_bad!(get_hardware_address, libc::SIOCGIFHWADDR, libc::ifreq);
}

/// The longest frame that a TAP takes.
pub const FRAME: usize = 65_535;

/// Bytes of the virtio-net header in front of the frames of a [`Tap::with_header`].
pub const HEADER: usize = 10;

/// A TAP, until this is dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
}

impl Tap {
    /// Makes a TAP in the host's namespace, down.
    ///
    /// # Errors
    ///
    /// No `/dev/net/tun`, not root, or the name is taken.
    pub fn new(host: &Host, name: &str) -> anyhow::Result<Self> {
        Self::open(host, name, libc::IFF_TAP)
    }

    /// A TAP whose frames have a virtio-net header in front, in which a guest asks for offloads (GSO,
    /// checksums): [`HEADER`] zeros ask for none.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_header(host: &Host, name: &str) -> anyhow::Result<Self> {
        Self::open(host, name, libc::IFF_TAP | libc::IFF_VNET_HDR)
    }

    /// A queue of a TAP that has as many as are opened by its name.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn queue(host: &Host, name: &str) -> anyhow::Result<Self> {
        Self::open(host, name, libc::IFF_TAP | libc::IFF_MULTI_QUEUE)
    }

    /// A TAP whose frames the kernel takes page by page, as those of a NIC.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_pages(host: &Host, name: &str) -> anyhow::Result<Self> {
        Self::open(host, name, libc::IFF_TAP | libc::IFF_NAPI | libc::IFF_NAPI_FRAGS)
    }

    /// A TUN: of the same kind to the kernel, and no TAP.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn tun(host: &Host, name: &str) -> anyhow::Result<Self> {
        Self::open(host, name, libc::IFF_TUN)
    }

    fn open(host: &Host, name: &str, kind: libc::c_int) -> anyhow::Result<Self> {
        // A former TAP of this name lives on while a child that another test is starting has not yet
        // closed its copy of the descriptor.
        host.run(|| wait::until(&format!("{name}: TUNSETIFF"), || Self::try_open(name, kind, None)))
    }

    /// A TAP in the namespace of this thread, as these flags say; `None`: somebody else has it open. If there
    /// is none of this name, it is made, and has `index` where that is given and free.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn try_open(
        name: &str,
        flags: libc::c_int,
        index: Option<u32>,
    ) -> anyhow::Result<Option<Self>> {
        // XDP runs natively only on what is written without blocking.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/net/tun");
        let file = file.context("/dev/net/tun: the tests need it (modprobe tun, run as root)")?;
        if let Some(index) = index {
            // SAFETY: TUNSETIFINDEX reads a number, and the descriptor is a tun's.
            unsafe { ioctl::tun_set_index(file.as_raw_fd(), &raw const index) }?;
        }
        let mut request = request(name)?;
        request.ifr_ifru.ifru_flags = (flags | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF reads an ifreq, and the descriptor is a tun's.
        match unsafe { ioctl::tun_set_iff(file.as_raw_fd(), &raw const request) } {
            Ok(_) => {}
            Err(Errno::EBUSY) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let index = nix::net::if_::if_nametoindex(name)?;
        Ok(Some(Self { file, name: name.to_owned(), index }))
    }

    /// Sets it up, from its namespace, and sooner than a process could.
    ///
    /// # Errors
    ///
    /// It is gone, or has another name by now.
    pub fn set_up(&self) -> anyhow::Result<()> {
        self.set_flags(libc::IFF_UP)
    }

    /// … or down.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn set_down(&self) -> anyhow::Result<()> {
        self.set_flags(0)
    }

    fn set_flags(&self, flags: libc::c_int) -> anyhow::Result<()> {
        let socket = UdpSocket::bind(("::1", 0))?;
        let mut request = request(&self.name)?;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: SIOCSIFFLAGS reads an ifreq.
        unsafe { ioctl::set_flags(socket.as_raw_fd(), &raw const request) }?;
        Ok(())
    }

    /// The host's MAC on the TAP.
    ///
    /// # Errors
    ///
    /// The TAP is gone.
    pub fn mac(&self) -> anyhow::Result<[u8; 6]> {
        // SAFETY: plain old data, of which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // SAFETY: SIOCGIFHWADDR writes an ifreq, and the descriptor is a tun's, which knows its name.
        unsafe { ioctl::get_hardware_address(self.file.as_raw_fd(), &raw mut request) }?;
        // SAFETY: the kernel has written this member.
        let [a, b, c, d, e, f, ..] = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
        Ok([a, b, c, d, e, f].map(i8::cast_unsigned))
    }

    /// Whether the TAP stays when its descriptor is closed.
    ///
    /// # Errors
    ///
    /// The kernel's word.
    pub fn persist(&self, persist: bool) -> anyhow::Result<()> {
        // SAFETY: TUNSETPERSIST takes a number, and the descriptor is a tun's.
        unsafe { ioctl::tun_set_persist(self.file.as_raw_fd(), libc::c_int::from(persist)) }?;
        Ok(())
    }

    /// Sends a frame as the guest.
    ///
    /// # Errors
    ///
    /// The kernel refuses it: the TAP is down, or the frame shorter than 14 bytes.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write_all(frame)
    }

    /// Takes a frame that was sent to the guest, if there is one.
    ///
    /// # Errors
    ///
    /// The TAP is gone.
    pub fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; FRAME];
        match (&self.file).read(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn request(name: &str) -> anyhow::Result<libc::ifreq> {
    // SAFETY: plain old data, of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    ensure!(name.len() < request.ifr_name.len(), "{name}: too long for an interface");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
