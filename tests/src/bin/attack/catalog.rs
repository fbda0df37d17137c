//! The attacks, as `catalog.txt` lists them.

use anyhow::{Context as _, bail};

/// Where the hostile guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a TAP of its own.
    Alone,
    /// On a bridge with the other guest, a router, a container and the host's veth.
    Bridge,
    /// There, too, and nothing has been heard of it before.
    Silent,
}

/// What a host that nobody protects must suffer, or the attack proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Forbidden frames reach its stack.
    Arrives,
    /// Its routes change.
    Route,
    /// It takes an address.
    Address,
    /// Its table of neighbours overflows, or another's entry changes.
    Neighbour,
    /// Its own new address is refused.
    Dad,
    /// Its bridge takes another's MAC for the guest's.
    Fdb,
    /// Its bridge's table of groups overflows.
    Mdb,
    /// A flow of its own ends, or hears what nobody may tell it.
    Flow,
    /// The other guest is harmed.
    Guest,
    /// The other guest is made to answer. That is what it is to do, and with netmon it must still be reached.
    Answers,
}

/// One attack.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    /// What it is called in the table.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) effect: Effect,
    /// The command as the catalogue has it.
    pub(crate) command: String,
    /// Whether it is one of the few that `--quick` runs.
    pub(crate) is_core: bool,
    /// Whether it overflows the table of neighbours, which all network namespaces of a machine share
    /// (`nd_tbl` in the kernel's net/ipv6/ndisc.c): without netmon, no other host can work meanwhile.
    pub(crate) overflows: bool,
}

const CATALOG: &str = include_str!("catalog.txt");

/// What scapy's frames are made of.
const SCAPY: &str = include_str!("scapy.py");

/// All attacks, in the order of the table.
///
/// # Errors
///
/// A line of the catalogue is not one.
pub(crate) fn all() -> anyhow::Result<Vec<Attack>> {
    let lines = CATALOG.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| attack(line).with_context(|| format!("catalog.txt: {line}"))).collect()
}

fn attack(line: &str) -> anyhow::Result<Attack> {
    let mut fields = line.splitn(4, '|').map(str::trim);
    let mut field = |name| fields.next().with_context(|| format!("it has no {name}"));
    let (name, place, effect) = (field("name")?, field("place")?, field("effect")?);
    Ok(Attack {
        is_core: name.starts_with('*'),
        overflows: effect == "overflow",
        name: name.trim_start_matches(['*', ' ']).to_owned(),
        place: match place {
            "alone" => Place::Alone,
            "bridge" => Place::Bridge,
            "silent" => Place::Silent,
            other => bail!("no such place: {other}"),
        },
        effect: match effect {
            "arrives" => Effect::Arrives,
            "route" => Effect::Route,
            "address" => Effect::Address,
            "neighbour" | "overflow" => Effect::Neighbour,
            "dad" => Effect::Dad,
            "fdb" => Effect::Fdb,
            "mdb" => Effect::Mdb,
            "flow" => Effect::Flow,
            "guest" => Effect::Guest,
            "answers" => Effect::Answers,
            other => bail!("no such effect: {other}"),
        },
        command: field("command")?.to_owned(),
    })
}

impl Attack {
    /// The commands that are to run at the same time: of each the program and its words.
    ///
    /// # Errors
    ///
    /// The number of test cases is none.
    pub(crate) fn commands(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let words = |command: &str| command.split_whitespace().map(str::to_owned).collect();
        // Three times, or again and again.
        let once = self.command.strip_prefix("scapy ").map(|frame| (frame, "count=3"));
        let again = self.command.strip_prefix("scapy-on ");
        if let Some((frame, how)) =
            once.or_else(|| again.map(|frame| (frame, "loop=1, inter=0.004")))
        {
            let script = format!("{SCAPY}sendp({frame}, iface='eth0', {how}, verbose=0)");
            // Debian's: where its scapy is.
            return Ok(vec![["/usr/bin/python3", "-c", &script].map(str::to_owned).to_vec()]);
        }
        match self.command.strip_suffix('}').and_then(|command| command.split_once(" {")) {
            None => Ok(vec![words(&self.command)]),
            Some((command, cases)) => {
                let cases: u8 = cases.parse().context("the number of test cases")?;
                Ok((1..=cases).map(|case| words(&format!("{command} {case}"))).collect())
            }
        }
    }
}
