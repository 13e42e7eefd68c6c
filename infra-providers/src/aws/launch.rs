//! RunInstances: one frozen body, one call.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::{Observed, PowerMode};
use infra_core::nouns::launch::{FrozenLaunch, MachineBody};
use infra_core::nouns::options::MachineOption;
use infra_core::nouns::request::Market;
use infra_core::words::secret::Secret;

use super::api::{Disk, ImageQuery, MachineImage, RunInstances, Tags};
use super::observe;
use super::provider::{Ec2Provider, MACHINES_PER_CALL, changed, looked};
use crate::failure::{garbled, invalid, not_yet, own};

/// EC2's own limit on user data before encoding, bytes.
const USER_DATA_MAX: usize = 16 * 1024;

/// What a machine of EC2 may be asked for. A subnet must be one of the frozen zone: EC2 refuses any other.
pub(super) const OPTIONS: [MachineOption; 4] = [
    MachineOption::Network,
    MachineOption::Profile,
    MachineOption::Off(PowerMode::Stop),
    MachineOption::Off(PowerMode::Hibernate),
];

/// Images remembered per provider.
const IMAGES_MAX: usize = 256;

/// What every launch must fulfil, whatever it makes.
pub(super) fn check(frozen: &FrozenLaunch) -> Result<(), ProviderError> {
    let mark = &frozen.mark;
    if mark.token != frozen.token || mark.kind != frozen.body.kind() {
        return Err(invalid("the mark is not this launch's own"));
    }
    let max = provider_max(frozen);
    if frozen.count == 0 || frozen.count > max {
        return Err(invalid(format!("count {} is not within 1 to {max}", frozen.count)));
    }
    Ok(())
}

const fn provider_max(frozen: &FrozenLaunch) -> u16 {
    match frozen.body {
        infra_core::nouns::launch::LaunchBody::Machine(_) => MACHINES_PER_CALL,
        _ => 1,
    }
}

/// Labels, name and mark; the mark wins over a label of the same key.
pub(super) fn tags(frozen: &FrozenLaunch) -> Tags {
    let mut tags = frozen.labels.clone();
    tags.insert("Name".to_owned(), frozen.name.clone());
    tags.extend(frozen.mark.to_tags().map(|(key, value)| (key.to_owned(), value)));
    tags
}

pub(super) async fn machines(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    // Late is late, whatever the image says.
    provider.time_left(send)?;
    let image = image(provider, body.image.as_str()).await?;
    let ask = ask(frozen, body, &image, send.user_data.as_ref())?;
    let within = provider.time_left(send)?;
    let made = provider.api.run_instances(&ask, within).await.map_err(changed);
    let made = made.map_err(|error| {
        not_yet(error, frozen.token, provider.clock.wall(), provider.settings.visible_within)
    })?;
    if made.len() != usize::from(frozen.count) {
        return Err(garbled(format!("{} machines were asked for, {} answered", frozen.count, made.len())));
    }
    let now = provider.clock.wall();
    made.into_iter().map(|one| observe::machine(one, now)).collect()
}

fn ask(
    frozen: &FrozenLaunch,
    body: &MachineBody,
    image: &MachineImage,
    user_data: Option<&Secret>,
) -> Result<RunInstances, ProviderError> {
    // The token's scope is the zone when one is named: an unnamed one would change what a replay means.
    let zone = frozen.zone.as_ref().ok_or_else(|| invalid("a machine of EC2 needs a zone"))?;
    if body.key_pair.is_none() && !body.ssh_public_keys.is_empty() {
        return Err(invalid("EC2 takes public keys as a key pair, and the body names none"));
    }
    let hibernate = hibernates(body)?;
    Ok(RunInstances {
        token: frozen.token.to_string(),
        count: frozen.count,
        zone: zone.to_string(),
        type_name: body.type_name.to_string(),
        image: body.image.to_string(),
        disks: disks(image, body.disk_gib, hibernate)?,
        spot: body.market == Market::Spot,
        spot_max: body.spot_max.map(|most| most.to_string()),
        user_data: user_data.map(encoded).transpose()?,
        groups: body.firewall.iter().map(ToString::to_string).collect(),
        key_name: body.key_pair.clone(),
        public_address: !body.private_only,
        subnet: body.options.network.clone(),
        profile: body.options.profile.clone(),
        hibernate,
        tags: tags(frozen),
    })
}

/// Is it to be turned off by hibernating? A wish that EC2 has nothing for is refused, never ignored.
fn hibernates(body: &MachineBody) -> Result<bool, ProviderError> {
    let taken = |option: &MachineOption| OPTIONS.contains(option);
    if let Some(other) = body.options.asked().into_iter().find(|option| !taken(option)) {
        return Err(invalid(format!("EC2 has nothing for {}", other.field())));
    }
    if body.files.is_some() {
        return Err(invalid("EC2 puts no files on a disk: write them in the first-boot data"));
    }
    let hibernate = body.options.off == Some(PowerMode::Hibernate);
    if hibernate && body.market == Market::Spot {
        return Err(invalid("a one-time spot machine can be ended, but not turned off"));
    }
    Ok(hibernate)
}

/// Every disk that the image makes, so that each one goes with the machine; the root disk sized as asked, and encrypted
/// when memory will be kept on it.
fn disks(image: &MachineImage, root_gib: u32, encrypted: bool) -> Result<Vec<Disk>, ProviderError> {
    let root = image.root_device.as_deref();
    if (root_gib > 0 || encrypted) && root.is_none() {
        return Err(invalid(format!("image {} has no root disk to size or encrypt", image.id)));
    }
    let mut devices: Vec<&str> = root.into_iter().collect();
    devices.extend(image.devices.iter().map(String::as_str).filter(|device| Some(*device) != root));
    Ok(devices
        .into_iter()
        .map(|device| Disk {
            device: device.to_owned(),
            size_gib: (root_gib > 0 && Some(device) == root).then_some(root_gib),
            encrypted: encrypted && Some(device) == root,
        })
        .collect())
}

fn encoded(user_data: &Secret) -> Result<Secret, ProviderError> {
    let plain = user_data.expose();
    if plain.len() > USER_DATA_MAX {
        return Err(invalid(format!("first-boot data of {} bytes is above {USER_DATA_MAX}", plain.len())));
    }
    Ok(Secret::new(STANDARD.encode(plain)))
}

/// The image's disks, remembered: an image id never changes what it stands for.
async fn image(provider: &Ec2Provider, id: &str) -> Result<Arc<MachineImage>, ProviderError> {
    let cached = || provider.images.lock().expect("nobody panics while holding the images");
    if let Some(known) = cached().get(id).map(Arc::clone) {
        return Ok(known);
    }
    let query = ImageQuery::Id(id.to_owned());
    let page = provider.api.describe_images(&query, None).await.map_err(looked)?;
    let found = page.items.into_iter().find(|image| image.id == id);
    let image = Arc::new(found.ok_or_else(|| ProviderError::Invalid {
        said: own("InvalidAMIID.NotFound", format!("the image {id} does not exist")),
    })?);
    let mut images = cached();
    if images.len() >= IMAGES_MAX {
        images.clear();
    }
    images.insert(id.to_owned(), Arc::clone(&image));
    Ok(image)
}
