//! Who may know what: `unsafe`, and the crates that stand for one layer each.

use super::{Breach, File, code};

/// Where `unsafe` may stand. An entry that ends in `/` is a folder.
const UNSAFE: [&str; 4] =
    ["netmon-ebpf/src/", "netmon-common/src/abi.rs", "netmon/src/kernel/", "tests/"];

/// Inside `netmon`, only these know these crates.
const LAYERS: [(&[&str], &[&str]); 4] = [
    (&["aya", "aya_obj", "aya_log"], &["netmon/src/kernel.rs", "netmon/src/kernel/"]),
    (&["rtnetlink"], &["netmon/src/links.rs", "netmon/src/links/"]),
    (
        &["netmon_api", "prost", "prost_types", "tonic", "tonic_health", "tonic_reflection"],
        &["netmon/src/api.rs", "netmon/src/api/", "netmon/src/cli.rs", "netmon/src/cli/"],
    ),
    (&["clap"], &["netmon/src/main.rs", "netmon/src/cli.rs", "netmon/src/cli/"]),
];

pub(super) fn unsafe_code(file: &File, code: &str) -> Vec<Breach> {
    if lies_in(file, &UNSAFE) {
        return vec![];
    }
    let remedy = format!("`unsafe` stands in {} only: use what they offer", UNSAFE.join(", "));
    lines_with(code, |line| code::words(line).any(|word| word == "unsafe"))
        .map(|number| file.breach(number, remedy.clone()))
        .collect()
}

pub(super) fn crates(file: &File, code: &str) -> Vec<Breach> {
    if !file.path.starts_with("netmon/src/") {
        return vec![];
    }
    let mut breaches = vec![];
    for (crates, homes) in LAYERS.iter().filter(|(_, homes)| !lies_in(file, homes)) {
        for name in *crates {
            let remedy = format!("only {} knows `{name}`: let it translate", homes.join(", "));
            let found = lines_with(code, |line| names_crate(line, name));
            breaches.extend(found.map(|number| file.breach(number, remedy.clone())));
        }
    }
    breaches
}

/// Is it the first segment of a path, or used as a whole?
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        // `crate::api::tonic` is ours; `::tonic` is not.
        let is_first = before
            .strip_suffix("::")
            .is_none_or(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let is_used = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        is_word && is_first && (after.starts_with("::") || is_used)
    })
}

fn lies_in(file: &File, places: &[&str]) -> bool {
    places.iter().any(|place| {
        if place.ends_with('/') { file.path.starts_with(place) } else { file.path == *place }
    })
}

fn lines_with(code: &str, fits: impl Fn(&str) -> bool) -> impl Iterator<Item = usize> {
    (1..).zip(code.lines()).filter(move |(_, line)| fits(line)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{file, lines},
        *,
    };

    #[test]
    fn unsafe_stands_in_few_places() {
        let check = |path: &str, code: &str, at: &[usize]| {
            assert_eq!(lines(unsafe_code(&file(path, ""), code)), at, "{path}: {code}");
        };
        check("netmon/src/kernel/link.rs", "unsafe { x() }", &[]);
        check("netmon-common/src/abi.rs", "unsafe impl Pod for X {}", &[]);
        check("netmon-common/src/parse.rs", "fn f() {\n unsafe { x() }", &[2]);
        check("netmon/src/kernel_version.rs", "unsafe fn f() {}", &[1]);
        check("netmon/src/api.rs", "#![deny(unsafe_op_in_unsafe_fn)]", &[]);
    }

    #[test]
    fn each_crate_has_its_layer() {
        let check = |path: &str, code: &str, at: &[usize]| {
            assert_eq!(lines(crates(&file(path, ""), code)), at, "{path}: {code}");
        };
        check("netmon/src/kernel/load.rs", "use aya::Ebpf;", &[]);
        check("netmon/src/daemon.rs", "use crate::kernel;\nuse aya::Ebpf;", &[2]);
        check("netmon/src/daemon.rs", "fn f(x: ::aya_obj::Object) {}", &[1]);
        check("netmon/src/daemon.rs", "use aya;", &[1]);
        check("netmon/src/daemon.rs", "let aya = malaya::x(); crate::aya::y();", &[]);
        check("netmon/src/links.rs", "use rtnetlink::Handle;", &[]);
        check("netmon/src/endpoints.rs", "use rtnetlink::Handle;", &[1]);
        check("netmon/src/cli/watch.rs", "use netmon_api::v0;\nuse clap::Args;", &[]);
        check("netmon/src/metrics.rs", "use tonic::Status;", &[1]);
        check("netmon/src/config.rs", "#[derive(clap::Args)]", &[1]);
        check("tests/src/lib.rs", "use aya::Ebpf;", &[]);
    }
}
