//! Templates, profiles, teams, shares, own tokens and filtered lists, as clients meet them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ADMIN, Reply, World};
use crate::{GOOD, OURS};

/// A user with a token of its own, made by the admin's API alone.
struct Person {
    name: &'static str,
    bearer: String,
}

impl Person {
    async fn new(world: &World, name: &'static str, team: Option<&str>) -> Self {
        let body = json!({"name": name, "team": team}).to_string();
        let added = world.post("/admin/users", ADMIN, &body).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.json);
        let tenant = team.map_or_else(|| format!("user:{name}"), str::to_owned);
        assert_eq!(added.json["tenant"], tenant, "what a brake on this user is called");
        let issued = world.post(&format!("/admin/users/{name}/tokens"), ADMIN, "{}").await;
        let token = issued.json["token"].as_str().expect("shown once");
        Self { name, bearer: format!("Bearer {token}") }
    }

    /// Two of one team, which has a key.
    async fn team(world: &World) -> (Self, Self) {
        let (cem, dan) =
            (Self::new(world, "cem", Some("qa")).await, Self::new(world, "dan", Some("qa")).await);
        let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-qa\"}";
        let saved = cem.send(world, "POST", "keys", key).await;
        assert_eq!(saved.status, StatusCode::CREATED, "{}", saved.json);
        (cem, dan)
    }

    /// Sends to a path below this person's own.
    async fn send(&self, world: &World, method: &str, path: &str, body: &str) -> Reply {
        self.send_with(world, method, path, body, &[]).await
    }

    async fn send_with(
        &self,
        world: &World,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut all = vec![("authorization", self.bearer.as_str())];
        all.extend_from_slice(headers);
        let path = format!("/users/{}/{path}", self.name);
        world.send(method, &path, "", body.to_owned(), &all).await
    }
}

fn is(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{}", reply.json);
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_template_lives_on_the_founding_paths() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    let id = made.json["id"].as_str().expect("an id").to_owned();
    let body = json!({"reservation": id}).to_string();
    let saved = world.post("/users/ada/templates/web", "ada", &body).await;
    assert_eq!(saved.status, StatusCode::CREATED, "{}", saved.json);
    assert_eq!(saved.header("location"), "/users/ada/templates/web?version=1");
    assert_eq!((&saved.json["version"], &saved.json["reservation"]), (&json!(1), &json!(id)));
    let body =
        json!({"name": "web", "request": {"vcpus": 1, "duration_s": 60, "setup": "planted"}}).to_string();
    let second = world.post("/users/ada/templates", "ada", &body).await;
    assert_eq!((&second.json["version"], &second.json["request"]["setup"]), (&json!(2), &json!("[sealed]")));
    let first = world.get("/users/ada/templates/web?version=1", "ada").await;
    assert_eq!((&first.json["request"]["duration_s"], &first.json["newest"]), (&json!(3600), &json!(2)));
    let list = world.get("/users/ada/templates", "ada-viewer").await.json;
    assert_eq!((&list["items"][0]["version"], &list["next"]), (&json!(2), &Value::Null), "{list}");
    let again = world.post("/users/ada/templates/web/reservations", "ada", "").await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.json);
    assert_eq!(again.json["template"], json!({"owner": "ada", "name": "web", "version": 2}));
    assert_eq!(again.json["request"]["duration_s"], 60);
    let path = "/users/ada/templates/web/reservations?version=1";
    let other = world.post(path, "ada", "{\"count\":2,\"duration_s\":null}").await;
    assert_eq!((&other.json["count"], &other.json["request"]["duration_s"]), (&json!(2), &Value::Null));
    let place = other.header("location").to_owned();
    assert_eq!(world.get(&place, "ada").await.status, StatusCode::OK);
    for reply in [&saved, &second, &first, &again, &other] {
        assert!(!reply.json.to_string().contains("planted"), "{}", reply.json);
    }
    let stale = [("if-match", saved.header("etag"))];
    let stale = world.send("DELETE", "/users/ada/templates/web", "ada", vec![], &stale).await;
    is(&stale, 409, "conflict");
    let tag = first.header("etag").to_owned();
    let gone = world.send("DELETE", "/users/ada/templates/web", "ada", vec![], &[("if-match", &tag)]).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json);
    is(&world.get("/users/ada/templates/web?version=1", "ada").await, 404, "not-found");
    is(&world.post("/users/ada/templates/web/reservations", "ada", "{}").await, 404, "not-found");
}

