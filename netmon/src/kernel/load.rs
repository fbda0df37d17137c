//! The programs and maps: one object for all ports, part of this very binary.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel, include_bytes_aligned,
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError, SchedClassifier, Xdp},
};
use aya_obj::Object;
use netmon_common::abi::{Event, Sample};
use nix::unistd::geteuid;
use tracing::warn;

use crate::{
    crash,
    kernel::{
        events::Records,
        layout,
        maps::{Maps, MapsError},
        pins::{MAPS, Pins, PinsError},
        syscall,
    },
};

/// The BPF object. There is no build script on purpose: one build serves all profiles.
pub(super) static OBJECT: &[u8] = include_bytes_aligned!(env!(
    "NETMON_BPF",
    "netmon embeds its BPF programs: build it with `cargo xtask build`, which compiles them first"
));

/// The ingress program.
pub const XDP: &str = "guest_to_host";
/// The egress program.
pub const CLASSIFIER: &str = "host_to_guest";

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not privileged.
    #[error(
        "may not load BPF programs as uid {uid}: {detail} (run netmon as root, or with CAP_BPF and CAP_NET_ADMIN)"
    )]
    Permission {
        /// Who we are.
        uid: u32,
        /// The kernel's word.
        detail: String,
    },
    /// The object and the kernel do not agree.
    #[error(
        "the kernel refuses netmon's BPF object: {0} (netmon needs Linux 5.18 or newer with CONFIG_DEBUG_INFO_BTF)"
    )]
    Object(EbpfError),
    /// The verifier, or a missing feature.
    #[error("the kernel refuses program {name}: {source} (netmon needs Linux 5.18 or newer)")]
    Program {
        /// The program.
        name: &'static str,
        /// The kernel's word.
        source: ProgramError,
    },
    /// The object has no such program.
    #[error("program {0}: not in the BPF object (was netmon built by `cargo xtask build`?)")]
    Missing(&'static str),
    /// The maps.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// The pins.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// The process has no descriptors left, or the like.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What was loaded.
pub struct Loaded {
    /// The tables.
    pub maps: Maps,
    /// The ring buffer of news.
    pub events: Records<Event>,
    /// The ring buffer of refused frames.
    pub samples: Records<Sample>,
    /// The ingress program.
    pub xdp: LoadedProgram,
    /// The egress program.
    pub classifier: LoadedProgram,
    /// The object as it was loaded just now.
    pub object: Ebpf,
}

/// A program in the kernel.
#[derive(Debug)]
pub struct LoadedProgram {
    /// Holds it.
    pub fd: OwnedFd,
    /// The kernel's number for it.
    pub id: u32,
    /// Programs of other builds that pinned links may hold.
    pub former: Vec<(u32, OwnedFd)>,
}

impl LoadedProgram {
    /// The former program of this number.
    pub fn former(&self, id: u32) -> Option<BorrowedFd<'_>> {
        self.former.iter().find(|(former, _)| *former == id).map(|(_, fd)| fd.as_fd())
    }
}

/// Loads all of it, nothing is attached yet. With `pins`, the maps are the pinned ones, and a program that is
/// pinned already and the same is taken again: its links need no change.
///
/// # Errors
///
/// The privileges, the kernel's version or its verifier, or the pins.
pub fn load(mut pins: Option<&mut Pins>) -> Result<Loaded, LoadError> {
    if let Some(pins) = pins.as_deref_mut().filter(|pins| !pins.is_new()) {
        let object = Object::parse(OBJECT).map_err(|error| LoadError::Object(error.into()))?;
        if !pins.is_of_this_layout() {
            warn!(
                "the pinned maps have another layout: the set is put aside, and a new one takes its links over"
            );
            pins.replace_damaged(|_| false)?;
        } else if let Err(why) =
            MAPS.into_iter().try_for_each(|map| layout::check(&object, map, pins))
        {
            warn!("{why}: the set is put aside, and a new one takes its links over");
            let found = Pins::clone(pins);
            pins.replace_damaged(|map| layout::check(&object, map, &found).is_ok())?;
        }
    }
    let pins = pins.as_deref();
    let mut loader = EbpfLoader::new();
    loader.verifier_log_level(VerifierLogLevel::STATS);
    for map in pins.iter().flat_map(|_| MAPS) {
        loader.map_pin_path(map, pins.map(|pins| pins.map(map)).unwrap_or_default());
    }
    if let Some(ports) = crash::ports() {
        loader.map_max_entries("PORTS", ports);
    }
    let object = loader.load(OBJECT);
    let mut object =
        object.map_err(|error| permission(&error).unwrap_or(LoadError::Object(error)))?;
    crash::point("set/loaded");
    let xdp: &mut Xdp = program(&mut object, XDP)?;
    let xdp =
        loaded(XDP, patiently(|| xdp.load()), |()| Ok(xdp.fd()?.as_fd().try_clone_to_owned()?))?;
    let classifier: &mut SchedClassifier = program(&mut object, CLASSIFIER)?;
    let classifier = loaded(CLASSIFIER, patiently(|| classifier.load()), |()| {
        Ok(classifier.fd()?.as_fd().try_clone_to_owned()?)
    })?;
    let (xdp, classifier) = (settle(XDP, xdp, pins)?, settle(CLASSIFIER, classifier, pins)?);
    crash::point("set/programs");
    let maps = Maps::new(&mut object)?;
    let events = Records::new(ring(&mut object, "EVENTS")?)?;
    let samples = Records::new(ring(&mut object, "SAMPLES")?)?;
    Ok(Loaded { maps, events, samples, xdp, classifier, object })
}

