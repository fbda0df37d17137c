//! Which TAP has which policy: what holds for all, changed by the first rule that names the TAP.

use glob::Pattern;

use super::{Policy, PolicyChange};

/// What is different for some TAPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A glob of TAP names.
    pub taps: Pattern,
    /// How their policy differs from that of all.
    pub change: PolicyChange,
}

/// The policies of all TAPs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// That of a TAP without a rule.
    pub all: Policy,
    /// In the order of the configuration.
    pub rules: Vec<Rule>,
}

impl Policies {
    /// The policy of a TAP. The first rule that matches is the only one that counts: so a reader need not
    /// add up several of them.
    pub fn of(&self, tap: &str) -> Policy {
        let rule = self.rules.iter().find(|rule| rule.taps.matches(tap));
        rule.map_or_else(|| self.all.clone(), |rule| self.all.clone().with(&rule.change))
    }
}
