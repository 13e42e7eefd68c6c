//! A droplet: one frozen body, one create call.
//!
//! Before it, one look: the firewall that the body names must be there, or the droplet would be born open. What is sent
//! does not depend on what the look shows.

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::{FrozenLaunch, MachineBody};
use infra_core::nouns::request::Market;
use infra_core::words::ids::ResourceId;

use super::observe::{self, FirewallId};
use super::provider::{DigitalOceanProvider, changed, looked};
use super::tags;
use super::wire::NewDroplet;
use crate::failure::{invalid, not_yet};
use crate::first_boot;

/// DigitalOcean's own limit on user data, bytes.
const USER_DATA_MAX: usize = 64 * 1024;

/// What every launch must fulfil, whatever it makes.
pub(super) fn check(frozen: &FrozenLaunch) -> Result<(), ProviderError> {
    let mark = &frozen.mark;
    if mark.token != frozen.token || mark.kind != frozen.body.kind() {
        return Err(invalid("the mark is not this launch's own"));
    }
    if frozen.count != 1 {
        return Err(invalid(format!("count {} is not 1", frozen.count)));
    }
    Ok(())
}

pub(super) async fn machine(
    provider: &DigitalOceanProvider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    let ask = ask(provider, frozen, body, send)?;
    provider.time_left(send)?;
    if let Some(id) = &body.firewall {
        firewall_stands(provider, frozen, id).await?;
    }
    let within = provider.time_left(send)?;
    let made = provider.api.create_droplet(&ask, within).await.map_err(changed);
    Ok(vec![observe::machine(&made.map_err(nothing_such)?)?])
}

/// What the body names is not there: sending it again will not help.
fn nothing_such(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::NotFound { said } => ProviderError::Invalid { said },
        other => other,
    }
}

async fn firewall_stands(
    provider: &DigitalOceanProvider,
    frozen: &FrozenLaunch,
    id: &ResourceId,
) -> Result<(), ProviderError> {
    let found = provider.api.firewall(&FirewallId::parse(id)?.uuid).await.map_err(looked);
    let stands = found.map_err(|error| {
        not_yet(error, frozen.token, provider.clock.wall(), provider.settings.visible_within)
    })?;
    let tag = FirewallId::parse(id)?.tag(&provider.lane.region);
    if !stands.tags.contains(&tag) {
        return Err(invalid(format!("the firewall {} does not stand before its tag any more", stands.name)));
    }
    Ok(())
}

fn ask(
    provider: &DigitalOceanProvider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
) -> Result<NewDroplet, ProviderError> {
    refuse_what_is_not_there(frozen, body, send)?;
    let image = body.image.as_str().parse();
    let image = image.map_err(|_| invalid(format!("image {} is no number", body.image)))?;
    let user_data = first_boot::with_keys(send.user_data.as_ref(), &body.ssh_public_keys)?;
    let user_data = user_data.map(|data| data.expose().to_owned());
    if let Some(length) = user_data.as_ref().map(String::len).filter(|length| *length > USER_DATA_MAX) {
        return Err(invalid(format!("first-boot data of {length} bytes is above {USER_DATA_MAX}")));
    }
    let mut tags = tags::of(frozen);
    if let Some(id) = &body.firewall {
        tags.push(FirewallId::parse(id)?.tag(&provider.lane.region));
    }
    Ok(NewDroplet {
        name: frozen.name.clone(),
        region: provider.lane.region.to_string(),
        size: body.type_name.to_string(),
        image,
        tags,
        user_data,
        vpc_uuid: body.options.network.clone(),
        public_networking: !body.private_only,
        with_droplet_agent: false,
    })
}

fn refuse_what_is_not_there(
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
) -> Result<(), ProviderError> {
    let wishes = [
        (frozen.zone.is_some(), "zones"),
        (body.market == Market::Spot, "a spot market"),
        (body.key_pair.is_some(), "key pairs of a reservation"),
        (send.files.is_some() || body.files.is_some(), "files before the first boot"),
        (body.options.profile.is_some(), "instance profiles"),
        (body.options.config_drive == Some(true), "config drives"),
    ];
    match wishes.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(invalid(format!("DigitalOcean has no {what}"))),
        None => Ok(()),
    }
}
