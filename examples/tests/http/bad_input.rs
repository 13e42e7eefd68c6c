//! Everything that must be refused, row by row: with which code, and that nothing was stored or launched.

use crate::world::{ADMIN, World};
use crate::{GOOD, KEYS, OURS};

/// One bad request: what, and the answer that it must get.
struct Row {
    method: &'static str,
    path: &'static str,
    who: &'static str,
    body: Vec<u8>,
    headers: &'static [(&'static str, &'static str)],
    status: u16,
    code: &'static str,
}

fn row(
    method: &'static str,
    path: &'static str,
    who: &'static str,
    body: impl Into<Vec<u8>>,
    (status, code): (u16, &'static str),
) -> Row {
    Row { method, path, who, body: body.into(), headers: &[], status, code }
}

impl Row {
    fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }
}

/// Bodies that are not what a reservation needs.
fn bodies() -> Vec<Row> {
    let post = |body: &str, answer| row("POST", OURS, "ada", body, answer);
    let range = (400, "out-of-range");
    vec![
        post("", (400, "malformed-json")),
        post("{\"count\":", (400, "malformed-json")),
        post("count=2", (400, "malformed-json")),
        post("{\"count\":2,\"count\":3}", (400, "malformed-json")),
        row("POST", OURS, "ada", vec![b'{', b'"', 0xff, b'"', b'}'], (400, "malformed-json")),
        post("[]", (400, "wrong-type")),
        post("{\"count\":\"two\"}", (400, "wrong-type")),
        post("{\"vcpus\":[1]}", (400, "wrong-type")),
        post("{\"tags\":{\"a\":1}}", (400, "wrong-type")),
        post("{\"cuont\":2}", (400, "unknown-field")),
        post("{\"count\":0}", range),
        post("{\"count\":-1}", range),
        post("{\"count\":1000000}", range),
        post("{\"count\":99999999999}", range),
        post("{\"vcpus\":0}", range),
        post("{\"vcpus\":1e300}", range),
        post("{\"vcpus\":1e999}", range),
        post("{\"duration_s\":0}", range),
        post("{\"duration_s\":99999999999}", range),
        post("{\"ends_at\":\"2001-01-01T00:00:00Z\"}", range),
        post("{\"ends_at\":\"tomorrow\"}", range),
        post("{\"market\":\"barter\"}", range),
        post("{\"max_price_per_hour\":-1}", range),
        post("{\"allow_from\":[\"everybody\"]}", range),
        post("{\"ssh_public_keys\":[\"not a key\"]}", range),
        post("{\"tags\":{\"infra-token\":\"x\"}}", range),
        post("{\"resource\":\"cluster\"}", (422, "unfulfillable")),
        post("{\"region\":\"atlantis\"}", (422, "unknown-region")),
        post("{\"provider\":\"acme\"}", (422, "unknown-region")),
        post("{\"image\":\"no-such-image\"}", (422, "unknown-image")),
        post("{\"os\":\"plan nine\"}", (422, "unknown-image")),
        post("{\"vcpus\":4000}", (422, "no-fit")),
        post("{\"max_price_per_hour\":0.0000001}", (422, "no-fit")),
        post("{\"count\":21}", (403, "over-budget")),
        row("POST", OURS, "ada", vec![b' '; 1024 * 1024 + 1], (413, "too-large")),
        row("POST", "/users/ada/quotes", "ada", "{\"cuont\":2}", (400, "unknown-field")),
        row("POST", "/users/ada/quotes", "ada", "{\"region\":\"atlantis\"}", (422, "unknown-region")),
        row("POST", "/users/eve/quotes", "eve", GOOD, (422, "no-credentials")),
        row("POST", "/users/eve/reservations", "eve", GOOD, (422, "no-credentials")),
        post(GOOD, range).with(&[("idempotency-key", "")]),
        post(GOOD, range).with(&[("idempotency-key", "one"), ("idempotency-key", "two")]),
    ]
}

