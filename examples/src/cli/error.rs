//! Why a command did not do it, and with which exit code. The codes are a contract with scripts: see `CODES`.

use std::io;
use std::process::ExitCode;

use crate::client::ClientError;

/// What every exit code means; `infra --help` prints it.
pub(super) const CODES: &str = "\
Exit codes:
  0    done
  1    something else went wrong, or you said no
  2    the server refuses the request
  3    there is no such thing, or it is over
  4    nothing fits, or a limit would be passed
  5    waiting took longer than --wait or --timeout allows
  6    the reservation could not be had
  7    it was changed by others meanwhile, or something still uses it
  64   the command line is wrong
  69   the server cannot be reached
  75   not now: too many requests, or the cloud does not answer; try again later
  77   not permitted: wrong or missing token, a brake, a suspended user
  78   the configuration is wrong, or there is no login
  130  stopped with Ctrl-C";

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong or missing.
    #[error("{0}")]
    Config(String),
    /// The server says no, or says nothing.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It may have been done; this says how to find out.
    #[error("{error}\n{hint}")]
    Unsure {
        /// What happened.
        error: ClientError,
        /// How to go on.
        hint: String,
    },
    /// A person said no.
    #[error("nothing was done")]
    Declined,
    /// A local file or stream.
    #[error("{0}")]
    Local(String),
    /// It goes on, and nobody waits for it any more.
    #[error("{0}")]
    TimedOut(String),
    /// The reservation failed.
    #[error("{0}")]
    Failed(String),
    /// Stopped with Ctrl-C; this says what goes on.
    #[error("{0}")]
    Interrupted(String),
    /// Nobody reads what is written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Config(_) => 78,
            Self::Client(error) | Self::Unsure { error, .. } => of_client(error),
            Self::Declined | Self::Local(_) => 1,
            Self::TimedOut(_) => 5,
            Self::Failed(_) => 6,
            Self::Interrupted(_) => 130,
            // Whoever closes a pipe has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
        }
    }
}

impl From<&CliError> for ExitCode {
    fn from(error: &CliError) -> Self {
        Self::from(error.code())
    }
}

fn of_client(error: &ClientError) -> u8 {
    match error {
        ClientError::Target { .. } | ClientError::Token => 78,
        ClientError::NoUser => 64,
        ClientError::Unreachable { .. } => 69,
        ClientError::Refused(problem) => of_problem(problem.code(), problem.status),
        _ => 1,
    }
}

/// By the word first, by the status for words that are newer than this program.
fn of_problem(code: &str, status: u16) -> u8 {
    match (code, status) {
        ("over-budget" | "no-fit" | "unknown-region" | "unknown-image" | "unfulfillable", _) => 4,
        (_, 401 | 403) => 77,
        (_, 404 | 410) => 3,
        (_, 409) => 7,
        (_, 408 | 429 | 503) => 75,
        (_, 400..=499) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::Code;

    #[test]
    fn every_code_of_the_api_has_an_exit_code_and_every_exit_code_is_explained() {
        let explained: BTreeSet<u8> =
            CODES.lines().skip(1).filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        for code in Code::ALL {
            let exit = of_problem(code.word(), code.status().as_u16());
            assert!(explained.contains(&exit), "{code:?} exits with {exit}");
            assert!(exit != 1 || *code == Code::Internal, "{code:?} is no general failure");
        }
        let of = |code: Code| of_problem(code.word(), code.status().as_u16());
        assert_eq!([Code::NotFound, Code::Released, Code::NoFit, Code::OverBudget].map(of), [3, 3, 4, 4]);
        assert_eq!(
            [Code::Unauthenticated, Code::Paused, Code::Conflict, Code::InUse].map(of),
            [77, 77, 7, 7]
        );
        assert_eq!([Code::OutOfRange, Code::NoCredentials, Code::Unverified].map(of), [2, 2, 75]);
        for (error, exit) in [
            (CliError::Usage(String::new()), 64),
            (CliError::TimedOut(String::new()), 5),
            (CliError::Failed(String::new()), 6),
            (CliError::Interrupted(String::new()), 130),
            (ClientError::NoUser.into(), 64),
        ] {
            assert_eq!(error.code(), exit);
            assert!(explained.contains(&exit));
        }
    }
}
