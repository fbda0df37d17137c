//! Names that say nothing, and words that belong to one machine or to another day.

use super::{Breach, File, code};

/// Modules into which anything fits.
const MODULES: [&str; 5] = ["utils", "util", "helpers", "helper", "misc"];

/// Words of another day. Put together here, so that this file passes its own rule.
const LATER: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders of one machine.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub(super) fn modules(file: &File, code: &str) -> Vec<Breach> {
    let remedy = |name: &str| format!("`{name}` says nothing: call it by what it is about");
    let is_bad = |name: &str| MODULES.contains(&name);
    let mut breaches = vec![];
    let path = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    if let Some(name) = path.split('/').find(|name| is_bad(name)) {
        breaches.push(file.breach(1, remedy(name)));
    }
    for (number, line) in (1..).zip(code.lines()) {
        let words = code::words(line);
        let after_mod = words.clone().skip(1).zip(words);
        let bad = after_mod.filter(|(name, before)| *before == "mod" && is_bad(name));
        breaches.extend(bad.map(|(name, _)| file.breach(number, remedy(name))));
    }
    breaches
}

pub(super) fn words(file: &File) -> Vec<Breach> {
    let mut breaches = vec![];
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(word) = LATER.iter().find(|later| code::words(line).any(|word| word == **later))
        {
            let remedy = format!("{word}: do it now, or open an issue and name it");
            breaches.push(file.breach(number, remedy));
        }
        if let Some(place) = PLACES.iter().find(|place| line.contains(**place)) {
            let remedy = format!("{place} is a place on one machine: name none");
            breaches.push(file.breach(number, remedy));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::{
        super::{file, lines},
        *,
    };

    #[test]
    fn a_module_says_what_it_is_about() {
        let check = |path: &str, code: &str, at: &[usize]| {
            assert_eq!(lines(modules(&file(path, ""), code)), at, "{path}: {code}");
        };
        check("netmon/src/links.rs", "mod links;\nuse crate::links;", &[]);
        check("netmon/src/utils.rs", "", &[1]);
        check("netmon/src/helpers/links.rs", "", &[1]);
        check("netmon/src/lib.rs", "\npub(crate) mod misc {", &[2]);
    }

    #[test]
    fn words_of_another_day_or_machine_are_found() {
        let check = |text: &str, at: &[usize]| {
            assert_eq!(lines(words(&file("README.md", text))), at, "{text}");
        };
        check("what there is todo, and XXXL shirts", &[]);
        check(concat!("fine\n// TO", "DO: later"), &[2]);
        check(concat!("FIX", "ME"), &[1]);
        check(concat!("XX", "X here"), &[1]);
        check(concat!("see /wo", "rk/main and /ho", "me/me"), &[1]);
        check(concat!("ok\nok\n/ro", "ot/.cache"), &[3]);
    }
}
