//! One key, one effect: on every route that changes something, however often and from however many sides.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{ADMIN, Reply, World};
use crate::{GOOD, KEYS, OURS};

const KEY: &[(&str, &str)] = &[("idempotency-key", "k-1")];

async fn ten_at_once(world: &World, path: &str, who: &str, body: &str) -> Vec<Reply> {
    join_all((0..10).map(|_| world.send("POST", path, who, body.to_owned(), KEY))).await
}

fn mismatch(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.code()), (422, "idempotency-mismatch"), "{}", reply.json);
}

#[tokio::test]
async fn a_user_is_added_twice_or_for_another_body() {
    let world = World::new().await;
    let before = world.newest().await;
    let replies = ten_at_once(&world, "/admin/users", ADMIN, "{\"name\":\"zoe\"}").await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.json), (StatusCode::CREATED, &replies[0].json), "{}", reply.json);
        assert_eq!(reply.header("location"), "/admin/users/zoe");
    }
    // Key and user in one commit: there is no moment between the two at which the process could be killed.
    assert_eq!(world.newest().await.0, before.0 + 1);
    mismatch(&world.send("POST", "/admin/users", ADMIN, "{\"name\":\"yan\"}", KEY).await);
    let other = [("idempotency-key", "k-2")];
    let taken = world.send("POST", "/admin/users", ADMIN, "{\"name\":\"zoe\"}", &other).await;
    assert_eq!(taken.code(), "conflict", "another key is another call: {}", taken.json);
    let failed =
        world.send("POST", "/admin/users", ADMIN, "{\"name\":\"_x\"}", &[("idempotency-key", "k-3")]);
    assert_eq!(failed.await.code(), "out-of-range");
    let mended = world.send("POST", "/admin/users", ADMIN, "{\"name\":\"x\"}", &[("idempotency-key", "k-3")]);
    assert_eq!(mended.await.status, StatusCode::CREATED, "a key whose call was refused stands for nothing");
}

#[tokio::test]
async fn a_token_is_issued_twice_or_its_secret_is_shown_again() {
    let world = World::new().await;
    for (path, who) in [("/admin/users/ada/tokens", ADMIN), ("/users/ada/tokens", "ada")] {
        let before = world.get(path, who).await.json["items"].as_array().map(Vec::len);
        let commits = world.newest().await.0;
        let replies = ten_at_once(&world, path, who, "{\"label\":\"l\"}").await;
        let (made, again): (Vec<_>, Vec<_>) =
            replies.iter().partition(|reply| reply.status == StatusCode::CREATED);
        assert_eq!((made.len(), again.len()), (1, 9));
        let (id, secret) = (made[0].json["id"].as_str(), made[0].json["token"].as_str());
        let (id, secret) = (id.expect("an id"), secret.expect("shown once"));
        for reply in again {
            assert_eq!((reply.status.as_u16(), reply.code()), (409, "conflict"), "{}", reply.json);
            assert!(reply.text.contains(id), "it says which to revoke: {}", reply.text);
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
        assert_eq!(world.newest().await.0, commits + 1);
        let after = world.get(path, who).await.json["items"].as_array().map(Vec::len);
        assert_eq!(after, before.map(|before| before + 1));
        mismatch(&world.send("POST", path, who, "{\"label\":\"other\"}", KEY).await);
    }
}

#[tokio::test]
async fn a_user_is_suspended_again_by_a_repetition() {
    let world = World::new().await;
    let (path, on, off) =
        ("/admin/users/eve", "{\"suspended\":true,\"machines_max\":3}", "{\"suspended\":false}");
    let first = world.send("PATCH", path, ADMIN, on, KEY).await;
    assert_eq!((&first.json["suspended"], &first.json["machines_max"]), (&json!(true), &json!(3)));
    assert_eq!(world.send("PATCH", path, ADMIN, off, &[]).await.json["suspended"], json!(false));
    let again = world.send("PATCH", path, ADMIN, on, KEY).await;
    assert_eq!((again.status, &again.json), (StatusCode::OK, &first.json), "the answer, not the deed");
    assert_eq!(world.get(path, ADMIN).await.json["suspended"], json!(false));
    mismatch(&world.send("PATCH", path, ADMIN, off, KEY).await);
}

#[tokio::test]
async fn the_next_user_of_a_name_meets_the_keys_of_the_last_one() {
    let world = World::new().await;
    for round in 0..2 {
        let added = world.post("/admin/users", ADMIN, "{\"name\":\"max\"}").await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.json);
        let issued = world.send("POST", "/users/max/tokens", ADMIN, "{\"label\":\"l\"}", KEY).await;
        assert_eq!(issued.status, StatusCode::CREATED, "round {round}: {}", issued.json);
        let gone = world.send("DELETE", "/admin/users/max", ADMIN, "", &[]).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json);
    }
}

