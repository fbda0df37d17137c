//! What must hold before a change goes in; exactly what CI runs.

use anyhow::{Context, Result};

use crate::{
    build, exec,
    setup::{self, Work},
    tidy, workspace,
};

/// Checks rules of the tree, format, lints (of the host's code and of the BPF programs) and docs.
///
/// The quick ones come first. `cargo fmt` repairs the format.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Everything but `netmon-ebpf`, which does not build for the host.
const HOST: [&str; 2] = ["--workspace", "--exclude=netmon-ebpf"];

pub(crate) fn main(_: &Args) -> Result<()> {
    tidy::check()?;
    exec::run("checks the format", workspace::cargo().args(["fmt", "--all", "--check"]))?;

    let tools = setup::tools(&[Work::Build, Work::Check])?;
    // `netmon` embeds the object, so even its lints and docs need one.
    let bpf = build::bpf(&build::Args::default(), &tools)?;

    let mut clippy = workspace::cargo();
    clippy.arg("clippy").args(HOST).args(["--all-targets", "--", "-Dwarnings"]);
    exec::run("lints the host's code", clippy.env(build::BPF_VARIABLE, &bpf))?;

    let driver = tools.compiler.clippy().with_context(|| {
        format!(
            "{} has no cargo-clippy beside it, and the BPF programs need the clippy of their own \
             compiler: rustup component add clippy --toolchain nightly",
            tools.compiler.rustc.display()
        )
    })?;
    // Started by itself, `cargo-clippy` takes the clippy-driver beside it and cargo from `CARGO`.
    let mut clippy = workspace::cargo_plugin(&driver);
    clippy.arg("clippy");
    build::for_bpf(&mut clippy, &tools);
    exec::run("lints the BPF programs", clippy.args(["--", "-Dwarnings"]))?;

    let mut doc = workspace::cargo();
    doc.arg("doc").args(HOST).args(["--no-deps", "--document-private-items"]);
    // These docs are for whoever works here: private items are in them, and may be linked to.
    let flags = "-Dwarnings -Arustdoc::private_intra_doc_links";
    doc.env("RUSTDOCFLAGS", flags).env(build::BPF_VARIABLE, &bpf);
    exec::run("builds the docs", &mut doc)
}
