//! How long a file may be: a room, not a warehouse.

use super::{Breach, File};

/// Lines of a file.
const LINES: usize = 400;

/// Lines of a file of the BPF side, which is thin.
const BPF_LINES: usize = 150;

/// Files that may be longer: path, lines, reason.
const ALLOWED: &[(&str, usize, &str)] = &[];

pub(super) fn breaches(file: &File) -> Option<Breach> {
    over(file, ALLOWED)
}

fn over(file: &File, allowed: &[(&str, usize, &str)]) -> Option<Breach> {
    let usual = if file.path.starts_with("netmon-ebpf/src/") { BPF_LINES } else { LINES };
    let lines = file.text.lines().count();
    let exception = allowed.iter().find(|(path, ..)| *path == file.path);
    if exception.is_some() && lines <= usual {
        let remedy = format!("fits into {usual} lines again: take it out of tidy's table");
        return Some(file.breach(1, remedy));
    }
    let limit = exception.map_or(usual, |(_, lines, _)| *lines);
    (lines > limit).then(|| {
        let remedy =
            format!("{lines} lines, {limit} allowed: ask what wants to be a file of its own");
        file.breach(limit + 1, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn check(path: &str, lines: usize, at: Option<usize>) {
        let allowed = &[("long.rs", 500, "a table")];
        let found = over(&file(path, &"\n".repeat(lines)), allowed);
        assert_eq!(found.map(|breach| breach.line), at, "{path} of {lines} lines");
    }

    #[test]
    fn a_file_has_a_limit() {
        check("netmon/src/api.rs", 400, None);
        check("netmon/src/api.rs", 401, Some(401));
        check("netmon-ebpf/src/main.rs", 150, None);
        check("netmon-ebpf/src/main.rs", 151, Some(151));
    }

    #[test]
    fn an_exception_has_a_limit_and_an_end() {
        check("long.rs", 500, None);
        check("long.rs", 501, Some(501));
        check("long.rs", 400, Some(1));
    }
}
