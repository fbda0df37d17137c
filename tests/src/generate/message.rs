//! Messages that a guest or a host says.

use std::net::Ipv6Addr;

use super::Choices;
use crate::frame::{
    self, ALL_NODES, ALL_ROUTERS, Frame, GLOBAL, GUEST, GUEST_MAC, HOST, HOST_MAC, LISTENERS,
    OTHER_MAC, SECOND, solicited_node,
};

const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);

pub(super) fn any(choices: &mut Choices<'_>) -> Frame {
    let own = choices.pick(&[GUEST, GUEST, OTHER]);
    let to = choices.pick(&[HOST, HOST, ALL_NODES, OTHER]);
    let frame = match choices.below(22) {
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
        14 | 15 => report(choices),
        16 | 17 => error(choices),
        18 => frame::dhcp(dhcp_port(choices), dhcp_port(choices)),
        // For another of the guest's own addresses, or for none of them.
        19 | 20 => {
            let target = choices.pick(&[SECOND, SECOND, OTHER]);
            let flags = choices.byte();
            frame::advertisement(target).with(|f| (f.source, f.payload[4]) = (GUEST, flags))
        }
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

/// A report whose records are right, or nearly.
fn report(choices: &mut Choices<'_>) -> Frame {
    let groups = [solicited_node(GUEST), ALL_ROUTERS, LISTENERS, SECOND];
    if choices.one_in(3) {
        let group = if choices.one_in(3) { address(choices) } else { choices.pick(&groups) };
        return frame::listener_v1(choices.pick(&[131, 132]), group);
    }
    let number = choices.pick(&[0, 1, 1, 2, 3, 31, 32, 33]);
    let records: Vec<_> = (0..number)
        .map(|_| {
            let odd = choices.below(64);
            let group = match odd {
                0 => address(choices),
                1..4 => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2),
                _ => groups[odd % 3],
            };
            (1 + (odd % 6) as u8, u8::from(odd == 7), u16::from(odd == 8), group)
        })
        .collect();
    frame::records(&records).with(|f| {
        if choices.one_in(6) {
            f.payload[7] = f.payload[7].wrapping_add(choices.pick(&[1, 255]));
        }
    })
}

/// An error about a packet of the host's, or nearly.
fn error(choices: &mut Choices<'_>) -> Frame {
    let asker = if choices.one_in(3) { address(choices) } else { HOST };
    let asked = if choices.one_in(3) { address(choices) } else { GUEST };
    frame::error(choices.pick(&[1, 2, 3, 4]), asker, asked).with(|f| {
        if choices.one_in(6) {
            f.payload.truncate(choices.below(60));
        }
    })
}

fn dhcp_port(choices: &mut Choices<'_>) -> u16 {
    choices.pick(&[546, 547, 547, 0xc000])
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
