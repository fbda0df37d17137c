//! The attacks one after the other, a few at a time.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
};

use anyhow::{Context as _, bail};

use crate::{
    catalog::Attack,
    trial::{self, Outcome},
    verdict::Verdict,
};

/// Attacks at one time. Each waits for DAD and for its tool more than it computes.
const LANES: usize = 6;

/// Runs them, and tells of each in the order of the catalogue.
///
/// # Errors
///
/// The telling fails.
pub(crate) fn run(
    attacks: Vec<Attack>,
    mut tell: impl FnMut(Verdict) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (together, by_itself): (Vec<_>, Vec<_>) =
        attacks.into_iter().partition(|attack| !attack.overflows);
    in_lanes(&together, both, |attack, tried| tell(Verdict { attack: attack.clone(), tried }))?;
    // With netmon they harm nobody; without, they must be the only ones at work.
    let mut all_guarded = Vec::new();
    in_lanes(&by_itself, with_netmon, |_, guarded| {
        all_guarded.push(guarded);
        Ok(())
    })?;
    for (attack, guarded) in by_itself.into_iter().zip(all_guarded) {
        let tried = guarded.and_then(|guarded| Ok((guarded, without_netmon(&attack)?)));
        tell(Verdict { attack, tried })?;
    }
    Ok(())
}

fn both(attack: &Attack) -> anyhow::Result<(Outcome, Outcome)> {
    thread::scope(|scope| {
        let control = scope.spawn(|| without_netmon(attack));
        let guarded = with_netmon(attack);
        let control = control.join().unwrap_or_else(|_| bail!("the control panicked"));
        Ok((guarded?, control?))
    })
}

fn with_netmon(attack: &Attack) -> anyhow::Result<Outcome> {
    trial::run(attack, true).context("with netmon")
}

fn without_netmon(attack: &Attack) -> anyhow::Result<Outcome> {
    trial::run(attack, false).context("without netmon")
}

/// Does `work` in lanes, and then `tell` in the order of the attacks, whoever is ready first.
fn in_lanes<T: Send>(
    attacks: &[Attack],
    work: impl Fn(&Attack) -> T + Sync,
    mut tell: impl FnMut(&Attack, T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let taken = AtomicUsize::new(0);
    let (sender, done) = channel();
    thread::scope(|scope| {
        for _ in 0..LANES {
            let (sender, taken, work) = (sender.clone(), &taken, &work);
            scope.spawn(move || {
                loop {
                    let number = taken.fetch_add(1, Ordering::Relaxed);
                    let Some(attack) = attacks.get(number) else { return };
                    if sender.send((number, work(attack))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut ready = BTreeMap::new();
        let mut waited = attacks.iter().enumerate().peekable();
        for (number, result) in done {
            ready.insert(number, result);
            while let Some((number, attack)) = waited.peek()
                && let Some(result) = ready.remove(number)
            {
                tell(attack, result)?;
                waited.next();
            }
        }
        Ok(())
    })
}
