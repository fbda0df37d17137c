//! bpf(2), and what it says of an object: only what aya does not offer, or keeps half to itself.

use std::{
    ffi::CString,
    io, mem,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_info, bpf_prog_info};

/// Attributes of a command; what is not set is zero, as the kernel wants it.
pub(super) fn attributes() -> bpf_attr {
    // SAFETY: a union of plain old data, of which zero is a value.
    unsafe { mem::zeroed() }
}

/// The system call.
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

/// The object that is pinned here.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = attributes();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)?;
    // SAFETY: BPF_OBJ_GET returns a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Pins an object here, readable and writable by its owner only.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = attributes();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// What the kernel says of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapLayout {
    pub(super) kind: u32,
    pub(super) key: u32,
    pub(super) value: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
}

/// A program's identity: its number in this kernel, and a digest of its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramIdentity {
    pub(super) id: u32,
    pub(super) tag: [u8; 8],
}

/// Asks of a descriptor that should be a map's.
pub(super) fn map_layout(map: BorrowedFd<'_>) -> io::Result<MapLayout> {
    // SAFETY: plain old data, of which zero is a value.
    let mut info: bpf_map_info = unsafe { mem::zeroed() };
    // SAFETY: the buffer is of the structure's size, and lives until the call returns.
    unsafe { describe(map, (&raw mut info).cast(), size_of::<bpf_map_info>()) }?;
    Ok(MapLayout {
        kind: info.type_,
        key: info.key_size,
        value: info.value_size,
        entries: info.max_entries,
        flags: info.map_flags,
    })
}

/// Asks of a descriptor that should be a program's.
pub(super) fn program_identity(program: BorrowedFd<'_>) -> io::Result<ProgramIdentity> {
    // SAFETY: plain old data, of which zero is a value.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    // SAFETY: the buffer is of the structure's size, and lives until the call returns.
    unsafe { describe(program, (&raw mut info).cast(), size_of::<bpf_prog_info>()) }?;
    Ok(ProgramIdentity { id: info.id, tag: info.tag })
}

/// # Safety
///
/// `info` points to `length` bytes that may be written to.
unsafe fn describe(object: BorrowedFd<'_>, info: *mut u8, length: usize) -> io::Result<()> {
    let mut attr = attributes();
    attr.info.bpf_fd = object.as_raw_fd() as u32;
    attr.info.info = info as u64;
    attr.info.info_len = length as u32;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}
