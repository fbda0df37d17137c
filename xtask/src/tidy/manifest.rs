//! Dependencies point one way: `common ← ebpf`, `common ← netmon`, `api ← netmon ← tests`.

use super::{Breach, File};

/// Each crate's folder, its name, and what of the workspace it may depend on.
const CRATES: [(&str, &str, &[&str]); 6] = [
    ("netmon-common", "netmon-common", &[]),
    ("netmon-ebpf", "netmon-ebpf", &["netmon-common"]),
    ("netmon-api", "netmon-api", &[]),
    ("netmon", "netmon", &["netmon-common", "netmon-api"]),
    ("tests", "netmon-tests", &["netmon", "netmon-api", "netmon-common"]),
    ("xtask", "xtask", &[]),
];

pub(super) fn breaches(file: &File) -> Vec<Breach> {
    let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { return vec![] };
    let Some((_, _, allowed)) = CRATES.iter().find(|(known, ..)| *known == folder) else {
        let remedy = "a new crate: say in tidy's table which others it may depend on";
        return vec![file.breach(1, remedy.to_owned())];
    };
    let ours = |name: &str| CRATES.iter().any(|(_, known, _)| *known == name);
    dependencies(&file.text)
        .into_iter()
        .filter(|(_, name)| ours(name) && !allowed.contains(name))
        .map(|(line, name)| {
            let remedy = match allowed {
                [] => format!("`{name}`: this crate depends on none of the others"),
                _ => {
                    format!("`{name}`: of the others this crate knows {} only", allowed.join(", "))
                }
            };
            file.breach(line, remedy)
        })
        .collect()
}

/// The names in all tables of dependencies, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = vec![];
    let mut inside = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.split(']').next().unwrap_or_default();
            inside = table.ends_with("dependencies");
            // [dependencies.name]
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push((number, name));
            }
        } else if inside {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            found.push((number, name.trim_matches('"')));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{
        super::{file, lines},
        *,
    };

    fn check(folder: &str, text: &str, at: &[usize]) {
        let found = breaches(&file(&format!("{folder}/Cargo.toml"), text));
        assert_eq!(lines(found), at, "{folder}: {text}");
    }

    #[test]
    fn dependencies_point_one_way() {
        check(
            "netmon",
            "[package]\nname = \"netmon\"\n[dependencies]\nnetmon-common.workspace = true",
            &[],
        );
        check("netmon-common", "[dependencies]\nzerocopy = \"1\"\nnetmon = { path = \"x\" }", &[3]);
        check("netmon-api", "[dev-dependencies]\nnetmon-common.workspace = true", &[2]);
        check("netmon", "[target.'cfg(unix)'.dependencies]\nxtask = \"1\"", &[2]);
        check("netmon-ebpf", "[build-dependencies.netmon-api]\npath = \"x\"", &[1]);
        check("tests", "[dependencies]\n\"netmon\" = \"1\"\nnetmon-ebpf = \"1\"", &[3]);
    }

    #[test]
    fn a_new_crate_is_met() {
        check("netmon-more", "", &[1]);
    }
}
