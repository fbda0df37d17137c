//! What comes through to the host's stack, counted while it comes: a flood is not kept in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, bail};
use netmon_tests::{host::Host, witness::Witness};

use crate::forbidden::{self, Sender};

/// What has come through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    /// All frames.
    pub(crate) frames: u64,
    /// Those of them that no guest may send, by why: how many, and the first.
    pub(crate) forbidden: BTreeMap<&'static str, (u64, Vec<u8>)>,
    /// How many the witness was too slow to see.
    pub(crate) missed: u64,
}

impl Arrived {
    pub(crate) fn forbidden(&self) -> u64 {
        self.forbidden.values().map(|(count, _)| count).sum()
    }
}

/// A witness on a thread of its own, until its end is asked for.
pub(crate) struct Tally {
    thread: Option<JoinHandle<anyhow::Result<Arrived>>>,
    last_seen: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Tally {
    /// Counts on this interface of the host until the frame `last` has come.
    pub(crate) fn start(
        host: &Host,
        index: u32,
        sender: Sender,
        last: Vec<u8>,
    ) -> anyhow::Result<Self> {
        let witness = Witness::new(host, index)?;
        let (last_seen, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let flags = (Arc::clone(&last_seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut arrived = Arrived::default();
            while !flags.1.load(Ordering::Relaxed) {
                let Some(frame) = witness.next()? else {
                    arrived.missed += witness.missed()?;
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                if frame == last {
                    flags.0.store(true, Ordering::Relaxed);
                    continue;
                }
                arrived.frames += 1;
                if let Some(why) = forbidden::why(&frame, &sender) {
                    let (count, _) = arrived.forbidden.entry(why).or_insert((0, frame));
                    *count += 1;
                }
            }
            arrived.missed += witness.missed()?;
            Ok(arrived)
        });
        Ok(Self { thread: Some(thread), last_seen, stop })
    }

    /// Whether the last frame has come: so has whatever was sent before it.
    pub(crate) fn has_seen_last(&self) -> bool {
        self.last_seen.load(Ordering::Relaxed)
    }

    /// What has come.
    pub(crate) fn end(mut self) -> anyhow::Result<Arrived> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended")?;
        thread.join().unwrap_or_else(|_| bail!("the witness panicked"))
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
