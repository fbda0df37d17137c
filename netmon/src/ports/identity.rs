//! Whether what is known by an interface's index is still the same: the kernel gives an index again.

use netmon_common::abi::{Binding, BindingKey};
use tracing::warn;

use super::{Port, Ports};
use crate::{time::Moment, topology::Tap};

impl Port {
    /// Whether a binding was counted as this port's when it was claimed, and not as a former one's with the same
    /// index.
    fn has_claimed(&self, binding: &Binding) -> bool {
        Moment::from_nanos(binding.first_seen) >= self.born
    }

    /// Whether the index is another TAP's by now, and the link went with the port's own. A link that somebody
    /// has detached from a TAP that is still the same is none of this: the status says so.
    pub(super) fn is_another(&self, tap: &Tap) -> bool {
        let differs = self.tap.mac != tap.mac || self.tap.carrier_losses > tap.carrier_losses;
        differs && self.ingress.link.info().is_ok_and(|info| info.interface == 0)
    }
}

impl Ports {
    /// Removes bindings that bind nobody any more, and gives their places back.
    pub fn remove_bindings(&mut self, keys: &[(BindingKey, Binding)]) {
        for (key, binding) in keys {
            if !self.maps.remove_binding(key) {
                continue;
            }
            let port = self.ports.get_mut(&binding.port);
            if let Some(port) = port.filter(|port| port.has_claimed(binding)) {
                port.policy.released += 1;
                let (tap, index) = (&port.tap.name, binding.port);
                if let Err(error) = self.maps.set_policy(index, &port.policy) {
                    warn!("{tap}: {error}");
                }
            }
        }
    }
}
