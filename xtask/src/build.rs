//! Builds the BPF programs, and the daemon around them.
//!
//! Two steps, and no `build.rs` in `netmon`: one BPF build serves every profile of the host, and what
//! goes into the daemon is the object of this very tree. `netmon` embeds what `NETMON_BPF` names.

use std::{env::consts::ARCH, ffi::OsStr, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::{
    exec, linker,
    setup::{self, Tools, Work},
    workspace,
};

/// Names the BPF object to whoever embeds or loads it.
pub(crate) const BPF_VARIABLE: &str = "NETMON_BPF";

/// Little endian, as every machine is that netmon is built for.
const TARGET: &str = "bpfel-unknown-none";

/// Builds netmon: target/debug/netmon, or target/release/netmon.
#[derive(clap::Args, Clone, Default)]
#[command(after_help = "Example: cargo xtask build --release")]
pub(crate) struct Args {
    /// Builds the daemon for use, with all optimisations. (The BPF programs always have them.)
    #[arg(long)]
    release: bool,
    /// A feature of the daemon and of the BPF programs: `bpf-log` compiles in debug messages of the
    /// BPF side.
    #[arg(long, value_name = "FEATURE")]
    features: Vec<String>,
}

/// What a build leaves, as absolute paths.
pub(crate) struct Built {
    pub(crate) bpf: PathBuf,
    pub(crate) netmon: PathBuf,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let built = build(args, &setup::tools(&[Work::Build])?)?;
    println!("{}", built.netmon.display());
    Ok(())
}

/// Builds both.
pub(crate) fn build(args: &Args, tools: &Tools) -> Result<Built> {
    let bpf = bpf(args, tools)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "netmon"]).env(BPF_VARIABLE, &bpf);
    cargo.args(args.features.iter().flat_map(|feature| ["--features", feature]));
    if args.release {
        cargo.arg("--release");
    }
    exec::run("builds netmon", &mut cargo)?;
    let profile = if args.release { "release" } else { "debug" };
    let netmon = workspace::target().join(profile).join("netmon");
    ensure!(
        netmon.is_file(),
        "{} is not there after the build: unset CARGO_BUILD_TARGET",
        netmon.display()
    );
    Ok(Built { bpf, netmon })
}

/// Builds the BPF programs; where the object lies.
pub(crate) fn bpf(args: &Args, tools: &Tools) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.arg("build");
    for_bpf(&mut cargo, tools);
    cargo.args(args.features.iter().flat_map(|feature| ["--features", feature]));
    exec::run("builds the BPF programs", &mut cargo)?;
    Ok(target().join(TARGET).join("release/netmon-ebpf"))
}

/// Completes a cargo command so that it is about the BPF programs.
pub(crate) fn for_bpf(cargo: &mut Command, tools: &Tools) {
    let flags = [
        // aya-ebpf reads the registers of the machine that the programs will run on.
        format!("--cfg=bpf_target_arch=\"{ARCH}\""),
        // The linker makes BTF of the debug info.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clink-arg={}", linker::CPU_FEATURES),
    ];
    cargo
        .args(["--package=netmon-ebpf", "--bin=netmon-ebpf", "--release"])
        .args(["-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(target())
        // `RUSTC` leaves rustup's toolchains alone, and cargo is content with a rustc of another version.
        .env("RUSTC", &tools.compiler.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("RUSTFLAGS", flags.join(" "));
    // What the user has set for the host is not meant for BPF.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
}

/// A folder of its own: the host's builds and these do not wait for one another.
fn target() -> PathBuf {
    workspace::target().join("bpf")
}

/// The environment of the tests and the demo.
pub(crate) fn environment(built: &Built) -> [(&'static str, &OsStr); 2] {
    [(BPF_VARIABLE, built.bpf.as_os_str()), ("NETMON_BIN", built.netmon.as_os_str())]
}
