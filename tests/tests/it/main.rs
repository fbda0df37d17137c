//! netmon against the real kernel, in one binary: `prog` runs frames through the loaded programs, `net` runs
//! the real daemon with real TAPs and guests.
//!
//! Nothing is skipped: what the machine lacks fails, with a sentence on how to get it.
#![expect(
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, and JSON is indexed by name"
)]

mod harness;
mod net;
mod prog;
