//! Servers, flavors, zones, key pairs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use infra_core::nouns::cloud::{Act, Observed, PowerMode, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::offering::Catalogue;
use infra_core::nouns::request::Market;
use infra_core::words::ids::{ImageId, ResourceId, TypeName, Zone};
use infra_core::words::lane::{Mark, ResourceKind};
use serde_json::{Map, Value, json};

use super::reply::{Of, Outcome, Refusal, Reply};
use super::{Asking, OpenStackFake, Ordering, frozen, time};
use crate::http::Method;
use crate::sim::skin::{Answer, Call};

/// Flavors have ids of their own, so that a name taken for an id is noticed.
const FLAVOR: &str = "flavor-of-";

/// A flavor for machines that boot from volumes; no other is refused for its disk.
const DISKLESS: &str = "diskless";

/// GiB of a flavor where the sim's type has no disk of its own.
const DISK: u32 = 20;

pub(super) async fn route(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
    match (asking.method, path.as_slice()) {
        (Method::Get, ["flavors", "detail"]) => flavors(fake, asking).await,
        (Method::Get, ["os-availability-zone"]) => zones(fake, asking).await,
        (Method::Get, ["servers", "detail"]) => list(fake, asking).await,
        (Method::Post, ["servers"]) => create(fake, asking).await,
        (Method::Get, ["servers", id]) => {
            let seen = fake.one(asking, ResourceKind::Machine, id).await?;
            Ok(Reply::of(200, &json!({"server": shown(fake, asking, &seen)})))
        }
        (Method::Delete, ["servers", id]) => {
            unlocked(fake, id)?;
            fake.act(asking, ResourceKind::Machine, id, Act::Terminate).await?;
            Ok(Reply::nothing(204))
        }
        (Method::Post, ["servers", id, "action"]) => action(fake, asking, id).await,
        (Method::Post, ["servers", id, "metadata"]) => mark(fake, asking, id).await,
        (Method::Delete, ["servers", id, "metadata", key]) => unmark(fake, asking, id, key).await,
        (Method::Get, ["os-keypairs"]) => key_pairs(fake, asking).await,
        (Method::Post, ["os-keypairs"]) => make_key_pair(fake, asking).await,
        (Method::Get, ["os-keypairs", name]) => {
            let pair = key_pair(fake, asking, name).await?;
            Ok(Reply::of(200, &shown_pair(fake, asking, &pair)))
        }
        (Method::Delete, ["os-keypairs", name]) => {
            let pair = key_pair(fake, asking, name).await?;
            fake.act(asking, ResourceKind::KeyPair, pair.id.as_str(), Act::Terminate).await?;
            Ok(Reply::nothing(202))
        }
        _ => Err(Refusal::not_found(Of::Nova, "The resource")),
    }
}

pub(super) async fn catalogue(fake: &OpenStackFake, asking: &Asking) -> Result<Catalogue, Refusal> {
    match fake.asked(asking, Call::Catalogue).await? {
        Answer::Catalogue(catalogue) => Ok(*catalogue),
        _ => Err(Refusal::another_call(asking.of)),
    }
}

async fn flavors(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let catalogue = catalogue(fake, asking).await?;
    let flavor = |one: &infra_core::nouns::offering::Offering| {
        let arch = if one.arch == infra_core::nouns::request::Arch::Arm64 { "aarch64" } else { "x86_64" };
        json!({"id": format!("{FLAVOR}{}", one.type_name), "name": one.type_name,
               "vcpus": one.vcpus_milli / 1000, "ram": one.memory_mib, "disk": one.disk_gib.max(DISK), "swap": "",
               "OS-FLV-DISABLED:disabled": false, "extra_specs": {"capabilities:cpu_info:arch": arch}})
    };
    // A flavor is one whatever boots on it.
    let sold = |one: &&infra_core::nouns::offering::Offering| {
        one.market == Market::OnDemand && one.system.is_linux()
    };
    let sold = catalogue.offerings.iter().filter(sold);
    let mut flavors: Vec<Value> = sold.map(flavor).collect();
    flavors.push(
        json!({"id": format!("{FLAVOR}{DISKLESS}"), "name": DISKLESS, "vcpus": 1, "ram": 2048, "disk": 0,
        "swap": "", "OS-FLV-DISABLED:disabled": false, "extra_specs": {}}),
    );
    Ok(Reply::of(200, &json!({"flavors": flavors})))
}

