//! Security groups. Their rules are kept here; the sim knows the groups.

use std::collections::BTreeMap;

use infra_core::nouns::cloud::{Act, Observed};
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody};
use infra_core::words::lane::{Mark, ResourceKind};
use serde_json::{Value, json};

use super::reply::{Of, Outcome, Refusal, Reply};
use super::{Asking, OpenStackFake, frozen};
use crate::http::Method;
use crate::sim::TruthThing;
use crate::sim::skin::Call;

const KIND: ResourceKind = ResourceKind::Firewall;

/// The label under which the sim keeps a description.
const DESCRIPTION: &str = "description";

pub(super) async fn route(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
    match (asking.method, path.as_slice()) {
        (Method::Get, ["security-groups"]) => list(fake, asking).await,
        (Method::Post, ["security-groups"]) => create(fake, asking).await,
        (Method::Get, ["security-groups", id]) => {
            if let Some(group) = of_others(fake, asking).into_iter().find(|group| group["id"] == **id) {
                return Ok(Reply::of(200, &json!({"security_group": group})));
            }
            let seen = fake.one(asking, KIND, id).await?;
            Ok(Reply::of(200, &json!({"security_group": shown(fake, asking, &seen)})))
        }
        (Method::Delete, ["security-groups", id]) => {
            fake.act(asking, KIND, id, Act::Terminate).await?;
            Ok(Reply::nothing(204))
        }
        (Method::Post, ["security-group-rules"]) => open(fake, asking).await,
        _ => Err(Refusal::not_found(Of::Neutron, "The resource")),
    }
}

fn shown(fake: &OpenStackFake, asking: &Asking, one: &Observed) -> Value {
    let mut rules = vec![json!({"direction": "egress", "ethertype": "IPv4"})];
    rules.extend(fake.kept().rules.get(one.id.as_str()).into_iter().flatten().cloned());
    json!({"id": one.id, "name": one.name, "description": one.tags.get(DESCRIPTION), "stateful": true,
           "project_id": asking.granted.account, "security_group_rules": rules})
}

/// What an administrator sees of other projects.
fn of_others(fake: &OpenStackFake, asking: &Asking) -> Vec<Value> {
    if !fake.kept().admins.contains(&asking.granted.user) {
        return Vec::new();
    }
    let own = &asking.granted.account;
    let foreign = |thing: &TruthThing| thing.alive() && thing.kind == KIND && thing.account != *own;
    let group = |thing: TruthThing| {
        json!({"id": thing.id, "name": thing.name, "description": thing.tags.get(DESCRIPTION),
               "project_id": thing.account, "security_group_rules": []})
    };
    fake.world.truth().into_iter().filter(foreign).map(group).collect()
}

async fn list(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let (items, more) = match asking.query.get("name") {
        Some(name) => (fake.named(asking, KIND, name).await?, false),
        None => fake.page(asking, KIND, |one| one.id.to_string()).await?,
    };
    let mut groups: Vec<Value> = items.iter().map(|one| shown(fake, asking, one)).collect();
    if !asking.query.contains_key("project_id") && !more {
        groups.extend(of_others(fake, asking));
    }
    let mut body = json!({"security_groups": groups});
    if more {
        body["security_groups_links"] = json!([{"rel": "next", "href": "http://elsewhere.test/next"}]);
    }
    Ok(Reply::of(200, &body))
}

async fn create(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let group = &asking.body["security_group"];
    let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
    let body = LaunchBody::Firewall(FirewallBody::open_to(Vec::new()));
    let launch = FrozenLaunch {
        labels: BTreeMap::from([(DESCRIPTION.to_owned(), text("description"))]),
        ..frozen(Mark::from_name(&text("name")), &text("name"), body)
    };
    let made = fake.launch(asking, launch, None).await?;
    Ok(Reply::of(201, &json!({"security_group": shown(fake, asking, &made)})))
}

/// All rules of one call, or none.
async fn open(fake: &OpenStackFake, asking: &Asking) -> Outcome {
    let rules = asking.body["security_group_rules"].as_array().cloned().unwrap_or_default();
    let id = rules.first().and_then(|rule| rule["security_group_id"].as_str()).unwrap_or_default();
    // Keys are checked and faults happen; but Neutron writes where it wrote the group, and no look-up lags between.
    fake.asked(asking, Call::Get { kind: KIND, ids: Vec::new() }).await?;
    let there = |thing: &TruthThing| {
        thing.alive() && thing.id.as_str() == id && thing.account == asking.granted.account
    };
    if !fake.world.truth().iter().any(there) {
        return Err(Refusal::not_found(Of::Neutron, id));
    }
    fake.kept().rules.entry(id.to_owned()).or_default().extend(rules.iter().cloned());
    Ok(Reply::of(201, &json!({"security_group_rules": rules})))
}
