//! The demo, `cargo xtask demo`: a host with three guests, the real daemon between them, and proofs.
//!
//! `netmon_tests::guard` sees to it that nothing outlives it; the rest is a play in five acts.

mod acts;
mod attack;
mod ledger;
mod screen;
mod watch;

use std::{io, process::ExitCode};

use netmon_tests::guard;
use screen::Screen;

fn main() -> ExitCode {
    guard::alone("demo", play).unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn play() -> ExitCode {
    let mut screen = Screen::new();
    match acts::play(&mut screen) {
        Ok(()) if !screen.has_failed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) if is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the demo cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The reader, say `head`, has had enough: it wants no complaint.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
