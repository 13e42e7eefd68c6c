//! A key pair: a public key under the launch's name, which is its mark. One call; Nova refuses a second one of the
//! same name.
//!
//! # Guarantees
//! * Nova keeps key pairs by user and not by project. Which project one is for stands in the comment of its public key,
//!   so that a user with two projects sees each pair in one of them; in a machine the comment means nothing.
//! * Another user of the project does not see it, so only the key that made it is asked about it (the fact
//!   `of_maker`): its absence for anybody else proves nothing.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::FrozenLaunch;
use serde_json::json;

use super::api::{Ask, Service};
use super::observe;
use super::provider::{OpenStackProvider, changed};
use super::shapes::KeyPairAnswer;
use crate::http::Method;

/// Before the project, in a public key's comment.
const PROJECT: &str = "infra-project=";

/// The project that a pair was made for; `None` for one that does not say.
pub(super) fn project(public_key: &str) -> Option<&str> {
    public_key.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix(PROJECT))
}

pub(super) async fn launch(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    public_key: &str,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    provider.time_left(send)?;
    let public_key = format!("{} {PROJECT}{}", public_key.trim_end(), provider.lane.account);
    let body = json!({ "keypair": { "name": frozen.name, "public_key": public_key, "type": "ssh" } });
    let ask = Ask::new(Service::Compute, Method::Post, "/os-keypairs").with(body).until(send.deadline);
    let made = provider.api.json::<KeyPairAnswer>(&ask).await.map_err(changed)?;
    Ok(vec![observe::key_pair(made.value.keypair, provider.clock.wall())?])
}
