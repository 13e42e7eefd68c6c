//! The router in process, over a store whose every commit can be counted: what is refused has changed nothing.

mod bad_input;
mod caps;
mod document;
mod money;
mod once;
mod people;
mod prices;
mod tenants;
mod world;

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use infra_providers::sim::FaultEffect;
use serde_json::{Value, json};
use world::{ADMIN, World};

const OURS: &str = "/users/ada/reservations";
const KEYS: &str = "/users/ada/keys";
/// A request that fits.
const GOOD: &str = "{\"vcpus\":1,\"memory_gib\":1,\"duration_s\":3600}";

#[tokio::test]
async fn limits_and_the_nearest_offers_are_named() {
    let world = World::new().await;
    let many = world.post(OURS, "ada", "{\"count\":1000000}").await;
    assert_eq!(many.json["errors"][0]["field"], "count");
    assert!(
        many.json["errors"][0]["limit"].as_str().is_some_and(|limit| limit.contains("1000")),
        "{}",
        many.json
    );
    let huge = world.post(OURS, "ada", "{\"vcpus\":4000}").await;
    assert!(huge.json["nearest"].as_array().is_some_and(|nearest| !nearest.is_empty()), "{}", huge.json);
    assert_eq!(huge.json["errors"][0]["field"], "vcpus", "{}", huge.json);
}

#[tokio::test]
async fn one_idempotency_key_makes_one_reservation_also_twenty_times_at_once() {
    let world = World::new().await;
    let key: &[(&str, &str)] = &[("idempotency-key", "k-1")];
    let sends = (0..20).map(|_| world.send("POST", OURS, "ada", GOOD, key));
    let replies = futures_util::future::join_all(sends).await;
    let first = &replies[0];
    for reply in &replies {
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.json);
        assert_eq!(
            (&reply.json["id"], reply.header("location")),
            (&first.json["id"], first.header("location"))
        );
    }
    let other = world.send("POST", OURS, "ada", "{\"vcpus\":2}", key).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency-mismatch"), "{}", other.json);
    let list = world.get(OURS, "ada").await;
    assert_eq!(list.json["items"].as_array().map(Vec::len), Some(1), "{}", list.json);
    let eve = world.send("POST", "/users/eve/reservations", "eve", GOOD, key).await;
    assert_eq!(eve.code(), "no-credentials", "another user's key is another key");
}

#[tokio::test]
async fn a_reservation_is_seen_and_touched_by_its_owner_alone() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.json);
    let id = made.json["id"].as_str().expect("an id");
    assert_eq!(made.header("location"), format!("{OURS}/{id}"));
    assert_eq!(made.json["simulated"], true, "{}", made.json);
    for who in ["ada", "ada-viewer", ADMIN] {
        assert_eq!(world.get(&format!("{OURS}/{id}"), who).await.status, StatusCode::OK, "{who}");
    }
    let bot =
        world.send("GET", &format!("{OURS}/{id}"), "bot", vec![], &[("infra-on-behalf-of", "ada")]).await;
    assert_eq!(bot.status, StatusCode::OK);
    world.send("PATCH", "/admin/users/bot", ADMIN, "{\"suspended\":true}", &[]).await;
    for method in ["GET", "DELETE"] {
        let for_ada = &[("infra-on-behalf-of", "ada")];
        let stopped = world.send(method, &format!("{OURS}/{id}"), "bot", vec![], for_ada).await;
        let said = (stopped.status.as_u16(), stopped.code());
        assert_eq!(said, (403, "suspended"), "its token opens every user: {method} {}", stopped.json);
    }
    for path in [format!("{OURS}/{id}"), format!("/users/eve/reservations/{id}")] {
        for (method, body) in [("GET", ""), ("PATCH", "{\"power\":\"off\"}"), ("DELETE", "")] {
            let reply = world.send(method, &path, "eve", body, &[]).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (404, "not-found"), "{method} {path}");
        }
    }
    let eves = world.get("/users/eve/reservations", "eve").await;
    assert_eq!(eves.json, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    let path = format!("{OURS}/{}", made.json["id"].as_str().expect("an id"));
    let tag = made.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", made.json["version"]));
    let tags = |value: &str| format!("{{\"tags\":{{\"who\":\"{value}\"}}}}").into_bytes();
    let first = world.send("PATCH", &path, "ada", tags("one"), &[("if-match", &tag)]).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.json);
    assert_ne!(first.header("etag"), tag);
    let second = world.send("PATCH", &path, "ada", tags("two"), &[("if-match", &tag)]).await;
    assert_eq!((second.status.as_u16(), second.code()), (409, "conflict"), "{}", second.json);
    assert_eq!(world.get(&path, "ada").await.json["request"]["tags"]["who"], "one");
}

