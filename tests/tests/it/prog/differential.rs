//! The same generated frames through oracle, judge and loaded programs: same verdict, same one counter, same
//! event, same sample; every other counter stands still.

use std::{
    env,
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use netmon_common::{
    Kind, Reason,
    abi::{
        ALLOW_HOST_PORTS, Binding, BindingKey, Direction, Event, Holder, Mode, News, PortPolicy,
        Reserved, State,
    },
    outcome::Outcome,
};
use netmon_tests::{
    agree::{Verdict, agreed, disagree},
    case::{Case, kept},
    frame::{ALL_NODES, Frame, OTHER_MAC, SECOND, echo},
    generate,
};

use super::{PORT, Programs, QUOTA};

/// Frames in the ordinary test run.
const FRAMES: usize = 20_000;

/// Frames between two looks into the ring buffers, which hold many more.
const BATCH: usize = 200;

/// The longest frame that BPF_PROG_TEST_RUN takes: a page less the headroom and the tail of an skb.
const LONGEST: usize = 3_400;

/// A change of a policy on its way to the programs.
type Fault = fn(&mut PortPolicy);

/// The guest's other address, on a link of its own.
const SECOND_KEY: BindingKey = BindingKey::new(PORT, SECOND.octets());

/// What an event tells: address, state, kind of frame, MAC.
type Told = ([u8; 16], u8, u8, [u8; 6]);

/// What a sample tells: direction, reason, whether it was only observed, length, both MACs.
type Shown = (u8, u8, bool, usize, Vec<u8>);

/// The address by which a guest has spoken before.
const SPOKEN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x5, 0x9);

/// The programs, and what is to be in the ring buffers.
struct Differential {
    programs: Programs,
    told: Vec<Told>,
    shown: Vec<Shown>,
    ran: usize,
    /// Events that were taken out of the ring, of any kind.
    drained: u64,
    /// … and those of a newcomer that was refused: one a second at most.
    crowded: u64,
    start: Instant,
    /// What is wrong with each policy that the programs get: nothing, but where that is to be found.
    fault: Fault,
}

/// Whether BPF_PROG_TEST_RUN takes this frame: no half Ethernet header, and to an skb no half IPv6 header.
fn is_run(case: &Case) -> bool {
    let least = match case.direction {
        Direction::Ingress => 14,
        Direction::Egress => 54,
    };
    (least..=LONGEST).contains(&case.frame.len())
}

/// What the port's mode makes of a verdict.
fn outcome(verdict: &Verdict, policy: &PortPolicy) -> Outcome {
    match (verdict, Mode::of(policy.mode)) {
        (Ok((kind, _)), _) => Outcome::Passed(*kind),
        (Err(reason), Mode::Enforce) => Outcome::Dropped(*reason),
        (Err(reason), Mode::Observe) => Outcome::Observed(*reason),
        (Err(_), Mode::Open) => Outcome::Passed(Kind::Other),
    }
}

impl Differential {
    fn new() -> Self {
        let (told, shown) = (Vec::new(), Vec::new());
        let (programs, start) = (Programs::load(), Instant::now());
        Self { programs, told, shown, ran: 0, drained: 0, crowded: 0, start, fault: |_| () }
    }

    /// Runs a case on a port whose guest has said nothing but what makes its MAC known; what the programs do
    /// otherwise than judge and oracle.
    fn check(&mut self, case: &Case) -> Result<(), String> {
        let verdict = agreed(case);
        if !is_run(case) {
            return Ok(());
        }
        self.new_guest(case);
        let (outcome, expected) =
            (self.programs.outcome(case.direction, &case.frame), outcome(&verdict, &case.policy));
        if outcome != expected {
            return Err(format!("the program says {outcome:?}, judge and oracle {expected:?}"));
        }
        if let Some(reason) = outcome.refused() {
            self.shown.push(shown(case, reason, outcome.passes()));
        }
        self.remembered(case, &verdict)?;
        self.programs.policy.released += u64::from(case.first_mac != [0; 6]);
        self.ran += 1;
        if self.ran.is_multiple_of(BATCH) {
            self.drain();
        }
        Ok(())
    }

    /// Panics where they do, and keeps the case.
    fn agree(&mut self, case: &Case) {
        self.check(case).unwrap_or_else(|why| disagree(case, &why));
    }

