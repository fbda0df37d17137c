//! netmon against the real kernel, in one binary: `harness` is about what it is tested with.
//!
//! Nothing is skipped: what the machine lacks fails, with a sentence on how to get it.
#![expect(
    clippy::panic_in_result_fn,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and a frame of known length is sliced"
)]

mod harness;