#[tokio::test]
async fn one_idempotency_key_saves_one_version_and_relaunches_once() {
    let world = World::new().await;
    let key: &[(&str, &str)] = &[("idempotency-key", "k-1")];
    let body = "{\"request\":{\"vcpus\":1}}";
    let saves = (0..10).map(|_| world.send("POST", "/users/ada/templates/web", "ada", body, key));
    for reply in futures_util::future::join_all(saves).await {
        assert_eq!(
            (reply.status, &reply.json["version"]),
            (StatusCode::CREATED, &json!(1)),
            "{}",
            reply.json
        );
    }
    let other = world.send("POST", "/users/ada/templates/web", "ada", "{\"request\":{}}", key).await;
    is(&other, 422, "idempotency-mismatch");
    let path = "/users/ada/templates/web/reservations";
    let launches = (0..10).map(|_| world.send("POST", path, "ada", "{}", key));
    let replies = futures_util::future::join_all(launches).await;
    for reply in &replies {
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.json);
        assert_eq!(reply.json["id"], replies[0].json["id"]);
    }
    assert_eq!(ids(&world.get(OURS, "ada").await.json).len(), 1);
}

#[tokio::test]
async fn a_profile_fills_up_what_is_asked_and_shows_it() {
    let world = World::new().await;
    let path = "/users/ada/profile";
    let none = world.get(path, "ada").await;
    assert_eq!((&none.json["version"], none.header("etag")), (&json!(0), "\"0\""), "{}", none.json);
    let body = "{\"time_zone\":\"europe/berlin\",\"region\":\"sim-ams\",\"software\":[\"docker\"]}";
    let set = world.send("PUT", path, "ada", body, &[("if-match", "\"0\"")]).await;
    assert_eq!(
        (set.status, &set.json["preferences"]["time_zone"]),
        (StatusCode::OK, &json!("Europe/Berlin"))
    );
    is(&world.send("PUT", path, "ada", body, &[("if-match", "\"0\"")]).await, 409, "conflict");
    assert_eq!(world.get(path, "ada-viewer").await.header("etag"), set.header("etag"));
    let quotes = world.post("/users/ada/quotes", "ada", GOOD).await.json;
    assert!(
        quotes["items"].as_array().is_some_and(|all| all.iter().all(|it| it["region"] == "sim-ams")),
        "{quotes}"
    );
    assert_eq!(quotes["from_profile"], json!(["region"]), "silently restricted: {quotes}");
    let explained = world.post("/users/ada/quotes?explain=true", "ada", GOOD).await.json;
    assert_eq!(explained["from_profile"], json!(["region"]), "{explained}");
    let free = world.post("/users/ada/quotes", "ada", "{\"vcpus\":1,\"region\":\"sim-east\"}").await.json;
    assert_eq!(free["from_profile"], json!([]), "{free}");
    let made = world.post(OURS, "ada", GOOD).await.json;
    assert_eq!((&made["request"]["region"], &made["from_profile"]), (&json!("sim-ams"), &json!(["region"])));
    let said = world.post(OURS, "ada", "{\"vcpus\":1,\"region\":\"sim-east\"}").await.json;
    assert_eq!((&said["request"]["region"], &said["from_profile"]), (&json!("sim-east"), &json!([])));
}

