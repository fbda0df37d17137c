//! What a port's guest may do: a profile, its exceptions, and how the kernel side is told; which TAP it is
//! for (`policy/rules.rs`), how it is written (`policy/text.rs`) and how it outlives a daemon
//! (`policy/kept.rs`).

mod kept;
mod rules;
mod text;

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "a test that panics has failed")]
mod tests;

use std::sync::Arc;

use netmon_common::{
    Mac,
    abi::{
        ALLOW_DHCP_SERVER, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP,
        Mode as JudgeMode, PortPolicy, Rate,
    },
    limits,
};

pub use self::{
    rules::{Policies, Rule},
    text::{KEYS, Refused},
};

/// What becomes of a frame that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is dropped.
    #[default]
    Enforce,
    /// It passes, and is counted under the reason for which it would have been dropped.
    Observe,
}

/// A set of rules with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// Link-local traffic, to any service of the host.
    #[default]
    LinkLocal,
    /// … and the guest only answers, from TCP port 8080: nothing on the host is open to it (OSSN-0069).
    Aurae,
    /// For a NIC whose traffic is somebody else's business: addresses are learnt, nothing is judged.
    Open,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LinkLocal, Self::Aurae, Self::Open];
}

/// A transport that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Ports of TCP and UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// All of them.
    Any,
    /// These, up to [`limits::PORT_LIST`]; none is an empty list.
    Listed(Vec<u16>),
}

/// What a port's guest may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of a frame that is refused.
    pub mode: Mode,
    /// The rules that the rest is an exception to.
    pub profile: Profile,
    /// The guest's MAC; `None`: the first that it uses.
    pub mac: Option<Mac>,
    /// How many addresses it may hold.
    pub quota: u32,
    /// Messages of neighbour and listener discovery a second.
    pub nd_rate: u32,
    /// Samples of refused frames a second.
    pub sample_rate: u32,
    /// The transports that may pass.
    pub protocols: Vec<Protocol>,
    /// Services of the host that it may use.
    pub host_ports: Services,
    /// Services of its own that it may answer from.
    pub guest_ports: Services,
    /// Whether it may be a DHCPv6 server or relay.
    pub dhcp_server: bool,
}

/// The changes to a policy; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// See [`Policy::mode`].
    pub mode: Option<Mode>,
    /// See [`Policy::profile`]. A profile brings its own protocols and ports.
    pub profile: Option<Profile>,
    /// See [`Policy::mac`].
    pub mac: Option<Option<Mac>>,
    /// See [`Policy::quota`].
    pub quota: Option<u32>,
    /// See [`Policy::nd_rate`].
    pub nd_rate: Option<u32>,
    /// See [`Policy::sample_rate`].
    pub sample_rate: Option<u32>,
    /// See [`Policy::protocols`].
    pub protocols: Option<Vec<Protocol>>,
    /// See [`Policy::host_ports`].
    pub host_ports: Option<Services>,
    /// See [`Policy::guest_ports`].
    pub guest_ports: Option<Services>,
    /// See [`Policy::dhcp_server`].
    pub dhcp_server: Option<bool>,
}

/// What is to become of a TAP's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyOrder {
    /// The TAP's name.
    pub tap: Arc<str>,
    /// Whether to forget what was ordered before, so that the configuration holds again.
    pub reset: bool,
    /// What to change then.
    pub change: PolicyChange,
}

impl Default for Policy {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

impl Policy {
    /// The profile, without exceptions.
    pub fn of(profile: Profile) -> Self {
        let (host_ports, guest_ports) = match profile {
            Profile::LinkLocal | Profile::Open => (Services::Any, Services::Any),
            Profile::Aurae => (Services::Listed(vec![]), Services::Listed(vec![8080])),
        };
        Self {
            mode: Mode::default(),
            profile,
            mac: None,
            quota: limits::BINDINGS_PER_PORT,
            nd_rate: limits::ND_RATE,
            sample_rate: limits::SAMPLE_RATE,
            protocols: vec![Protocol::Tcp, Protocol::Udp],
            host_ports,
            guest_ports,
            dhcp_server: false,
        }
    }

