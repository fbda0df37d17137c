//! Every drop reason is explained to people in docs/reasons.md.

use super::{Breach, File};

const TABLE: &str = "netmon-common/src/reason.rs";
const DOCS: &str = "docs/reasons.md";

pub(super) fn breaches(files: &[File]) -> Vec<Breach> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let (Some(table), Some(docs)) = (find(TABLE), find(DOCS)) else { return vec![] };
    let reasons = reasons(&table.text);
    if reasons.is_empty() {
        let remedy = "tidy finds no `Reason:` table here: teach it the new form".to_owned();
        return vec![table.breach(1, remedy)];
    }
    reasons
        .into_iter()
        .filter(|(_, name)| !docs.text.contains(&format!("`{name}`")))
        .map(|(line, name)| table.breach(line, format!("`{name}`: explain it in {DOCS}")))
        .collect()
}

/// The names in the table of reasons, with their lines:
/// `7 SourceMac "src_mac" "source MAC is …"`.
fn reasons(text: &str) -> Vec<(usize, &str)> {
    (1..)
        .zip(text.lines())
        .skip_while(|(_, line)| !line.trim_start().starts_with("Reason:"))
        .take_while(|(_, line)| !line.starts_with('}'))
        .filter(|(_, line)| line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|(number, line)| Some((number, line.split('"').nth(1)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{file, lines},
        *,
    };

    fn check(table: &str, docs: &str, at: &[usize]) {
        let found = breaches(&[file(TABLE, table), file(DOCS, docs)]);
        assert_eq!(lines(found), at, "{table} in {docs}");
    }

    #[test]
    fn each_reason_is_explained() {
        let table = "table! {\n Reason: \"none\"\n 1 Runt \"runt\" \"short\"\n 2 Vlan \"vlan\" \"tag\"\n}\n\
                     table! {\n Kind: \"none\"\n 0 Dad \"dad\" \"DAD\"\n}";
        check(table, "`runt`, `vlan`", &[]);
        check(table, "`runt`, vlan", &[4]);
        check(table, "", &[3, 4]);
    }

    #[test]
    fn a_table_of_another_form_is_met() {
        check("enum Reason {}", "`runt`", &[1]);
    }

    #[test]
    fn this_tree_has_the_table() {
        assert!(!reasons(include_str!("../../../netmon-common/src/reason.rs")).is_empty());
    }
}
