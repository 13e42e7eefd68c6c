//! Answers in DigitalOcean's words.

use infra_core::contracts::provider::{ProviderError, Said};
use infra_core::words::clock::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{HttpResponse, Sent, TransportError};

/// Requests that a key may make in an hour.
const RATE_LIMIT: u64 = 5000;

pub(super) type Outcome = Result<Reply, Refusal>;

/// A status and a body.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Vec<u8>,
    retry_after_s: Option<u64>,
}

/// What is not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Refused or broken by the sim.
    Of(ProviderError),
    /// Refused here: status, id, message.
    Said(u16, String, String),
}

impl Refusal {
    pub(super) fn said(status: u16, id: &str, message: &str) -> Self {
        Self::Said(status, id.to_owned(), message.to_owned())
    }

    pub(super) fn not_found() -> Self {
        Self::said(404, "not_found", "The resource you requested could not be found.")
    }

    pub(super) fn unprocessable(message: &str) -> Self {
        Self::said(422, "unprocessable_entity", message)
    }

    /// The sim answered something else than it was asked: a defect of this skin.
    pub(super) fn another_call() -> Self {
        Self::said(500, "server_error", "the simulator answered another call")
    }

    /// As DigitalOcean words it, or no answer at all.
    pub(super) fn reply(self) -> Result<Reply, TransportError> {
        let error = match self {
            Self::Said(status, id, message) => return Ok(Reply::error(status, &id, &message)),
            Self::Of(error) => error,
        };
        let unprocessable = |message: &str| Ok(Reply::error(422, "unprocessable_entity", message));
        match error {
            ProviderError::Unauthorized { said } if said.code == "UnauthorizedOperation" => {
                Ok(Reply::error(403, "forbidden", "You are not authorized to perform this operation"))
            }
            ProviderError::Unauthorized { .. } => {
                Ok(Reply::error(401, "unauthorized", "Unable to authenticate you."))
            }
            ProviderError::Quota { .. } => {
                unprocessable("creating this/these droplet(s) will exceed your droplet limit")
            }
            ProviderError::Capacity { .. } => unprocessable("Size is not available in this region."),
            ProviderError::Throttled { retry_after, .. } => {
                let reply = Reply::error(429, "too_many_requests", "API rate limit exceeded.");
                Ok(Reply { retry_after_s: retry_after.map(|wait| wait.as_secs()), ..reply })
            }
            ProviderError::Busy { .. } => unprocessable("Droplet already has a pending event."),
            ProviderError::NotFound { .. } => {
                Ok(Reply::error(404, "not_found", "The resource you requested could not be found."))
            }
            ProviderError::Invalid { said } => invalid(&said),
            ProviderError::Unavailable { said, .. } if said.code != "InternalError" => {
                Err(TransportError { sent: Sent::Maybe, why: said.message })
            }
            _ => Ok(Reply::error(500, "server_error", "Unexpected server-side error")),
        }
    }
}

fn invalid(said: &Said) -> Result<Reply, TransportError> {
    Ok(match said.code.as_str() {
        "Duplicate" => Reply::error(409, "conflict", "duplicate name"),
        "InvalidImage" => {
            Reply::error(422, "unprocessable_entity", "You specified an invalid image for Droplet creation.")
        }
        "InvalidType" => {
            Reply::error(422, "unprocessable_entity", "You specified an invalid size for Droplet creation.")
        }
        _ => Reply::error(422, "unprocessable_entity", &said.message),
    })
}

impl Reply {
    pub(super) fn of(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), retry_after_s: None }
    }

    /// 204.
    pub(super) const fn nothing() -> Self {
        Self { status: 204, body: Vec::new(), retry_after_s: None }
    }

    /// A success that ends in the middle.
    pub(super) fn cut_off() -> Self {
        Self { status: 200, body: b"{\"droplet\":{\"id\":3164".to_vec(), retry_after_s: None }
    }

    fn error(status: u16, id: &str, message: &str) -> Self {
        Self::of(status, &json!({ "id": id, "message": message }))
    }

    /// With the headers of every answer. Every request has an id of its own.
    pub(super) fn response(self, now: Timestamp, request: u64) -> HttpResponse {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&now).unwrap_or_default();
        let id = Uuid::from_u128(0xd0_u128 << 120 | u128::from(request)).to_string();
        let throttled = self.status == 429;
        let remaining = if throttled { 0 } else { RATE_LIMIT - 1 };
        let reset = now.as_second() + i64::try_from(self.retry_after_s.unwrap_or(3600)).unwrap_or(3600);
        let mut headers = vec![
            ("date", date),
            ("x-request-id", id),
            ("ratelimit-limit", RATE_LIMIT.to_string()),
            ("ratelimit-remaining", remaining.to_string()),
            ("ratelimit-reset", reset.to_string()),
        ];
        if self.status != 204 {
            headers.push(("content-type", "application/json; charset=utf-8".to_owned()));
        }
        headers
            .extend(self.retry_after_s.filter(|_| throttled).map(|wait| ("retry-after", wait.to_string())));
        let headers = headers.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        HttpResponse { status: self.status, headers, body: self.body }
    }
}
