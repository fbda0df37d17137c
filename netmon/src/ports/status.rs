//! What protects each port, read back from the kernel, and what became of its frames.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use netmon_common::{
    Kind, Mac, Reason,
    abi::{Count, Direction, Mode, NO_PORT, PortPolicy, PortState},
    claim,
    outcome::Outcome,
};

use super::{EgressState, Port, PortError, Ports, policy::first_mac};
use crate::{
    kernel::attach::Egress,
    report::{CounterRow, Counters, PortStatus, Protection},
    time::Moment,
};

/// How long a guest that was refused counts as locked out: it tries again sooner.
const LOCKED_OUT: Duration = Duration::from_secs(60);

/// The MAC that was refused lately because the guest has another.
fn locked_out(policy: &PortPolicy, state: &PortState, now: Moment) -> Option<Mac> {
    let newcomer = Mac::from_bits(state.newcomer);
    let is_late = now.since(Moment::from_nanos(state.crowded)) < LOCKED_OUT;
    let is_the_hosts = [policy.host_mac, policy.link_mac].map(Mac::new).contains(&newcomer);
    let is_locked_out = state.crowded != 0
        && is_late
        && !is_the_hosts
        && !newcomer.is_zero()
        && !newcomer.is_multicast()
        && !claim::has_mac(policy, state, newcomer);
    is_locked_out.then_some(newcomer)
}

impl Ports {
    /// Each port that is wanted, as the kernel says it is. `filters` are the programs found in the clsact
    /// filters of [`clsact_ports`](Self::clsact_ports), `chains` those in the chains of
    /// [`tcx_ports`](Self::tcx_ports).
    pub fn status(
        &self,
        filters: &BTreeMap<u32, Vec<u32>>,
        chains: &BTreeMap<u32, io::Result<Vec<u32>>>,
    ) -> Vec<PortStatus> {
        let attached = self.ports.values().map(|port| self.port_status(port, filters, chains));
        let refused = self.refused.iter().filter_map(|(index, error)| {
            let tap = self.taps.get(index)?;
            Some(PortStatus {
                tap: Arc::clone(&tap.name),
                index: *index,
                link: tap.link.index,
                ingress: None,
                egress: None,
                mac: None,
                bindings: 0,
                policy: self.asked(tap),
                protection: Protection::Unprotected(error.to_string()),
                locked_out: None,
            })
        });
        let mut rows: Vec<_> = attached.chain(refused).collect();
        rows.sort_by(|a, b| a.tap.cmp(&b.tap));
        rows
    }

    /// Whether the egress side of this port is still being attached.
    pub fn is_pending(&self, index: u32) -> bool {
        self.ports.get(&index).is_some_and(|port| matches!(port.egress, EgressState::Pending))
    }

    /// The ports whose egress program is a clsact filter, and which program that should be.
    pub fn clsact_ports(&self) -> Vec<u32> {
        let is_clsact = |port: &Port| matches!(port.egress, EgressState::On(Egress::Clsact(_)));
        self.ports.iter().filter(|(_, port)| is_clsact(port)).map(|(index, _)| *index).collect()
    }

    /// The ports whose egress program is in a TCX chain.
    pub fn tcx_ports(&self) -> BTreeSet<u32> {
        let is_tcx = |port: &Port| matches!(port.egress, EgressState::On(Egress::Tcx(_)));
        self.ports.iter().filter(|(_, port)| is_tcx(port)).map(|(index, _)| *index).collect()
    }

    /// How many TAPs are protected.
    pub fn protected(&self) -> usize {
        self.ports.len()
    }

    /// The counters of one TAP or all.
    ///
    /// # Errors
    ///
    /// There is no such port.
    pub fn counters(&self, name: Option<&Arc<str>>) -> Result<Counters, PortError> {
        let mut counters = Counters::default();
        let ports = match name {
            None => {
                self.count(&Arc::from(""), NO_PORT, &mut counters);
                self.ports.values().collect()
            }
            Some(name) => {
                let index = self.find(name)?.index;
                let port = self.ports.get(&index);
                vec![port.ok_or_else(|| PortError::NotAttached(Arc::clone(name)))?]
            }
        };
        for port in ports {
            self.count(&port.tap.name, port.tap.index, &mut counters);
        }
        counters.events_lost = self.maps.ring().map(|ring| ring.lost).unwrap_or_default();
        Ok(counters)
    }

