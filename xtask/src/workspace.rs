//! Where things are, and the cargo that builds them.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    // A relative one is meant from where the user stands.
    env::var_os("CARGO_TARGET_DIR")
        .and_then(|folder| std::path::absolute(folder).ok())
        .unwrap_or_else(|| root().join("target"))
}

/// The cargo that runs this program, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    clean(&env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A `cargo-<name>` that is not the one beside cargo. It finds cargo by the variable `CARGO`.
pub(crate) fn cargo_plugin(plugin: &Path) -> Command {
    clean(plugin.as_os_str())
}

fn clean(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        command.env("CARGO_TARGET_DIR", target());
    }
    // `cargo run` told xtask about xtask. A build script that asks to run again when such a variable
    // changes would do so at each turn between `cargo xtask build` and `cargo build`.
    for (name, _) in env::vars_os() {
        let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if own.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
