//! How a verb ends that did not do what it was asked.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use netmon_api::ConnectError;
use tonic::{Code, Status};

use crate::config::ConfigError;

/// Why, as a sentence for people. The exit code is for scripts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It cannot be done.
    Failed(String),
    /// What was asked for makes no sense.
    Usage(String),
    /// The configuration makes no sense.
    Config(String),
    /// `wait`: there is no such TAP.
    NotFound(String),
    /// No daemon answers, or no longer.
    Unreachable(String),
    /// `wait`: not in time.
    TimedOut(String),
    /// `status --check`: what was printed says it all.
    Checked,
    /// Whoever read the output has left, as `head` does: no failure.
    Unread,
}

impl Failure {
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Failed(_) | Self::Checked => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Config(_) => 64,      // as EX_USAGE of sysexits.h
            Self::Unreachable(_) => 69, // EX_UNAVAILABLE of sysexits.h
            Self::TimedOut(_) => 124,   // as timeout(1)
        }
    }

    pub(super) fn report(self) -> ExitCode {
        let code = self.code();
        match self {
            Self::Failed(why)
            | Self::Usage(why)
            | Self::Config(why)
            | Self::NotFound(why)
            | Self::Unreachable(why)
            | Self::TimedOut(why) => {
                // Where stderr is closed, the code remains.
                writeln!(io::stderr(), "netmon: {why}").ok();
            }
            Self::Checked | Self::Unread => {}
        }
        ExitCode::from(code)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
        if is_unread { Self::Unread } else { Self::Failed(error.to_string()) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A status with a source is none of the daemon's: it was made here, of a broken connection.
        if std::error::Error::source(&status).is_some() {
            return Self::Unreachable(
                "the daemon has gone away (is `netmon run` still running?)".to_owned(),
            );
        }
        let why = status.message().to_owned();
        match status.code() {
            Code::Unavailable => Self::Unreachable(why),
            Code::DeadlineExceeded | Code::Cancelled => {
                Self::Unreachable("the daemon does not answer in time".to_owned())
            }
            Code::InvalidArgument => Self::Usage(why),
            Code::Unimplemented => Self::Failed("the daemon is of an older version".to_owned()),
            Code::Ok
            | Code::Unknown
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Self::Failed(why),
        }
    }
}
