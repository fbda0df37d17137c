//! The daemon as systemd's service.

use std::{fs, io, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use anyhow::Context as _;
use netmon_tests::{
    daemon::{Daemon, binary},
    host::{Host, succeed},
    unit,
};
use nix::sys::signal::Signal;

use super::up;

/// Longer than the daemon's period, which is 5 s.
const SILENCE: Duration = Duration::from_secs(8);

/// systemd's end of the notify protocol.
struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("netmon-{name}-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(SILENCE * 2))?;
        Ok(Self { path, socket })
    }

    fn daemon<'a>(&self, host: &'a Host) -> anyhow::Result<Daemon<'a>> {
        let mut command = host.command(binary());
        command.arg("run").env("NOTIFY_SOCKET", &self.path);
        Daemon::of(host, command)
    }

    fn hear(&self) -> io::Result<String> {
        let mut message = [0; 1024];
        let length = self.socket.recv(&mut message)?;
        Ok(String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned())
    }

    /// Hears until a message has this line.
    fn wait(&self, line: &str) -> anyhow::Result<String> {
        loop {
            let heard = self.hear().with_context(|| format!("no {line} is heard"))?;
            if heard.lines().any(|one| one == line) {
                return Ok(heard);
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _left = fs::remove_file(&self.path);
    }
}

#[test]
fn the_manager_is_told_of_readiness_progress_and_end() -> anyhow::Result<()> {
    let host = Host::new()?;
    let manager = Manager::new("tells")?;
    let _tap = up(&host, "tap0")?;
    let mut daemon = manager.daemon(&host)?;
    let ready = manager.wait("READY=1")?;
    assert!(ready.contains("STATUS=protecting 1 TAP\n"), "{ready}");
    let _other = up(&host, "tap1")?;
    manager.wait("STATUS=protecting 2 TAPs")?;
    manager.wait("WATCHDOG=1")?;
    daemon.signal(Signal::SIGHUP)?;
    assert!(manager.wait("RELOADING=1")?.contains("MONOTONIC_USEC="));
    manager.wait("READY=1")?;
    daemon.signal(Signal::SIGTERM)?;
    manager.wait("STOPPING=1")?;
    assert_eq!(daemon.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_daemon_that_stands_still_does_not_ping() -> anyhow::Result<()> {
    let host = Host::new()?;
    let manager = Manager::new("pings")?;
    let daemon = manager.daemon(&host)?;
    manager.wait("READY=1")?;
    daemon.signal(Signal::SIGSTOP)?;
    manager.socket.set_read_timeout(Some(SILENCE))?;
    // One may have been under way.
    let silence = [manager.hear(), manager.hear()];
    assert!(silence.iter().any(Result::is_err), "{silence:?}");
    daemon.signal(Signal::SIGCONT)?;
    manager.wait("WATCHDOG=1")?;
    Ok(())
}

/// systemd's own word on it, with the daemon under test in its place.
#[test]
fn systemd_takes_the_unit() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("netmon-unit-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let unit = unit::UNIT.replace("/usr/bin/netmon", &binary().display().to_string());
    fs::write(folder.join("netmon.service"), unit)?;
    let host = Host::new()?;
    let path = folder.join("netmon.service");
    let verify = || -> anyhow::Result<()> {
        let mut verify = host.command("systemd-analyze");
        let output = verify.args(["verify", "--man=no"]).arg(&path).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        // 0 is locked up, 10 open; a service without hardening has 9.6.
        let mut security = host.command("systemd-analyze");
        succeed(security.args(["security", "--offline=true", "--threshold=25"]).arg(&path))?;
        Ok(())
    };
    let verified = verify();
    fs::remove_dir_all(&folder)?;
    verified
}

/// What the daemon does after start would fail under these, and in ways that show late.
#[test]
fn the_unit_knows_the_traps_of_a_bpf_daemon() {
    let has = |key: &str, word: &str| assert!(unit::words(key).contains(&word), "{key}={word}");
    has("SystemCallFilter", "bpf");
    has("ReadWritePaths", "/sys/fs/bpf/netmon");
    has("RequiresMountsFor", "/sys/fs/bpf");
    has("RestrictAddressFamilies", "AF_NETLINK");
    for key in ["PrivateUsers", "PrivateNetwork", "ExecStop", "ExecStopPost"] {
        assert_eq!(unit::words(key), [""; 0], "{key}");
    }
}
