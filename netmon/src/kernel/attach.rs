//! A TAP's two hooks. XDP goes on at once (some µs) and is the authority; the egress side is slow (8 ms for
//! TCX), so a thread of its own does it, and nobody waits for that.

use std::{
    io,
    mem::ManuallyDrop,
    os::fd::AsFd as _,
    path::Path,
    sync::{Arc, PoisonError, RwLock, mpsc as thread_mpsc},
    thread,
};

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError},
};
use nix::net::if_::if_indextoname;
use tokio::sync::mpsc;

use crate::{
    crash,
    kernel::{
        adopt::{self, Action, Found},
        link::{Hook, Link},
        load::{CLASSIFIER, LoadedProgram},
        pins::{PinnedLink, Pins, PinsError},
    },
    report::{EgressHook, IngressHook},
};

/// A hook refuses our program.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The TAP was there a moment ago.
    #[error("it is gone")]
    Gone,
    /// Somebody else's XDP program is on it.
    #[error(
        "a foreign XDP program is on it (ip link set dev {tap} xdp off, or who holds its BPF link lets go; then netmon attach {tap})"
    )]
    Foreign {
        /// The TAP.
        tap: Arc<str>,
    },
    /// The link cannot be pinned: enforcement would end with the daemon.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// The kernel's word.
    #[error("{hook}: {source}")]
    Kernel {
        /// Which hook.
        hook: &'static str,
        /// What happened.
        source: io::Error,
    },
}

/// XDP on a TAP. Its pin holds it, with or without this.
#[derive(Debug)]
pub struct Ingress {
    /// What holds it.
    pub link: Link,
    /// Where it runs.
    pub hook: Hook,
}

/// Whether XDP of ours is on this TAP already, of this build or another: then its entries in the maps are this
/// very TAP's, for a link does not outlive its interface.
///
/// # Errors
///
/// There is no descriptor or memory left to see it with.
pub fn is_held(program: &LoadedProgram, pins: &Pins, index: u32) -> Result<bool, AttachError> {
    let Some(pinned) = pins.link(index, &Hook::INGRESS) else { return Ok(false) };
    let found = inspect(program, index, &pinned)?;
    Ok(matches!(found, Found::Live | Found::WrongProgram))
}

/// Attaches XDP, or takes over what is there: in the driver, or on an skb where the driver refuses.
///
/// # Errors
///
/// The TAP is gone, or has another program.
pub fn ingress(
    program: &LoadedProgram,
    pins: &Pins,
    tap: &Arc<str>,
    index: u32,
) -> Result<Ingress, AttachError> {
    if let Some((link, hook)) = adopt(program, pins, index, &Hook::INGRESS)? {
        return Ok(Ingress { link, hook });
    }
    let create = |hook| Link::create(program.fd.as_fd(), index, hook);
    let (link, hook) = match create(Hook::XdpNative) {
        Ok(link) => (link, Hook::XdpNative),
        Err(error) => match error.raw_os_error() {
            // The driver has no XDP, or not in this state of the device.
            Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE) if is_there(index) => {
                let link = create(Hook::XdpGeneric);
                let link = link.map_err(|error| refused(error, tap, index, "generic XDP"))?;
                (link, Hook::XdpGeneric)
            }
            _ => return Err(refused(error, tap, index, "XDP")),
        },
    };
    crash::point("ingress/created");
    pins.pin_link(index, hook, &link)?;
    crash::point("ingress/pinned");
    Ok(Ingress { link, hook })
}

/// What cannot be seen for lack of descriptors or memory may be live, and is left alone.
fn inspect(program: &LoadedProgram, index: u32, pinned: &PinnedLink) -> Result<Found, AttachError> {
    let info = match &pinned.link {
        Ok(link) => link.info().ok(),
        Err(error) if is_lack(error) => {
            let source = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default());
            return Err(AttachError::Kernel { hook: "the pinned link", source });
        }
        Err(_) => None,
    };
    Ok(adopt::found(Some(info), pinned.hook.side(), index, program.id))
}

