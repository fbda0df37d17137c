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
    assert_eq!((drops.drops.len(), drops.passes.len(), drops.events_lost), (2, 1, 3));
    let observed = drops.drops.iter().map(|row| row.observed).collect::<Vec<_>>();
    assert_eq!(observed, [false, true]);
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
async fn a_policy_is_changed_by_what_is_set_and_by_nothing_that_is_wrong() {
    let daemon = Daemon::start("policy");
    let mut client = daemon.client().await;
    let mut set = async |tap: &str, change: v0::Policy| {
        let change = Some(change);
        let request =
            v0::NetmonServiceSetPortPolicyRequest { tap: tap.into(), reset: true, change };
        let answer = client.set_port_policy(request).await;
        answer.map(|response| response.into_inner().port.expect("a port"))
    };
    let change = v0::Policy {
        mode: Some("observe".into()),
        mac: Some("02:FC:00:00:00:01".into()),
        quota: Some(2),
        protocols: Some(v0::Protocols { names: vec![] }),
        host_ports: Some(v0::Services { any: false, ports: vec![22, 80] }),
        ..v0::Policy::default()
    };
    let port = set("tap0", change.clone()).await.expect("tap0 is there");
    assert_eq!((&*port.mode, &*port.profile, port.quota), ("observe", "link-local", 2));
    let all = v0::Policy {
        profile: Some("link-local".into()),
        mac: Some("02:fc:00:00:00:01".into()),
        nd_rate: Some(100),
        sample_rate: Some(10),
        guest_ports: Some(v0::Services { any: true, ports: vec![] }),
        dhcp_server: Some(false),
        ..change
    };
    assert_eq!(port.policy, Some(all));

    let refused = set("tap9", v0::Policy::default()).await.expect_err("no such TAP");
    assert_eq!(refused.code(), Code::NotFound);
    let bad = v0::Policy { quota: Some(17), ..v0::Policy::default() };
    let refused = set("tap0", bad).await.expect_err("too many");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, r#"quota must be a number from 1 to 16, not "17""#)
    );
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
