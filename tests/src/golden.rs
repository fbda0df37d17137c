//! Files of expected output. They are compared, and written anew only by `NETMON_BLESS=1`: then the change is reviewed
//! as code. Crates on which `netmon-tests` depends take this file by its path.

use std::{env, fs, path::Path};

/// Whether files are to be written anew.
pub fn is_blessed() -> bool {
    env::var_os("NETMON_BLESS").is_some()
}

/// Compares `now` with the file, or writes it. `is_allowed` is given what the file says, and says why not even a bless
/// may make this change of it.
///
/// # Errors
///
/// The file says something else, and is not to be written; how they differ, a line each.
pub fn check(
    file: &Path,
    now: &str,
    is_allowed: impl FnOnce(&str) -> Result<(), String>,
) -> Result<(), String> {
    let kept = fs::read_to_string(file).unwrap_or_default();
    if kept == now {
        return Ok(());
    }
    let (file, differs) = (file.display(), difference(&kept, now));
    is_allowed(&kept).map_err(|why| format!("{file}: {why}\n{differs}"))?;
    if !is_blessed() {
        return Err(format!("{file} says something else (NETMON_BLESS=1 writes it):\n{differs}"));
    }
    fs::write(file.to_string(), now).map_err(|error| format!("{file}: {error}"))
}

/// The lines that only one of the two has.
fn difference(kept: &str, now: &str) -> String {
    let only = |sign: char, of: &str, other: &str| -> String {
        let lines = of.lines().filter(|line| !other.lines().any(|one| one == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect()
    };
    let differs = only('-', kept, now) + &only('+', now, kept);
    if differs.is_empty() { "the same lines in another order\n".to_owned() } else { differs }
}
