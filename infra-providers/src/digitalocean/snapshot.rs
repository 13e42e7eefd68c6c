//! A snapshot: an order to a droplet, under the launch's name.
//!
//! The order's answer does not say what it will make, and a snapshot shows only when it is whole. So a launch answers
//! the snapshot if it shows already, and nothing otherwise: the order was taken, and `find` will see it by its name.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::words::ids::ResourceId;

use super::list;
use super::provider::{DigitalOceanProvider, changed};
use super::wire::Order;
use crate::failure::invalid;

pub(super) async fn launch(
    provider: &DigitalOceanProvider,
    frozen: &FrozenLaunch,
    of: &ResourceId,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    let droplet = of.as_str().parse().map_err(|_| invalid(format!("{of} is no droplet")))?;
    let within = provider.time_left(send)?;
    let order = Order::Snapshot { name: frozen.name.clone() };
    match provider.api.order(droplet, &order, Some(within)).await.map_err(changed) {
        Ok(_) => {}
        Err(ProviderError::NotFound { said }) => return Err(ProviderError::Invalid { said }),
        Err(error) => return Err(error),
    }
    // A failure of this look is none of the order, which was taken.
    Ok(list::snapshots_named(provider, &frozen.name).await.unwrap_or_default())
}
