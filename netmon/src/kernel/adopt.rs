//! What is pinned where a link should be, and what is to be done about it. Told by what the kernel says of
//! it, never by its name: a pinned link outlives its TAP as a corpse, and the next TAP of that index is open.

use super::link::{LinkInfo, Side};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// Our program, on this TAP.
    Live,
    /// A link whose TAP is gone, or that somebody has detached (`ifindex` 0).
    Corpse,
    /// A link of the other hook, or of another interface.
    WrongMode,
    /// A link on this TAP's hook with another program: of another build, or somebody else's.
    WrongProgram,
    /// No link at all.
    Foreign,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a link and pin it.
    Attach,
    /// It is as it should be.
    Keep,
    /// Put our program into the link, between two frames.
    Replace,
    /// Take the pin away, then as [`Attach`](Self::Attach).
    Recreate,
}

/// Tells what is pinned: `pinned` is the kernel's word on it, `Some(None)` where it is no link.
pub fn found(pinned: Option<Option<LinkInfo>>, side: Side, interface: u32, program: u32) -> Found {
    match pinned {
        None => Found::Absent,
        Some(None | Some(LinkInfo { side: None, .. })) => Found::Foreign,
        Some(Some(link)) if link.interface == 0 => Found::Corpse,
        Some(Some(link)) if link.side != Some(side) || link.interface != interface => {
            Found::WrongMode
        }
        Some(Some(link)) if link.program != program => Found::WrongProgram,
        Some(Some(_)) => Found::Live,
    }
}

/// Decides.
pub const fn action(found: Found) -> Action {
    match found {
        Found::Absent => Action::Attach,
        Found::Live => Action::Keep,
        Found::WrongProgram => Action::Replace,
        Found::Corpse | Found::WrongMode | Found::Foreign => Action::Recreate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAP: u32 = 7;
    const OURS: u32 = 42;

    /// Every combination of what the kernel can say.
    #[test]
    fn each_finding_has_one_action() {
        for side in [None, Some(Side::Ingress), Some(Side::Egress)] {
            for interface in [0, TAP, TAP + 1] {
                for program in [OURS, OURS + 1] {
                    let link = Some(Some(LinkInfo { side, interface, program }));
                    let expected = match (side, interface, program) {
                        (None, ..) => (Found::Foreign, Action::Recreate),
                        (_, 0, _) => (Found::Corpse, Action::Recreate),
                        (Some(Side::Egress), ..) => (Found::WrongMode, Action::Recreate),
                        (_, TAP, OURS) => (Found::Live, Action::Keep),
                        (_, TAP, _) => (Found::WrongProgram, Action::Replace),
                        _ => (Found::WrongMode, Action::Recreate),
                    };
                    let got = found(link, Side::Ingress, TAP, OURS);
                    assert_eq!((got, action(got)), expected, "{link:?}");
                }
            }
        }
        assert_eq!(action(found(None, Side::Egress, TAP, OURS)), Action::Attach);
        assert_eq!(action(found(Some(None), Side::Egress, TAP, OURS)), Action::Recreate);
    }
}
