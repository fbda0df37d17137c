//! What of a host's changes is harm.

use std::net::Ipv6Addr;

use netmon_common::limits::BINDINGS_PER_PORT;
use netmon_tests::frame::{GUEST, GUEST_MAC};

use crate::scene::{GOOD_SECOND, ROUTER, ROUTER_MAC, text};

/// Without what may change: a guest may be the neighbour that it is, under as many addresses as a port may
/// hold.
pub(crate) fn harmful(changes: Vec<String>) -> Vec<String> {
    let is_neighbour =
        |change: &String| change.get(1..).is_some_and(|row| row.starts_with("neighbour "));
    let (neighbours, mut harmful): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_neighbour);
    // What has gone was too old, or has come again with another MAC.
    let come = neighbours.into_iter().filter(|change| change.starts_with('+'));
    let good = text(GUEST_MAC);
    let known: [(Ipv6Addr, &str); 3] =
        [(GUEST, &good), (GOOD_SECOND, &good), (ROUTER, &text(ROUTER_MAC))];
    let mut by_evil = Vec::new();
    for change in come {
        let words: Vec<_> = change.split(' ').collect();
        let mac = words.iter().skip_while(|word| **word != "lladdr").nth(1);
        let owner = known.iter().find(|(address, _)| words.contains(&address.to_string().as_str()));
        match (owner, mac) {
            (Some((_, owner)), Some(mac)) if mac != owner => harmful.push(change),
            (Some(_), _) => {}
            (None, Some(mac)) if *mac == good => {}
            (None, _) => by_evil.push(change),
        }
    }
    if by_evil.len() > BINDINGS_PER_PORT as usize {
        harmful.extend(by_evil);
    }
    harmful
}
