//! What anybody with root may do to a pinned BPF link.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::Context as _;

/// `enum bpf_cmd` in `include/uapi/linux/bpf.h`.
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_DETACH: libc::c_long = 34;

/// Takes a pinned link's program off its interface, as `bpftool link detach pinned` does.
///
/// # Errors
///
/// Nothing is pinned there, or it is no link.
pub fn detach(path: &Path) -> anyhow::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // The path's address, in a word; then the descriptor and flags, both zero.
    let open = [name.as_ptr() as u64, 0];
    // SAFETY: the attributes of BPF_OBJ_GET are these 16 bytes, and the name outlives the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, open.as_ptr(), size_of_val(&open)) };
    let fd = i32::try_from(fd)?;
    if fd < 0 {
        return Err(io::Error::last_os_error()).with_context(|| path.display().to_string());
    }
    // SAFETY: BPF_OBJ_GET returns a new descriptor that nobody else knows.
    let link = unsafe { OwnedFd::from_raw_fd(fd) };
    let which = [link.as_raw_fd()];
    // SAFETY: the attributes of BPF_LINK_DETACH are this one descriptor.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_DETACH, which.as_ptr(), size_of_val(&which))
    };
    if done < 0 {
        return Err(io::Error::last_os_error()).with_context(|| path.display().to_string());
    }
    Ok(())
}
