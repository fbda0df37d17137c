//! The Unix socket that the daemon listens on.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use tokio::net::UnixListener;

/// Binds the socket. One that a killed daemon has left is replaced; one that answers is not.
///
/// # Errors
///
/// The path is another daemon's, or cannot be bound.
pub(crate) fn listen(path: &Path) -> anyhow::Result<(UnixListener, RemoveOnDrop)> {
    let shown = path.display();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot make the socket's directory", parent.display()))?;
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            return Err(anyhow!(
                "{shown}: another daemon answers here (stop it, or choose another --socket)"
            ));
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path)
                .with_context(|| format!("{shown}: cannot remove the socket of a dead daemon"))?;
        }
        // What else is there is no socket, or nothing.
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("{shown}: cannot listen (is it a file of something else? choose another --socket)")
    })?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("{shown}: chmod 0660"))?;
    Ok((listener, RemoveOnDrop(path.to_owned())))
}

/// The socket goes with the daemon.
pub(crate) struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _may_be_gone = fs::remove_file(&self.0);
    }
}
