//! A key pair: a public key under the launch's name, which is its mark. One call; Nova refuses a second one of the
//! same name.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::FrozenLaunch;
use serde_json::json;

use super::api::{Ask, Service};
use super::observe;
use super::provider::{OpenStackProvider, changed};
use super::shapes::KeyPairAnswer;
use crate::http::Method;

pub(super) async fn launch(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    public_key: &str,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    provider.time_left(send)?;
    let body = json!({ "keypair": { "name": frozen.name, "public_key": public_key, "type": "ssh" } });
    let ask = Ask::new(Service::Compute, Method::Post, "/os-keypairs").with(body).until(send.deadline);
    let made = provider.api.json::<KeyPairAnswer>(&ask).await.map_err(changed)?;
    Ok(vec![observe::key_pair(made.value.keypair, provider.clock.wall())?])
}
