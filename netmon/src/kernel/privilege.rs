//! What the daemon may do: at start, what loading programs takes; afterwards nothing.
//!
//! A program's descriptor is the privilege: the kernel asks for capabilities when a program is loaded, and not
//! when it is attached (Linux a17b53c4a4b5). So TAPs that appear later are protected by a daemon that has none.
//! Capabilities belong to threads: each drops its own, and the filters of [`seccomp`] go onto all at once.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::geteuid;

use super::seccomp;

/// What `netmon run` cannot start without: it loads programs, of the kinds of the network; it opens the packet
/// socket that asks the quiet guests; and the programs add to pointers into packets what a guest has written
/// there (in `retrieve_ptr_limit` of the verifier, that is for holders of CAP_PERFMON only).
const NEEDED: [Capability; 4] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_PERFMON,
];

/// How long the runtime's threads may take to drop theirs.
const DROP: Duration = Duration::from_secs(5);

/// Why the daemon has not the privileges that it is to have: too few at start, or too many afterwards.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// It cannot load programs.
    #[error(
        "netmon lacks {missing} (uid {uid}): run it as root, or with {needed} as netmon.service does"
    )]
    Missing {
        /// The capabilities that are not there.
        missing: String,
        /// All that are needed.
        needed: String,
        /// Who we are.
        uid: u32,
    },
    /// The kernel does not take a capability back.
    #[error("cannot drop capabilities: {0}")]
    Drop(#[from] caps::errors::CapsError),
    /// The kernel does not take the filters.
    #[error("cannot restrict system calls: {0} (netmon needs a kernel with CONFIG_SECCOMP_FILTER)")]
    Seccomp(#[from] seccompiler::Error),
    /// No process for a privilege, or no answer on what there is.
    #[error("cannot set or read back what netmon may do: {0}")]
    Io(#[from] io::Error),
    /// A thread has not dropped its own.
    #[error("capabilities are left after start: {0} (a fault of netmon's: report it)")]
    Left(String),
}

/// What the daemon keeps after start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// No capability at all.
    #[default]
    Nothing,
    /// CAP_NET_ADMIN, for the older egress hook: the clsact qdisc.
    NetAdmin,
}

/// What the daemon may do now, as the kernel says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The capabilities that any thread of it has or may take.
    pub capabilities: Vec<String>,
    /// The kernel filters the system calls of every thread.
    pub is_filtered: bool,
}

/// Whether it has what it needs at start.
///
/// # Errors
///
/// What is missing.
pub fn check() -> Result<(), PrivilegeError> {
    let effective = caps::read(None, CapSet::Effective)?;
    // What these were split from (Linux 5.8), and still stands for them.
    let has_all = effective.contains(&Capability::CAP_SYS_ADMIN);
    let has = |needed: &Capability| {
        effective.contains(needed)
            || (has_all && matches!(needed, Capability::CAP_BPF | Capability::CAP_PERFMON))
    };
    let missing: Vec<_> = NEEDED.into_iter().filter(|needed| !has(needed)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let uid = geteuid().as_raw();
    Err(PrivilegeError::Missing { missing: names(&missing), needed: names(&NEEDED), uid })
}

fn names(capabilities: &[Capability]) -> String {
    let names: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Drops this thread's capabilities, all sets of them, but those that are kept.
///
/// # Errors
///
/// The kernel's word.
pub fn drop_on_this_thread(kept: Kept) -> Result<(), PrivilegeError> {
    let kept = match kept {
        Kept::Nothing => CapsHashSet::new(),
        Kept::NetAdmin => CapsHashSet::from([Capability::CAP_NET_ADMIN]),
    };
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept = kept.intersection(&permitted).copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(())
}

/// Drops what this thread has, takes the forbidden system calls from all threads, and sees to it that no other
/// thread has more than is kept. From here on nothing of it can be had again (`no_new_privs`).
///
/// # Errors
///
/// The kernel's word, or a thread that kept more.
pub fn drop_all(kept: Kept) -> Result<Level, PrivilegeError> {
    drop_on_this_thread(kept)?;
    for filter in seccomp::filters()? {
        seccompiler::apply_filter_all_threads(&filter)?;
    }
    let expected: &[String] = match kept {
        Kept::Nothing => &[],
        Kept::NetAdmin => &[Capability::CAP_NET_ADMIN.to_string()],
    };
    let deadline = Instant::now() + DROP;
    loop {
        let level = level()?;
        if level.is_filtered && level.capabilities.iter().all(|left| expected.contains(left)) {
            return Ok(level);
        }
        // A thread of the runtime that has not run yet.
        if Instant::now() > deadline {
            return Err(PrivilegeError::Left(level.capabilities.join(" ")));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Asks the kernel what each thread may do.
///
/// # Errors
///
/// No `/proc`.
pub fn level() -> io::Result<Level> {
    let (mut mask, mut is_filtered) = (0, true);
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let (of_thread, filtered) = read(&status);
        mask |= of_thread;
        is_filtered &= filtered;
    }
    let mut all: Vec<_> = caps::all().into_iter().collect();
    all.sort_by_key(Capability::index);
    let held = all.into_iter().filter(|capability| capability.bitmask() & mask != 0);
    Ok(Level { capabilities: held.map(|capability| capability.to_string()).collect(), is_filtered })
}

/// What `/proc/PID/status` says: the capabilities that the thread has or may take, and whether its system calls
/// are filtered. What it does not say counts as everything: nobody is to be told of less than there is.
fn read(status: &str) -> (u64, bool) {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let mask =
        |name| field(name).and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(u64::MAX);
    // 2 is SECCOMP_MODE_FILTER.
    (mask("CapEff:") | mask("CapPrm:"), field("Seccomp:") == Some("2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_may_do_is_read() {
        let status = |permitted: &str, effective: &str, mode: &str| {
            read(&format!(
                "Name:\tnetmon\nCapInh:\t000001ffffffffff\nCapPrm:\t{permitted}\nCapEff:\t{effective}\n\
                 CapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t{mode}\nSeccomp_filters:\t2\n"
            ))
        };
        assert_eq!(status("0000000000000000", "0000000000000000", "2"), (0, true));
        assert_eq!(status("0000000000001000", "0000000000000000", "2"), (0x1000, true));
        assert_eq!(status("0000000000000000", "0000000000000000", "0"), (0, false));
        assert_eq!(read("Name:\tnetmon\n"), (u64::MAX, false));
    }
}
