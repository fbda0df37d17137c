//! Other people's programs on the egress hook.

use anyhow::Context as _;
use aya::{
    Ebpf,
    programs::{LinkOrder, SchedClassifier, TcAttachType, tc::TcAttachOptions},
};
use netmon_tests::{daemon::Daemon, host::Host};

use super::{bad_input::foreign, confined, up};

/// Puts a foreign program into tap0's egress chain; its id. It is there as long as the object.
fn join_chain(host: &Host, order: LinkOrder) -> anyhow::Result<(u32, Ebpf)> {
    host.run(|| {
        let mut object = foreign()?;
        let program: &mut SchedClassifier =
            object.program_mut("host_to_guest").context("program")?.try_into()?;
        program.load()?;
        let options = TcAttachOptions::TcxOrder(order);
        program.attach_with_options("tap0", TcAttachType::Egress, options)?;
        let id = program.info()?.id();
        Ok((id, object))
    })
}

#[test]
fn a_program_behind_ours_does_no_harm() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let _foreign = join_chain(&host, LinkOrder::last())?;
    assert_eq!(daemon.netmon("status --check")?.code, Some(0));
    Ok(())
}

#[test]
fn a_program_in_front_of_ours_is_seen_and_can_be_overtaken() -> anyhow::Result<()> {
    let host = Host::new()?;
    let daemon = Daemon::start(&host, "")?;
    let _tap = up(&host, "tap0")?;
    confined(&daemon, "tap0")?;
    let (id, _foreign) = join_chain(&host, LinkOrder::first())?;
    assert_eq!(daemon.netmon("status --check")?.code, Some(1));
    let status = daemon.json("status")?;
    assert_eq!(status[0]["protection"], "partial");
    let why = status[0]["why"].as_str().unwrap_or_default();
    assert!(why.contains(&format!("a foreign TCX program (id {id}) runs before ours")), "{why}");
    // The remedy that it names.
    assert_eq!(daemon.netmon("detach tap0")?.code, Some(0));
    assert_eq!(daemon.netmon("attach tap0")?.code, Some(0));
    assert_eq!(daemon.netmon("status --check")?.code, Some(0));
    Ok(())
}

#[test]
fn a_program_that_was_there_first_is_overtaken() -> anyhow::Result<()> {
    let host = Host::new()?;
    let _tap = up(&host, "tap0")?;
    let _foreign = join_chain(&host, LinkOrder::first())?;
    let daemon = Daemon::start(&host, "")?;
    confined(&daemon, "tap0")
}
