//! What the OpenAPI document says and what the server does are one thing.

use infra_examples::http::openapi;
use serde_json::{Value, json};

use crate::tenants::{operations, parameters};
use crate::world::{ADMIN, World};
use crate::{GOOD, OURS};

/// Every operation with that method that needs no more than a user, as (path, operation).
fn with_method(method: &str) -> Vec<(String, &'static Value)> {
    let paths = openapi()["paths"].as_object().expect("paths");
    let simple = paths.iter().filter(|(path, _)| !path.replace("{user}", "ada").contains('{'));
    simple.filter_map(|(path, item)| Some((path.replace("{user}", "ada"), item.get(method)?))).collect()
}

#[tokio::test]
async fn parameters_that_are_documented_are_known_and_no_others() {
    let world = World::new().await;
    for (path, operation) in
        with_method("get").into_iter().filter(|(_, operation)| operation.get("security").is_none())
    {
        let reply = world.get(&format!("{path}?no_such=1"), ADMIN).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "unknown-field"), "{path}: {}", reply.json);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().expect("a name");
                let reply = world.get(&format!("{path}?{name}=%21"), ADMIN).await;
                assert_ne!(reply.code(), "unknown-field", "{path}?{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_field_or_a_parameter_that_nobody_knows_is_passed_over() {
    let world = World::new().await;
    let before = world.newest().await;
    let (mut fields, mut queries) = (0, 0);
    for operation in operations().into_iter().filter(|operation| !operation.open) {
        // Nothing of these names is there: whoever looks for it before reading what was asked is found out.
        let fill = |path: String, name: &&str| {
            path.replace(&format!("{{{name}}}"), if *name == "user" { "ada" } else { "none" })
        };
        let path = parameters(&operation.path).iter().fold(operation.path.clone(), fill);
        let (method, what) = (operation.method.as_str(), format!("{} {path}", operation.method));
        let body = operation.body.clone().unwrap_or_default();
        let reply = world.send(method, &format!("{path}?no_such=1"), ADMIN, body.clone(), &[]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "unknown-field"), "{what}: {}", reply.json);
        assert_eq!(reply.json["errors"][0]["field"], "?no_such", "{what}: {}", reply.json);
        queries += 1;
        let Some(body) = operation.body else { continue };
        let inside = body.strip_prefix('{').expect("bodies are objects").trim_end_matches('}').trim();
        let comma = if inside.is_empty() { "" } else { "," };
        // Which fields a key has, its cloud says; the document says only that they are texts.
        let number = if path.ends_with("/keys") { "wrong-type" } else { "unknown-field" };
        for (more, code) in [
            ("\"no_such\":1", number),
            ("\"no_such\":\"text\"", "unknown-field"),
            ("\"no_such\":1,\"no_such\":2", "malformed-json"),
        ] {
            let body = format!("{{{more}{comma}{}", &body[1..]);
            let reply = world.send(method, &path, ADMIN, body.clone(), &[]).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, code), "{what} {body}: {}", reply.json);
            assert_eq!(reply.json["errors"][0]["field"], "no_such", "{what} {body}: {}", reply.json);
        }
        fields += 1;
    }
    assert!(fields > 15 && queries > 40, "{fields} bodies, {queries} queries");
    println!("COUNT unknown_fields bodies={fields} queries={queries}");
    assert_eq!(world.newest().await, before, "something was stored");
}

#[tokio::test]
async fn head_is_get_without_the_body_and_other_methods_are_told_what_is_allowed() {
    let world = World::new().await;
    for (path, _) in with_method("get") {
        let (got, head) =
            (world.get(&path, ADMIN).await, world.send("HEAD", &path, ADMIN, vec![], &[]).await);
        assert_eq!(got.status, head.status, "{path}");
        assert_eq!(got.header("content-type"), head.header("content-type"), "{path}");
        assert_eq!(head.json, Value::Null, "{path}");
        for method in ["OPTIONS", "TRACE"] {
            let reply = world.send(method, &path, ADMIN, vec![], &[]).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (405, "method-not-allowed"), "{method} {path}");
            assert!(reply.header("allow").contains("GET"), "{method} {path}: {}", reply.header("allow"));
        }
    }
}

