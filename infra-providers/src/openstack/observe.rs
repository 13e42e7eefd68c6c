//! OpenStack's shapes as the contract's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, LaunchToken, ResourceId, TypeName, Zone};
use infra_core::words::lane::{Mark, ResourceKind};

use super::shapes::{Group, Image, KeyPair, Server, ServerFault};
use crate::failure::garbled;

/// In a group's description: how many ingress rules its launch is to write. Two calls make a group, and a crash
/// between them must be seen.
pub(super) const INGRESS: &str = "infra-ingress=";

/// A server's life. The task says what is being done to it and wins over the status, which says what it was before.
fn state(one: &Server) -> ThingState {
    match one.task_state.as_deref() {
        Some("deleting" | "soft-deleting") => return ThingState::Ending,
        Some(
            "powering-off"
            | "suspending"
            | "pausing"
            | "shelving"
            | "shelving_image_pending_upload"
            | "shelving_image_uploading"
            | "shelving_offloading",
        ) => return ThingState::Stopping,
        Some(
            "scheduling"
            | "block_device_mapping"
            | "networking"
            | "spawning"
            | "powering-on"
            | "resuming"
            | "unpausing"
            | "unshelving"
            | "restoring",
        ) => return ThingState::Building,
        // Copying its disk, moving it and the like leave it what it is.
        _ => {}
    }
    match one.status.as_str() {
        "BUILD" | "REBUILD" | "REBOOT" | "HARD_REBOOT" | "RESIZE" | "REVERT_RESIZE" => ThingState::Building,
        "ACTIVE" | "PASSWORD" | "MIGRATING" | "VERIFY_RESIZE" => ThingState::Running,
        "SHUTOFF" | "SUSPENDED" | "PAUSED" | "SHELVED" | "SHELVED_OFFLOADED" => ThingState::Stopped,
        "ERROR" => ThingState::Error,
        // Kept for a while by the cloud, and then ended by it.
        "SOFT_DELETED" => ThingState::Ending,
        "DELETED" => ThingState::Ended,
        // UNKNOWN is a server whose cell is down.
        _ => ThingState::Suspect,
    }
}

/// Is it from a cell that is down? Then neither its name nor its mark is told.
pub(super) fn is_hidden(one: &Server) -> bool {
    one.name.is_none()
}

/// A server. `now` stands in where Nova names no time.
pub(super) fn machine(one: Server, now: Timestamp) -> Result<Observed, ProviderError> {
    let state = state(&one);
    let addresses = || one.addresses.values().flatten();
    let floating = |kind: &Option<String>| kind.as_deref() == Some("floating");
    let public = addresses().find(|address| floating(&address.kind) || is_public(&address.addr));
    let private = addresses().find(|address| !floating(&address.kind));
    let id_of = |image: &serde_json::Value| image.get("id").and_then(|id| id.as_str()).map(ToOwned::to_owned);
    Ok(Observed {
        state,
        mark: Mark::from_tags(|key| one.metadata.get(key).map(String::as_str)),
        type_name: one
            .flavor
            .as_ref()
            .and_then(|flavor| flavor.original_name.clone())
            .and_then(|name| TypeName::new(name).ok()),
        image: id_of(&one.image).and_then(|id| ImageId::new(id).ok()),
        zone: one.zone.clone().and_then(|zone| Zone::new(zone).ok()),
        public_address: public.map(|address| address.addr.clone()),
        private_address: private.map(|address| address.addr.clone()),
        created_at: one.created.as_deref().and_then(time).unwrap_or(now),
        fault: one.fault.as_ref().filter(|_| state == ThingState::Error).map(fault),
        name: one.name,
        tags: one.metadata,
        ..bare(one.id, ResourceKind::Machine, state, now)?
    })
}

fn fault(one: &ServerFault) -> String {
    let message = one.message.as_deref().unwrap_or("no reason was given");
    one.code.map_or_else(|| message.to_owned(), |code| format!("{code}: {message}"))
}

