//! TOML → [`Config`], or all that is wrong with it, each with its line and key.
//!
//! The tables are walked as they were parsed: what is said of a value needs its place and its key, and
//! serde tells neither of all errors.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use glob::Pattern;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, Problem};
use crate::policy::{KEYS, PolicyChange, Refused, Rule};

/// The keys outside of `[[policy]]` and `[[reserved]]`.
pub(super) const TOP: [&str; 7] =
    ["taps", "socket", "bpffs", "mode", "profile", "policy", "reserved"];

/// The key of the TAPs that a `[[policy]]` is about.
const MATCH: &str = "match";

type Key<'a> = Spanned<Cow<'a, str>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Reads all of `text`. `file` is for what is said of it.
pub(super) fn config(file: &Path, text: &str) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader { file, text, problems: Vec::new() };
    let mut config = Config::default();
    match DeTable::parse(text) {
        Ok(table) => reader.top(table.get_ref(), &mut config),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, "", error.message().to_owned());
        }
    }
    reader.problems.sort_by_key(|problem| problem.line);
    if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
}

pub(super) struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>, config: &mut Config) {
        let mut defaults = PolicyChange::default();
        for (key, value) in table {
            let read = match &**key.get_ref() {
                "taps" => self.globs(value).map(|taps| config.taps = Some(taps)),
                "socket" => self.path(value).map(|path| config.socket = Some(path)),
                "bpffs" => self.path(value).map(|path| config.bpffs = Some(path)),
                name @ ("mode" | "profile") => self.set(&mut defaults, name, value),
                "policy" => self.rules(value).map(|rules| config.rules = rules),
                "reserved" => self.reservations(value).map(|all| config.reserved = all),
                other => Err(Refused::new(format!("one of {}", TOP.join(", ")), other)),
            };
            self.check(key, "", read);
        }
        (config.mode, config.profile) = (defaults.mode, defaults.profile);
    }

    fn rules(&mut self, value: &Value<'_>) -> Result<Vec<Rule>, Refused> {
        let tables = value.get_ref().as_array().ok_or_else(|| {
            Refused::new("a list of tables, each under [[policy]]", self.raw(value))
        })?;
        Ok(tables.iter().filter_map(|table| self.rule(table)).collect())
    }

    fn rule(&mut self, value: &Value<'_>) -> Option<Rule> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            let refused = Refused::new("a table under [[policy]]", self.raw(value));
            self.problem(at, "policy", refused.to_string());
            return None;
        };
        let (mut taps, mut change) = (None, PolicyChange::default());
        for (key, value) in table {
            let read = match &**key.get_ref() {
                MATCH => self.glob(value).map(|glob| taps = Some(glob)),
                name if KEYS.contains(&name) => self.set(&mut change, name, value),
                other => Err(Refused::new(format!("one of match, {}", KEYS.join(", ")), other)),
            };
            self.check(key, "policy.", read);
        }
        if !table.keys().any(|key| key.get_ref() == MATCH) {
            let why = "is missing: a glob of TAP names, such as \"vm-*\"".to_owned();
            self.problem(at, "policy.match", why);
        }
        taps.map(|taps| Rule { taps, change })
    }

    pub(super) fn check(&mut self, key: &Key<'_>, table: &str, read: Result<(), Refused>) {
        if let Err(refused) = read {
            let name = format!("{table}{}", key.get_ref());
            self.problem(key.span().start, &name, refused.to_string());
        }
    }

    pub(super) fn problem(&mut self, at: usize, key: &str, why: String) {
        let line = self.line(at);
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.problems.push(Problem { file, line, key, why });
    }

    /// The line, from 1 on, of what begins here.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// Sets a key of a policy. The value has its own type in TOML, and goes on as the command line has it.
    fn set(&self, change: &mut PolicyChange, key: &str, value: &Value<'_>) -> Result<(), Refused> {
        match key {
            "quota" | "nd_rate" | "sample_rate" => change.set(key, self.number(value)),
            "dhcp_server" => match value.get_ref().as_bool() {
                Some(may) => change.set(key, &may.to_string()),
                None => change.set(key, self.raw(value)),
            },
            "protocols" => change.set(key, &self.list(value, |item| self.word(item))),
            "host_ports" | "guest_ports" if value.get_ref().as_str() == Some("any") => {
                change.set(key, "any")
            }
            "host_ports" | "guest_ports" => {
                change.set(key, &self.list(value, |item| self.number(item)))
            }
            _ => change.set(key, self.word(value)),
        }
    }

    fn globs(&self, value: &Value<'_>) -> Result<Vec<Pattern>, Refused> {
        let globs = value.get_ref().as_array();
        let globs = globs.ok_or_else(|| Refused::new("a list of globs", self.raw(value)))?;
        globs.iter().map(|glob| self.glob(glob)).collect()
    }

    fn glob(&self, value: &Value<'_>) -> Result<Pattern, Refused> {
        let glob = value.get_ref().as_str().and_then(|glob| Pattern::new(glob).ok());
        glob.ok_or_else(|| Refused::new("a glob of TAP names, such as vm-*", self.word(value)))
    }

    fn path(&self, value: &Value<'_>) -> Result<PathBuf, Refused> {
        let path = value.get_ref().as_str().map(PathBuf::from).filter(|path| path.is_absolute());
        path.ok_or_else(|| Refused::new("an absolute path", self.word(value)))
    }

    /// What a string says. Anything else is as it stands in the file, which no value is.
    pub(super) fn word<'v>(&'v self, value: &'v Value<'_>) -> &'v str {
        value.get_ref().as_str().unwrap_or_else(|| self.raw(value))
    }

    /// The digits of a number, likewise.
    pub(super) fn number<'v>(&'v self, value: &'v Value<'_>) -> &'v str {
        let decimal = value.get_ref().as_integer().filter(|number| number.radix() == 10);
        decimal.map_or_else(|| self.raw(value), |number| number.as_str())
    }

    /// The items of an array with commas between.
    fn list<'v>(&self, value: &'v Value<'_>, one: impl Fn(&'v Value<'_>) -> &'v str) -> String {
        match value.get_ref().as_array() {
            Some(items) if items.is_empty() => "none".to_owned(),
            Some(items) => items.iter().map(one).collect::<Vec<_>>().join(","),
            None => self.raw(value).to_owned(),
        }
    }

    /// As it stands in the file, a string in its quotes.
    pub(super) fn raw(&self, value: &Value<'_>) -> &str {
        self.text.get(value.span()).unwrap_or_default()
    }
}
