//! Each method of the contract: a question to the view or to the daemon's loop, and its answer.

use std::sync::Arc;

use netmon_api::v0::{self, netmon_service_server::NetmonService};
use netmon_common::limits;
use nix::unistd::geteuid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, transport::server::UdsConnectInfo};

use super::{
    Feeds,
    names::{self, tap_name},
    policy, refused, translate,
    watch::{BUFFER, feed, first},
};
use crate::{
    command::{self, Command, Commands},
    kernel::{privilege, tap::TapMaker},
    policy::PolicyChange,
    policy::PolicyOrder,
    taps::{TapOrder, Taps},
};

pub(super) struct Service {
    feeds: Feeds,
    commands: Commands,
    taps: Taps,
    closing: watch::Receiver<()>,
    watchers: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(
        feeds: Feeds,
        commands: Commands,
        maker: TapMaker,
        closing: watch::Receiver<()>,
    ) -> Self {
        let taps = Taps::new(maker, commands.clone());
        let watchers = Arc::new(Semaphore::new(limits::WATCHERS));
        Self { feeds, commands, taps, closing, watchers }
    }

    /// Leave for one more stream.
    fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} watchers already, the most that the daemon serves: end one of them",
                limits::WATCHERS
            ))
        })
    }

    /// Asks the daemon's loop.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Status> {
        command::ask(&self.commands, command).await.ok_or_else(translate::shutting_down)
    }
}

/// Whether whoever is at the other end of the socket may change what is protected.
pub(super) fn may_change(caller: Option<u32>, own: u32) -> Result<(), Status> {
    match caller {
        Some(uid) if uid == 0 || uid == own => Ok(()),
        Some(uid) => Err(Status::permission_denied(format!(
            "uid {uid} may look, but not change what is protected: only root and the daemon's own user \
             (uid {own}) may"
        ))),
        None => Err(Status::permission_denied("the kernel does not say who calls")),
    }
}

/// The TAP that a changing request names, if its caller may change it.
fn changed<T>(request: &Request<T>, tap: impl FnOnce(&T) -> &str) -> Result<Arc<str>, Status> {
    let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    may_change(peer.map(|peer| peer.uid()), geteuid().as_raw())?;
    named(tap(request.get_ref()))
}

