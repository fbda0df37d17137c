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
    /// The fuzzer, on top of the tests.
    Fuzz,
    /// The attackers, and the tier of tests that runs them.
    Attack,
    /// Formatting, lints, docs.
    Check,
}

/// Programs that the tests and the demo call by name.
const PROGRAMS: &[(&str, Package)] = &[
    (
        "ip",
        Package { name: "iproute2", reason: "namespaces, bridges and addresses of tests and demo" },
    ),
    ("systemd-analyze", Package { name: "systemd", reason: "checks the unit of the service" }),
    ("ping", Package { name: "iputils-ping", reason: "asks whether a guest still answers" }),
    ("curl", Package { name: "curl", reason: "dials guests by their URLs" }),
];

/// Programs that attack.
const ATTACKERS: &[(&str, Package)] = &[
    ("atk6-fake_router26", Package { name: "thc-ipv6", reason: "attacks a host of the tests" }),
    ("ra6", Package { name: "ipv6toolkit", reason: "likewise: the SI6 tools" }),
    ("scapy", Package { name: "python3-scapy", reason: "likewise: frames that these miss" }),
];

const RUSTC: [Package; 3] = [
    Package { name: "rustc-web", reason: "a compiler whose source Debian has" },
    Package { name: "rust-web-src", reason: "that source: `core` is built for BPF from it" },
    CLIPPY,
];
const CLIPPY: Package = Package { name: "rust-web-clippy", reason: "lints the BPF programs" };
const LLVM: Package = Package { name: "llvm-22-dev", reason: "bpf-linker is built on it" };

const CPP: Package = Package { name: "g++", reason: "libFuzzer is built with it" };

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
    tools(&[Work::Build, Work::Test, Work::Attack, Work::Check]).map(|tools| {
        println!("compiler  {} ({})", tools.compiler.rustc.display(), tools.compiler.version);
        println!("linker    {}", tools.linker.display());
    })
}

/// The tools; what is missing for `work` is installed first.
pub(crate) fn tools(work: &[Work]) -> Result<Tools> {
    let search = compiler::search()?;
    let linker = linker::search()?;
    let packages = missing(work, search.found.as_ref(), linker.is_some());
    let (compiler, linker) = match (search.found, linker, packages.is_empty()) {
        (Some(compiler), Some(linker), true) => return Ok(Tools { compiler, linker }),
        (compiler, linker, _) => (compiler, linker),
    };
    if let (Some(compiler), None) = (&compiler, &linker) {
        linker::suits(compiler)?;
    }
    if !packages.is_empty() {
        allowed(&packages)?;
    }
    announce(&packages, linker.is_none())?;
    if compiler.is_none() {
        eprintln!("  (no compiler for BPF: {})", search.rejected.join("; "));
    }
    if !packages.is_empty() {
        package::install(&packages).map_err(|error| with_remedy(&error))?;
    }
    after_packages(linker)
}

/// With the packages in place: the compiler is there, and the linker can be built.
fn after_packages(linker: Option<PathBuf>) -> Result<Tools> {
    let search = compiler::search()?;
    let Some(compiler) = search.found else {
        bail!("no compiler for BPF after set-up:\n  {}\n{BY_HAND}", search.rejected.join("\n  "))
    };
    if let Some(linker) = linker {
        return Ok(Tools { compiler, linker });
    }
    linker::suits(&compiler)?;
    linker::install().map_err(|error| with_remedy(&error))?;
    let linker = linker::search()?.context("no bpf-linker that will do after one was built")?;
    Ok(Tools { compiler, linker })
}

fn missing(work: &[Work], compiler: Option<&Compiler>, has_linker: bool) -> Vec<Package> {
    let mut packages = vec![];
    match compiler {
        None => packages.extend(RUSTC),
        // Another compiler's clippy comes with that compiler; `check` says how.
        Some(compiler) => {
            let lacks_clippy = compiler.is_system() && compiler.clippy().is_none();
            packages.extend((work.contains(&Work::Check) && lacks_clippy).then_some(CLIPPY));
        }
    }
    if !has_linker && !linker::has_llvm() {
        packages.push(LLVM);
    }
    let compiles_cpp = exec::find("c++").is_some();
    packages.extend((work.contains(&Work::Fuzz) && !compiles_cpp).then_some(CPP));
    for (of, programs) in [(Work::Test, PROGRAMS), (Work::Attack, ATTACKERS)] {
        let absent = programs.iter().filter(|(program, _)| exec::find(program).is_none());
        packages.extend(absent.filter(|_| work.contains(&of)).map(|(_, package)| *package));
    }
    packages
}

/// Says what will be installed, before it is.
fn announce(packages: &[Package], builds_linker: bool) -> Result<()> {
    eprintln!("xtask: this machine lacks what netmon needs. To be installed:");
    for Package { name, reason } in packages {
        eprintln!("  {name:16} by apt: {reason}");
    }
    if builds_linker {
        let tools = linker::tools()?;
        eprintln!("  {:16} by cargo, into {}: links BPF programs", "bpf-linker", tools.display());
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