/// How often a program is handed to the kernel: libbpf's `PROG_LOAD_ATTEMPTS`.
const LOADS: u32 = 5;

/// Loads a program again where a signal has come in the meantime: the verifier gives up then, with EAGAIN (commit
/// c3494801cd17).
fn patiently(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    for _ in 1..LOADS {
        match load() {
            Err(ProgramError::LoadError { io_error, .. })
                if io_error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => return result,
        }
    }
    load()
}

/// Decides between the program that was loaded just now and those that are pinned: where one of these is the
/// same, it is taken. Otherwise the new one is pinned beside, until all links hold it.
fn settle(
    name: &'static str,
    fresh: OwnedFd,
    pins: Option<&Pins>,
) -> Result<LoadedProgram, LoadError> {
    let identity = syscall::program_identity(fresh.as_fd())?;
    let Some(pins) = pins else {
        return Ok(LoadedProgram { fd: fresh, id: identity.id, former: Vec::new() });
    };
    let (current, next) = (pins.program(name), pins.next_program(name));
    let pinned = [current.clone(), next.clone()].into_iter().chain(pins.older_programs(name));
    let mut former = Vec::new();
    let mut same = None;
    for path in pinned {
        let Ok(fd) = syscall::open(&path) else { continue };
        let Ok(found) = syscall::program_identity(fd.as_fd()) else { continue };
        let is_ours = (path == current || path == next) && !crash::is_other_build();
        if found.tag == identity.tag && same.is_none() && is_ours {
            same = Some((found.id, fd));
        } else {
            former.push((found.id, fd));
        }
    }
    if let Some((id, fd)) = same {
        return Ok(LoadedProgram { fd, id, former });
    }
    let place = if current.exists() { &next } else { &current };
    if place.exists() {
        std::fs::remove_file(place)?;
    }
    syscall::pin(fresh.as_fd(), place)?;
    crash::point("upgrade/pinned");
    Ok(LoadedProgram { fd: fresh, id: identity.id, former })
}

fn ring(object: &mut Ebpf, map: &'static str) -> Result<RingBuf<MapData>, MapsError> {
    let ring = object.take_map(map).ok_or(MapsError::Missing(map))?;
    RingBuf::try_from(ring).map_err(|source| MapsError::Kernel { map, source })
}

fn program<'a, P>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = object.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program { name, source })
}

fn loaded(
    name: &'static str,
    result: Result<(), ProgramError>,
    handle: impl FnOnce(()) -> Result<OwnedFd, ProgramError>,
) -> Result<OwnedFd, LoadError> {
    result
        .and_then(handle)
        .map_err(|source| permission(&source).unwrap_or(LoadError::Program { name, source }))
}

/// EPERM, wherever in the chain it hides, is no fault of the kernel's version.
fn permission(error: &(dyn std::error::Error + 'static)) -> Option<LoadError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.raw_os_error() == Some(libc::EPERM)) {
            return Some(LoadError::Permission {
                uid: geteuid().as_raw(),
                detail: error.to_string(),
            });
        }
        cause = error.source();
    }
    None
}
