//! A BPF link: what holds a program on an interface's hook.
//!
//! bpf(2) itself, and not aya's wrappers, for three reasons: `Xdp::attach` falls back to netlink on EINVAL
//! in silence, and what it leaves then has no owner and cannot be pinned; the TC side attaches by
//! name, which a rename makes another interface; and only the kernel's own account of a link tells
//! whether it still holds (`bpf_link_info`, which aya keeps half to itself).

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type};

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

/// A link, as long as this lives.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The interface; 0 once that is gone or somebody has detached the link.
    pub interface: u32,
    /// The program's id.
    pub program: u32,
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
        let mut attr = zeroed();
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
        let mut attr = zeroed();
        attr.info.bpf_fd = self.0.as_raw_fd() as u32;
        attr.info.info = (&raw mut info) as u64;
        attr.info.info_len = size_of::<bpf_link_info>() as u32;
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
        let interface = if info.type_ == bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
            // SAFETY: the kernel fills this member for a link of this type.
            unsafe { info.__bindgen_anon_1.xdp.ifindex }
        } else {
            // SAFETY: it is of the other type that `create` makes, for which the kernel fills this one.
            unsafe { info.__bindgen_anon_1.tcx.ifindex }
        };
        Ok(LinkInfo { interface, program: info.prog_id })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(super) fn zeroed() -> bpf_attr {
    // SAFETY: a union of plain old data; the kernel wants what is not used to be zero.
    unsafe { mem::zeroed() }
}

pub(super) fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    let size = size_of::<bpf_attr>();
    // SAFETY: the kernel reads and writes `size` bytes at `attr`, and what its pointers point to, which
    // the callers keep alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, attr, size) };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
