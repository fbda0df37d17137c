//! A BPF link: what holds a program on an interface's hook.
//!
//! bpf(2) itself, and not aya's wrappers, for three reasons: `Xdp::attach` falls back to netlink on EINVAL
//! in silence, and what it leaves then has no owner and cannot be pinned; the TC side attaches by
//! name, which a rename makes another interface; and only the kernel's own account of a link tells
//! whether it still holds (`bpf_link_info`, which aya keeps half to itself).

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_link_info, bpf_link_type};

use super::syscall::{self, bpf};

/// Only in the place of the program that is named (Linux 5.7).
const BPF_F_REPLACE: u32 = 1 << 2;
/// Put the program in front of all others of the hook (`include/uapi/linux/bpf.h`, Linux 6.6).
const BPF_F_BEFORE: u32 = 1 << 3;
/// `include/uapi/linux/if_link.h`
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Where a link holds its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// XDP in the driver.
    XdpNative,
    /// XDP on an skb.
    XdpGeneric,
    /// TC egress, first in the chain.
    TcxEgress,
}

impl Hook {
    /// Where XDP may run.
    pub const INGRESS: [Self; 2] = [Self::XdpNative, Self::XdpGeneric];
    /// Where the egress program may.
    pub const EGRESS: [Self; 1] = [Self::TcxEgress];

    /// Which way it looks.
    pub const fn side(self) -> Side {
        match self {
            Self::XdpNative | Self::XdpGeneric => Side::Ingress,
            Self::TcxEgress => Side::Egress,
        }
    }
}

/// A link, as long as this or its pin lives.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// XDP, TCX egress, or `None`: neither.
    pub side: Option<Side>,
    /// The interface; 0 once that is gone or somebody has detached the link.
    pub interface: u32,
    /// The program's id.
    pub program: u32,
}

/// Which of a TAP's two hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// XDP, guest → host.
    Ingress,
    /// TCX, host → guest.
    Egress,
}

impl Link {
    /// Attaches `program` to the interface.
    ///
    /// # Errors
    ///
    /// What bpf(2) says: ENODEV for no such interface, EBUSY for a foreign XDP program, EOPNOTSUPP or
    /// EINVAL where the driver or the kernel does not know the hook.
    pub fn create(program: BorrowedFd<'_>, interface: u32, hook: Hook) -> io::Result<Self> {
        let (kind, flags) = match hook {
            Hook::XdpNative => (bpf_attach_type::BPF_XDP, XDP_FLAGS_DRV_MODE),
            Hook::XdpGeneric => (bpf_attach_type::BPF_XDP, XDP_FLAGS_SKB_MODE),
            Hook::TcxEgress => (bpf_attach_type::BPF_TCX_EGRESS, BPF_F_BEFORE),
        };
        let mut attr = syscall::attributes();
        attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
        attr.link_create.__bindgen_anon_2.target_ifindex = interface;
        attr.link_create.attach_type = kind as u32;
        attr.link_create.flags = flags;
        let fd = bpf(bpf_cmd::BPF_LINK_CREATE, &mut attr)?;
        // SAFETY: BPF_LINK_CREATE returns a new descriptor that nobody else knows.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Asks the kernel what this link holds, and where.
    ///
    /// # Errors
    ///
    /// What bpf(2) says.
    pub fn info(&self) -> io::Result<LinkInfo> {
        // SAFETY: the structure is plain old data, and zero is a value of each of its fields.
        let mut info: bpf_link_info = unsafe { mem::zeroed() };
        let mut attr = syscall::attributes();
        attr.info.bpf_fd = self.0.as_raw_fd() as u32;
        attr.info.info = (&raw mut info) as u64;
        attr.info.info_len = size_of::<bpf_link_info>() as u32;
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
        let (side, interface) = if info.type_ == bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
            // SAFETY: the kernel fills this member for a link of this type.
            (Some(Side::Ingress), unsafe { info.__bindgen_anon_1.xdp.ifindex })
        } else if info.type_ == bpf_link_type::BPF_LINK_TYPE_TCX as u32 {
            // SAFETY: the kernel fills this member for a link of this type.
            let tcx = unsafe { info.__bindgen_anon_1.tcx };
            let is_egress = tcx.attach_type == bpf_attach_type::BPF_TCX_EGRESS as u32;
            (is_egress.then_some(Side::Egress), tcx.ifindex)
        } else {
            (None, 0)
        };
        Ok(LinkInfo { side, interface, program: info.prog_id })
    }

    /// Whether it holds this program on this interface, by the kernel's account.
    pub fn holds(&self, interface: u32, program: u32) -> bool {
        self.info().is_ok_and(|info| info.interface == interface && info.program == program)
    }

    /// The link that is pinned here.
    ///
    /// # Errors
    ///
    /// What bpf(2) says: ENOENT for none. What is pinned here may be something else than a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        syscall::open(path).map(Self)
    }

    /// Pins it: it then holds without this process.
    ///
    /// # Errors
    ///
    /// What bpf(2) says: EEXIST where something is pinned here already.
    pub fn pin(&self, path: &Path) -> io::Result<()> {
        syscall::pin(self.0.as_fd(), path)
    }

    /// Puts `program` in the place of `old`, between two frames. Without `old`, in the place of whatever it is.
    ///
    /// # Errors
    ///
    /// What bpf(2) says: EPERM where the link holds another program than `old`, ENOLINK where the interface is
    /// gone.
    pub fn update(&self, program: BorrowedFd<'_>, old: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut attr = syscall::attributes();
        attr.link_update.link_fd = self.0.as_raw_fd() as u32;
        attr.link_update.__bindgen_anon_1.new_prog_fd = program.as_raw_fd() as u32;
        if let Some(old) = old {
            attr.link_update.__bindgen_anon_2.old_prog_fd = old.as_raw_fd() as u32;
            attr.link_update.flags = BPF_F_REPLACE;
        }
        bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attr).map(drop)
    }
}
