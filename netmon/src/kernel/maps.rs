//! The maps, typed. aya sees bytes of the right length (its `Pod` would ask for `unsafe` in a crate that
//! has none); zerocopy makes them the values of `netmon_common::abi`.

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues},
    util::nr_cpus,
};
use netmon_common::{
    Mac,
    abi::{
        Binding, BindingKey, Count, Group, GroupKey, Ledger, MacHolder, MacKey, NO_PORT,
        PortCounters, PortPolicy, PortState, Reserved, RingCount,
    },
};
use zerocopy::{FromBytes, FromZeros as _};

/// How often, a millisecond apart, memory for an entry is asked for.
const MEMORY_TRIES: u32 = 50;

const POLICY: usize = size_of::<PortPolicy>();
const STATE: usize = size_of::<PortState>();
const KEY: usize = size_of::<BindingKey>();
const BINDING: usize = size_of::<Binding>();
const COUNTERS: usize = size_of::<PortCounters>();
const GROUP_KEY: usize = size_of::<GroupKey>();
const GROUP: usize = size_of::<Group>();
const RESERVED: usize = size_of::<Reserved>();
const MAC: usize = size_of::<MacKey>();
const MAC_HOLDER: usize = size_of::<MacHolder>();
const RING: usize = size_of::<RingCount>();

/// The tables that both sides share.
pub struct Maps {
    policies: HashMap<MapData, u32, [u8; POLICY]>,
    states: HashMap<MapData, u32, [u8; STATE]>,
    bindings: HashMap<MapData, [u8; KEY], [u8; BINDING]>,
    reserved: HashMap<MapData, [u8; KEY], [u8; RESERVED]>,
    macs: HashMap<MapData, [u8; MAC], [u8; MAC_HOLDER]>,
    groups: HashMap<MapData, [u8; GROUP_KEY], [u8; GROUP]>,
    counters: PerCpuHashMap<MapData, u32, [u8; COUNTERS]>,
    ring: PerCpuArray<MapData, [u8; RING]>,
    processors: usize,
}

/// A map is not as this program was built for, or the kernel refuses an operation on it.
#[derive(Debug, thiserror::Error)]
pub enum MapsError {
    /// The object has no such map.
    #[error("map {0}: not in the BPF object (was netmon built by `cargo xtask build`?)")]
    Missing(&'static str),
    /// The kernel's word on an operation.
    #[error("map {map}: {source}")]
    Kernel {
        /// The map.
        map: &'static str,
        /// What happened.
        source: MapError,
    },
    /// The number of processors is not to be read.
    #[error("{file}: {source}")]
    Processors {
        /// The file.
        file: String,
        /// What happened.
        source: std::io::Error,
    },
}

fn at(map: &'static str) -> impl Fn(MapError) -> MapsError {
    move |source| MapsError::Kernel { map, source }
}

fn take<T: TryFrom<Map, Error = MapError>>(
    object: &mut Ebpf,
    map: &'static str,
) -> Result<T, MapsError> {
    object.take_map(map).ok_or(MapsError::Missing(map))?.try_into().map_err(at(map))
}

/// The value that these bytes are. Callers name a `T` of `N` bytes.
fn value<T: FromBytes, const N: usize>(bytes: [u8; N]) -> T {
    const { assert!(size_of::<T>() == N) };
    T::read_from_bytes(&bytes).unwrap_or_else(|_| T::new_zeroed())
}

impl Maps {
    /// Takes the maps out of a loaded object.
    ///
    /// # Errors
    ///
    /// The object is not netmon's.
    pub fn new(object: &mut Ebpf) -> Result<Self, MapsError> {
        let processors = nr_cpus()
            .map_err(|(file, source)| MapsError::Processors { file: file.to_owned(), source })?;
        let mut maps = Self {
            policies: take(object, "PORTS")?,
            states: take(object, "PORT_STATE")?,
            bindings: take(object, "BINDINGS")?,
            reserved: take(object, "RESERVED")?,
            macs: take(object, "MACS")?,
            groups: take(object, "GROUPS")?,
            counters: take(object, "COUNTERS")?,
            ring: take(object, "RING")?,
            processors,
        };
        if maps.counters(NO_PORT).is_none() {
            maps.make_counters(NO_PORT)?;
        }
        Ok(maps)
    }

