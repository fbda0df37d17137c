//! Cases for judges: valid frames, frames with one field off the edge, stacks of headers, options that lie,
//! mutated bytes and arbitrary ones.
//!
//! A case is a function of bytes: of a seeded generator's in the tests, of the fuzzer's in
//! `cargo xtask fuzz`. Bytes that run out are zeros.

#![expect(clippy::indexing_slicing, reason = "a generator that panics has failed its test")]

mod field;
mod message;

use std::{env, fs, path::Path};

use anyhow::Context as _;
use arbitrary::Unstructured;
use netmon_common::abi::{Direction, Mode, PortPolicy};

use crate::{
    case::{self, Case},
    frame::{self, GUEST, GUEST_MAC, HOST, HOST_MAC, OTHER_MAC},
};

/// Bytes that suffice for most cases.
const CHOICES: usize = 512;

/// The MAC of the TAP's bridge.
pub const BRIDGE_MAC: [u8; 6] = [2, 0xfc, 0, 0, 0, 0xfd];

/// Cases without end, of a seed: the same seed gives the same cases.
pub fn cases(seed: u64) -> impl Iterator<Item = Case> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = [0; CHOICES];
    std::iter::repeat_with(move || {
        random.fill(&mut bytes);
        case(&bytes)
    })
}

/// The cases of the fuzzer's corpus: each path through judge and oracle that it has found.
///
/// # Errors
///
/// The corpus is not to be read.
pub fn corpus() -> anyhow::Result<Vec<Case>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus.txt");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let inputs = text.lines().filter(|line| !line.starts_with('#'));
    inputs.map(|input| Ok(case(&case::octets(input)?))).collect()
}

/// The seed that `NETMON_SEED` gives, else a new one. It is printed, and the test harness shows it with a
/// failure.
///
/// # Errors
///
/// `NETMON_SEED` is no number.
pub fn seed() -> anyhow::Result<u64> {
    let seed = match env::var("NETMON_SEED") {
        Ok(seed) => seed.parse().with_context(|| format!("NETMON_SEED={seed}: no number"))?,
        Err(_) => fastrand::u64(..),
    };
    eprintln!("NETMON_SEED={seed}");
    Ok(seed)
}

/// The case that these bytes choose.
pub fn case(bytes: &[u8]) -> Case {
    let mut choices = Choices(Unstructured::new(bytes));
    let direction = choices.pick(&[Direction::Ingress, Direction::Ingress, Direction::Egress]);
    let policy = policy(&mut choices);
    let first_mac = choices.pick(&[[0; 6], [0; 6], GUEST_MAC, OTHER_MAC]);
    let second_mac = choices.pick(&[[0; 6], GUEST_MAC, GUEST_MAC, OTHER_MAC]);
    let frame = match choices.below(16) {
        0 => choices.rest(),
        1 => [&HOST_MAC, &GUEST_MAC, [0x86, 0xdd].as_slice(), &choices.rest()].concat(),
        2..6 => mutated(&mut choices, direction),
        _ => valid(&mut choices, direction).bytes(),
    };
    Case { direction, policy, first_mac, second_mac, frame }
}

fn policy(choices: &mut Choices<'_>) -> PortPolicy {
    if choices.one_in(2) {
        return Case::of(Direction::Ingress, vec![]).policy;
    }
    let mut ports = || std::array::from_fn(|_| choices.pick(&[0, 0, 22, 53, 8080, 0xc000]));
    let (host_ports, guest_ports) = (ports(), ports());
    PortPolicy {
        host_ports,
        guest_ports,
        mode: choices.pick(&[Mode::Enforce, Mode::Enforce, Mode::Observe, Mode::Open]).number(),
        allowed: choices.byte() & 31,
        mac: choices.pick(&[[0; 6], GUEST_MAC, OTHER_MAC]),
        host_mac: HOST_MAC,
        link_mac: choices.pick(&[[0; 6], BRIDGE_MAC]),
        ..PortPolicy::default()
    }
}

/// A message that may be said, with up to three fields off.
fn valid(choices: &mut Choices<'_>, direction: Direction) -> frame::Frame {
    let mut frame = message::any(choices);
    if direction == Direction::Egress && choices.below(8) > 0 {
        frame.source_mac = HOST_MAC;
        if frame.source == GUEST {
            frame.source = HOST;
        }
        if frame.destination == HOST {
            frame.destination = GUEST;
        }
    }
    for _ in 0..choices.pick(&[0, 1, 1, 1, 2, 3]) {
        field::off(choices, &mut frame);
    }
    frame
}

/// A valid frame of which bytes are changed, cut off or added.
fn mutated(choices: &mut Choices<'_>, direction: Direction) -> Vec<u8> {
    let mut bytes = valid(choices, direction).bytes();
    for _ in 0..=choices.below(3) {
        let at = choices.below(bytes.len().max(1));
        match (choices.below(5), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << choices.below(8),
            (1, Some(byte)) => *byte = choices.byte(),
            (2, _) => bytes.truncate(at),
            (3, _) => bytes.insert(at, choices.byte()),
            _ => bytes.extend(choices.some(40)),
        }
    }
    bytes
}

/// Bytes that become choices.
struct Choices<'a>(Unstructured<'a>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end - 1).unwrap_or_default()
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Up to `most` bytes.
    fn some(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }

    /// All that is left.
    fn rest(&mut self) -> Vec<u8> {
        let length = self.0.len();
        self.0.bytes(length).unwrap_or_default().to_vec()
    }
}
