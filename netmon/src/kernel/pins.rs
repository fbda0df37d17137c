//! What is pinned in the instance's directory: there enforcement lives on when the daemon does not.
//!
//! ```text
//! DIR/v2/netns_4026531840      whose TAPs these are
//! DIR/v2/abi_1f2e3d4c5b6a7988  the layout of its maps
//! DIR/v2/maps/BINDINGS         …
//! DIR/v2/programs/guest_to_host
//! DIR/v2/links/7_xdp_native    the TAP with index 7
//! ```
//!
//! `v2` is the version of the ABI. A set is built aside, as `DIR/new`, and renamed when it is whole: a half one
//! is nobody's, and removed. A set of an older version, or one that was damaged, is kept as long as its links
//! hold TAPs; each link then gets a program of the new set, between two frames.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::{
        fd::AsFd as _,
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use netmon_common::abi;
use tracing::{info, warn};

use crate::{
    crash,
    kernel::{
        instance::is_bpffs,
        link::{Hook, Link},
        syscall,
    },
};

/// The maps that are pinned: all there are.
pub(super) const MAPS: [&str; 10] = [
    "PORTS",
    "PORT_STATE",
    "BINDINGS",
    "RESERVED",
    "MACS",
    "GROUPS",
    "COUNTERS",
    "EVENTS",
    "SAMPLES",
    "RING",
];

/// How many damaged sets may lie about.
const DAMAGED: u32 = 16;

/// Why the pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// Made by a later version.
    #[error("{}: made by a newer netmon (ABI {version}, this is {ours}): run that one, or `netmon teardown` first (this ends enforcement)", path.display(), ours = abi::VERSION)]
    Newer {
        /// The set.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Made in another network namespace.
    #[error("{}: protects the TAPs of another network namespace (choose another --bpffs for this one)", .0.display())]
    Elsewhere(PathBuf),
    /// They were there a moment ago.
    #[error("{}: its BPF filesystem is not mounted any more (mount it again; netmon then pins again)", .0.display())]
    Unmounted(PathBuf),
    /// Something else.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl Fn(io::Error) -> PinsError {
    move |source| PinsError::Io { path: path.to_owned(), source }
}

/// The pinned set.
#[derive(Clone, Debug)]
pub struct Pins {
    instance: PathBuf,
    /// Where the set is: `new` until it is whole.
    root: PathBuf,
    /// Sets whose links may still hold TAPs.
    older: Vec<PathBuf>,
}

impl Pins {
    /// Looks at what there is, removes what is half, and makes place for a new set if there is none.
    ///
    /// # Errors
    ///
    /// The set is a newer version's or another namespace's, or the kernel refuses.
    pub fn find(instance: &Path) -> Result<Self, PinsError> {
        let (new, current) = (instance.join("new"), instance.join(format!("v{}", abi::VERSION)));
        if new.exists() {
            info!("{}: a start that was cut short; removed", new.display());
            fs::remove_dir_all(&new).map_err(at(&new))?;
        }
        let mut older = Vec::new();
        for entry in fs::read_dir(instance).map_err(at(instance))? {
            let path = entry.map_err(at(instance))?.path();
            match version(&path) {
                Some(version) if version > abi::VERSION => {
                    return Err(PinsError::Newer { path, version });
                }
                Some(_) if path != current => older.push(path),
                Some(_) | None => {}
            }
        }
        let mut pins = Self { instance: instance.to_owned(), root: current, older };
        if !pins.root.exists() {
            pins.begin()?;
        } else if !pins.root.join(namespace()?).exists() {
            return Err(PinsError::Elsewhere(pins.root));
        }
        Ok(pins)
    }

    /// Begins a new set aside.
    fn begin(&mut self) -> Result<(), PinsError> {
        self.root = self.instance.join("new");
        for name in ["", "maps", "programs", "links", &namespace()?, &layout()] {
            let path = self.root.join(name);
            directories().create(&path).map_err(at(&path))?;
        }
        crash::point("set/begun");
        Ok(())
    }

