//! read: bounds-checked bytes. XDP and TC look alike from here on.

mod skb;
mod xdp;

use netmon_common::{
    Reason,
    abi::{Direction, Sample},
    parse::Bytes,
};

pub(crate) use self::{skb::SkbPacket, xdp::XdpPacket};

/// A frame, and the interface that it is on.
pub(crate) trait Packet: Bytes {
    /// What the kernel has handed over: one word, by which another function has the frame too.
    type Context: Copy;

    /// The frame of this context.
    fn of(context: Self::Context) -> Self;

    /// Its context.
    fn context(&self) -> Self::Context;

    /// Describes it in a sample of zeros. A function of its own, with its own part of the stack.
    fn describe(context: Self::Context, to: &mut Sample, direction: Direction, reason: Reason);

    /// The interface's index.
    fn interface(&self) -> u32;

    /// The interface of the host that has received it, where a bridge passes it on; else 0: the host's own.
    fn received_on(&self) -> u32;
}