async fn zones(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let catalogue = catalogue(fake, asking).await?;
    let mut zones: Vec<&Zone> = catalogue.offerings.iter().flat_map(|one| &one.zones).collect();
    zones.sort();
    zones.dedup();
    let zone = |zone: &&Zone| json!({"zoneName": zone, "zoneState": {"available": true}, "hosts": null});
    Ok(Reply::of(200, &json!({"availabilityZoneInfo": zones.iter().map(zone).collect::<Vec<_>>()})))
}

async fn list(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let (items, more) = match asking.query.get("name") {
        // The pattern of one exact name is all that the client asks for.
        Some(pattern) => {
            let name = pattern.trim_start_matches('^').trim_end_matches('$').replace('\\', "");
            (fake.named(asking, ResourceKind::Machine, &name).await?, false)
        }
        None => fake.page(asking, ResourceKind::Machine, |one| one.id.to_string()).await?,
    };
    let servers: Vec<Value> = items.iter().map(|one| shown(fake, asking, one)).collect();
    let mut body = json!({"servers": servers});
    if more {
        body["servers_links"] = json!([{"rel": "next", "href": "http://elsewhere.test/next"}]);
    }
    Ok(Reply::of(200, &body))
}

async fn create(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let server = &asking.body["server"];
    let old = server.get("personality").is_some();
    if old && asking.microversion > 56 {
        return Err(Refusal::invalid(
            Of::Nova,
            "Additional properties are not allowed ('personality' was unexpected)",
        ));
    }
    let text = |key: &str| server[key].as_str().map(ToOwned::to_owned);
    let wanted = |key: &str| {
        text(key).ok_or_else(|| Refusal::invalid(Of::Nova, &format!("'{key}' is a required property")))
    };
    if server.get("networks").is_none() {
        return Err(Refusal::invalid(Of::Nova, "'networks' is a required property"));
    }
    let flavor = wanted("flavorRef")?;
    if flavor == format!("{FLAVOR}{DISKLESS}") {
        return Err(Refusal::forbidden(
            Of::Nova,
            "Only volume-backed servers are allowed for flavors with zero disk.",
        ));
    }
    let flavor_gone = || Refusal::invalid(Of::Nova, &format!("Flavor {flavor} could not be found."));
    let type_name = flavor.strip_prefix(FLAVOR).and_then(|name| TypeName::new(name).ok());
    let image = ImageId::new(wanted("imageRef")?);
    let body = MachineBody {
        type_name: type_name.ok_or_else(flavor_gone)?,
        image: image.map_err(|_| Refusal::invalid(Of::Nova, "Can not find requested image"))?,
        disk_gib: 0,
        market: Market::OnDemand,
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: server["security_groups"][0]["name"].as_str().and_then(|id| ResourceId::new(id).ok()),
        key_pair: text("key_name"),
        private_only: false,
        options: Default::default(),
        files: None,
        spot_max: None,
    };
    let metadata = texts(&server["metadata"]);
    let made = FrozenLaunch {
        zone: text("availability_zone").and_then(|zone| Zone::new(zone).ok()),
        labels: metadata.clone(),
        ..frozen(mark_of(&metadata), &wanted("name")?, LaunchBody::Machine(body))
    };
    let user_data = text("user_data").and_then(|data| STANDARD.decode(data).ok());
    let user_data = user_data.map(|data| String::from_utf8_lossy(&data).into_owned());
    let made = fake.launch(asking, made, user_data).await?;
    Ok(Reply::of(202, &json!({"server": {"id": made.id, "links": [], "adminPass": "x"}})))
}

