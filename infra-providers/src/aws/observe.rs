//! EC2's shapes as the contract's.

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, LaunchToken, ResourceId, TypeName, Zone};
use infra_core::words::lane::{Mark, ResourceKind};

use super::api::{Group, Instance, KeyPair, Tags};
use crate::failure::{drawn_at, garbled};

/// On a firewall: how many ingress rules its launch is to write. Two calls make a firewall, and a crash between
/// them must be seen.
pub(super) const INGRESS: &str = "infra-ingress";

/// EC2's word for a machine's state.
fn state(word: &str) -> ThingState {
    match word {
        "pending" => ThingState::Building,
        "running" => ThingState::Running,
        "stopping" => ThingState::Stopping,
        "stopped" => ThingState::Stopped,
        "shutting-down" => ThingState::Ending,
        "terminated" => ThingState::Ended,
        _ => ThingState::Suspect,
    }
}

/// A machine. `now` stands in where EC2 names no time.
pub(super) fn machine(one: Instance, now: Timestamp) -> Result<Observed, ProviderError> {
    let state = state(&one.state);
    // EC2 ends a machine that it could not start, and says why; an ending by anyone's order is no fault.
    let fault = one
        .reason
        .filter(|(code, _)| {
            state != ThingState::Running && code != "Client.UserInitiatedShutdown" && !code.is_empty()
        })
        .map(|(code, message)| format!("{code}: {message}"));
    Ok(Observed {
        state,
        stamp: one.client_token.and_then(|token| token.parse().ok()),
        name: one.tags.get("Name").cloned(),
        type_name: one.type_name.and_then(|name| TypeName::new(name).ok()),
        image: one.image.and_then(|id| ImageId::new(id).ok()),
        zone: one.zone.and_then(|zone| Zone::new(zone).ok()),
        public_address: one.public_address,
        private_address: one.private_address,
        // The launch time moves at every start; the first attachment of its interface does not.
        created_at: one.launched_at.into_iter().chain(one.attached_at).min().unwrap_or(now),
        fault,
        ..bare(one.id, ResourceKind::Machine, one.tags, now)?
    })
}

/// A firewall. One whose rules were never written is still being made.
pub(super) fn firewall(one: Group, now: Timestamp) -> Result<Observed, ProviderError> {
    let wanted: usize = one.tags.get(INGRESS).and_then(|rules| rules.parse().ok()).unwrap_or(0);
    // The rules come in one call, all or none; a person may change them afterwards.
    let unfinished = wanted > 0 && one.open_to.is_empty() && !one.other_ingress;
    let bare = bare(one.id, ResourceKind::Firewall, one.tags, now)?;
    Ok(Observed {
        state: if unfinished { ThingState::Building } else { ThingState::Running },
        stamp: named_after(&one.name),
        name: Some(one.name),
        fault: unfinished.then(|| format!("none of its {wanted} ingress rules was written")),
        // EC2 does not say when a group was made; the token was drawn just before.
        created_at: bare.mark.and_then(|mark| drawn_at(mark.token)).unwrap_or(now),
        ..bare
    })
}

/// A key pair.
pub(super) fn key_pair(one: KeyPair, now: Timestamp) -> Result<Observed, ProviderError> {
    Ok(Observed {
        stamp: named_after(&one.name),
        name: Some(one.name),
        created_at: one.created_at.unwrap_or(now),
        ..bare(one.id, ResourceKind::KeyPair, one.tags, now)?
    })
}

fn bare(id: String, kind: ResourceKind, tags: Tags, now: Timestamp) -> Result<Observed, ProviderError> {
    Ok(Observed {
        id: ResourceId::new(id).map_err(|error| garbled(error.to_string()))?,
        kind,
        state: ThingState::Running,
        mark: Mark::from_tags(|key| tags.get(key).map(String::as_str)),
        stamp: None,
        name: None,
        type_name: None,
        image: None,
        zone: None,
        public_address: None,
        private_address: None,
        created_at: now,
        fault: None,
        tags,
    })
}

/// The token in a name, which is the attempt's mark.
///
/// EC2 keeps the names of groups and key pairs unique and never changes them, and copied tags do not bring a name
/// along: so the name is as good a stamp as a machine's client token.
fn named_after(name: &str) -> Option<LaunchToken> {
    Mark::from_name(name).map(|mark| mark.token)
}