    /// Whether the set's maps are of this build's layout. Their sizes alone do not tell: bytes may mean something else.
    pub fn is_of_this_layout(&self) -> bool {
        self.root.join(layout()).exists()
    }

    /// The set cannot be read whole: it is put aside, and a new one begun, with those of its maps that are as
    /// they should be. Its links go on holding their TAPs.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn replace_damaged(
        &mut self,
        is_sound: impl Fn(&'static str) -> bool,
    ) -> Result<(), PinsError> {
        let sound: Vec<_> = MAPS.into_iter().filter(|map| is_sound(map)).collect();
        let aside = |number| self.instance.join(format!("v{}_damaged{number}", abi::VERSION));
        let aside = (0..DAMAGED).map(aside).find(|path| !path.exists());
        let aside = aside.unwrap_or_else(|| self.instance.join("v0_damaged"));
        fs::rename(&self.root, &aside).map_err(at(&aside))?;
        self.begin()?;
        for map in sound {
            // A second pin of the same map: a death between the two loses nothing.
            let old = aside.join("maps").join(map);
            let map = syscall::open(&old).map_err(at(&old))?;
            let new = self.map(old.file_name().and_then(OsStr::to_str).unwrap_or_default());
            syscall::pin(map.as_fd(), &new).map_err(at(&new))?;
        }
        self.older.push(aside);
        Ok(())
    }

    /// The new set is whole: from now on it is *the* set.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn complete(&mut self) -> Result<(), PinsError> {
        if !self.is_new() {
            return Ok(());
        }
        let whole = self.instance.join(format!("v{}", abi::VERSION));
        fs::rename(&self.root, &whole).map_err(at(&whole))?;
        self.root = whole;
        crash::point("set/complete");
        Ok(())
    }

    /// Whether the set is being built.
    pub fn is_new(&self) -> bool {
        self.root.ends_with("new")
    }

    /// Where a map is pinned.
    pub fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// Where a program is pinned.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("programs").join(name)
    }

    /// Where a program waits until all links hold it.
    pub fn next_program(&self, name: &str) -> PathBuf {
        self.root.join("programs").join(format!("{name}_next"))
    }

    /// Where programs of this name may be pinned by older sets.
    pub fn older_programs(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.older.iter().map(move |set| set.join("programs").join(name))
    }

    /// What is pinned for one of these hooks of a TAP, by this set or an older one.
    pub fn link(&self, index: u32, hooks: &[Hook]) -> Option<PinnedLink> {
        let sets = std::iter::once(&self.root).chain(&self.older);
        let places =
            sets.flat_map(|set| hooks.iter().map(move |hook| (*hook, place(set, index, *hook))));
        let mut places = places.filter(|(_, path)| path.exists());
        places.next().map(|(hook, path)| PinnedLink { link: Link::open(&path), path, hook })
    }

    /// Pins a link.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn pin_link(&self, index: u32, hook: Hook, link: &Link) -> Result<(), PinsError> {
        let path = place(&self.root, index, hook);
        link.pin(&path).map_err(at(&path))
    }

    /// Takes a pinned link over into this set, where it is an older one's.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn take_over(&self, index: u32, pinned: &PinnedLink) -> Result<(), PinsError> {
        let path = place(&self.root, index, pinned.hook);
        if pinned.path == path {
            return Ok(());
        }
        fs::rename(&pinned.path, &path).map_err(at(&path))
    }

    /// Whether a link's pin is there; somebody may have removed it.
    pub fn has_link(&self, index: u32, hook: Hook) -> bool {
        place(&self.root, index, hook).exists()
    }

    /// Removes the pins of a TAP's links on these hooks.
    pub fn unpin_links(&self, index: u32, hooks: &[Hook]) {
        while let Some(pinned) = self.link(index, hooks) {
            if !remove(&pinned.path) {
                return;
            }
        }
    }

    /// All ports hold our programs now: removes the pins of links that are no port's, the programs of former
    /// builds, and older sets.
    pub fn finish(&mut self, programs: [&str; 2], is_port: impl Fn(u32) -> bool) {
        for set in std::iter::once(&self.root).chain(&self.older) {
            let links = fs::read_dir(set.join("links")).into_iter().flatten().flatten();
            for path in links.map(|entry| entry.path()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let index = name.split('_').next().and_then(|index| index.parse().ok());
                if !index.is_some_and(&is_port) {
                    info!("{}: of no TAP that is there; removed", path.display());
                    remove(&path);
                }
            }
        }
        for name in programs {
            let next = self.next_program(name);
            if next.exists()
                && let Err(error) = fs::rename(&next, self.program(name))
            {
                warn!("{}: {error}", next.display());
            }
        }
        for set in self.older.drain(..) {
            if let Err(error) = fs::remove_dir_all(&set) {
                warn!("{}: {error}", set.display());
            }
        }
        crash::point("adopt/finished");
    }

    /// Makes the directories anew, where somebody has removed them.
    ///
    /// # Errors
    ///
    /// The BPF filesystem is gone, or the kernel refuses.
    pub fn restore_directories(&self) -> Result<(), PinsError> {
        let parent = self.root.ancestors().find(|parent| parent.exists()).unwrap_or(&self.root);
        if !is_bpffs(parent).map_err(at(parent))? {
            return Err(PinsError::Unmounted(self.root.clone()));
        }
        let mut directories = directories();
        directories.recursive(true);
        for name in ["maps", "programs", "links", &namespace()?, &layout()] {
            let path = self.root.join(name);
            directories.create(&path).map_err(at(&path))?;
        }
        Ok(())
    }
}