pub(super) fn texts(object: &Value) -> BTreeMap<String, String> {
    let object = object.as_object().into_iter().flatten();
    object.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

pub(super) fn mark_of(metadata: &BTreeMap<String, String>) -> Option<Mark> {
    Mark::from_tags(|key| metadata.get(key).map(String::as_str))
}

/// A server as Nova shows it.
fn shown(fake: &OpenStackFake, asking: &Asking, one: &Observed) -> Value {
    if fake.cell_down.load(Ordering::Relaxed) {
        return json!({"id": one.id, "status": "UNKNOWN", "tenant_id": asking.granted.account, "created": time(one.created_at), "links": []});
    }
    let off = fake.kept().off.get(one.id.as_str()).copied().unwrap_or(PowerMode::Stop);
    let (status, task) = match (one.state, off) {
        (ThingState::Building, _) if one.private_address.is_some() => ("SHUTOFF", Some("powering-on")),
        (ThingState::Building, _) => ("BUILD", Some("spawning")),
        (ThingState::Running, _) => ("ACTIVE", None),
        (ThingState::Stopping, PowerMode::Shelve) => ("ACTIVE", Some("shelving")),
        (ThingState::Stopping, PowerMode::Suspend) => ("ACTIVE", Some("suspending")),
        (ThingState::Stopping, _) => ("ACTIVE", Some("powering-off")),
        (ThingState::Stopped, PowerMode::Shelve) => ("SHELVED_OFFLOADED", None),
        (ThingState::Stopped, PowerMode::Suspend) => ("SUSPENDED", None),
        (ThingState::Stopped, _) => ("SHUTOFF", None),
        (ThingState::Error, _) => ("ERROR", None),
        (ThingState::Ending, _) => ("ACTIVE", Some("deleting")),
        (ThingState::Ended | ThingState::Suspect, _) => ("UNKNOWN", None),
    };
    let address = |addr: &Option<String>, kind: &str| {
        addr.iter()
            .map(|addr| json!({"addr": addr, "version": 4, "OS-EXT-IPS:type": kind}))
            .collect::<Vec<_>>()
    };
    let addresses =
        [address(&one.private_address, "fixed"), address(&one.public_address, "floating")].concat();
    // No server is without a name: one made by hand is called by its id.
    let name = one.name.as_deref().unwrap_or(one.id.as_str());
    let mut server = json!({
        "id": one.id, "tenant_id": asking.granted.account, "name": name, "status": status, "metadata": one.tags, "created": time(one.created_at),
        "flavor": {"original_name": one.type_name, "vcpus": 1}, "image": {"id": one.image}, "addresses": {},
        "OS-EXT-STS:vm_state": status.to_lowercase(), "OS-EXT-STS:task_state": task, "OS-EXT-STS:power_state": 1,
        "OS-EXT-AZ:availability_zone": one.zone, "locked": fake.kept().locked.contains(one.id.as_str()),
    });
    if !addresses.is_empty() {
        server["addresses"] = json!({"net": addresses});
    }
    if let Some(fault) = &one.fault {
        server["fault"] = json!({"code": 500, "message": fault, "created": time(one.created_at)});
    }
    server
}

fn unlocked(fake: &OpenStackFake, id: &str) -> Result<(), Refusal> {
    if fake.kept().locked.contains(id) {
        return Err(Refusal::busy(Of::Nova, &format!("Instance {id} is locked")));
    }
    Ok(())
}

async fn action(fake: &OpenStackFake, asking: &Asking, id: &str) -> Outcome {
    unlocked(fake, id)?;
    let word = asking.body.as_object().and_then(|body| body.keys().next().cloned()).unwrap_or_default();
    let mode = match word.as_str() {
        "os-start" | "resume" | "unshelve" | "unpause" => PowerMode::On,
        "os-stop" => PowerMode::Stop,
        "suspend" => PowerMode::Suspend,
        "shelve" => PowerMode::Shelve,
        "createImage" => return super::glance::copy(fake, asking, id).await,
        "forceDelete" => {
            fake.act(asking, ResourceKind::Machine, id, Act::Terminate).await?;
            return Ok(Reply::nothing(202));
        }
        other => return Err(Refusal::invalid(Of::Nova, &format!("There is no such action: {other}"))),
    };
    fake.act(asking, ResourceKind::Machine, id, Act::Power(mode)).await?;
    if mode != PowerMode::On {
        fake.kept().off.insert(id.to_owned(), mode);
    }
    Ok(Reply::nothing(202))
}

async fn mark(fake: &OpenStackFake, asking: &Asking, id: &str) -> Outcome {
    let metadata = texts(&asking.body["metadata"]);
    let mark = mark_of(&metadata).ok_or_else(|| Refusal::invalid(Of::Nova, "only marks are written here"))?;
    let Ok(id) = ResourceId::new(id) else { return Err(Refusal::not_found(Of::Nova, id)) };
    fake.asked(asking, Call::Act { id, kind: ResourceKind::Machine, mark, act: Act::Mark }).await?;
    Ok(Reply::of(200, &json!({"metadata": metadata})))
}

/// The sim takes a whole mark off at once: the first key does it, the others are gone then.
async fn unmark(fake: &OpenStackFake, asking: &Asking, id: &str, key: &str) -> Outcome {
    let seen = fake.one(asking, ResourceKind::Machine, id).await?;
    if !seen.tags.contains_key(key) {
        return Err(Refusal::not_found(Of::Nova, "Metadata item"));
    }
    fake.act(asking, ResourceKind::Machine, id, Act::Unmark).await?;
    Ok(Reply::nothing(204))
}

async fn key_pair(fake: &OpenStackFake, asking: &Asking, name: &str) -> Result<Observed, Refusal> {
    let found = fake.named(asking, ResourceKind::KeyPair, name).await?;
    let mine = found.into_iter().find(|pair| is_of(fake, asking, pair));
    mine.ok_or_else(|| Refusal::not_found(Of::Nova, name))
}

/// Key pairs are their user's, whatever the project.
fn is_of(fake: &OpenStackFake, asking: &Asking, pair: &Observed) -> bool {
    let name = pair.name.clone().unwrap_or_default();
    fake.kept().pairs.get(&name).is_none_or(|pair| pair.user == asking.granted.user)
}

fn shown_pair(fake: &OpenStackFake, asking: &Asking, pair: &Observed) -> Value {
    let name = pair.name.clone().unwrap_or_default();
    let public_key = fake.kept().pairs.get(&name).map(|pair| pair.public_key.clone());
    json!({"keypair": {"name": name, "type": "ssh", "public_key": public_key, "user_id": asking.granted.user}})
}

async fn key_pairs(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let name = |one: &Observed| one.name.clone().unwrap_or_default();
    let (items, more) = fake.page(asking, ResourceKind::KeyPair, name).await?;
    let mine = items.iter().filter(|one| is_of(fake, asking, one));
    let pairs = mine.map(|one| shown_pair(fake, asking, one)).collect();
    let mut body = Map::from_iter([("keypairs".to_owned(), pairs)]);
    if more {
        body.insert(
            "keypairs_links".to_owned(),
            json!([{"rel": "next", "href": "http://elsewhere.test/next"}]),
        );
    }
    Ok(Reply::of(200, &Value::Object(body)))
}

async fn make_key_pair(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let pair = &asking.body["keypair"];
    let (name, key) =
        (pair["name"].as_str().unwrap_or_default(), pair["public_key"].as_str().unwrap_or_default());
    let body = LaunchBody::KeyPair { public_key: key.to_owned() };
    let pair = super::Pair { user: asking.granted.user.clone(), public_key: key.to_owned() };
    fake.kept().pairs.insert(name.to_owned(), pair);
    fake.launch(asking, frozen(Mark::from_name(name), name, body), None).await?;
    Ok(Reply::of(
        201,
        &json!({"keypair": {"name": name, "type": "ssh", "fingerprint": "00:11", "public_key": key}}),
    ))
}
