//! One table: what DigitalOcean said to what the caller must do.
//!
//! # Flow
//! `id` is the code and follows from the status; what a 422 means stands in its message alone. Nothing in the public
//! documentation lists the messages: these are the ones that public issues and the API's own examples show.
//!
//! # Caveats
//! A message nobody has met yet is Invalid when it came with 422: it did nothing, and a person reads it.

use infra_core::contracts::provider::{ProviderError, Said};

use super::wire::ErrorBody;
use crate::failure::{self, ApiFailure, Class, Verb};
use crate::http::HttpResponse;

/// Words of a message with status 409, 412, 422 or 423, lower case. The first match counts.
const MESSAGES: &[(&str, Class)] = &[
    ("droplet limit", Class::Quota),
    ("snapshot limit", Class::Quota),
    ("firewall limit", Class::Quota),
    ("limit exceeded", Class::Quota),
    ("limit reached", Class::Quota),
    ("maximum number of", Class::Quota),
    ("reached the limit", Class::Quota),
    ("image is not available in the selected region", Class::Invalid),
    ("image is not available in this region", Class::Invalid),
    ("size is not available", Class::Capacity),
    ("region is not available", Class::Capacity),
    ("is currently unavailable", Class::Capacity),
    ("temporarily disabled", Class::Capacity),
    ("out of capacity", Class::Capacity),
    ("not enough capacity", Class::Capacity),
    ("pending event", Class::Busy),
    ("pending action", Class::Busy),
    ("is locked", Class::Busy),
    ("currently locked", Class::Busy),
    ("already powered", Class::Busy),
    ("already on", Class::Busy),
    ("already off", Class::Busy),
    ("already in progress", Class::Busy),
    ("being created", Class::Busy),
    ("being processed", Class::Busy),
];

fn class_of(status: u16, said: &Said) -> Option<Class> {
    // An answer without the API's own words came from something in between: it says nothing about the thing.
    if said.code.is_empty() {
        return (status == 401).then_some(Class::Unauthorized);
    }
    match status {
        401 | 403 => Some(Class::Unauthorized),
        404 => Some(Class::NotFound),
        429 => Some(Class::Throttled),
        409 | 412 | 422 | 423 => {
            let message = said.message.to_lowercase();
            let known = MESSAGES.iter().find(|(words, _)| message.contains(words));
            let otherwise = if status == 423 { Class::Busy } else { Class::Invalid };
            Some(known.map_or(otherwise, |(_, class)| *class))
        }
        500.. => Some(Class::Unavailable),
        _ => None,
    }
}

/// Turns a failed call into the contract's error.
#[must_use]
pub fn provider_error(verb: Verb, failure: ApiFailure) -> ProviderError {
    failure::provider_error(verb, failure, class_of)
}

