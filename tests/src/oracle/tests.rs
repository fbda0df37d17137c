//! Judge and oracle on many frames, and proof that they would find a fault.

use std::collections::HashMap;

use netmon_common::{
    Kind, Reason,
    abi::Direction,
    parse::{Frame, Nd, NdOptions, Upper},
};

use crate::{
    agree::{agreed, judged},
    case::{Case, kept},
    generate, oracle,
};

/// Frames in the ordinary test run.
const FRAMES: usize = 200_000;

#[test]
fn judge_and_oracle_agree() -> anyhow::Result<()> {
    let mut seen = HashMap::<(Direction, Result<Kind, Reason>), usize>::new();
    for case in generate::cases(generate::seed()?).take(FRAMES) {
        let verdict = agreed(&case).map(|(kind, _)| kind);
        *seen.entry((case.direction, verdict)).or_default() += 1;
    }
    // A generator that reaches only some of the verdicts would prove only these.
    let ingress = oracle::INGRESS.map(|reason| (Direction::Ingress, Err(reason)));
    let egress = oracle::EGRESS.map(|reason| (Direction::Egress, Err(reason)));
    let kinds =
        Kind::ALL.iter().flat_map(|kind| Direction::ALL.map(|direction| (direction, Ok(*kind))));
    let never = [
        (Direction::Ingress, Ok(Kind::RouterAdvertisement)),
        (Direction::Ingress, Ok(Kind::Other)),
    ];
    for verdict in ingress.into_iter().chain(egress).chain(kinds) {
        let times = seen.get(&verdict).copied().unwrap_or_default();
        assert_eq!(times < 20, never.contains(&verdict), "{verdict:?} came {times} times");
    }
    Ok(())
}

#[test]
fn what_was_found_once_agrees() -> anyhow::Result<()> {
    for case in kept()?.into_iter().chain(generate::corpus()?) {
        let _agreed = agreed(&case);
    }
    Ok(())
}

/// Whether a judge that sees each frame as `fault` leaves it is told from the oracle.
fn is_found(fault: impl Fn(&mut Frame)) -> bool {
    generate::cases(1).take(FRAMES).any(|case| judged(&case, &fault) != oracle::verdict(&case))
}

fn nd(change: impl Fn(&mut Nd)) -> impl Fn(&mut Frame) {
    move |frame| {
        if let Ok(Upper::Nd(nd)) = &mut frame.upper {
            change(nd);
        }
    }
}

fn option(change: impl Fn(&mut NdOptions)) -> impl Fn(&mut Frame) {
    nd(move |nd| {
        if let Ok(options) = &mut nd.options {
            change(options);
        }
    })
}

#[test]
fn a_planted_fault_is_found() {
    assert!(is_found(|frame| frame.hop_limit = 255), "any hop limit");
    assert!(is_found(nd(|nd| nd.code = 0)), "any code");
    assert!(is_found(nd(|nd| nd.solicited = false)), "any solicited");
    assert!(is_found(nd(|nd| nd.options = Ok(nd.options.unwrap_or_default()))), "any options");
    assert!(is_found(option(|options| options.checksum = true)), "any checksum");
    assert!(is_found(option(|options| options.foreign_mac = false)), "any link-layer address");
    assert!(is_found(option(|options| options.source_mac = false)), "DAD with SLLA");
    let answers = |frame: &mut Frame| {
        if let Ok(Upper::Tcp { opens, .. }) = &mut frame.upper {
            *opens = false;
        }
    };
    assert!(is_found(answers), "any SYN");
    let server = |frame: &mut Frame| {
        if let Ok(Upper::Udp { source, .. }) = &mut frame.upper {
            *source = 1;
        }
    };
    assert!(is_found(server), "any source port");
    let error = |frame: &mut Frame| {
        if let Ok(Upper::Error(Ok(embedded))) = &mut frame.upper {
            embedded.is_to_sender = true;
        }
    };
    assert!(is_found(error), "an error about another's packet");
    assert!(!is_found(|_| ()), "no fault");
}

#[test]
fn a_case_survives_as_text() {
    for case in generate::cases(2).take(1_000) {
        assert_eq!(case.to_string().parse::<Case>().ok(), Some(case));
    }
}
