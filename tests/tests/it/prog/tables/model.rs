//! What a port and its link remember, in the obvious style. It knows no time but young and old.

use std::{collections::BTreeMap, net::Ipv6Addr};

use netmon_common::{
    Kind, Reason,
    abi::{Direction, Holder, News, PortPolicy, Rate, State},
};
use netmon_tests::{case::Case, oracle};

use super::super::PORT;

/// Who holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) port: u32,
    pub(super) epoch: u16,
    pub(super) mac: [u8; 6],
    pub(super) state: State,
    pub(super) origin: Kind,
    /// It was asked for long ago.
    pub(super) is_old: bool,
    /// Another has claimed it just now.
    pub(super) is_contested: bool,
}

/// What the port and its link remember.
#[derive(Default)]
pub(super) struct Model {
    pub(super) held: BTreeMap<Ipv6Addr, Held>,
    /// Who has an address that is no guest, and whether it is still asking for it.
    pub(super) reserved: BTreeMap<Ipv6Addr, (Holder, bool)>,
    /// The MAC by which the guest holds its newest address.
    pub(super) mac: [u8; 6],
    /// … by which it was last refused for what it holds.
    pub(super) newcomer: [u8; 6],
    pub(super) unanswered: u64,
    pub(super) news: Vec<(News, Ipv6Addr, State)>,
}

impl Model {
    /// A frame of the guest, under this policy.
    pub(super) fn hear(&mut self, frame: Vec<u8>, policy: &PortPolicy) -> Result<Kind, Reason> {
        let mac: [u8; 6] = frame[6..12].try_into().unwrap_or_default();
        let verdict = self.judge(frame, mac, policy);
        if matches!(verdict, Err(Reason::SourceMac | Reason::BindingQuota)) {
            self.newcomer = mac;
        }
        verdict
    }

    fn judge(&mut self, frame: Vec<u8>, mac: [u8; 6], policy: &PortPolicy) -> Result<Kind, Reason> {
        // A MAC is pinned by what is held.
        let first_mac = if self.own() == 0 { [0; 6] } else { self.mac };
        let case = Case {
            direction: Direction::Ingress,
            policy: *policy,
            first_mac,
            second_mac: [0; 6],
            frame,
        };
        let (kind, claim) = oracle::verdict(&case)?;
        let Some(claim) = claim else { return self.pay(kind, policy) };
        let state = if claim.is_valid { State::Valid } else { State::Tentative };
        let (port, epoch, origin) = (PORT, policy.epoch, kind);
        let new = Held { port, epoch, mac, state, origin, is_old: false, is_contested: false };
        let next = self.claim(claim.address, new, policy);
        if let (Err(Reason::BindingConflict), Some(held)) =
            (next, self.held.get_mut(&claim.address))
            && !held.is_contested
        {
            held.is_contested = true;
            self.news.push((News::Contested, claim.address, held.state));
        }
        let next = next?;
        self.pay(kind, policy)?;
        let Some(next) = next else { return Ok(kind) };
        let was = self.held.insert(claim.address, next);
        if was.is_none_or(|was| (was.epoch, was.port) != (epoch, port)) {
            self.mac = mac;
        }
        if was != Some(next) {
            self.news.push((News::Bound, claim.address, next.state));
        }
        let is_proposed = was != Some(next) && next.state == State::Proposed;
        if is_proposed { Err(Reason::BindingTentative) } else { Ok(kind) }
    }

    /// How many addresses the port holds, its former guests' too.
    fn own(&self) -> usize {
        self.held.values().filter(|held| held.port == PORT).count()
    }

    /// Discovery has a budget, but for an answer that was asked for.
    fn pay(&mut self, kind: Kind, policy: &PortPolicy) -> Result<Kind, Reason> {
        let discovery = [
            Kind::Dad,
            Kind::NeighborSolicitation,
            Kind::NeighborAdvertisement,
            Kind::RouterSolicitation,
            Kind::MulticastListener,
        ];
        if kind == Kind::NeighborAdvertisement && self.unanswered > 0 {
            self.unanswered -= 1;
            return Ok(kind);
        }
        let has_budget = policy.nd_rate == Rate::default() || !discovery.contains(&kind);
        if has_budget { Ok(kind) } else { Err(Reason::NdRate) }
    }

    /// What is held after this claim: the first has the address, until user space takes it away. `None`: it is a
    /// question, which goes to whoever has the address.
    fn claim(
        &self,
        address: Ipv6Addr,
        new: Held,
        policy: &PortPolicy,
    ) -> Result<Option<Held>, Reason> {
        let asks = new.state == State::Tentative;
        match self.reserved.get(&address) {
            Some((_, false)) if asks => return Ok(None),
            Some((Holder::Host, _)) => return Err(Reason::HostAddress),
            Some(_) => return Err(Reason::LinkAddress),
            None => {}
        }
        let asks_link = policy.asks_link == 1;
        let first = if asks || !asks_link { new } else { Held { state: State::Proposed, ..new } };
        let Some(held) = self.held.get(&address) else {
            let is_full = self.own() >= policy.quota as usize;
            return if is_full { Err(Reason::BindingQuota) } else { Ok(Some(first)) };
        };
        let is_settled = held.state == State::Valid || held.is_old;
        match held {
            _ if held.port != PORT && asks && is_settled => Ok(None),
            _ if held.port != PORT => Err(Reason::BindingConflict),
            // A former guest's binds nobody.
            _ if held.epoch != new.epoch => Ok(Some(first)),
            _ if held.mac != new.mac => Err(Reason::BindingConflict),
            _ if asks || held.state == State::Valid => Ok(Some(*held)),
            _ if asks_link && !held.is_old => Err(Reason::BindingTentative),
            _ => Ok(Some(Held { state: State::Valid, ..*held })),
        }
    }

    /// A member that is no port says that it has the address, or asks for it. A guest that was first keeps it.
    pub(super) fn member(&mut self, address: Ipv6Addr, asks: bool) {
        let held = self.held.get(&address);
        let is_free = match self.reserved.get(&address) {
            Some((holder, _)) => *holder == Holder::Member,
            None => held.is_none_or(|held| held.state != State::Valid),
        };
        if is_free {
            let was_settled = matches!(self.reserved.get(&address), Some((_, false)));
            self.reserved.insert(address, (Holder::Member, asks && !was_settled));
        }
    }
}
