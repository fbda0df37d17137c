//! The systemd unit, as tests read it: what it says is what they run.

/// Its text.
pub const UNIT: &str = include_str!("../../packaging/netmon.service");

/// The words of all of its lines with this key.
pub fn words(key: &str) -> Vec<&'static str> {
    let values = UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.flat_map(str::split_whitespace).collect()
}
