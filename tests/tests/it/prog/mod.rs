//! Frames through the loaded programs by BPF_PROG_TEST_RUN, and the same frames through the pure judge: same
//! verdict, and the one right counter moves, by one frame and its length; all others stand still.

mod bindings;
mod differential;
mod egress;
mod evasion;
mod ingress;
mod inside;
mod ledger;
mod links;
mod members;
mod memory;
mod neighbor_discovery;
mod object;
mod policy;
mod seccomp;
mod table;
mod tables;
mod verifier;

use netmon::{
    kernel::load::{self, Loaded},
    policy::Policy,
};
use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, BindingKey, Count, Direction, Ledger, NO_PORT, PortCounters, PortPolicy},
    judge,
    outcome::Outcome,
    parse::parse,
};
use netmon_tests::frame::{Frame, HOST_MAC};

use aya::{
    TestRun as _,
    programs::{SchedClassifier, TestRunOptions, Xdp},
};
use tokio::runtime::Runtime;
use zerocopy::FromZeros as _;

/// The interface that BPF_PROG_TEST_RUN pretends: loopback, number 1 in every namespace.
const PORT: u32 = 1;

const QUOTA: u32 = 8;

/// The loaded programs, with a port.
struct Programs {
    loaded: Loaded,
    policy: PortPolicy,
    _runtime: Runtime,
}

/// What a frame came to.
type Verdict = Result<Kind, Reason>;

impl Programs {
    /// Loads them, with a port of its own link, whose host MAC is [`HOST_MAC`].
    fn load() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let loaded = {
            let _guard = runtime.enter();
            load::load(None).unwrap_or_else(|error| panic!("{error}"))
        };
        let policy = PortPolicy {
            link: PORT,
            quota: QUOTA,
            epoch: 1,
            host_mac: HOST_MAC,
            ..Policy::default().entry()
        };
        let mut programs = Self { loaded, policy, _runtime: runtime };
        programs.loaded.maps.add_port(PORT, &policy).expect("a port");
        programs
    }

    /// Forgets what the port's guest has said so far.
    fn new_guest(&mut self) {
        for (key, _) in self.bindings() {
            self.loaded.maps.remove_binding(&key);
        }
        self.loaded.maps.remove_port(PORT);
        self.policy.epoch += 1;
        self.policy.released = 0;
        self.loaded.maps.add_port(PORT, &self.policy).expect("a port");
    }

    fn set_policy(&mut self, change: impl FnOnce(&mut PortPolicy)) {
        change(&mut self.policy);
        self.loaded.maps.set_policy(PORT, &self.policy).expect("a policy");
    }

    fn bindings(&self) -> Vec<(BindingKey, Binding)> {
        self.loaded.maps.bindings().expect("the bindings")
    }

    /// Fills the table of bindings with those of other links.
    fn fill_bindings(&mut self) {
        let full = (0..=netmon_common::limits::BINDINGS).find(|number| {
            let key = BindingKey::new(1_000 + number, [0; 16]);
            self.loaded.maps.insert_binding(&key, &Binding::default()).is_err()
        });
        assert_eq!(full, Some(netmon_common::limits::BINDINGS), "the table has its size");
    }

    /// Runs a frame; its verdict, as the one counter that moved says.
    fn run(&mut self, direction: Direction, frame: &[u8]) -> Verdict {
        match self.outcome(direction, frame) {
            Outcome::Passed(kind) => Ok(kind),
            Outcome::Dropped(reason) => Err(reason),
            Outcome::Observed(reason) => panic!("{frame:02x?}: {reason} is only observed"),
        }
    }

    /// Runs a frame; what became of it, as the one counter that moved says. Panics where none or more moved,
    /// or by something other than this frame, or where the program's action is another.
    fn outcome(&mut self, direction: Direction, frame: &[u8]) -> Outcome {
        let before = self.counters();
        let passed = self.action(direction, frame);
        let after = self.counters();
        let moved = moved(&before, &after);
        let [(moved_direction, outcome, packets, bytes)] = moved.as_slice() else {
            panic!("{direction:?} {frame:02x?}: one counter must move, not {moved:?}");
        };
        assert_eq!(
            (*moved_direction, *packets, *bytes),
            (direction, 1, frame.len() as u64),
            "{frame:02x?}"
        );
        assert_eq!(passed, outcome.passes(), "action and counter of {frame:02x?}");
        *outcome
    }

    /// Whether the program lets the frame pass.
    fn action(&mut self, direction: Direction, frame: &[u8]) -> bool {
        self.action_of(
            direction,
            TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() },
        )
    }

    /// Whether a frame that the host has received on this interface goes to the guest.
    fn passed_on(&mut self, from: u32, frame: &[u8]) -> bool {
        // `__sk_buff`, as far as its field `ingress_ifindex`.
        let context = [[0; 36].as_slice(), &from.to_ne_bytes()].concat();
        let (data_in, ctx_in) = (Some(frame), Some(context.as_slice()));
        let options = TestRunOptions { data_in, ctx_in, ..TestRunOptions::default() };
        self.action_of(Direction::Egress, options)
    }

    fn action_of(&mut self, direction: Direction, options: TestRunOptions<'_>) -> bool {
        let (name, pass) = match direction {
            Direction::Ingress => ("guest_to_host", 2), // XDP_PASS
            Direction::Egress => (load::CLASSIFIER, u32::MAX), // TCX_NEXT
        };
        let program = self.loaded.object.program_mut(name).expect("the program");
        let result = match direction {
            Direction::Ingress => <&mut Xdp>::try_from(program).expect("XDP").test_run(options),
            Direction::Egress => {
                <&mut SchedClassifier>::try_from(program).expect("TC").test_run(options)
            }
        };
        result.unwrap_or_else(|error| panic!("{direction:?}: {error}")).return_value == pass
    }

    fn counters(&self) -> [PortCounters; 2] {
        [PORT, NO_PORT]
            .map(|port| self.loaded.maps.counters(port).unwrap_or_else(PortCounters::new_zeroed))
    }
}

