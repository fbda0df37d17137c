//! Contracts that cannot rot in silence: what other builds, pinned maps and scripts rely on, held to a file each.
//!
//! `NETMON_BLESS=1 cargo xtask test unit contracts` writes the files anew, as far as that is allowed: a layout never
//! changes under the same [`abi::VERSION`], and a number never gets another meaning.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that panics has failed")]

// A file of `netmon-tests`, which depends on this crate and not the other way round.
#[path = "../../tests/src/golden.rs"]
#[allow(unreachable_pub, reason = "there it is public")]
mod golden;

use std::{collections::BTreeMap, path::PathBuf};

use netmon_common::{Kind, Reason, abi, limits};

const SOURCES: [&str; 6] = [
    include_str!("../src/abi.rs"),
    include_str!("../src/abi/port.rs"),
    include_str!("../src/abi/binding.rs"),
    include_str!("../src/abi/holder.rs"),
    include_str!("../src/abi/counter.rs"),
    include_str!("../src/abi/record.rs"),
];

fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares with the file, or writes it; `is_allowed` says why a change is none that a bless can make.
fn check(path: &str, now: &str, is_allowed: impl Fn(&str) -> Result<(), String>) {
    golden::check(&at(path), now, is_allowed).unwrap_or_else(|why| panic!("{why}"));
}

/// What stands before the meaning.
fn fixed(line: &str) -> &str {
    line.split_once(" # ").map_or(line, |(fixed, _)| fixed)
}

/// A struct of the treaty: its fields with their types and meanings, as the source says.
type Fields = Vec<(String, String, String)>;

fn structs() -> Vec<(String, u32, Fields)> {
    let mut all = Vec::new();
    for source in SOURCES {
        let (mut meaning, mut align) = (String::new(), 0);
        let mut current: Option<(String, u32, Fields)> = None;
        for line in source.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                meaning = format!("{meaning}{text}");
            } else if line.contains("align(8)") {
                align = 8;
            } else if let Some(name) = line.strip_prefix("pub struct ") {
                let name = name.trim_end_matches(" {").to_owned();
                current = Some((name, std::mem::take(&mut align), Vec::new()));
                meaning.clear();
            } else if let (Some((_, _, fields)), Some(field)) =
                (&mut current, line.strip_prefix("pub ").and_then(|line| line.strip_suffix(',')))
            {
                let (name, kind) = field.split_once(": ").expect("a field");
                let said = std::mem::take(&mut meaning);
                let first = said.trim().split(". ").next().unwrap_or_default().to_owned();
                fields.push((name.to_owned(), kind.to_owned(), first));
            } else if line == "}" {
                all.extend(current.take());
                meaning.clear();
            } else if !line.starts_with("#[") {
                meaning.clear();
            }
        }
    }
    all
}

/// Size and alignment of a type.
fn size(kind: &str, known: &BTreeMap<String, (usize, usize)>) -> (usize, usize) {
    if let Some((of, count)) =
        kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')?.split_once("; "))
    {
        let count = match count {
            "PORT_LIST" => limits::PORT_LIST,
            "REASONS" => limits::REASONS,
            "KINDS" => limits::KINDS,
            number => number.parse().expect("a length"),
        };
        let (one, align) = size(of, known);
        return (one * count, align);
    }
    match kind {
        "u8" => (1, 1),
        "u16" => (2, 2),
        "u32" => (4, 4),
        "u64" => (8, 8),
        other => *known.get(other).unwrap_or_else(|| panic!("{other}: say how long it is")),
    }
}

