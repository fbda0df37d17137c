//! The maps. BTF-typed, so that `bpftool map dump` shows the fields by name; their values are
//! `netmon_common::abi`.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
    macros::btf_map,
};
use netmon_common::{
    abi::{
        Binding, BindingKey, Event, Group, GroupKey, MacHolder, MacKey, PortCounters, PortPolicy,
        PortState, Reserved, RingCount, Sample,
    },
    limits,
};

/// What an insertion of a new entry says where there is one.
pub(crate) const EEXIST: i32 = -17;

const PORT_ENTRIES: usize = limits::PORTS as usize;

#[btf_map]
pub(crate) static PORTS: HashMap<u32, PortPolicy, PORT_ENTRIES> = HashMap::new();

#[btf_map]
pub(crate) static PORT_STATE: HashMap<u32, PortState, PORT_ENTRIES> = HashMap::new();

#[btf_map]
pub(crate) static BINDINGS: HashMap<BindingKey, Binding, { limits::BINDINGS as usize }> =
    HashMap::new();

#[btf_map]
pub(crate) static RESERVED: HashMap<BindingKey, Reserved, { limits::RESERVED as usize }> =
    HashMap::new();

#[btf_map]
pub(crate) static MACS: HashMap<MacKey, MacHolder, { limits::MACS as usize }> = HashMap::new();

#[btf_map]
pub(crate) static GROUPS: HashMap<GroupKey, Group, { limits::GROUPS as usize }> = HashMap::new();

/// Made per port as it appears: preallocated, a full table would take 7 MB a processor. One entry more
/// for `NO_PORT`.
#[btf_map]
pub(crate) static COUNTERS: PerCpuHashMap<
    u32,
    PortCounters,
    { PORT_ENTRIES + 1 },
    { BPF_F_NO_PREALLOC as usize },
> = PerCpuHashMap::new();

#[btf_map]
pub(crate) static EVENTS: RingBuf<Event, { limits::EVENT_RING_BYTES as usize }> = RingBuf::new();

#[btf_map]
pub(crate) static SAMPLES: RingBuf<Sample, { limits::SAMPLE_RING_BYTES as usize }> = RingBuf::new();

#[btf_map]
pub(crate) static RING: PerCpuArray<RingCount, 1> = PerCpuArray::new();

/// Not pinned: nothing of it outlives a frame.
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<u64, 1> = PerCpuArray::new();