/// Can it be reached from everywhere?
fn is_public(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_unspecified() || shared)
        }
        Ok(IpAddr::V6(ip)) => (ip.segments()[0] & 0xe000) == 0x2000,
        Err(_) => false,
    }
}

/// Nova writes `2026-01-31T12:00:00Z`.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A security group. One whose rules were never written is still being made.
pub(super) fn firewall(one: Group, now: Timestamp) -> Result<Observed, ProviderError> {
    let wanted: usize =
        one.description.split_once(INGRESS).and_then(|(_, rest)| rest.parse().ok()).unwrap_or(0);
    let has = one.security_group_rules.iter().filter(|rule| rule.direction == "ingress").count();
    // The rules come in one call, all or none; a person may change them afterwards.
    let unfinished = wanted > 0 && has == 0;
    let state = if unfinished { ThingState::Building } else { ThingState::Running };
    let fault = unfinished.then(|| format!("none of its {wanted} ingress rules was written"));
    Ok(Observed { fault, ..named(one.id, one.name, ResourceKind::Firewall, state, now)? })
}

/// A key pair: its name is its id.
pub(super) fn key_pair(one: KeyPair, now: Timestamp) -> Result<Observed, ProviderError> {
    named(one.name.clone(), one.name, ResourceKind::KeyPair, ThingState::Running, now)
}

/// An image that is, or is to be, a copy of a machine. Until its bytes are counted it is of no use.
pub(super) fn snapshot(one: Image, now: Timestamp) -> Result<Observed, ProviderError> {
    let state = match one.status.as_str() {
        "active" if one.size.is_some_and(|bytes| bytes > 0) => ThingState::Running,
        "active" | "queued" | "saving" | "uploading" | "importing" => ThingState::Building,
        "killed" => ThingState::Error,
        "pending_delete" => ThingState::Ending,
        "deleted" => ThingState::Ended,
        _ => ThingState::Suspect,
    };
    let tags: BTreeMap<String, String> = one
        .properties
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    Ok(Observed {
        state,
        mark: Mark::from_tags(|key| tags.get(key).map(String::as_str)),
        name: one.name,
        created_at: time(&one.created_at).unwrap_or(now),
        fault: (state == ThingState::Error).then(|| "the copy failed".to_owned()),
        tags,
        ..bare(one.id, ResourceKind::Snapshot, state, now)?
    })
}

/// What has its mark in its name. Nobody says when it was made; its token was drawn just before.
fn named(
    id: String,
    name: String,
    kind: ResourceKind,
    state: ThingState,
    now: Timestamp,
) -> Result<Observed, ProviderError> {
    let mark = Mark::from_name(&name);
    let created_at = mark.and_then(|mark| drawn_at(mark.token)).unwrap_or(now);
    Ok(Observed { mark, name: Some(name), created_at, ..bare(id, kind, state, now)? })
}

pub(super) fn bare(
    id: String,
    kind: ResourceKind,
    state: ThingState,
    now: Timestamp,
) -> Result<Observed, ProviderError> {
    Ok(Observed {
        id: ResourceId::new(id).map_err(|error| garbled(error.to_string()))?,
        kind,
        state,
        mark: None,
        stamp: None,
        name: None,
        type_name: None,
        image: None,
        zone: None,
        public_address: None,
        private_address: None,
        created_at: now,
        fault: None,
        tags: BTreeMap::new(),
    })
}

