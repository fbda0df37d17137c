//! The fuzzer of `cargo xtask fuzz`: bytes choose a case, and judge and oracle must agree on it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _agreed = netmon_tests::agree::agreed(&netmon_tests::generate::case(bytes));
});
