//! One reader of the refused frames.

use std::sync::Arc;

use netmon_api::v0::{
    NetmonServiceWatchDropsResponse as Message, netmon_service_watch_drops_response::Event,
};
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
    mpsc, watch,
};
use tonic::Status;

use super::{translate, watch::closed};
use crate::drops::Refused;

/// Tells `reader` of the refused frames of one TAP, or of all, until the reader leaves or the daemon ends.
pub(super) async fn feed(
    mut frames: Receiver<Arc<Refused>>,
    tap: Option<Arc<str>>,
    reader: mpsc::Sender<Result<Message, Status>>,
    mut closing: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    loop {
        let next = tokio::select! {
            next = frames.recv() => next,
            () = closed(&mut closing) => Err(RecvError::Closed),
            () = reader.closed() => return,
        };
        let event = match next {
            Ok(refused) if tap.as_ref().is_none_or(|tap| *tap == refused.tap) => {
                Event::Refused(translate::refused_frame(&refused))
            }
            Ok(_) => continue,
            Err(RecvError::Lagged(missed)) => Event::Missed(missed),
            Err(RecvError::Closed) => break,
        };
        if reader.send(Ok(Message { event: Some(event) })).await.is_err() {
            return;
        }
    }
    // If the reader has left, it need not know.
    reader.send(Err(translate::shutting_down())).await.ok();
}
