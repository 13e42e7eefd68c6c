//! Every answer that is not a success: `application/problem+json`, one code table for all of them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal;)*) => {
        /// What went wrong, as a word that programs can act on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word, last part of the problem's `type`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = BAD_REQUEST "malformed-json" "The body is not well-formed JSON";
    /// A field or parameter that nobody knows: most often a typo.
    UnknownField = BAD_REQUEST "unknown-field" "A field is not known";
    /// A field is missing or of the wrong type.
    WrongType = BAD_REQUEST "wrong-type" "A field has the wrong type";
    /// A value is outside its limits.
    OutOfRange = BAD_REQUEST "out-of-range" "A value is outside its limits";
    /// No token, or one that does not count.
    Unauthenticated = UNAUTHORIZED "unauthenticated" "A valid access token is needed";
    /// The token may not do this.
    Forbidden = FORBIDDEN "forbidden" "This token may not do that";
    /// More than the user may hold.
    OverBudget = FORBIDDEN "over-budget" "A limit of this user would be exceeded";
    /// A brake is on.
    Paused = FORBIDDEN "paused" "A brake forbids it";
    /// The user is suspended.
    Suspended = FORBIDDEN "suspended" "The user is suspended";
    /// No such thing, or somebody else's.
    NotFound = NOT_FOUND "not-found" "There is no such thing";
    /// This path has other methods. (Beyond the first contract.)
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "This path does not take that method";
    /// The request did not arrive in time. (Beyond the first contract.)
    Timeout = REQUEST_TIMEOUT "timeout" "The request did not arrive in time";
    /// Not in the state that the caller expected.
    Conflict = CONFLICT "conflict" "It is not in the state that was expected";
    /// Being changed by others.
    Busy = CONFLICT "busy" "It is being changed by others";
    /// Something still hangs on it.
    InUse = CONFLICT "in-use" "Something still uses it";
    /// It is ending; a release always wins.
    Gone = CONFLICT "gone" "It is ending";
    /// It is over.
    Released = GONE "released" "It is over";
    /// The body is too large.
    TooLarge = PAYLOAD_TOO_LARGE "too-large" "The body is too large";
    /// No offer fits.
    NoFit = UNPROCESSABLE_ENTITY "no-fit" "No offer fits";
    /// No such region within reach.
    UnknownRegion = UNPROCESSABLE_ENTITY "unknown-region" "The region is not known";
    /// No such image within reach.
    UnknownImage = UNPROCESSABLE_ENTITY "unknown-image" "The image is not known";
    /// No key saved.
    NoCredentials = UNPROCESSABLE_ENTITY "no-credentials" "No key to a cloud is saved";
    /// The cloud refuses the key.
    InvalidCredentials = UNPROCESSABLE_ENTITY "invalid-credentials" "The cloud refuses the key";
    /// Nothing here can do it.
    Unfulfillable = UNPROCESSABLE_ENTITY "unfulfillable" "Nothing here can do that";
    /// The idempotency key belongs to another body.
    IdempotencyMismatch = UNPROCESSABLE_ENTITY "idempotency-mismatch" "The idempotency key was used for another body";
    /// Too much at once.
    RateLimited = TOO_MANY_REQUESTS "rate-limited" "Too many requests at once";
    /// A defect of this server. (Beyond the first contract.)
    Internal = INTERNAL_SERVER_ERROR "internal" "The server failed";
    /// The cloud does not answer.
    ProviderUnavailable = SERVICE_UNAVAILABLE "provider-unavailable" "The cloud does not answer";
    /// The cloud could not be asked about the key.
    Unverified = SERVICE_UNAVAILABLE "unverified" "The key could not be checked";
    /// The store does not answer, or the installation is frozen. (Beyond the first contract.)
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "The server cannot work now";
}

/// One field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Path of the field, like `tags.team` or `ssh_public_keys[2]`; `?limit` for a parameter.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
    /// The limit that was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// An answer that is not a success. The request's id is put in when it leaves the router.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What went wrong.
    pub code: Code,
    /// What went wrong this time, for people. Never holds a secret.
    pub detail: String,
    /// Which fields.
    pub errors: Vec<FieldProblem>,
    /// Offers that would nearly have done.
    pub nearest: Vec<serde_json::Value>,
    /// When to ask again, seconds.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem without fields.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), nearest: Vec::new(), retry_after_s: None }
    }

    /// A problem with one field.
    #[must_use]
    pub fn field(code: Code, field: &str, message: impl Into<String>, limit: Option<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(code, format!("{field}: {message}"));
        problem.errors.push(FieldProblem { field: field.to_owned(), message, limit });
        problem
    }

    /// No such thing; somebody else's looks the same.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing, or it is not yours")
    }

    /// The answer, with the id of the request.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let wire = Wire {
            type_: format!("urn:infra:problem:{}", self.code.word()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            request_id,
            errors: &self.errors,
            nearest: &self.nearest,
            retry_after_s: self.retry_after_s,
        };
        let mut response = (self.code.status(), Json(wire)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"infra\""));
        }
        response
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    type_: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    errors: &'a [FieldProblem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    nearest: &'a [serde_json::Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl IntoResponse for Problem {
    /// Carries the problem to the router's outermost layer, which knows the request's id and writes the body.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_a_word_of_its_own_with_an_error_status() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }
}
