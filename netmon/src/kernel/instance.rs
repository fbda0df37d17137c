//! The instance directory in bpffs: it belongs to one daemon at a time.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

/// Why this directory cannot be ours.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// It is not in a bpffs.
    #[error("{}: not in a BPF filesystem (mount -t bpf bpf /sys/fs/bpf, or choose another --bpffs)", .0.display())]
    NotBpffs(PathBuf),
    /// Another daemon has it.
    #[error("{}: another netmon runs here (stop it, or choose another --bpffs for a second one)", .0.display())]
    Taken(PathBuf),
    /// Others may write to it.
    #[error("{}: owned by uid {uid} with mode {mode:o}: whoever may write there owns the programs (rmdir it; netmon makes it anew)", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
    /// Something else.
    #[error("{}: {source} (netmon needs to make and lock this directory: root, or a bpffs of its own)", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// The directory, locked as long as this lives.
#[derive(Debug)]
pub struct Instance {
    _lock: Flock<File>,
}

impl Instance {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    ///
    /// It is no bpffs, another daemon has it, or others may write to it.
    pub fn take(path: &Path) -> Result<Self, InstanceError> {
        let io = |source| InstanceError::Io { path: path.to_owned(), source };
        let parent = path.ancestors().skip(1).find(|parent| parent.exists());
        let there = if path.exists() { path } else { parent.unwrap_or(path) };
        if !is_bpffs(there).map_err(io)? {
            return Err(InstanceError::NotBpffs(path.to_owned()));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let directory = fs::symlink_metadata(path).map_err(io)?;
        let (uid, mode) = (directory.uid(), directory.mode() & 0o7777);
        if uid != nix::unistd::geteuid().as_raw() || mode & 0o022 != 0 || !directory.is_dir() {
            return Err(InstanceError::Exposed { path: path.to_owned(), uid, mode });
        }
        let lock = Flock::lock(File::open(path).map_err(io)?, FlockArg::LockExclusiveNonblock);
        match lock {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(InstanceError::Taken(path.to_owned())),
            Err((_, errno)) => Err(io(errno.into())),
        }
    }
}

/// Whether what is here lives in a BPF filesystem.
pub fn is_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}
