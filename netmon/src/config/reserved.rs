//! `[[reserved]]`: addresses and MACs that the configuration keeps from the guests of a link.

use std::{net::Ipv6Addr, sync::Arc};

use netmon_common::{Address, Mac, limits};
use nix::net::if_::if_nametoindex;

use super::{
    Problem,
    read::{Reader, Value},
};
use crate::policy::Refused;

pub(super) const KEYS: [&str; 4] = ["link", "vlan", "addresses", "macs"];

/// What is reserved on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The bridge's name, or that of another interface on the link.
    pub link: Arc<str>,
    /// The VLAN, where that bridge keeps VLANs apart; zero: the one of the bridge itself.
    pub vlan: u16,
    /// Addresses in fe80::/64.
    pub addresses: Vec<Ipv6Addr>,
    /// MACs.
    pub macs: Vec<Mac>,
    /// Where the file says so.
    line: usize,
}

impl Reservation {
    /// What is wrong with it on this host: there is no such interface.
    pub(super) fn problem(&self, file: &std::path::Path) -> Option<Problem> {
        let why = format!(
            "{:?}: no such interface (make the bridge before netmon starts, or leave the table out)",
            self.link
        );
        let (file, line, key) = (file.to_owned(), self.line, "reserved.link".to_owned());
        if_nametoindex(self.link.as_ref()).is_err().then_some(Problem { file, line, key, why })
    }
}

impl Reader<'_> {
    pub(super) fn reservations(&mut self, value: &Value<'_>) -> Result<Vec<Reservation>, Refused> {
        let tables = value.get_ref().as_array().ok_or_else(|| {
            Refused::new("a list of tables, each under [[reserved]]", self.raw(value))
        })?;
        Ok(tables.iter().filter_map(|table| self.reservation(table)).collect())
    }

    fn reservation(&mut self, value: &Value<'_>) -> Option<Reservation> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            let refused = Refused::new("a table under [[reserved]]", self.raw(value));
            self.problem(at, "reserved", refused.to_string());
            return None;
        };
        let mut link: Option<Arc<str>> = None;
        let (mut vlan, mut addresses, mut macs) = (0, Vec::new(), Vec::new());
        for (key, value) in table {
            let read = match &**key.get_ref() {
                "link" => self.link(value).map(|name| link = Some(name)),
                "vlan" => self.vlan(value).map(|number| vlan = number),
                "addresses" => self.many(value, link_local).map(|all| addresses = all),
                "macs" => self.many(value, unicast).map(|all| macs = all),
                other => Err(Refused::new(format!("one of {}", KEYS.join(", ")), other)),
            };
            self.check(key, "reserved.", read);
        }
        if !table.keys().any(|key| key.get_ref() == "link") {
            self.problem(at, "reserved.link", "is missing: a bridge, such as \"br0\"".to_owned());
        }
        let line = self.line(at);
        link.map(|link| Reservation { link, vlan, addresses, macs, line })
    }

    fn link(&self, value: &Value<'_>) -> Result<Arc<str>, Refused> {
        let name = value.get_ref().as_str().filter(|name| (1..=15).contains(&name.len()));
        let name = name.filter(|name| !name.contains(|c: char| c == '/' || c.is_whitespace()));
        name.map(Arc::from).ok_or_else(|| Refused::new("a bridge, such as br0", self.word(value)))
    }

    fn vlan(&self, value: &Value<'_>) -> Result<u16, Refused> {
        let number = self.number(value).parse().ok().filter(|vlan| (1..=4094).contains(vlan));
        number.ok_or_else(|| Refused::new("a number from 1 to 4094", self.number(value)))
    }

    fn many<T>(
        &self,
        value: &Value<'_>,
        one: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        let most = limits::RESERVED_LISTED;
        let refused = || Refused::new(format!("a list of up to {most} strings"), self.raw(value));
        let items = value.get_ref().as_array().filter(|items| items.len() <= most);
        items.ok_or_else(refused)?.iter().map(|item| one(self.word(item))).collect()
    }
}

fn link_local(text: &str) -> Result<Ipv6Addr, Refused> {
    let address = text.parse().ok().filter(|one| Address::from(*one).is_link_local());
    address.ok_or_else(|| Refused::new("an address in fe80::/64, such as fe80::fe", text))
}

fn unicast(text: &str) -> Result<Mac, Refused> {
    let mac = text.parse::<Mac>().ok().filter(|mac| !mac.is_zero() && !mac.is_multicast());
    mac.ok_or_else(|| Refused::new("a unicast MAC such as 02:fc:00:00:00:01", text))
}
