//! `POST /servers`: one frozen body, one call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, MachineBody};
use infra_core::nouns::request::Market;
use infra_core::words::clock::between;
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::Secret;
use serde_json::{Map, Value, json};

use super::api::{Ask, NOVA_WITH_FILES, Service};
use super::provider::{OpenStackProvider, changed};
use super::shapes::{CreatedAnswer, ServerAnswer};
use super::{catalogue, observe};
use crate::failure::invalid;
use crate::http::{Method, encoded};

/// Nova's own limit on user data after encoding, bytes.
const USER_DATA_MAX: usize = 65_535;

/// What every launch must fulfil, whatever it makes.
pub(super) fn check(frozen: &FrozenLaunch) -> Result<(), ProviderError> {
    let mark = &frozen.mark;
    if mark.token != frozen.token || mark.kind != frozen.body.kind() {
        return Err(invalid("the mark is not this launch's own"));
    }
    if frozen.count != 1 {
        return Err(invalid(format!("count {} is not 1", frozen.count)));
    }
    if mark.kind != ResourceKind::Machine && frozen.name != mark.to_name() {
        return Err(invalid(format!("a {} is named by its mark", mark.kind)));
    }
    Ok(())
}

/// Labels and mark; the mark wins over a label of the same key.
pub(super) fn metadata(frozen: &FrozenLaunch) -> Value {
    let labels = frozen.labels.iter().map(|(key, value)| (key.clone(), json!(value)));
    let mark = frozen.mark.to_tags().map(|(key, value)| (key.to_owned(), json!(value)));
    Value::Object(labels.chain(mark).collect::<Map<String, Value>>())
}

pub(super) async fn machine(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    // Late is late, whatever the flavor's id is.
    provider.time_left(send)?;
    let flavor = flavor(provider, body.type_name.as_str()).await?;
    let ask = ask(provider, frozen, body, send, &flavor)?;
    let before = provider.clock.wall();
    let made = provider.api.json::<CreatedAnswer>(&ask.until(send.deadline)).await.map_err(changed);
    let made = made.map_err(|error| not_yet(provider, frozen, error))?;
    let now = made.at.unwrap_or(before);
    Ok(vec![seen(provider, frozen, body, made.value.server.id, now).await?])
}

/// The answer to a create names the server and nothing else, so it is looked at once. When that shows nothing, what
/// was sent stands in: the server is there in any case.
async fn seen(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    id: String,
    now: infra_core::words::clock::Timestamp,
) -> Result<Observed, ProviderError> {
    let ask = Ask::get(Service::Compute, format!("/servers/{}", encoded(&id)));
    let looked = provider.api.json::<ServerAnswer>(&ask).await.ok().map(|answer| answer.value.server);
    let shown = looked.filter(|server| server.id == id && !observe::is_hidden(server));
    let bare = observe::bare(id, ResourceKind::Machine, ThingState::Building, now)?;
    let shown = shown.and_then(|server| observe::machine(server, now).ok());
    let mut made = shown.unwrap_or_else(|| Observed {
        mark: Some(frozen.mark),
        name: Some(frozen.name.clone()),
        type_name: Some(body.type_name.clone()),
        image: Some(body.image.clone()),
        ..bare
    });
    // Before it is scheduled, Nova tells no zone.
    made.zone = made.zone.or_else(|| frozen.zone.clone());
    Ok(made)
}

/// A group or key pair that the body names may have been made moments before the attempt: until it must show
/// everywhere, not finding it is a reason to wait, and only then one to give up.
fn not_yet(provider: &OpenStackProvider, frozen: &FrozenLaunch, error: ProviderError) -> ProviderError {
    let ProviderError::NotFound { said } = error else { return error };
    let age = observe::drawn_at(frozen.token).map(|drawn| between(drawn, provider.clock.wall()));
    if age.is_some_and(|age| age < provider.settings.visible_within) {
        ProviderError::Busy { said }
    } else {
        ProviderError::Invalid { said }
    }
}

fn ask(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    body: &MachineBody,
    send: &Send,
    flavor: &str,
) -> Result<Ask, ProviderError> {
    if body.market == Market::Spot {
        return Err(invalid("OpenStack sells no spot machines"));
    }
    if body.disk_gib > 0 {
        return Err(invalid("the root disk comes with the flavor; none can be bought"));
    }
    if body.key_pair.is_none() && !body.ssh_public_keys.is_empty() {
        return Err(invalid("Nova takes public keys as a key pair, and the body names none"));
    }
    if body.options.profile.is_some() {
        return Err(invalid("OpenStack has no instance profiles"));
    }
    let files = send.files.as_ref().map(personality).transpose()?;
    let mut server = Map::from_iter([
        ("name".to_owned(), json!(frozen.name)),
        ("imageRef".to_owned(), json!(body.image.as_str())),
        ("flavorRef".to_owned(), json!(flavor)),
        ("metadata".to_owned(), metadata(frozen)),
        ("networks".to_owned(), networks(provider, body)),
        ("min_count".to_owned(), json!(1)),
        ("max_count".to_owned(), json!(1)),
    ]);
    let mut set = |key: &str, value: Option<Value>| server.extend(value.map(|value| (key.to_owned(), value)));
    set("availability_zone", frozen.zone.as_ref().map(|zone| json!(zone.as_str())));
    set("key_name", body.key_pair.as_ref().map(|name| json!(name)));
    set("config_drive", body.options.config_drive.map(|wanted| json!(wanted)));
    set("security_groups", body.firewall.as_ref().map(|id| json!([{ "name": id.as_str() }])));
    set("user_data", send.user_data.as_ref().map(user_data).transpose()?.map(|data| json!(data.expose())));
    let microversion = if files.is_some() { NOVA_WITH_FILES } else { super::api::NOVA };
    set("personality", files);
    let ask = Ask::new(Service::Compute, Method::Post, "/servers").with(json!({ "server": server }));
    Ok(Ask { microversion, ..ask })
}

/// The id of a flavor, remembered: people and prices know flavors by their unique name, Nova's create call by an id
/// that never changes.
async fn flavor(provider: &OpenStackProvider, name: &str) -> Result<String, ProviderError> {
    let known =
        || provider.flavors.lock().expect("nobody panics while holding the flavors").get(name).cloned();
    if let Some(id) = known() {
        return Ok(id);
    }
    catalogue::flavors(provider).await?;
    known().ok_or_else(|| invalid(format!("flavor {name} is not known here")))
}

/// `auto` and `none` are Nova's words; anything else is a network's id.
fn networks(provider: &OpenStackProvider, body: &MachineBody) -> Value {
    match body.options.network.as_deref().unwrap_or(&provider.settings.network) {
        word @ ("auto" | "none") => json!(word),
        id => json!([{ "uuid": id }]),
    }
}

fn user_data(plain: &Secret) -> Result<Secret, ProviderError> {
    let encoded = Secret::new(STANDARD.encode(plain.expose()));
    if encoded.expose().len() > USER_DATA_MAX {
        let bytes = encoded.expose().len();
        return Err(invalid(format!("first-boot data of {bytes} bytes (encoded) is above {USER_DATA_MAX}")));
    }
    Ok(encoded)
}

/// Files as Nova wants them, in the order of their paths; contents are the base64 of the text.
fn personality(files: &Secret) -> Result<Value, ProviderError> {
    let files: std::collections::BTreeMap<String, String> =
        serde_json::from_str(files.expose()).map_err(|_| invalid("files are no object of path and text"))?;
    let file = |(path, text): (String, String)| json!({ "path": path, "contents": STANDARD.encode(text) });
    Ok(files.into_iter().map(file).collect())
}
