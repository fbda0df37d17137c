//! Finds a compiler for BPF.
//!
//! `bpfel-unknown-none` has no prebuilt `core`, so it takes a rustc with the *matching* source of `core`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::exec;

/// Names a rustc; nothing else is then looked at.
pub(crate) const VARIABLE: &str = "NETMON_BPF_RUSTC";

/// Where a distribution puts its compiler.
pub(crate) const SYSTEM: &str = "/usr/bin/rustc";

/// The first LLVM that knows `allows-misaligned-mem-access` for BPF. Without it each read of a header is
/// made of single bytes, and the programs exceed the 512 bytes of stack that BPF has.
pub(crate) const MIN_LLVM: u32 = 22;

/// A rustc that can build for BPF.
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) version: String,
    pub(crate) llvm: u32,
}

impl Compiler {
    fn probe(rustc: PathBuf) -> Result<Self, String> {
        if !exec::is_executable(&rustc) {
            return Err(format!("{}: no such program", rustc.display()));
        }
        let ask = |question: &str| {
            exec::output(Command::new(&rustc).arg(question))
                .map_err(|error| format!("{}: {error}", rustc.display()))
        };
        let version = ask("-vV")?;
        let llvm = llvm_major(&version).unwrap_or(0);
        let version = version.lines().next().unwrap_or_default().to_owned();
        if llvm < MIN_LLVM {
            return Err(format!(
                "{}: built on LLVM {llvm}, BPF needs {MIN_LLVM} or newer",
                rustc.display()
            ));
        }
        let sysroot = ask("--print=sysroot")?;
        let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
        if !core.is_file() {
            return Err(format!("{}: without the source of `core` (rust-src)", rustc.display()));
        }
        Ok(Self { rustc, version, llvm })
    }

    /// The clippy of the very same compiler: another would read none of its `core`.
    pub(crate) fn clippy(&self) -> Option<PathBuf> {
        Some(self.rustc.with_file_name("cargo-clippy")).filter(|file| exec::is_executable(file))
    }

    /// Is it the distribution's, so that apt can complete it?
    pub(crate) fn is_system(&self) -> bool {
        self.rustc == Path::new(SYSTEM)
    }
}

/// What a search brought.
pub(crate) struct Search {
    pub(crate) found: Option<Compiler>,
    /// One line for each that was looked at and will not do.
    pub(crate) rejected: Vec<String>,
}

/// Looks at what the user names, then at rustup's toolchains, then at the system's compiler.
pub(crate) fn search() -> Result<Search> {
    if let Some(named) = env::var_os(VARIABLE) {
        let compiler = Compiler::probe(std::path::absolute(named).context(VARIABLE)?)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{VARIABLE} names a compiler that will not do"))?;
        return Ok(Search { found: Some(compiler), rejected: vec![] });
    }
    let mut rejected = vec![];
    // Stable does as well as nightly: the unstable flags are opened by RUSTC_BOOTSTRAP.
    let toolchains = ["nightly", "stable"].into_iter().filter_map(of_rustup);
    for rustc in toolchains.chain([SYSTEM.into()]) {
        match Compiler::probe(rustc) {
            Ok(compiler) => return Ok(Search { found: Some(compiler), rejected }),
            Err(why) => rejected.push(why),
        }
    }
    Ok(Search { found: None, rejected })
}

/// The rustc of a toolchain of rustup, if there is one.
fn of_rustup(toolchain: &str) -> Option<PathBuf> {
    let rustup = exec::find("rustup")?;
    let mut which = Command::new(rustup);
    which.args(["which", "--toolchain", toolchain, "rustc"]);
    // A question, not an order: rustup would fetch a toolchain that is not there.
    which.env("RUSTUP_AUTO_INSTALL", "0");
    exec::output(&mut which).ok().map(|path| PathBuf::from(path.trim()))
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_a_compiler_is_read() {
        assert_eq!(llvm_major("release: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("release: 1.96.0\n"), None);
    }

    #[test]
    fn what_is_no_compiler_is_refused_by_name() {
        let why = |path: &str| Compiler::probe(path.into()).err();
        assert_eq!(why("/nowhere/rustc"), Some("/nowhere/rustc: no such program".to_owned()));
        let sh = exec::find("false").unwrap_or_default();
        assert!(why(&sh.to_string_lossy()).is_some_and(|why| why.contains("exit status")));
    }
}
