//! Looks whether each port's programs are where they were put, and puts back what somebody has taken away.

use std::sync::Arc;

use tracing::{debug, warn};

use super::{EgressState, Ports};
use crate::kernel::{
    attach::{self, AttachError, Egress, Job},
    link::Hook,
};

impl Ports {
    /// Attaches again what somebody has detached, and what was refused. Bindings and counters are not touched.
    pub fn repair(&mut self) {
        let pins = Arc::clone(&self.pins);
        let pins = pins.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (index, port) in &mut self.ports {
            let (index, tap) = (*index, &port.tap.name);
            if !port.ingress.link.holds(index, self.xdp.id) {
                match attach::ingress(&self.xdp, &pins, tap, index) {
                    Ok(ingress) => {
                        warn!("{tap}: somebody detached the XDP program; attached again");
                        (port.ingress, port.is_beyond_repair) = (ingress, false);
                    }
                    // The message is under way.
                    Err(AttachError::Gone) => {}
                    Err(error) if port.is_beyond_repair => debug!("{tap}: {error}"),
                    Err(error) => {
                        warn!("{tap}: somebody detached the XDP program, and now {error}");
                        port.is_beyond_repair = true;
                    }
                }
            }
            match &mut port.egress {
                EgressState::On(Egress::Tcx(link)) if !link.holds(index, self.classifier) => {
                    warn!("{tap}: somebody detached the egress program; it is attached again");
                    port.egress = EgressState::Pending;
                }
                // It stays what it is until there is an answer.
                EgressState::Refused { is_asked_again: is_asked_again @ false, .. } => {
                    *is_asked_again = true;
                }
                EgressState::On(_) | EgressState::Pending | EgressState::Refused { .. } => continue,
            }
            self.attacher.attach(Job { tap: Arc::clone(tap), index, port: port.serial });
        }
    }

    /// Pins again what somebody has unpinned: enforcement must not end with the daemon.
    pub fn restore_pins(&mut self) {
        let mut refused = None;
        let pins = self.pins();
        for port in self.ports.values() {
            let index = port.tap.index;
            let mut links = vec![(port.ingress.hook, &port.ingress.link)];
            if let EgressState::On(Egress::Tcx(link)) = &port.egress {
                links.push((Hook::TcxEgress, link));
            }
            for (hook, link) in links.into_iter().filter(|(hook, _)| !pins.has_link(index, *hook)) {
                let pinned =
                    pins.restore_directories().and_then(|()| pins.pin_link(index, hook, link));
                match pinned {
                    Ok(()) => warn!("{}: its link's pin was gone; pinned again", port.tap.name),
                    Err(error) => refused = Some(error),
                }
            }
        }
        drop(pins);
        // Once, not for each TAP and every few seconds.
        if let Some(error) = refused.as_ref().filter(|_| !self.is_unpinned) {
            warn!("the pins of links are gone, and with the daemon enforcement would end: {error}");
        }
        self.is_unpinned = refused.is_some();
    }
}
