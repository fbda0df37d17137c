//! What netmon's kernel side and user side share: how a frame is read, what is allowed, and the
//! treaty (ABI) between the two sides.
//!
//! The line of the data through this crate, one step a file:
//!
//! - [`parse`]: bytes → [`parse::Frame`], or the reason why they are none
//! - [`judge`]: a frame and the port's policy → pass or drop, and what the frame claims
//! - [`claim`]: a claim against what the binding table holds, first come first served
//! - [`outcome`]: a verdict under the port's mode → what is done and what is counted
//! - [`abi`]: what the kernel side writes and the user side reads
//!
//! Absent on purpose: a clock, a map, a helper call, an allocation, and `unsafe`. So property tests,
//! Miri and the fuzzer run the very code that the kernel runs.
#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod address;
pub mod budget;
pub mod claim;
pub mod judge;
pub mod limits;
pub mod outcome;
pub mod parse;
pub mod reason;
pub mod sample;

pub use address::{Address, Mac};
pub use reason::{Kind, Reason};
