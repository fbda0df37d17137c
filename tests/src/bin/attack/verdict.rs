//! Whether an attack got nothing, and whether that means anything.

use std::cmp::Reverse;

use crate::{
    catalog::{Attack, Effect},
    trial::Outcome,
};

/// An attack, and what came of it with netmon and without.
pub(crate) struct Verdict {
    pub(crate) attack: Attack,
    /// With netmon, and without; or why it could not be tried.
    pub(crate) tried: anyhow::Result<(Outcome, Outcome)>,
}

/// Answers of a guest that are more than any link needs.
const MANY: u64 = 200;

impl Verdict {
    /// What speaks against netmon, or against the attack; empty: it got nothing, though it is real.
    pub(crate) fn failures(&self) -> Vec<String> {
        let (guarded, control) = match &self.tried {
            Ok(tried) => tried,
            Err(error) => return vec![format!("{error:#}")],
        };
        let Outcome { arrived, changes, dad_failed, said, harm, .. } = guarded;
        let mut failures = Vec::new();
        for (why, (count, first)) in &arrived.forbidden {
            let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
            failures.push(format!("{count} came through: the frame {why}: {hex}"));
        }
        failures.extend(changes.iter().map(|change| format!("the host has changed: {change}")));
        if *dad_failed {
            failures.push("the host could not have a new address".to_owned());
        }
        failures.extend(harm.iter().cloned());
        if arrived.missed > 0 {
            let missed = arrived.missed;
            failures.push(format!("the witness missed {missed} frames: it proves nothing"));
        }
        if by_count(self).is_empty() {
            failures.push(format!("netmon had nothing to drop, so it proves nothing: {said}"));
        }
        if !self.attack.is_real(control) {
            let said = &control.said;
            failures.push(format!("without netmon it does nothing, so proves nothing: {said}"));
        }
        failures
    }

    /// What the host has suffered without netmon: what it is about first, what has come in last.
    pub(crate) fn harm(&self) -> Vec<String> {
        let Ok((_, control)) = &self.tried else { return Vec::new() };
        let mut harm = Vec::new();
        for (effect, kind, name) in [
            (Effect::Address, "address", "addr."),
            (Effect::Route, "route", "routes"),
            (Effect::Neighbour, "neighbour", "neigh."),
            (Effect::Fdb, "fdb", "fdb"),
            (Effect::Mdb, "mdb", "groups"),
            (Effect::Mdb, "bridge", "bridge"),
            (Effect::Flow, "flow", "flows"),
        ] {
            let count = control.changed(kind);
            if count > 0 {
                harm.push((effect, format!("{} {name}", short(count as u64))));
            }
        }
        harm.extend(control.dad_failed.then(|| (Effect::Dad, "no DAD".to_owned())));
        harm.extend((!control.harm.is_empty()).then(|| (Effect::Guest, "no guest".to_owned())));
        if self.attack.effect == Effect::Answers {
            harm.push((Effect::Answers, format!("{} answers", short(control.answers))));
        }
        harm.push((Effect::Arrives, format!("{} in", short(control.arrived.forbidden()))));
        let is_main = |effect: Effect| effect == self.attack.effect && effect != Effect::Arrives;
        harm.sort_by_key(|(effect, _)| !is_main(*effect));
        harm.into_iter().map(|(_, harm)| harm).collect()
    }
}

impl Attack {
    /// Whether it does to a host without netmon what it is said to do.
    fn is_real(&self, control: &Outcome) -> bool {
        // Of these each frame may pass: they are too many.
        let is_by_number = matches!(self.effect, Effect::Answers | Effect::Mdb);
        (is_by_number || control.arrived.forbidden() > 0)
            && match self.effect {
                Effect::Arrives => true,
                Effect::Route => control.changed("route") > 0,
                Effect::Address => control.changed("address") > 0,
                Effect::Neighbour => control.changed("neighbour") > 0,
                Effect::Dad => control.dad_failed,
                Effect::Fdb => control.changed("fdb") > 0,
                // Snooping is off: every group goes to every port.
                Effect::Mdb => control.changed("bridge") > 0,
                Effect::Flow => control.changed("flow") > 0,
                Effect::Guest => !control.harm.is_empty(),
                Effect::Answers => control.answers >= MANY,
            }
    }
}

impl Outcome {
    /// How many rows of this kind have changed.
    fn changed(&self, kind: &str) -> usize {
        let of =
            |change: &String| change.get(1..).and_then(|row| row.split(' ').next()) == Some(kind);
        self.changes.iter().filter(|change| of(change)).count()
    }
}

/// The reasons for which netmon has dropped its frames, the most frequent first.
pub(crate) fn by_count(verdict: &Verdict) -> Vec<(&str, u64)> {
    let reasons = verdict.tried.iter().flat_map(|(guarded, _)| &guarded.reasons);
    let mut reasons: Vec<_> = reasons.map(|(reason, count)| (reason.as_str(), *count)).collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    reasons
}

/// A number in at most four characters and a unit.
pub(crate) fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}
