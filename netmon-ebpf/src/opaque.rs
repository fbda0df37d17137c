//! What the verifier is not to know.
//!
//! It walks each path that differs in a constant on which something depends later, and a kind of frame is such a
//! constant: the claim would be walked anew for each of them. Behind this they are one number below sixteen.

use core::arch::asm;

use netmon_common::Kind;

const MASK: usize = 15;
const _: () = assert!(Kind::ALL.len() <= MASK + 1);

/// The same kind. `unknown` is a number that the verifier does not know; which one it is does not matter.
#[inline(always)]
pub(crate) fn opaque(kind: Kind, unknown: usize) -> Kind {
    let mut number = usize::from(kind.number());
    // SAFETY: a register is changed twice, back to what it was, and cut to the bits that it has; nothing else is
    // touched.
    unsafe {
        asm!(
            "{0} ^= {1}", "{0} ^= {1}", "{0} &= {mask}",
            inout(reg) number, in(reg) unknown, mask = const MASK,
            options(nomem, nostack, preserves_flags)
        );
    }
    Kind::try_from(number as u8).unwrap_or(Kind::Other)
}
