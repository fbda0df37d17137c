//! The multicast groups that guests listen to: the kernel side enters them, and here those are removed that nobody
//! reports any more.

use std::{collections::BTreeMap, time::Duration};

use netmon_common::{
    abi::{Group, GroupKey},
    limits,
};
use tracing::warn;

use super::Ports;
use crate::time::Moment;

/// Whether the guest behind the port of a group is still the one that reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guest {
    Same,
    Another,
}

/// Whether a group is not listened to any more, as far as anybody knows: a bridge has forgotten it, too.
fn is_over(group: &Group, guest: Guest, now: Moment) -> bool {
    let age = now.since(Moment::from_nanos(group.last_seen));
    guest == Guest::Another || age > Duration::from_secs(limits::GROUP_SECONDS)
}

impl Ports {
    /// Removes the groups that are over, those of former guests and of ports that are gone, and gives their places
    /// back.
    pub fn remove_groups(&mut self) {
        let rows = match self.maps.groups() {
            Ok(rows) => rows,
            Err(error) => return warn!("{error}"),
        };
        let now = Moment::now();
        let mut removed = BTreeMap::<u32, u64>::new();
        for (key, group) in rows {
            if is_over(&group, self.guest(&key), now) && self.maps.remove_group(&key) {
                // What a former port with this index has reported was not counted as this one's.
                let is_counted = self
                    .ports
                    .get(&key.port)
                    .is_some_and(|port| Moment::from_nanos(group.last_seen) >= port.born);
                *removed.entry(key.port).or_default() += u64::from(is_counted);
            }
        }
        for (index, number) in removed.into_iter().filter(|(_, number)| *number > 0) {
            let entered = self.maps.state(index).unwrap_or_default().groups;
            let Some(port) = self.ports.get_mut(&index) else { continue };
            port.policy.groups_released = entered.min(port.policy.groups_released + number);
            if let Err(error) = self.maps.set_policy(index, &port.policy) {
                warn!("{}: {error}", port.tap.name);
            }
        }
        self.listeners =
            self.ports.iter().map(|(index, port)| (*index, port.policy.epoch)).collect();
    }

    fn guest(&self, key: &GroupKey) -> Guest {
        match (self.ports.get(&key.port), self.listeners.get(&key.port)) {
            (None, _) => Guest::Another,
            (Some(port), Some(epoch)) if port.policy.epoch != *epoch => Guest::Another,
            // Of a port that was taken over nobody knows, and time will tell.
            (Some(_), _) => Guest::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_forgotten_when_a_bridge_forgets_it() {
        let reported = Moment::from_nanos(5);
        let group = Group { last_seen: 5 };
        let at = |seconds| reported.after(Duration::from_secs(seconds));
        assert!(!is_over(&group, Guest::Same, at(260)));
        assert!(is_over(&group, Guest::Same, at(261)));
        assert!(is_over(&group, Guest::Another, reported));
    }
}
