//! What can go wrong on the way, and what the server says is wrong.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::types::Quote;

/// Why there is no answer, or not the one wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used.
    #[error("{address}: {why}")]
    Target {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The token is empty or holds what no token holds.
    #[error("a token is one word of printable ASCII")]
    Token,
    /// Whose things? Neither the target nor the token says.
    #[error("no user is named")]
    NoUser,
    /// The server does not answer.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the network says.
        why: String,
        /// It may have been received and done all the same.
        maybe_done: bool,
    },
    /// The server says no.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Whatever answers there speaks another language.
    #[error("{address} answers {status}, which is no answer of this API: {why}")]
    Unexpected {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What was expected.
        why: String,
    },
}

impl ClientError {
    /// The problem, when the server has told one.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// The problem's word: `no-fit`, `conflict`, ...; empty when the server has told none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.problem().map_or("", Problem::code)
    }

    /// The server has no such path: it is older than this client, or the feature is off.
    #[must_use]
    pub fn is_no_such_path(&self) -> bool {
        match self {
            Self::Refused(problem) => {
                problem.status == 405 || (problem.status == 404 && problem.detail == "there is no such path")
            }
            Self::Unexpected { status, .. } => matches!(status, 404 | 405 | 501),
            _ => false,
        }
    }
}

/// One field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FieldProblem {
    /// Its path.
    pub field: String,
    /// What is wrong, for people.
    #[serde(default)]
    pub message: String,
    /// The limit that was passed.
    #[serde(default)]
    pub limit: Option<String>,
}

/// An `application/problem+json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    /// `urn:infra:problem:<code>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind of problem, for people.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for people.
    #[serde(default)]
    pub detail: String,
    /// The request's id, also in the server's log.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Which fields.
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
    /// Offers that would nearly have done.
    #[serde(default)]
    pub nearest: Vec<Quote>,
    /// When to ask again, seconds.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// The server's own text.
    #[serde(skip)]
    pub raw: String,
}

impl Problem {
    /// Reads one; `None` when the text is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        // Syntax first: what is kept as the server's own text must be JSON.
        serde_json::from_str::<&RawValue>(text).ok()?;
        let problem: Self = serde_json::from_str(text).ok()?;
        problem.type_.starts_with("urn:").then(|| Self { raw: text.to_owned(), ..problem })
    }

    /// The word that programs act on.
    #[must_use]
    pub fn code(&self) -> &str {
        self.type_.rsplit(':').next().unwrap_or_default()
    }
}

/// The causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Many wrap a cause and repeat its words.
        if !line.contains(&said) {
            line = format!("{line}: {said}");
        }
        cause = error.source();
    }
    line
}