/// Every field of every value of a map or record: type, offset, size, meaning.
fn layout() -> String {
    let mut text = format!("version {}\n", abi::VERSION);
    let mut known = BTreeMap::new();
    for (name, align, fields) in structs() {
        let (mut offset, mut most) = (0_usize, align as usize);
        for (field, kind, meaning) in fields {
            let (bytes, align) = size(&kind, &known);
            assert!(offset.is_multiple_of(align), "{name}.{field}: a hole before it");
            text += &format!("{name}.{field} {kind} at {offset}, {bytes} # {meaning}\n");
            offset += bytes;
            most = most.max(align);
        }
        assert!(offset.is_multiple_of(most), "{name}: a hole at its end");
        text += &format!("{name} is {offset}\n");
        known.insert(name, (offset, most));
    }
    text
}

#[test]
fn the_layout_is_the_versions() {
    let sizes = [
        ("PortPolicy", size_of::<abi::PortPolicy>()),
        ("PortState", size_of::<abi::PortState>()),
        ("BindingKey", size_of::<abi::BindingKey>()),
        ("Binding", size_of::<abi::Binding>()),
        ("Reserved", size_of::<abi::Reserved>()),
        ("MacKey", size_of::<abi::MacKey>()),
        ("MacHolder", size_of::<abi::MacHolder>()),
        ("GroupKey", size_of::<abi::GroupKey>()),
        ("Group", size_of::<abi::Group>()),
        ("PortCounters", size_of::<abi::PortCounters>()),
        ("RingCount", size_of::<abi::RingCount>()),
        ("Event", size_of::<abi::Event>()),
        ("Sample", size_of::<abi::Sample>()),
    ];
    let now = layout();
    for (name, bytes) in sizes {
        assert!(
            now.contains(&format!("{name} is {bytes}\n")),
            "{name} is {bytes} bytes to the compiler"
        );
    }
    check("src/abi/layout.txt", &now, |kept| {
        let is_same = kept.lines().map(fixed).eq(now.lines().map(fixed));
        let version = format!("version {}", abi::VERSION);
        if is_same || kept.lines().next() != Some(&version) {
            return Ok(());
        }
        Err("the layout has changed under the same version: raise abi::VERSION".to_owned())
    });
}

/// The numbers of the treaty's own enums and bits: `Mode.Observe 1 # …`.
fn numbers() -> String {
    let (mut text, mut meaning, mut of) = (String::new(), String::new(), "");
    for line in SOURCES.into_iter().flat_map(str::lines).map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            meaning += said;
            continue;
        }
        // In a table of `numbers!`, the type comes with what is said of a number that is none.
        let table = line.strip_suffix('"').and_then(|line| line.split_once(": "));
        if let Some(name) = line.strip_prefix("pub enum ") {
            of = name.trim_end_matches(" {");
        } else if let Some((name, _)) = table {
            of = name;
        } else if line == "}" {
            of = "";
        } else if let Some((what, number)) = line.split_once(" = ").filter(|_| !line.contains('$'))
        {
            let bit = what.strip_prefix("pub const ").and_then(|what| what.split(':').next());
            let name = match bit.filter(|bit| bit.starts_with("ALLOW_")) {
                Some(bit) => Some(bit.to_owned()),
                None => (!of.is_empty()).then(|| format!("{of}.{what}")),
            };
            let meaning = meaning.trim().split(". ").next().unwrap_or_default();
            if let Some(name) = name {
                text += &format!("{name} {} # {meaning}\n", number.trim_end_matches([',', ';']));
            }
        }
        if !line.starts_with("#[") {
            meaning.clear();
        }
    }
    text
}

#[test]
fn a_number_keeps_its_meaning() {
    let mut now = numbers();
    for reason in Reason::ALL {
        now += &format!("reason {} {} # {}\n", reason.number(), reason.name(), reason.sentence());
    }
    for kind in Kind::ALL {
        now += &format!("kind {} {} # {}\n", kind.number(), kind.name(), kind.sentence());
    }
    check("../tests/fixtures/reasons.txt", &now, |kept| {
        let gone = kept.lines().map(fixed).find(|old| !now.lines().any(|new| fixed(new) == *old));
        gone.map_or(Ok(()), |gone| Err(format!("`{gone}` is gone: a number is never given up")))
    });
}
