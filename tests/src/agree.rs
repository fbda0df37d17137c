//! The judge under test and the oracle on the same case.

use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, Direction, State},
    claim::{Claimant, may_advertise},
    judge,
    parse::{Frame, parse},
};

use crate::{
    case::Case,
    frame::SECOND,
    oracle::{self, Claim},
};

/// What a frame is and claims, or why it is dropped.
pub type Verdict = Result<(Kind, Option<Claim>), Reason>;

/// What the judge under test says of a frame that `doctor` may change before it sees it.
///
/// # Errors
///
/// The reason.
pub fn judged(case: &Case, doctor: impl Fn(&mut Frame)) -> Verdict {
    let mut frame = parse(case.frame.as_slice(), case.direction)?;
    doctor(&mut frame);
    let port = judge::Port { policy: &case.policy, first_mac: Mac::new(case.first_mac) };
    let pass = match case.direction {
        Direction::Ingress => judge::ingress(&frame, &port)?,
        Direction::Egress => judge::egress(&frame, false)?,
    };
    if let Some(address) =
        judge::advertised(&frame).filter(|_| case.direction == Direction::Ingress)
    {
        let claimant = Claimant { port: 1, epoch: 0, mac: frame.source_mac };
        let is_held = address == SECOND.into() && case.second_mac != [0; 6];
        let held = Binding { port: 1, mac: case.second_mac, state: 2, ..Binding::default() };
        may_advertise(&claimant, false, is_held.then_some(&held))?;
    }
    let claim = pass.claim.map(|claim| Claim {
        address: claim.address.into(),
        is_valid: claim.state == State::Valid,
    });
    Ok((pass.kind, claim))
}

/// What both say. Where they disagree the case is kept, and this panics.
///
/// # Errors
///
/// The reason.
pub fn agreed(case: &Case) -> Verdict {
    let (judged, expected) = (judged(case, |_| ()), oracle::verdict(case));
    if judged != expected {
        disagree(case, &format!("the judge says {judged:?}, the oracle {expected:?}"));
    }
    expected
}

/// Keeps a case on which two disagree, and panics.
#[expect(clippy::panic, reason = "a test has failed, or the fuzzer has found something")]
pub fn disagree(case: &Case, why: &str) -> ! {
    let kept =
        case.keep(why).map_or_else(|error| format!("{error:#}"), |path| path.display().to_string());
    panic!("{why}\n{case}kept: {kept}");
}
