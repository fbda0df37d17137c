//! What the readers see of the live map: the newest state and the changes that led to it.
//!
//! One writer, many readers, no queue: a reader remembers the revision that it has seen and takes the
//! changes since from the one history. One that was too slow for it gets the whole map.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use netmon_common::limits;
use tokio::sync::watch;

use crate::endpoints::{Change, Endpoint, EndpointTable};

/// A point in the history of one daemon's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Revision {
    /// The daemon's life; another one has another history.
    pub instance: u64,
    /// Counts its changes.
    pub number: u64,
}

/// What a reader gets.
#[derive(Clone, Debug)]
pub enum Update {
    /// Everything there is; what was known before is void. `missed` changes are not told one by one.
    Snapshot {
        /// All endpoints, by TAP, then by rank.
        endpoints: Vec<Endpoint>,
        /// How many changes the reader was too slow for.
        missed: u64,
    },
    /// The changes since, in order.
    Changes(Vec<Change>),
}

#[derive(Debug, Default)]
struct State {
    revision: Revision,
    endpoints: Vec<Endpoint>,
    /// The changes that led to `revision`; the newest is last.
    history: VecDeque<Change>,
}

/// The readers' side; clones see the same.
#[derive(Clone, Debug)]
pub struct View {
    state: Arc<RwLock<State>>,
    news: watch::Receiver<u64>,
}

/// The writer's side.
#[derive(Debug)]
pub struct Publisher {
    state: Arc<RwLock<State>>,
    news: watch::Sender<u64>,
}

/// An empty map in the history `instance`.
pub fn new(instance: u64) -> (Publisher, View) {
    let state = State { revision: Revision { instance, number: 0 }, ..State::default() };
    let state = Arc::new(RwLock::new(state));
    let (sender, receiver) = watch::channel(0);
    (Publisher { state: Arc::clone(&state), news: sender }, View { state, news: receiver })
}

impl Publisher {
    /// Makes the changes visible. `table` is the map after them.
    pub fn publish(&self, table: &EndpointTable, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut endpoints: Vec<Endpoint> = table.iter().cloned().collect();
        endpoints.sort_by_cached_key(|endpoint| {
            (Arc::clone(&endpoint.tap), endpoint.port, endpoint.rank())
        });
        let number = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.revision.number += changes.len() as u64;
            state.endpoints = endpoints;
            state.history.extend(changes);
            let surplus = state.history.len().saturating_sub(limits::HISTORY);
            state.history.drain(..surplus);
            state.revision.number
        };
        self.news.send_replace(number);
    }
}

impl View {
    /// The map as it is now.
    pub fn snapshot(&self) -> (Revision, Vec<Endpoint>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.revision, state.endpoints.clone())
    }

    /// What happened since `since`: `None` where that is not this history, or no longer kept.
    pub fn changes(&self, since: Revision) -> Option<(Revision, Vec<Change>)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if since.instance != state.revision.instance {
            return None;
        }
        let count = usize::try_from(state.revision.number.checked_sub(since.number)?).ok()?;
        let first = state.history.len().checked_sub(count)?;
        Some((state.revision, state.history.range(first..).cloned().collect()))
    }

    /// Waits until there is something after `since`, and gives it. `None` when the daemon ends.
    pub async fn next(&mut self, since: Revision) -> Option<(Revision, Update)> {
        self.news.wait_for(|number| *number > since.number).await.ok()?;
        Some(match self.changes(since) {
            Some((revision, changes)) => (revision, Update::Changes(changes)),
            None => {
                let (revision, endpoints) = self.snapshot();
                let missed = revision.number.saturating_sub(since.number);
                (revision, Update::Snapshot { endpoints, missed })
            }
        })
    }
}

#[cfg(test)]
mod tests;
