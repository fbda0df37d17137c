//! Policies in the contract's words.

use netmon_api::v0;

use crate::policy::{PolicyChange, Protocol, Refused, Services};

/// A value of a policy that there is not, with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {refused}")]
pub(crate) struct NoValue {
    key: &'static str,
    refused: Refused,
}

/// What is set in a message, each value checked.
pub(crate) fn read(policy: &v0::Policy) -> Result<PolicyChange, NoValue> {
    let number = |number: u32| number.to_string();
    let texts = [
        ("mode", policy.mode.clone()),
        ("profile", policy.profile.clone()),
        ("mac", policy.mac.clone()),
        ("quota", policy.quota.map(number)),
        ("nd_rate", policy.nd_rate.map(number)),
        ("sample_rate", policy.sample_rate.map(number)),
        ("protocols", policy.protocols.as_ref().map(|list| text(&list.names))),
        ("host_ports", policy.host_ports.as_ref().map(services)),
        ("guest_ports", policy.guest_ports.as_ref().map(services)),
        ("dhcp_server", policy.dhcp_server.map(|may| may.to_string())),
    ];
    let mut change = PolicyChange::default();
    for (key, text) in texts {
        if let Some(text) = text {
            change.set(key, &text).map_err(|refused| NoValue { key, refused })?;
        }
    }
    Ok(change)
}

fn services(services: &v0::Services) -> String {
    let ports: Vec<_> = services.ports.iter().map(u32::to_string).collect();
    if services.any { "any".to_owned() } else { text(&ports) }
}

fn text(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

/// The message that says this.
pub(crate) fn written(change: PolicyChange) -> v0::Policy {
    let services = |services| match services {
        Services::Any => v0::Services { any: true, ports: Vec::new() },
        Services::Listed(ports) => {
            v0::Services { any: false, ports: ports.into_iter().map(u32::from).collect() }
        }
    };
    let names = |protocols: Vec<Protocol>| v0::Protocols {
        names: protocols.into_iter().map(|one| one.name().to_owned()).collect(),
    };
    v0::Policy {
        mode: change.mode.map(|mode| mode.name().to_owned()),
        profile: change.profile.map(|profile| profile.name().to_owned()),
        mac: change.mac.map(|mac| mac.map_or_else(|| "first".to_owned(), |mac| mac.to_string())),
        quota: change.quota,
        nd_rate: change.nd_rate,
        sample_rate: change.sample_rate,
        protocols: change.protocols.map(names),
        host_ports: change.host_ports.map(services),
        guest_ports: change.guest_ports.map(services),
        dhcp_server: change.dhcp_server,
    }
}
