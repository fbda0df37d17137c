//! Messages that a guest or a host says.

use std::net::Ipv6Addr;

use super::Choices;
use crate::frame::{
    self, ALL_NODES, ALL_ROUTERS, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, HOST_MAC, LISTENERS,
    OTHER_MAC, solicited_node,
};

const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);

pub(super) fn any(choices: &mut Choices<'_>) -> Frame {
    let own = choices.pick(&[GUEST, GUEST, OTHER]);
    let to = choices.pick(&[HOST, HOST, ALL_NODES, OTHER]);
    let frame = match choices.below(15) {
        0 => frame::dad(own),
        1 => frame::solicitation(to, &options(choices)),
        2 => frame::solicitation(own, &options(choices)).with(|f| f.source = Ipv6Addr::UNSPECIFIED),
        3 => frame::advertisement(own).with(|f| append(f, options(choices))),
        4 => frame::solicited_advertisement().with(|f| append(f, options(choices))),
        5 => frame::router_solicitation(&options(choices)),
        6 => frame::listener_report(),
        7 => frame::listener_report()
            .with(|f| f.payload[0] = choices.pick(&[130, 131, 132, 143, 128])),
        8 => frame::echo(to),
        9 => frame::icmp(to, choices.pick(&[0, 1, 2, 3, 4, 5, 127, 129, 138, 144]), &[0; 12]),
        10 | 11 => {
            let segment = frame::tcp(port(choices), choices.byte());
            segment.with(|f| ports(choices, f))
        }
        12 => frame::udp(port(choices)).with(|f| ports(choices, f)),
        13 => frame::router_advertisement(),
        _ => frame::redirect(),
    };
    if choices.one_in(4) {
        return frame.with(|f| f.source = choices.pick(&[Ipv6Addr::UNSPECIFIED, OTHER, HOST]));
    }
    frame
}

fn append(frame: &mut Frame, options: Vec<u8>) {
    frame.payload.extend(options);
}

pub(super) fn port(choices: &mut Choices<'_>) -> u16 {
    choices.pick(&[0, 22, 53, 8080, 0xc000])
}

/// Another source port than the usual one.
fn ports(choices: &mut Choices<'_>, frame: &mut Frame) {
    frame.payload.splice(..2, port(choices).to_be_bytes()).for_each(drop);
}

/// Up to ten options of neighbour discovery; most are what they say.
pub(super) fn options(choices: &mut Choices<'_>) -> Vec<u8> {
    let number = choices.pick(&[0, 0, 1, 1, 1, 2, 2, 3, 8, 9]);
    let mut options = Vec::new();
    for _ in 0..number {
        let mac = choices.pick(&[GUEST_MAC, GUEST_MAC, GUEST_MAC, OTHER_MAC, HOST_MAC]);
        match choices.below(8) {
            0 | 1 => options.extend(frame::mac_option(1, mac)),
            2 | 3 => options.extend(frame::mac_option(2, mac)),
            4 => options.extend(frame::nonce()),
            5 => options.extend([choices.byte(), 1, 0, 0, 0, 0, 0, 0]),
            6 => {
                let units = choices.pick(&[0, 1, 2, 3, 60, 255]);
                options.extend([choices.pick(&[1, 2, 14, 99]), units]);
                options.extend([0; 6]);
                options.extend(vec![0; 8 * usize::from(units).saturating_sub(1).min(62)]);
            }
            _ => options.extend(choices.some(9)),
        }
    }
    options
}

pub(super) fn address(choices: &mut Choices<'_>) -> Ipv6Addr {
    let fixed = [
        GUEST,
        HOST,
        OTHER,
        GLOBAL,
        ALL_NODES,
        ALL_ROUTERS,
        LISTENERS,
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::LOCALHOST,
        solicited_node(GUEST),
        solicited_node(OTHER),
        Ipv6Addr::new(0xfe80, 0, 0, 1, 0, 0, 0, 2),
        Ipv6Addr::new(0xfe80, 0x8000, 0, 0, 0, 0, 0, 2),
        Ipv6Addr::new(0xfebf, 0, 0, 0, 0, 0, 0, 2),
        Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 2),
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201),
    ];
    match choices.below(20) {
        0 => Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|_| choices.byte())),
        // Groups of every scope and with every flag.
        1 | 2 => Ipv6Addr::new(0xff00 | u16::from(choices.byte()), 0, 0, 0, 0, 0, 0, 1),
        _ => choices.pick(&fixed),
    }
}
