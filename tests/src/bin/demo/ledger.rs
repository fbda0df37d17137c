//! What must be gone in the end.

use std::{fs, os::unix::fs::MetadataExt as _};

use anyhow::Context as _;
use aya::programs::loaded_programs;
use netmon_tests::{host::Host, wait};
use serde_json::Value;

/// What the kernel holds for the demo.
#[derive(Debug)]
pub(crate) struct Held {
    namespaces: Vec<u64>,
    programs: Vec<u32>,
}

impl Held {
    /// The network namespaces of these hosts, and the XDP programs on the first one's TAPs.
    pub(crate) fn by(hosts: &[&Host], taps: &[&str]) -> anyhow::Result<Self> {
        let inode = |host: &&Host| host.run(|| Ok(fs::metadata("/proc/thread-self/ns/net")?.ino()));
        let namespaces = hosts.iter().map(inode).collect::<anyhow::Result<Vec<_>>>()?;
        let host = hosts.first().context("no host")?;
        let program = |tap: &&str| -> anyhow::Result<u32> {
            let links: Value = serde_json::from_str(&host.ip(&format!("-j link show dev {tap}"))?)?;
            let id = links.pointer("/0/xdp/prog/id").and_then(Value::as_u64);
            Ok(u32::try_from(id.with_context(|| format!("no XDP program on {tap}"))?)?)
        };
        let programs = taps.iter().map(program).collect::<anyhow::Result<_>>()?;
        Ok(Self { namespaces, programs })
    }

    /// Waits until the kernel has let go of them: it takes a namespace down in its own time.
    pub(crate) fn is_gone(&self) -> anyhow::Result<()> {
        wait::until("the end of the programs and namespaces", || {
            let loaded = loaded_programs().collect::<Result<Vec<_>, _>>();
            // A program that ends between two steps of the listing spoils it: list again.
            let Ok(loaded) = loaded else { return Ok(None) };
            let is_loaded = loaded.iter().any(|program| self.programs.contains(&program.id()));
            Ok((!is_loaded && !self.is_lived_in()?).then_some(()))
        })
    }

    fn is_lived_in(&self) -> anyhow::Result<bool> {
        for process in fs::read_dir("/proc")? {
            let namespace = process?.path().join("ns/net");
            // No process, or one that has just ended.
            let Ok(namespace) = fs::metadata(namespace) else { continue };
            if self.namespaces.contains(&namespace.ino()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
