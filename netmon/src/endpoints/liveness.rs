//! What becomes of the quiet: who is looked at, who is asked, who is given up.
//!
//! Nothing is said of an endpoint, and nothing is asked of it, before its binding was read: traffic keeps
//! that young, so probing costs nothing while traffic flows.

use std::{
    net::Ipv6Addr,
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

use netmon_common::{
    Mac,
    abi::{Binding, BindingKey},
    limits,
};

use super::{Change, Endpoint, EndpointTable, Entry, Id, State};
use crate::time::Moment;

/// Solicitations without an answer that make an endpoint unreachable (RFC 4861 section 10).
pub(super) const MAX_UNICAST_SOLICIT: u8 = 3;

/// How long each of them waits for its answer (RFC 4861 section 10).
pub(super) const RETRANS_TIMER: Duration = Duration::from_secs(1);

/// How often one that is unreachable is asked again: a guest that was paused may come back without a word
/// (MAX_RETRANS_TIMER, RFC 7048 section 4).
pub(super) const MAX_RETRANS_TIMER: Duration = Duration::from_secs(60);

/// How long an endpoint may be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// How long an address counts as reachable after it was heard; then it is asked.
    pub reachable: Duration,
    /// How long an address may be unreachable until its binding is removed.
    pub expire: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            // REACHABLE_TIME, RFC 4861 section 10.
            reachable: Duration::from_secs(30),
            // Longer than the 5 minutes of RFC 6620 (DEFAULT_LT): a guest that is paused, for a snapshot
            // or by a debugger, keeps its address. What it costs is a place of the port's own quota.
            expire: Duration::from_secs(3600),
        }
    }
}

/// What is to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Who is behind this port?
    Everybody {
        /// The port's interface index.
        port: u32,
    },
    /// Does the guest with this MAC have this address?
    Neighbor {
        /// The port's interface index.
        port: u32,
        /// The guest's MAC.
        mac: Mac,
        /// The address.
        address: Ipv6Addr,
    },
    /// Has a member of the port's link, which is no port, this address?
    Link {
        /// The port that claims it: its interface index.
        port: u32,
        /// The address.
        address: Ipv6Addr,
    },
}

impl Question {
    /// The port that it goes to.
    pub const fn port(&self) -> u32 {
        match *self {
            Self::Everybody { port } | Self::Neighbor { port, .. } | Self::Link { port, .. } => {
                port
            }
        }
    }
}

/// What a tick brings.
#[derive(Debug, Default)]
pub struct Due {
    /// What became of the map.
    pub changes: Vec<Change>,
    /// What is to be asked; it counts as asked.
    pub questions: Vec<Question>,
    /// Bindings to be removed from the table. Their endpoints are gone.
    pub expired: Vec<(BindingKey, Binding)>,
}

/// What was asked of an endpoint since it was heard last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    asked: u8,
    asked_at: Moment,
    unreachable_since: Moment,
}

enum Step {
    Wait,
    Ask,
    GiveUp,
}

impl EndpointTable {
    /// Time has passed: looks after those who are quiet, in turn and a bounded number of them. `read` is to
    /// give what the binding table holds under a key now.
    pub fn tick(&mut self, now: Moment, read: impl Fn(&BindingKey) -> Option<Binding>) -> Due {
        let mut due = Due::default();
        self.search(now, &mut due.questions);
        self.decide_contests(now, &read, &mut due);
        let searches = due.questions.len();
        for id in self.quiet(now) {
            if due.questions.len() - searches >= limits::PROBES {
                break;
            }
            self.cursor = id;
            self.look_after(id, now, &read, &mut due);
        }
        due
    }

    /// Those whose binding is to be read, beginning with the one whose turn it is.
    fn quiet(&self, now: Moment) -> Vec<Id> {
        let later = self.entries.range((Excluded(self.cursor), Unbounded));
        let turn = later.chain(self.entries.range(..=self.cursor));
        let is_quiet = |entry: &Entry| {
            entry.endpoint.state != State::Reachable
                || now.since(entry.endpoint.last_seen) >= self.timers.reachable
        };
        turn.filter(|(_, entry)| is_quiet(entry)).map(|(id, _)| *id).take(limits::LOOKS).collect()
    }

    fn look_after(
        &mut self,
        id: Id,
        now: Moment,
        read: impl Fn(&BindingKey) -> Option<Binding>,
        due: &mut Due,
    ) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (key, before) = (entry.key, entry.endpoint.state);
        let binding = read(&key).filter(|held| held.port == id.0 && self.is_current(held));
        let Some(binding) = binding else {
            due.changes.extend(self.remove(&id));
            return;
        };
        self.binding(&key, &binding, now, &mut due.changes);
        let up = self.ports.get(&id.0).is_some_and(|port| port.up);
        // One step a tick: whoever watches sees each.
        let entry = self.entries.get_mut(&id).filter(|entry| entry.endpoint.state == before);
        let Some(entry) = entry else { return };
        let step = entry.step(up, now, self.timers.expire);
        if entry.endpoint.state != before {
            due.changes.push(Change::Updated(entry.endpoint.clone()));
        }
        match step {
            Step::Wait => {}
            Step::Ask => due.questions.push(entry.question()),
            Step::GiveUp => {
                due.expired.push((key, binding));
                due.changes.extend(self.remove(&id));
            }
        }
    }
}

impl Entry {
    /// Asks whether the guest still has the address.
    pub(super) const fn question(&self) -> Question {
        let Endpoint { port, mac, address, .. } = self.endpoint;
        Question::Neighbor { port, mac, address }
    }

    /// What becomes of an endpoint whose binding says that it is quiet.
    fn step(&mut self, up: bool, now: Moment, expire: Duration) -> Step {
        let (state, silence) = (&mut self.endpoint.state, &mut self.silence);
        let waited = now.since(silence.asked_at);
        match *state {
            State::Tentative | State::Reachable => return Step::Wait,
            // It cannot be asked, so nothing is known.
            State::Stale | State::Probing | State::Unreachable if !up => {
                *state = State::Stale;
                *silence = Silence::default();
                return Step::Wait;
            }
            State::Stale => *state = State::Probing,
            // An answer may be under way.
            State::Probing | State::Unreachable if waited < RETRANS_TIMER => return Step::Wait,
            State::Probing if silence.asked < MAX_UNICAST_SOLICIT => {}
            State::Probing => {
                *state = State::Unreachable;
                silence.unreachable_since = now;
                return Step::Wait;
            }
            State::Unreachable if now.since(silence.unreachable_since) >= expire => {
                return Step::GiveUp;
            }
            State::Unreachable if waited < MAX_RETRANS_TIMER => return Step::Wait,
            State::Unreachable => {}
        }
        silence.asked = silence.asked.saturating_add(1);
        silence.asked_at = now;
        Step::Ask
    }
}
