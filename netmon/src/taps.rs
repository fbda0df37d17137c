//! TAPs that are confined from their first frame on: in which order one is made.
//!
//! Down, and open to nobody → both programs → the guest's policy → read back from the kernel → up → made to
//! stay, and open to a VMM. Whatever fails on the way, the TAP goes with its descriptor: nothing is half-made.

use std::sync::Arc;

use nix::errno::Errno;

use crate::{
    command::{self, Command, Commands},
    kernel::tap::{MakerError, NoName, TapMaker, TapName},
    policy::PolicyChange,
    policy::PolicyOrder,
    ports::PortError,
    report::{PortStatus, Protection},
};

/// A TAP that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapOrder {
    /// Its name.
    pub tap: Arc<str>,
    /// What its guest may do, other than the configuration says; its MAC, say.
    pub change: PolicyChange,
    /// The uid that may open it; CAP_NET_ADMIN may in any case.
    pub owner: u32,
    /// Whether it has a queue for each time that it is opened; the VMM must open it the same way.
    pub multi_queue: bool,
}

/// Why a TAP was not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Not this name.
    #[error(transparent)]
    Name(#[from] NoName),
    /// The name is taken.
    #[error(
        "{0}: there is an interface of this name (choose another name, or netmon tap delete {0})"
    )]
    Exists(Arc<str>),
    /// A VMM has it.
    #[error("{0}: a VMM has it open (stop that first)")]
    Open(Arc<str>),
    /// It would not be protected.
    #[error("{tap}: not made, because it would not be confined: {why}")]
    NotConfined {
        /// The TAP.
        tap: Arc<str>,
        /// What its status says.
        why: String,
    },
    /// It is no port, or cannot be one.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Something else.
    #[error(
        "{tap}: {source} (netmon makes TAPs by /dev/net/tun and needs CAP_NET_ADMIN at its start)"
    )]
    Maker {
        /// The TAP.
        tap: Arc<str>,
        /// What happened.
        source: MakerError,
    },
    /// The daemon ends.
    #[error("the daemon is shutting down")]
    Ending,
}

/// Makes and removes TAPs.
#[derive(Clone, Debug)]
pub struct Taps {
    maker: Arc<TapMaker>,
    commands: Commands,
}

impl Taps {
    /// By this process, and with the daemon's loop to protect them.
    pub fn new(maker: TapMaker, commands: Commands) -> Self {
        Self { maker: Arc::new(maker), commands }
    }

    /// Makes a persistent TAP, up, with its programs on it before anybody can open it.
    ///
    /// # Errors
    ///
    /// The name is taken, or the TAP cannot be made or confined. Nothing is left of it then.
    pub async fn create(&self, order: TapOrder) -> Result<PortStatus, TapError> {
        let TapOrder { tap, change, owner, multi_queue } = order;
        let name = TapName::new(&tap)?;
        let refused = |source| match source {
            MakerError::Refused(Errno::EBUSY) => TapError::Exists(Arc::clone(&tap)),
            MakerError::Refused(_) | MakerError::Ended(_) => {
                TapError::Maker { tap: Arc::clone(&tap), source }
            }
        };
        let new = self.maker(move |maker| maker.make(name, owner, multi_queue)).await;
        let new = new.map_err(refused)?;
        self.ask(|answer| Command::Attach(Arc::clone(&tap), answer)).await?;
        let order = PolicyOrder { tap: Arc::clone(&tap), reset: false, change };
        self.ask(|answer| Command::SetPolicy(order, answer)).await?;
        self.confined(&tap).await?;
        let kept = self.maker(move |maker| {
            maker.set_up(name)?;
            new.keep().map_err(MakerError::Refused)
        });
        kept.await.map_err(refused)?;
        // That its descriptor was closed looks like the end of a guest: by now, and not when the VMM's guest
        // has spoken already.
        let port = self.confined(&tap).await;
        if port.is_err() {
            let _may_be_gone = self.maker(move |maker| maker.remove(name)).await;
        }
        port
    }

    /// Removes a persistent TAP that no VMM has open.
    ///
    /// # Errors
    ///
    /// There is no such TAP, or a VMM has it open.
    pub async fn delete(&self, tap: Arc<str>) -> Result<(), TapError> {
        let name = TapName::new(&tap)?;
        let removed = self.maker(move |maker| maker.remove(name)).await;
        removed.map_err(|source| match source {
            MakerError::Refused(Errno::EBUSY) => TapError::Open(tap),
            MakerError::Refused(Errno::ENODEV) => PortError::NotFound(tap).into(),
            MakerError::Refused(Errno::EINVAL | Errno::EOPNOTSUPP) => PortError::NotTap(tap).into(),
            MakerError::Refused(_) | MakerError::Ended(_) => TapError::Maker { tap, source },
        })
    }

    /// The port as the kernel has it now, if that is as was asked for.
    async fn confined(&self, tap: &Arc<str>) -> Result<PortStatus, TapError> {
        let port = self.ask(|answer| Command::Attach(Arc::clone(tap), answer)).await?;
        match port.protection.clone() {
            Protection::Confined | Protection::Observed | Protection::Open => Ok(port),
            Protection::Partial(why) | Protection::Unprotected(why) => {
                Err(TapError::NotConfined { tap: Arc::clone(tap), why })
            }
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, PortError>>) -> Command,
    ) -> Result<T, TapError> {
        let answer = command::ask(&self.commands, command).await.ok_or(TapError::Ending)?;
        Ok(answer?)
    }

    /// The kernel's part waits for locks of the network stack: on a thread that may.
    async fn maker<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TapMaker) -> Result<T, MakerError> + Send + 'static,
    ) -> Result<T, MakerError> {
        let maker = Arc::clone(&self.maker);
        let done = tokio::task::spawn_blocking(move || work(&maker)).await;
        done.unwrap_or(Err(MakerError::Ended(Errno::ECANCELED)))
    }
}
