//! Whether an attack got nothing, and whether that means anything.

use std::thread;

use anyhow::{Context as _, bail};

use crate::{
    catalog::{Attack, Effect},
    trial::{self, Outcome},
};

/// An attack with netmon and without.
pub(crate) struct Verdict {
    pub(crate) attack: Attack,
    pub(crate) guarded: Outcome,
    pub(crate) control: Outcome,
}

impl Verdict {
    /// Tries it on both hosts, at the same time.
    pub(crate) fn of(attack: &Attack) -> anyhow::Result<Self> {
        let (guarded, control) = thread::scope(|scope| {
            let control = scope.spawn(|| trial::run(attack, false));
            let guarded = trial::run(attack, true);
            (guarded, control.join().unwrap_or_else(|_| bail!("the control panicked")))
        });
        Ok(Self {
            attack: attack.clone(),
            guarded: guarded.context("with netmon")?,
            control: control.context("without netmon")?,
        })
    }

    /// What speaks against netmon, or against the attack; empty: it got nothing, though it is real.
    pub(crate) fn failures(&self) -> Vec<String> {
        let Outcome { sent, arrived, changes, dad_failed, guarded, .. } = &self.guarded;
        let mut failures = Vec::new();
        for (why, count) in &arrived.forbidden {
            failures.push(format!("{count} came through: the frame {why}"));
        }
        failures.extend(changes.iter().map(|change| format!("the host has changed: {change}")));
        if *dad_failed {
            failures.push("the host could not have a new address".to_owned());
        }
        failures.extend(guarded.iter().flat_map(|guarded| guarded.false_positives.clone()));
        if arrived.missed > 0 {
            failures.push(format!("the witness missed {} frames: it proves nothing", arrived.missed));
        }
        if *sent == 0 {
            failures.push(format!("nothing was sent: {}", self.guarded.said));
        }
        if !self.is_real() {
            let said = &self.control.said;
            failures.push(format!("without netmon it does nothing, so proves nothing: {said}"));
        }
        failures
    }

    /// Whether the attack does to a host without netmon what it is said to do.
    fn is_real(&self) -> bool {
        let Outcome { arrived, dad_failed, .. } = &self.control;
        arrived.forbidden() > 0
            && match self.attack.effect {
                Effect::Arrives => true,
                Effect::Route => self.control.changed("route") > 0,
                Effect::Address => self.control.changed("address") > 0,
                Effect::Neighbour => self.control.changed("neighbour") > 0,
                Effect::Dad => *dad_failed,
            }
    }
}

impl Outcome {
    /// How many rows of this kind have changed.
    fn changed(&self, kind: &str) -> usize {
        let is_one = |change: &&String| {
            change.get(1..).and_then(|row| row.split(' ').next()) == Some(kind)
        };
        self.changes.iter().filter(is_one).count()
    }

    /// What the host has suffered, in few words: how it has changed, else what has come in.
    pub(crate) fn harm(&self) -> String {
        let mut harm = Vec::new();
        for (kind, name) in [("route", "routes"), ("address", "addr."), ("neighbour", "neigh.")] {
            let count = self.changed(kind);
            if count > 0 {
                harm.push(format!("{} {name}", short(count as u64)));
            }
        }
        if self.dad_failed {
            harm.push("no DAD".to_owned());
        }
        if harm.is_empty() {
            harm.push(format!("{} bad in", short(self.arrived.forbidden())));
        }
        harm.join(" ")
    }
}

/// A number in at most four characters and a unit.
pub(crate) fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}