/// The words of an error answer.
pub(super) fn said(response: &HttpResponse) -> Said {
    let header = response.header("x-request-id").map(str::to_owned);
    let Ok(body) = serde_json::from_slice::<ErrorBody>(&response.body) else {
        let message = format!("status {} without DigitalOcean's own words", response.status);
        return Said { code: String::new(), message, request_id: header };
    };
    let message = if body.message.is_empty() { body.root_causes.join("; ") } else { body.message };
    Said { code: body.id, message, request_id: body.request_id.or(header) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use infra_core::words::fault::{Effect, Fault, FaultKind};

    use super::*;
    use crate::failure::Reached;

    fn answered(status: u16, body: &str) -> ApiFailure {
        let headers = vec![("x-request-id".to_owned(), "req-1".to_owned())];
        let response = HttpResponse { status, headers, body: body.as_bytes().to_vec() };
        let retry_after = Some(Duration::from_secs(7));
        ApiFailure { reached: Reached::Answered(status), said: said(&response), retry_after }
    }

    /// Bodies as the API's documentation and public issues show them.
    const CAPTURED: &[(u16, &str, FaultKind, Effect)] = {
        use Effect::{NotApplied, Unknown};
        use FaultKind::*;
        &[
            (
                401,
                r#"{"id":"Unauthorized","message":"Unable to authenticate you"}"#,
                Unauthorized,
                NotApplied,
            ),
            (
                401,
                r#"{"id":"unauthorized","message":"Unable to authenticate you."}"#,
                Unauthorized,
                NotApplied,
            ),
            (
                403,
                r#"{"id":"Forbidden","message":"You are not authorized to perform this operation"}"#,
                Unauthorized,
                NotApplied,
            ),
            (
                404,
                r#"{"id":"not_found","message":"The resource you requested could not be found."}"#,
                NotFound,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"creating this/these droplet(s) will exceed your droplet limit"}"#,
                Quota,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"Region is not available"}"#,
                Capacity,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"Size is not available in this region."}"#,
                Capacity,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"Droplet already has a pending event."}"#,
                Busy,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"You specified an invalid image for Droplet creation."}"#,
                Invalid,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"You specified an invalid size for Droplet creation."}"#,
                Invalid,
                NotApplied,
            ),
            (
                422,
                r#"{"id":"unprocessable_entity","message":"SSH Key is already in use on your account"}"#,
                Invalid,
                NotApplied,
            ),
            (
                409,
                r#"{"id":"conflict","message":"duplicate name","request_id":"4830045a-6ead-48f0-ba5a-03c506f306c4"}"#,
                Invalid,
                NotApplied,
            ),
            (
                400,
                r#"{"error":"Bad Request","messages":["name: invalid"],"root_causes":["name is invalid"]}"#,
                Invalid,
                NotApplied,
            ),
            (
                429,
                r#"{"id":"too_many_requests","message":"API rate limit exceeded."}"#,
                Throttled,
                NotApplied,
            ),
            (500, r#"{"id":"server_error","message":"Unexpected server-side error"}"#, Unavailable, Unknown),
            (503, r#"{"id":"service_unavailable","message":"try again"}"#, Unavailable, Unknown),
            (422, r#"{"id":"unprocessable_entity","message":"something new"}"#, Invalid, NotApplied),
            // From something in between: neither an absence nor a refusal.
            (404, "<html>not here</html>", Internal, Unknown),
            (403, "<html>blocked</html>", Internal, Unknown),
            (502, "<html>bad gateway</html>", Unavailable, Unknown),
            (504, "", Unavailable, Unknown),
            (401, "", Unauthorized, NotApplied),
        ]
    };

    #[test]
    fn every_captured_body_says_what_the_caller_must_do() {
        for (status, body, kind, effect) in CAPTURED {
            let error = provider_error(Verb::Change, answered(*status, body));
            assert_eq!((error.kind(), error.effect()), (*kind, *effect), "{status} {body}");
            assert!(error.to_string().contains("(request "), "{error}");
            let looked = provider_error(Verb::Look, answered(*status, body));
            let unknown = looked.kind() == FaultKind::Internal;
            assert_eq!(
                looked.effect() == Effect::Unknown,
                unknown,
                "a look changes nothing: {status} {body}"
            );
        }
    }

    #[test]
    fn the_clouds_own_words_and_request_id_are_handed_on() {
        let duplicate = CAPTURED.iter().find(|(status, ..)| *status == 409).expect("there is one");
        let error = provider_error(Verb::Change, answered(duplicate.0, duplicate.1)).to_string();
        assert!(
            error.ends_with("conflict: duplicate name (request 4830045a-6ead-48f0-ba5a-03c506f306c4)"),
            "{error}"
        );
        let tag =
            provider_error(Verb::Change, answered(400, r#"{"error":"Bad Request","root_causes":["a","b"]}"#));
        assert!(tag.to_string().ends_with("Bad Request: a; b (request req-1)"), "{tag}");
    }

    #[test]
    fn throttling_hands_on_when_to_come_back() {
        let error =
            provider_error(Verb::Change, answered(429, r#"{"id":"too_many_requests","message":"m"}"#));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}
