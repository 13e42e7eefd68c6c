//! Images: what is on offer, and copies of machines.

use infra_core::nouns::cloud::{Act, Observed, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::Image;
use infra_core::nouns::request::Arch;
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::ResourceKind;
use serde_json::{Value, json};

use super::nova::{catalogue, mark_of, texts};
use super::reply::{Of, Outcome, Refusal, Reply};
use super::{Asking, OpenStackFake, frozen, time};
use crate::http::Method;

pub(super) async fn route(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
    match (asking.method, path.as_slice()) {
        (Method::Get, ["images"]) if asking.query.contains_key("owner") => copies(fake, asking).await,
        (Method::Get, ["images"]) => {
            let offered = catalogue(fake, asking).await?.images;
            let images: Vec<Value> = offered.iter().map(on_offer).collect();
            Ok(Reply::of(
                200,
                &json!({"images": images, "first": "/v2/images", "schema": "/v2/schemas/images"}),
            ))
        }
        (Method::Get, ["images", id]) => {
            let seen = fake.one(asking, ResourceKind::Snapshot, id).await?;
            Ok(Reply::of(200, &shown(&seen)))
        }
        (Method::Delete, ["images", id]) => {
            fake.act(asking, ResourceKind::Snapshot, id, Act::Terminate).await?;
            Ok(Reply::nothing(204))
        }
        _ => Err(Refusal::not_found(Of::Glance, "The resource")),
    }
}

fn on_offer(image: &Image) -> Value {
    let (distro, version) = image.os.split_once(' ').unwrap_or((&image.os, ""));
    let arch = if image.arch == Arch::Arm64 { "aarch64" } else { "x86_64" };
    json!({"id": image.id, "name": image.name, "status": "active", "size": 1024, "visibility": "public",
           "created_at": time(image.created_at), "os_distro": distro, "os_version": version,
           "min_disk": image.min_disk_gib, "min_ram": image.min_memory_mib,
           "os_type": if image.system.is_linux() { "linux" } else { "windows" },
           "hw_architecture": arch, "owner": "operators", "tags": []})
}

fn shown(one: &Observed) -> Value {
    let (status, size) = match one.state {
        ThingState::Running => ("active", Some(4096)),
        ThingState::Error => ("killed", None),
        ThingState::Ending => ("pending_delete", None),
        _ => ("queued", None),
    };
    let mut image = json!({"id": one.id, "name": one.name, "status": status, "size": size,
        "created_at": time(one.created_at), "image_type": "snapshot", "visibility": "private", "tags": []});
    for (key, value) in &one.tags {
        image[key] = json!(value);
    }
    image
}

async fn copies(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let (items, more) = match asking.query.get("name") {
        Some(name) => (fake.named(asking, ResourceKind::Snapshot, name).await?, false),
        None => fake.page(asking, ResourceKind::Snapshot, |one| one.id.to_string()).await?,
    };
    let mut body = json!({"images": items.iter().map(shown).collect::<Vec<_>>()});
    if more {
        body["next"] = json!("/v2/images?marker=somewhere");
    }
    Ok(Reply::of(200, &body))
}

/// Nova's order to copy a server.
pub(super) async fn copy(fake: &OpenStackFake, asking: &Asking, server: &str) -> Outcome {
    let wish = &asking.body["createImage"];
    let name = wish["name"].as_str().unwrap_or_default();
    let of = ResourceId::new(server).map_err(|_| Refusal::not_found(Of::Nova, server))?;
    let metadata = texts(&wish["metadata"]);
    let launch = frozen(mark_of(&metadata), name, LaunchBody::Snapshot { of });
    let made = fake.launch(asking, FrozenLaunch { labels: metadata, ..launch }, None).await?;
    Ok(Reply::of(202, &json!({"image_id": made.id})))
}
