//! The kernel side as user space sees it: the only place that knows aya and bpf(2).
//!
//! - [`load`]: the programs and maps
//! - [`attach`]: a TAP's two hooks
//! - [`link`]: what holds a program on a hook
//! - [`maps`]: the tables, typed
//! - [`tap`]: TAPs of netmon's own making, and the process that makes them
//! - [`events`]: **collect**, the ring buffer

pub mod attach;
pub mod events;
pub mod instance;
pub mod link;
pub mod load;
pub mod maps;
pub mod tap;
