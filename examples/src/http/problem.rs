//! Every answer that is not a success: `application/problem+json`, one code table for all of them.
//!
//! The table is the catalogue that `/openapi.json` and `docs/errors.md` show: code, status, meaning, what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{ProblemBody, Quote};

/// What every problem's `type` begins with.
const URN: &str = "urn:infra:problem:";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal $todo:literal;)*) => {
        /// What went wrong, as a word that programs can act on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

            /// What it means, in a few words; the same for every problem of this code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What a caller does about it.
            #[must_use]
            pub const fn what_to_do(self) -> &'static str {
                match self { $(Self::$name => $todo,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = BAD_REQUEST "malformed-json" "The body is not well-formed JSON"
        "Send one well-formed JSON object, each field once.";
    /// A field or parameter that nobody knows: most often a typo.
    UnknownField = BAD_REQUEST "unknown-field" "A field is not known"
        "Correct the name; `errors` says where it stands.";
    /// A field is missing or of the wrong type.
    WrongType = BAD_REQUEST "wrong-type" "A field has the wrong type"
        "Correct the type, or say what is missing; `errors` says where.";
    /// A value is outside its limits.
    OutOfRange = BAD_REQUEST "out-of-range" "A value is outside its limits"
        "Stay within the limit that `errors` names.";
    /// No token, or one that does not count.
    Unauthenticated = UNAUTHORIZED "unauthenticated" "A valid access token is needed"
        "Send a valid token as `Authorization: Bearer <token>`; ask an admin for a new one if it expired.";
    /// The token may not do this.
    Forbidden = FORBIDDEN "forbidden" "This token may not do that"
        "Use a token whose role may do this; a bot names its user in `Infra-On-Behalf-Of`.";
    /// More than the user may hold.
    OverBudget = FORBIDDEN "over-budget" "A limit or a budget of this user or its team would be exceeded"
        "Release something, ask for less or for a shorter time, or ask an admin for a higher limit; the error names which limit, and what is left of it.";
    /// A brake is on.
    Paused = FORBIDDEN "paused" "A brake forbids it"
        "Wait until the brake is opened; `detail` says which one and why.";
    /// The user is suspended.
    Suspended = FORBIDDEN "suspended" "The user is suspended"
        "Ask an admin.";
    /// No such thing, or somebody else's.
    NotFound = NOT_FOUND "not-found" "There is no such thing"
        "Check the path and the id. Somebody else's looks like one that does not exist.";
    /// This path has other methods. (Beyond the first contract.)
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "This path does not take that method"
        "Use a method that the header `Allow` names.";
    /// The request did not arrive in time. (Beyond the first contract.)
    Timeout = REQUEST_TIMEOUT "timeout" "The request did not arrive in time"
        "Send it again, faster.";
    /// Not in the state that the caller expected.
    Conflict = CONFLICT "conflict" "It is not in the state that was expected"
        "Read it again, decide again, and send the new `ETag`.";
    /// Being changed by others.
    Busy = CONFLICT "busy" "It is being changed by others"
        "Send the same again after `Retry-After`.";
    /// Something still hangs on it.
    InUse = CONFLICT "in-use" "Something still uses it"
        "End what `errors` names first.";
    /// It is ending; a release always wins.
    Gone = CONFLICT "gone" "It is ending"
        "Nothing: a release always wins. Make a new one if one is needed.";
    /// It is over.
    Released = GONE "released" "It is over"
        "Nothing: it is over, as wished.";
    /// The body is too large.
    TooLarge = PAYLOAD_TOO_LARGE "too-large" "The body is too large"
        "Send less; `errors` names the limit.";
    /// No offer fits.
    NoFit = UNPROCESSABLE_ENTITY "no-fit" "No offer fits"
        "Relax the limit that `errors` names; `nearest` shows what would have come close.";
    /// No such region within reach.
    UnknownRegion = UNPROCESSABLE_ENTITY "unknown-region" "The region is not known"
        "Ask for a region or cloud that a saved key reaches; `nearest` shows some.";
    /// No such image within reach.
    UnknownImage = UNPROCESSABLE_ENTITY "unknown-image" "The image is not known"
        "Ask for an image that the offers have.";
    /// No key saved.
    NoCredentials = UNPROCESSABLE_ENTITY "no-credentials" "No key to a cloud is saved"
        "Save a key to a cloud first.";
    /// The cloud refuses the key.
    InvalidCredentials = UNPROCESSABLE_ENTITY "invalid-credentials" "The cloud refuses the key"
        "Correct the key: the cloud was asked and said no.";
    /// Nothing here can do it.
    Unfulfillable = UNPROCESSABLE_ENTITY "unfulfillable" "Nothing here can do that"
        "Leave out the field that `errors` names: nothing here acts upon it.";
    /// The idempotency key belongs to another body.
    IdempotencyMismatch = UNPROCESSABLE_ENTITY "idempotency-mismatch" "The idempotency key was used for another body"
        "Take a new `Idempotency-Key` for a new request.";
    /// Too much at once.
    RateLimited = TOO_MANY_REQUESTS "rate-limited" "Too many requests at once"
        "Send the same again after `Retry-After`.";
    /// A defect of this server. (Beyond the first contract.)
    Internal = INTERNAL_SERVER_ERROR "internal" "The server failed"
        "Report it with the `request_id`. Whether it was done is unknown: look before sending it again.";
    /// The cloud does not answer.
    ProviderUnavailable = SERVICE_UNAVAILABLE "provider-unavailable" "The cloud does not answer"
        "Send the same again after `Retry-After`; the cloud is the one who does not answer.";
    /// The cloud could not be asked about the key.
    Unverified = SERVICE_UNAVAILABLE "unverified" "The key could not be checked"
        "Save the key again later: nothing was stored.";
    /// The store does not answer, or the installation is frozen. (Beyond the first contract.)
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "The server cannot work now"
        "Ask `/readyz` for the reason, and send the same again later.";
}

/// One field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Path of the field, like `tags.team` or `ssh_public_keys[2]`; `?limit` for a parameter.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
    /// The limit that was passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub nearest: Vec<Quote>,
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
        let wire = ProblemBody {
            type_: format!("{URN}{}", self.code.word()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
            nearest: self.nearest.clone(),
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
