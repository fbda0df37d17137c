//! Waiting for an event, with a deadline that is a failure, never a guess.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

/// How long anything may take on a loaded machine. Nothing waits this long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer.
///
/// # Errors
///
/// `what` has not come within [`PATIENCE`], or asking failed.
pub fn until<T>(what: &str, ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    asking(what, ask, || thread::sleep(Duration::from_millis(10)))
}

/// … without a pause: for who races.
///
/// # Errors
///
/// As for [`until`].
pub fn until_spinning<T>(
    what: &str,
    ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    asking(what, ask, thread::yield_now)
}

fn asking<T>(
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
    pause: impl Fn(),
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("{what}: not within {PATIENCE:?}");
        }
        pause();
    }
}