/// A counter that moved: which way the frame went, what became of it, frames and bytes.
type Moved = (Direction, Outcome, u64, u64);

fn outcomes(ledger: &Ledger) -> impl Iterator<Item = (Outcome, Count)> {
    fn slots(counts: &[Count]) -> impl Iterator<Item = (Count, u8)> {
        counts.iter().copied().zip(0..)
    }
    let unnamed = |error| panic!("{error}");
    let passed = slots(&ledger.passed)
        .map(move |(count, slot)| (Kind::try_from(slot).map(Outcome::Passed), count));
    let dropped = slots(&ledger.dropped)
        .map(move |(count, slot)| (Reason::try_from(slot).map(Outcome::Dropped), count));
    let observed = slots(&ledger.observed)
        .map(move |(count, slot)| (Reason::try_from(slot).map(Outcome::Observed), count));
    let used = passed.chain(dropped).chain(observed).filter(|(_, count)| count.packets > 0);
    used.map(move |(outcome, count)| (outcome.unwrap_or_else(unnamed), count))
}

fn moved(before: &[PortCounters; 2], after: &[PortCounters; 2]) -> Vec<Moved> {
    let mut moved = Vec::new();
    for (before, after) in before.iter().zip(after) {
        for direction in Direction::ALL {
            let ledger = |counters: &PortCounters| match direction {
                Direction::Ingress => counters.ingress,
                Direction::Egress => counters.egress,
            };
            let before: Vec<_> = outcomes(&ledger(before)).collect();
            for (outcome, count) in outcomes(&ledger(after)) {
                let was = before.iter().find(|(was, _)| *was == outcome);
                let was = was.map_or_else(Count::default, |(_, count)| *count);
                if was != count {
                    let (packets, bytes) = (count.packets - was.packets, count.bytes - was.bytes);
                    moved.push((direction, outcome, packets, bytes));
                }
            }
        }
    }
    moved
}

/// The pure judge's verdict on a frame to or from a port that has learnt no MAC yet.
fn judged(direction: Direction, frame: &[u8]) -> Verdict {
    let frame = parse(frame, direction)?;
    match direction {
        Direction::Ingress => {
            let policy = PortPolicy { host_mac: HOST_MAC, ..Policy::default().entry() };
            let port = judge::Port { policy: &policy, first_mac: Mac::default() };
            let pass = judge::ingress(&frame, &port)?;
            // A guest that has not spoken holds no other address.
            judge::advertised(&frame).map_or(Ok(pass.kind), |_| Err(Reason::NdTarget))
        }
        Direction::Egress => judge::egress(&frame).map(|pass| pass.kind),
    }
}

/// Runs cases by name, each against a new guest, through the programs and the pure judge.
fn check(direction: Direction, cases: Vec<(&str, Vec<u8>, Verdict)>) {
    let mut programs = Programs::load();
    for (name, frame, expected) in cases {
        programs.new_guest();
        assert_eq!(judged(direction, &frame), expected, "judge: {name}");
        assert_eq!(programs.run(direction, &frame), expected, "program: {name}");
    }
}

/// A case: a frame, perhaps with something changed.
fn case(
    name: &'static str,
    frame: Frame,
    change: impl FnOnce(&mut Frame),
    expected: Verdict,
) -> (&'static str, Vec<u8>, Verdict) {
    (name, frame.with(change).bytes(), expected)
}
