//! Why the server does not start, and with which exit code.

use std::process::ExitCode;

/// Why the server does not start. One line each, made to be read by the person who typed the command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// Another process works on this data.
    #[error("{0}")]
    InUse(String),
    /// A setting, a file or a permission is wrong.
    #[error("{0}")]
    Config(String),
    /// It started and then broke.
    #[error("{0}")]
    Broken(String),
}

impl StartError {
    /// The process's exit code: 64 usage, 75 data in use, 78 configuration, 70 anything else.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::InUse(_) => 75,
            Self::Config(_) => 78,
            Self::Broken(_) => 70,
        }
    }
}

impl From<&StartError> for ExitCode {
    fn from(error: &StartError) -> Self {
        Self::from(error.code())
    }
}
