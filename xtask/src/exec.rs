//! Runs commands, and shows them.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Error, Result, anyhow, ensure};

/// Says what is about to be done and by which command, and does it.
pub(crate) fn run(purpose: &str, command: &mut Command) -> Result<()> {
    announce(purpose, command);
    let status = command.status().with_context(|| cannot_start(command))?;
    ensure!(status.success(), "{purpose}: {status} of\n  {}", shown(command));
    Ok(())
}

/// Runs a short question, without a word unless it fails; what it says on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| cannot_start(command))?;
    let said = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{status} of\n  {}\n{}", shown(command), said.trim_end());
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Becomes the command, so that Ctrl-C and the exit code are its own. Returns only if it cannot start.
pub(crate) fn become_it(purpose: &str, command: &mut Command) -> Error {
    announce(purpose, command);
    Error::new(command.exec()).context(cannot_start(command))
}

/// Where a program lies: in `PATH`, or where Debian keeps what only root needs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

pub(crate) fn is_root() -> bool {
    // The owner of this folder is the effective user; so no `unsafe`, no libc.
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Fails with one sentence where `what` needs root. `PATH` is handed on because sudo puts its own in
/// place, in which there is no `~/.cargo/bin`.
pub(crate) fn need_root(what: &str, verb: &str) -> Result<()> {
    ensure!(is_root(), "{what}: run as root (sudo -E env PATH=\"$PATH\" cargo xtask {verb})");
    Ok(())
}

/// The command as it can be pasted into a shell.
fn shown(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    // The path of cargo is as long as it is dull.
    let is_cargo = Path::new(command.get_program()).file_name() == Some(OsStr::new("cargo"));
    let program = if is_cargo { OsStr::new("cargo") } else { command.get_program() };
    let words = [program].into_iter().chain(command.get_args()).map(quoted);
    set.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn announce(purpose: &str, command: &Command) {
    eprintln!("xtask: {purpose}\n  {}", shown(command));
}

fn cannot_start(command: &Command) -> Error {
    anyhow!("cannot start `{}`", shown(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_pasted() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["build", "it's", ""]).env("FLAGS", "a b").env_remove("GONE");
        assert_eq!(shown(&command), r"FLAGS='a b' cargo build 'it'\''s' ''");
    }

    #[test]
    fn a_failure_shows_the_whole_command_and_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        let error = error.map_err(|error| error.to_string());
        assert_eq!(error, Err("exit status: 3 of\n  sh -c 'echo why >&2; exit 3'\nwhy".to_owned()));
    }

    #[test]
    fn a_program_is_found_by_name() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
