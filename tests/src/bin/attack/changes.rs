//! What of a host's changes is harm.

use std::{collections::BTreeSet, net::Ipv6Addr};

use netmon_common::limits::{BINDINGS_PER_PORT, GROUPS_PER_PORT};
use netmon_tests::{
    frame::{GUEST, GUEST_MAC},
    members::{
        CONTAINER, CONTAINER_ADDRESS, CONTAINER_MAC, ROUTER, ROUTER_MAC, UPLINK, VETH,
        VETH_ADDRESS, VETH_MAC, text,
    },
};

use crate::scene::{EVIL, EVIL_MAC, GOOD, GOOD_SECOND, HOST_SECOND};

/// Without what may change, and does by honest guests too: who is whose neighbour, where on the bridge, and
/// which groups it listens to.
pub(crate) fn harmful(changes: Vec<String>) -> Vec<String> {
    let mut harmful = Vec::new();
    let (mut neighbours, mut groups) = (Vec::new(), Vec::new());
    let second = HOST_SECOND.to_string();
    for change in changes {
        let words: Vec<_> = change.split([' ', '/']).collect();
        if words.contains(&second.as_str()) {
            // The host has it for a while, and whether it can is asked for by itself.
            continue;
        }
        match *words.as_slice() {
            ["+neighbour", ..] => neighbours.push(change),
            ["+mdb", ..] => groups.push(change),
            // A MAC at a port: each belongs to one.
            ["+fdb", mac, "dev", port, ..] => {
                if !is_at_home(mac, port) {
                    harmful.push(change);
                }
            }
            // What has gone was too old, or has come again with something else.
            ["-neighbour" | "-mdb" | "-fdb", ..] => {}
            _ => harmful.push(change),
        }
    }
    harmful.extend(stolen_or_too_many(neighbours));
    harmful.extend(wide_or_too_many(groups));
    harmful
}

/// A guest may be the neighbour that it is, under as many addresses as a port may hold.
fn stolen_or_too_many(neighbours: Vec<String>) -> Vec<String> {
    let good = text(GUEST_MAC);
    let known: [(Ipv6Addr, &str); 5] = [
        (GUEST, &good),
        (GOOD_SECOND, &good),
        (ROUTER, &text(ROUTER_MAC)),
        (VETH_ADDRESS, &text(VETH_MAC)),
        (CONTAINER_ADDRESS, &text(CONTAINER_MAC)),
    ];
    let (mut harmful, mut by_evil, mut addresses) = (Vec::new(), Vec::new(), BTreeSet::new());
    for change in neighbours {
        let words: Vec<_> = change.split(' ').collect();
        let mac = words.iter().skip_while(|word| **word != "lladdr").nth(1);
        let owner = known.iter().find(|(address, _)| words.contains(&address.to_string().as_str()));
        match (owner, mac) {
            (Some((_, owner)), Some(mac)) if mac != owner => harmful.push(change),
            (Some(_), _) => {}
            (None, Some(mac)) if *mac == good => {}
            (None, _) => {
                addresses.extend(words.get(1).map(|address| (*address).to_owned()));
                by_evil.push(change);
            }
        }
    }
    // The host may know it by two of its interfaces.
    if addresses.len() > BINDINGS_PER_PORT as usize {
        harmful.extend(by_evil);
    }
    harmful
}

/// Whether this MAC's owner is behind this port of the bridge.
fn is_at_home(mac: &str, port: &str) -> bool {
    let homes = [
        (EVIL_MAC, EVIL),
        (GUEST_MAC, GOOD),
        (ROUTER_MAC, UPLINK),
        (VETH_MAC, VETH),
        (CONTAINER_MAC, CONTAINER),
    ];
    homes.iter().any(|(home_mac, home)| text(*home_mac) == mac && *home == port)
}

/// A guest may listen to groups of the link, as many as a port may.
fn wide_or_too_many(groups: Vec<String>) -> Vec<String> {
    let of_evil: Vec<_> = groups.into_iter().filter(|group| group.contains(EVIL)).collect();
    if of_evil.len() > GROUPS_PER_PORT as usize {
        return of_evil;
    }
    of_evil.into_iter().filter(|group| !group.contains(" grp ff02:")).collect()
}

#[cfg(test)]
mod tests {
    use super::harmful;

    fn is_harm(change: &str) -> bool {
        !harmful(vec![change.to_owned()]).is_empty()
    }

    #[test]
    fn what_a_guest_is_anyway_is_no_harm() {
        for change in [
            "+neighbour fe80::66 dev br0 lladdr 02:fc:00:00:00:66",
            "-neighbour fe80::fe dev br0 lladdr 02:fc:00:00:00:f0 router",
            "+neighbour fe80::fe dev br0 lladdr 02:fc:00:00:00:f0 router",
            "+fdb 02:fc:00:00:00:66 dev vm-evil master br0",
            "+mdb dev br0 port vm-evil grp ff02::1:ff00:66 temp",
            "+mdb dev br0 port vm-good grp ff05::2 temp",
            "+address 2: br0 inet6 fe80::d/64 scope link tentative",
        ] {
            assert!(!is_harm(change), "{change}");
        }
    }

    #[test]
    fn what_is_anothers_is_harm() {
        for change in [
            "+neighbour fe80::fe dev br0 lladdr 02:fc:00:00:00:66 router",
            "+neighbour fe80::c0 dev veth1 lladdr 02:fc:00:00:00:66",
            "+fdb 02:fc:00:00:00:01 dev vm-evil master br0",
            "+fdb 02:fc:00:00:00:99 dev vm-evil master br0",
            "+mdb dev br0 port vm-evil grp ff05::2 temp",
            "+bridge br0 mcast_snooping 0",
            "-route default via fe80::fe dev br0",
            "+address 2: br0 inet6 fe80::1/64 scope link tentative dadfailed",
            "+flow lost",
        ] {
            assert!(is_harm(change), "{change}");
        }
        let many = |row: &str| (0..40).map(|n| row.replace('#', &n.to_string())).collect();
        let neighbour = "+neighbour fe80::9:# dev br0 lladdr 02:fc:00:00:00:66";
        assert_eq!(harmful(many(neighbour)).len(), 40);
        assert_eq!(harmful(many("+mdb dev br0 port vm-evil grp ff02::9:# temp")).len(), 40);
    }
}
