//! What a reader gets, fast or slow.

use std::{net::Ipv6Addr, sync::Arc};

use netmon_common::{Kind, Mac, limits};

use super::{Publisher, Revision, Update, View};
use crate::{
    endpoints::{Change, Endpoint, EndpointTable, State},
    time::Moment,
};

fn change(number: u16) -> Change {
    Change::Added(Endpoint {
        tap: Arc::from("tap0"),
        port: 7,
        scope: 7,
        address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number),
        mac: Mac::default(),
        state: State::Reachable,
        origin: Kind::Tcp,
        first_seen: Moment::default(),
        last_seen: Moment::default(),
    })
}

fn publish(publisher: &Publisher, numbers: std::ops::Range<u16>) {
    publisher.publish(&EndpointTable::default(), numbers.map(change).collect());
}

async fn next(view: &View, number: u64) -> Option<(u64, Update)> {
    view.clone()
        .next(Revision { instance: 1, number })
        .await
        .map(|(at, update)| (at.number, update))
}

#[tokio::test]
async fn a_reader_gets_the_changes_since_its_revision() {
    let (publisher, view) = super::new(1);
    publish(&publisher, 0..3);
    assert!(
        matches!(next(&view, 1).await, Some((3, Update::Changes(changes))) if changes == [change(1), change(2)])
    );
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_map_and_is_told_what_it_missed() {
    let (publisher, view) = super::new(1);
    let more = u16::try_from(limits::HISTORY).unwrap_or(u16::MAX) + 1;
    publish(&publisher, 0..more);
    let missed = u64::from(more);
    assert!(
        matches!(next(&view, 0).await, Some((_, Update::Snapshot { missed: m, .. })) if m == missed)
    );
    assert!(
        matches!(next(&view, 1).await, Some((_, Update::Changes(changes))) if changes.len() == limits::HISTORY)
    );
}

#[tokio::test]
async fn another_daemons_revision_is_not_ours() {
    let (publisher, view) = super::new(1);
    publish(&publisher, 0..3);
    assert_eq!(view.changes(Revision { instance: 2, number: 1 }), None);
    assert_eq!(view.changes(Revision { instance: 1, number: 4 }), None);
}

#[tokio::test]
async fn a_reader_learns_of_the_daemons_end() {
    let (publisher, view) = super::new(1);
    drop(publisher);
    assert!(next(&view, 0).await.is_none());
}
