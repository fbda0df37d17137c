//! The long steps, each a function of its own: its part of the stack is free again when it returns, and the next one
//! needs as much.
//!
//! Their signatures are plain, because no kernel takes an enum with a niche into its BTF (a union's member that is not at
//! its begin), and what they hand on is made of words, because LLVM joins the copies of smaller fields and the verifier
//! wants each access to the stack aligned.

use aya_ebpf::bindings::xdp_md;
use netmon_common::{
    Address, Kind, Mac, Reason,
    abi::{Direction, PortPolicy, PortState, State},
    judge::{self, Claim, Pass},
    parse::{Frame, Report, parse},
};

use crate::{
    advertised, bindings, macs,
    packet::{Packet as _, XdpPacket},
    port::Port,
    scratch,
};

/// A frame of the guest that may pass, as far as no table is asked.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Judged {
    mac: u64,
    kind: u64,
    claimed: [u64; 2],
    /// A [`State`]; zero: it claims nothing.
    state: u64,
    /// Zeros: nothing but its source.
    advertised: [u64; 2],
    /// [`Report::bits`]; zero: it is none.
    report: u64,
}

impl Judged {
    #[inline(always)]
    fn of(frame: &Frame, pass: &Pass) -> Self {
        let words = |address: Address| address.halves().into();
        let claim = pass.claim.as_ref();
        Self {
            mac: frame.source_mac.bits(),
            kind: scratch::forget(pass.kind.number().into()) as u64,
            claimed: claim.map_or([0; 2], |claim| words(claim.address)),
            state: scratch::forget(claim.map_or(0, |claim| claim.state.number().into())) as u64,
            advertised: judge::advertised(frame).map_or([0; 2], words),
            report: judge::report(frame).map_or(0, |report| report.bits().into()),
        }
    }

    /// The frame's source MAC.
    #[inline(always)]
    pub(crate) fn mac(&self) -> Mac {
        Mac::from_bits(self.mac)
    }

    /// What it is.
    #[inline(always)]
    pub(crate) fn kind(&self) -> Kind {
        Kind::try_from(self.kind as u8).unwrap_or(Kind::Other)
    }

    /// Another address that it advertises.
    #[inline(always)]
    pub(crate) fn advertised(&self) -> Option<Address> {
        let [high, low] = self.advertised;
        (high != 0).then(|| Address::from_halves(high, low))
    }

    /// The groups that it listens to.
    #[inline(always)]
    pub(crate) fn report(&self) -> Option<Report> {
        (self.report != 0).then(|| Report::from_bits(self.report as u32))
    }

    #[inline(always)]
    fn pass(&self) -> Pass {
        let ([high, low], kind) = (self.claimed, self.kind());
        let claim = State::try_from(self.state as u8).ok().map(|state| Claim {
            address: Address::from_halves(high, low),
            state,
            origin: kind,
        });
        Pass { kind, claim }
    }
}

/// Judges a frame that the guest sent.
#[inline(always)]
pub(crate) fn judge(packet: &XdpPacket, port: &Port) -> Result<Judged, Reason> {
    let mut judged = Judged::default();
    match judge_apart(packet.context(), port.policy, port.state(), &mut judged) {
        None => Ok(judged),
        Some(reason) => Err(reason),
    }
}

#[inline(never)]
fn judge_apart(
    context: *mut xdp_md,
    policy: &'static PortPolicy,
    state: *mut PortState,
    judged: &mut Judged,
) -> Option<Reason> {
    let packet = XdpPacket::of(context);
    let port = Port::of(packet.interface(), policy, state);
    let frame = match parse(&packet, Direction::Ingress) {
        Ok(frame) => frame,
        Err(reason) => return Some(reason),
    };
    match judge::ingress(&frame, &port.as_judged()) {
        Ok(pass) => *judged = Judged::of(&frame, &pass),
        Err(reason) => return Some(reason),
    }
    None
}

/// Whether the guest may use its MAC, and holds what it advertises.
#[inline(always)]
pub(crate) fn check(port: &Port, judged: &Judged) -> Result<(), Reason> {
    check_apart(port, judged).map_or(Ok(()), Err)
}

#[inline(never)]
fn check_apart(port: &Port, judged: &Judged) -> Option<Reason> {
    macs::check(port, judged.mac()).and_then(|()| advertised::check(port, judged)).err()
}

/// Makes, confirms or refreshes what the frame claims.
#[inline(always)]
pub(crate) fn claim(port: &Port, judged: &Judged) -> Result<(), Reason> {
    claim_apart(port, judged).map_or(Ok(()), Err)
}

#[inline(never)]
fn claim_apart(port: &Port, judged: &Judged) -> Option<Reason> {
    let claimed = || {
        let step = bindings::claim(port, judged.mac(), &judged.pass())?;
        if bindings::is_new(step) {
            macs::enter(port, judged.mac())?;
        }
        bindings::passes(step)
    };
    claimed().err()
}
