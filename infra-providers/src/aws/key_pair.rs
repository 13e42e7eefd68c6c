//! A key pair: a public key under the launch's unique name. One call; a replay finds its own by name and mark.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::FrozenLaunch;

use super::api::{ApiFailure, KeyPair, NewKeyPair, Which};
use super::launch::tags;
use super::provider::{Ec2Provider, changed, looked};
use super::{list, observe};
use crate::failure::half_done;

pub(super) async fn launch(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    public_key: &str,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    let ask = NewKeyPair { name: frozen.name.clone(), public_key: public_key.to_owned(), tags: tags(frozen) };
    let within = provider.time_left(send)?;
    let now = provider.clock.wall();
    let pair = match provider.api.import_key_pair(&ask, within).await {
        Ok(id) => KeyPair { id, name: ask.name, tags: ask.tags, public_key: None, created_at: Some(now) },
        Err(failure) if failure.said.code == "InvalidKeyPair.Duplicate" => {
            standing(provider, frozen, public_key, failure).await?
        }
        Err(failure) => return Err(changed(failure)),
    };
    Ok(vec![observe::key_pair(pair, now)?])
}

/// The key pair that already has the launch's name, if an earlier send of this launch made it.
async fn standing(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    public_key: &str,
    duplicate: ApiFailure,
) -> Result<KeyPair, ProviderError> {
    let which = Which::Name(frozen.name.clone());
    let found = match provider.api.describe_key_pairs(&which).await.map_err(looked) {
        Ok(page) => page.items,
        Err(ProviderError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(half_done(error)),
    };
    if found.is_empty() {
        // The name is taken by what EC2 does not show yet.
        return Err(half_done(changed(duplicate)));
    }
    let same = |pair: &KeyPair| pair.public_key.as_deref().is_none_or(|known| same_key(known, public_key));
    let ours = found.into_iter().find(|pair| list::carries(&pair.tags, &frozen.mark) && same(pair));
    ours.ok_or(ProviderError::TokenMismatch { said: duplicate.said })
}

/// Equal but for the comment, which EC2 replaces.
fn same_key(a: &str, b: &str) -> bool {
    a.split_whitespace().take(2).eq(b.split_whitespace().take(2))
}
