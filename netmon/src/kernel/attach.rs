//! A TAP's two hooks. XDP goes on at once (some µs) and is the authority; the egress side is slow (8 ms for
//! TCX), so a thread of its own does it, and nobody waits for that.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, mpsc as thread_mpsc},
    thread,
};

use aya::{
    Ebpf,
    programs::{
        SchedClassifier, TcAttachType,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError},
    },
};
use nix::net::if_::if_indextoname;
use tokio::sync::mpsc;

use crate::{
    command::{EgressHook, IngressHook},
    kernel::{
        link::{Hook, Link},
        load::LoadedProgram,
    },
};

/// A hook refuses our program.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The TAP was there a moment ago.
    #[error("it is gone")]
    Gone,
    /// Somebody else's XDP program is on it.
    #[error(
        "a foreign XDP program is on it (ip link set dev {tap} xdp off, then netmon attach {tap})"
    )]
    Foreign {
        /// The TAP.
        tap: Arc<str>,
    },
    /// The kernel's word.
    #[error("{hook}: {source}")]
    Kernel {
        /// Which hook.
        hook: &'static str,
        /// What happened.
        source: io::Error,
    },
}

/// XDP on a TAP, as long as this lives.
#[derive(Debug)]
pub struct Ingress {
    /// What holds it.
    pub link: Link,
    /// Where it runs.
    pub hook: IngressHook,
}

/// Attaches XDP: in the driver, or on an skb where the driver refuses.
///
/// # Errors
///
/// The TAP is gone, or has another program.
pub fn ingress(
    program: &LoadedProgram,
    tap: &Arc<str>,
    index: u32,
) -> Result<Ingress, AttachError> {
    let create = |hook| Link::create(program.fd.as_fd(), index, hook);
    match create(Hook::XdpNative) {
        Ok(link) => return Ok(Ingress { link, hook: IngressHook::XdpNative }),
        Err(error) => match error.raw_os_error() {
            // The driver has no XDP, or not in this state of the device.
            Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE) if is_there(index) => {}
            _ => return Err(refused(error, tap, index, "XDP")),
        },
    }
    match create(Hook::XdpGeneric) {
        Ok(link) => Ok(Ingress { link, hook: IngressHook::XdpGeneric }),
        Err(error) => Err(refused(error, tap, index, "generic XDP")),
    }
}

fn is_there(index: u32) -> bool {
    // nix 0.31 gives an empty name where there is none.
    if_indextoname(index).is_ok_and(|name| !name.is_empty())
}

fn refused(error: io::Error, tap: &Arc<str>, index: u32, hook: &'static str) -> AttachError {
    match error.raw_os_error() {
        Some(libc::ENODEV) => AttachError::Gone,
        // For no such interface, too (`bpf_xdp_link_attach` in net/core/dev.c).
        Some(libc::EINVAL) if !is_there(index) => AttachError::Gone,
        // EEXIST: the foreign one is in the other mode.
        Some(libc::EBUSY | libc::EEXIST) => AttachError::Foreign { tap: Arc::clone(tap) },
        _ => AttachError::Kernel { hook, source: error },
    }
}

/// The egress program on a TAP, as long as this lives.
#[derive(Debug)]
pub enum Egress {
    /// TCX.
    Tcx(Link),
    /// A filter of the clsact qdisc; dropped, it is taken away.
    Clsact(SchedClassifierLink),
}

impl Egress {
    /// Where it runs.
    pub const fn hook(&self) -> EgressHook {
        match self {
            Self::Tcx(_) => EgressHook::Tcx,
            Self::Clsact(_) => EgressHook::Clsact,
        }
    }
}

/// An egress attach to be done.
#[derive(Debug)]
pub struct Job {
    /// The TAP's name, for clsact and for messages.
    pub tap: Arc<str>,
    /// Its interface index.
    pub index: u32,
    /// The port's guest count, to know a port again whose index was reused.
    pub epoch: u16,
}

/// What became of it.
pub type Done = (Job, Result<Egress, AttachError>);

/// The thread that attaches egress programs, one after the other.
#[derive(Debug)]
pub struct EgressAttacher {
    jobs: thread_mpsc::Sender<Job>,
}

impl EgressAttacher {
    /// Starts the thread; what it has done comes out of the channel. It ends when this is dropped.
    ///
    /// # Errors
    ///
    /// The kernel gives no thread.
    pub fn start(
        program: OwnedFd,
        mut object: Ebpf,
        name: &'static str,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Done>)> {
        // Both are bounded by the ports there are: each has one job at a time.
        let (jobs, todo) = thread_mpsc::channel::<Job>();
        let (done, results) = mpsc::unbounded_channel();
        thread::Builder::new().name("egress".to_owned()).spawn(move || {
            for job in todo {
                let result = attach(&program, &mut object, name, &job);
                if done.send((job, result)).is_err() {
                    break;
                }
            }
        })?;
        Ok((Self { jobs }, results))
    }

    /// Puts a job into the queue. It is lost only where the thread has died, which ends the daemon.
    pub fn attach(&self, job: Job) {
        let _thread_is_gone = self.jobs.send(job);
    }
}

fn attach(
    program: &OwnedFd,
    object: &mut Ebpf,
    name: &str,
    job: &Job,
) -> Result<Egress, AttachError> {
    match Link::create(program.as_fd(), job.index, Hook::TcxEgress) {
        Ok(link) => Ok(Egress::Tcx(link)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Err(AttachError::Gone),
        // No TCX before Linux 6.6 (EINVAL), or its chain is full (ERANGE): the older hook.
        Err(tcx) => clsact(object, name, job).map_err(|source| {
            tracing::debug!(tap = %job.tap, %tcx, clsact = %source, "egress attach refused");
            AttachError::Kernel { hook: "TCX and clsact", source }
        }),
    }
}

fn clsact(object: &mut Ebpf, name: &str, job: &Job) -> io::Result<Egress> {
    let qdisc = tc::qdisc_add_clsact(&job.tap);
    if let Err(error) = qdisc
        && !matches!(error, TcError::AlreadyAttached)
    {
        return Err(io::Error::other(error));
    }
    let program = object.program_mut(name).ok_or(io::ErrorKind::NotFound)?;
    let program: &mut SchedClassifier = program.try_into().map_err(io::Error::other)?;
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let link = program
        .attach_with_options(&job.tap, TcAttachType::Egress, options)
        .and_then(|id| program.take_link(id))
        .map_err(io::Error::other)?;
    Ok(Egress::Clsact(link))
}
