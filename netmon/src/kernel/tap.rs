//! TAPs that netmon makes itself: they carry its programs before any guest can write.
//!
//! What makes them is a process of its own (`maker.rs`), since that is all that CAP_NET_ADMIN is needed for
//! once the programs are loaded. It only makes, sets up and removes; in which order, [`taps`](crate::taps)
//! says. A TAP that it has made is the daemon's descriptor: closed, the TAP is gone, until it is made to stay.

mod maker;
mod message;

use std::{
    fs::{File, OpenOptions},
    mem,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::errno::Errno;

pub use self::{
    maker::{MakerError, TapMaker},
    message::{NoName, TapName},
};

mod ioctl {
    nix::ioctl_write_ptr_bad!(tun_set_interface, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_write_int_bad!(tun_set_owner, libc::TUNSETOWNER);
    nix::ioctl_write_int_bad!(tun_set_persist, libc::TUNSETPERSIST);
    nix::ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
    nix::ioctl_readwrite_bad!(ethtool, libc::SIOCETHTOOL, libc::ifreq);
}

/// `include/uapi/linux/ethtool.h`
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// A new TAP. Nobody else can open it as long as this lives, and it goes with this.
#[derive(Debug)]
pub struct NewTap(OwnedFd);

impl NewTap {
    /// The TAP stays, and is open to a VMM from now on.
    ///
    /// # Errors
    ///
    /// The kernel's word; then the TAP is gone.
    pub fn keep(self) -> Result<(), Errno> {
        // SAFETY: TUNSETPERSIST takes a number, and the descriptor is a tun's.
        unsafe { ioctl::tun_set_persist(self.0.as_raw_fd(), 1) }?;
        Ok(())
    }
}

/// Makes a TAP, down, that goes with the descriptor. `IFF_VNET_HDR` is not among its flags: whoever opens
/// a TAP sets that anew (`tun_set_iff` in drivers/net/tun.c). Only `IFF_MULTI_QUEUE` has to match.
fn make(name: TapName, owner: u32, multi_queue: bool) -> Result<OwnedFd, Errno> {
    // Without IFF_TUN_EXCL this would open the TAP of this name that there is.
    let tun = open(name, queues(multi_queue) | libc::IFF_TUN_EXCL)?;
    // A TAP without an owner is anybody's who may open /dev/net/tun (`tun_not_capable`).
    // SAFETY: TUNSETOWNER takes a uid, and the descriptor is a tun's.
    unsafe { ioctl::tun_set_owner(tun.as_raw_fd(), owner.cast_signed()) }?;
    Ok(tun.into())
}

fn set_up(name: TapName) -> Result<(), Errno> {
    let socket = socket()?;
    let mut request = request(name);
    // SAFETY: SIOCGIFFLAGS writes an ifreq.
    unsafe { ioctl::get_flags(socket.as_raw_fd(), &raw mut request) }?;
    // SAFETY: the kernel has written this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    unsafe { ioctl::set_flags(socket.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// ENODEV: no such interface; EINVAL or EOPNOTSUPP: no TAP; EBUSY: somebody has it open.
fn remove(name: TapName) -> Result<(), Errno> {
    // TUNSETIFF would make a TAP where there is none, and join the queues of one that has several.
    let (most, open_now) = channels(name)?;
    if open_now > 0 {
        return Err(Errno::EBUSY);
    }
    let tun = open(name, queues(most > 1))?;
    // SAFETY: TUNSETPERSIST takes a number, and the descriptor is a tun's.
    unsafe { ioctl::tun_set_persist(tun.as_raw_fd(), 0) }?;
    Ok(())
}

/// How many queues the TAP may have, and how many are open.
fn channels(name: TapName) -> Result<(u32, u32), Errno> {
    // struct ethtool_channels; [4] is max_combined, [8] is combined_count.
    let mut channels = [0_u32; 9];
    channels[0] = ETHTOOL_GCHANNELS;
    let mut request = request(name);
    request.ifr_ifru.ifru_data = (&raw mut channels).cast();
    let socket = socket()?;
    // SAFETY: SIOCETHTOOL reads an ifreq, and ETHTOOL_GCHANNELS fills the structure that it points to.
    unsafe { ioctl::ethtool(socket.as_raw_fd(), &raw mut request) }?;
    Ok((channels[4], channels[8]))
}

const fn queues(multi_queue: bool) -> libc::c_int {
    let several = if multi_queue { libc::IFF_MULTI_QUEUE } else { 0 };
    libc::IFF_TAP | libc::IFF_NO_PI | several
}

fn open(name: TapName, flags: libc::c_int) -> Result<File, Errno> {
    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let tun = tun.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads an ifreq, and the descriptor is a tun's.
    unsafe { ioctl::tun_set_interface(tun.as_raw_fd(), &raw const request) }?;
    Ok(tun)
}

fn request(name: TapName) -> libc::ifreq {
    // SAFETY: plain old data, of which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// Any socket leads to the interfaces of the namespace.
fn socket() -> Result<OwnedFd, Errno> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}
