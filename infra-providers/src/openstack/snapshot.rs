//! A snapshot: Nova copies a server's disk into an image of Glance. The mark stands in the image's properties, written
//! by the call itself; the image exists, queued and empty, before the copy begins.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::ResourceKind;
use serde_json::json;

use super::api::{Ask, Service};
use super::launch::metadata;
use super::observe;
use super::provider::{OpenStackProvider, changed};
use super::shapes::{Image, ImageMade};
use crate::http::{Method, encoded};

pub(super) async fn launch(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    of: &ResourceId,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    provider.time_left(send)?;
    let body = json!({ "createImage": { "name": frozen.name, "metadata": metadata(frozen) } });
    let path = format!("/servers/{}/action", encoded(of.as_str()));
    let ask = Ask::new(Service::Compute, Method::Post, path).with(body).until(send.deadline);
    let before = provider.clock.wall();
    let made = provider.api.json::<ImageMade>(&ask).await.map_err(changed)?;
    let (id, now) = (made.value.image_id, made.at.unwrap_or(before));
    let look = Ask::get(Service::Image, format!("/images/{}", encoded(&id)));
    let looked = provider
        .api
        .json::<Image>(&look)
        .await
        .ok()
        .map(|answer| answer.value)
        .filter(|image| image.id == id);
    if let Some(seen) = looked.and_then(|image| observe::snapshot(image, now).ok()) {
        return Ok(vec![Observed { mark: Some(frozen.mark), ..seen }]);
    }
    let bare = observe::bare(id, ResourceKind::Snapshot, ThingState::Building, now)?;
    Ok(vec![Observed { mark: Some(frozen.mark), name: Some(frozen.name.clone()), ..bare }])
}