    /// Why ours is not the first program on the egress hook that sees a frame.
    fn overtaken(&self, port: &Port, chain: &io::Result<Vec<u32>>) -> Option<String> {
        let tap = &port.tap.name;
        match chain {
            Ok(programs) => {
                let before = programs.iter().take_while(|id| **id != self.classifier);
                let before: Vec<_> = before.map(ToString::to_string).collect();
                (!before.is_empty()).then(|| {
                    format!(
                        "a foreign TCX program (id {}) runs before ours, and what it lets pass we do not see \
                         (netmon detach {tap}; netmon attach {tap} puts ours in front; bpftool prog show id tells \
                         whose it is)",
                        before.join(", ")
                    )
                })
            }
            Err(error) => Some(format!(
                "whether a foreign TCX program runs before ours is not known: {error} (restart netmon)"
            )),
        }
    }

    fn port_status(
        &self,
        port: &Port,
        filters: &BTreeMap<u32, Vec<u32>>,
        chains: &BTreeMap<u32, io::Result<Vec<u32>>>,
    ) -> PortStatus {
        let index = port.tap.index;
        let ingress = port.ingress.link.holds(index, self.xdp.id);
        let egress = match &port.egress {
            EgressState::On(Egress::Tcx(link)) => link.holds(index, self.classifier),
            EgressState::On(Egress::Clsact(_)) => {
                filters.get(&index).is_some_and(|programs| programs.contains(&self.classifier))
            }
            EgressState::Pending | EgressState::Refused { .. } => false,
        };
        let missing = match &port.egress {
            EgressState::Pending => "host to guest is being attached".to_owned(),
            EgressState::Refused { error, .. } => format!("host to guest is not confined: {error}"),
            EgressState::On(_) => format!(
                "somebody detached the egress program (netmon detach {0}; netmon attach {0})",
                port.tap.name
            ),
        };
        let detached = "somebody detached the XDP program";
        let overtaken = chains.get(&index).and_then(|chain| self.overtaken(port, chain));
        let protection = match (ingress, egress) {
            (true, true) => overtaken.map_or_else(|| self.judged(port), Protection::Partial),
            (true, false) => Protection::Partial(missing),
            (false, true) => Protection::Partial(format!(
                "{detached} (netmon detach {0}; netmon attach {0})",
                port.tap.name
            )),
            (false, false) => Protection::Unprotected(format!("{detached}, and {missing}")),
        };
        let state = self.maps.state(index).unwrap_or_default();
        PortStatus {
            tap: Arc::clone(&port.tap.name),
            index,
            link: port.tap.link.index,
            ingress: ingress.then_some(port.ingress.hook()),
            egress: match &port.egress {
                EgressState::On(on) if egress => Some(on.hook()),
                EgressState::On(_) | EgressState::Pending | EgressState::Refused { .. } => None,
            },
            mac: first_mac(&self.maps, index, &port.policy),
            bindings: state.claimed.saturating_sub(port.policy.released),
            policy: port.asked.clone(),
            protection,
            locked_out: locked_out(&port.policy, &state, Moment::now()),
        }
    }

    /// What the programs do with the frames of a port, both of them being on.
    fn judged(&self, port: &Port) -> Protection {
        match self.maps.policy(port.tap.index) {
            Some(policy) if policy == port.policy => match Mode::of(policy.mode) {
                Mode::Enforce => Protection::Confined,
                Mode::Observe => Protection::Observed,
                Mode::Open => Protection::Open,
            },
            Some(_) => Protection::Partial(
                "the programs have another policy than was asked for (netmon policy sets it again)"
                    .to_owned(),
            ),
            None => Protection::Partial(
                "somebody removed its policy from the map: every frame is dropped".to_owned(),
            ),
        }
    }

    fn count(&self, tap: &Arc<str>, index: u32, counters: &mut Counters) {
        let Some(ledgers) = self.maps.counters(index) else { return };
        for (direction, ledger) in
            [(Direction::Ingress, &ledgers.ingress), (Direction::Egress, &ledgers.egress)]
        {
            let passed = Kind::ALL.iter().map(|kind| {
                (Outcome::Passed(*kind), ledger.passed.get(usize::from(kind.number())))
            });
            let refused = Reason::ALL.iter().flat_map(|reason| {
                let slot = usize::from(reason.number());
                [
                    (Outcome::Dropped(*reason), ledger.dropped.get(slot)),
                    (Outcome::Observed(*reason), ledger.observed.get(slot)),
                ]
            });
            for (outcome, count) in passed.chain(refused) {
                let Count { packets, bytes } = count.copied().unwrap_or_default();
                if packets > 0 {
                    let tap = Arc::clone(tap);
                    counters.rows.push(CounterRow {
                        tap,
                        index,
                        direction,
                        outcome,
                        packets,
                        bytes,
                    });
                }
            }
        }
    }
}
