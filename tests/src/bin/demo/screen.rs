//! What the demo prints: at most 80 columns, in colour only on a terminal (<https://no-color.org>).

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::ensure;
use netmon_tests::{daemon::binary, host::Host};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    is_colour: bool,
    acts: u8,
    failures: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_colour: io::stdout().is_terminal() && !no_colour, acts: 0, failures: 0 }
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// An act begins.
    pub(crate) fn act(&mut self, title: &str) -> io::Result<()> {
        self.acts += 1;
        let title = self.paint(BOLD, &format!("{}. {title}", self.acts));
        writeln!(io::stdout(), "\n{title}\n")
    }

    /// A word to the audience, which ends with a newline of its own.
    pub(crate) fn say(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    /// A command as one would type it.
    pub(crate) fn prompt(&self, words: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{}", self.paint(DIM, &format!("$ netmon {words}")))
    }

    /// Runs a verb of the command line in front of the audience.
    pub(crate) fn command(&self, host: &Host, words: &str) -> anyhow::Result<()> {
        self.prompt(words)?;
        let status = host.command(binary()).args(words.split_whitespace()).status()?;
        ensure!(status.success(), "netmon {words}: {status}");
        Ok(())
    }

    /// A tick, or a cross and why.
    pub(crate) fn proof(&mut self, claim: &str, shown: anyhow::Result<()>) -> io::Result<()> {
        match shown {
            Ok(()) => writeln!(io::stdout(), "{} {claim}", self.paint(GREEN, "✓")),
            Err(error) => {
                self.failures += 1;
                writeln!(io::stdout(), "{} NOT SO: {claim}\n  {error:#}", self.paint(RED, "✗"))
            }
        }
    }

    /// How it ended.
    pub(crate) fn end(&self, seconds: f32) -> io::Result<()> {
        let (colour, verdict) = match self.failures {
            0 => (GREEN, "All of it holds".to_owned()),
            1 => (RED, "One claim does not hold".to_owned()),
            failures => (RED, format!("{failures} claims do not hold")),
        };
        let verdict = self.paint(colour, &verdict);
        writeln!(io::stdout(), "\n{verdict} ({seconds:.1} s).")
    }

    fn paint(&self, how: &str, text: &str) -> String {
        if self.is_colour { format!("\x1b[{how}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
