//! Changing one proven thing.

use infra_core::contracts::provider::{OwnedHandle, ProviderError, allowed};
use infra_core::nouns::cloud::{Accepted, Act, PowerMode};
use infra_core::words::lane::ResourceKind;

use super::api::Droplets;
use super::observe::FirewallId;
use super::provider::{DigitalOceanProvider, changed, looked, not_made};
use super::tags;
use super::wire::Order;
use crate::failure::{half_done, invalid, own};

pub(super) async fn act(
    provider: &DigitalOceanProvider,
    on: &OwnedHandle,
    act: Act,
) -> Result<Accepted, ProviderError> {
    allowed(on, &provider.lane, act)?;
    match act {
        Act::Terminate => terminate(provider, on).await,
        Act::Power(mode) => power(provider, on, mode).await,
        Act::Mark => mark(provider, on).await,
        Act::Unmark => unmark(provider, on).await,
    }?;
    Ok(Accepted)
}

fn number(on: &OwnedHandle) -> Result<u64, ProviderError> {
    on.id().as_str().parse().map_err(|_| invalid(format!("{} is no id of a {}", on.id(), on.kind())))
}

async fn terminate(provider: &DigitalOceanProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let ended = match on.kind() {
        ResourceKind::Machine => provider.api.delete_droplet(number(on)?).await.map_err(changed),
        ResourceKind::Snapshot => provider.api.delete_image(number(on)?).await.map_err(changed),
        ResourceKind::Firewall => return end_firewall(provider, on).await,
        other => return Err(not_made(other)),
    };
    gone_is_done(ended)
}

/// What is not there needs no ending. That it is gone for good is proven by looking, not by this.
fn gone_is_done(ended: Result<(), ProviderError>) -> Result<(), ProviderError> {
    match ended {
        Err(ProviderError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// DigitalOcean ends a firewall whatever stands behind it, and leaves that open.
async fn end_firewall(provider: &DigitalOceanProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let id = FirewallId::parse(on.id())?;
    let tag = id.tag(&provider.lane.region);
    let behind = provider.api.droplets(Droplets::Tagged(&tag), 1).await.map_err(looked)?;
    if behind.total > 0 || !behind.items.is_empty() {
        let message = format!("{} droplets are behind the firewall {}", behind.total, id.uuid);
        return Err(ProviderError::Busy { said: own("firewall-in-use", message) });
    }
    gone_is_done(provider.api.delete_firewall(&id.uuid).await.map_err(changed))?;
    // The firewall is gone, which is all that was asked: its tag is a word that costs nothing.
    if let Err(failure) = provider.api.delete_tag(&tag).await {
        tracing::debug!(%tag, why = %failure, "a firewall's tag was left behind");
    }
    Ok(())
}

async fn power(
    provider: &DigitalOceanProvider,
    on: &OwnedHandle,
    mode: PowerMode,
) -> Result<(), ProviderError> {
    if on.kind() != ResourceKind::Machine {
        return Err(invalid(format!("a {} has no power", on.kind())));
    }
    let order = match mode {
        PowerMode::On => Order::PowerOn,
        PowerMode::Stop => stop(provider, number(on)?).await?,
        other => return Err(invalid(format!("a droplet is not turned off by {other:?}"))),
    };
    provider.api.order(number(on)?, &order, None).await.map_err(changed).map(drop)
}

/// The system on it is asked first, so that it writes what it still holds. One that was asked last and still runs is
/// turned off the hard way.
async fn stop(provider: &DigitalOceanProvider, droplet: u64) -> Result<Order, ProviderError> {
    let orders = provider.api.orders(droplet, 1).await.map_err(looked)?;
    let newest = orders.items.iter().max_by_key(|order| order.id);
    let ignored = newest.is_some_and(|order| order.kind == "shutdown" && order.status != "in-progress");
    Ok(if ignored { Order::PowerOff } else { Order::Shutdown })
}

/// Tags can be changed on droplets alone; firewalls and snapshots have their mark in the name they were made with.
fn droplet(on: &OwnedHandle) -> Result<u64, ProviderError> {
    if on.kind() != ResourceKind::Machine {
        return Err(invalid(format!("the mark of a {} is its name, and stays", on.kind())));
    }
    number(on)
}

async fn mark(provider: &DigitalOceanProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let droplet = droplet(on)?;
    for (nth, tag) in tags::of_mark(on.mark()).iter().enumerate() {
        let step = async {
            provider.api.create_tag(tag).await.map_err(changed)?;
            provider.api.tag(tag, droplet).await.map_err(changed)
        };
        step.await.map_err(|error| if nth > 0 { half_done(error) } else { error })?;
    }
    Ok(())
}

async fn unmark(provider: &DigitalOceanProvider, on: &OwnedHandle) -> Result<(), ProviderError> {
    let droplet = droplet(on)?;
    for (nth, tag) in tags::of_mark(on.mark()).iter().enumerate() {
        let taken = gone_is_done(provider.api.untag(tag, droplet).await.map_err(changed));
        taken.map_err(|error| if nth > 0 { half_done(error) } else { error })?;
    }
    Ok(())
}
