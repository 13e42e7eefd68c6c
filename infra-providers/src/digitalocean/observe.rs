//! DigitalOcean's shapes as the contract's.

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::words::ids::{ImageId, LaunchToken, Region, ResourceId, TypeName};
use infra_core::words::lane::{Mark, ResourceKind};

use super::tags;
use super::wire::{Droplet, Firewall, Image};
use crate::failure::{garbled, invalid};

/// A droplet. One that is `new` for ever could not be built; nothing else says so.
pub(super) fn machine(one: &Droplet) -> Result<Observed, ProviderError> {
    let state = match one.status.as_str() {
        "new" => ThingState::Building,
        "active" => ThingState::Running,
        "off" => ThingState::Stopped,
        _ => ThingState::Suspect,
    };
    let tags = tags::read(&one.tags);
    let address =
        |kind: &str| one.networks.v4.iter().find(|at| at.kind == kind).map(|at| at.ip_address.clone());
    let image = one.image.id.map(|id| ImageId::new(id.to_string())).transpose();
    Ok(Observed {
        id: id(&one.id.to_string())?,
        kind: ResourceKind::Machine,
        state,
        mark: Mark::from_tags(|key| tags.get(key).map(String::as_str)),
        stamp: None,
        name: Some(one.name.clone()),
        type_name: Some(TypeName::new(one.size_slug.clone()).map_err(|error| garbled(error.to_string()))?),
        image: image.map_err(|error| garbled(error.to_string()))?,
        zone: None,
        public_address: address("public"),
        private_address: address("private"),
        created_at: one.created_at,
        fault: None,
        tags,
    })
}

/// A firewall, under the id that a look-up asked for, or the one that its name tells.
pub(super) fn firewall(one: &Firewall, asked: Option<&ResourceId>) -> Result<Observed, ProviderError> {
    let mark = Mark::from_name(&one.name).filter(|mark| mark.kind == ResourceKind::Firewall);
    let failed = one.status == "failed";
    let id = match (asked, mark) {
        (Some(asked), _) => asked.clone(),
        (None, Some(mark)) => FirewallId { uuid: one.id.clone(), token: mark.token }.as_id()?,
        (None, None) => id(&one.id)?,
    };
    let state = if failed { ThingState::Error } else { ThingState::Running };
    let fault = failed.then(|| "the firewall's rules could not be applied".to_owned());
    Ok(Observed {
        fault,
        created_at: one.created_at,
        // Its name is unique in the account, which makes the token in it as good as the cloud's own stamp.
        stamp: mark.map(|mark| mark.token),
        ..satellite(id, ResourceKind::Firewall, state, mark, &one.name)
    })
}

/// A snapshot: usable once it is there whole.
pub(super) fn snapshot(one: &Image) -> Result<Observed, ProviderError> {
    let mark = Mark::from_name(&one.name).filter(|mark| mark.kind == ResourceKind::Snapshot);
    let fault = one.error_message.clone().filter(|why| !why.is_empty());
    let whole = one.size_gigabytes.is_some_and(|size| size > 0.0);
    let state = match one.status.as_str() {
        _ if fault.is_some() => ThingState::Error,
        "available" if whole => ThingState::Running,
        "available" | "NEW" | "new" | "pending" => ThingState::Building,
        "deleted" => ThingState::Ended,
        _ => ThingState::Suspect,
    };
    let id = id(&one.id.to_string())?;
    Ok(Observed {
        fault,
        created_at: one.created_at,
        ..satellite(id, ResourceKind::Snapshot, state, mark, &one.name)
    })
}

/// What is named by its mark and has neither place nor address.
fn satellite(
    id: ResourceId,
    kind: ResourceKind,
    state: ThingState,
    mark: Option<Mark>,
    name: &str,
) -> Observed {
    Observed {
        id,
        kind,
        state,
        mark,
        stamp: None,
        name: Some(name.to_owned()),
        type_name: None,
        image: None,
        zone: None,
        public_address: None,
        private_address: None,
        created_at: infra_core::words::clock::Timestamp::UNIX_EPOCH,
        fault: None,
        tags: [].into(),
    }
}

fn id(text: &str) -> Result<ResourceId, ProviderError> {
    ResourceId::new(text).map_err(|error| garbled(error.to_string()))
}

/// A firewall's id and the token of the attempt that made it, as one id `uuid/token`.
///
/// A droplet is put behind a firewall by a tag of its own create call, and that tag follows from the token: whoever
/// names the firewall of a machine must know both, and a launch looks nothing up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirewallId {
    pub(super) uuid: String,
    pub(super) token: LaunchToken,
}

impl FirewallId {
    pub(super) fn parse(id: &ResourceId) -> Result<Self, ProviderError> {
        let parts = id.as_str().split_once('/');
        let parsed =
            parts.and_then(|(uuid, token)| Some(Self { uuid: uuid.to_owned(), token: token.parse().ok()? }));
        parsed.ok_or_else(|| invalid(format!("{id} is no firewall of ours")))
    }

    fn as_id(&self) -> Result<ResourceId, ProviderError> {
        id(&format!("{}/{}", self.uuid, self.token))
    }

    /// The tag that droplets behind it carry.
    pub(super) fn tag(&self, region: &Region) -> String {
        tags::of_firewall(region, self.token)
    }
}