/// What is pinned where a link should be.
#[derive(Debug)]
pub struct PinnedLink {
    /// The link, if it is one and can be had.
    pub link: io::Result<Link>,
    /// Where it is pinned.
    pub path: PathBuf,
    /// The hook that this place is for.
    pub hook: Hook,
}

/// Removes the pins of an instance, links first, and so its enforcement.
///
/// # Errors
///
/// The kernel refuses.
pub fn teardown(instance: &Path) -> Result<(), PinsError> {
    let sets = fs::read_dir(instance).map_err(at(instance))?;
    let sets: Vec<PathBuf> = sets.flatten().map(|entry| entry.path()).collect();
    for links in sets.iter().map(|set| set.join("links")).filter(|links| links.exists()) {
        fs::remove_dir_all(&links).map_err(at(&links))?;
    }
    for set in sets {
        fs::remove_dir_all(&set).map_err(at(&set))?;
    }
    Ok(())
}

/// Makes directories that are their owner's alone.
fn directories() -> DirBuilder {
    let mut directories = DirBuilder::new();
    directories.mode(0o700);
    directories
}

fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => {
            warn!("{}: {error}", path.display());
            false
        }
    }
}

/// Where a set pins the link on a TAP's hook. No dots: bpffs takes none.
fn place(set: &Path, index: u32, hook: Hook) -> PathBuf {
    let hook = match hook {
        Hook::XdpNative => "xdp_native",
        Hook::XdpGeneric => "xdp_generic",
        Hook::TcxEgress => "tcx",
    };
    set.join("links").join(format!("{index}_{hook}"))
}

/// The version that a set's name tells.
fn version(set: &Path) -> Option<u32> {
    let name = set.file_name()?.to_str()?.strip_prefix('v')?;
    name.split('_').next()?.parse().ok()
}

/// The marker of this build's layout of the maps.
fn layout() -> String {
    format!("abi_{:016x}", abi::DIGEST)
}

/// The marker of this network namespace.
fn namespace() -> Result<String, PinsError> {
    let path = Path::new("/proc/self/ns/net");
    let inode = fs::metadata(path).map_err(at(path))?.ino();
    Ok(format!("netns_{inode}"))
}
