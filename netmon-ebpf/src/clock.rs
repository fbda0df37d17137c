//! The clock of ages and budgets.

use aya_ebpf::helpers::bpf_ktime_get_coarse_ns;

/// Nanoseconds of CLOCK_MONOTONIC_COARSE: a load, where the fine clock reads the TSC. It stands still while
/// the host is suspended, as its guests do.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_ktime_get_coarse_ns() }
}
