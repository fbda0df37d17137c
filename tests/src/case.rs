//! A case of the judge: a frame, and all that it is to know of the port; and its form as text, in which a
//! frame that two judges once disagreed on is kept.

use std::{
    collections::HashMap,
    fmt, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, bail, ensure};
use netmon_common::abi::{Direction, PortPolicy};

use crate::frame::HOST_MAC;

/// A frame on its way from or to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Which way it goes.
    pub direction: Direction,
    /// What its guest may do. What is neither policy nor MAC (link, quota, rates, epoch) is zero.
    pub policy: PortPolicy,
    /// The first MAC that the guest used; zero: it has not spoken.
    pub first_mac: [u8; 6],
    /// Who holds [`SECOND`](crate::frame::SECOND) behind this port, by its MAC; zero: nobody.
    pub second_mac: [u8; 6],
    /// Its bytes.
    pub frame: Vec<u8>,
}

impl Case {
    /// The frame on a port that has the default policy, and whose guest has not spoken.
    pub fn of(direction: Direction, frame: Vec<u8>) -> Self {
        let policy = PortPolicy { host_mac: HOST_MAC, allowed: 15, ..PortPolicy::default() };
        Self { direction, policy, first_mac: [0; 6], second_mac: [0; 6], frame }
    }

    /// Keeps a case on which two disagree, for [`kept`] to find; says where.
    ///
    /// # Errors
    ///
    /// The folder is not to be written to.
    pub fn keep(&self, why: &str) -> anyhow::Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        self.frame.hash(&mut hasher);
        let path = folder().join(format!("{:016x}.case", hasher.finish()));
        let why: String = why.lines().map(|line| format!("# {line}\n")).collect();
        fs::write(&path, format!("{why}{self}")).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// Where cases are kept.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases")
}

/// The frames on which two judges ever disagreed.
///
/// # Errors
///
/// One of them is not to be read.
pub fn kept() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).with_context(|| folder().display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "case") {
            let name = || path.display().to_string();
            let text = fs::read_to_string(&path).with_context(name)?;
            cases.push(text.parse().with_context(name)?);
        }
    }
    Ok(cases)
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        writeln!(f, "direction: {}", self.direction.name())?;
        writeln!(f, "mode: {}", policy.mode)?;
        writeln!(f, "allowed: {}", policy.allowed)?;
        writeln!(f, "host_ports: {}", joined(policy.host_ports.map(|port| port.to_string()), " "))?;
        writeln!(
            f,
            "guest_ports: {}",
            joined(policy.guest_ports.map(|port| port.to_string()), " ")
        )?;
        writeln!(f, "mac: {}", hex(&policy.mac, ":"))?;
        writeln!(f, "host_mac: {}", hex(&policy.host_mac, ":"))?;
        writeln!(f, "link_mac: {}", hex(&policy.link_mac, ":"))?;
        writeln!(f, "first_mac: {}", hex(&self.first_mac, ":"))?;
        writeln!(f, "second_mac: {}", hex(&self.second_mac, ":"))?;
        writeln!(f, "frame:")?;
        self.frame.chunks(16).try_for_each(|row| writeln!(f, "  {}", hex(row, " ")))
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        let (head, frame) = text.split_once("frame:\n").context("no `frame:`")?;
        let fields: HashMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
        let field = |name| fields.get(name).copied().with_context(|| format!("no `{name}:`"));
        let direction = match field("direction")? {
            "ingress" => Direction::Ingress,
            "egress" => Direction::Egress,
            other => bail!("direction: `{other}` is neither ingress nor egress"),
        };
        let mac = |name| -> anyhow::Result<[u8; 6]> {
            let octets = octets(&field(name)?.replace(':', ""))?;
            octets.try_into().map_err(|_| anyhow::anyhow!("{name}: not six octets"))
        };
        let policy = PortPolicy {
            mode: field("mode")?.parse()?,
            allowed: field("allowed")?.parse()?,
            host_ports: ports(field("host_ports")?)?,
            guest_ports: ports(field("guest_ports")?)?,
            mac: mac("mac")?,
            host_mac: mac("host_mac")?,
            link_mac: mac("link_mac")?,
            ..PortPolicy::default()
        };
        let (first_mac, second_mac) = (mac("first_mac")?, mac("second_mac")?);
        Ok(Self { direction, policy, first_mac, second_mac, frame: octets(frame)? })
    }
}

fn joined(words: impl IntoIterator<Item = String>, by: &str) -> String {
    words.into_iter().collect::<Vec<_>>().join(by)
}

fn hex(bytes: &[u8], by: &str) -> String {
    joined(bytes.iter().map(|byte| format!("{byte:02x}")), by)
}

/// Octets in hexadecimal, with or without spaces between them.
pub(crate) fn octets(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let octet = |pair: &[u8]| {
        let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let octets = digits.chunks(2).map(octet).collect::<Option<_>>();
    octets.with_context(|| format!("{text}: no octets"))
}

fn ports<const N: usize>(text: &str) -> anyhow::Result<[u16; N]> {
    let ports: Vec<u16> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(ports.len() == N, "{text}: not {N} ports");
    ports.try_into().map_err(|_| anyhow::anyhow!("not {N} ports"))
}
