//! Every answer that is not a success.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Quote;
use crate::http::problem::FieldProblem;

/// Every answer that is not a success (RFC 9457), as `application/problem+json`. Programs act on `type`, and on the
/// status for a `type` that they do not know; the other texts are for people and may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:infra:problem:out-of-range", "title": "A value is outside its limits", "status": 400,
    "detail": "count: is outside what is allowed", "request_id": "req_0123456789abcdef01234567",
    "errors": [{"field": "count", "message": "is outside what is allowed", "limit": "1..=1000"}]
}))]
pub struct ProblemBody {
    /// `urn:infra:problem:` and a code of the catalogue.
    #[serde(rename = "type")]
    #[schema(pattern = "^urn:infra:problem:[a-z0-9-]+$")]
    pub type_: String,
    /// What the code means.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, format = Int32)]
    pub status: u16,
    /// What went wrong this time. Never holds a secret.
    pub detail: String,
    /// The request's id, as in the header `x-request-id` and in the server's log.
    pub request_id: String,
    /// Which fields.
    pub errors: Vec<FieldProblem>,
    /// Offers that would nearly have done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Quote>,
    /// When to ask again, seconds; as in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl ProblemBody {
    /// The code: the last part of the `type`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.type_.rsplit(':').next().unwrap_or_default()
    }
}