/// Callers and paths that do not fit.
fn callers() -> Vec<Row> {
    let id = "/users/ada/reservations/rsv_00000000000000000000000000000000";
    vec![
        row("POST", OURS, "", GOOD, (401, "unauthenticated")),
        row("POST", OURS, "nobody", GOOD, (401, "unauthenticated")),
        row("POST", OURS, "", GOOD, (401, "unauthenticated"))
            .with(&[("authorization", "Basic YWRhOmFkYQ==")]),
        row("POST", OURS, "eve", GOOD, (404, "not-found")),
        row("POST", "/users/nobody/reservations", ADMIN, GOOD, (404, "not-found")),
        row("POST", "/users/a%20b/reservations", ADMIN, GOOD, (404, "not-found")),
        row("POST", OURS, "ada-viewer", GOOD, (403, "forbidden")),
        row("POST", KEYS, "ada-viewer", "{}", (403, "forbidden")),
        row("DELETE", id, "ada-viewer", "", (403, "forbidden")),
        row("POST", OURS, "bot", GOOD, (403, "forbidden")),
        row("POST", OURS, "bot", GOOD, (404, "not-found")).with(&[("infra-on-behalf-of", "eve")]),
        row("POST", OURS, "eve", GOOD, (403, "forbidden")).with(&[("infra-on-behalf-of", "ada")]),
        row("POST", "/admin/users", "ada", "{\"name\":\"mallory\"}", (403, "forbidden")),
        row("GET", "/admin/brakes", "bot", "", (403, "forbidden")),
        row("GET", id, "ada", "", (404, "not-found")),
        row("PATCH", id, "ada", "{\"power\":\"off\"}", (404, "not-found")),
        row("DELETE", id, "ada", "", (404, "not-found")),
        row("GET", "/users/ada/reservations/%00", "ada", "", (404, "not-found")),
        row("GET", "/users/ada/reservations/%ff", "ada", "", (404, "not-found")),
        row("GET", "/nowhere", "", "", (404, "not-found")),
        row("GET", "/users/ada", "ada", "", (404, "not-found")),
        row("PUT", OURS, "ada", GOOD, (405, "method-not-allowed")),
        row("DELETE", "/healthz", "", "", (405, "method-not-allowed")),
        row("GET", "/sim/machines", ADMIN, "", (404, "not-found")),
    ]
}

/// Parameters, headers, changes, keys, people and brakes that are wrong.
fn details() -> Vec<Row> {
    let id = "/users/ada/reservations/rsv_00000000000000000000000000000000";
    let range = (400, "out-of-range");
    let admin = |method, path, body: &str, answer| row(method, path, ADMIN, body, answer);
    let mut rows = vec![
        row("POST", "/users/ada/reservations?wait=soon", "ada", GOOD, (400, "wrong-type")),
        row("POST", "/users/ada/reservations?wait=2h", "ada", GOOD, range),
        row("POST", "/users/ada/reservations?wiat=2s", "ada", GOOD, (400, "unknown-field")),
        row("GET", "/users/ada/reservations?limit=201", "ada", "", range),
        row("GET", "/users/ada/reservations?limit=many", "ada", "", (400, "wrong-type")),
        row("GET", "/users/ada/reservations?after=zz", "ada", "", range),
        row("GET", "/users/ada/reservations?state=old", "ada", "", range),
        row("DELETE", "/users/ada/reservations/rsv_x?dry_run=1", "ada", "", (400, "unknown-field")),
        row("PATCH", id, "ada", "{}", (400, "wrong-type")),
        row("PATCH", id, "ada", "{\"power\":\"off\",\"tags\":{}}", range),
        row("PATCH", id, "ada", "{\"power\":\"up\"}", range),
        row("PATCH", id, "ada", "{\"count\":3}", (400, "unknown-field")),
        row("PATCH", id, "ada", "{\"power\":\"off\"}", range).with(&[("if-match", "\"abc\"")]),
        row("POST", KEYS, "ada", "{\"kind\":\"static\"}", (400, "wrong-type")),
        row(
            "POST",
            KEYS,
            "ada",
            "{\"provider\":\"sim\",\"kind\":\"static\",\"label\":\"..\",\"token\":\"sim-ada\"}",
            range,
        ),
        admin("POST", "/admin/users", "{\"name\":\"ann\",\"team\":\"..\"}", range),
        row("POST", KEYS, "ada", "{\"provider\":\"acme\",\"kind\":\"static\",\"token\":\"x\"}", range),
        row(
            "POST",
            KEYS,
            "ada",
            "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":5}",
            (400, "wrong-type"),
        ),
        row(
            "POST",
            KEYS,
            "ada",
            "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"wrong\"}",
            (422, "invalid-credentials"),
        ),
        row("DELETE", "/users/ada/keys/sim/other", "ada", "", (404, "not-found")),
        admin("POST", "/admin/users", "{\"nmae\":\"x\"}", (400, "unknown-field")),
        admin("POST", "/admin/users", "{}", (400, "wrong-type")),
        admin("POST", "/admin/users", "{\"name\":\"a b\"}", range),
        admin("POST", "/admin/users", "{\"name\":\"_system\"}", range),
        admin("POST", "/admin/users", "{\"name\":\"ada\"}", (409, "conflict")),
        admin("DELETE", "/admin/users/nobody", "", (404, "not-found")),
        admin("POST", "/admin/users/nobody/tokens", "{\"label\":\"x\"}", (404, "not-found")),
        admin("POST", "/admin/users/ada/tokens", "{\"label\":\"x\",\"role\":\"king\"}", range),
        admin("POST", "/admin/users/ada/tokens", "{\"label\":\"x\",\"expires_in_s\":0}", range),
        admin(
            "POST",
            "/admin/users/ada/tokens",
            "{\"label\":\"x\",\"expires_in_s\":18446744073709551615}",
            range,
        ),
        admin("DELETE", "/admin/users/ada/tokens/none", "", (404, "not-found")),
        admin("PATCH", "/admin/users/ada", "{\"machines_max\":-1}", range),
        admin("PUT", "/admin/brakes", "{\"scope\":\"globel\",\"value\":\"frozen\"}", range),
        admin("PUT", "/admin/brakes", "{\"scope\":\"lane:nowhere\",\"value\":\"frozen\"}", range),
        admin("PUT", "/admin/brakes", "{\"scope\":\"tenant:nobody\",\"value\":\"frozen\"}", range),
        admin("PUT", "/admin/brakes", "{\"scope\":\"global\",\"value\":\"shut\"}", range),
        admin("POST", "/admin/recover", "{\"what\":\"moved\"}", (409, "conflict")),
        admin("POST", "/admin/recover", "{\"what\":\"nothing\"}", range),
        admin("DELETE", "/admin/reservations/rsv_none/hold", "", (404, "not-found")),
    ];
    rows.extend(people());
    rows.push(row("GET", "/users/ada/offerings?limit=0", "ada", "", range));
    rows.push(row("POST", "/users/ada/quotes?limit=201", "ada", GOOD, range));
    rows
}