#[tokio::test]
async fn team_mates_see_what_is_shared_and_do_what_was_given() {
    let world = World::new().await;
    let (cem, dan) = Person::team(&world).await;
    let made = cem.send(&world, "POST", "reservations", GOOD).await;
    let at = format!("reservations/{}", made.json["id"].as_str().expect("an id"));
    is(&dan.send(&world, "GET", &at, "").await, 404, "not-found");
    let shares = format!("{at}/shares");
    let given = cem.send(&world, "PUT", &format!("{shares}/dan"), "{\"role\":\"viewer\"}").await;
    assert_eq!((given.status, &given.json), (StatusCode::OK, &json!({"user": "dan", "role": "viewer"})));
    let seen = dan.send(&world, "GET", &at, "").await;
    assert_eq!((&seen.json["user"], &seen.json["role"]), (&json!("cem"), &json!("viewer")), "{}", seen.json);
    for (method, path, body) in [
        ("PATCH", at.as_str(), "{\"power\":\"off\"}"),
        ("PATCH", &at, "{\"tags\":{}}"),
        ("DELETE", &at, ""),
        ("GET", &shares, ""),
        ("PUT", &format!("{shares}/dan"), "{\"role\":\"user\"}"),
        ("POST", "templates/stolen", &json!({"reservation": made.json["id"]}).to_string()),
    ] {
        is(&dan.send(&world, method, path, body).await, 403, "forbidden");
    }
    cem.send(&world, "PUT", &format!("{shares}/dan"), "{\"role\":\"user\"}").await;
    let stopped = dan.send(&world, "PATCH", &at, "{\"power\":\"off\"}").await;
    assert_eq!((stopped.status, &stopped.json["role"]), (StatusCode::OK, &json!("user")), "{}", stopped.json);
    is(&dan.send(&world, "DELETE", &at, "").await, 403, "forbidden");
    let shared = dan.send(&world, "GET", "reservations?shared=true", "").await.json;
    assert_eq!(ids(&shared), [made.json["id"].as_str().expect("an id")]);
    assert!(ids(&dan.send(&world, "GET", "reservations", "").await.json).is_empty());
    let list = cem.send(&world, "GET", &shares, "").await;
    assert_eq!(list.json["items"], json!([{"user": "dan", "role": "user"}]));
    is(&cem.send(&world, "PUT", &format!("{shares}/eve"), "{\"role\":\"user\"}").await, 404, "not-found");
    let stale = [("if-match", given.header("etag"))];
    is(&cem.send_with(&world, "DELETE", &format!("{shares}/dan"), "", &stale).await, 409, "conflict");
    let taken = cem.send(&world, "DELETE", &format!("{shares}/dan"), "").await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.json);
    is(&dan.send(&world, "GET", &at, "").await, 404, "not-found");
    // Handed over, then the giver goes.
    is(&world.send("DELETE", "/admin/users/cem", ADMIN, vec![], &[]).await, 409, "in-use");
    let moved = world.post("/admin/users/cem/transfer", ADMIN, "{\"to\":\"dan\"}").await;
    assert_eq!((moved.status, &moved.json), (StatusCode::OK, &json!({"moved": 1})));
    assert_eq!(
        world.post("/admin/users/cem/transfer", ADMIN, "{\"to\":\"dan\"}").await.json,
        json!({"moved": 0})
    );
    assert_eq!(world.get("/admin/users/dan", ADMIN).await.json["machines_held"], 1);
    let gone = world.send("DELETE", "/admin/users/cem", ADMIN, vec![], &[]).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json);
    assert_eq!(dan.send(&world, "GET", &at, "").await.json["role"], "owner");
}

#[tokio::test]
async fn a_team_is_set_shown_and_removed_only_while_it_holds_nothing() {
    let world = World::new().await;
    let (cem, dan) = Person::team(&world).await;
    let eve = world.get("/admin/users/eve", ADMIN).await.json;
    assert_eq!((&eve["team"], &eve["tenant"]), (&Value::Null, &json!("user:eve")));
    let set =
        world.send("PUT", "/admin/teams/qa", ADMIN, "{\"members\":[\"cem\",\"dan\",\"eve\"]}", &[]).await;
    assert_eq!(
        (set.status, &set.json["members"]),
        (StatusCode::OK, &json!(["cem", "dan", "eve"])),
        "{}",
        set.json
    );
    let shown = world.get("/admin/teams/qa", ADMIN).await;
    assert_eq!((shown.header("etag"), &shown.json), (set.header("etag"), &set.json));
    assert_eq!(world.get("/admin/users/eve", ADMIN).await.json["tenant"], "qa");
    let brake = "{\"scope\":\"tenant:qa\",\"value\":\"no_creates\"}";
    let thrown = world.send("PUT", "/admin/brakes", ADMIN, brake, &[]).await;
    assert_eq!(
        thrown.status,
        StatusCode::OK,
        "what the admin was shown is what a brake takes: {}",
        thrown.json
    );
    is(&cem.send(&world, "POST", "reservations", GOOD).await, 403, "paused");
    let open = "{\"scope\":\"tenant:qa\",\"value\":\"open\"}";
    world.send("PUT", "/admin/brakes", ADMIN, open, &[]).await;
    let made = dan.send(&world, "POST", "reservations", GOOD).await;
    let refused = world.send("DELETE", "/admin/teams/qa", ADMIN, vec![], &[]).await;
    is(&refused, 409, "in-use");
    assert_eq!(refused.json["errors"][0]["message"], made.json["id"], "{}", refused.json);
    let stay = "{\"members\":[\"cem\",\"dan\"]}";
    is(&world.send("PUT", "/admin/teams/qa", ADMIN, stay, &[("if-match", "\"1\"")]).await, 409, "conflict");
    let fewer =
        world.send("PUT", "/admin/teams/qa", ADMIN, stay, &[("if-match", shown.header("etag"))]).await;
    assert_eq!(fewer.json["members"], json!(["cem", "dan"]), "{}", fewer.json);
    let teams = world.get("/admin/teams", ADMIN).await.json;
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(1), "{teams}");
}

