//! Droplets.

use infra_core::nouns::cloud::{Act, Observed, PowerMode, ThingState};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::nouns::request::Market;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, LaunchToken, Region, TypeName};
use infra_core::words::lane::{Mark, ResourceKind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::reply::{Outcome, Refusal, Reply};
use super::request::Asking;
use super::{DigitalOceanFake, catalogue, images, number_of, tags, time};
use crate::sim::skin::{Answer, Call};

pub(super) async fn list(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let mut found = match asking.query.get("name") {
        Some(name) => named(fake, asking, name).await?,
        None => fake.everything(asking, ResourceKind::Machine).await?,
    };
    if let Some(tag) = asking.query.get("tag_name") {
        found.retain(|(_, one)| tags::shown(fake, one).iter().any(|has| has.eq_ignore_ascii_case(tag)));
    }
    let droplets = found.iter().map(|(region, one)| droplet(fake, region, one)).collect();
    Ok(Reply::of(200, &asking.page("droplets", droplets)))
}

async fn named(
    fake: &DigitalOceanFake,
    asking: &Asking,
    name: &str,
) -> Result<Vec<(Region, Observed)>, Refusal> {
    let mut found = Vec::new();
    for region in fake.regions().cloned().collect::<Vec<_>>() {
        let (token, kind) = (LaunchToken(Uuid::nil()), ResourceKind::Machine);
        let call = Call::Find { token, kind, name: name.to_owned(), since: Timestamp::UNIX_EPOCH };
        let Answer::Things(things) = fake.ask(asking, &region, call).await? else {
            return Err(Refusal::another_call());
        };
        found.extend(things.into_iter().map(|one| (region.clone(), one)));
    }
    Ok(found)
}

pub(super) async fn get(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number = id.parse().map_err(|_| Refusal::not_found())?;
    let (region, one) = fake.one(asking, ResourceKind::Machine, number).await?;
    Ok(Reply::of(200, &json!({ "droplet": droplet(fake, &region, &one) })))
}

pub(super) async fn create(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let name = asking.text("name")?;
    if !is_host_name(name) {
        return Err(Refusal::unprocessable(
            "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
        ));
    }
    let slug = asking.text("region")?;
    let region = fake.regions().find(|region| region.as_str() == slug).cloned();
    let region = region
        .ok_or_else(|| Refusal::unprocessable("You specified an invalid region for Droplet creation."))?;
    let no_image = "You specified an invalid image for Droplet creation.";
    let image = asking.body["image"].as_u64().ok_or_else(|| Refusal::unprocessable(no_image))?;
    let nothing = || ImageId::new("nothing").expect("a plain name");
    let written = asking.texts("tags");
    let (mark, labels) = tags::take(fake, &written)?;
    let body = LaunchBody::Machine(MachineBody {
        type_name: TypeName::new(asking.text("size")?)
            .map_err(|_| Refusal::unprocessable("size is invalid"))?,
        image: images::sim_id(fake, image).unwrap_or_else(nothing),
        disk_gib: 0,
        market: Market::OnDemand,
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: None,
        key_pair: None,
        private_only: asking.body["public_networking"] == json!(false),
        options: Default::default(),
        files: None,
        spot_max: None,
    });
    let mut frozen = fake.frozen(mark, name, body);
    frozen.labels = labels;
    let user_data = asking.body["user_data"].as_str().map(str::to_owned);
    let made = fake.launch(asking, &region, frozen, user_data).await?;
    tags::remember(fake, &written);
    let links = json!({ "actions": [{
        "id": number_of(&made.id),
        "rel": "create",
        "href": format!("{}/v2/actions/{}", asking.base, number_of(&made.id).unwrap_or_default()),
    }] });
    Ok(Reply::of(202, &json!({ "droplet": droplet(fake, &region, &made), "links": links })))
}

fn is_host_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    name.chars().all(legal) && name.len() <= 255 && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

pub(super) async fn delete(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number = id.parse().map_err(|_| Refusal::not_found())?;
    fake.act(asking, ResourceKind::Machine, number, Act::Terminate).await?;
    Ok(Reply::nothing())
}

pub(super) async fn order(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number = id.parse().map_err(|_| Refusal::not_found())?;
    let word = asking.text("type")?;
    let is_copied = fake.world().truth().iter().any(|thing| {
        let of = if let LaunchBody::Snapshot { of } = &thing.body { number_of(of) } else { None };
        of == Some(number) && thing.alive() && thing.state == ThingState::Building
    });
    if is_copied {
        return Err(Refusal::unprocessable("Droplet already has a pending event."));
    }
    match word {
        "power_on" => fake.act(asking, ResourceKind::Machine, number, Act::Power(PowerMode::On)).await?,
        "power_off" | "shutdown" => {
            fake.act(asking, ResourceKind::Machine, number, Act::Power(PowerMode::Stop)).await?;
        }
        "snapshot" => snapshot(fake, asking, number).await?,
        other => return Err(Refusal::unprocessable(&format!("{other} is not simulated"))),
    }
    let now = fake.world().now();
    fake.orders.lock().expect("nobody panics while ordering").insert(number, (word.to_owned(), now));
    Ok(Reply::of(201, &json!({ "action": action(fake, number, (word, now), "in-progress") })))
}

pub(super) async fn orders(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number = id.parse().map_err(|_| Refusal::not_found())?;
    let (_, one) = fake.one(asking, ResourceKind::Machine, number).await?;
    let last = fake.orders.lock().expect("nobody panics while ordering").get(&number).cloned();
    let busy = matches!(one.state, ThingState::Building | ThingState::Stopping);
    let status = if busy { "in-progress" } else { "completed" };
    let (word, at) = last.unwrap_or(("create".to_owned(), one.created_at));
    Ok(Reply::of(200, &asking.page("actions", vec![action(fake, number, (&word, at), status)])))
}

fn action(fake: &DigitalOceanFake, number: u64, (word, at): (&str, Timestamp), status: &str) -> Value {
    let region = fake.truth(number).map_or_else(|| fake.home(), |truth| truth.region);
    json!({
        "id": 36_804_636 + number,
        "status": status,
        "type": word,
        "started_at": time(at),
        "completed_at": if status == "completed" { time(at) } else { Value::Null },
        "resource_id": number,
        "resource_type": "droplet",
        "region": catalogue::region(&region),
        "region_slug": region,
    })
}

async fn snapshot(fake: &DigitalOceanFake, asking: &Asking, number: u64) -> Result<(), Refusal> {
    let name = asking.text("name")?;
    let of = fake.truth(number).ok_or_else(Refusal::not_found)?;
    let mark = Mark::from_name(name).filter(|mark| mark.kind == ResourceKind::Snapshot);
    let frozen = fake.frozen(mark, name, LaunchBody::Snapshot { of: of.id });
    fake.launch(asking, &of.region, frozen, None).await.map(drop)
}

/// A droplet as the API shows it. One whose end was ordered keeps its status until it is gone; one that could not be
/// built stays `new`.
fn droplet(fake: &DigitalOceanFake, region: &Region, one: &Observed) -> Value {
    let regions: Vec<Region> = fake.regions().cloned().collect();
    let slug = one.type_name.as_ref().map_or("", TypeName::as_str);
    let size = catalogue::size(slug, &regions);
    let status = match one.state {
        ThingState::Building | ThingState::Error => "new",
        ThingState::Stopped => "off",
        ThingState::Ended | ThingState::Suspect => "archive",
        ThingState::Running | ThingState::Stopping | ThingState::Ending => "active",
    };
    let address = |text: &Option<String>, kind: &str| {
        let at = text.as_ref()?;
        Some(json!({ "ip_address": at, "netmask": "255.255.240.0", "gateway": at, "type": kind }))
    };
    let v4 = [address(&one.private_address, "private"), address(&one.public_address, "public")];
    json!({
        "id": number_of(&one.id),
        // No droplet is without a name: one made by hand is called by its id.
        "name": one.name.as_deref().unwrap_or(one.id.as_str()),
        "memory": size["memory"],
        "vcpus": size["vcpus"],
        "disk": size["disk"],
        "disk_info": size["disk_info"],
        "locked": matches!(one.state, ThingState::Building | ThingState::Stopping | ThingState::Ending),
        "status": status,
        "kernel": null,
        "created_at": time(one.created_at),
        "features": ["private_networking"],
        "backup_ids": [],
        "next_backup_window": null,
        "snapshot_ids": [],
        "image": one.image.as_ref().map_or(json!({}), |image| images::of_droplet(fake, image)),
        "volume_ids": [],
        "size": size,
        "size_slug": slug,
        "networks": { "v4": v4.into_iter().flatten().collect::<Vec<_>>(), "v6": [] },
        "region": catalogue::region(region),
        "tags": tags::shown(fake, one),
        "vpc_uuid": "760e09ef-dc84-11e8-981e-3cfdfeaae000",
    })
}