/// Templates, profiles, teams, shares, tokens and filters that are wrong.
fn people() -> Vec<Row> {
    const TEMPLATES: &str = "/users/ada/templates";
    let (range, kind, missing) = ((400, "out-of-range"), (400, "wrong-type"), (404, "not-found"));
    let unknown = (400, "unknown-field");
    let share = "/users/ada/reservations/rsv_00000000000000000000000000000000/shares/eve";
    let ada = |method, path, body: &str, answer| row(method, path, "ada", body, answer);
    let admin = |method, path, body: &str, answer| row(method, path, ADMIN, body, answer);
    vec![
        ada("POST", TEMPLATES, "{}", kind),
        ada("POST", TEMPLATES, "{\"name\":\"web\"}", kind),
        ada("POST", TEMPLATES, "{\"name\":\"web\",\"request\":{},\"reservation\":\"rsv_x\"}", range),
        ada("POST", TEMPLATES, "{\"name\":\"a/b\",\"request\":{}}", range),
        ada("POST", TEMPLATES, "{\"name\":\"..\",\"request\":{}}", range),
        ada("POST", TEMPLATES, "{\"name\":\"web\",\"request\":{\"cuont\":2}}", unknown),
        ada("POST", TEMPLATES, "{\"name\":\"web\",\"request\":{\"count\":0}}", range),
        ada("POST", TEMPLATES, "{\"name\":\"web\",\"reservation\":\"rsv_none\"}", missing),
        ada("POST", "/users/ada/templates/web", "", (400, "malformed-json")),
        ada("POST", "/users/ada/templates/web", "{\"reservation\":\"rsv_none\"}", missing),
        ada("POST", "/users/ada/templates/web/reservations", "", missing),
        ada("POST", "/users/ada/templates/web/reservations", "{\"cuont\":2}", unknown),
        ada("POST", "/users/ada/templates/web/reservations", "{\"count\":\"two\"}", kind),
        ada(
            "POST",
            "/users/ada/templates/web/reservations",
            "{\"count\":1,\"count\":2}",
            (400, "malformed-json"),
        ),
        ada("POST", "/users/ada/templates/web/reservations?owner=eve", "{}", missing),
        ada("POST", "/users/ada/templates/web/reservations?version=-1", "{}", range),
        ada("GET", "/users/ada/templates?owner=eve", "", missing),
        ada("GET", "/users/ada/templates?limit=0", "", range),
        ada("GET", "/users/ada/templates?after=61", "", range),
        ada("GET", "/users/ada/templates/web", "", missing),
        ada("GET", "/users/ada/templates/web?version=new", "", range),
        ada("DELETE", "/users/ada/templates/web", "", missing),
        row("POST", TEMPLATES, "ada-viewer", "{\"name\":\"web\",\"request\":{}}", (403, "forbidden")),
        row("GET", TEMPLATES, "eve", "", missing),
        ada("PUT", "/users/ada/profile", "{\"time_zone\":\"Mars/Base\"}", range),
        ada("PUT", "/users/ada/profile", "{\"ssh_public_keys\":[\"not a key\"]}", range),
        ada("PUT", "/users/ada/profile", "{\"tz\":\"UTC\"}", unknown),
        ada("PUT", "/users/ada/profile", "{}", (409, "conflict")).with(&[("if-match", "\"9\"")]),
        row("PUT", "/users/ada/profile", "eve", "{}", missing),
        row("GET", "/users/ada/profile", "eve", "", missing),
        admin("PUT", "/admin/teams/user:x", "{\"members\":[]}", range),
        admin("PUT", "/admin/teams/qa", "{}", kind),
        admin("PUT", "/admin/teams/qa", "{\"members\":[\"nobody\"]}", missing),
        admin("PUT", "/admin/teams/qa", "{\"members\":[\"eve\",\"ada\"]}", (409, "in-use")),
        admin("PUT", "/admin/teams/qa", "{\"members\":[\"eve\",\"eve\"]}", range),
        admin("PUT", "/admin/teams/qa", "{\"members\":[\"eve\"]}", (409, "conflict"))
            .with(&[("if-match", "\"9\"")]),
        admin("GET", "/admin/teams/qa", "", missing),
        admin("DELETE", "/admin/teams/qa", "", missing),
        ada("GET", "/admin/teams", "", (403, "forbidden")),
        admin("POST", "/admin/users/ada/transfer", "{\"to\":\"eve\"}", missing),
        admin("POST", "/admin/users/ada/transfer", "{\"to\":\"ada\"}", range),
        ada("PUT", share, "{\"role\":\"viewer\"}", missing),
        ada("PUT", share, "{\"role\":\"owner\"}", range),
        ada("DELETE", share, "", missing),
        ada("POST", "/users/ada/tokens", "{\"role\":\"bot\"}", range),
        ada("POST", "/users/ada/tokens", "{\"expires_in_s\":0}", range),
        row("POST", "/users/ada/tokens", "ada-viewer", "{}", (403, "forbidden")),
        row("POST", "/users/ada/tokens", "bot", "{}", (403, "forbidden"))
            .with(&[("infra-on-behalf-of", "ada")]),
        row("DELETE", "/users/ada/tokens/none", "bot", "", (403, "forbidden"))
            .with(&[("infra-on-behalf-of", "ada")]),
        ada("DELETE", "/users/ada/tokens/none", "", missing),
        row("GET", "/users/ada/tokens", "eve", "", missing),
        ada("GET", "/users/ada/reservations?shared=yes", "", range),
        ada("GET", "/users/ada/reservations?tag=", "", range),
    ]
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let world = World::new().await;
    let before = world.newest().await;
    let rows: Vec<Row> = [bodies(), callers(), details()].into_iter().flatten().collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let reply = world.send(row.method, row.path, row.who, row.body.clone(), row.headers).await;
        let what = format!(
            "{} {} as {:?}: {}",
            row.method,
            row.path,
            row.who,
            String::from_utf8_lossy(&row.body[..row.body.len().min(80)])
        );
        if (reply.status.as_u16(), reply.code()) != (row.status, row.code) {
            wrong.push(format!(
                "{what}\n  wanted {} {}, got {} {}",
                row.status, row.code, reply.status, reply.json
            ));
            continue;
        }
        assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
        assert_eq!(reply.json["request_id"], reply.header("x-request-id"), "{what}");
        assert_eq!(reply.json["status"], row.status, "{what}");
        assert!(reply.json["errors"].is_array() && reply.json["title"].is_string(), "{what}");
        if row.status == 401 {
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{what}");
        }
        if row.code == "unknown-field" {
            assert!(reply.json["errors"][0]["field"].is_string(), "{what}");
        }
        assert_eq!(world.newest().await, before, "{what} was refused, but something was stored");
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(world.launches(), 0, "something was launched");
    println!("COUNT bad_input rows={}", rows.len());
}

#[tokio::test]
async fn a_name_that_breaks_one_rule_is_told_another_one() {
    let world = World::new().await;
    for name in ["my template", "", "a/b", "..", ".hidden", &"n".repeat(65), &"n".repeat(300)] {
        let body = serde_json::json!({"name": name, "request": {}}).to_string();
        let reply = world.post("/users/ada/templates", "ada", &body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "out-of-range"), "{name}: {}", reply.json);
        let said = reply.json["errors"][0]["message"].as_str().expect("a message");
        assert_eq!(said, "must be 1 to 64 of a-z A-Z 0-9 . _ - and not begin with a dot", "{name}");
    }
}
