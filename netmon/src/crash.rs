//! Where a test may kill the daemon: between any two steps that change what the kernel holds.
//!
//! Debug builds only: `NETMON_CRASH_AT=links/created` is SIGKILL when that point is reached, `…:3` when it
//! is reached the third time. `NETMON_PANIC_AT` is a panic of the thread instead. A release build has none of it.

/// Every point, in the order of a first start; tests go through all of them.
pub const POINTS: [&str; 14] = [
    "set/begun",
    "set/loaded",
    "set/programs",
    "set/complete",
    "upgrade/pinned",
    "upgrade/linked",
    "port/entries",
    "ingress/created",
    "ingress/pinned",
    "ingress/unpinned",
    "egress/created",
    "egress/pinned",
    "port/released",
    "adopt/finished",
];

/// Dies here, if that is what was asked for.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    use std::sync::atomic::{AtomicU32, Ordering};

    static REACHED: AtomicU32 = AtomicU32::new(0);
    debug_assert!(POINTS.contains(&name), "{name}");
    let crash = std::env::var("NETMON_CRASH_AT");
    let is_crash = crash.is_ok();
    let Ok(asked) = crash.or_else(|_| std::env::var("NETMON_PANIC_AT")) else { return };
    let (asked, times) = asked.split_once(':').unwrap_or((&asked, "1"));
    if asked == name && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == times.parse().unwrap_or(1) {
        assert!(is_crash, "asked to panic at {name}");
        let this = nix::unistd::getpid();
        let _dead = nix::sys::signal::kill(this, nix::sys::signal::Signal::SIGKILL);
        std::thread::park();
    }
}

/// Whether the programs are to be taken for those of another build (`NETMON_OTHER_BUILD`), as after an upgrade.
#[cfg(debug_assertions)]
pub fn is_other_build() -> bool {
    std::env::var_os("NETMON_OTHER_BUILD").is_some()
}

/// Never.
#[cfg(not(debug_assertions))]
pub const fn is_other_build() -> bool {
    false
}

/// Whether all that the kernel tells unasked is to be lost on the way (`NETMON_DEAF`): link messages and events.
#[cfg(debug_assertions)]
pub fn is_deaf() -> bool {
    static IS_DEAF: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("NETMON_DEAF").is_some());
    *IS_DEAF
}

/// Never.
#[cfg(not(debug_assertions))]
pub const fn is_deaf() -> bool {
    false
}

/// How many ports there is room for, where a test wants fewer (`NETMON_PORTS`).
#[cfg(debug_assertions)]
pub fn ports() -> Option<u32> {
    std::env::var("NETMON_PORTS").ok()?.parse().ok()
}

/// As many as ever.
#[cfg(not(debug_assertions))]
pub const fn ports() -> Option<u32> {
    None
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub const fn point(_: &'static str) {}
