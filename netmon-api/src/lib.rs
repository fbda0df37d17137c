//! netmon's gRPC contract: the generated client and server, and [`connect`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use netmon_api::v0::NetmonServiceGetEndpointRequest;
//!
//! let mut netmon = netmon_api::connect(netmon_api::DEFAULT_SOCKET).await?;
//! let request = NetmonServiceGetEndpointRequest { name: "tap0".to_owned() };
//! let endpoint = netmon.get_endpoint(request).await?.into_inner().endpoint;
//! # Ok(())
//! # }
//! ```

use std::{
    io,
    path::{Path, PathBuf},
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// Version 0 of the contract, generated from `netmon.proto`.
pub mod v0 {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::pedantic,
        clippy::indexing_slicing,
        clippy::large_futures,
        reason = "generated"
    )]
    tonic::include_proto!("aurae.netmon.v0");
}

/// The contract as encoded descriptors, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/netmon.descriptors"));

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/netmon/netmon.sock";

/// A client of the daemon.
pub type Client = v0::netmon_service_client::NetmonServiceClient<Channel>;

/// Nobody answers on the socket.
#[derive(Debug, thiserror::Error)]
#[error("{}: {} (is `netmon run` running, with this --socket?)", socket.display(), root(source))]
pub struct ConnectError {
    socket: PathBuf,
    source: tonic::transport::Error,
}

/// Connects to the daemon on its Unix socket.
///
/// # Errors
///
/// The socket is not there, is not a daemon's, or may not be opened.
pub async fn connect(socket: impl AsRef<Path>) -> Result<Client, ConnectError> {
    let socket = socket.as_ref().to_owned();
    let path = socket.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The URI is the contract's form only: the connector goes to the socket.
    Endpoint::from_static("http://netmon")
        .connect_with_connector(connector)
        .await
        .map(Client::new)
        .map_err(|source| ConnectError { socket, source })
}

/// What the operating system said, from under the layers that wrapped it.
fn root(error: &tonic::transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::NotFound => "no such socket".to_owned(),
        _ => cause.to_string(),
    }
}
