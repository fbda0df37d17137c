//! The treaty as the kernel side was compiled: what `netmon-common/src/abi` has in files is held to the object's BTF.

mod btf;

use std::{collections::BTreeMap, path::Path};

use aya_obj::maps::Map;
use netmon_common::{abi, limits};

use self::btf::Types;
use super::*;
use crate::{
    golden,
    kernel::{load::OBJECT, pins::MAPS},
};

/// The layout, by the source of the types; `netmon-common/tests/contracts.rs` writes it.
const LAYOUT: &str = include_str!("../../../../netmon-common/src/abi/layout.txt");

/// What the kernel side has no stack for: nothing in it outlives a frame.
const SCRATCH: &str = "SCRATCH";

/// Key and value of a map, by the numbers of their types.
fn types_of(map: &Map) -> (u32, u32) {
    match map {
        Map::Btf(map) => (map.def.btf_key_type_id, map.def.btf_value_type_id),
        Map::Legacy(_) => panic!("a map without types"),
    }
}

fn object() -> (Object, Types) {
    let object = Object::parse(OBJECT).expect("the object");
    let types = Types::parse(&object.btf.as_ref().expect("BTF").to_bytes());
    (object, types)
}

#[test]
fn the_object_has_the_layout_that_the_source_says() {
    let (object, types) = object();
    let mut structs = BTreeMap::new();
    for name in MAPS {
        let (key, value) = types_of(&object.maps[name]);
        types.structs(key, &mut structs);
        types.structs(value, &mut structs);
    }
    let compiled: Vec<&str> = structs.values().flat_map(|lines| lines.lines()).collect();
    let numbers =
        [("PORT_LIST", limits::PORT_LIST), ("REASONS", limits::REASONS), ("KINDS", limits::KINDS)];
    let said = numbers.iter().fold(LAYOUT.to_owned(), |text, (name, number)| {
        text.replace(&format!("; {name}]"), &format!("; {number}]"))
    });
    let said: Vec<&str> = said
        .lines()
        .skip(1)
        .map(|line| line.split_once(" # ").map_or(line, |(fixed, _)| fixed))
        .collect();
    for line in &said {
        assert!(compiled.contains(line), "layout.txt says, and the object does not: {line}");
    }
    for line in &compiled {
        assert!(said.contains(line), "the object says, and layout.txt does not: {line}");
    }
}

#[test]
fn the_maps_are_the_versions() {
    let (object, types) = object();
    let is_pinned = |(name, map): (&String, &Map)| {
        matches!(map, Map::Legacy(_)) || MAPS.contains(&&**name) || name == SCRATCH
    };
    assert!(object.maps.iter().all(is_pinned), "of {:?} some are not pinned", object.maps.keys());
    let mut now = format!("version {}\n", abi::VERSION);
    for name in MAPS {
        let map = &object.maps[name];
        let (key, value) = types_of(map);
        let kind = match map.map_type() {
            1 => "hash",
            5 => "percpu_hash",
            6 => "percpu_array",
            27 => "ringbuf",
            other => panic!("{name}: say what a map of type {other} is called"),
        };
        // A ring has no keys; what stands in their place has another name with each compiler.
        let values = match kind {
            "ringbuf" => types.name(value),
            _ => format!("{} → {}", types.name(key), types.name(value)),
        };
        let (entries, flags) = (map.max_entries(), map.map_flags());
        now += &format!("{name} {kind} of {values}, {entries} entries, flags {flags:#x}\n");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netmon-common/src/abi/maps.txt");
    let version = now.lines().next().map(str::to_owned);
    let checked = golden::check(&file, &now, |kept| {
        if kept.is_empty() || kept.lines().next().map(str::to_owned) != version {
            return Ok(());
        }
        Err("the maps have changed under the same version: raise abi::VERSION".to_owned())
    });
    checked.unwrap_or_else(|why| panic!("{why}"));
}
