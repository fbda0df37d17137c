//! What the daemon's loop makes of news: links, the kernel side's events, and what is to be asked because of them.

use std::mem;

use netmon_common::{
    Mac,
    abi::{Event, News},
    limits,
};
use tokio::time::Instant;
use tracing::warn;

use super::Daemon;
use crate::{
    crash,
    endpoints::{Input, Question},
    links::{Interface, Kind, LinkNews, Links},
    reservations::{Listed, Wanted},
    time::Moment,
    topology::{Tap, Topology},
};

impl Daemon {
    /// An event says where to look; the table says what is there.
    pub(super) fn told(&self, event: &Event) -> Option<Input> {
        let port = event.binding.port;
        match News::try_from(event.news).ok()? {
            News::Bound => Some(Input::Binding(event.key, self.ports.maps().binding(&event.key)?)),
            News::Contested => {
                Some(Input::Contested(event.key, self.ports.maps().binding(&event.key)?))
            }
            News::Crowded => {
                let newcomer = Mac::new(event.binding.mac);
                Some(Input::Crowded { port, newcomer })
            }
        }
    }

    pub(super) fn ask(&self, question: &Question) {
        let Some(tap) = self.ports.tap_at(question.port()) else { return };
        match question {
            Question::Everybody { .. } | Question::Neighbor { .. } => {
                self.prober.ask(question, tap.mac);
            }
            Question::Link { address, .. } => {
                let is_port = |one: &Interface| self.is_to_be_port(one);
                for member in self.topology.members(tap.link, is_port).take(limits::MEMBERS_ASKED) {
                    self.prober.ask_member(member, *address, tap.link_mac);
                }
            }
        }
    }

    fn is_to_be_port(&self, one: &Interface) -> bool {
        one.kind == Kind::Tap && self.ports.is_to_be_port(one.index, &one.name)
    }

    pub(super) async fn heard(&mut self, news: LinkNews, links: &Links) -> Vec<Input> {
        if crash::is_deaf() {
            return Vec::new();
        }
        match news {
            LinkNews::Interface(interface) => return self.interface(interface),
            LinkNews::Gone(index) => {
                // Of a TAP by itself nobody else has anything.
                let link = self.topology.link(index);
                self.is_changed |= link.index != index
                    || self.topology.interface(index).is_none_or(|one| one.kind != Kind::Tap);
                self.topology.remove(index);
                return self.changed(|ports| ports.gone(index));
            }
            LinkNews::Lost => return self.all_links(links).await,
            LinkNews::Changed => self.is_changed = true,
            LinkNews::Address(address) => self.ports.reserve(&self.topology, address),
            LinkNews::AddressGone(address) => self.ports.unreserve(&self.topology, address),
        }
        Vec::new()
    }

    /// An interface is there, like this: a TAP, or something that may be on a link with one.
    fn interface(&mut self, interface: Interface) -> Vec<Input> {
        let (index, is_tap) = (interface.index, interface.kind == Kind::Tap);
        let is_port = self.is_to_be_port(&interface);
        let was = self.topology.link(index);
        let is_news = self.topology.set(interface);
        let now = self.topology.link(index);
        // Nobody else has anything of an interface by itself.
        let is_shared = [was, now].iter().any(|link| self.topology.is_shared(*link));
        self.is_changed |= is_news && is_shared && (!is_port || was != now);
        let taps = self.taps(|one| {
            let is_it = one.index == index && is_tap;
            let is_beside = is_news && !is_port && [was.index, now.index].contains(&one.master);
            is_it || is_beside
        });
        self.changed(|ports| taps.into_iter().flat_map(|tap| ports.tap(tap)).collect())
    }

    /// What the configuration reserves, on the links that there are.
    fn listed(&self) -> Vec<Listed> {
        let reserved = self.options.reserved.iter();
        let listed = reserved.filter_map(|one| {
            Some(Listed {
                link: self.topology.named(&one.link, one.vlan)?,
                addresses: one.addresses.clone(),
                macs: one.macs.clone(),
            })
        });
        listed.collect()
    }

    fn taps(&self, is_chosen: impl Fn(&Interface) -> bool) -> Vec<Tap> {
        self.topology.taps(is_chosen, |one| self.is_to_be_port(one))
    }

    /// Tells the ports of all TAPs, with what follows from where they are now.
    fn all_taps(&mut self) -> Vec<Input> {
        let taps = self.taps(|_| true);
        self.changed(|ports| ports.all(taps))
    }

    /// Looks at all links: at start, after lost messages, when a person names a TAP whose message may still
    /// be under way, and every few seconds.
    pub(super) async fn all_links(&mut self, links: &Links) -> Vec<Input> {
        let reserved = self.ports.reserved();
        match links.all().await {
            Ok(mut all) => {
                self.links_read = Some(Instant::now());
                let now = Moment::now();
                self.topology =
                    Topology::new(mem::take(&mut all.interfaces), mem::take(&mut all.pvids));
                let is_port = |index| {
                    self.topology.interface(index).is_some_and(|one| self.is_to_be_port(one))
                };
                let listed = self.listed();
                let wanted = Wanted::of(&self.topology, &all, &listed, is_port, now);
                // Before any guest is a port's: what is another's is so from its first frame on.
                self.ports.reserve_all(&reserved, &wanted, now);
                let inputs = self.all_taps();
                self.is_changed = false;
                inputs
            }
            Err(error) => {
                warn!("{error}");
                self.links_read = None;
                Vec::new()
            }
        }
    }
}
