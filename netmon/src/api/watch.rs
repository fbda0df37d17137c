//! One reader of the live map: the map, then its changes.

use netmon_api::v0::{
    self, NetmonServiceWatchEndpointsResponse as Message, Snapshot,
    netmon_service_watch_endpoints_response::Event,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tonic::Status;

use super::translate;
use crate::view::{Revision, Update, View};

/// Messages on their way to one reader. What it is too slow for stays in the view, which all share.
pub(super) const BUFFER: usize = 16;

/// What a reader begins with: the map, or what happened since the revision that it knows.
pub(super) fn first(
    view: &View,
    since: Option<v0::Revision>,
) -> Result<(Revision, Update), Status> {
    let Some(v0::Revision { instance, number }) = since else {
        let (revision, endpoints) = view.snapshot();
        return Ok((revision, Update::Snapshot { endpoints, missed: 0 }));
    };
    let changes = view.changes(Revision { instance, number });
    changes.map(|(revision, changes)| (revision, Update::Changes(changes))).ok_or_else(|| {
        Status::out_of_range(format!(
            "{instance}:{number}: the changes since are not kept, or the daemon is another one by now: \
             start anew, without a revision"
        ))
    })
}

/// Tells `reader` of `first`, then of all that follows, until the reader leaves or the daemon ends. Never
/// a clean end: a map that does not change any more must not look like a quiet one.
pub(super) async fn feed(
    mut view: View,
    first: (Revision, Update),
    reader: mpsc::Sender<Result<Message, Status>>,
    mut closing: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    let mut next = Some(first);
    while let Some((revision, update)) = next {
        for message in messages(revision, update) {
            if reader.send(Ok(message)).await.is_err() {
                return;
            }
        }
        next = tokio::select! {
            next = view.next(revision) => next,
            () = closed(&mut closing) => None,
            () = reader.closed() => return,
        };
    }
    // If the reader has left, it need not know.
    reader.send(Err(translate::shutting_down())).await.ok();
}

/// Each change with the revision that it led to; `last` is that of the newest.
fn messages(last: Revision, update: Update) -> Vec<Message> {
    let message = |number, event| Message {
        revision: Some(translate::revision(Revision { number, ..last })),
        event: Some(event),
    };
    match update {
        Update::Snapshot { endpoints, missed } => {
            let endpoints = endpoints.iter().map(translate::endpoint).collect();
            vec![message(last.number, Event::Snapshot(Snapshot { endpoints, missed }))]
        }
        Update::Changes(changes) => {
            let before = last.number.saturating_sub(changes.len() as u64);
            let numbered = (before + 1..).zip(&changes);
            numbered.map(|(number, change)| message(number, translate::change(change))).collect()
        }
    }
}

/// Returns once the daemon has been asked to end: the sender is dropped then, and never sends.
pub(super) async fn closed(closing: &mut watch::Receiver<()>) {
    while closing.changed().await.is_ok() {}
}
