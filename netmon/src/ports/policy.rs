//! What each port's guest may do: the configuration's word, and what was ordered since.

use std::sync::Arc;

use glob::Pattern;
use netmon_common::{Mac, abi::PortPolicy, claim};
use tracing::{info, warn};

use super::{PortError, Ports};
use crate::{
    endpoints::Input,
    kernel::maps::{Maps, MapsError},
    policy::PolicyOrder,
    policy::{Policies, Policy},
    topology::Tap,
};

impl Ports {
    /// Changes the policy of a port. It stays so until the TAP is gone: no reload takes it back.
    ///
    /// # Errors
    ///
    /// There is no such port; or the table refuses, and the port's status says what holds.
    pub fn set_policy(&mut self, order: &PolicyOrder) -> Result<(u32, Vec<Input>), PortError> {
        let tap = self.find(&order.tap)?.clone();
        if !self.ports.contains_key(&tap.index) {
            return Err(PortError::NotAttached(tap.name));
        }
        let earlier = self.ordered.remove(&tap.index).filter(|_| !order.reset).unwrap_or_default();
        self.ordered.insert(tap.index, earlier.then(order.change.clone()));
        match self.renew(&tap) {
            Ok(inputs) => Ok((tap.index, inputs)),
            Err(source) => Err(PortError::Maps { tap: tap.name, source }),
        }
    }

    /// Takes a new configuration over: protects the TAPs that it names, no longer those that it does not,
    /// and gives all their policies.
    pub fn configure(&mut self, wanted: Vec<Pattern>, policies: Policies) -> Vec<Input> {
        self.wanted = wanted;
        self.policies = policies;
        let mut inputs = Vec::new();
        for tap in self.taps.values().cloned().collect::<Vec<_>>() {
            match (self.ports.contains_key(&tap.index), self.is_wanted(&tap)) {
                (true, true) => match self.renew(&tap) {
                    Ok(renewed) => inputs.extend(renewed),
                    // Its status says so, until it is as asked for.
                    Err(error) => warn!("{}: {error}", tap.name),
                },
                (true, false) => inputs.extend(self.release(tap.index)),
                (false, true) => inputs.extend(self.tap(tap)),
                (false, false) => {
                    self.refused.remove(&tap.index);
                }
            }
        }
        inputs
    }

    /// Whether a TAP is to be protected.
    pub(super) fn is_wanted(&self, tap: &Tap) -> bool {
        self.is_to_be_port(tap.index, &tap.name)
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.wanted.iter().any(|glob| glob.matches(name))
    }

    /// What a TAP's guest may do.
    pub(super) fn asked(&self, tap: &Tap) -> Policy {
        let policy = self.policies.of(&tap.name);
        match self.ordered.get(&tap.index) {
            Some(change) => policy.with(change),
            None => policy,
        }
    }

    /// Gives a port the policy that is asked for by now, if it is another.
    fn renew(&mut self, tap: &Tap) -> Result<Vec<Input>, MapsError> {
        let asked = self.asked(tap);
        let Some(port) = self.ports.get_mut(&tap.index) else { return Ok(Vec::new()) };
        let is_another = is_another_guest(&self.maps, tap.index, &port.policy, &asked);
        if is_another {
            self.epoch = self.epoch.wrapping_add(1);
            port.policy.epoch = self.epoch;
        } else if port.asked == asked {
            return Ok(Vec::new());
        }
        let (mode, profile) = (asked.mode.name(), asked.profile.name());
        info!(tap = %tap.name, mode, profile, "policy changed");
        port.policy = entry(&asked, &port.policy, self.ordered.contains_key(&tap.index));
        port.asked = asked;
        self.maps.set_policy(tap.index, &port.policy)?;
        let (index, name, epoch) = (tap.index, Arc::clone(&tap.name), port.policy.epoch);
        let (up, scope) = (tap.up, tap.scope);
        Ok(if is_another {
            vec![Input::Port { index, name, scope, epoch, up }]
        } else {
            Vec::new()
        })
    }
}

/// Whether the port's guest so far is none that `asked` is about: it has another MAC.
pub(super) fn is_another_guest(
    maps: &Maps,
    index: u32,
    policy: &PortPolicy,
    asked: &Policy,
) -> bool {
    let seen = first_mac(maps, index, policy);
    asked.mac.zip(seen).is_some_and(|(given, seen)| given != seen)
}

/// The kernel side's form of `asked`, with all of `old` that is not the policy's: bindings and guest stay.
pub(super) fn entry(asked: &Policy, old: &PortPolicy, is_ordered: bool) -> PortPolicy {
    let PortPolicy { released, groups_released, link, vlan, asks_link, epoch, .. } = *old;
    let PortPolicy { host_mac, link_mac, carrier_losses, .. } = *old;
    let ordered = u8::from(is_ordered);
    PortPolicy {
        released,
        groups_released,
        link,
        vlan,
        asks_link,
        epoch,
        host_mac,
        link_mac,
        carrier_losses,
        ordered,
        ..asked.entry()
    }
}

/// The MAC that the port's guest has used, if it has spoken.
pub(super) fn first_mac(maps: &Maps, index: u32, policy: &PortPolicy) -> Option<Mac> {
    let mac = claim::first_mac(policy, &maps.state(index).unwrap_or_default());
    (!mac.is_zero()).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Mode, PolicyChange};

    #[test]
    fn another_policy_leaves_the_port_its_guest() {
        let port = PortPolicy {
            released: 3,
            groups_released: 4,
            link: 7,
            epoch: 2,
            host_mac: [1; 6],
            link_mac: [2; 6],
            ..PortPolicy::default()
        };
        let observe = PolicyChange { mode: Some(Mode::Observe), ..PolicyChange::default() };
        for asked in [Policy::default(), Policy::default().with(&observe)] {
            let entry = entry(&asked, &port, false);
            assert_eq!((entry.released, entry.link, entry.epoch), (3, 7, 2));
            assert_eq!(entry.groups_released, 4);
            assert_eq!((entry.host_mac, entry.link_mac), ([1; 6], [2; 6]));
            assert_eq!((entry.mode, entry.quota), (asked.entry().mode, asked.quota));
        }
    }
}
