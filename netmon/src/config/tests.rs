//! The configuration: what is read, and what is said of what cannot be.

use netmon_common::limits;

use super::*;
use crate::policy::{KEYS, Services};

fn read(text: &str) -> Result<Config, String> {
    read::config(Path::new("F"), text).map_err(|problems| ConfigError::Bad(problems).to_string())
}

#[test]
fn each_problem_is_said_with_its_line_and_key() {
    let check = |text: &str, said: &str| assert_eq!(read(text), Err(said.to_owned()), "{text}");
    check("mode = \"block\"", r#"F:1: mode: must be enforce or observe, not "block""#);
    check("mode = true", r#"F:1: mode: must be enforce or observe, not "true""#);
    check("\n\nprofile = 3", r#"F:3: profile: must be link-local, aurae or open, not "3""#);
    check("taps = \"vm-*\"", r#"F:1: taps: must be a list of globs, not "\"vm-*\"""#);
    check(
        "taps = [\"vm-[\"]",
        r#"F:1: taps: must be a glob of TAP names, such as vm-*, not "vm-[""#,
    );
    check("taps = [7]", r#"F:1: taps: must be a glob of TAP names, such as vm-*, not "7""#);
    check(
        "socket = \"netmon.sock\"",
        r#"F:1: socket: must be an absolute path, not "netmon.sock""#,
    );
    check("bpffs = 1", r#"F:1: bpffs: must be an absolute path, not "1""#);
    check(
        "tap = []",
        r#"F:1: tap: must be one of taps, socket, bpffs, mode, profile, policy, reserved, not "tap""#,
    );
    check("policy = 1", r#"F:1: policy: must be a list of tables, each under [[policy]], not "1""#);
    check("policy = [1]", r#"F:1: policy: must be a table under [[policy]], not "1""#);
    let rule = |line: &str, said: &str| {
        check(&format!("[[policy]]\nmatch = \"*\"\n{line}"), &format!("F:3: policy.{said}"));
    };
    rule("quota = 0", r#"quota: must be a number from 1 to 16, not "0""#);
    rule("quota = \"8\"", r#"quota: must be a number from 1 to 16, not "\"8\"""#);
    rule("nd_rate = 1.5", r#"nd_rate: must be a number from 1 to 1000000, not "1.5""#);
    rule("sample_rate = -1", r#"sample_rate: must be a number from 0 to 1000, not "-1""#);
    rule("protocols = [\"icmp\"]", r#"protocols: must be tcp or udp, not "icmp""#);
    rule("protocols = \"tcp\"", r#"protocols: must be tcp or udp, not "\"tcp\"""#);
    rule("host_ports = [22, 0]", r#"host_ports: must be a number from 1 to 65535, not "0""#);
    rule("host_ports = [\"22\"]", r#"host_ports: must be a number from 1 to 65535, not "\"22\"""#);
    rule(
        "guest_ports = [1, 2, 3, 4, 5, 6, 7, 8, 9]",
        r#"guest_ports: must be any, or up to 8 ports, not "1,2,3,4,5,6,7,8,9""#,
    );
    rule(
        "mac = \"ff:ff:ff:ff:ff:ff\"",
        "mac: must be a unicast MAC such as 02:fc:00:00:00:01, or first: the first seen, not \
         \"ff:ff:ff:ff:ff:ff\"",
    );
    let reserved = |line: &str, said: &str| {
        check(&format!("[[reserved]]\nlink = \"br0\"\n{line}"), &format!("F:3: reserved.{said}"));
    };
    let address = "addresses: must be an address in fe80::/64, such as fe80::fe, not";
    for bad in ["2001:db8::1", "fe80:0:0:1::1", "ff02::1", "::", "fe80::1%br0", "x"] {
        reserved(&format!("addresses = [\"{bad}\"]"), &format!("{address} \"{bad}\""));
    }
    let mac = "macs: must be a unicast MAC such as 02:fc:00:00:00:01, not";
    for bad in ["33:33:00:00:00:01", "00:00:00:00:00:00", "02:fc:00:00:01", "x"] {
        reserved(&format!("macs = [\"{bad}\"]"), &format!("{mac} \"{bad}\""));
    }
    reserved("vlan = 4095", r#"vlan: must be a number from 1 to 4094, not "4095""#);
    reserved("vlan = 0", r#"vlan: must be a number from 1 to 4094, not "0""#);
    reserved("addresses = 7", r#"addresses: must be a list of up to 256 strings, not "7""#);
    let many = format!("[{}]", vec!["\"fe80::1\""; limits::RESERVED_LISTED + 1].join(", "));
    reserved(
        &format!("addresses = {many}"),
        &format!("addresses: must be a list of up to 256 strings, not {many:?}"),
    );
    reserved("macs = [7]", &format!("{mac} \"7\""));
    reserved("color = 7", r#"color: must be one of link, vlan, addresses, macs, not "color""#);
    check("[[reserved]]\nmacs = []", "F:1: reserved.link: is missing: a bridge, such as \"br0\"");
    check(
        "[[reserved]]\nlink = \"\"",
        r#"F:2: reserved.link: must be a bridge, such as br0, not """#,
    );
    check(
        "reserved = 1",
        r#"F:1: reserved: must be a list of tables, each under [[reserved]], not "1""#,
    );
    check("mode = \"observe\"\nmode = \"enforce\"", "F:2: duplicate key");
}

#[test]
fn a_number_may_have_underscores() {
    let config = read("[[policy]]\nmatch = \"*\"\nnd_rate = 1_000").expect("a number");
    assert_eq!(config.rules.first().and_then(|rule| rule.change.nd_rate), Some(1000));
}

#[test]
fn all_problems_are_said_in_the_order_of_their_lines() {
    let said = read("mode = \"a\"\n[[policy]]\nquota = 0\n[[policy]]\nmatch = \"*\"\ncolour = 1");
    let said = said.expect_err("four");
    let at: Vec<_> = said.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(at, ["mode", "policy.match", "policy.quota", "policy.colour"], "{said}");
}

#[test]
fn what_is_no_toml_is_said_with_its_line() {
    let said = read("taps = [\"*\"]\nmode = ").expect_err("no value");
    assert!(said.starts_with("F:2: "), "{said}");
}

/// A `#` with a word behind it is a setting, with a blank behind it an explanation.
fn is_setting(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '['))
}

#[test]
fn the_sample_explains_every_key_and_says_the_defaults() {
    assert_eq!(read(SAMPLE), Ok(Config::default()), "all of it is comments");
    let mut above = "";
    for line in SAMPLE.lines() {
        assert!(
            !is_setting(line) || above.starts_with("# "),
            "{line}: explain it in the line above"
        );
        above = line;
    }
    let settings = SAMPLE.lines().filter(|line| is_setting(line));
    let settings: String =
        settings.map(|line| format!("{}\n", line.replacen('#', "", 1))).collect();
    let keys = read::TOP.iter().chain(&KEYS).chain(&reserved::KEYS);
    for key in keys.filter(|key| !["policy", "reserved"].contains(key)) {
        assert!(settings.contains(&format!("{key} = ")), "{key} is not in the sample");
    }
    for (key, least, most) in [
        ("quota", 1, limits::QUOTA),
        ("nd_rate", 1, limits::MAX_ND_RATE),
        ("sample_rate", 0, limits::MAX_SAMPLE_RATE),
    ] {
        let range = format!("{least} to {most}");
        let setting = format!("#{key} = ");
        let at = SAMPLE.find(&setting).expect(key);
        let explained = SAMPLE.get(..at).and_then(|above| above.lines().last()).expect(key);
        assert!(explained.contains(&range), "{key} is {range}: {explained}");
    }
    assert_eq!(SAMPLE.matches(&format!("list of up to {}.", limits::PORT_LIST)).count(), 2);
    let config = read(&settings).unwrap_or_else(|said| panic!("{said}"));
    let [rule] = &*config.rules else { panic!("one [[policy]]") };
    assert_eq!(rule.change, Policy::default().into());
    let [reserved] = &*config.reserved else { panic!("one [[reserved]]") };
    assert_eq!((&*reserved.link, reserved.vlan), ("br0", 10));
    let without_rule = Config { rules: Vec::new(), reserved: Vec::new(), ..config };
    assert_eq!(Options::from(without_rule), Options::from(Config::default()));
}

#[test]
fn flags_win_over_the_file() {
    let flags = read("taps = [\"tap*\"]\nmode = \"observe\"").expect("flags");
    let file = read(
        "taps = [\"vm-*\"]\nmode = \"enforce\"\nprofile = \"aurae\"\n\
         [[policy]]\nmatch = \"tap0\"\nmode = \"enforce\"\nhost_ports = []",
    );
    let options = Options::from(flags.over(file.expect("a file")));
    assert_eq!(options.taps, [Pattern::new("tap*").expect("a glob")]);
    let all = &options.policies.all;
    assert_eq!((all.mode, all.profile), (Mode::Observe, Profile::Aurae));
    let of_tap0 = options.policies.of("tap0");
    assert_eq!((of_tap0.mode, of_tap0.host_ports), (Mode::Enforce, Services::Listed(vec![])));
}

#[test]
fn a_reserved_link_must_be_there() {
    let read = |link: &str| {
        let config = read(&format!("[[reserved]]\nlink = \"{link}\""));
        config.expect("a good one").reserved.first().and_then(|one| one.problem(Path::new("F")))
    };
    assert_eq!(read("lo"), None);
    let said = read("nosuch0").expect("no such interface").to_string();
    assert!(said.starts_with("F:1: reserved.link: \"nosuch0\": no such interface ("), "{said}");
}

#[test]
fn a_named_file_must_be_there() {
    let source = Source { file: Some("/nonexistent/netmon.toml".into()), ..Source::default() };
    let said = source.load().expect_err("no file").to_string();
    assert!(said.starts_with("/nonexistent/netmon.toml: "), "{said}");
}

#[test]
fn what_a_running_daemon_cannot_change_is_refused() {
    let started = |text| Options::from(read(text).expect("a configuration"));
    let source = Source { flags: read("socket = \"/run/a\"").expect("flags"), file: None };
    assert!(source.reload(&started("socket = \"/run/a\"\nmode = \"observe\"")).is_ok());
    for (text, key) in [("", "socket"), ("socket = \"/run/a\"\nbpffs = \"/sys/fs/bpf/b\"", "bpffs")]
    {
        let said = source.reload(&started(text)).expect_err(key).to_string();
        assert!(said.starts_with(&format!("{key} has changed")), "{said}");
    }
}
