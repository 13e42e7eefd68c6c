//! Images: of distributions, and snapshots.

use infra_core::nouns::cloud::{Act, Observed, ThingState};
use infra_core::nouns::offering::Image;
use infra_core::nouns::request::Arch;
use infra_core::words::ids::{ImageId, Region, ResourceId};
use infra_core::words::lane::ResourceKind;
use serde_json::{Value, json};

use super::reply::{Outcome, Refusal, Reply};
use super::request::Asking;
use super::{DigitalOceanFake, number_of, time};
use crate::sim::skin::{self, Call};

/// Numbers of distributions' images begin here; snapshots have the sim's own.
const FIRST: u64 = 1_000_000;

/// What the sim calls this image; `None` when there is none.
pub(super) fn sim_id(fake: &DigitalOceanFake, number: u64) -> Option<ImageId> {
    if let Some(at) = number.checked_sub(FIRST) {
        return skin::images(fake.world()).get(usize::try_from(at).ok()?).map(|image| image.id.clone());
    }
    let truth = fake.truth(number).filter(|truth| truth.kind == ResourceKind::Snapshot)?;
    ImageId::new(truth.id.as_str()).ok()
}

/// An image inside a droplet.
pub(super) fn of_droplet(fake: &DigitalOceanFake, image: &ImageId) -> Value {
    let all = skin::images(fake.world());
    if let Some(at) = all.iter().position(|one| one.id == *image) {
        return distribution(fake, at, &all[at], true);
    }
    let number = ResourceId::new(image.as_str()).ok().and_then(|id| number_of(&id));
    number.map_or(json!({}), |id| json!({ "id": id, "type": "snapshot", "distribution": "Unknown" }))
}

fn distribution(fake: &DigitalOceanFake, at: usize, image: &Image, newest: bool) -> Value {
    let (name, release) = image.os.split_once(' ').unwrap_or((&image.os, ""));
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let slug = newest.then(|| format!("{name}-{}-x64", release.replace('.', "-")));
    json!({
        "id": FIRST + at as u64,
        "name": format!("{release} x64"),
        "type": "base",
        "distribution": first.into_iter().chain(letters).collect::<String>(),
        "slug": slug,
        "public": true,
        "regions": fake.regions().collect::<Vec<_>>(),
        "created_at": time(image.created_at),
        "min_disk_size": 7,
        "size_gigabytes": 0.65,
        "tags": [],
        "status": "available",
    })
}

fn snapshot(region: &Region, one: &Observed) -> Value {
    json!({
        "id": number_of(&one.id),
        "name": one.name,
        "type": "snapshot",
        "distribution": "Ubuntu",
        "slug": null,
        "public": false,
        "regions": [region],
        "created_at": time(one.created_at),
        "min_disk_size": 25,
        "size_gigabytes": 2.36,
        "tags": [],
        "status": "available",
    })
}

pub(super) async fn list(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    if asking.query.get("private").is_some_and(|private| private == "true") {
        let found = fake.everything(asking, ResourceKind::Snapshot).await?;
        let whole = found.iter().filter(|(_, one)| is_whole(fake, one));
        let images = whole.map(|(region, one)| snapshot(region, one)).collect();
        return Ok(Reply::of(200, &asking.page("images", images)));
    }
    fake.ask(asking, &fake.home(), Call::Catalogue).await?;
    let all = skin::images(fake.world());
    let newest =
        |at: usize| !all[at + 1..].iter().any(|later| later.os == all[at].os && later.arch == all[at].arch);
    // DigitalOcean has no images of systems that cost a licence, and its schema no word for them.
    let sold = |image: &Image| image.arch == Arch::X86_64 && image.system.is_linux();
    let shown = all.iter().enumerate().filter(|(_, image)| sold(image));
    let images = shown.map(|(at, image)| distribution(fake, at, image, newest(at))).collect();
    Ok(Reply::of(200, &asking.page("images", images)))
}

/// A snapshot shows only when it is there whole; one that failed leaves nothing behind.
fn is_whole(fake: &DigitalOceanFake, one: &Observed) -> bool {
    if one.state == ThingState::Error {
        fake.world().end_by_hand(&one.id);
    }
    one.state == ThingState::Running
}

pub(super) async fn get(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number: u64 = id.parse().map_err(|_| Refusal::not_found())?;
    if let Some(at) = number.checked_sub(FIRST) {
        let all = skin::images(fake.world());
        let at = usize::try_from(at).ok().filter(|at| *at < all.len()).ok_or_else(Refusal::not_found)?;
        return Ok(Reply::of(200, &json!({ "image": distribution(fake, at, &all[at], true) })));
    }
    let (region, one) = fake.one(asking, ResourceKind::Snapshot, number).await?;
    if !is_whole(fake, &one) {
        return Err(Refusal::not_found());
    }
    Ok(Reply::of(200, &json!({ "image": snapshot(&region, &one) })))
}

pub(super) async fn delete(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let number = id.parse().map_err(|_| Refusal::not_found())?;
    fake.act(asking, ResourceKind::Snapshot, number, Act::Terminate).await?;
    Ok(Reply::nothing())
}
