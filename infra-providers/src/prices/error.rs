//! Why a source gave no table.

use std::time::Duration;

use infra_core::words::fault::FaultKind;

/// Why a source gave no table. The last good one stays.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The cloud refused or did not answer. Only its code is kept: a table is shown to everybody, and the words of a
    /// refusal name whoever asked.
    #[error("{action}: {} ({code})", .kind.word())]
    Call {
        /// What was asked, as the cloud's permissions call it.
        action: &'static str,
        /// What the caller must do.
        kind: FaultKind,
        /// The cloud's code.
        code: String,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// A file that is not there, or may not be read.
    #[error("{file} cannot be read: {why}")]
    File {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// Something came, and it is no price table.
    #[error("{what}{}: {why}", .line.map(|line| format!(" line {line}")).unwrap_or_default())]
    Malformed {
        /// What came.
        what: String,
        /// On which line, from 1, where there are lines.
        line: Option<u64>,
        /// What is wrong.
        why: String,
    },
    /// Not a single price is in it.
    #[error("{source_name} names no price at all ({rows} rows without one{})", .first.as_ref().map(|why| format!(", {why}")).unwrap_or_default())]
    Empty {
        /// Who.
        source_name: String,
        /// Rows that were there.
        rows: usize,
        /// Why the first of them has none.
        first: Option<String>,
    },
    /// It takes longer than anybody should wait.
    #[error("no answer within {} s", .within.as_secs())]
    Slow {
        /// How long it was waited for.
        within: Duration,
    },
}

impl PriceError {
    /// The same for anybody to read: without a word of what was read, which may be a file that nobody meant to show.
    #[must_use]
    pub fn in_public(&self) -> String {
        match self {
            Self::Malformed { what, line: Some(line), .. } => format!("{what} line {line} is malformed"),
            Self::Malformed { what, .. } => format!("{what} is malformed"),
            Self::Empty { source_name, rows, .. } => {
                Self::Empty { source_name: source_name.clone(), rows: *rows, first: None }.to_string()
            }
            Self::Call { .. } | Self::File { .. } | Self::Slow { .. } => self.to_string(),
        }
    }

    /// When it may be asked again at the earliest.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Call { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_in_a_file_is_told_to_whoever_asks_whether_the_server_is_ready() {
        let secret = || "AKIAPLANTED".to_owned();
        let malformed =
            |line| PriceError::Malformed { what: "lab.csv".to_owned(), line, why: format!("{:?}", secret()) };
        let empty = PriceError::Empty { source_name: "lab.csv".to_owned(), rows: 2, first: Some(secret()) };
        let gone = PriceError::File { file: "lab.csv".to_owned(), why: "it is gone".to_owned() };
        for (error, said) in [
            (malformed(Some(3)), "lab.csv line 3 is malformed"),
            (malformed(None), "lab.csv is malformed"),
            (empty, "lab.csv names no price at all (2 rows without one)"),
            (gone, "lab.csv cannot be read: it is gone"),
        ] {
            assert_eq!(error.in_public(), said);
        }
    }
}
