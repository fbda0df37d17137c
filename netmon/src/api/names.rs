//! Names that people give to endpoints: a TAP, a MAC, an address with its scope.

use std::net::Ipv6Addr;

use netmon_common::Mac;

use crate::endpoints::Endpoint;

/// Bytes of an interface's name (IFNAMSIZ, without the zero at its end).
const TAP_NAME_BYTES: usize = 15;

/// TAPs that an error names; cloned VMs may share a MAC by the thousand.
const TAPS_NAMED: usize = 4;

/// No interface can have this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no interface name (1 to 15 bytes, without '/', ':' or blanks)")]
pub(crate) struct NoTapName {
    name: String,
}

/// The rules of the kernel (`dev_valid_name`); '%', which parts an address from its scope, is allowed.
pub(crate) fn tap_name(name: &str) -> Result<&str, NoTapName> {
    let valid = (1..=TAP_NAME_BYTES).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control());
    if valid { Ok(name) } else { Err(NoTapName { name: name.to_owned() }) }
}

/// Why a name is not that of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOne {
    #[error(
        "{0}: no endpoint known (netmon endpoints lists all, netmon wait TAP endpoint waits for one)"
    )]
    None(String),
    #[error(
        "{name}: behind {} TAPs ({taps}); name one of these, or its address with the scope",
        count
    )]
    Many { name: String, count: usize, taps: String },
    #[error("{0}: an address needs its scope, such as {0}%tap0: every guest may have it")]
    NoScope(Ipv6Addr),
    #[error("{0:?} is neither a TAP, nor a MAC, nor an address with its scope (fe80::2%tap0)")]
    NoName(String),
}

/// What a name asks for.
enum Name<'a> {
    Tap(&'a str),
    Mac(Mac),
    Scoped(Ipv6Addr, &'a str),
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Result<Self, NotOne> {
        let no_name = || NotOne::NoName(name.to_owned());
        if let Ok(mac) = name.parse() {
            Ok(Self::Mac(mac))
        } else if let Ok(address) = name.parse() {
            Err(NotOne::NoScope(address))
        } else if name.contains(':') {
            // No interface's name has a colon: this can only be an address.
            let (address, scope) = name.split_once('%').ok_or_else(no_name)?;
            Ok(Self::Scoped(address.parse().map_err(|_| no_name())?, scope))
        } else {
            tap_name(name).map(Self::Tap).map_err(|_| no_name())
        }
    }

    fn fits(&self, endpoint: &Endpoint) -> bool {
        match *self {
            Self::Tap(tap) => *endpoint.tap == *tap,
            Self::Mac(mac) => endpoint.mac == mac,
            Self::Scoped(address, scope) => {
                endpoint.address == address
                    && (*endpoint.tap == *scope
                        || [endpoint.scope, endpoint.port].map(Ok).contains(&scope.parse()))
            }
        }
    }
}

/// The one endpoint that `name` means. Of several behind one TAP, the first: `endpoints` come by TAP, then
/// by rank.
pub(super) fn find<'a>(endpoints: &'a [Endpoint], name: &str) -> Result<&'a Endpoint, NotOne> {
    let wanted = Name::parse(name)?;
    let mut fitting: Vec<&Endpoint> = endpoints.iter().filter(|one| wanted.fits(one)).collect();
    fitting.dedup_by_key(|endpoint| endpoint.port);
    match *fitting {
        [] => Err(NotOne::None(name.to_owned())),
        [one] => Ok(one),
        ref many => {
            let taps: Vec<&str> = many.iter().take(TAPS_NAMED).map(|one| &*one.tap).collect();
            let more = if many.len() > TAPS_NAMED { " …" } else { "" };
            let taps = format!("{}{more}", taps.join(", "));
            Err(NotOne::Many { name: name.to_owned(), count: many.len(), taps })
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "a test that panics has failed")]
mod tests {
    use netmon_common::Kind;

    use super::*;
    use crate::{endpoints::State, time::Moment};

    #[test]
    fn of_a_bridge_the_scope_is_the_bridges() {
        let on_bridge = |tap, port, address| Endpoint {
            scope: 3,
            ..endpoint(tap, port, address, [2, 0xfc, 0, 0, 0, port as u8])
        };
        let endpoints = [on_bridge("tap0", 7, "fe80::2"), on_bridge("tap1", 8, "fe80::3")];
        let find = |name: &str| find(&endpoints, name).map(|one| one.port).map_err(|_| ());
        assert_eq!(find("fe80::2%3"), Ok(7));
        assert_eq!(find("fe80::3%3"), Ok(8));
        assert_eq!(find("fe80::2%7"), Ok(7));
        assert_eq!(find("fe80::2%8"), Err(()));
    }

