//! The process that makes TAPs: a child of the daemon's that keeps CAP_NET_ADMIN and nothing else, does what
//! [`Request`] can say, and dies with its parent. So the daemon itself needs no capability to have TAPs made.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process,
    sync::{Mutex, PoisonError},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::{
        prctl,
        signal::{SigSet, Signal},
        socket::{
            AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv,
            recvmsg, send, sendmsg, socketpair,
        },
    },
    unistd::{ForkResult, Pid, fork, getpid, getppid},
};

use super::{
    NewTap, TapName,
    message::{REQUEST, Request},
};
use crate::kernel::privilege::{self, Kept};

/// Why a TAP was not made or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakerError {
    /// The kernel refuses.
    #[error("{0}")]
    Refused(Errno),
    /// Nobody is there to do it.
    #[error("the process that makes TAPs has ended: {0}")]
    Ended(Errno),
}

/// The daemon's end. Calls wait for the answer, one after the other.
#[derive(Debug)]
pub struct TapMaker(Mutex<OwnedFd>);

impl TapMaker {
    /// Starts the process. To be called while the daemon has one thread only: `fork` copies no other, and the
    /// child ends with the thread that made it.
    ///
    /// # Errors
    ///
    /// The kernel gives no socket or no process.
    pub fn start() -> Result<Self, Errno> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let parent = getpid();
        // SAFETY: there is no other thread, so that the child may do what any process may.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(Self::over(ours)),
            ForkResult::Child => {
                drop(ours);
                let ended = confine(parent).and_then(|()| serve(&theirs));
                process::exit(i32::from(ended.is_err()));
            }
        }
    }

    /// Asks whoever is at the other end of the socket.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self(Mutex::new(socket))
    }

    /// Makes a TAP, down, that only the user `owner` and CAP_NET_ADMIN may open, once it is
    /// [kept](NewTap::keep).
    ///
    /// # Errors
    ///
    /// EBUSY: there is an interface of this name.
    pub fn make(&self, name: TapName, owner: u32, multi_queue: bool) -> Result<NewTap, MakerError> {
        let tap = self.ask(Request::Make { name, owner, multi_queue })?;
        tap.map(NewTap).ok_or(MakerError::Ended(Errno::EPROTO))
    }

    /// Sets it up.
    ///
    /// # Errors
    ///
    /// ENODEV: it is gone.
    pub fn set_up(&self, name: TapName) -> Result<(), MakerError> {
        self.ask(Request::SetUp(name)).map(drop)
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// ENODEV: no such interface; EINVAL or EOPNOTSUPP: no TAP; EBUSY: somebody has it open.
    pub fn remove(&self, name: TapName) -> Result<(), MakerError> {
        self.ask(Request::Remove(name)).map(drop)
    }

    fn ask(&self, request: Request) -> Result<Option<OwnedFd>, MakerError> {
        // Whoever panicked in here has not left half a message.
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        send(socket.as_raw_fd(), &request.encode(), MsgFlags::MSG_NOSIGNAL)
            .map_err(MakerError::Ended)?;
        let (errno, descriptor) = answer(&socket).map_err(MakerError::Ended)?;
        if errno == 0 { Ok(descriptor) } else { Err(MakerError::Refused(Errno::from_raw(errno))) }
    }
}

fn answer(socket: &OwnedFd) -> Result<(i32, Option<OwnedFd>), Errno> {
    let mut errno = [0; size_of::<i32>()];
    let mut space = cmsg_space!(libc::c_int);
    let mut parts = [IoSliceMut::new(&mut errno)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let descriptor = message.cmsgs()?.find_map(|part| {
        let ControlMessageOwned::ScmRights(descriptors) = part else { return None };
        descriptors.first().copied()
    });
    // SAFETY: the kernel has just given it to this process, and nobody else knows it.
    let descriptor = descriptor.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
    // Nothing at all is the end of the other side.
    let is_whole = message.bytes == size_of::<i32>();
    is_whole.then_some((i32::from_ne_bytes(errno), descriptor)).ok_or(Errno::EPIPE)
}

/// The child: nothing but CAP_NET_ADMIN, and no life without its parent.
fn confine(parent: Pid) -> Result<(), Errno> {
    prctl::set_name(c"netmon-taps")?;
    // What ends the daemon ends this in due time: by the socket.
    SigSet::all().thread_block()?;
    prctl::set_no_new_privs()?;
    privilege::drop_on_this_thread(Kept::NetAdmin).map_err(|_| Errno::EPERM)?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}

fn serve(socket: &OwnedFd) -> Result<(), Errno> {
    loop {
        // One more byte than a request has: a longer one is seen to be longer.
        let mut message = [0; REQUEST + 1];
        let length = recv(socket.as_raw_fd(), &mut message, MsgFlags::empty())?;
        if length == 0 {
            return Ok(());
        }
        let request = message.get(..length).and_then(Request::decode);
        let done = request.ok_or(Errno::EPROTO).and_then(|request| match request {
            Request::Make { name, owner, multi_queue } => {
                super::make(name, owner, multi_queue).map(Some)
            }
            Request::SetUp(name) => super::set_up(name).map(|()| None),
            Request::Remove(name) => super::remove(name).map(|()| None),
        });
        let errno = done.as_ref().err().map_or(0, |errno| *errno as i32).to_ne_bytes();
        let descriptor = done.ok().flatten();
        let descriptors: Vec<_> = descriptor.iter().map(|tap| tap.as_raw_fd()).collect();
        let parts = [ControlMessage::ScmRights(&descriptors)];
        let parts = if descriptors.is_empty() { &parts[..0] } else { &parts[..] };
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&errno)], parts, flags, None)?;
    }
}
