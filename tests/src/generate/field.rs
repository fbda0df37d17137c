//! One field off.

use super::{BRIDGE_MAC, Choices, message};
use crate::frame::{Frame, GUEST_MAC, HOST_MAC, OTHER_MAC, router_alert};

const MACS: [[u8; 6]; 9] = [
    GUEST_MAC,
    OTHER_MAC,
    HOST_MAC,
    BRIDGE_MAC,
    [0; 6],
    [0xff; 6],
    [0x33, 0x33, 0, 0, 0, 1],
    [0x33, 0x33, 0xff, 0, 0, 2],
    [3, 0xfc, 0, 0, 0, 1],
];

/// IPv6's extension headers, and three that are none.
const HEADERS: [u8; 13] = [0, 43, 44, 50, 51, 60, 135, 139, 140, 253, 254, 59, 41];

pub(super) fn off(choices: &mut Choices<'_>, frame: &mut Frame) {
    let length = frame.payload.len();
    match choices.below(21) {
        0 => frame.destination_mac = Some(choices.pick(&MACS)),
        1 => frame.source_mac = choices.pick(&MACS),
        2 => {
            let tags = [0x8100_u16, 0, 0x88a8, 5, 0x9100, 9].map(u16::to_be_bytes).concat();
            frame.tags = tags[..4 * choices.below(4)].to_vec();
        }
        3 => {
            let known = [
                0x0800, 0x0806, 0x8035, 0x8100, 0x05ff, 0x0600, 0x0004, 60, 0x888e, 0x88cc, 0x8864,
            ];
            frame.ethertype = if choices.one_in(4) { choices.word() } else { choices.pick(&known) };
        }
        4 => frame.version = choices.pick(&[0, 4, 5, 7, 15]),
        5 => {
            let near = length.wrapping_add(choices.below(5)).wrapping_sub(2) as u16;
            frame.payload_length = Some(choices.pick(&[near, near, 0, 1, 8, 0xffff]));
        }
        6 => frame.hop_limit = choices.pick(&[0, 1, 2, 64, 254, 255]),
        7 | 8 => frame.source = message::address(choices),
        9 | 10 => frame.destination = message::address(choices),
        11 => frame.extension = Some(alert(choices)),
        12 | 13 => frame.extension = Some(stack(choices, frame.upper)),
        14 => frame.upper = choices.pick(&[6, 17, 58, 59, 41, 132, 135, 255, 43, 44, 0]),
        15 => frame.checksum_error = choices.pick(&[1, 0x100, 0xffff, 0x8000]),
        16 => frame.payload.truncate(choices.below(length + 1)),
        17 => frame.payload.extend(choices.some(24)),
        18 => frame.trailer = choices.some(24),
        // Type, code, flags, ports, the data offset: what decides stands in front.
        19 => {
            let at = choices.below(length.clamp(1, 16));
            frame
                .payload
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << choices.below(8));
        }
        _ => {
            let (at, new) = (choices.below(length.max(1)), choices.byte());
            frame.payload.iter_mut().skip(at).take(1).for_each(|byte| *byte = new);
        }
    }
}

/// A Hop-by-Hop header that is, or nearly is, what MLD needs.
fn alert(choices: &mut Choices<'_>) -> (u8, Vec<u8>) {
    let options = [
        [5, 2, 0, 0, 1, 0],
        [5, 2, 0, 0, 0, 0],
        [1, 0, 5, 2, 0, 0],
        [0, 0, 5, 2, 0, 0],
        [0, 5, 2, 0, 0, 0],
        [5, 2, 0, 1, 1, 0],
        [5, 2, 0, 0, 1, 1],
        [1, 4, 0, 0, 0, 0],
        [0xc2, 4, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ];
    let (kind, mut bytes) = router_alert();
    bytes.splice(2.., choices.pick(&options)).for_each(drop);
    if choices.one_in(4) {
        let at = choices.below(bytes.len());
        bytes[at] = choices.byte();
    }
    (kind, bytes)
}

/// Up to three headers, each naming the next, the last one `upper`.
fn stack(choices: &mut Choices<'_>, upper: u8) -> (u8, Vec<u8>) {
    let kinds: Vec<u8> = (0..=choices.below(3)).map(|_| choices.pick(&HEADERS)).collect();
    let next = kinds.iter().skip(1).copied().chain([upper]);
    let mut bytes = Vec::new();
    for (kind, next) in kinds.iter().zip(next) {
        let [high, low] = choices.word().to_be_bytes();
        bytes.extend(match kind {
            // Atomic, first, later.
            44 => [next, 0, 0, choices.pick(&[0, 1, 8, 9]), high, low, 0, 1],
            43 => [next, 0, choices.pick(&[0, 1, 2, 3, 4]), choices.pick(&[0, 1]), 0, 0, 0, 0],
            51 => [next, 0, 0, 0, high, low, 0, 1],
            _ => [next, 0, 1, 4, 0, 0, 0, 0],
        });
    }
    (kinds.first().copied().unwrap_or_default(), bytes)
}
