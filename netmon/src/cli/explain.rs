//! `netmon explain`: what the names in counters mean. It asks nobody.

use netmon_common::{Kind, Reason};

use super::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  netmon explain                 # all of them
  netmon explain router_advert";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A reason of `netmon drops`, or a kind of its --passed; all if not given
    #[arg(value_name = "REASON", value_parser = known)]
    name: Option<String>,
}

fn known(name: &str) -> Result<String, &'static str> {
    let is_known = reasons().iter().chain(&kinds()).any(|(known, _)| *known == name);
    if is_known { Ok(name.to_owned()) } else { Err("no such reason (netmon explain lists all)") }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    output::text(&explained(args.name.as_deref(), output::width()))
}

pub(super) fn explained(name: Option<&str>, width: Option<usize>) -> String {
    let Some(name) = name else {
        return format!(
            "Why frames are dropped:\n\n{}\n\nWhat frames pass:\n\n{}",
            output::glossary(&reasons(), width),
            output::glossary(&kinds(), width)
        );
    };
    let named = |(fate, list): (&'static str, Vec<(&'static str, &'static str)>)| {
        let found = list.into_iter().find(|(this, _)| *this == name);
        found.map(|(_, sentence)| (fate, sentence))
    };
    let fates = [("dropped", reasons()), ("passed", kinds())].into_iter().filter_map(named);
    output::glossary(&fates.collect::<Vec<_>>(), width)
}

fn reasons() -> Vec<(&'static str, &'static str)> {
    Reason::ALL.iter().map(|reason| (reason.name(), reason.sentence())).collect()
}

fn kinds() -> Vec<(&'static str, &'static str)> {
    Kind::ALL.iter().map(|kind| (kind.name(), kind.sentence())).collect()
}