fn named(tap: &str) -> Result<Arc<str>, Status> {
    tap_name(tap).map(Arc::from).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn read(policy: &v0::Policy) -> Result<PolicyChange, Status> {
    policy::read(policy).map_err(|refused| Status::invalid_argument(refused.to_string()))
}

#[tonic::async_trait]
impl NetmonService for Service {
    async fn list_endpoints(
        &self,
        request: Request<v0::NetmonServiceListEndpointsRequest>,
    ) -> Result<Response<v0::NetmonServiceListEndpointsResponse>, Status> {
        let v0::NetmonServiceListEndpointsRequest { tap, state } = request.into_inner();
        let state = v0::EndpointState::try_from(state)
            .map_err(|_| Status::invalid_argument(format!("{state}: no such endpoint state")))?;
        let (revision, endpoints) = self.feeds.view.snapshot();
        let endpoints = endpoints
            .iter()
            .filter(|one| tap.is_empty() || *one.tap == *tap)
            .filter(|one| {
                state == v0::EndpointState::Unspecified || state == translate::state(one.state)
            })
            .map(translate::endpoint)
            .collect();
        let revision = Some(translate::revision(revision));
        Ok(Response::new(v0::NetmonServiceListEndpointsResponse { endpoints, revision }))
    }

    async fn get_endpoint(
        &self,
        request: Request<v0::NetmonServiceGetEndpointRequest>,
    ) -> Result<Response<v0::NetmonServiceGetEndpointResponse>, Status> {
        let (_, endpoints) = self.feeds.view.snapshot();
        let found = names::find(&endpoints, &request.get_ref().name)
            .map_err(|error| translate::not_one(&error))?;
        let endpoint = Some(translate::endpoint(found));
        Ok(Response::new(v0::NetmonServiceGetEndpointResponse { endpoint }))
    }

    type WatchEndpointsStream =
        ReceiverStream<Result<v0::NetmonServiceWatchEndpointsResponse, Status>>;

    async fn watch_endpoints(
        &self,
        request: Request<v0::NetmonServiceWatchEndpointsRequest>,
    ) -> Result<Response<Self::WatchEndpointsStream>, Status> {
        let permit = self.permit()?;
        let first = first(&self.feeds.view, request.into_inner().since)?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        tokio::spawn(feed(self.feeds.view.clone(), first, sender, self.closing.clone(), permit));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type WatchDropsStream = ReceiverStream<Result<v0::NetmonServiceWatchDropsResponse, Status>>;

    async fn watch_drops(
        &self,
        request: Request<v0::NetmonServiceWatchDropsRequest>,
    ) -> Result<Response<Self::WatchDropsStream>, Status> {
        let tap = request.into_inner().tap;
        let tap = if tap.is_empty() { None } else { Some(named(&tap)?) };
        let permit = self.permit()?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let frames = self.feeds.drops.subscribe();
        tokio::spawn(refused::feed(frames, tap, sender, self.closing.clone(), permit));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_ports(
        &self,
        _: Request<v0::NetmonServiceListPortsRequest>,
    ) -> Result<Response<v0::NetmonServiceListPortsResponse>, Status> {
        let ports = self.ask(Command::ListPorts).await?;
        let ports = ports.iter().map(translate::port).collect();
        let level = privilege::level().map_err(|error| Status::internal(error.to_string()))?;
        let privileges = Some(translate::privileges(level));
        Ok(Response::new(v0::NetmonServiceListPortsResponse { ports, privileges }))
    }

    async fn attach_port(
        &self,
        request: Request<v0::NetmonServiceAttachPortRequest>,
    ) -> Result<Response<v0::NetmonServiceAttachPortResponse>, Status> {
        let tap = changed(&request, |request| &request.tap)?;
        let answer = self.ask(|answer| Command::Attach(tap, answer)).await?;
        let port = answer.map_err(|error| translate::refused(&error))?;
        Ok(Response::new(v0::NetmonServiceAttachPortResponse {
            port: Some(translate::port(&port)),
        }))
    }

    async fn detach_port(
        &self,
        request: Request<v0::NetmonServiceDetachPortRequest>,
    ) -> Result<Response<v0::NetmonServiceDetachPortResponse>, Status> {
        let tap = changed(&request, |request| &request.tap)?;
        let answer = self.ask(|answer| Command::Detach(tap, answer)).await?;
        answer.map_err(|error| translate::refused(&error))?;
        Ok(Response::new(v0::NetmonServiceDetachPortResponse {}))
    }

    async fn set_port_policy(
        &self,
        request: Request<v0::NetmonServiceSetPortPolicyRequest>,
    ) -> Result<Response<v0::NetmonServiceSetPortPolicyResponse>, Status> {
        let tap = changed(&request, |request| &request.tap)?;
        let v0::NetmonServiceSetPortPolicyRequest { reset, change, .. } = request.into_inner();
        let change = read(&change.unwrap_or_default())?;
        let order = PolicyOrder { tap, reset, change };
        let answer = self.ask(|answer| Command::SetPolicy(order, answer)).await?;
        let port = answer.map_err(|error| translate::refused(&error))?;
        Ok(Response::new(v0::NetmonServiceSetPortPolicyResponse {
            port: Some(translate::port(&port)),
        }))
    }

    async fn create_tap(
        &self,
        request: Request<v0::NetmonServiceCreateTapRequest>,
    ) -> Result<Response<v0::NetmonServiceCreateTapResponse>, Status> {
        let tap = changed(&request, |request| &request.tap)?;
        let v0::NetmonServiceCreateTapRequest { mac, owner, multi_queue, .. } =
            request.into_inner();
        let mac = Some(mac).filter(|mac| !mac.is_empty());
        let change = read(&v0::Policy { mac, ..v0::Policy::default() })?;
        let made = self.taps.create(TapOrder { tap, change, owner, multi_queue }).await;
        let port = made.map_err(|error| translate::no_tap(&error))?;
        Ok(Response::new(v0::NetmonServiceCreateTapResponse { port: Some(translate::port(&port)) }))
    }

    async fn delete_tap(
        &self,
        request: Request<v0::NetmonServiceDeleteTapRequest>,
    ) -> Result<Response<v0::NetmonServiceDeleteTapResponse>, Status> {
        let tap = changed(&request, |request| &request.tap)?;
        self.taps.delete(tap).await.map_err(|error| translate::no_tap(&error))?;
        Ok(Response::new(v0::NetmonServiceDeleteTapResponse {}))
    }

    async fn get_drops(
        &self,
        request: Request<v0::NetmonServiceGetDropsRequest>,
    ) -> Result<Response<v0::NetmonServiceGetDropsResponse>, Status> {
        let tap = request.into_inner().tap;
        let tap = if tap.is_empty() { None } else { Some(named(&tap)?) };
        let answer = self.ask(|answer| Command::Counters(tap, answer)).await?;
        let counters = answer.map_err(|error| translate::refused(&error))?;
        Ok(Response::new(translate::counters(&counters)))
    }
}
