//! Finds, and makes, bpf-linker.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{
    compiler::{Compiler, MIN_LLVM},
    exec, workspace,
};

/// Names a bpf-linker; nothing else is then looked at.
pub(crate) const VARIABLE: &str = "NETMON_BPF_LINKER";

/// Names the folder in which set-up keeps what it builds.
pub(crate) const TOOLS_VARIABLE: &str = "NETMON_TOOLS";

/// The version that set-up builds: the newest, and it knows `RELEASE_LLVM`.
const RELEASE: &str = "0.13.0";

/// The LLVM that set-up builds it for: the newest of Debian 12.
const RELEASE_LLVM: u32 = MIN_LLVM;

/// Where Debian's `llvm-22-dev` puts it.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// What the kernel allows and LLVM must be told (see `MIN_LLVM`). Given to the linker, which does the
/// code generation: rustc would warn of it in each crate.
pub(crate) const CPU_FEATURES: &str = "--cpu-features=+allows-misaligned-mem-access";

/// Looks at what the user names, then in `PATH`, then in the folder of tools.
pub(crate) fn search() -> Result<Option<PathBuf>> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = std::path::absolute(named).context(VARIABLE)?;
        probe(&named).with_context(|| format!("{VARIABLE} names a bpf-linker that will not do"))?;
        return Ok(Some(named));
    }
    let candidates = exec::find("bpf-linker").into_iter().chain([in_tools()?]);
    Ok(candidates.filter(|file| exec::is_executable(file)).find(|file| match probe(file) {
        Ok(()) => true,
        Err(why) => {
            eprintln!("xtask: passes over this bpf-linker: {why:#}");
            false
        }
    }))
}

/// Does it run, and is its LLVM new enough? It does not tell its LLVM's version, but an older one
/// complains of the feature.
fn probe(linker: &Path) -> Result<()> {
    exec::output(Command::new(linker).arg("--version"))?;
    let folder = workspace::target();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let empty = folder.join("bpf-linker-probe.ll");
    fs::write(&empty, "target triple = \"bpfel\"\n")
        .with_context(|| format!("cannot write {}", empty.display()))?;
    let said = Command::new(linker)
        .arg(CPU_FEATURES)
        .arg("--output")
        .arg(empty.with_extension("o"))
        .arg(&empty)
        .output()
        .with_context(|| format!("cannot start {}", linker.display()))?
        .stderr;
    let refused = String::from_utf8_lossy(&said).contains("not a recognized feature");
    ensure!(!refused, "{}: built for an LLVM older than {MIN_LLVM}", linker.display());
    Ok(())
}

/// Can the one that set-up builds read what this compiler writes?
pub(crate) fn suits(compiler: &Compiler) -> Result<()> {
    ensure!(
        compiler.llvm <= RELEASE_LLVM,
        "{} is built on LLVM {}, and set-up knows how to build bpf-linker for LLVM {RELEASE_LLVM} \
         only: install a newer bpf-linker (cargo binstall bpf-linker), or name one by {VARIABLE}",
        compiler.version,
        compiler.llvm
    );
    Ok(())
}

/// Is the LLVM there that it is linked with?
pub(crate) fn has_llvm() -> bool {
    exec::is_executable(&Path::new(LLVM_PREFIX).join("bin/llvm-config"))
}

/// Builds it into the folder of tools.
pub(crate) fn install() -> Result<()> {
    let llvm = Path::new(LLVM_PREFIX).join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([llvm].into_iter().chain(env::split_paths(&path)))?;
    let mut cargo = workspace::cargo();
    cargo
        .args(["install", "bpf-linker", "--locked", "--force", "--version", RELEASE])
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{RELEASE_LLVM}"))
        .arg("--root")
        .arg(tools()?)
        .env("LLVM_PREFIX", LLVM_PREFIX)
        .env("PATH", path);
    exec::run(&format!("builds bpf-linker {RELEASE} (about a minute)"), &mut cargo)
}

fn in_tools() -> Result<PathBuf> {
    Ok(tools()?.join("bin/bpf-linker"))
}

/// The folder of tools.
pub(crate) fn tools() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named(TOOLS_VARIABLE)
        .or_else(|| Some(named("XDG_CACHE_HOME")?.join("netmon")))
        .or_else(|| Some(named("HOME")?.join(".cache/netmon")))
        .ok_or_else(|| anyhow!("nowhere to keep bpf-linker: set {TOOLS_VARIABLE} or HOME"))
}