    /// This policy with something changed.
    #[must_use]
    pub fn with(mut self, change: &PolicyChange) -> Self {
        if let Some(profile) = change.profile {
            let Self { protocols, host_ports, guest_ports, .. } = Self::of(profile);
            self = Self { profile, protocols, host_ports, guest_ports, ..self };
        }
        let Self { mode, mac, quota, nd_rate, sample_rate, protocols, .. } = self;
        Self {
            mode: change.mode.unwrap_or(mode),
            profile: self.profile,
            mac: change.mac.unwrap_or(mac),
            quota: change.quota.unwrap_or(quota),
            nd_rate: change.nd_rate.unwrap_or(nd_rate),
            sample_rate: change.sample_rate.unwrap_or(sample_rate),
            protocols: change.protocols.clone().unwrap_or(protocols),
            host_ports: change.host_ports.clone().unwrap_or(self.host_ports),
            guest_ports: change.guest_ports.clone().unwrap_or(self.guest_ports),
            dhcp_server: change.dhcp_server.unwrap_or(self.dhcp_server),
        }
    }

    /// The kernel side's form: all but what the TAP itself brings (its link, MACs and guest).
    pub fn entry(&self) -> PortPolicy {
        let mut allowed = 0;
        for protocol in &self.protocols {
            allowed |= match protocol {
                Protocol::Tcp => ALLOW_TCP,
                Protocol::Udp => ALLOW_UDP,
            };
        }
        let (host_ports, any_host) = self.host_ports.entry();
        let (guest_ports, any_guest) = self.guest_ports.entry();
        allowed |= if any_host { ALLOW_HOST_PORTS } else { 0 };
        allowed |= if any_guest { ALLOW_GUEST_PORTS } else { 0 };
        allowed |= if self.dhcp_server { ALLOW_DHCP_SERVER } else { 0 };
        let mode = match (self.profile, self.mode) {
            (Profile::Open, _) => JudgeMode::Open,
            (_, Mode::Observe) => JudgeMode::Observe,
            (_, Mode::Enforce) => JudgeMode::Enforce,
        };
        PortPolicy {
            nd_rate: Rate::per_second(self.nd_rate),
            sample_rate: Rate::per_second(self.sample_rate),
            quota: self.quota,
            host_ports,
            guest_ports,
            mac: self.mac.unwrap_or_default().octets(),
            mode: mode.number(),
            allowed,
            profile: self.profile as u8,
            asked_mode: match self.mode {
                Mode::Enforce => JudgeMode::Enforce.number(),
                Mode::Observe => JudgeMode::Observe.number(),
            },
            ..PortPolicy::default()
        }
    }
}

impl PolicyChange {
    /// This change, and then `later`. Of a profile that comes later, protocols and ports are the profile's.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        let earlier = if later.profile.is_some() {
            Self { protocols: None, host_ports: None, guest_ports: None, ..self }
        } else {
            self
        };
        Self {
            mode: later.mode.or(earlier.mode),
            profile: later.profile.or(earlier.profile),
            mac: later.mac.or(earlier.mac),
            quota: later.quota.or(earlier.quota),
            nd_rate: later.nd_rate.or(earlier.nd_rate),
            sample_rate: later.sample_rate.or(earlier.sample_rate),
            protocols: later.protocols.or(earlier.protocols),
            host_ports: later.host_ports.or(earlier.host_ports),
            guest_ports: later.guest_ports.or(earlier.guest_ports),
            dhcp_server: later.dhcp_server.or(earlier.dhcp_server),
        }
    }
}

/// The change that makes any policy this one.
impl From<Policy> for PolicyChange {
    fn from(policy: Policy) -> Self {
        Self {
            mode: Some(policy.mode),
            profile: Some(policy.profile),
            mac: Some(policy.mac),
            quota: Some(policy.quota),
            nd_rate: Some(policy.nd_rate),
            sample_rate: Some(policy.sample_rate),
            protocols: Some(policy.protocols),
            host_ports: Some(policy.host_ports),
            guest_ports: Some(policy.guest_ports),
            dhcp_server: Some(policy.dhcp_server),
        }
    }
}

impl Services {
    fn entry(&self) -> ([u16; limits::PORT_LIST], bool) {
        let mut ports = [0; limits::PORT_LIST];
        match self {
            Self::Any => (ports, true),
            Self::Listed(listed) => {
                for (to, from) in ports.iter_mut().zip(listed) {
                    *to = *from;
                }
                (ports, false)
            }
        }
    }
}
