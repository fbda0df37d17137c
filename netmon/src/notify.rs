//! What the service manager is told, where there is one (sd_notify(3)).
//!
//! A ping of the watchdog is news of the loop's real progress: all links were read, and the binding table. There
//! is no clock that pings by itself, so a loop that stands still, or that gets no answer of the kernel, is
//! restarted; what it has put into the kernel goes on meanwhile.

use sd_notify::NotifyState;
use tracing::warn;

/// What was told last.
#[derive(Debug, Default)]
pub struct ServiceManager {
    ports: Option<usize>,
}

impl ServiceManager {
    /// All that is there was read, and so many TAPs are protected. The first time, the daemon is ready.
    pub fn reconciled(&mut self, ports: usize) {
        let status = format!("protecting {ports} TAP{}", if ports == 1 { "" } else { "s" });
        let mut states = vec![NotifyState::Watchdog];
        if self.ports.is_none() {
            states.push(NotifyState::Ready);
        }
        if self.ports != Some(ports) {
            states.push(NotifyState::Status(&status));
        }
        tell(&states);
        self.ports = Some(ports);
    }
}

/// The configuration is reloaded, or refused, while it is so said.
pub fn reload<T>(work: impl FnOnce() -> T) -> T {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!("the service manager cannot be told: {error}"),
    }
    let done = work();
    tell(&[NotifyState::Ready]);
    done
}

/// The daemon ends as it was asked to.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending; the TAPs stay as they are")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without $NOTIFY_SOCKET nobody wants to know.
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager cannot be told: {error}");
    }
}
