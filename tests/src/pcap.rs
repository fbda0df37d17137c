//! Reads a classic capture file (microseconds, little endian, Ethernet): what `tcpdump -w` writes.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

/// The frames of a file in `fixtures/`, in their order.
///
/// # Errors
///
/// No such file, or it is no capture.
pub fn frames(file: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let (header, mut rest) = bytes.split_at_checked(24).context("no file header")?;
    ensure!(header.starts_with(&0xa1b2_c3d4_u32.to_le_bytes()), "no capture file");
    let mut frames = Vec::new();
    while let Some((record, after)) = rest.split_at_checked(16) {
        let captured: [u8; 4] = record.get(8..12).context("record")?.try_into()?;
        let length = u32::from_le_bytes(captured) as usize;
        let (frame, after) = after.split_at_checked(length).context("a record is cut off")?;
        frames.push(frame.to_vec());
        rest = after;
    }
    Ok(frames)
}
