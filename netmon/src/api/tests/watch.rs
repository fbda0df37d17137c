//! Watchers.

use netmon_api::{Client, v0, v0::netmon_service_watch_endpoints_response::Event};
use netmon_common::{Reason, abi::Sample, limits};
use tonic::{Code, Status, Streaming};

use super::Daemon;
use crate::endpoints::Input;

/// A message in short: "@2 + tap0 fe80::2%7".
async fn heard(stream: &mut Streaming<v0::NetmonServiceWatchEndpointsResponse>) -> String {
    let message = match stream.message().await {
        Ok(Some(message)) => message,
        Ok(None) => return "a clean end".to_owned(),
        Err(status) => return format!("{:?}: {}", status.code(), status.message()),
    };
    let short = |one: &v0::Endpoint| format!("{} {}", one.tap, one.scoped);
    let event = match message.event.expect("an event") {
        Event::Snapshot(all) => {
            format!("= {:?}", all.endpoints.iter().map(short).collect::<Vec<_>>())
        }
        Event::Added(one) => format!("+ {}", short(&one)),
        Event::Updated(one) => format!("~ {}", short(&one)),
        Event::Removed(one) => format!("- {}", short(&one)),
    };
    format!("@{} {event}", message.revision.expect("a revision").number)
}

async fn watch(
    client: &mut Client,
    since: Option<(u64, u64)>,
) -> Result<Streaming<v0::NetmonServiceWatchEndpointsResponse>, Status> {
    let since = since.map(|(instance, number)| v0::Revision { instance, number });
    let request = v0::NetmonServiceWatchEndpointsRequest { since };
    client.watch_endpoints(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_watcher_hears_the_map_then_each_change_then_why_it_ends() {
    let mut daemon = Daemon::start("watch");
    daemon.guest(7, "tap0", "fe80::2");
    let mut stream = watch(&mut daemon.client().await, None).await.expect("a stream");
    assert_eq!(heard(&mut stream).await, r#"@1 = ["tap0 fe80::2%7"]"#);
    daemon.guest(8, "tap1", "fe80::2");
    assert_eq!(heard(&mut stream).await, "@2 + tap1 fe80::2%8");
    daemon.apply(Input::Port { index: 8, name: "vm1".into(), scope: 8, epoch: 0, up: true });
    assert_eq!(heard(&mut stream).await, "@3 ~ vm1 fe80::2%8");
    daemon.apply(Input::PortGone(7));
    assert_eq!(heard(&mut stream).await, "@4 - tap0 fe80::2%7");
    drop(daemon.shutdown.take());
    assert_eq!(heard(&mut stream).await, "Unavailable: the daemon is shutting down");
}

#[tokio::test]
async fn a_watcher_goes_on_from_the_revision_that_it_knows() {
    let mut daemon = Daemon::start("since");
    for address in ["fe80::2", "fe80::3", "fe80::4"] {
        daemon.guest(7, "tap0", address);
    }
    let mut client = daemon.client().await;
    let mut stream = watch(&mut client, Some((77, 1))).await.expect("a stream");
    assert_eq!(heard(&mut stream).await, "@2 + tap0 fe80::3%7");
    assert_eq!(heard(&mut stream).await, "@3 + tap0 fe80::4%7");
    for (unknown, why) in [((76, 1), "another daemon"), ((77, 4), "a revision to come")] {
        let refused = watch(&mut client, Some(unknown)).await.expect_err(why);
        assert_eq!(refused.code(), Code::OutOfRange, "{why}");
    }
}

#[tokio::test]
async fn there_is_an_end_to_how_many_may_watch() {
    let daemon = Daemon::start("watchers");
    let mut streams = Vec::new();
    while streams.len() < limits::WATCHERS {
        let mut client = daemon.client().await;
        streams.push(watch(&mut client, None).await.expect("a stream"));
    }
    let refused = watch(&mut daemon.client().await, None).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    streams.pop();
    // The daemon hears that a reader has left a moment after it did.
    while watch(&mut daemon.client().await, None).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_gets_the_map_anew_and_is_told_what_it_missed() {
    let mut daemon = Daemon::start("slow");
    daemon.guest(7, "tap0", "fe80::2");
    let mut stream = watch(&mut daemon.client().await, None).await.expect("a stream");
    assert_eq!(heard(&mut stream).await, r#"@1 = ["tap0 fe80::2%7"]"#);
    // No await in between: the stream's task does not get its turn.
    for number in 0..=limits::HISTORY {
        daemon.apply(Input::Port {
            index: 7,
            name: format!("tap{number}").into(),
            scope: 7,
            epoch: 0,
            up: true,
        });
        daemon.apply(Input::Port { index: 7, name: "tap".into(), scope: 7, epoch: 0, up: true });
    }
    let message = stream.message().await.expect("no error").expect("a message");
    let Some(Event::Snapshot(all)) = message.event else { panic!("a snapshot: {message:?}") };
    assert_eq!(Some(1 + all.missed), message.revision.map(|revision| revision.number));
    assert_eq!(all.endpoints.len(), 1);
}

fn sample(reason: Reason) -> Sample {
    Sample {
        reason: reason.number(),
        ethertype: 0x86dd,
        next_header: 58,
        icmp_type: 134,
        interface: 7,
        ..Sample::default()
    }
}

async fn refused(stream: &mut Streaming<v0::NetmonServiceWatchDropsResponse>) -> String {
    use v0::netmon_service_watch_drops_response::Event;
    match stream.message().await {
        Ok(Some(message)) => match message.event.expect("an event") {
            Event::Refused(one) => format!("{} {} {:?}", one.tap, one.reason, one.icmp_type),
            Event::Missed(missed) => format!("missed {missed}"),
        },
        Ok(None) => "a clean end".to_owned(),
        Err(status) => format!("{:?}", status.code()),
    }
}

#[tokio::test]
async fn refused_frames_are_told_by_tap_and_those_missed_are_counted() {
    let daemon = Daemon::start("drops");
    let mut client = daemon.client().await;
    let request = v0::NetmonServiceWatchDropsRequest { tap: "tap0".to_owned() };
    let mut stream = client.watch_drops(request).await.expect("a stream").into_inner();
    daemon.drops.tell(&sample(Reason::Vlan), Some(&"tap1".into()));
    daemon.drops.tell(&sample(Reason::Vlan), None);
    daemon.drops.tell(&sample(Reason::RouterAdvertisement), Some(&"tap0".into()));
    assert_eq!(refused(&mut stream).await, "tap0 router_advert Some(134)");
    // More at once than are kept, while nobody reads: this test's runtime has one thread.
    for _ in 0..limits::SAMPLES_KEPT + 500 {
        daemon.drops.tell(&sample(Reason::Vlan), Some(&"tap0".into()));
    }
    assert_eq!(refused(&mut stream).await, "missed 500");
    assert_eq!(refused(&mut stream).await, "tap0 vlan Some(134)");
}
