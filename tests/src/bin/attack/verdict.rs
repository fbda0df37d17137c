//! Whether an attack got nothing, and whether that means anything.

use crate::{
    catalog::{Attack, Effect},
    trial::Outcome,
};

/// An attack with netmon and without.
pub(crate) struct Verdict {
    pub(crate) attack: Attack,
    pub(crate) guarded: Outcome,
    pub(crate) control: Outcome,
}

impl Verdict {
    /// What speaks against netmon, or against the attack; empty: it got nothing, though it is real.
    pub(crate) fn failures(&self) -> Vec<String> {
        let Outcome { sent, arrived, changes, dad_failed, guarded, .. } = &self.guarded;
        let mut failures = Vec::new();
        for (why, (count, first)) in &arrived.forbidden {
            let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
            failures.push(format!("{count} came through: the frame {why}: {hex}"));
        }
        failures.extend(changes.iter().map(|change| format!("the host has changed: {change}")));
        if *dad_failed {
            failures.push("the host could not have a new address".to_owned());
        }
        failures.extend(guarded.iter().flat_map(|guarded| guarded.false_positives.clone()));
        if arrived.missed > 0 {
            failures
                .push(format!("the witness missed {} frames: it proves nothing", arrived.missed));
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
        let is_one =
            |change: &&String| change.get(1..).and_then(|row| row.split(' ').next()) == Some(kind);
        self.changes.iter().filter(is_one).count()
    }

    /// What the host has suffered: how it has changed, and what has come in.
    pub(crate) fn harm(&self) -> Vec<String> {
        let mut harm = Vec::new();
        if self.dad_failed {
            harm.push("no DAD".to_owned());
        }
        for (kind, name) in [("address", "addr."), ("route", "routes"), ("neighbour", "neigh.")] {
            let count = self.changed(kind);
            if count > 0 {
                harm.push(format!("{} {name}", short(count as u64)));
            }
        }
        harm.push(format!("{} in", short(self.arrived.forbidden())));
        harm
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