    /// The next guest of the port, under the case's policy, with the case's first MAC. Rates that are zero are
    /// no limit: budgets have tests of their own.
    fn new_guest(&mut self, case: &Case) {
        let PortPolicy { epoch, released, groups_released, .. } = self.programs.policy;
        let epoch = epoch.wrapping_add(1);
        let mut entry = PortPolicy {
            link: PORT,
            quota: QUOTA,
            epoch,
            released,
            groups_released,
            ..case.policy
        };
        if case.first_mac != [0; 6] {
            // By an address that no case has. It is taken out of the table at once, but counts as held until the case
            // is over: a MAC is pinned by what it holds.
            let spoken = echo(ALL_NODES).with(|f: &mut Frame| {
                f.source = SPOKEN;
                f.source_mac = case.first_mac;
            });
            let mac = case.first_mac;
            let known = PortPolicy { mac, mode: Mode::Enforce.number(), ..entry };
            self.programs.set_policy(|policy| *policy = known);
            assert!(self.programs.action(Direction::Ingress, &spoken.bytes()), "{case}");
            let key = BindingKey::new(PORT, SPOKEN.octets());
            assert!(self.programs.loaded.maps.remove_binding(&key), "{case}");
            self.told.push((key.address, State::Valid.number(), Kind::Echo.number(), mac));
        }
        self.forget_groups();
        entry.groups_released = self.programs.policy.groups_released;
        (self.fault)(&mut entry);
        self.programs.set_policy(|policy| *policy = entry);
        if case.second_mac != [0; 6] {
            let (mac, state) = (case.second_mac, State::Valid.number());
            let held = Binding { port: PORT, epoch, mac, state, ..Binding::default() };
            self.programs.loaded.maps.insert_binding(&SECOND_KEY, &held).expect("a place");
        }
    }

    /// Takes the port's groups out of their table.
    fn forget_groups(&mut self) -> usize {
        let maps = &mut self.programs.loaded.maps;
        let rows = maps.groups().expect("the groups");
        rows.iter().for_each(|(key, _)| assert!(maps.remove_group(key), "{key:?}"));
        self.programs.policy.groups_released += rows.len() as u64;
        rows.len()
    }

    /// Exactly the claim is in the tables; it is taken out again.
    fn remembered(&mut self, case: &Case, verdict: &Verdict) -> Result<(), String> {
        let is_report = matches!(verdict, Ok((Kind::MulticastListener, _)));
        let claimed = verdict.ok().and_then(|(kind, claim)| Some((kind, claim?)));
        let groups = self.forget_groups();
        let maps = &mut self.programs.loaded.maps;
        let is_held = case.second_mac != [0; 6];
        if maps.remove_binding(&SECOND_KEY) != is_held {
            return Err(format!("{SECOND} is held: {}", !is_held));
        }
        if groups > 0 && (!is_report || case.direction == Direction::Egress) {
            return Err(format!("{groups} groups of what is no report"));
        }
        let mut expected = Vec::new();
        if let Some((kind, claim)) = claimed {
            let key = BindingKey::new(PORT, claim.address.octets());
            let state = if claim.is_valid { State::Valid } else { State::Tentative };
            let mac = case.frame.get(6..12).and_then(|mac| mac.try_into().ok()).unwrap_or_default();
            expected.push((key.address, state.number(), kind.number(), mac));
        }
        match case.direction {
            Direction::Ingress => {
                let rows = maps.bindings().expect("the bindings");
                let held: Vec<Told> = rows
                    .iter()
                    .map(|(key, held)| (key.address, held.state, held.origin, held.mac))
                    .collect();
                if held != expected {
                    return Err(format!("bound: {held:02x?}, and not {expected:02x?}"));
                }
                for (key, _) in rows {
                    maps.remove_binding(&key);
                    self.programs.policy.released += 1;
                }
                self.told.extend(expected);
            }
            Direction::Egress => {
                let held = maps.reserved().expect("the host's addresses");
                // No port of these asks its link: it is the host that speaks, and DAD is all that counts.
                let asks = expected.iter().filter(|(_, state, ..)| *state == 1);
                let expected: Vec<_> =
                    asks.map(|(address, ..)| BindingKey::new(PORT, *address)).collect();
                if held != expected {
                    return Err(format!("reserved: {held:02x?}, and not {expected:02x?}"));
                }
                for key in held {
                    let reserved = self.programs.reserved(&key).unwrap_or_default();
                    let Reserved { interface, holder, is_tentative, .. } = reserved;
                    if (interface, holder, is_tentative) != (PORT, Holder::Host.number(), 1) {
                        return Err(format!("{reserved:?} is not what the host asks for"));
                    }
                    self.programs.loaded.maps.unreserve(&key);
                }
            }
        }
        Ok(())
    }

