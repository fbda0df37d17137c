//! netmon knows every IPv6 address behind every TAP, and lets nothing but link-local traffic pass.
//!
//! The user side of the line, one step a file (the kernel side's steps are in `netmon-common`):
//!
//! - [`kernel`]: the programs, maps and hooks; **collect** ([`kernel::events`])
//! - [`links`]: which interfaces there are, by rtnetlink
//! - [`topology`]: which of them share a link
//! - [`reservations`]: what on a link is no guest's
//! - [`config`]: what the daemon was asked for
//! - [`policy`]: what a port's guest may do
//! - [`ports`]: which of them are protected, and how
//! - [`taps`]: those that netmon makes itself
//! - [`endpoints`]: **fold**, the live map as a pure state machine
//! - [`probe`]: what is asked of guests that are quiet
//! - [`view`]: what readers see of it
//! - [`drops`]: what readers see of the frames that are refused
//! - [`api`], [`cli`]: **show**, translation only
//! - [`notify`]: what the service manager is told
//! - [`daemon`]: wires them; the file to read first

pub mod api;
pub mod cli;
pub mod command;
pub mod config;
pub mod crash;
pub mod daemon;
pub mod drops;
pub mod endpoints;
// A file of `netmon-tests`, which depends on this crate and not the other way round.
#[cfg(test)]
#[path = "../../tests/src/golden.rs"]
#[allow(unreachable_pub, reason = "there it is public")]
mod golden;
pub mod kernel;
pub mod links;
pub mod notify;
pub mod policy;
pub mod ports;
pub mod probe;
pub mod report;
pub mod reservations;
mod socket;
pub mod taps;
pub mod time;
pub mod topology;
pub mod view;
