//! The search for guests that were up before their port, and have nothing to say.
//!
//! Nothing in IPv6 asks a host for all of its addresses. What all nodes are asked, each answers from one of
//! them, and a listener report names but the last 24 bits of the others. So whoever answers is asked
//! for the addresses that it is likely to have besides; one that it chose at random is learnt when it is
//! next used.

use std::net::Ipv6Addr;

use netmon_common::{Address, limits};

use super::{EndpointTable, Question, behind, liveness::RETRANS_TIMER};
use crate::time::Moment;

/// How often a search asks everybody, [`RETRANS_TIMER`] apart: a frame may be lost.
const ROUNDS: u8 = 2;

/// The address that aurae gives each guest.
const AURAE_GUEST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

/// How far the search behind a port has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    /// So many times everybody was asked, the last time then.
    Asked(u8, Moment),
    Done,
}

impl Search {
    /// One that is yet to begin. Where nobody hears it, it begins when the port comes up.
    pub(super) fn new(up: bool) -> Self {
        if up { Self::Asked(0, Moment::default()) } else { Self::Done }
    }
}

impl EndpointTable {
    /// Takes the search a step further, behind each port where it is not done.
    pub(super) fn search(&mut self, now: Moment, questions: &mut Vec<Question>) {
        for (&port, state) in &mut self.ports {
            if questions.len() >= limits::SEARCHES {
                break;
            }
            let Search::Asked(rounds, at) = state.search else { continue };
            let mut known = self.entries.range(behind(port)).map(|(_, entry)| &entry.endpoint);
            if rounds > 0
                && let Some(guest) = known.next()
            {
                let mac = guest.mac;
                let likely = [AURAE_GUEST, Ipv6Addr::from(Address::link_local_of(mac))];
                let unknown = |address: &Ipv6Addr| !self.entries.contains_key(&(port, *address));
                let ask = |address| Question::Neighbor { port, mac, address };
                questions.extend(likely.into_iter().filter(unknown).map(ask));
                state.search = Search::Done;
            } else if rounds == 0 || now.since(at) >= RETRANS_TIMER {
                state.search = if rounds < ROUNDS {
                    questions.push(Question::Everybody { port });
                    Search::Asked(rounds + 1, now)
                } else {
                    Search::Done
                };
            }
        }
    }
}