    /// The rings hold what was expected and nothing else.
    fn drain(&mut self) {
        let Programs { loaded, _runtime: runtime, .. } = &mut self.programs;
        let (mut told, mut shown) = (Vec::new(), Vec::new());
        let ring = loaded.maps.ring().expect("the ring's ledger");
        runtime.block_on(async {
            while self.drained < ring.wanted {
                let events = loaded.events.next().await.expect("events");
                self.drained += events.len() as u64;
                let bound = events.iter().filter(|event| event.news == News::Bound.number());
                told.extend(bound.map(|event| {
                    let held = event.binding;
                    (event.key.address, held.state, held.origin, held.mac)
                }));
                let is_crowded = |event: &&Event| event.news == News::Crowded.number();
                self.crowded += events.iter().filter(is_crowded).count() as u64;
            }
            while shown.len() < self.shown.len() {
                let samples = loaded.samples.next().await.expect("samples");
                shown.extend(samples.iter().map(|sample| {
                    let macs = [sample.destination_mac, sample.source_mac].concat();
                    let observed = sample.observed == 1;
                    (sample.direction, sample.reason, observed, sample.length as usize, macs)
                }));
            }
        });
        assert_eq!((&told, &shown), (&self.told, &self.shown));
        self.told.clear();
        self.shown.clear();
    }

    /// Nothing was counted elsewhere.
    fn end(mut self) -> usize {
        self.drain();
        let ring = self.programs.loaded.maps.ring().expect("the ring's ledger");
        let claimed = self.programs.loaded.maps.state(PORT).expect("the port").claimed;
        assert_eq!((ring.wanted, ring.lost), (claimed + self.crowded, 0));
        assert!((1..=self.start.elapsed().as_secs() + 1).contains(&self.crowded));
        assert_eq!(claimed, self.programs.policy.released);
        assert_eq!(self.programs.counters()[0].unsampled, 0, "each refused frame is shown");
        self.ran
    }
}

fn shown(case: &Case, reason: Reason, observed: bool) -> Shown {
    let macs = case.frame.iter().take(12).copied().collect();
    (case.direction as u8, reason.number(), observed, case.frame.len(), macs)
}

#[test]
fn oracle_judge_and_programs_agree() -> anyhow::Result<()> {
    let mut differential = Differential::new();
    let found = kept()?.into_iter().chain(generate::corpus()?);
    found.for_each(|case| differential.agree(&case));
    let mut cases = generate::cases(generate::seed()?);
    // `cargo xtask fuzz` gives a time instead of a number.
    let time = env::var("NETMON_FUZZ_SECONDS").ok().map(|seconds| seconds.parse());
    let time = time.transpose().context("NETMON_FUZZ_SECONDS: no number")?;
    let start = Instant::now();
    let is_over =
        |ran| time.map_or(ran >= FRAMES, |seconds| start.elapsed() >= Duration::from_secs(seconds));
    while !is_over(differential.ran) {
        cases.by_ref().take(BATCH).for_each(|case| differential.agree(&case));
    }
    println!("{} frames in {:?}", differential.end(), start.elapsed());
    Ok(())
}

#[test]
fn a_planted_fault_is_found() {
    let faults: [(&str, Fault); 5] = [
        ("another MAC of the host", |policy| policy.host_mac = OTHER_MAC),
        ("another mode", |policy| policy.mode = Mode::Observe.number()),
        ("other services", |policy| policy.allowed ^= ALLOW_HOST_PORTS),
        ("no quota", |policy| policy.quota = 0),
        ("another link", |policy| policy.link += 1),
    ];
    for (name, fault) in faults {
        let mut differential = Differential::new();
        differential.fault = fault;
        let found = generate::cases(1).take(FRAMES).any(|case| differential.check(&case).is_err());
        assert!(found, "{name}");
    }
}
