//! Two atomic instructions of BPF (Linux 5.12, commits 5ca419f2864a and 5ffa25502b5a). `core`'s own are
//! compiled out for this target (`atomic_cas: false`), and the intrinsics behind them change with each
//! nightly.

use core::arch::asm;

/// Adds to `*target` and returns what it was.
///
/// # Safety
///
/// `target` points to a u64 of a map's value.
#[inline(always)]
pub(crate) unsafe fn fetch_add(target: *mut u64, mut value: u64) -> u64 {
    // SAFETY: the caller's promise; the verifier proves the pointer.
    unsafe {
        asm!("{0} = atomic_fetch_add((u64 *)({1} + 0), {0})", inout(reg) value, in(reg) target);
    }
    value
}

/// Puts `new` into `*target` where it is `expected`; returns what it was.
///
/// # Safety
///
/// `target` points to a u64 of a map's value.
#[inline(always)]
pub(crate) unsafe fn compare_exchange(target: *mut u64, expected: u64, new: u64) -> u64 {
    let mut was = expected;
    // SAFETY: the caller's promise; the verifier proves the pointer.
    unsafe {
        asm!("r0 = cmpxchg_64({0} + 0, r0, {1})", in(reg) target, in(reg) new, inout("r0") was);
    }
    was
}
