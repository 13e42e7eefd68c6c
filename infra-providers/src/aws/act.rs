//! Changing one proven thing.

use infra_core::contracts::provider::{OwnedHandle, ProviderError, allowed};
use infra_core::nouns::cloud::{Accepted, Act, PowerMode};
use infra_core::words::lane::ResourceKind;

use super::api::Tags;
use super::provider::{Ec2Provider, changed};
use crate::failure::invalid;

pub(super) async fn act(
    provider: &Ec2Provider,
    on: &OwnedHandle,
    act: Act,
) -> Result<Accepted, ProviderError> {
    allowed(on, &provider.lane, act)?;
    match act {
        Act::Terminate => terminate(provider, on).await,
        Act::Power(mode) => power(provider, on, mode).await,
        Act::Mark => provider.api.create_tags(on.id().as_str(), &mark(on)).await.map_err(changed),
        Act::Unmark => provider.api.delete_tags(on.id().as_str(), &mark(on)).await.map_err(changed),
    }?;
    Ok(Accepted)
}

fn mark(on: &OwnedHandle) -> Tags {
    on.mark().to_tags().map(|(key, value)| (key.to_owned(), value)).into()
}

async fn terminate(provider: &Ec2Provider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let id = on.id().as_str();
    let ended = match on.kind() {
        ResourceKind::Machine => provider.api.terminate_instance(id).await,
        ResourceKind::Firewall => provider.api.delete_group(id).await,
        ResourceKind::KeyPair => provider.api.delete_key_pair(id).await,
        other => return Err(invalid(format!("EC2 is not used for a {other} here"))),
    };
    match ended.map_err(changed) {
        // What is not there needs no ending. That it is gone for good is proven by looking, not by this.
        Err(ProviderError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

async fn power(provider: &Ec2Provider, on: &OwnedHandle, mode: PowerMode) -> Result<(), ProviderError> {
    if on.kind() != ResourceKind::Machine {
        return Err(invalid(format!("a {} has no power", on.kind())));
    }
    let id = on.id().as_str();
    let done = match mode {
        PowerMode::On => provider.api.start_instance(id).await,
        PowerMode::Stop => provider.api.stop_instance(id, false).await,
        PowerMode::Hibernate => provider.api.stop_instance(id, true).await,
        other => return Err(invalid(format!("EC2 is not turned off by {other:?} here"))),
    };
    done.map_err(changed)
}
