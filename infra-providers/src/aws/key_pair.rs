//! A key pair: a public key under the launch's unique name. One call; a replay finds its own by name and mark.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::FrozenLaunch;

use super::api::{KeyPair, NewKeyPair, Which};
use super::errors::half_done;
use super::launch::tags;
use super::provider::{Ec2Provider, changed, looked};
use super::{list, observe};

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
            let standing = standing(provider, frozen, public_key).await?;
            standing.ok_or(ProviderError::TokenMismatch { said: failure.said })?
        }
        Err(failure) => return Err(changed(failure)),
    };
    let mut made = observe::key_pair(pair, now)?;
    made.stamp = Some(frozen.token);
    Ok(vec![made])
}

async fn standing(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    public_key: &str,
) -> Result<Option<KeyPair>, ProviderError> {
    let which = Which::Name(frozen.name.clone());
    let found = provider.api.describe_key_pairs(&which).await.map_err(looked).map_err(half_done)?;
    let same = |pair: &KeyPair| pair.public_key.as_deref().is_none_or(|known| same_key(known, public_key));
    Ok(found.items.into_iter().find(|pair| list::carries(&pair.tags, &frozen.mark) && same(pair)))
}

/// Equal but for the comment, which EC2 replaces.
fn same_key(a: &str, b: &str) -> bool {
    a.split_whitespace().take(2).eq(b.split_whitespace().take(2))
}
