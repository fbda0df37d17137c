//! What netmon is tested with: namespaces, TAPs, guests, frames and the real daemon.
//!
//! Everything lives in unnamed namespaces of the test's own, which the kernel takes away with the last
//! process in them: a killed test leaves nothing behind.

pub mod agree;
pub mod case;
pub mod daemon;
pub mod frame;
pub mod generate;
pub mod guard;
pub mod guest;
pub mod host;
pub mod lines;
pub mod members;
pub mod oracle;
pub mod pcap;
pub mod pins;
pub mod snapshot;
pub mod tap;
pub mod unit;
pub mod wait;
pub mod witness;
