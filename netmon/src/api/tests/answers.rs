//! Questions and answers.

use netmon_api::v0;
use tonic::{Code, Request};

use super::{super::service::may_change, Daemon};
use crate::ports::PortError;

#[tokio::test]
async fn endpoints_are_listed_by_tap_and_state_and_found_by_name() {
    let mut daemon = Daemon::start("endpoints");
    daemon.guest(7, "tap0", "fe80::2");
    daemon.guest(8, "tap1", "fe80::2");
    let mut client = daemon.client().await;
    let mut list = async |tap: &str, state: v0::EndpointState| {
        let request =
            v0::NetmonServiceListEndpointsRequest { tap: tap.into(), state: state.into() };
        let response = client.list_endpoints(request).await.expect("a list").into_inner();
        response.endpoints.into_iter().map(|one| one.scoped).collect::<Vec<_>>()
    };
    assert_eq!(list("", v0::EndpointState::Unspecified).await, ["fe80::2%7", "fe80::2%8"]);
    assert_eq!(list("tap1", v0::EndpointState::Reachable).await, ["fe80::2%8"]);
    assert!(list("tap1", v0::EndpointState::Tentative).await.is_empty());
    assert!(list("tap9", v0::EndpointState::Unspecified).await.is_empty());

    let mut get = async |name: &str| {
        let request = v0::NetmonServiceGetEndpointRequest { name: name.into() };
        let found = client.get_endpoint(request).await.map_err(|status| status.code());
        found.map(|response| response.into_inner().endpoint.expect("an endpoint").scoped)
    };
    assert_eq!(get("tap1").await, Ok("fe80::2%8".to_owned()));
    assert_eq!(get("tap9").await, Err(Code::NotFound));
    assert_eq!(get("02:fc:00:00:00:01").await, Err(Code::FailedPrecondition));
    assert_eq!(get("fe80::2").await, Err(Code::InvalidArgument));
}

#[tokio::test]
async fn the_daemons_answers_are_handed_on_whole() {
    let daemon = Daemon::start("daemon");
    let mut client = daemon.client().await;
    let ports = client.list_ports(v0::NetmonServiceListPortsRequest {}).await.expect("ports");
    let [port] = &ports.get_ref().ports[..] else { panic!("one port") };
    assert_eq!((&*port.ingress_hook, &*port.egress_hook, &*port.mac), ("xdp-native", "", ""));
    assert_eq!(
        (port.protection(), &*port.why),
        (v0::Protection::Partial, "egress: somebody detached our program")
    );

    let request = v0::NetmonServiceGetDropsRequest::default();
    let drops = client.get_drops(request).await.expect("drops").into_inner();
    assert_eq!((drops.drops.len(), drops.passes.len(), drops.events_lost), (1, 1, 3));
    assert_eq!((&*drops.drops[0].reason, &*drops.passes[0].kind), ("ipv4", "dad"));

    let request = v0::NetmonServiceDetachPortRequest { tap: "tap9".into() };
    let refused = client.detach_port(request).await.expect_err("no such TAP");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, &*PortError::NotFound("tap9".into()).to_string())
    );
    let request = v0::NetmonServiceAttachPortRequest { tap: "../tap0".into() };
    let refused = client.attach_port(request).await.expect_err("no name");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_tap_that_cannot_be_made_is_refused_with_the_reason() {
    let daemon = Daemon::start("tap");
    let mut client = daemon.client().await;
    let mut create = async |tap: &str, mac: &str| {
        let (tap, mac) = (tap.into(), mac.into());
        let request = v0::NetmonServiceCreateTapRequest { tap, mac, ..Default::default() };
        let refused = client.create_tap(request).await.expect_err("nobody makes TAPs here");
        (refused.code(), refused.message().to_owned())
    };
    for (tap, mac) in [("a/b", ""), ("tap%d", ""), ("tap0", "tap1"), ("tap0", "33:33:00:00:00:01")]
    {
        assert_eq!(create(tap, mac).await.0, Code::InvalidArgument, "{tap} {mac}");
    }
    let (code, why) = create("tap0", "02:fc:00:00:00:01").await;
    assert_eq!(code, Code::Internal);
    assert!(why.contains("tap0: the process that makes TAPs has ended"), "{why}");
}

#[test]
fn only_root_and_the_daemons_user_may_change_anything() {
    for (caller, own, allowed) in [
        (Some(0), 990, true),
        (Some(990), 990, true),
        (Some(1000), 990, false),
        (Some(1000), 0, false),
        (None, 0, false),
    ] {
        let code = may_change(caller, own).map_err(|status| status.code());
        assert_eq!(code, if allowed { Ok(()) } else { Err(Code::PermissionDenied) }, "{caller:?}");
    }
}

#[tokio::test]
async fn standard_tools_find_their_way() {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let daemon = Daemon::start("standard");
    let uri = format!("unix://{}", daemon.socket.display());
    let endpoint = tonic::transport::Endpoint::from_shared(uri).expect("a URI");
    let channel = endpoint.connect().await.expect("the daemon listens");
    for service in ["", "aurae.netmon.v0.NetmonService"] {
        let request = HealthCheckRequest { service: service.into() };
        let health = HealthClient::new(channel.clone()).check(request).await.expect("health");
        assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "aurae.netmon.v0.NetmonService".into(),
        )),
    };
    let mut client = ServerReflectionClient::new(channel);
    let request = Request::new(tokio_stream::once(request));
    let mut answers =
        client.server_reflection_info(request).await.expect("reflection").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    assert!(matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))));
}
