//! A frame as XDP has it.

use core::arch::asm;

use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_xdp_get_buff_len, programs::XdpContext};
use netmon_common::{
    Reason,
    abi::{Direction, Sample},
    parse::Bytes,
    sample,
};
use zerocopy::FromBytes;

use super::Packet;

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
    type Context = *mut xdp_md;

    #[inline(always)]
    fn of(context: Self::Context) -> Self {
        Self::new(&XdpContext::new(context))
    }

    #[inline(always)]
    fn context(&self) -> Self::Context {
        self.context
    }

    // Not in line, as the trait has it; and not in a generic function, whose name no kernel takes into its BTF.
    #[inline(never)]
    fn describe(context: Self::Context, to: &mut Sample, direction: Direction, reason: Reason) {
        sample::describe(to, &Self::of(context), direction, reason);
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the kernel's and lives as long as the program runs.
        unsafe { (*self.context).ingress_ifindex }
    }

    #[inline(always)]
    fn is_forwarded(&self) -> bool {
        false
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
