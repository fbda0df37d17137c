//! Rust without its comments and literals, so that a rule about code is not fooled by a sentence.

/// The code, with blanks in place of comments and of what stands in literals. Lines stay where they are.
pub(super) fn of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let identifier = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = literal(rest, identifier).unwrap_or(0);
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (blank, after) = rest.split_at(length);
            code.extend(blank.chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = after;
        }
    }
    code
}

/// How long the comment or literal is with which this begins. `identifier`: whether it stands right
/// behind a letter, where an `r` begins no raw string.
fn literal(rest: &str, identifier: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(closed(rest, 1, '"'));
    }
    if let Some(quoted) = rest.strip_prefix('\'') {
        // 'x' or an escape; else it is a lifetime.
        let mut chars = quoted.char_indices();
        let (_, first) = chars.next()?;
        let (end, second) = chars.next()?;
        return match (first, second) {
            ('\\', _) => Some(closed(rest, 1, '\'')),
            (_, '\'') => Some(end + 2),
            _ => None,
        };
    }
    let raw = rest.strip_prefix('r').filter(|_| !identifier)?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let body = raw[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

/// Where what begins before `from` is closed by `quote`; a backslash hides the character behind it.
fn closed(text: &str, from: usize, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < from) {
        if c == quote && !hidden {
            return at + c.len_utf8();
        }
        hidden = c == '\\' && !hidden;
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The words of a line of code: identifiers and keywords.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let check = |text: &str, code: &str| assert_eq!(of(text), code, "of {text:?}");
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d\n */ e", "a               \n    e");
        check(r#"f("a\"b", c)"#, r"f(      , c)");
        check(r##"f(r#"a"b"#, c)"##, r"f(        , c)");
        check("('\"', '\\'', 'a')", "(   ,     ,    )");
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
        check("for\"a\"", "for   ");
        check("\"never closed", "             ");
        check("/* never closed", "               ");
        check("ä // ö", "ä     ");
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("unsafe_op(aya::Ebpf)").collect::<Vec<_>>(), ["unsafe_op", "aya", "Ebpf"]);
    }
}
