//! Every test that docs/faults.md names is there, and every fault is in it.

use super::{Breach, File};

const DOCS: &str = "docs/faults.md";
const FAULTS: usize = 50;

pub(super) fn breaches(files: &[File]) -> Vec<Breach> {
    let Some(docs) = files.iter().find(|file| file.path == DOCS) else { return vec![] };
    let mut breaches = Vec::new();
    let mut faults = 0;
    for (number, line) in (1..).zip(docs.text.lines()) {
        if line.starts_with(&format!("| {} |", faults + 1)) {
            faults += 1;
            if !line.contains("::") && !line.contains("Not tested") {
                let remedy = "name its test, or say why it is not tested".to_owned();
                breaches.push(docs.breach(number, remedy));
            }
        }
        // Each second part stands between backquotes.
        for name in line.split('`').skip(1).step_by(2).filter(|name| name.contains("::")) {
            if !files.iter().any(|file| has(file, name)) {
                breaches.push(docs.breach(number, format!("`{name}`: there is no such test")));
            }
        }
    }
    if faults != FAULTS {
        let remedy = format!("{faults} faults in order, and not {FAULTS}");
        breaches.push(docs.breach(1, remedy));
    }
    breaches
}

/// Whether a test of this name is in this file: `net::pins::a_test` in `…/net/pins.rs`, `x::tests::a_test` also in
/// `…/x.rs`.
fn has(file: &File, name: &str) -> bool {
    let Some((module, test)) = name.rsplit_once("::") else { return false };
    let module = module.replace("::", "/");
    let path = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let is_there = |module: &str| path.ends_with(&format!("/{module}"));
    (is_there(&module) || module.strip_suffix("/tests").is_some_and(is_there))
        && file.text.contains(&format!("fn {test}()"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{file, lines},
        *,
    };

    fn check(last: &str, at: &[usize]) {
        let row =
            |number| format!("| {number} | `net::pins::there`, `kernel::adopt::tests::too` |\n");
        let docs: String = (1..FAULTS).map(row).collect();
        let files = [
            file(DOCS, &format!("{docs}{last}")),
            file("tests/tests/it/net/pins.rs", "#[test]\nfn there() {}"),
            file("netmon/src/kernel/adopt.rs", "fn too() {}"),
        ];
        assert_eq!(lines(breaches(&files)), at, "{last}");
    }

    #[test]
    fn each_fault_has_a_test_that_is_there() {
        check("| 50 | `net::pins::there` |", &[]);
        check("| 50 | Not tested: it cannot be had |", &[]);
        check("| 50 | nothing |", &[50]);
        check("| 50 | `net::pins::gone` |", &[50]);
        check("| 50 | `net::life::there` |", &[50]);
        check("| 49 | `net::pins::there` |", &[1]);
    }
}
