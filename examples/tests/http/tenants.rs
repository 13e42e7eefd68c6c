//! Two tenants try everything of each other. What there is to try is read from the OpenAPI document, so a path that is
//! added is tried without a word here.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use axum::routing::get;
use infra_core::infra::Infra;
use infra_core::words::ids::{ReservationId, UserId};
use infra_examples::http::openapi;
use serde_json::{Value, json};

use crate::world::{ADMIN, Reply, World};

/// One operation of the document.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    pub(crate) open: bool,
}

/// Follows a reference.
fn schema(schema: &Value) -> &Value {
    let target = schema["$ref"].as_str().and_then(|name| openapi().pointer(name.trim_start_matches('#')));
    target.unwrap_or(schema)
}

/// Every operation, with a body that the document gives as example.
pub(crate) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in openapi()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let body = operation["requestBody"]["content"]["application/json"].as_object().map(|content| {
                let schema = schema(&content["schema"]);
                let example = schema.get("example").cloned().or_else(|| schema["examples"].get(0).cloned());
                example.unwrap_or_else(|| json!({})).to_string()
            });
            let open = operation.get("security").is_some();
            all.push(Operation { method: method.to_uppercase(), path: path.clone(), body, open });
        }
    }
    all
}

/// Names of the parameters of a path.
pub(crate) fn parameters(path: &str) -> Vec<&str> {
    path.split(['{', '}']).skip(1).step_by(2).collect()
}

/// What is a user's, by the names of the fields that say so: every string of every item of every list.
type Things = BTreeMap<String, BTreeSet<String>>;

