//! How policies are written, on the command line as in the configuration, and what no policy can be.

use std::{ops::RangeInclusive, str::FromStr};

use netmon_common::{Mac, limits};

use super::{Mode, Policy, PolicyChange, Profile, Protocol, Services};

/// A list of nothing.
const NONE: &str = "none";

/// Every port.
const ANY: &str = "any";

/// The MAC of whoever speaks first.
const FIRST: &str = "first";

/// The keys of a policy, in the order of the documentation.
pub const KEYS: [&str; 10] = [
    "mode",
    "profile",
    "mac",
    "quota",
    "nd_rate",
    "sample_rate",
    "protocols",
    "host_ports",
    "guest_ports",
    "dhcp_server",
];

/// What was written is no such value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {right}, not {given:?}")]
pub struct Refused {
    right: String,
    given: String,
}

impl Refused {
    /// This was given where only `right` is.
    pub fn new(right: impl Into<String>, given: &str) -> Self {
        Self { right: right.into(), given: given.to_owned() }
    }
}

/// Names of the variants of an enum, both ways.
macro_rules! names {
    ($($type:ident: $right:literal $($variant:ident $name:literal)+;)+) => {$(
        impl $type {
            /// The name that people and programs see.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl FromStr for $type {
            type Err = Refused;

            fn from_str(text: &str) -> Result<Self, Refused> {
                match text { $($name => Ok(Self::$variant),)+ _ => Err(Refused::new($right, text)) }
            }
        }
    )+};
}

names! {
    Mode: "enforce or observe" Enforce "enforce" Observe "observe";
    Profile: "link-local, aurae or open" LinkLocal "link-local" Aurae "aurae" Open "open";
    Protocol: "tcp or udp" Tcp "tcp" Udp "udp";
}

impl PolicyChange {
    /// Sets what `key` names, one of [`KEYS`].
    ///
    /// # Errors
    ///
    /// There is no such key, or no such value of it.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Refused> {
        match key {
            "mode" => self.mode = Some(text.parse()?),
            "profile" => self.profile = Some(text.parse()?),
            "mac" => self.mac = Some(mac(text)?),
            "quota" => self.quota = Some(number(text, 1..=limits::QUOTA)?),
            // Without any, a guest has no address.
            "nd_rate" => self.nd_rate = Some(number(text, 1..=limits::MAX_ND_RATE)?),
            "sample_rate" => self.sample_rate = Some(number(text, 0..=limits::MAX_SAMPLE_RATE)?),
            "protocols" => self.protocols = Some(listed(text, str::parse)?),
            "host_ports" => self.host_ports = Some(services(text)?),
            "guest_ports" => self.guest_ports = Some(services(text)?),
            "dhcp_server" => self.dhcp_server = Some(truth(text)?),
            _ => return Err(Refused::new(format!("one of {}", KEYS.join(", ")), key)),
        }
        Ok(())
    }
}

impl Policy {
    /// The values as they are written, in the order of [`KEYS`].
    pub fn written(&self) -> [String; KEYS.len()] {
        let Self { mode, profile, mac, quota, nd_rate, sample_rate, .. } = self;
        let list = |words: Vec<String>| match &*words {
            [] => NONE.to_owned(),
            words => words.join(","),
        };
        let services = |services: &Services| match services {
            Services::Any => ANY.to_owned(),
            Services::Listed(ports) => list(ports.iter().map(u16::to_string).collect()),
        };
        [
            mode.name().to_owned(),
            profile.name().to_owned(),
            mac.map_or_else(|| FIRST.to_owned(), |mac| mac.to_string()),
            quota.to_string(),
            nd_rate.to_string(),
            sample_rate.to_string(),
            list(self.protocols.iter().map(|one| one.name().to_owned()).collect()),
            services(&self.host_ports),
            services(&self.guest_ports),
            self.dhcp_server.to_string(),
        ]
    }
}

fn mac(text: &str) -> Result<Option<Mac>, Refused> {
    let is_guests = |mac: &Mac| !mac.is_zero() && !mac.is_multicast();
    match text {
        FIRST => Ok(None),
        _ => text.parse().ok().filter(is_guests).map(Some).ok_or_else(|| {
            Refused::new("a unicast MAC such as 02:fc:00:00:00:01, or first: the first seen", text)
        }),
    }
}

fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, Refused> {
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Refused::new(format!("a number from {} to {}", range.start(), range.end()), text)
    })
}

fn truth(text: &str) -> Result<bool, Refused> {
    text.parse().map_err(|_| Refused::new("true or false", text))
}

/// Words with commas between, or `none`.
fn listed<T>(text: &str, one: impl Fn(&str) -> Result<T, Refused>) -> Result<Vec<T>, Refused> {
    if text == NONE { Ok(Vec::new()) } else { text.split(',').map(one).collect() }
}

fn services(text: &str) -> Result<Services, Refused> {
    if text == ANY {
        return Ok(Services::Any);
    }
    let port = |text: &str| number(text, 1..=u32::from(u16::MAX)).map(|port| port as u16);
    let ports = listed(text, port)?;
    if ports.len() > limits::PORT_LIST {
        return Err(Refused::new(format!("any, or up to {} ports", limits::PORT_LIST), text));
    }
    Ok(Services::Listed(ports))
}
