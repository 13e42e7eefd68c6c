//! One table: what an OpenStack service said to what the caller must do, and how its words are read.
//!
//! # Flow
//! The services do not agree on the form of an error: Nova names a code (`{"itemNotFound": {"message": ..}}`), Neutron
//! a type (`{"NeutronError": {"type": ..}}`), Keystone and Glance a title. Whatever it is becomes the code; a row of
//! the table matches status, code and a part of the message, because Nova sends quotas as `forbidden` and a missing
//! security group as `badRequest`. The first row that fits counts.
//!
//! Codes: the services' API references and `nova/api/openstack/wsgi.py`.

use infra_core::contracts::provider::{ProviderError, Said};

use crate::failure::{self, ApiFailure, Class, Verb, matches};
use crate::http::HttpResponse;

/// Longest message that is handed on, characters.
const MESSAGE_MAX: usize = 500;

/// Status (0: any), code (`*` stands for any text), words in the message (lower case, all of them), meaning.
const TABLE: &[(u16, &str, &[&str], Class)] = &[
    // Keystone's and its middleware's refusal of a key or token, in whatever words.
    (401, "*", &[], Class::Unauthorized),
    // Nova and Glance: quotas are "forbidden" or "too large"; so is asking one machine for too much.
    (403, "*", &["quota"], Class::Quota),
    (403, "forbidden", &["maximum number of ports"], Class::Quota),
    (403, "forbidden", &["maximum number of key pairs"], Class::Quota),
    (403, "forbidden", &["maximum number of security groups"], Class::Quota),
    (403, "forbidden", &["maximum number of fixed ips"], Class::Quota),
    (403, "forbidden", &["maximum number of floating ips"], Class::Quota),
    (403, "forbidden", &["is over the limit"], Class::Quota),
    (403, "forbidden", &["maximum number of"], Class::Invalid),
    // What is asked is refused, not who asks: the key is good, and another offer may do.
    (403, "forbidden", &["zero disk"], Class::Invalid),
    (403, "forbidden", &["external network"], Class::Invalid),
    (403, "forbidden", &["limit exceeded"], Class::Invalid),
    (413, "overLimit", &["quota"], Class::Quota),
    (413, "Request Entity Too Large", &["quota"], Class::Quota),
    (413, "overLimit", &[], Class::Throttled),
    (429, "*", &[], Class::Throttled),
    // Neutron.
    (409, "OverQuota", &[], Class::Quota),
    (409, "SecurityGroupInUse", &[], Class::Busy),
    (409, "IpAddressGenerationFailure", &[], Class::Capacity),
    (409, "NoMoreNetworks", &[], Class::Capacity),
    (503, "NoMoreNetworks", &[], Class::Capacity),
    (503, "NetworkVlanRangeError", &[], Class::Capacity),
    (404, "*NotFound", &[], Class::NotFound),
    (403, "*", &[], Class::Unauthorized),
    // Nova.
    (0, "*", &["no valid host"], Class::Capacity),
    (0, "*", &["insufficient compute resources"], Class::Capacity),
    (400, "badRequest", &["security group", "not found"], Class::NotFound),
    (400, "badRequest", &["unable to find security_group"], Class::NotFound),
    (400, "badRequest", &["invalid key_name"], Class::NotFound),
    (400, "*", &[], Class::Invalid),
    (404, "itemNotFound", &[], Class::NotFound),
    (404, "Not Found", &[], Class::NotFound),
    (409, "conflictingRequest", &["already exists"], Class::Invalid),
    (409, "conflictingRequest", &["networks"], Class::Invalid),
    (409, "conflictingRequest", &[], Class::Busy),
    (409, "Conflict", &[], Class::Busy),
    (500, "*", &[], Class::Unavailable),
    (503, "*", &[], Class::Unavailable),
];

fn class_of(status: u16, said: &Said) -> Option<Class> {
    // A refusal that no service signed came from something in between; only what it says of the key is believed.
    if said.code.is_empty() && ![401, 429].contains(&status) {
        return None;
    }
    let message = said.message.to_lowercase();
    let fits = |row: &&(u16, &str, &[&str], Class)| {
        (row.0 == 0 || row.0 == status)
            && matches(row.1, &said.code)
            && row.2.iter().all(|word| message.contains(word))
    };
    TABLE.iter().find(fits).map(|row| row.3)
}

/// Turns a failed call into the contract's error.
#[must_use]
pub fn provider_error(verb: Verb, failure: ApiFailure) -> ProviderError {
    failure::provider_error(verb, failure, class_of)
}