#[tokio::test]
async fn a_cloud_key_is_saved_again_or_comes_back() {
    let world = World::new().await;
    let body = json!({"provider": "sim", "label": "two", "kind": "static", "token": "sim-two"}).to_string();
    let replies = ten_at_once(&world, KEYS, "ada", &body).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.json), (StatusCode::CREATED, &replies[0].json), "{}", reply.json);
    }
    mismatch(&world.send("POST", KEYS, "ada", body.replace("sim-two", "sim-three"), KEY).await);
    let gone = world.send("DELETE", "/users/ada/keys/sim/two", "ada", "", &[]).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json);
    let late = world.send("POST", KEYS, "ada", body, KEY).await;
    assert_eq!(
        (late.status, &late.json),
        (StatusCode::CREATED, &replies[0].json),
        "the answer, not the deed"
    );
    let listed = world.get(KEYS, "ada").await.json;
    assert!(!listed.to_string().contains("\"two\""), "{listed}");
}

#[tokio::test]
async fn a_transfer_that_is_repeated_moves_what_came_later() {
    let world = World::new().await;
    for name in ["cem", "dan"] {
        let body = json!({"name": name, "team": "qa"}).to_string();
        assert_eq!(world.post("/admin/users", ADMIN, &body).await.status, StatusCode::CREATED);
    }
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-qa\"}";
    world.post("/users/cem/keys", ADMIN, key).await;
    let theirs = "/users/cem/reservations";
    assert_eq!(world.post(theirs, ADMIN, GOOD).await.status, StatusCode::ACCEPTED);
    let (path, body) = ("/admin/users/cem/transfer", "{\"to\":\"dan\"}");
    let first = world.send("POST", path, ADMIN, body, KEY).await;
    assert_eq!(first.json["moved"], 1, "{}", first.json);
    assert_eq!(world.post(theirs, ADMIN, GOOD).await.status, StatusCode::ACCEPTED);
    let again = world.send("POST", path, ADMIN, body, KEY).await;
    assert_eq!(again.json["moved"], 1, "{}", again.json);
    let left = world.get(theirs, ADMIN).await.json;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "what came later stays: {left}");
    mismatch(&world.send("POST", path, ADMIN, "{\"to\":\"ada\"}", KEY).await);
}

#[tokio::test]
async fn a_change_that_is_repeated_undoes_what_came_between() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    let path = made.header("location").to_owned();
    let patch = |body: &'static str, headers: Vec<(&'static str, String)>| {
        let (world, path) = (&world, &path);
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.send("PATCH", path, "ada", body, &headers).await
        }
    };
    let (off, on) = ("{\"power\":\"off\"}", "{\"power\":\"on\"}");
    let keyed = || vec![("idempotency-key", "k-1".to_owned())];
    let etag = made.header("etag").to_owned();
    let stopped = patch(off, [keyed(), vec![("if-match", etag.clone())]].concat()).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.json);
    let lost = patch(off, [keyed(), vec![("if-match", etag)]].concat()).await;
    assert_eq!(lost.status, StatusCode::OK, "what was done is no conflict with itself: {}", lost.json);
    assert_eq!(lost.header("etag"), stopped.header("etag"));
    let started = patch(on, vec![]).await;
    let late = patch(off, keyed()).await;
    assert_eq!(late.header("etag"), started.header("etag"), "nothing is changed back: {}", late.json);
    mismatch(&patch(on, keyed()).await);
    // Also where there was nothing to change.
    let same = || vec![("idempotency-key", "k-2".to_owned())];
    assert_eq!(patch(on, same()).await.header("etag"), started.header("etag"));
    let stopped = patch(off, vec![]).await;
    assert_eq!(patch(on, same()).await.header("etag"), stopped.header("etag"));
}

#[test]
fn a_route_that_changes_something_takes_no_key() {
    let document: Value = serde_json::to_value(infra_examples::http::openapi()).expect("it is JSON");
    let (mut with, mut without) = (0, Vec::new());
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in ["post", "patch"] {
            let Some(operation) = methods.get(method) else { continue };
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                with += 1;
            } else {
                without.push(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(without, ["post /users/{user}/quotes"], "a quote changes nothing");
    assert!(with >= 11, "{with}");
}
