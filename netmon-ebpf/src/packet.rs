//! read: bounds-checked bytes. XDP and TC look alike from here on.

use core::arch::asm;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_skb_load_bytes, bpf_xdp_get_buff_len},
    programs::{TcContext, XdpContext},
};
use netmon_common::parse::Bytes;
use zerocopy::FromBytes;

use crate::scratch;

/// A frame, and the interface that it is on.
pub(crate) trait Packet: Bytes {
    /// The interface's index.
    fn interface(&self) -> u32;

    /// The interface of the host that has received it, where a bridge passes it on; else 0: the host's own.
    fn received_on(&self) -> u32;
}

/// A frame in front of the host's stack: the bytes as the guest wrote them.
pub(crate) struct XdpPacket {
    context: *mut xdp_md,
    data: usize,
    data_end: usize,
}

impl XdpPacket {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        Self { context: context.ctx, data: context.data(), data_end: context.data_end() }
    }
}

impl Packet for XdpPacket {
    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.context).ingress_ifindex }
    }

    #[inline(always)]
    fn received_on(&self) -> u32 {
        0
    }
}

/// Keeps LLVM from taking a value apart: it likes to split `data + offset + size` from
/// `data + offset`, and the verifier then sees two pointers of which only one was checked. The move is a
/// real instruction because an empty one would leave a hole in the BTF line info.
#[inline(always)]
fn pin(mut value: usize) -> usize {
    // SAFETY: a register is moved onto itself; nothing else is touched.
    unsafe { asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// What is read of a frame lies below this: 54 octets of headers, 8 of Hop-by-Hop, 512 of ND. A power of
/// two, so that the verifier knows the pointer's range from one comparison.
const OFFSETS: usize = 1 << 12;

impl Bytes for XdpPacket {
    #[inline(always)]
    fn forget(&self, number: usize) -> usize {
        scratch::forget(number)
    }

    #[inline(always)]
    fn length(&self) -> usize {
        // `data_end - data` would do, but then the verifier asks for CAP_PERFMON.
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { bpf_xdp_get_buff_len(self.context) as usize }
    }

    #[inline(always)]
    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T> {
        let offset = pin(offset);
        if offset >= OFFSETS {
            return None;
        }
        let start = pin(self.data + offset);
        if start + size_of::<T>() > self.data_end {
            return None;
        }
        // SAFETY: the two comparisons show that `start..start + size_of::<T>()` lies within the frame
        // (the verifier proves it anew for each load); every bit pattern is a `T`.
        Some(unsafe { (start as *const T).read_unaligned() })
    }
}

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
    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).ifindex }
    }

    #[inline(always)]
    fn received_on(&self) -> u32 {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.skb).ingress_ifindex }
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