/// The moment inside a time-ordered token.
pub(super) fn drawn_at(token: LaunchToken) -> Option<Timestamp> {
    let (seconds, nanos) = token.0.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(json: serde_json::Value) -> Observed {
        let server = serde_json::from_value(json).expect("a server");
        machine(server, Timestamp::UNIX_EPOCH).expect("a machine")
    }

    #[test]
    fn a_task_says_more_than_the_status() {
        use ThingState::{Building, Ended, Ending, Error, Running, Stopped, Stopping, Suspect};
        for (status, task, is) in [
            ("BUILD", None, Building),
            ("BUILD", Some("spawning"), Building),
            ("BUILD", Some("deleting"), Ending),
            ("ACTIVE", None, Running),
            ("ACTIVE", Some("image_uploading"), Running),
            ("ACTIVE", Some("powering-off"), Stopping),
            ("ACTIVE", Some("shelving_image_uploading"), Stopping),
            ("SHELVED", Some("shelving_offloading"), Stopping),
            ("SHUTOFF", Some("powering-on"), Building),
            ("SHELVED_OFFLOADED", Some("unshelving"), Building),
            ("SHUTOFF", None, Stopped),
            ("SUSPENDED", None, Stopped),
            ("SHELVED_OFFLOADED", None, Stopped),
            ("ERROR", None, Error),
            ("ERROR", Some("deleting"), Ending),
            ("SOFT_DELETED", None, Ending),
            ("DELETED", None, Ended),
            ("UNKNOWN", None, Suspect),
            ("SOMETHING_NEW", None, Suspect),
        ] {
            let json =
                serde_json::json!({"id": "1", "name": "x", "status": status, "OS-EXT-STS:task_state": task});
            assert_eq!(server(json).state, is, "{status} {task:?}");
        }
    }

    #[test]
    fn a_server_is_read_as_nova_shows_it() {
        let seen = server(serde_json::json!({
            "id": "5b0f", "name": "web", "status": "ERROR", "created": "2026-01-31T12:00:00Z",
            "metadata": {"team": "laws"}, "image": "", "key_name": null,
            "flavor": {"original_name": "m1.tiny", "vcpus": 1, "ram": 512, "disk": 1},
            "fault": {"code": 500, "message": "No valid host was found.", "created": "2026-01-31T12:00:01Z"},
            "addresses": {"net": [{"addr": "10.9.0.7", "version": 4, "OS-EXT-IPS:type": "fixed"},
                                  {"addr": "192.0.2.5", "version": 4, "OS-EXT-IPS:type": "floating"}]},
            "OS-EXT-STS:vm_state": "error", "OS-EXT-STS:task_state": null,
            "OS-EXT-AZ:availability_zone": "", "a_field_of_tomorrow": {},
        }));
        assert_eq!(seen.fault.as_deref(), Some("500: No valid host was found."));
        assert_eq!(seen.public_address.as_deref(), Some("192.0.2.5"));
        assert_eq!(seen.private_address.as_deref(), Some("10.9.0.7"));
        assert_eq!((seen.zone, seen.image), (None, None));
        assert_eq!(seen.type_name.map(|name| name.to_string()).as_deref(), Some("m1.tiny"));
        assert_eq!(seen.created_at.to_string(), "2026-01-31T12:00:00Z");
    }

    #[test]
    fn a_copy_without_bytes_is_not_there_yet() {
        use ThingState::{Building, Error, Running};
        for (status, size, is) in [
            ("queued", None, Building),
            ("saving", None, Building),
            ("active", Some(0), Building),
            ("active", None, Building),
            ("active", Some(4096), Running),
            ("killed", None, Error),
        ] {
            let json = serde_json::json!({"id": "1", "status": status, "size": size, "created_at": ""});
            let image = serde_json::from_value(json).expect("an image");
            assert_eq!(
                snapshot(image, Timestamp::UNIX_EPOCH).expect("a copy").state,
                is,
                "{status} {size:?}"
            );
        }
    }

    #[test]
    fn a_group_without_its_rules_is_not_there_yet() {
        let group = |description: &str, rules: &[&str]| {
            let rules: Vec<_> = rules.iter().map(|to| serde_json::json!({"direction": to})).collect();
            let json = serde_json::json!({"id": "1", "name": "x", "description": description,
                                          "security_group_rules": rules});
            let group = serde_json::from_value(json).expect("a group");
            firewall(group, Timestamp::UNIX_EPOCH).expect("a firewall").state
        };
        assert_eq!(group("infra-ingress=2", &["egress"]), ThingState::Building);
        assert_eq!(group("infra-ingress=2", &["egress", "ingress"]), ThingState::Running);
        assert_eq!(group("infra-ingress=0", &["egress"]), ThingState::Running);
        assert_eq!(group("made by a person", &[]), ThingState::Running);
    }
}