/// The words of an error answer.
#[must_use]
pub(super) fn said(response: &HttpResponse) -> Said {
    let (code, message) = words(&response.body).unwrap_or_default();
    let message = if message.is_empty() { format!("HTTP {}", response.status) } else { plain(&message) };
    let request_id = ["x-openstack-request-id", "x-compute-request-id"]
        .into_iter()
        .find_map(|name| response.header(name).filter(|id| !id.is_empty()).map(ToOwned::to_owned));
    Said { code, message, request_id }
}

/// Code and message of any of the forms.
fn words(body: &[u8]) -> Option<(String, String)> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text =
        |of: &serde_json::Value, key: &str| of.get(key).and_then(|v| v.as_str()).map(ToOwned::to_owned);
    // Glance says it flat.
    if let (Some(title), Some(message)) = (text(&json, "title"), text(&json, "message")) {
        return Some((title, message));
    }
    let (name, inner) = json.as_object()?.iter().next()?;
    // A bare text is how Neutron says some things.
    let message = text(inner, "message").or_else(|| inner.as_str().map(ToOwned::to_owned))?;
    let code = text(inner, "type").or_else(|| text(inner, "title")).unwrap_or_else(|| name.clone());
    Some((code, message))
}

/// Fields whose values Nova may repeat.
const SPOKEN: [&str; 6] = ["imageRef", "flavorRef", "key_name", "availability_zone", "networks", "uuid"];

