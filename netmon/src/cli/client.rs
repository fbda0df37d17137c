//! The way to the daemon.

use std::{path::PathBuf, time::Duration};

use netmon_api::Client;
use netmon_common::limits;
use tonic::Request;

use super::failure::Failure;

/// How long the daemon has for an answer. A stream may last; a frozen daemon must not hold up a script.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of an answer: as many endpoints as there can be, each with all its text.
const ANSWER_BYTES: usize = limits::BINDINGS as usize * 256;

// No doc comment: clap would take it for the verb's.
#[derive(Debug, clap::Args)]
pub(super) struct Daemon {
    /// The daemon's socket
    #[arg(long, value_name = "PATH", env = "NETMON_SOCKET", hide_env = true)]
    #[arg(default_value = netmon_api::DEFAULT_SOCKET)]
    pub(super) socket: PathBuf,
}

impl Daemon {
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let client = netmon_api::connect(&self.socket).await?;
        Ok(client.max_decoding_message_size(ANSWER_BYTES))
    }
}

/// A request that is to be answered once, and soon.
pub(super) fn ask<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER);
    request
}
