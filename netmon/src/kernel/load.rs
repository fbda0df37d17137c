//! The programs and maps: one object for all ports, part of this very binary.

use std::os::fd::{AsFd, OwnedFd};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel, include_bytes_aligned,
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError, SchedClassifier, Xdp},
};
use netmon_common::abi::{Event, Sample};
use nix::unistd::geteuid;

use crate::kernel::{
    events::Records,
    maps::{Maps, MapsError},
};

/// The BPF object. There is no build script on purpose: one build serves all profiles.
static OBJECT: &[u8] = include_bytes_aligned!(env!(
    "NETMON_BPF",
    "netmon embeds its BPF programs: build it with `cargo xtask build`, which compiles them first"
));

const XDP: &str = "guest_to_host";
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
    /// Keeps the classifier for aya's clsact attach.
    pub object: Ebpf,
}

/// A program in the kernel.
#[derive(Debug)]
pub struct LoadedProgram {
    /// Holds it.
    pub fd: OwnedFd,
    /// The kernel's number for it.
    pub id: u32,
}

/// Loads all of it; nothing is attached yet.
///
/// # Errors
///
/// The privileges, the kernel's version or its verifier.
pub fn load() -> Result<Loaded, LoadError> {
    let object = EbpfLoader::new().verifier_log_level(VerifierLogLevel::STATS).load(OBJECT);
    let mut object =
        object.map_err(|error| permission(&error).unwrap_or(LoadError::Object(error)))?;
    let xdp: &mut Xdp = program(&mut object, XDP)?;
    let xdp = loaded(XDP, xdp.load(), |()| {
        Ok((xdp.fd()?.as_fd().try_clone_to_owned()?, xdp.info()?.id()))
    })?;
    let classifier: &mut SchedClassifier = program(&mut object, CLASSIFIER)?;
    let classifier = loaded(CLASSIFIER, classifier.load(), |()| {
        Ok((classifier.fd()?.as_fd().try_clone_to_owned()?, classifier.info()?.id()))
    })?;
    let maps = Maps::new(&mut object)?;
    let events = Records::new(ring(&mut object, "EVENTS")?)?;
    let samples = Records::new(ring(&mut object, "SAMPLES")?)?;
    Ok(Loaded { maps, events, samples, xdp, classifier, object })
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
    handle: impl FnOnce(()) -> Result<(OwnedFd, u32), ProgramError>,
) -> Result<LoadedProgram, LoadError> {
    let (fd, id) = result
        .and_then(handle)
        .map_err(|source| permission(&source).unwrap_or(LoadError::Program { name, source }))?;
    Ok(LoadedProgram { fd, id })
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