/// As it stands in a path: whatever is no plain letter there, by its bytes.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Makes one of everything that can be made, and reads what there is.
async fn things_of(world: &World, user: &str) -> Things {
    let below = |operation: &&Operation| {
        operation.path.starts_with("/users/{user}/") && parameters(&operation.path).len() == 1
    };
    let all = operations();
    for make in all.iter().filter(below).filter(|operation| operation.method == "POST") {
        let path = make.path.replace("{user}", user);
        let made = world.post(&path, user, make.body.as_deref().unwrap_or_default()).await;
        assert!(made.status.is_success(), "{path}: {}", made.json);
    }
    let mut things = Things::new();
    for list in all.iter().filter(below).filter(|operation| operation.method == "GET") {
        let items = world.get(&list.path.replace("{user}", user), user).await.json;
        for (field, value) in
            items["items"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten()
        {
            if let Some(text) = value.as_str().filter(|text| text.len() < 100) {
                things.entry(field.clone()).or_default().insert(encoded(text));
            }
        }
    }
    let tokens = world.get(&format!("/admin/users/{user}/tokens"), ADMIN).await.json;
    for token in tokens["items"].as_array().expect("a list") {
        things.entry("id".into()).or_default().insert(token["id"].as_str().expect("an id").to_owned());
    }
    assert!(things["id"].len() > 2 && things["label"].contains("default"), "{things:?}");
    things
}

/// Every way to fill a path's parameters: `user`, and whatever the other one has for the rest.
fn filled(path: &str, user: &str, things: &Things) -> Vec<String> {
    let mut paths = vec![path.replace("{user}", user)];
    for name in parameters(path).into_iter().filter(|name| *name != "user") {
        // A parameter without a field of its name gets everything there is.
        let values: BTreeSet<&String> = match things.get(name) {
            Some(values) => values.iter().collect(),
            None => things.values().flatten().collect(),
        };
        let fill = |path: &String| -> Vec<String> {
            values.iter().map(|value| path.replace(&format!("{{{name}}}"), value)).collect()
        };
        paths = paths.iter().flat_map(fill).collect();
    }
    paths
}

/// Everything that `eve` gets of `ada`'s, as sentences; and how much was tried.
async fn walk(world: &World) -> (usize, Vec<String>) {
    let things = things_of(world, "ada").await;
    let before = world.newest().await;
    let (mut tried, mut got) = (0, Vec::new());
    for operation in operations().iter().filter(|operation| !operation.open) {
        let theirs = filled(&operation.path, "ada", &things);
        let under_own_name = match parameters(&operation.path).as_slice() {
            // What is posted below a name of one's own choice is one's own, whoever else chose it.
            ["user", _, ..] if operation.method == "POST" && operation.path.ends_with('}') => Vec::new(),
            ["user", _, ..] if operation.path.starts_with("/users/") => {
                filled(&operation.path, "eve", &things)
            }
            _ => Vec::new(),
        };
        let mut methods = vec![operation.method.as_str()];
        methods.extend((operation.method == "GET").then_some("HEAD"));
        for path in theirs.iter().chain(&under_own_name) {
            for method in &methods {
                let body = operation.body.clone().unwrap_or_default();
                let wanted = if path.starts_with("/users/") {
                    (404, "not-found")
                } else if path == "/whoami" {
                    // It tells of its caller alone.
                    (200, "")
                } else {
                    (403, "forbidden")
                };
                let mut check = |who: &str, reply: &Reply, (status, code): (u16, &str)| {
                    tried += 1;
                    let code = if *method == "HEAD" { "" } else { code };
                    if (reply.status.as_u16(), reply.code()) != (status, code) {
                        got.push(format!("{method} {path} as {who}: {} {}", reply.status, reply.json));
                    }
                };
                check("eve", &world.send(method, path, "eve", body.clone(), &[]).await, wanted);
                check(
                    "nobody",
                    &world.send(method, path, "", body.clone(), &[]).await,
                    (401, "unauthenticated"),
                );
                if path.starts_with("/users/ada/") {
                    let acting = [("infra-on-behalf-of", "eve")];
                    check("eve's bot", &world.send(method, path, "bot", body, &acting).await, wanted);
                }
            }
        }
    }
    if world.newest().await != before {
        got.push("something was stored".to_owned());
    }
    (tried, got)
}

#[tokio::test]
async fn nobody_reaches_anything_of_another_by_any_path() {
    let world = World::new().await;
    let (tried, got) = walk(&world).await;
    assert!(got.is_empty(), "{} of {tried}:\n{}", got.len(), got.join("\n"));
    assert!(tried > 100, "only {tried} tried");
    println!(
        "COUNT tenants_walk paths={} tried={tried}",
        openapi()["paths"].as_object().map_or(0, |p| p.len())
    );
}

const ONE: &str = "/users/{user}/reservations/{id}";

async fn show(infra: Infra, user: &str, id: String) -> String {
    let user = infra.user(&UserId::new(user).expect("a legal name"));
    let found = user.get(&ReservationId::new(id).expect("a legal id")).await;
    found.map_or_else(|_| "{}".to_owned(), |view| json!(view).to_string())
}

#[tokio::test]
async fn a_handler_that_forgets_whose_path_it_is_is_caught() {
    let mut world = World::new().await;
    let infra = world.infra.clone();
    let forgetful =
        move |Path((user, id)): Path<(String, String)>| async move { show(infra, &user, id).await };
    world.wrap(|router| {
        axum::Router::new()
            .route(ONE, get(forgetful).fallback_service(router.clone()))
            .fallback_service(router)
    });
    let (_, got) = walk(&world).await;
    assert!(
        got.iter().any(|got| got.starts_with("GET /users/ada/reservations/rsv_") && got.contains("as eve:")),
        "{got:#?}"
    );
}

#[tokio::test]
async fn a_handler_that_forgets_whose_id_it_is_is_caught() {
    let mut world = World::new().await;
    let infra = world.infra.clone();
    // It looks at the path's user and then takes any id for that user's: here, for ada's.
    let forgetful = move |Path((user, id)): Path<(String, String)>| async move {
        (
            if user == "eve" { axum::http::StatusCode::OK } else { axum::http::StatusCode::NOT_FOUND },
            show(infra, "ada", id).await,
        )
    };
    world.wrap(|router| {
        axum::Router::new()
            .route(ONE, get(forgetful).fallback_service(router.clone()))
            .fallback_service(router)
    });
    let (_, got) = walk(&world).await;
    assert!(got.iter().any(|got| got.starts_with("GET /users/eve/reservations/rsv_")), "{got:#?}");
}