/// One line, without Glance's HTML breaks, cut to the limit.
///
/// What Nova does not understand it repeats ("Invalid input for field/attribute server. Value: {..}"), first-boot data
/// and files included: of anything but harmless fields the value is left out.
fn plain(message: &str) -> String {
    let mut line = message.replace("<br />", " ");
    if let Some((field, _)) = line.split_once(". Value: ")
        && !SPOKEN.iter().any(|spoken| field.ends_with(&format!(" {spoken}")))
    {
        line = format!("{field} (its value is left out here)");
    }
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use infra_core::words::fault::{Effect, Fault, FaultKind};

    use super::*;
    use crate::failure::Reached;

    fn answer(status: u16, body: &str) -> HttpResponse {
        let headers = vec![("x-openstack-request-id".to_owned(), "req-7".to_owned())];
        HttpResponse { status, headers, body: body.as_bytes().to_vec() }
    }

    fn error(verb: Verb, status: u16, body: &str) -> ProviderError {
        let said = said(&answer(status, body));
        provider_error(verb, ApiFailure { reached: Reached::Answered(status), said, retry_after: None })
    }

    /// Bodies of Keystone 30, Nova 34, Glance 33 and Neutron 29, captured, and of the API references.
    #[test]
    fn every_refusal_says_what_the_caller_must_do() {
        use FaultKind::{
            Busy, Capacity, Internal, Invalid, NotFound, Quota, Throttled, Unauthorized, Unavailable,
        };
        let nova =
            |code: &str, message: &str| format!(r#"{{"{code}": {{"code": 0, "message": "{message}"}}}}"#);
        let neutron = |code: &str, message: &str| {
            format!(r#"{{"NeutronError": {{"type": "{code}", "message": "{message}", "detail": ""}}}}"#)
        };
        let glance = |title: &str, message: &str| {
            format!(
                r#"{{"message": "{message}<br /><br />\n\n\n", "code": "0 {title}", "title": "{title}"}}"#
            )
        };
        let keystone = |title: &str, message: &str| {
            format!(r#"{{"error":{{"code":0,"message":"{message}","title":"{title}"}}}}"#)
        };
        for (status, body, kind) in [
            (
                401,
                keystone("Unauthorized", "The request you have made requires authentication."),
                Unauthorized,
            ),
            (
                403,
                keystone("Forbidden", "You are not authorized to perform the requested action."),
                Unauthorized,
            ),
            (
                401,
                glance("Unauthorized", "This server could not verify that you are authorized"),
                Unauthorized,
            ),
            (
                403,
                glance("Forbidden", "You are not authorized to complete delete_image action."),
                Unauthorized,
            ),
            (404, glance("Not Found", "No image found with ID nope"), NotFound),
            (409, glance("Conflict", "Image is in use"), Busy),
            (413, glance("Request Entity Too Large", "Quota exceeded"), Quota),
            (
                403,
                nova("forbidden", "Policy doesn't allow os_compute_api:servers:create to be performed."),
                Unauthorized,
            ),
            (
                403,
                nova(
                    "forbidden",
                    "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances",
                ),
                Quota,
            ),
            (403, nova("forbidden", "Quota exceeded, too many key pairs."), Quota),
            (403, nova("forbidden", "Personality file limit exceeded"), Invalid),
            (403, nova("forbidden", "Maximum number of ports exceeded"), Quota),
            (403, nova("forbidden", "Maximum number of key pairs exceeded"), Quota),
            (403, nova("forbidden", "Maximum number of security groups or rules exceeded"), Quota),
            (403, nova("forbidden", "Maximum number of fixed IPs exceeded"), Quota),
            (403, nova("forbidden", "The number of defined ports: 12 is over the limit: 10"), Quota),
            (
                403,
                nova("forbidden", "Only volume-backed servers are allowed for flavors with zero disk."),
                Invalid,
            ),
            (
                403,
                nova("forbidden", "It is not allowed to create an interface on external network 0"),
                Invalid,
            ),
            (403, nova("forbidden", "Maximum number of metadata items exceeds 128"), Invalid),
            (413, nova("overLimit", "Quota exceeded for cores"), Quota),
            (413, nova("overLimit", "This request was rate-limited."), Throttled),
            (429, nova("overLimit", "This request was rate-limited."), Throttled),
            (429, String::new(), Throttled),
            (400, nova("badRequest", "Can not find requested image"), Invalid),
            (400, nova("badRequest", "Flavor nope could not be found."), Invalid),
            (400, nova("badRequest", "Network 0 could not be found."), Invalid),
            (400, nova("badRequest", "The requested availability zone is not available"), Invalid),
            (400, nova("badRequest", "marker [nope] not found"), Invalid),
            (400, nova("badRequest", "Keypair data is invalid: failed to generate fingerprint"), Invalid),
            (400, nova("badRequest", "Invalid key_name provided."), NotFound),
            (400, nova("badRequest", "Unable to find security_group with name or id '0'"), NotFound),
            (400, nova("badRequest", "Security group 0 not found for project 1."), NotFound),
            (
                400,
                nova("badRequest", "No valid host was found. There are not enough hosts available."),
                Capacity,
            ),
            (404, nova("itemNotFound", "Instance 0 could not be found."), NotFound),
            (404, nova("itemNotFound", "Keypair nope not found for user 0"), NotFound),
            (409, nova("conflictingRequest", "Instance 0 is locked"), Busy),
            (
                409,
                nova("conflictingRequest", "Cannot 'start' instance 0 while it is in vm_state active"),
                Busy,
            ),
            (409, nova("conflictingRequest", "Key pair 'x' already exists."), Invalid),
            (
                409,
                nova(
                    "conflictingRequest",
                    "Multiple possible networks found, use a Network ID to be more specific.",
                ),
                Invalid,
            ),
            (500, nova("computeFault", "Unexpected API Error."), Unavailable),
            (503, nova("serviceUnavailable", "Request Timeout"), Unavailable),
            (404, neutron("SecurityGroupNotFound", "Security group nope does not exist"), NotFound),
            (409, neutron("SecurityGroupInUse", "Security Group 0 in use."), Busy),
            (409, neutron("OverQuota", "Quota exceeded for resources: ['security_group']."), Quota),
            (
                403,
                neutron("PolicyNotAuthorized", "rule:create_network is disallowed by policy"),
                Unauthorized,
            ),
            (400, neutron("InvalidInput", "Invalid input for remote_ip_prefix"), Invalid),
            (
                409,
                neutron("IpAddressGenerationFailure", "No more IP addresses available on network 0."),
                Capacity,
            ),
            (404, "<html>nothing here</html>".to_owned(), Internal),
            (502, "<html>bad gateway</html>".to_owned(), Unavailable),
        ] {
            let error = error(Verb::Change, status, &body);
            let effect =
                if kind == Unavailable || kind == Internal { Effect::Unknown } else { Effect::NotApplied };
            assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {body}");
            assert!(error.to_string().contains("req-7"), "{error}");
        }
    }

    #[test]
    fn first_boot_data_is_never_repeated() {
        let body = r#"{"badRequest": {"code": 400, "message": "Invalid input for field/attribute server. Value: {'user_data': 'hunter2'}. Additional properties are not allowed ('x' was unexpected)"}}"#;
        let error = error(Verb::Change, 400, body).to_string();
        assert!(error.contains("field/attribute server") && !error.contains("hunter2"), "{error}");
        let body = r#"{"badRequest": {"code": 400, "message": "Invalid input for field/attribute imageRef. Value: ami-0. 'ami-0' is not valid"}}"#;
        assert!(self::error(Verb::Change, 400, body).to_string().contains("ami-0"));
    }

    #[test]
    fn a_look_up_that_failed_did_nothing() {
        let error = error(Verb::Look, 500, r#"{"computeFault": {"code": 500, "message": "x"}}"#);
        assert_eq!(error.effect(), Effect::NotApplied);
    }
}
