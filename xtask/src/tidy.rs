//! The rules of the tree that no compiler knows: sizes, names, layers.
//!
//! Each rule looks at one text and says where it is broken and what to do; all breaches are listed at
//! once.

mod code;
mod faults;
mod layers;
mod manifest;
mod names;
mod reasons;
mod size;

use std::{fmt, fs, io::ErrorKind, process::Command};

use anyhow::{Context, Result, bail};

use crate::{exec, workspace};

/// A file of the tree.
struct File {
    /// Its path in the tree, joined by `/`.
    path: String,
    text: String,
}

/// Where a rule is broken, and the remedy.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    path: String,
    line: usize,
    remedy: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.remedy)
    }
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn breach(&self, line: usize, remedy: String) -> Breach {
        Breach { path: self.path.clone(), line, remedy }
    }
}

/// Looks at each file that git knows or would add.
pub(crate) fn check() -> Result<()> {
    eprintln!("xtask: checks the rules of the tree");
    let files = files()?;
    let mut breaches = reasons::breaches(&files);
    breaches.extend(faults::breaches(&files));
    for file in &files {
        breaches.extend(names::words(file));
        if file.is_rust() {
            let code = code::of(&file.text);
            breaches.extend(size::breaches(file));
            breaches.extend(names::modules(file, &code));
            breaches.extend(layers::unsafe_code(file, &code));
            breaches.extend(layers::crates(file, &code));
        }
        if file.path.ends_with("Cargo.toml") {
            breaches.extend(manifest::breaches(file));
        }
    }
    if breaches.is_empty() {
        return Ok(());
    }
    let list = breaches.iter().map(Breach::to_string).collect::<Vec<_>>().join("\n  ");
    bail!("{} rules of the tree are broken (xtask/src/tidy.rs):\n  {list}", breaches.len())
}

fn files() -> Result<Vec<File>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = exec::output(list.current_dir(workspace::root()))?;
    let mut files = vec![];
    for path in list.split_terminator('\0') {
        match fs::read_to_string(workspace::root().join(path)) {
            Ok(text) => files.push(File { path: path.to_owned(), text }),
            // Not text; or removed, and git not yet told.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        }
    }
    Ok(files)
}

/// A file for the rules' own tests.
#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

/// The lines at which rules are broken, for their own tests.
#[cfg(test)]
fn lines(breaches: impl IntoIterator<Item = Breach>) -> Vec<usize> {
    breaches.into_iter().map(|breach| breach.line).collect()
}