/// Whether the machine has no more of something: not for ever.
fn is_lack(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

impl AttachError {
    /// Whether it is for lack of descriptors or memory, and so may be had later.
    pub fn is_lack(&self) -> bool {
        matches!(self, Self::Kernel { source, .. } if is_lack(source))
    }
}

/// Takes over the pinned link of one of these hooks, with our program in it. `None`: there is none, or it was
/// of no use and is gone now.
fn adopt(
    program: &LoadedProgram,
    pins: &Pins,
    index: u32,
    hooks: &[Hook],
) -> Result<Option<(Link, Hook)>, AttachError> {
    let Some(pinned) = pins.link(index, hooks) else { return Ok(None) };
    let found = inspect(program, index, &pinned)?;
    let (Ok(link), Action::Keep | Action::Replace) = (&pinned.link, adopt::action(found)) else {
        pins.unpin_links(index, hooks);
        crash::point("ingress/unpinned");
        return Ok(None);
    };
    if adopt::action(found) == Action::Replace {
        let at = |source| AttachError::Kernel { hook: "the program in the pinned link", source };
        // Compare and swap where we know what was there; what we do not know is not to stay.
        let old = link.info().ok().and_then(|info| program.former(info.program));
        link.update(program.fd.as_fd(), old).map_err(at)?;
        crash::point("upgrade/linked");
    }
    pins.take_over(index, &pinned)?;
    let PinnedLink { link, hook, .. } = pinned;
    Ok(link.ok().map(|link| (link, hook)))
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

/// The egress program on a TAP. It stays without this.
#[derive(Debug)]
pub enum Egress {
    /// TCX. Its pin holds it.
    Tcx(Link),
    /// A filter of the clsact qdisc, which holds it.
    Clsact(ManuallyDrop<SchedClassifierLink>),
}

impl Ingress {
    /// Where it runs.
    pub const fn hook(&self) -> IngressHook {
        match self.hook {
            Hook::XdpGeneric => IngressHook::XdpGeneric,
            Hook::XdpNative | Hook::TcxEgress => IngressHook::XdpNative,
        }
    }
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
    /// The port's serial number, to know a port again whose index was reused.
    pub port: u64,
}

/// What became of it.
pub type Done = (Job, Result<Egress, AttachError>);

/// The thread that attaches egress programs, one after the other.
#[derive(Debug)]
pub struct EgressAttacher {
    jobs: thread_mpsc::Sender<Job>,
}

/// What the thread works with.
struct Worker {
    program: LoadedProgram,
    pins: Arc<RwLock<Pins>>,
}

impl EgressAttacher {
    /// Starts the thread; what it has done comes out of the channel. It ends when this is dropped.
    ///
    /// # Errors
    ///
    /// The kernel gives no thread.
    pub fn start(
        program: LoadedProgram,
        pins: Arc<RwLock<Pins>>,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Done>)> {
        // Both are bounded by the ports there are: each has one job at a time.
        let (jobs, todo) = thread_mpsc::channel::<Job>();
        let (done, results) = mpsc::unbounded_channel();
        let worker = Worker { program, pins };
        thread::Builder::new().name("egress".to_owned()).spawn(move || {
            for job in todo {
                let result = worker.attach(&job);
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

impl Worker {
    fn attach(&self, job: &Job) -> Result<Egress, AttachError> {
        let pins = || self.pins.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((link, _)) = adopt(&self.program, &pins(), job.index, &Hook::EGRESS)? {
            return Ok(Egress::Tcx(link));
        }
        match Link::create(self.program.fd.as_fd(), job.index, Hook::TcxEgress) {
            Ok(link) => {
                crash::point("egress/created");
                pins().pin_link(job.index, Hook::TcxEgress, &link)?;
                crash::point("egress/pinned");
                Ok(Egress::Tcx(link))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Err(AttachError::Gone),
            Err(source) if is_lack(&source) => Err(AttachError::Kernel { hook: "TCX", source }),
            // No TCX before Linux 6.6 (EINVAL), or its chain is full (ERANGE): the older hook.
            Err(tcx) => {
                let program = pins().program(CLASSIFIER);
                clsact(&program, &job.tap).map_err(|source| {
                    tracing::debug!(tap = %job.tap, %tcx, clsact = %source, "egress attach refused");
                    AttachError::Kernel { hook: "TCX and clsact", source }
                })
            }
        }
    }
}

/// Attaches the pinned program. A former filter of ours is taken away first: nothing tells it apart from the
/// new one, and this second layer is without a program for a moment (Linux before 6.6 only).
fn clsact(program: &Path, tap: &str) -> io::Result<Egress> {
    let qdisc = tc::qdisc_add_clsact(tap);
    if let Err(error) = qdisc
        && !matches!(error, TcError::AlreadyAttached)
    {
        return Err(io::Error::other(error));
    }
    remove_filter(tap);
    let mut program = SchedClassifier::from_pin(program).map_err(io::Error::other)?;
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let link = program
        .attach_with_options(tap, TcAttachType::Egress, options)
        .and_then(|id| program.take_link(id))
        .map_err(io::Error::other)?;
    Ok(Egress::Clsact(ManuallyDrop::new(link)))
}

/// Takes our filter off a TAP, if there is one.
pub fn remove_filter(tap: &str) {
    let _none = tc::qdisc_detach_program(tap, TcAttachType::Egress, CLASSIFIER);
}