    /// Makes a port's entries. Its policy comes last: before it, the programs drop every frame.
    ///
    /// # Errors
    ///
    /// A table is full ([`netmon_common::limits::PORTS`]), or the kernel has no memory for it.
    pub fn add_port(&mut self, index: u32, policy: &PortPolicy) -> Result<(), MapsError> {
        self.make_counters(index)?;
        let state = PortState::default();
        self.states
            .insert(index, zerocopy::transmute_ref!(&state) as &[u8; STATE], 0)
            .map_err(at("PORT_STATE"))?;
        self.set_policy(index, policy)
    }

    /// A port's policy, as the programs see it; `None` where there is none.
    pub fn policy(&self, index: u32) -> Option<PortPolicy> {
        self.policies.get(&index, 0).ok().map(value)
    }

    /// The interfaces that have a policy.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn ports(&self) -> Result<Vec<u32>, MapsError> {
        self.policies.keys().collect::<Result<_, _>>().map_err(at("PORTS"))
    }

    /// Replaces a port's policy. The MAC that it names is the port's before its guest has spoken.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn set_policy(&mut self, index: u32, policy: &PortPolicy) -> Result<(), MapsError> {
        let mac = Mac::new(policy.mac);
        if !mac.is_zero() {
            let (link, vlan) = (policy.link, policy.vlan);
            let key = MacKey::in_vlan(link, vlan, mac);
            self.hold_mac(&key, MacHolder { port: index, ..MacHolder::default() })?;
        }
        let policy: &[u8; POLICY] = zerocopy::transmute_ref!(policy);
        self.policies.insert(index, policy, 0).map_err(at("PORTS"))
    }

    /// Removes a port's entries, as far as they are there. Its bindings stay: see
    /// [`remove_binding`](Self::remove_binding).
    pub fn remove_port(&mut self, index: u32) {
        // What is not there needs no removal; nothing else can go wrong with a key of the right size.
        let _absent = self.policies.remove(&index);
        let _absent = self.states.remove(&index);
        let _absent = self.counters.remove(&index);
    }

    /// What the kernel side remembers of a port; `None` where there is no such port.
    pub fn state(&self, index: u32) -> Option<PortState> {
        self.states.get(&index, 0).ok().map(value)
    }

    /// What the table holds under this key.
    pub fn binding(&self, key: &BindingKey) -> Option<Binding> {
        self.bindings.get(zerocopy::transmute_ref!(key), 0).ok().map(value)
    }

    /// All that the table holds. What is inserted or removed meanwhile may be missing or twice.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn bindings(&self) -> Result<Vec<(BindingKey, Binding)>, MapsError> {
        let rows = self.bindings.iter().map(|row| row.map(|(key, held)| (value(key), value(held))));
        rows.collect::<Result<_, _>>().map_err(at("BINDINGS"))
    }

    /// Puts a binding into the table, as a guest's claim does: for tests, and for what a migration brings.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn insert_binding(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), MapsError> {
        let (key, binding): (&[u8; KEY], &[u8; BINDING]) =
            (zerocopy::transmute_ref!(key), zerocopy::transmute_ref!(binding));
        self.bindings.insert(key, binding, 0).map_err(at("BINDINGS"))
    }

    /// Removes a binding; whether it was there.
    pub fn remove_binding(&mut self, key: &BindingKey) -> bool {
        self.bindings.remove(zerocopy::transmute_ref!(key)).is_ok()
    }

    /// Enters an address of the host's.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn reserve(&mut self, key: &BindingKey, reserved: Reserved) -> Result<(), MapsError> {
        let reserved: [u8; RESERVED] = zerocopy::transmute!(reserved);
        let key: &[u8; KEY] = zerocopy::transmute_ref!(key);
        self.reserved.insert(key, reserved, 0).map_err(at("RESERVED"))
    }

    /// Removes one, if it is there.
    pub fn unreserve(&mut self, key: &BindingKey) {
        let key: &[u8; KEY] = zerocopy::transmute_ref!(key);
        let _absent = self.reserved.remove(key);
    }

    /// The addresses that no guest may claim.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn reserved(&self) -> Result<Vec<BindingKey>, MapsError> {
        Ok(self.reservations()?.into_iter().map(|(key, _)| key).collect())
    }

    /// … and who has them.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn reservations(&self) -> Result<Vec<(BindingKey, Reserved)>, MapsError> {
        let rows = self.reserved.iter().map(|row| row.map(|(key, held)| (value(key), value(held))));
        rows.collect::<Result<_, _>>().map_err(at("RESERVED"))
    }

    /// Enters the holder of a MAC.
    ///
    /// # Errors
    ///
    /// The table is full.
    pub fn hold_mac(&mut self, key: &MacKey, holder: MacHolder) -> Result<(), MapsError> {
        let holder: [u8; MAC_HOLDER] = zerocopy::transmute!(holder);
        let key: &[u8; MAC] = zerocopy::transmute_ref!(key);
        self.macs.insert(key, holder, 0).map_err(at("MACS"))
    }

    /// Removes the holder of a MAC, if there is one.
    pub fn release_mac(&mut self, key: &MacKey) {
        let key: &[u8; MAC] = zerocopy::transmute_ref!(key);
        let _absent = self.macs.remove(key);
    }

    /// The MACs that are somebody's, and whose.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn macs(&self) -> Result<Vec<(MacKey, MacHolder)>, MapsError> {
        let rows = self.macs.iter().map(|row| row.map(|(key, held)| (value(key), value(held))));
        rows.collect::<Result<_, _>>().map_err(at("MACS"))
    }

    /// The multicast groups of all ports' guests.
    ///
    /// # Errors
    ///
    /// The kernel's word on the iteration.
    pub fn groups(&self) -> Result<Vec<(GroupKey, Group)>, MapsError> {
        let rows = self.groups.iter().map(|row| row.map(|(key, group)| (value(key), value(group))));
        rows.collect::<Result<_, _>>().map_err(at("GROUPS"))
    }

    /// Removes a group; whether it was there.
    pub fn remove_group(&mut self, key: &GroupKey) -> bool {
        self.groups.remove(zerocopy::transmute_ref!(key)).is_ok()
    }

    /// A port's counters, summed over the processors; `None` where there is no such port.
    pub fn counters(&self, index: u32) -> Option<PortCounters> {
        let rows = self.counters.get(&index, 0).ok()?;
        let mut sum = PortCounters::new_zeroed();
        for row in rows.iter() {
            let row: PortCounters = value(*row);
            add_ledger(&mut sum.ingress, &row.ingress);
            add_ledger(&mut sum.egress, &row.egress);
            sum.unsampled += row.unsampled;
        }
        Some(sum)
    }

    /// The ring buffer's own ledger, summed over the processors.
    ///
    /// # Errors
    ///
    /// The kernel's word.
    pub fn ring(&self) -> Result<RingCount, MapsError> {
        let rows = self.ring.get(&0, 0).map_err(at("RING"))?;
        Ok(rows.iter().map(|row| value(*row)).fold(RingCount::default(), |sum, row: RingCount| {
            RingCount { wanted: sum.wanted + row.wanted, lost: sum.lost + row.lost }
        }))
    }

    fn make_counters(&mut self, index: u32) -> Result<(), MapsError> {
        for _ in 1..MEMORY_TRIES {
            match self.try_counters(index) {
                Err(MapsError::Kernel { source, .. }) if is_out_of_memory(&source) => {}
                result => return result,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.try_counters(index)
    }

    fn try_counters(&mut self, index: u32) -> Result<(), MapsError> {
        let zeros = PerCpuValues::try_from(vec![[0; COUNTERS]; self.processors]);
        let zeros = zeros.map_err(|source| MapsError::Processors {
            file: "values per processor".to_owned(),
            source,
        })?;
        self.counters.insert(index, zeros, 0).map_err(at("COUNTERS"))
    }
}

/// Whether the kernel had no memory for an entry at hand. It takes that of a map without preallocation from
/// a store of a few per processor, which it fills again in its own time (kernel/bpf/memalloc.c): a burst
/// of new TAPs can find it empty.
fn is_out_of_memory(error: &MapError) -> bool {
    let MapError::SyscallError(error) = error else { return false };
    error.io_error.kind() == std::io::ErrorKind::OutOfMemory
}

fn add_ledger(sum: &mut Ledger, row: &Ledger) {
    add_counts(&mut sum.passed, &row.passed);
    add_counts(&mut sum.dropped, &row.dropped);
    add_counts(&mut sum.observed, &row.observed);
}

fn add_counts(sum: &mut [Count], row: &[Count]) {
    for (sum, row) in sum.iter_mut().zip(row) {
        sum.packets += row.packets;
        sum.bytes += row.bytes;
    }
}
