//! The sim's things in EC2's shapes, and the other way round.

use std::collections::BTreeMap;

use infra_core::nouns::cloud::{Observed, PowerMode, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::offering::{Image, Offering};
use infra_core::nouns::options::MachineOptions;
use infra_core::nouns::request::Market;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, InstallationId, LaunchToken, ResourceId, TypeName, Zone};
use infra_core::words::lane::{Mark, ResourceKind, Version};
use serde_json::json;
use uuid::Uuid;

use super::Kept;
use crate::aws::api::{Instance, MachineImage, MachineType, PriceListAsk, RunInstances, Tags};

/// The root disk of every image.
const ROOT: &str = "/dev/sda1";

/// Rounded down to the second.
pub(super) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The sim writes no tags of its own for it: those of the call are all there are.
pub(super) fn no_mark(token: LaunchToken, kind: ResourceKind) -> Mark {
    Mark { installation: InstallationId(Uuid::nil()), token, kind, seq: Version(0) }
}

/// Whatever the tags say, verbatim, with the name that they or the call give.
pub(super) fn frozen(token: LaunchToken, name: String, tags: &Tags, body: LaunchBody) -> FrozenLaunch {
    let mark = no_mark(token, body.kind());
    FrozenLaunch { token, mark, name, count: 1, zone: None, labels: tags.clone(), body }
}

/// A machine's body, so that two calls differ exactly where they ask for something else. The name of what is wrong
/// when it cannot be one.
pub(super) fn machine(ask: &RunInstances) -> Result<MachineBody, &'static str> {
    let mut options = MachineOptions::default();
    options.network.clone_from(&ask.subnet);
    options.profile.clone_from(&ask.profile);
    options.off = ask.hibernate.then_some(PowerMode::Hibernate);
    let root = ask.disks.iter().find(|disk| disk.device == ROOT);
    let firewall = ask.groups.first().map(|id| ResourceId::new(id.clone())).transpose();
    Ok(MachineBody {
        type_name: TypeName::new(ask.type_name.clone()).map_err(|_| "InstanceType")?,
        image: ImageId::new(ask.image.clone()).map_err(|_| "ImageId")?,
        disk_gib: root.and_then(|disk| disk.size_gib).unwrap_or(0),
        spot_max: ask.spot_max.as_deref().and_then(infra_core::words::money::Money::parse_usd),
        market: if ask.spot { Market::Spot } else { Market::OnDemand },
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: firewall.map_err(|_| "SecurityGroupId")?,
        key_pair: ask.key_name.clone(),
        private_only: !ask.public_address,
        options,
        files: None,
    })
}

/// A launch of machines.
pub(super) fn run(ask: &RunInstances) -> Result<FrozenLaunch, &'static str> {
    let token: LaunchToken = ask.token.parse().map_err(|_| "ClientToken")?;
    let name = ask.tags.get("Name").cloned().unwrap_or_default();
    let zone = Zone::new(ask.zone.clone()).map_err(|_| "AvailabilityZone")?;
    let body = LaunchBody::Machine(machine(ask)?);
    Ok(FrozenLaunch { count: ask.count, zone: Some(zone), ..frozen(token, name, &ask.tags, body) })
}

/// Is the root disk, and nothing that the image does not have, on the list, and encrypted when it must be?
pub(super) fn disks_fit(ask: &RunInstances) -> Result<(), &'static str> {
    if ask.disks.iter().any(|disk| disk.device != ROOT) {
        return Err("a disk that the image does not have");
    }
    let encrypted = ask.disks.iter().any(|disk| disk.encrypted);
    if ask.hibernate && !encrypted {
        return Err("Hibernation requires an encrypted root volume");
    }
    Ok(())
}

/// EC2's word for a state. It has none for a failed build: it ends the machine.
const fn word(state: ThingState) -> &'static str {
    match state {
        ThingState::Building => "pending",
        ThingState::Running => "running",
        ThingState::Stopping => "stopping",
        ThingState::Stopped => "stopped",
        ThingState::Ending => "shutting-down",
        ThingState::Ended | ThingState::Error => "terminated",
        ThingState::Suspect => "unknown",
    }
}

/// A machine as EC2 shows it.
pub(super) fn instance(one: Observed, kept: &Kept) -> Instance {
    let over = matches!(one.state, ThingState::Ending | ThingState::Ended);
    let asked = || ("Client.UserInitiatedShutdown".to_owned(), "User initiated shutdown".to_owned());
    let failed = one.fault.or_else(|| kept.failed.get(&one.id).cloned());
    let reason = failed.map(|why| match why.split_once(": ") {
        Some((code, message)) => (code.to_owned(), message.to_owned()),
        None => ("Server.InternalError".to_owned(), why),
    });
    let born = second(one.created_at);
    Instance {
        launched_at: Some(kept.starts.get(&one.id).copied().unwrap_or(born)),
        attached_at: Some(born),
        id: one.id.to_string(),
        state: word(one.state).to_owned(),
        client_token: one.stamp.map(|token| token.to_string()),
        type_name: one.type_name.map(|name| name.to_string()),
        image: one.image.map(|image| image.to_string()),
        zone: one.zone.map(|zone| zone.to_string()),
        public_address: one.public_address,
        private_address: one.private_address,
        reason: reason.or_else(|| over.then(asked)),
        tags: one.tags,
    }
}

/// A type as EC2 shows it.
pub(super) fn machine_type(one: &Offering) -> MachineType {
    MachineType {
        name: one.type_name.to_string(),
        vcpus: one.vcpus_milli / 1000,
        memory_mib: one.memory_mib,
        archs: vec![one.arch],
        gpus: one.gpus,
        gpu_model: one.gpu_model.clone(),
        gpu_memory_mib: one.gpu_memory_mib,
        local_disk_gb: 0,
        burstable: one.burstable,
        spot: false,
    }
}

/// A product with its price, as the Price List shows it.
pub(super) fn product(one: &Offering, ask: &PriceListAsk) -> String {
    let mut attributes: BTreeMap<&str, String> = ask.attributes.iter().cloned().collect();
    attributes.insert("instanceType", one.type_name.to_string());
    let usd = one.price.per_hour().map(|price| price.to_string()).unwrap_or_default();
    let dimension =
        json!({"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}});
    let term = json!({"effectiveDate": "2006-08-25T00:00:00Z", "priceDimensions": {"hour": dimension}});
    let product = json!({"productFamily": "Compute Instance", "attributes": attributes});
    json!({"product": product, "terms": {"OnDemand": {"term": term}}}).to_string()
}

/// An image as EC2 shows it.
pub(super) fn image(one: &Image) -> MachineImage {
    MachineImage {
        id: one.id.to_string(),
        name: one.name.clone(),
        arch: Some(one.arch),
        created_at: Some(one.created_at),
        platform: Some(if one.system.is_linux() { "Linux/UNIX" } else { "Windows" }.to_owned()),
        root_device: Some(ROOT.to_owned()),
        devices: vec![ROOT.to_owned()],
        root_gib: Some(one.min_disk_gib).filter(|gib| *gib > 0),
    }
}

/// Does a name fit a pattern with `*`?
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(tail, &rest[at..]))
}