#[tokio::test]
async fn a_release_may_be_repeated_and_wins() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    let path = format!("{OURS}/{}", made.json["id"].as_str().expect("an id"));
    for _ in 0..2 {
        let reply = world.send("DELETE", &path, "ada", vec![], &[]).await;
        assert_eq!(
            (reply.status, &reply.json["state"]),
            (StatusCode::ACCEPTED, &json!("releasing")),
            "{}",
            reply.json
        );
    }
    let late = world.send("PATCH", &path, "ada", "{\"power\":\"on\"}", &[]).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "gone"), "{}", late.json);
}

#[tokio::test]
async fn pages_of_reservations_show_each_once() {
    let world = World::new().await;
    for _ in 0..5 {
        assert_eq!(world.post(OURS, "ada", GOOD).await.status, StatusCode::ACCEPTED);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{OURS}?limit=2"));
    loop {
        let page = world.get(&path, "ada").await.json;
        seen.extend(page["items"].as_array().expect("items").iter().map(|item| item["id"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{OURS}?limit=2&after={next}");
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn quotes_and_offerings_speak_the_wire_contract() {
    let world = World::new().await;
    let quotes = world.post("/users/ada/quotes", "ada-viewer", GOOD).await;
    assert_eq!(quotes.status, StatusCode::OK, "{}", quotes.json);
    let quote = &quotes.json["items"][0];
    assert_eq!(quote["per_hour"]["currency"], "USD", "{quote}");
    assert!(
        quote["per_hour"]["amount"].as_str().is_some_and(|amount| amount.parse::<f64>().is_ok()),
        "{quote}"
    );
    for field in ["provider", "region", "type", "vcpus", "memory_gib", "total"] {
        assert!(!quote[field].is_null(), "{field} of {quote}");
    }
    assert_eq!(quote.get("refused_until"), Some(&Value::Null), "{quote}");
    let listed = async |query: &str| {
        let page = world.post(&format!("/users/ada/quotes{query}"), "ada", "{}").await.json;
        page["items"].as_array().unwrap_or_else(|| panic!("{query}: {page}")).clone()
    };
    let (all, plain, few) = (listed("?limit=200").await, listed("").await, listed("?limit=3").await);
    assert!(all.len() > 25, "{} fit: too few to see where a list ends", all.len());
    assert_eq!((plain.len(), few.len()), (20, 3));
    let same = |one: &Value, other: &Value| ["type", "zone", "region"].iter().all(|it| one[it] == other[it]);
    let begins = |list: &[Value]| list.iter().zip(&all).all(|(one, other)| same(one, other));
    assert!(begins(&plain) && begins(&few), "a shorter list is the beginning of a longer one");
    let page = world.get("/users/ada/offerings?limit=3", "ada").await.json;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(3), "{page}");
    let next = page["next"].as_str().expect("there are more");
    let second = world.get(&format!("/users/ada/offerings?limit=3&after={next}"), "ada").await.json;
    assert_ne!(page["items"], second["items"]);
}

#[tokio::test]
async fn a_key_is_never_shown_again_and_stays_while_it_is_used() {
    let world = World::new().await;
    let body = "{\"provider\":\"sim\",\"label\":\"second\",\"kind\":\"static\",\"token\":\"sim-planted\"}";
    let saved = world.post(KEYS, "ada", body).await;
    assert_eq!(
        (saved.status, &saved.json["status"]),
        (StatusCode::CREATED, &json!("valid")),
        "{}",
        saved.json
    );
    for field in ["provider", "label", "kind", "fingerprint", "identity", "checked_at"] {
        assert!(saved.json[field].is_string(), "{field} of {}", saved.json);
    }
    let list = world.get(KEYS, "ada").await.json;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
    assert!(!list.to_string().contains("sim-planted") && !saved.json.to_string().contains("sim-planted"));
    let removed = world.send("DELETE", "/users/ada/keys/sim/second", "ada", vec![], &[]).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.json);
}

#[tokio::test]
async fn a_thrown_brake_holds_creates_and_says_who_threw_it() {
    let world = World::new().await;
    let brake = |value: &str| {
        format!("{{\"scope\":\"global\",\"value\":\"{value}\",\"why\":\"drill\"}}").into_bytes()
    };
    let thrown = world.send("PUT", "/admin/brakes", ADMIN, brake("no_creates"), &[]).await;
    assert_eq!((thrown.status, &thrown.json["in_flight"]), (StatusCode::OK, &json!([])), "{}", thrown.json);
    let refused = world.post(OURS, "ada", GOOD).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "paused"), "{}", refused.json);
    let shown = world.get("/admin/brakes", ADMIN).await.json;
    assert_eq!(
        (&shown["items"][0]["why"], &shown["items"][0]["by"]),
        (&json!("drill"), &json!("admin")),
        "{shown}"
    );
    assert_eq!(world.send("PUT", "/admin/brakes", ADMIN, brake("open"), &[]).await.status, StatusCode::OK);
    assert_eq!(world.post(OURS, "ada", GOOD).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn people_and_tokens_come_and_go() {
    let world = World::new().await;
    let made = world.post("/admin/users", ADMIN, "{\"name\":\"bob/b\",\"team\":\"blue\"}").await;
    assert_eq!((made.status, &made.json["team"]), (StatusCode::CREATED, &json!("blue")), "{}", made.json);
    assert_eq!(made.header("location"), "/admin/users/bob%2Fb");
    let issued =
        world.post("/admin/users/bob%2Fb/tokens", ADMIN, "{\"label\":\"one\",\"role\":\"user\"}").await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.json);
    let secret = issued.json["token"].as_str().expect("shown once");
    let list = world.get("/admin/users/bob%2Fb/tokens", ADMIN).await.json;
    assert!(!list.to_string().contains(secret), "{list}");
    let bearer = format!("Bearer {secret}");
    let bearer = [("authorization", bearer.as_str())];
    let as_bob = || world.send("GET", "/users/bob%2Fb/keys", "", vec![], &bearer);
    assert_eq!(as_bob().await.status, StatusCode::OK);
    let place = issued.header("location").to_owned();
    assert_eq!(world.send("DELETE", &place, ADMIN, vec![], &[]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(as_bob().await.status, StatusCode::UNAUTHORIZED);
    let suspended = world.send("PATCH", "/admin/users/ada", ADMIN, "{\"suspended\":true}", &[]).await;
    assert_eq!(suspended.json["suspended"], true, "{}", suspended.json);
    let refused = world.post(OURS, "ada", GOOD).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "suspended"), "{}", refused.json);
    assert_eq!(
        world.send("DELETE", "/admin/users/bob%2Fb", ADMIN, vec![], &[]).await.status,
        StatusCode::NO_CONTENT
    );
    let names: Vec<Value> = world.get("/admin/users", ADMIN).await.json["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|user| user["name"].clone())
        .collect();
    assert_eq!(names, vec![json!("ada"), json!("bot"), json!("eve")]);
}

#[tokio::test]
async fn a_user_who_holds_something_stays() {
    let world = World::new().await;
    assert_eq!(world.post(OURS, "ada", GOOD).await.status, StatusCode::ACCEPTED);
    let refused = world.send("DELETE", "/admin/users/ada", ADMIN, vec![], &[]).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "in-use"), "{}", refused.json);
}

#[tokio::test]
async fn a_cloud_that_does_not_answer_is_not_a_wrong_key() {
    let world = World::new().await;
    let before = world.newest().await;
    let key = "{\"provider\":\"sim\",\"label\":\"new\",\"kind\":\"static\",\"token\":\"sim-new\"}";
    world.fail_next("identify", FaultEffect::ServerError);
    let unverified = world.post(KEYS, "ada", key).await;
    assert_eq!((unverified.status.as_u16(), unverified.code()), (503, "unverified"), "{}", unverified.json);
    world.fail_next("identify", FaultEffect::Unauthorized);
    let invalid = world.post(KEYS, "ada", key).await;
    assert_eq!((invalid.status.as_u16(), invalid.code()), (422, "invalid-credentials"), "{}", invalid.json);
    assert_eq!(world.newest().await, before, "a key that was not found good was stored");
    assert_eq!(world.post(KEYS, "ada", key).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn too_many_requests_are_told_to_come_back() {
    let world = World::with(|options| options.in_flight_max = 0).await;
    let reply = world.get(OURS, "ada").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (429, "rate-limited"), "{}", reply.json);
    assert_eq!((reply.header("retry-after"), &reply.json["retry_after_s"]), ("1", &json!(1)));
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_off() {
    let world = World::with(|options| options.body_within = Duration::from_millis(50)).await;
    let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let reply = world.send("POST", OURS, "ada", Body::from_stream(never), &[]).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (408, "timeout"), "{}", reply.json);
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
    let reply = world.send("POST", OURS, "ada", Body::from_stream(endless), &[]).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (413, "too-large"), "{}", reply.json);
}