    /// An address that goes from one TAP of a bridge to the other may be listed behind both for a moment.
    #[test]
    fn an_address_behind_two_taps_of_a_bridge_is_ambiguous_by_its_scope_alone() {
        let on_bridge = |tap, port| Endpoint { scope: 3, ..endpoint(tap, port, "fe80::2", [2; 6]) };
        let endpoints = [on_bridge("tap0", 7), on_bridge("tap1", 8)];
        let error = find(&endpoints, "fe80::2%3").expect_err("two").to_string();
        assert!(error.contains("fe80::2%3: behind 2 TAPs (tap0, tap1)"), "{error}");
        for (name, port) in [("fe80::2%tap0", 7), ("fe80::2%8", 8), ("tap1", 8)] {
            assert_eq!(find(&endpoints, name).map(|one| one.port), Ok(port), "{name}");
        }
    }

    fn endpoint(tap: &str, port: u32, address: &str, mac: [u8; 6]) -> Endpoint {
        Endpoint {
            tap: tap.into(),
            port,
            scope: port,
            address: address.parse().expect("an address"),
            mac: Mac::new(mac),
            state: State::Reachable,
            origin: Kind::Dad,
            first_seen: Moment::default(),
            last_seen: Moment::default(),
        }
    }

    /// What a name finds among two guests with the same address, one with two, and a TAP named "7".
    fn check(name: &str, expected: Result<&str, &str>) {
        let endpoints = [
            endpoint("7", 12, "fe80::2", [2, 0xfc, 0, 0, 0, 7]),
            endpoint("tap0", 7, "fe80::2", [2, 0xfc, 0, 0, 0, 1]),
            endpoint("tap0", 7, "fe80::fc:ff:fe00:1", [2, 0xfc, 0, 0, 0, 1]),
            endpoint("tap1", 8, "fe80::3", [2, 0xfc, 0, 0, 0, 2]),
            endpoint("tap2", 9, "fe80::2", [2, 0xfc, 0, 0, 0, 2]),
        ];
        let found = find(&endpoints, name);
        let found =
            found.map(|one| format!("{}%{}", one.address, one.port)).map_err(|e| e.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{name}: {found}"),
            (found, expected) => panic!("{name}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_name_finds_one_endpoint_or_says_why_not() {
        check("tap0", Ok("fe80::2%7"));
        check("tap1", Ok("fe80::3%8"));
        check("7", Ok("fe80::2%12"));
        check("02:fc:00:00:00:01", Ok("fe80::2%7"));
        check("02:FC:00:00:00:01", Ok("fe80::2%7"));
        check("02:fc:00:00:00:02", Err("behind 2 TAPs (tap1, tap2)"));
        check("fe80::2%tap2", Ok("fe80::2%9"));
        check("fe80::fc:ff:fe00:1%7", Ok("fe80::fc:ff:fe00:1%7"));
        check("fe80:0::2%9", Ok("fe80::2%9"));
        check("fe80::2%7", Err("behind 2 TAPs (7, tap0)"));
        check("fe80::3%tap0", Err("no endpoint known"));
        check("tap9", Err("tap9: no endpoint known"));
        check("fe80::2", Err("fe80::2: an address needs its scope, such as fe80::2%tap0"));
        check("02:fc:00:00:00:0g", Err("is neither a TAP"));
        check("02:fc:00:00:00:01:02", Err("is neither a TAP"));
        check("", Err("is neither a TAP"));
        check("a/b", Err("is neither a TAP"));
    }

    #[test]
    fn an_error_names_a_few_taps_only() {
        let clones: Vec<_> =
            (1..=9).map(|i| endpoint(&format!("vm{i}"), i, "fe80::2", [2; 6])).collect();
        let error = find(&clones, "02:02:02:02:02:02").expect_err("nine").to_string();
        assert!(error.contains("behind 9 TAPs (vm1, vm2, vm3, vm4 …)"), "{error}");
    }

    #[test]
    fn interface_names_are_those_that_the_kernel_takes() {
        for name in ["tap0", "a", "fifteen_bytes_x", "a%b", "tap-1.2"] {
            assert_eq!(tap_name(name), Ok(name));
        }
        for name in ["", ".", "..", "a/b", "a b", "a\n", "a:b", "\u{1b}[2J", "sixteen_bytes_xx"] {
            assert!(tap_name(name).is_err(), "{name:?}");
        }
    }
}
