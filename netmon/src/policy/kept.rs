//! An ordered policy outlives the daemon that was told of it: it is read from the kernel side's form.

use netmon_common::{
    Mac,
    abi::{
        ALLOW_DHCP_SERVER, ALLOW_GUEST_PORTS, ALLOW_HOST_PORTS, ALLOW_TCP, ALLOW_UDP,
        Mode as JudgeMode, PortPolicy, Rate,
    },
    limits::PORT_LIST,
};

use super::{Mode, Policy, Profile, Protocol, Services};

const SECOND: u64 = 1_000_000_000;

impl Policy {
    /// The policy that was ordered for a port, if any was.
    pub fn kept(entry: &PortPolicy) -> Option<Self> {
        if entry.ordered == 0 {
            return None;
        }
        let transports = [(ALLOW_TCP, Protocol::Tcp), (ALLOW_UDP, Protocol::Udp)];
        let allowed = |bit| entry.allowed & bit != 0;
        let mac = Mac::new(entry.mac);
        Some(Self {
            mode: match JudgeMode::of(entry.asked_mode) {
                JudgeMode::Observe => Mode::Observe,
                JudgeMode::Enforce | JudgeMode::Open => Mode::Enforce,
            },
            profile: Profile::ALL
                .into_iter()
                .find(|profile| *profile as u8 == entry.profile)
                .unwrap_or_default(),
            mac: (!mac.is_zero()).then_some(mac),
            quota: entry.quota,
            nd_rate: per_second(entry.nd_rate),
            sample_rate: per_second(entry.sample_rate),
            protocols: transports
                .into_iter()
                .filter(|(bit, _)| allowed(*bit))
                .map(|(_, protocol)| protocol)
                .collect(),
            host_ports: services(allowed(ALLOW_HOST_PORTS), &entry.host_ports),
            guest_ports: services(allowed(ALLOW_GUEST_PORTS), &entry.guest_ports),
            dhcp_server: allowed(ALLOW_DHCP_SERVER),
        })
    }
}

/// To the nearest whole number, which is the one that was asked for up to some ten thousand.
fn per_second(rate: Rate) -> u32 {
    let Rate { interval, .. } = rate;
    let number = SECOND.saturating_add(interval / 2).checked_div(interval);
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX)
}

fn services(any: bool, listed: &[u16; PORT_LIST]) -> Services {
    if any {
        return Services::Any;
    }
    Services::Listed(listed.iter().copied().filter(|port| *port != 0).collect())
}
