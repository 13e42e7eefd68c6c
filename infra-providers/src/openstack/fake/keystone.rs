//! Logins, tokens, the catalogue.

use infra_core::contracts::provider::ProviderError;
use infra_core::words::clock::later;
use serde_json::{Value, json};

use super::reply::{Of, Outcome, Refusal, Reply};
use super::{Granted, HOME, OpenStackFake, Ordering};
use crate::http::Method;
use crate::sim::skin::{self, Answer, Call};

/// Whoever holds this token, if it is still good. A token is of one project: where its key leads elsewhere now, the
/// token ends, and whoever logs in again finds out.
pub(super) fn granted(fake: &OpenStackFake, token: &str) -> Option<Granted> {
    let now = fake.world.now();
    let granted = fake.kept().tokens.get(token).filter(|granted| now < granted.until).cloned()?;
    let reaches = skin::account_of(&fake.world, &granted.key);
    (reaches.as_ref() == Some(&granted.account)).then_some(granted)
}

pub(super) async fn route(
    fake: &OpenStackFake,
    method: Method,
    path: &[&str],
    body: &Value,
    (caller, subject): (&str, &str),
) -> Outcome {
    match (method, path) {
        (Method::Post, ["auth", "tokens"]) => log_in(fake, body).await,
        (Method::Get, ["auth", "tokens"]) => {
            granted(fake, caller).ok_or_else(|| Refusal::unauthorized(Of::Keystone))?;
            let seen = granted(fake, subject).ok_or_else(|| Refusal::not_found(Of::Keystone, "token"))?;
            identify(fake, &seen.key).await?;
            Ok(Reply::of(200, &shown(fake, &seen)))
        }
        _ => Err(Refusal::not_found(Of::Keystone, "path")),
    }
}

async fn identify(fake: &OpenStackFake, key: &str) -> Result<infra_core::words::ids::AccountId, Refusal> {
    let refusal = |error: ProviderError| Refusal { of: Of::Keystone, error };
    match fake.ask(key, &fake.home(), Call::Identify).await.map_err(refusal)? {
        Answer::Identity { account, .. } => Ok(account),
        _ => Err(Refusal::another_call(Of::Keystone)),
    }
}

async fn log_in(fake: &OpenStackFake, body: &Value) -> Outcome {
    let refused = || Refusal::unauthorized(Of::Keystone);
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let identity = &body["auth"]["identity"];
    let method = identity["methods"][0].as_str().unwrap_or_default();
    let told = &identity[method];
    let user = text(&told["user"]["name"]).or_else(|| text(&told["user"]["id"])).unwrap_or_default();
    let key = match method {
        "password" => text(&told["user"]["password"]),
        "application_credential" => text(&told["secret"]),
        "token" => told["id"].as_str().and_then(|token| granted(fake, token)).map(|granted| granted.key),
        _ => None,
    };
    let key = key.ok_or_else(refused)?;
    let account = identify(fake, &key).await?;
    let project = &body["auth"]["scope"]["project"];
    let wanted = project["id"].as_str().or_else(|| project["name"].as_str());
    // Keystone does not say which of user, password and project is wrong.
    if wanted.is_some_and(|wanted| wanted != account.as_str()) {
        return Err(refused());
    }
    let number = fake.logins.fetch_add(1, Ordering::Relaxed);
    let until = later(fake.world.now(), fake.token_life);
    let granted = Granted { key, account, user, until };
    let token = format!("gAAAAA-{number}");
    fake.kept().tokens.insert(token.clone(), granted.clone());
    Ok(Reply::of(201, &shown(fake, &granted)).with("x-subject-token", token))
}

fn shown(fake: &OpenStackFake, granted: &Granted) -> Value {
    let domain = json!({"id": "default", "name": "Default"});
    let endpoints = |path: &str| -> Vec<Value> {
        let regions = &fake.world.config().regions;
        let endpoint = |(region, interface): (&str, &str)| {
            json!({"id": path, "interface": interface, "region": region, "region_id": region,
                   "url": format!("{HOME}/{region}/{path}")})
        };
        let both = |region: &crate::sim::RegionConfig| {
            ["public", "internal"].map(|interface| (region.name.to_string(), interface))
        };
        regions.iter().flat_map(both).map(|(region, interface)| endpoint((&region, interface))).collect()
    };
    let service = |kind: &str, path: &str| json!({"id": kind, "type": kind, "name": kind, "endpoints": endpoints(path)});
    json!({"token": {
        "methods": ["password"],
        "user": {"id": granted.user, "name": granted.user, "domain": domain},
        "project": {"id": granted.account, "name": granted.account, "domain": domain},
        "issued_at": fake.world.now().to_string(), "expires_at": granted.until.to_string(),
        "roles": [{"id": "1", "name": "member"}],
        "catalog": [service("compute", "compute/v2.1"), service("image", "image"), service("network", "network")],
    }})
}