#[tokio::test]
async fn a_user_issues_sees_and_revokes_its_own_tokens() {
    let world = World::new().await;
    let issued = world.post("/users/ada/tokens", "ada", "{\"label\":\"laptop\",\"role\":\"viewer\"}").await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.json);
    let secret = issued.json["token"].as_str().expect("shown once").to_owned();
    let bearer = format!("Bearer {secret}");
    let shown = [("authorization", bearer.as_str())];
    let look = || world.send("GET", OURS, "", vec![], &shown);
    assert_eq!(look().await.status, StatusCode::OK);
    let post = world.send("POST", OURS, "", GOOD, &[("authorization", bearer.as_str())]).await;
    is(&post, 403, "forbidden");
    let list = world.get("/users/ada/tokens", "ada").await.json;
    assert!(!list.to_string().contains(&secret), "{list}");
    let used = |list: &Value, id: &Value| {
        let all = list["items"].as_array().expect("items").clone();
        all.iter().find(|token| token["id"] == *id).expect("is listed")["last_used_at"].clone()
    };
    let mut seen = Value::Null;
    for _ in 0..1000 {
        seen = used(&world.get("/users/ada/tokens", "ada").await.json, &issued.json["id"]);
        if !seen.is_null() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(seen.is_string(), "that it was used is written sooner or later");
    // What ends with an hour begets nothing that lasts.
    let hour = world.post("/admin/users/ada/tokens", ADMIN, "{\"expires_in_s\":3600}").await.json;
    let short = format!("Bearer {}", hour["token"].as_str().expect("shown once"));
    let short = [("authorization", short.as_str())];
    let heir = world.send("POST", "/users/ada/tokens", "", "{}", &short).await;
    assert_eq!((heir.status, &heir.json["expires_at"]), (StatusCode::CREATED, &hour["expires_at"]));
    is(
        &world.send("POST", "/users/ada/tokens", "", "{\"expires_in_s\":7200}", &short).await,
        400,
        "out-of-range",
    );
    let place = issued.header("location").to_owned();
    is(&world.send("DELETE", &place, "eve", vec![], &[]).await, 404, "not-found");
    assert_eq!(world.send("DELETE", &place, "ada", vec![], &[]).await.status, StatusCode::NO_CONTENT);
    is(&look().await, 401, "unauthenticated");
}

#[tokio::test]
async fn tags_filter_whole_pages() {
    let world = World::new().await;
    for n in 0..7 {
        let team = if n % 2 == 0 { "data" } else { "web" };
        let body = json!({"vcpus": 1, "tags": {"team": team, "n": n.to_string()}}).to_string();
        assert_eq!(world.post(OURS, "ada", &body).await.status, StatusCode::ACCEPTED);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{OURS}?tag=team:data&limit=3"));
    loop {
        let page = world.get(&path, "ada").await.json;
        let items = page["items"].as_array().expect("items").clone();
        seen.extend(items.iter().map(|item| item["request"]["tags"]["n"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(items.len(), 3, "a page in the middle is full");
        path = format!("{OURS}?tag=team:data&limit=3&after={next}");
    }
    assert_eq!(seen, [json!("0"), json!("2"), json!("4"), json!("6")]);
    let both = world.get(&format!("{OURS}?tag=team:data&tag=n:4"), "ada").await.json;
    assert_eq!(ids(&both).len(), 1);
    assert!(ids(&world.get(&format!("{OURS}?tag=team:data&tag=n:1"), "ada").await.json).is_empty());
}
