//! Those whose place another wants: they are asked, and who does not answer gives it up (RFC 6620 section 3.2.3).
//!
//! A binding moves only so. While its holder answers on its own port, no other port gets the address, no other MAC
//! the port, and no further address a place.

use std::{mem, time::Duration};

use netmon_common::{
    Mac,
    abi::{Binding, BindingKey},
};

use super::{Due, EndpointTable, Entry, Id, Question, State, behind};
use crate::time::Moment;

/// How long the holder has for its answer (TENT_LT, RFC 6620 section 3.2.3).
const ANSWER: Duration = Duration::from_millis(500);

impl EndpointTable {
    /// What is to be asked at once, since this was last called.
    pub fn questions(&mut self) -> Vec<Question> {
        mem::take(&mut self.questions)
    }

    /// Another wants this one's place. It is asked, unless it was heard a moment ago or is being asked; who is still
    /// asking for an address does not answer for it yet.
    pub(super) fn contest(&mut self, id: Id, now: Moment) {
        let Some(entry) = self.entries.get(&id) else { return };
        let is_heard = now.since(entry.endpoint.last_seen) < ANSWER;
        if is_heard || entry.endpoint.state == State::Tentative || self.contests.contains_key(&id) {
            return;
        }
        self.contests.insert(id, now);
        self.questions.push(entry.question());
    }

    /// The addresses behind a port are asked where the newcomer has their MAC: it is the same guest, whose quota is
    /// full. To another MAC only those give way that have not answered for long.
    pub(super) fn crowd(&mut self, port: u32, newcomer: Mac, now: Moment) {
        let gives_way = |entry: &Entry| {
            entry.endpoint.mac == newcomer || entry.endpoint.state == State::Unreachable
        };
        let held = self.entries.range(behind(port)).filter(|(_, entry)| gives_way(entry));
        let held: Vec<Id> = held.map(|(id, _)| *id).collect();
        held.into_iter().for_each(|id| self.contest(id, now));
    }

    /// Looks who has answered.
    pub(super) fn decide_contests(
        &mut self,
        now: Moment,
        read: impl Fn(&BindingKey) -> Option<Binding>,
        due: &mut Due,
    ) {
        for (id, asked) in mem::take(&mut self.contests) {
            let Some(entry) = self.entries.get(&id) else { continue };
            let key = entry.key;
            let binding = read(&key).filter(|held| held.port == id.0 && self.is_current(held));
            // What became of it, the look after the quiet says.
            let Some(binding) = binding else { continue };
            if Moment::from_nanos(binding.last_seen) >= asked {
                continue;
            }
            if now.since(asked) < ANSWER {
                // A frame may be lost.
                due.questions.push(entry.question());
                self.contests.insert(id, asked);
                continue;
            }
            due.expired.push((key, binding));
            due.changes.extend(self.remove(&id));
        }
    }
}
