//! As much of BTF as tells the fields of a struct (Documentation/bpf/btf.rst). aya keeps its own reader to itself.

use std::{collections::BTreeMap, fmt::Write as _};

const HEADER: usize = 24;

/// A type, as far as a map's values are made of it.
enum Type {
    /// A number, or what no value is made of.
    Named(String, usize),
    Pointer(u32),
    Array(u32, usize),
    Struct(String, usize, Vec<Field>),
}

struct Field {
    name: String,
    of: u32,
    /// Bytes.
    at: u32,
}

/// All types, by their numbers.
pub(super) struct Types(Vec<Type>);

impl Types {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes of BTF"))
        };
        let strings = HEADER + word(16) as usize;
        let name = |at: usize| {
            let text = bytes[strings + word(at) as usize..].split(|byte| *byte == 0).next();
            String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
        };
        let mut at = HEADER + word(8) as usize;
        let end = at + word(12) as usize;
        // Number 0 is void.
        let mut all = vec![Type::Named("()".to_owned(), 0)];
        while at < end {
            let (info, size, rest) = (word(at + 4), word(at + 8), at + 12);
            // The kind, and how many parts there are (`struct btf_type` in include/uapi/linux/btf.h).
            let (kind, parts) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let field = |part: usize| {
                let at = rest + 12 * part;
                Field { name: name(at), of: word(at + 4), at: word(at + 8) / 8 }
            };
            let (one, words) = match kind {
                2 => (Type::Pointer(size), 0),
                3 => (Type::Array(word(rest), word(rest + 8) as usize), 3),
                4 => {
                    let fields = (0..parts).map(field).collect();
                    (Type::Struct(name(at), size as usize, fields), 3 * parts)
                }
                other => {
                    let words = match other {
                        1 | 14 | 17 => 1,
                        5 | 15 | 19 => 3 * parts,
                        6 | 13 => 2 * parts,
                        _ => 0,
                    };
                    (Type::Named(name(at), size as usize), words)
                }
            };
            all.push(one);
            at = rest + 4 * words;
        }
        Self(all)
    }

    /// As the source names it. A map's definition has pointers to its key and value.
    pub(super) fn name(&self, number: u32) -> String {
        match &self.0[number as usize] {
            Type::Named(name, _) | Type::Struct(name, ..) => name.clone(),
            Type::Pointer(to) => self.name(*to),
            Type::Array(of, count) => format!("[{}; {count}]", self.name(*of)),
        }
    }

    fn size(&self, number: u32) -> usize {
        match &self.0[number as usize] {
            Type::Named(_, size) | Type::Struct(_, size, _) => *size,
            Type::Pointer(to) => self.size(*to),
            Type::Array(of, count) => self.size(*of) * count,
        }
    }

    /// Adds every struct that this type is made of: a line a field, and one with its size.
    pub(super) fn structs(&self, number: u32, found: &mut BTreeMap<String, String>) {
        match &self.0[number as usize] {
            Type::Named(..) => {}
            Type::Pointer(to) | Type::Array(to, _) => self.structs(*to, found),
            Type::Struct(name, size, fields) => {
                let mut text = String::new();
                for Field { name: field, of, at } in fields {
                    let (kind, bytes) = (self.name(*of), self.size(*of));
                    writeln!(text, "{name}.{field} {kind} at {at}, {bytes}").expect("a String");
                    self.structs(*of, found);
                }
                writeln!(text, "{name} is {size}").expect("a String");
                found.insert(name.clone(), text);
            }
        }
    }
}
