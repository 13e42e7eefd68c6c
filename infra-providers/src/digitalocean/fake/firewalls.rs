//! Firewalls: the account's, named uniquely, standing before tags.

use infra_core::nouns::cloud::{Act, Observed};
use infra_core::nouns::launch::{FirewallBody, LaunchBody};
use infra_core::words::lane::{Mark, ResourceKind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::reply::{Outcome, Refusal, Reply};
use super::request::Asking;
use super::{DigitalOceanFake, number_of, tags, time};

/// Beginning of a firewall's uuid; its number is the end.
const PREFIX: u128 = 0xbb48_d0a1_0000_4000_8000_0000_0000_0000;

pub(super) fn uuid(number: u64) -> String {
    Uuid::from_u128(PREFIX | u128::from(number)).to_string()
}

fn number(id: &str) -> Result<u64, Refusal> {
    let bits = id.parse::<Uuid>().map_err(|_| Refusal::not_found())?.as_u128() ^ PREFIX;
    u64::try_from(bits).map_err(|_| Refusal::not_found())
}

pub(super) async fn list(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let found = fake.everything(asking, ResourceKind::Firewall).await?;
    let firewalls = found.iter().map(|(_, one)| firewall(fake, one)).collect();
    Ok(Reply::of(200, &asking.page("firewalls", firewalls)))
}

pub(super) async fn get(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    let (_, one) = fake.one(asking, ResourceKind::Firewall, number(id)?).await?;
    Ok(Reply::of(200, &json!({ "firewall": firewall(fake, &one) })))
}

/// Ends whatever stands behind it.
pub(super) async fn delete(fake: &DigitalOceanFake, asking: &Asking, id: &str) -> Outcome {
    fake.act(asking, ResourceKind::Firewall, number(id)?, Act::Terminate).await?;
    Ok(Reply::nothing())
}

pub(super) async fn create(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let name = asking.text("name")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if !name.chars().all(legal) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Refusal::unprocessable("name is invalid"));
    }
    let rules = |field: &str| asking.body[field].as_array().cloned().unwrap_or_default();
    if rules("inbound_rules").is_empty() && rules("outbound_rules").is_empty() {
        return Err(Refusal::unprocessable("must specify at least one rule"));
    }
    let before = asking.texts("tags");
    if let Some(missing) = before.iter().find(|tag| !tags::is_known(fake, tag)) {
        return Err(Refusal::unprocessable(&format!("tag {missing} does not exist")));
    }
    let mut allow_from: Vec<String> = rules("inbound_rules")
        .iter()
        .flat_map(|rule| rule["sources"]["addresses"].as_array().cloned().unwrap_or_default())
        .filter_map(|block| block.as_str().map(str::to_owned))
        .collect();
    allow_from.sort();
    allow_from.dedup();
    let mark = Mark::from_name(name).filter(|mark| mark.kind == ResourceKind::Firewall);
    let mut frozen = fake.frozen(mark, name, LaunchBody::Firewall(FirewallBody::open_to(allow_from)));
    frozen.labels = before.into_iter().map(|tag| (tag, BEFORE.to_owned())).collect();
    let made = fake.launch(asking, &fake.home(), frozen, None).await?;
    Ok(Reply::of(202, &json!({ "firewall": firewall(fake, &made) })))
}

/// What a firewall's tags are worth to the sim, which has keys and values.
const BEFORE: &str = "stands-before";

fn firewall(fake: &DigitalOceanFake, one: &Observed) -> Value {
    let number = number_of(&one.id).unwrap_or_default();
    let allow_from = match fake.truth(number).map(|truth| truth.body) {
        Some(LaunchBody::Firewall(body)) => body.allow_from,
        _ => Vec::new(),
    };
    let rule = |protocol: &str, peers: &str, addresses: &[String]| json!({ "protocol": protocol, "ports": "0", peers: { "addresses": addresses } });
    let protocols = ["tcp", "udp", "icmp"];
    let inbound = protocols.iter().filter(|_| !allow_from.is_empty());
    let everywhere = ["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    let tags = one.tags.iter().filter(|(_, value)| *value == BEFORE).map(|(tag, _)| tag);
    json!({
        "id": uuid(number),
        "name": one.name,
        "status": "succeeded",
        "created_at": time(one.created_at),
        "pending_changes": [],
        "inbound_rules": inbound.map(|word| rule(word, "sources", &allow_from)).collect::<Vec<_>>(),
        "outbound_rules": protocols.map(|word| rule(word, "destinations", &everywhere)),
        "droplet_ids": [],
        "tags": tags.collect::<Vec<_>>(),
    })
}
