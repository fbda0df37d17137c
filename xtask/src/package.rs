//! Debian's packages.

use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;

/// A package, and why it is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

/// Is this a machine with apt?
pub(crate) fn can_install() -> bool {
    exec::find("apt-get").is_some()
}

/// Installs them, and never removes another for their sake.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    // A broken source of somebody else's packages is no reason to stop here.
    if let Err(error) = exec::run("asks for the newest packages", apt().arg("update")) {
        eprintln!("xtask: goes on with the package lists that are there: {error:#}");
    }
    let mut install = apt();
    install.args(["install", "--yes", "--no-install-recommends", "--no-remove"]);
    install.args(packages.iter().map(|package| package.name));
    exec::run("installs packages", &mut install)
        .context("apt has no such packages for this release (`rustc-web` is Debian 12's)")
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    // Another apt, such as an unattended upgrade, is waited for.
    apt.args(["--quiet", "--option", "DPkg::Lock::Timeout=120", "--option", "Dpkg::Use-Pty=0"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
