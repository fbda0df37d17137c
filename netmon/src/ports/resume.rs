//! What a former daemon has left: its ports go on as they were, with their bindings, counters and ages.

use std::sync::{Arc, PoisonError, RwLockReadGuard};

use netmon_common::abi::PortPolicy;
use tracing::{debug, warn};

use super::{EgressState, Port, PortError, Ports};
use crate::{
    kernel::{
        attach::{self, AttachError},
        load::{CLASSIFIER, XDP},
        pins::Pins,
    },
    topology::Tap,
};

/// How often the number of a port's bindings is counted while its guest may be making more.
const COUNTS: u32 = 8;

impl Ports {
    pub(super) fn pins(&self) -> RwLockReadGuard<'_, Pins> {
        self.pins.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a former daemon protected this TAP, whatever the globs say now.
    pub(super) fn is_left(&self, index: u32) -> Result<bool, AttachError> {
        attach::is_held(&self.xdp, &self.pins(), index)
    }

    /// The policy that a former daemon left for this very TAP.
    pub(super) fn left(&self, tap: &Tap) -> Result<Option<PortPolicy>, PortError> {
        let refused = |source| PortError::Refused { tap: Arc::clone(&tap.name), source };
        let is_left = self.is_left(tap.index).map_err(refused)?;
        Ok(if is_left { self.left_policy(tap) } else { None })
    }

    fn left_policy(&self, tap: &Tap) -> Option<PortPolicy> {
        self.maps.state(tap.index)?;
        let mut policy = self.maps.policy(tap.index)?;
        // A daemon that dies between the removal of a binding and the note of it leaves a place taken.
        for _ in 0..COUNTS {
            let claimed = self.maps.state(tap.index)?.claimed;
            let bindings = self.maps.bindings().ok()?;
            let held = bindings.iter().filter(|(_, held)| held.port == tap.index).count() as u64;
            if self.maps.state(tap.index)?.claimed == claimed {
                policy.released = claimed.saturating_sub(held);
                break;
            }
        }
        Some(policy)
    }

    /// Once all TAPs were looked at and have their hooks: what is left over of the former daemon goes. Whether
    /// it was done.
    pub fn finish_adoption(&mut self) -> bool {
        if self.ports.values().any(|port| matches!(port.egress, EgressState::Pending)) {
            return false;
        }
        // What could not be taken over for now is not to be removed: it holds its TAP.
        let lacks = |port: &Port| matches!(&port.egress, EgressState::Refused { error, .. } if error.is_lack());
        if self.refused.values().any(PortError::is_lack) || self.ports.values().any(lacks) {
            return false;
        }
        let stale = self.maps.ports().unwrap_or_else(|error| {
            warn!("{error}");
            Vec::new()
        });
        for index in stale.into_iter().filter(|index| !self.ports.contains_key(index)) {
            self.maps.remove_port(index);
        }
        let mut pins = self.pins.write().unwrap_or_else(PoisonError::into_inner);
        pins.finish([XDP, CLASSIFIER], |index| self.ports.contains_key(&index));
        debug!("all is taken over that a former daemon has left");
        true
    }
}
