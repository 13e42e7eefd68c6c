//! Answers in the services' words.

use std::time::Duration;

use infra_core::contracts::provider::{ProviderError, Said};
use infra_core::words::clock::Timestamp;
use infra_core::words::fault::Effect;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{HttpResponse, Sent, TransportError};

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Keystone,
    Nova,
    Glance,
    Neutron,
}

pub(super) type Outcome = Result<Reply, Refusal>;

/// A status and a body.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

/// What is not done, by the sim or here, and who says so.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) of: Of,
    pub(super) error: ProviderError,
}

fn said(code: &str, message: &str) -> Said {
    Said { code: code.to_owned(), message: message.to_owned(), request_id: None }
}

/// Nothing is at such an address.
pub(super) fn unreachable() -> TransportError {
    TransportError { sent: Sent::No, why: "no such host".to_owned() }
}

impl Refusal {
    pub(super) fn invalid(of: Of, message: &str) -> Self {
        Self { of, error: ProviderError::Invalid { said: said("", message) } }
    }

    pub(super) fn not_found(of: Of, id: &str) -> Self {
        Self { of, error: ProviderError::NotFound { said: said("", &format!("{id} could not be found.")) } }
    }

    pub(super) fn busy(of: Of, message: &str) -> Self {
        Self { of, error: ProviderError::Busy { said: said("", message) } }
    }

    /// What is asked is forbidden to everybody.
    pub(super) fn forbidden(of: Of, message: &str) -> Self {
        Self { of, error: ProviderError::Invalid { said: said("Forbidden", message) } }
    }

    pub(super) fn unauthorized(of: Of) -> Self {
        Self { of, error: ProviderError::Unauthorized { said: said("AuthFailure", "") } }
    }

    /// The sim answered something else than it was asked: a defect of this skin.
    pub(super) fn another_call(of: Of) -> Self {
        let said = said("InternalError", "the simulator answered another call");
        Self { of, error: ProviderError::Unavailable { said, effect: Effect::Unknown, retry_after: None } }
    }

    /// As the service words it, or no answer at all.
    pub(super) fn reply(self) -> Result<Reply, TransportError> {
        let of = self.of;
        Ok(match self.error {
            ProviderError::Unauthorized { said } if said.code == "UnauthorizedOperation" => forbidden(of),
            ProviderError::Unauthorized { .. } => unauthorized(),
            ProviderError::Quota { .. } => quota(of),
            ProviderError::Capacity { .. } => {
                error(of, 400, "badRequest", "No valid host was found. There are not enough hosts available.")
            }
            ProviderError::Throttled { retry_after, .. } => {
                let mut reply = error(of, 429, "overLimit", "This request was rate-limited.");
                let wait = retry_after.unwrap_or(Duration::from_secs(1)).as_secs().max(1);
                reply.headers.push(("retry-after", wait.to_string()));
                reply
            }
            ProviderError::Busy { .. } if of == Of::Neutron => {
                error(of, 409, "SecurityGroupInUse", "Security Group in use.")
            }
            ProviderError::Busy { said } => error(of, 409, "conflictingRequest", &said.message),
            ProviderError::NotFound { said } => error(of, 404, "itemNotFound", &said.message),
            ProviderError::Invalid { said } => invalid(of, &said),
            ProviderError::Garbled { .. } => Reply::cut_off(),
            ProviderError::Unavailable { said, .. } if said.code != "InternalError" => {
                return Err(TransportError { sent: Sent::Maybe, why: said.message });
            }
            _ => error(of, 500, "computeFault", "Unexpected API Error. Please report this."),
        })
    }
}

/// Nova and Neutron leave this to the same middleware as Keystone.
fn unauthorized() -> Reply {
    error(Of::Keystone, 401, "Unauthorized", "The request you have made requires authentication.")
}

fn forbidden(of: Of) -> Reply {
    let message = "Policy doesn't allow os_compute_api:servers:create to be performed.";
    match of {
        Of::Neutron => {
            error(of, 403, "PolicyNotAuthorized", "(rule:create_security_group) is disallowed by policy")
        }
        Of::Nova => error(of, 403, "forbidden", message),
        Of::Keystone | Of::Glance => error(of, 403, "Forbidden", "You are not authorized to do this."),
    }
}

fn quota(of: Of) -> Reply {
    let message = "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances";
    match of {
        Of::Neutron => error(of, 409, "OverQuota", "Quota exceeded for resources: ['security_group']."),
        Of::Glance => error(of, 413, "Request Entity Too Large", message),
        Of::Nova | Of::Keystone => error(of, 403, "forbidden", message),
    }
}

fn invalid(of: Of, said: &Said) -> Reply {
    let (status, code, message) = match said.code.as_str() {
        "Duplicate" => (409, "conflictingRequest", "Key pair already exists.".to_owned()),
        "InvalidImage" => (400, "badRequest", "Can not find requested image".to_owned()),
        "InvalidGroup.NotFound" => {
            (400, "badRequest", "Unable to find security_group with name or id".to_owned())
        }
        "InvalidKeyPair.NotFound" => (400, "badRequest", "Invalid key_name provided.".to_owned()),
        "Forbidden" => (403, "forbidden", said.message.clone()),
        "InvalidZone" => (400, "badRequest", "The requested availability zone is not available".to_owned()),
        _ => (400, "badRequest", said.message.clone()),
    };
    error(of, status, code, &message)
}

/// An error in the form of a service. `code` is Nova's; the others have their own names for the same.
fn error(of: Of, status: u16, code: &str, message: &str) -> Reply {
    let title = match status {
        400 => "Bad Request",
        404 => "Not Found",
        409 => "Conflict",
        500 => "Internal Server Error",
        _ => code,
    };
    let kind = match (status, code) {
        (404, _) => "SecurityGroupNotFound",
        (500, _) => "HTTPInternalServerError",
        (400, _) => "InvalidInput",
        _ => code,
    };
    let body = match of {
        Of::Keystone => json!({"error": {"code": status, "message": message, "title": title}}),
        Of::Nova => json!({code: {"code": status, "message": message}}),
        Of::Glance => {
            json!({"message": format!("{message}<br /><br />\n\n\n"), "code": format!("{status} {title}"), "title": title})
        }
        Of::Neutron => json!({"NeutronError": {"type": kind, "message": message, "detail": ""}}),
    };
    Reply::of(status, &body)
}

impl Reply {
    pub(super) fn of(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), headers: Vec::new() }
    }

    /// 202 or 204: nothing to read.
    pub(super) const fn nothing(status: u16) -> Self {
        Self { status, body: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, header: &'static str, value: String) -> Self {
        self.headers.push((header, value));
        self
    }

    /// A success that ends in the middle.
    fn cut_off() -> Self {
        Self { status: 202, body: b"{\"server\": {\"id\": \"5b0f".to_vec(), headers: Vec::new() }
    }

    /// With the headers of every answer. Every request has an id of its own.
    pub(super) fn response(mut self, now: Timestamp, request: u64) -> HttpResponse {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        self.headers.push(("date", date.timestamp_to_rfc9110_string(&now).unwrap_or_default()));
        let id = Uuid::from_u128(0x05_u128 << 120 | u128::from(request));
        self.headers.push(("x-openstack-request-id", format!("req-{id}")));
        self.headers.push(("content-type", "application/json".to_owned()));
        let headers = self.headers.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        HttpResponse { status: self.status, headers, body: self.body }
    }
}
