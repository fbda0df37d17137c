//! `netmon policy`: what a TAP's guest may do.

use netmon_api::v0;
use serde::Serialize;

use super::{
    client::{Daemon, ask},
    failure::Failure,
    output::{self, Format},
    ports, tap,
};
use crate::{
    api::{read_policy, written_policy},
    policy::{KEYS, Policy, PolicyChange, Refused},
};

const EXAMPLES: &str = "\
Prints the policy, after the changes if any are given; these only root and the
daemon's own user may make. They last until the TAP is gone: a reload of the
configuration does not take them back, --reset does. The guest's addresses stay
bound. For what each key means, see netmon check-config --sample.

Examples:
  netmon policy tap0
  netmon policy tap0 --mode observe
  netmon policy tap0 --profile aurae --host-ports 22,80
  netmon policy tap0 --reset";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The TAP
    #[arg(value_parser = tap)]
    tap: String,
    #[command(flatten)]
    changes: Changes,
    /// Take back what netmon policy has changed before
    #[arg(long)]
    reset: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    daemon: Daemon,
}

// No doc comment: clap would take it for the verb's.
#[derive(Debug, clap::Args)]
struct Changes {
    /// enforce, or observe: drop nothing, count what would have been dropped
    #[arg(long, value_parser = value("mode"))]
    mode: Option<String>,
    /// link-local, aurae or open; it brings its own protocols and ports
    #[arg(long, value_parser = value("profile"))]
    profile: Option<String>,
    /// The guest's MAC, or first: the first that it uses
    #[arg(long, value_parser = value("mac"))]
    mac: Option<String>,
    /// How many addresses the guest may hold
    #[arg(long, value_parser = value("quota"))]
    quota: Option<String>,
    /// Messages of neighbour and listener discovery a second
    #[arg(long, value_parser = value("nd_rate"))]
    nd_rate: Option<String>,
    /// Refused frames a second that are shown, not only counted
    #[arg(long, value_parser = value("sample_rate"))]
    sample_rate: Option<String>,
    /// Transports that may pass: tcp,udp or one of them, or none
    #[arg(long, value_parser = value("protocols"))]
    protocols: Option<String>,
    /// Ports of the host that the guest may speak to: any, none, or 22,80
    #[arg(long, value_name = "PORTS", value_parser = value("host_ports"))]
    host_ports: Option<String>,
    /// Ports of its own that the guest may answer from, likewise
    #[arg(long, value_name = "PORTS", value_parser = value("guest_ports"))]
    guest_ports: Option<String>,
    /// true or false: whether the guest may be a DHCPv6 server or relay
    #[arg(long, value_name = "BOOL", value_parser = value("dhcp_server"))]
    dhcp_server: Option<String>,
}

/// Checks the text of a key, and leaves it as it is.
pub(super) fn value(key: &'static str) -> impl Fn(&str) -> Result<String, Refused> + Clone {
    move |text| PolicyChange::default().set(key, text).map(|()| text.to_owned())
}

impl Changes {
    fn read(self) -> Result<PolicyChange, Refused> {
        let Self { mode, profile, mac, quota, nd_rate, sample_rate, .. } = self;
        let texts = [
            mode,
            profile,
            mac,
            quota,
            nd_rate,
            sample_rate,
            self.protocols,
            self.host_ports,
            self.guest_ports,
            self.dhcp_server,
        ];
        let mut change = PolicyChange::default();
        for (key, text) in KEYS.iter().zip(texts) {
            text.map_or(Ok(()), |text| change.set(key, &text))?;
        }
        Ok(change)
    }
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let Args { tap, changes, reset, output, daemon } = args;
    let change = changes.read().map_err(|refused| Failure::Usage(refused.to_string()))?;
    let mut client = daemon.connect().await?;
    let port = if reset || change != PolicyChange::default() {
        let request = v0::NetmonServiceSetPortPolicyRequest {
            tap: tap.clone(),
            reset,
            change: Some(written_policy(change)),
        };
        client.set_port_policy(ask(request)).await?.into_inner().port
    } else {
        ports::list(&mut client).await?.ports.into_iter().find(|port| port.tap == tap)
    };
    let policy = port.and_then(|port| port.policy).ok_or_else(|| {
        Failure::Failed(format!("{tap}: no such port (netmon ports lists those attached)"))
    })?;
    match output {
        Format::Json => output::json(&Row::new(&tap, &policy)),
        Format::Table => output::table(["KEY", "VALUE"], &[], rows(&policy)?),
    }
}

pub(super) fn rows(policy: &v0::Policy) -> Result<Vec<[String; 2]>, Failure> {
    let change = read_policy(policy).map_err(|odd| Failure::Failed(odd.to_string()))?;
    let values = Policy::default().with(&change).written();
    Ok(KEYS.iter().zip(values).map(|(key, value)| [(*key).to_owned(), value]).collect())
}

/// What programs read.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    tap: &'a str,
    mode: Option<&'a str>,
    profile: Option<&'a str>,
    mac: Option<&'a str>,
    quota: Option<u32>,
    nd_rate: Option<u32>,
    sample_rate: Option<u32>,
    protocols: &'a [String],
    host_ports: Services<'a>,
    guest_ports: Services<'a>,
    dhcp_server: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Services<'a> {
    Any(&'static str),
    Listed(&'a [u32]),
}

impl<'a> Row<'a> {
    pub(super) fn new(tap: &'a str, policy: &'a v0::Policy) -> Self {
        let services = |services: &'a Option<v0::Services>| match services {
            Some(services) if !services.any => Services::Listed(&services.ports),
            _ => Services::Any("any"),
        };
        Self {
            tap,
            mode: policy.mode.as_deref(),
            profile: policy.profile.as_deref(),
            mac: policy.mac.as_deref(),
            quota: policy.quota,
            nd_rate: policy.nd_rate,
            sample_rate: policy.sample_rate,
            protocols: policy.protocols.as_ref().map_or(&[], |list| &list.names),
            host_ports: services(&policy.host_ports),
            guest_ports: services(&policy.guest_ports),
            dhcp_server: policy.dhcp_server,
        }
    }
}
