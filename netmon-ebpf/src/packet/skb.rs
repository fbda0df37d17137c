//! A frame as TC has it.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes, programs::TcContext};
use netmon_common::{
    Reason,
    abi::{Direction, Sample},
    parse::Bytes,
    sample,
};
use zerocopy::FromBytes;

use super::Packet;

/// A frame on its way to the guest. It may lie in several pieces, and a VLAN tag beside it.
pub(crate) struct SkbPacket {
    skb: *mut __sk_buff,
}

impl SkbPacket {
    #[inline(always)]
    pub(crate) fn new(context: &TcContext) -> Self {
        Self { skb: context.skb.skb }
    }
}

impl Packet for SkbPacket {
    type Context = *mut __sk_buff;

    #[inline(always)]
    fn of(skb: Self::Context) -> Self {
        Self { skb }
    }

    #[inline(always)]
    fn context(&self) -> Self::Context {
        self.skb
    }

    #[inline(never)]
    fn describe(context: Self::Context, to: &mut Sample, direction: Direction, reason: Reason) {
        sample::describe(to, &Self::of(context), direction, reason);
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).ifindex }
    }

    #[inline(always)]
    fn is_forwarded(&self) -> bool {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).ingress_ifindex != 0 }
    }
}

/// LLVM joins reads of neighbouring fields, and the verifier wants reads of the stack to be aligned.
#[repr(align(8))]
struct Aligned<T>(T);

impl Bytes for SkbPacket {
    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).len as usize }
    }

    #[inline(always)]
    fn has_vlan_tag(&self) -> bool {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).vlan_present != 0 }
    }

    #[inline(always)]
    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T> {
        let mut value = Aligned(T::new_zeroed());
        let (skb, to, size) = (self.skb.cast(), (&raw mut value.0).cast(), size_of::<T>() as u32);
        // SAFETY: the helper writes `size` bytes to `to`, which are all of `value`, or fails.
        let result = unsafe { bpf_skb_load_bytes(skb, offset as u32, to, size) };
        (result == 0).then_some(value.0)
    }
}
