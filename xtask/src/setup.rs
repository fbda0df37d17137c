//! Set-up: finds what the work needs, and installs what is missing.

use std::path::PathBuf;

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::{
    compiler::{self, Compiler},
    exec, linker,
    package::{self, Package},
};

/// Finds or installs what building, testing and checking need.
///
/// Looked for, in this order: a compiler for BPF (what NETMON_BPF_RUSTC names; rustup's nightly or
/// stable, if it has rust-src; /usr/bin/rustc with its source), and a bpf-linker (what
/// NETMON_BPF_LINKER names; PATH; the folder of tools, which is NETMON_TOOLS or ~/.cache/netmon).
/// On Debian, what is missing is installed by apt and cargo, after a word about it.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

/// What work is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Build,
    /// The tests and the demo.
    Test,
    /// Formatting, lints, docs.
    Check,
}

/// Programs that the tests and the demo call by name.
const PROGRAMS: &[(&str, Package)] = &[(
    "ip",
    Package { name: "iproute2", reason: "namespaces, bridges and addresses of tests and demo" },
)];

const RUSTC: [Package; 2] = [
    Package { name: "rustc-web", reason: "a compiler whose source Debian has" },
    Package { name: "rust-web-src", reason: "that source: `core` is built for BPF from it" },
];
const CLIPPY: Package = Package { name: "rust-web-clippy", reason: "lints the BPF programs" };
const LLVM: Package = Package { name: "llvm-22-dev", reason: "bpf-linker is built on it" };

/// What a person does where set-up cannot.
const BY_HAND: &str = "or provide a compiler with its source, and a linker, yourself:
  rustup toolchain install nightly --component rust-src --component clippy
  cargo install cargo-binstall && cargo binstall bpf-linker";

/// The tools of a BPF build.
pub(crate) struct Tools {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

pub(crate) fn main(_: &Args) -> Result<()> {
    tools(&[Work::Build, Work::Test, Work::Check]).map(|tools| {
        println!("compiler  {} ({})", tools.compiler.rustc.display(), tools.compiler.version);
        println!("linker    {}", tools.linker.display());
    })
}

/// The tools; what is missing for `work` is installed first.
pub(crate) fn tools(work: &[Work]) -> Result<Tools> {
    let search = compiler::search()?;
    let linker = linker::search()?;
    let packages = missing(work, search.found.as_ref(), linker.is_some());
    if let (Some(compiler), Some(linker), []) = (search.found, linker.clone(), &*packages) {
        return Ok(Tools { compiler, linker });
    }
    announce(&packages, linker.is_none(), &search.rejected)?;
    if !packages.is_empty() {
        allowed(&packages)?;
        package::install(&packages).map_err(|error| with_remedy(&error))?;
    }
    let compiler = compiler::search()?;
    let Some(found) = compiler.found else {
        bail!("no compiler for BPF after set-up:\n  {}\n{BY_HAND}", compiler.rejected.join("\n  "))
    };
    if linker.is_none() {
        linker::suits(&found)?;
        linker::install().map_err(|error| with_remedy(&error))?;
    }
    let linker = linker::search()?.context("no bpf-linker after it was installed")?;
    Ok(Tools { compiler: found, linker })
}

fn missing(work: &[Work], compiler: Option<&Compiler>, has_linker: bool) -> Vec<Package> {
    let mut packages = vec![];
    if compiler.is_none() {
        packages.extend(RUSTC);
    }
    // Another compiler's clippy comes with that compiler; `check` says how.
    let is_debians = compiler.is_none_or(Compiler::is_system);
    let has_clippy = compiler.is_some_and(|compiler| compiler.clippy().is_some());
    if work.contains(&Work::Check) && is_debians && !has_clippy {
        packages.push(CLIPPY);
    }
    if !has_linker && !linker::has_llvm() {
        packages.push(LLVM);
    }
    if work.contains(&Work::Test) {
        let absent = PROGRAMS.iter().filter(|(program, _)| exec::find(program).is_none());
        packages.extend(absent.map(|(_, package)| *package));
    }
    packages
}

/// Says what will be installed, before it is.
fn announce(packages: &[Package], builds_linker: bool, rejected: &[String]) -> Result<()> {
    eprintln!("xtask: this machine lacks what netmon needs. To be installed:");
    for Package { name, reason } in packages {
        eprintln!("  {name:16} by apt: {reason}");
    }
    if builds_linker {
        let tools = linker::tools()?;
        eprintln!("  {:16} by cargo, into {}: links BPF programs", "bpf-linker", tools.display());
    }
    if !rejected.is_empty() {
        eprintln!("  (compilers that will not do: {})", rejected.join("; "));
    }
    Ok(())
}

fn allowed(packages: &[Package]) -> Result<()> {
    let names = packages.iter().map(|package| package.name).collect::<Vec<_>>().join(" ");
    let what = format!("set-up has to install {names}");
    if !package::can_install() {
        bail!("{what}, and there is no apt here: provide what Debian calls so, {BY_HAND}")
    }
    exec::need_root(&what, "setup").map_err(|error| with_remedy(&error))
}

fn with_remedy(error: &Error) -> Error {
    anyhow!("{error:#},\n{BY_HAND}")
}