#[tokio::test]
async fn the_limits_of_the_schema_are_those_of_the_server() {
    let world = World::new().await;
    let fields = &openapi()["components"]["schemas"]["ReservationRequest"]["properties"];
    let mut tried = 0;
    for (field, schema) in fields.as_object().expect("fields") {
        let number = |name: &str| schema[name].as_f64().map(|number| (name.to_owned(), number));
        let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
        for (name, bound) in bounds.iter().filter_map(|name| number(name)) {
            let step = if name.ends_with("inimum") { -1.0 } else { 1.0 };
            let inside = if name.starts_with("ex") { bound - step * 0.001 } else { bound };
            let outside = if name.starts_with("ex") { bound } else { bound + step };
            for (value, refused) in [(inside, false), (outside, true)] {
                let whole = format!("{value}").parse::<i64>();
                let value = whole.map_or_else(|_| json!(value), |whole| json!(whole));
                let reply = world.post("/users/ada/quotes", "ada", &json!({field: value}).to_string()).await;
                let is_refused = reply.status.as_u16() == 400;
                assert_eq!(is_refused, refused, "{name} of {field}: {value}: {}", reply.json);
                tried += 1;
            }
        }
        if let Some(most) = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()) {
            for (length, refused) in [(most, false), (most + 1, true)] {
                let reply = world
                    .post("/users/ada/quotes", "ada", &json!({field: "x".repeat(length)}).to_string())
                    .await;
                assert_eq!(
                    reply.status.as_u16() == 400,
                    refused,
                    "{length} characters of {field}: {}",
                    reply.json
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn the_page_and_the_document_are_open_and_need_nothing_from_elsewhere() {
    let world = World::new().await;
    let served = world.get("/openapi.json", "").await;
    assert_eq!((served.status.as_u16(), &served.json), (200, openapi()));
    for path in ["/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
        let reply = world.get(path, "").await;
        assert_eq!(reply.status.as_u16(), 200, "{path}");
        assert!(!reply.text.contains("//cdn") && !reply.text.contains("https://"), "{path}: {}", reply.text);
    }
    assert_eq!(world.get("/docs/swagger-ui-bundle.js", "").await.status.as_u16(), 200);
}

#[tokio::test]
async fn null_in_a_change_is_refused_and_in_a_request_says_nothing() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", "{\"vcpus\":1,\"ends_at\":null,\"tags\":{\"a\":\"b\"}}").await;
    assert_eq!((made.status.as_u16(), &made.json["ends_at"]), (202, &Value::Null), "{}", made.json);
    let path = format!("{OURS}/{}", made.json["id"].as_str().expect("an id"));
    for field in ["ends_at", "power", "tags"] {
        let body = format!("{{\"{field}\":null}}");
        let reply = world.send("PATCH", &path, "ada", body, &[]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "wrong-type"), "{field}: {}", reply.json);
        assert_eq!(reply.json["errors"][0]["field"], field, "{}", reply.json);
    }
}

#[tokio::test]
async fn a_tag_of_a_version_is_taken_exactly_or_refused() {
    let world = World::new().await;
    let made = world.post(OURS, "ada", GOOD).await;
    let path = format!("{OURS}/{}", made.json["id"].as_str().expect("an id"));
    let tag = made.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    for bad in
        [format!("W/{tag}"), tag.trim_matches('"').to_owned(), format!("{tag}, \"1\""), "\"\"".to_owned()]
    {
        let reply = world.send("PATCH", &path, "ada", "{\"tags\":{}}", &[("if-match", &bad)]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "out-of-range"), "{bad}: {}", reply.json);
    }
    for good in ["*", &tag] {
        let reply =
            world.send("PATCH", &path, "ada", "{\"tags\":{\"a\":\"b\"}}", &[("if-match", good)]).await;
        // After `*` has changed it, the first tag is that of a version that is gone.
        let wanted = if good == "*" { 200 } else { 409 };
        assert_eq!(reply.status.as_u16(), wanted, "{good}: {}", reply.json);
    }
}

#[tokio::test]
async fn a_list_for_an_object_and_a_name_that_is_a_step_are_refused() {
    let world = World::new().await;
    for body in ["{\"options\":[]}", "{\"options\":[null,null]}", "{\"options\":null}"] {
        let reply = world.post("/users/ada/quotes", "ada", body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "wrong-type"), "{body}: {}", reply.json);
        assert_eq!(reply.json["errors"][0]["field"], "options", "{}", reply.json);
    }
    for name in [".", "..", &"n".repeat(196)] {
        let body = json!({"name": name, "team": "blue"}).to_string();
        let reply = world.post("/admin/users", ADMIN, &body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "out-of-range"), "{name}: {}", reply.json);
    }
    for who in ["no such", "", "a\"b"] {
        let reply = world.send("GET", OURS, ADMIN, vec![], &[("infra-on-behalf-of", who)]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "out-of-range"), "{who}: {}", reply.json);
    }
    let other = world.send("GET", OURS, ADMIN, vec![], &[("infra-on-behalf-of", "eve")]).await;
    assert_eq!((other.status.as_u16(), other.code()), (403, "forbidden"), "{}", other.json);
}

#[tokio::test]
async fn whoever_pages_while_others_come_and_go_sees_each_that_stayed_once() {
    let world = World::new().await;
    let reserve = async || {
        let made = world.post(OURS, "ada", GOOD).await;
        assert_eq!(made.status.as_u16(), 202, "{}", made.json);
        made.json["id"].as_str().expect("an id").to_owned()
    };
    let mut stayed = Vec::new();
    for _ in 0..6 {
        stayed.push(reserve().await);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{OURS}?limit=2"));
    loop {
        let page = world.get(&path, "ada").await.json;
        seen.extend(
            page["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| item["id"].as_str().expect("an id").to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{OURS}?limit=2&after={next}");
        if seen.len() < 8 {
            // One comes, and one that was shown already goes.
            reserve().await;
            let gone = format!("{OURS}/{}", seen[seen.len() - 2]);
            assert_eq!(world.send("DELETE", &gone, "ada", vec![], &[]).await.status.as_u16(), 202);
        }
    }
    for id in &stayed {
        assert_eq!(seen.iter().filter(|seen| *seen == id).count(), 1, "{id} in {seen:?}");
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "one was shown twice");
}

#[tokio::test]
async fn a_name_with_a_slash_is_a_user_like_any_other() {
    let world = World::new().await;
    assert_eq!(world.post("/admin/users", ADMIN, "{\"name\":\"org/bob\"}").await.status.as_u16(), 201);
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-bob\"}";
    assert_eq!(world.post("/users/org%2Fbob/keys", ADMIN, key).await.status.as_u16(), 201);
    let made = world.post("/users/org%2Fbob/reservations", ADMIN, GOOD).await;
    assert_eq!((made.status.as_u16(), &made.json["user"]), (202, &json!("org/bob")), "{}", made.json);
    let shown = world.get(made.header("location"), ADMIN).await;
    assert_eq!((shown.status.as_u16(), &shown.json["id"]), (200, &made.json["id"]), "{}", shown.json);
    assert_eq!(world.get("/users/org/bob/reservations", ADMIN).await.status.as_u16(), 404);
}
