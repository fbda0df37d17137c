//! The kernel side as user space sees it: the only place that knows aya and bpf(2).
//!
//! - [`load`]: the programs and maps
//! - [`pins`]: what outlives the daemon, in bpffs; [`layout`]: whether it is what this build knows
//! - [`attach`]: a TAP's two hooks; [`adopt`]: what to do with what is pinned there
//! - [`chain`]: who else is on the egress hook
//! - [`link`]: what holds a program on a hook
//! - [`maps`]: the tables, typed
//! - [`tap`]: TAPs of netmon's own making, and the process that makes them
//! - [`events`]: **collect**, the ring buffer
//! - [`packet`]: frames from the host to a guest
//! - [`privilege`], [`seccomp`]: what the daemon may do, and no longer

pub mod adopt;
pub mod attach;
pub mod chain;
pub mod events;
pub mod instance;
mod layout;
pub mod link;
pub mod load;
pub mod maps;
pub mod packet;
pub mod pins;
pub mod privilege;
pub mod seccomp;
mod syscall;
pub mod tap;
