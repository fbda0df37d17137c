//! show: the gRPC service on the daemon's Unix socket. Translation only: what is decided is decided
//! before it comes here, and each sentence is handed on whole.

mod names;
mod policy;
mod refused;
mod service;
mod translate;
mod watch;

#[cfg(test)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod tests;

use std::time::Duration;

use netmon_api::v0::netmon_service_server::NetmonServiceServer;
use tokio::net::UnixListener;
use tokio_stream::{StreamExt as _, wrappers::UnixListenerStream};
use tonic::transport::Server;
use tonic_health::ServingStatus;

pub use netmon_api::DEFAULT_SOCKET;

use self::service::Service;
pub(crate) use self::{
    names::{NoTapName, tap_name},
    policy::{read as read_policy, written as written_policy},
};
use crate::{command::Commands, drops::DropFeed, kernel::tap::TapMaker, view::View};

/// What can be watched.
#[derive(Clone, Debug)]
pub struct Feeds {
    /// The live map.
    pub view: View,
    /// The frames that are refused.
    pub drops: DropFeed,
}

/// Bytes of a request: the longest holds a name.
const REQUEST_BYTES: usize = 4096;

/// Calls and streams that one connection may have open; each stream is counted in
/// [`limits::WATCHERS`](netmon_common::limits::WATCHERS) as well.
const CALLS_PER_CONNECTION: u32 = 64;

/// A peer that is silent for this long is asked whether it is there …
const KEEPALIVE: Duration = Duration::from_secs(30);

/// … and has this long to answer, so that no dead reader holds a stream.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Between two attempts to accept a connection when there is no descriptor left for it.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the contract, health and reflection on `listener` until `shutdown`, then as long as calls are
/// open. A watch of endpoints ends at once; one of the health service never would: the daemon has a
/// deadline.
///
/// # Errors
///
/// The server cannot go on, which ends the daemon.
pub async fn serve(
    listener: UnixListener,
    feeds: Feeds,
    commands: Commands,
    maker: TapMaker,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    // Nothing is ever sent: that the sender is dropped is the news.
    let (open, closing) = tokio::sync::watch::channel(());
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<NetmonServiceServer<Service>>().await;
    let shutdown = async move {
        shutdown.await;
        health.set_not_serving::<NetmonServiceServer<Service>>().await;
        health.set_service_status("", ServingStatus::NotServing).await;
        drop(open);
    };
    let service = NetmonServiceServer::new(Service::new(feeds, commands, maker, closing))
        .max_decoding_message_size(REQUEST_BYTES);
    let connections = UnixListenerStream::new(listener).then(async |connection| {
        if connection.is_err() {
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
        connection
    });
    Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .add_service(service)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(connections, shutdown)
        .await?;
    Ok(())
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(netmon_api::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
