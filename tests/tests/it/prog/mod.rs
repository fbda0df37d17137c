//! Frames through the loaded programs by BPF_PROG_TEST_RUN, and the same frames through the pure judge: same
//! verdict, and the one right counter moves, by one frame and its length; all others stand still.

mod bindings;
mod egress;
mod ingress;
mod neighbor_discovery;
mod object;

use netmon::kernel::load::{self, Loaded};
use netmon_common::{
    Kind, Mac, Reason,
    abi::{Binding, BindingKey, Direction, Ledger, NO_PORT, PortCounters, PortPolicy},
    judge,
    parse::parse,
};
use netmon_tests::frame::{Frame, HOST_MAC};

use aya::{
    TestRun as _,
    programs::{SchedClassifier, TestRunOptions, Xdp},
};
use tokio::runtime::Runtime;

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
            load::load().unwrap_or_else(|error| panic!("{error}"))
        };
        let policy = PortPolicy {
            link: PORT,
            quota: QUOTA,
            epoch: 1,
            host_mac: HOST_MAC,
            ..PortPolicy::default()
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
            let key = BindingKey { link: 1_000 + number, address: [0; 16] };
            self.loaded.maps.insert_binding(&key, &Binding::default()).is_err()
        });
        assert_eq!(full, Some(netmon_common::limits::BINDINGS), "the table has its size");
    }

    /// Runs a frame; its verdict, as the one counter that moved says. Panics where none or more moved, or by
    /// something other than this frame, or where the program's action is another.
    fn run(&mut self, direction: Direction, frame: &[u8]) -> Verdict {
        let before = self.counters();
        let passed = self.action(direction, frame);
        let after = self.counters();
        let moved = moved(&before, &after);
        let [(moved_direction, verdict, packets, bytes)] = moved.as_slice() else {
            panic!("{direction:?} {frame:02x?}: one counter must move, not {moved:?}");
        };
        assert_eq!(
            (*moved_direction, *packets, *bytes),
            (direction, 1, frame.len() as u64),
            "{frame:02x?}"
        );
        assert_eq!(passed, verdict.is_ok(), "action and counter of {frame:02x?}");
        *verdict
    }

    /// Whether the program lets the frame pass.
    fn action(&mut self, direction: Direction, frame: &[u8]) -> bool {
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
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
        result.unwrap_or_else(|error| panic!("{frame:02x?}: {error}")).return_value == pass
    }

    fn counters(&self) -> [PortCounters; 2] {
        [PORT, NO_PORT].map(|port| {
            self.loaded
                .maps
                .counters(port)
                .unwrap_or(PortCounters { ingress: EMPTY, egress: EMPTY })
        })
    }
}

const EMPTY: Ledger = Ledger {
    passed: [netmon_common::abi::Count { packets: 0, bytes: 0 }; netmon_common::limits::KINDS],
    dropped: [netmon_common::abi::Count { packets: 0, bytes: 0 }; netmon_common::limits::REASONS],
};

fn moved(
    before: &[PortCounters; 2],
    after: &[PortCounters; 2],
) -> Vec<(Direction, Verdict, u64, u64)> {
    let mut moved = Vec::new();
    for (before, after) in before.iter().zip(after) {
        for direction in Direction::ALL {
            let ledger = |counters: &PortCounters| match direction {
                Direction::Ingress => counters.ingress,
                Direction::Egress => counters.egress,
            };
            let (before, after) = (ledger(before), ledger(after));
            let passed = before.passed.iter().zip(&after.passed).enumerate();
            let passed = passed.map(|(slot, pair)| (Kind::try_from(slot as u8).map(Ok), pair));
            let dropped = before.dropped.iter().zip(&after.dropped).enumerate();
            let dropped = dropped.map(|(slot, pair)| (Reason::try_from(slot as u8).map(Err), pair));
            for (verdict, (before, after)) in
                passed.chain(dropped).filter(|(_, (before, after))| before != after)
            {
                let verdict = verdict.unwrap_or_else(|error| panic!("{error}"));
                moved.push((
                    direction,
                    verdict,
                    after.packets - before.packets,
                    after.bytes - before.bytes,
                ));
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
            let port = judge::Port { mac: Mac::default(), host_mac: Mac::new(HOST_MAC) };
            judge::ingress(&frame, &port).map(|pass| pass.kind)
        }
        Direction::Egress => judge::egress(&frame),
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
