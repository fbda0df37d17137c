//! What can be asked of the daemon's one loop, and what it answers.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{
    policy::PolicyOrder,
    ports::PortError,
    report::{Counters, PortStatus},
};

/// A question, with the place for its answer.
#[derive(Debug)]
pub enum Command {
    /// What is attached and how, read back from the kernel.
    ListPorts(oneshot::Sender<Vec<PortStatus>>),
    /// The counters, of one TAP or all.
    Counters(Option<Arc<str>>, oneshot::Sender<Result<Counters, PortError>>),
    /// Protect this TAP, whatever the globs say.
    Attach(Arc<str>, oneshot::Sender<Result<PortStatus, PortError>>),
    /// Take the programs off this TAP.
    Detach(Arc<str>, oneshot::Sender<Result<(), PortError>>),
    /// Change what this TAP's guest may do.
    SetPolicy(PolicyOrder, oneshot::Sender<Result<PortStatus, PortError>>),
}

/// The way to the loop.
pub type Commands = mpsc::Sender<Command>;

/// Asks the loop, and waits for its answer; `None`: the daemon is shutting down.
pub async fn ask<T>(
    commands: &Commands,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    commands.send(command(sender)).await.ok()?;
    receiver.await.ok()
}
