//! What is known of a TAP's guest, and whether that is what is waited for.

use std::collections::BTreeMap;

use netmon_api::{v0, v0::netmon_service_watch_endpoints_response::Event};

use super::Goal;

/// The addresses behind one TAP, as far as was told.
#[derive(Debug)]
pub(in crate::cli) struct Behind {
    pub(in crate::cli) tap: String,
    /// By the TAP's index and the address: on a bridge, several TAPs have the same scope.
    states: BTreeMap<(u32, String), v0::EndpointState>,
    /// Whether it ever had a guest.
    pub(in crate::cli) was_there: bool,
}

impl Behind {
    pub(in crate::cli) fn new(tap: &str) -> Self {
        Self { tap: tap.to_owned(), states: BTreeMap::new(), was_there: false }
    }

    pub(in crate::cli) fn hear(&mut self, event: Event) {
        match event {
            Event::Snapshot(all) => {
                self.states.clear();
                all.endpoints.into_iter().for_each(|one| self.there(one));
            }
            Event::Added(one) | Event::Updated(one) => self.there(one),
            Event::Removed(one) => {
                self.states.remove(&(one.tap_ifindex, one.address));
            }
        }
    }

    fn there(&mut self, one: v0::Endpoint) {
        let state = one.state();
        if one.tap == self.tap {
            self.was_there = true;
            self.states.insert((one.tap_ifindex, one.address), state);
        } else {
            // Its TAP may have had this name before.
            self.states.remove(&(one.tap_ifindex, one.address));
        }
    }

    pub(in crate::cli) fn is(&self, goal: Goal) -> bool {
        match goal {
            Goal::Endpoint => !self.states.is_empty(),
            Goal::Reachable => {
                self.states.values().any(|state| *state == v0::EndpointState::Reachable)
            }
            Goal::Gone => self.states.is_empty(),
            // Not to be seen from its addresses.
            Goal::Confined => false,
        }
    }
}
