//! Usage, budgets, discounts and explained quotes over HTTP.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{ADMIN, World};

const REQUEST: &str = r#"{"count":1,"vcpus":1,"duration_s":3600,"name":"=cmd|'/c calc'!A1"}"#;

/// What the team of a user without one pays less.
const ADAS: &str = "/admin/teams/user:ada/overlays";

async fn put(world: &World, path: &str, who: &str, body: &Value) -> crate::world::Reply {
    world.send("PUT", path, who, body.to_string(), &[]).await
}

#[tokio::test]
async fn a_budget_refuses_without_saying_which_and_what_is_left() {
    let world = World::new().await;
    let set = put(
        &world,
        "/admin/users/ada/budget",
        ADMIN,
        &json!({"machines": 1, "per_month": {"amount": "500", "currency": "USD"}}),
    )
    .await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    assert_eq!(
        (&set.json["scope"], &set.json["name"], &set.json["limits"]["machines"]),
        (&json!("user"), &json!("ada"), &json!(1))
    );
    assert!(world.post("/users/ada/reservations", "ada", REQUEST).await.status.is_success());
    let no = world.post("/users/ada/reservations", "ada", REQUEST).await;
    assert_eq!((no.status, no.code()), (StatusCode::FORBIDDEN, "over-budget"), "{}", no.json);
    assert_eq!(no.json["errors"][0]["field"], "budget.machines", "{}", no.json);
    assert_eq!(no.json["errors"][0]["limit"], "0", "what is left: {}", no.json);
    let seen = world.get("/users/ada/budgets", "ada").await.json;
    assert_eq!(seen["items"][0]["totals"]["machines"], 1, "{seen}");
    // A user reads what counts for it, and sets nothing.
    let own = put(&world, "/admin/users/ada/budget", "ada", &json!({})).await;
    assert_eq!(own.code(), "forbidden");
    let stale =
        world.send("PUT", "/admin/users/ada/budget", ADMIN, "{}".to_owned(), &[("if-match", "\"1\"")]).await;
    assert_eq!(stale.code(), "conflict");
    let gone = put(&world, "/admin/users/ada/budget", ADMIN, &json!({})).await;
    assert_eq!((gone.status, &gone.json), (StatusCode::OK, &Value::Null));
    assert!(world.post("/users/ada/reservations", "ada", REQUEST).await.status.is_success());
    for (path, code) in
        [("/admin/users/nobody/budget", "not-found"), ("/admin/teams/nobody/budget", "not-found")]
    {
        assert_eq!(put(&world, path, ADMIN, &json!({"machines": 1})).await.code(), code, "{path}");
    }
}

#[tokio::test]
async fn a_name_runs_as_a_formula_in_whatever_opens_the_usage() {
    let world = World::new().await;
    assert!(world.post("/users/ada/reservations", "ada", REQUEST).await.status.is_success());
    let usage = world.get("/users/ada/usage", "ada").await.json;
    assert_eq!(usage["reservations"][0]["name"], "=cmd|'/c calc'!A1");
    assert_eq!(usage["user"]["so_far"]["amount"], "0.00", "nothing was launched: {usage}");
    for (path, headers) in
        [("/users/ada/usage?format=csv", &[][..]), ("/users/ada/usage", &[("accept", "text/csv")][..])]
    {
        let csv = world.send("GET", path, "ada", String::new(), headers).await;
        assert!(csv.header("content-type").starts_with("text/csv"), "{path}");
        let text = &csv.text;
        assert!(text.starts_with("month,reservation,name,"), "{text}");
        assert!(text.contains(",'=cmd|'/c calc'!A1,ada,"), "{text}");
    }
    for wrong in ["?month=2026-13", "?month=november", "?format=xls", "?months=2026-11"] {
        let no = world.get(&format!("/users/ada/usage{wrong}"), "ada").await;
        assert_eq!(no.status, StatusCode::BAD_REQUEST, "{wrong}: {}", no.json);
    }
}

#[tokio::test]
async fn a_discount_reaches_another_team_or_a_quote_hides_what_a_rule_costs() {
    let world = World::new().await;
    let asked = r#"{"vcpus":2,"policy":{"burstable":"deny"}}"#;
    let before = world.post("/users/ada/quotes?explain=true", "ada", asked).await;
    assert_eq!(before.status, StatusCode::OK, "{}", before.json);
    let rule = &before.json["rules"][0];
    assert_eq!(rule["field"], "policy.burstable", "{rule}");
    assert!(rule["says"].as_str().is_some_and(|says| says.starts_with('+')), "{rule}");
    let plain = world.post("/users/ada/quotes", "ada", asked).await.json;
    assert_eq!((&plain["rules"], &plain["items"]), (&Value::Null, &before.json["items"]));
    let half = json!({"overlays": [{"name": "half", "off": {"percent": 50.0}}]});
    let own = put(&world, "/users/ada/overlays", "ada", &half).await;
    assert_eq!(own.status, StatusCode::METHOD_NOT_ALLOWED, "who sets a discount sets a budget: {}", own.json);
    let set = put(&world, ADAS, "ada", &half).await;
    assert_eq!(set.status, StatusCode::FORBIDDEN, "{}", set.json);
    let set = put(&world, ADAS, ADMIN, &half).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    assert_eq!(world.get("/users/ada/overlays", "ada").await.json["overlays"][0]["name"], "half");
    let after = world.post("/users/ada/quotes", "ada", asked).await.json;
    assert_ne!(after["items"][0]["saved_per_hour"]["amount"], "0.00", "{after}");
    assert_eq!(world.get("/users/eve/overlays", "eve").await.json["overlays"], json!([]));
    for nobody in ["/admin/teams/nosuchteam/overlays", "/admin/teams/user:nosuch/overlays"] {
        assert_eq!(put(&world, nobody, ADMIN, &half).await.status, StatusCode::NOT_FOUND, "{nobody}");
        assert_eq!(world.get(nobody, ADMIN).await.status, StatusCode::NOT_FOUND, "{nobody}");
    }
    for wrong in [
        json!({"percent": 100.0}),
        json!({"percent": -1.0}),
        json!({"per_hour": {"amount": "0", "currency": "USD"}}),
    ] {
        let no = put(&world, ADAS, ADMIN, &json!({"overlays": [{"name": "x", "off": wrong}]})).await;
        assert_eq!(no.code(), "out-of-range", "{}", no.json);
    }
}

#[tokio::test]
async fn a_discount_is_set_for_nothing_or_lowers_a_neighbours_price() {
    let world = World::new().await;
    let key = r#"{"provider":"sim","kind":"static","token":"sim-eve"}"#;
    assert_eq!(world.post("/users/eve/keys", "eve", key).await.status, StatusCode::CREATED);
    let asked = r#"{"count":2,"vcpus":2}"#;
    let first = |who: &'static str| {
        let world = &world;
        async move { world.post(&format!("/users/{who}/quotes"), who, asked).await.json["items"][0].clone() }
    };
    let (adas, eves) = (first("ada").await, first("eve").await);
    let (family, region) =
        (adas["family"].as_str().expect("a word"), adas["region"].as_str().expect("a word"));
    let set = json!({"overlays": [
        {"name": "framework", "provider": "sim", "region": region, "family": family, "off": {"percent": 40.0}},
        {"name": "typo", "family": format!("{family}{family}"), "off": {"percent": 50.0}},
        {"name": "nowhere", "region": "sim-esat", "off": {"percent": 50.0}},
    ]});
    let set = put(&world, ADAS, ADMIN, &set).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    let effects = &set.json["effects"];
    assert!(effects[0]["matches"].as_u64() > Some(0) && effects[0]["warnings"] == json!([]), "{effects}");
    for (at, says) in [(1, "is of the family"), (2, "used in the region sim-esat; did you mean sim-east?")] {
        let said = effects[at]["warnings"][0].as_str().unwrap_or_default();
        assert!(effects[at]["matches"] == 0 && said.contains(says), "{effects}");
    }
    let lowered = first("ada").await;
    assert_eq!(lowered["saved_by"], "framework", "{lowered}");
    let list = nanos(&adas["parts_per_hour"]["compute"]);
    assert_eq!(nanos(&lowered["saved_per_hour"]), list * 40 / 100);
    assert_eq!(nanos(&lowered["per_hour"]), nanos(&adas["per_hour"]) - list * 40 / 100);
    let other = first("eve").await;
    assert_eq!((&other["per_hour"], &other["saved_by"]), (&eves["per_hour"], &Value::Null), "{other}");
    let unknown = json!({"overlays": [{"name": "x", "provider": "simm", "off": {"percent": 5.0}}]});
    let no = put(&world, ADAS, ADMIN, &unknown).await;
    assert_eq!((no.status, no.code()), (StatusCode::BAD_REQUEST, "out-of-range"), "{}", no.json);
    assert_eq!(no.json["errors"][0]["field"], "overlays[0].provider", "{}", no.json);
    let said = no.json["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(said.contains("known: sim; did you mean sim?"), "{said}");
}

#[tokio::test]
async fn a_filter_lets_through_what_it_names_or_is_passed_over() {
    let world = World::new().await;
    let all = world.get("/users/ada/offerings?limit=200", "ada").await.json["items"]
        .as_array()
        .expect("a list")
        .len();
    for (query, holds) in [
        ("region=sim-east", &(|one: &Value| one["region"] == "sim-east") as &dyn Fn(&Value) -> bool),
        ("arch=arm64", &|one| one["arch"] == "arm64"),
        ("min_vcpus=2&min_memory_gib=4", &|one| {
            one["vcpus"].as_f64() >= Some(2.0) && one["memory_gib"].as_f64() >= Some(4.0)
        }),
        ("family=M5", &|one| one["family"] == "m5"),
        ("max_per_hour=0.02&known_price=true", &|one| {
            one["per_hour"]["amount"].as_str().is_some_and(|usd| usd < "0.021")
        }),
        ("market=on_demand", &|one| one["market"] == "on_demand"),
    ] {
        let page = world.get(&format!("/users/ada/offerings?limit=200&{query}"), "ada").await.json;
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{query}: {page}"));
        assert!(!items.is_empty() && items.iter().all(holds), "{query}: {page}");
        assert!(items.len() < all || query.starts_with("market"), "{query} leaves nothing out");
        assert!(
            items.iter().all(|one| one["price_source"].is_string() && one["price_as_of"].is_string()),
            "{query}"
        );
    }
    for wrong in
        ["min_vcpus=-1", "min_vcpus=NaN", "arch=mips", "market=cheap", "max_per_hour=x", "min_cpus=1"]
    {
        let no = world.get(&format!("/users/ada/offerings?{wrong}"), "ada").await;
        assert_eq!(no.status, StatusCode::BAD_REQUEST, "{wrong}: {}", no.json);
    }
    for (wrong, says) in [
        ("max_per_hour=-1", "must be a number from 0 up"),
        ("min_gpus=-1", "must be a whole number from 0 up"),
        ("arch=mips", "must be x86_64 or arm64"),
    ] {
        let no = world.get(&format!("/users/ada/offerings?{wrong}"), "ada").await;
        assert_eq!(no.json["errors"][0]["message"], says, "{wrong}");
    }
}

#[tokio::test]
async fn a_quote_hides_who_named_its_price_or_a_refusal_speaks_of_this_programs_types() {
    let world = World::new().await;
    let quote = world.post("/users/ada/quotes", "ada", r#"{"vcpus":1}"#).await.json["items"][0].clone();
    let query =
        format!("/users/ada/offerings?limit=200&region={}", quote["region"].as_str().expect("a name"));
    let offers = world.get(&query, "ada").await.json["items"].clone();
    let same = |one: &&Value| one["type"] == quote["type"] && one["market"] == quote["market"];
    let offer = offers.as_array().expect("a list").iter().find(same).expect("what is quoted is offered");
    for field in ["price_source", "price_as_of", "stale", "system"] {
        assert!(!offer[field].is_null(), "{field}: {offer}");
        assert_eq!(quote[field], offer[field], "{field}");
    }
    assert_eq!(offer["system"], "linux");
    let money = r#"must be an amount of money like {"amount": "0.5", "currency": "USD"}, not a fraction"#;
    for (path, body, says) in [
        ("/admin/users/ada/budget", json!({"per_hour": 0.1}), money),
        (
            "/admin/users/ada/budget",
            json!({"machines": 1.5}),
            "must be a whole number from 0 to 4294967295, not a fraction",
        ),
        (ADAS, json!({"overlays": [{"name": "x", "off": 5}]}), "must be {\"percent\": 28.5}, or"),
        (ADAS, json!({"overlays": [{"name": "x", "off": {}}]}), "must say percent or per_hour, and not both"),
    ] {
        let no = put(&world, path, ADMIN, &body).await;
        let said = no.json["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(said.starts_with(says), "{body}: {}", no.json);
    }
}

/// Billionths of an amount on the wire.
fn nanos(money: &Value) -> i128 {
    let text = money["amount"].as_str().unwrap_or_else(|| panic!("an amount: {money}"));
    i128::from(infra_core::words::money::Money::parse_usd(text).expect("a decimal").nanos)
}

#[tokio::test]
async fn a_quote_cannot_be_worked_out_by_hand_from_what_is_offered() {
    let world = World::new().await;
    let asked = r#"{"vcpus":1,"disk_gib":100,"count":3,"duration_s":5000}"#;
    let quotes = world.post("/users/ada/quotes", "ada", asked).await.json;
    let offers = world.get("/users/ada/offerings?limit=200", "ada").await.json;
    let (quotes, offers) =
        (quotes["items"].as_array().expect("a list"), offers["items"].as_array().expect("a list"));
    assert!(!quotes.is_empty());
    for quote in quotes {
        let same = |one: &&Value| ["type", "market", "region"].iter().all(|field| one[field] == quote[field]);
        let offer = offers.iter().find(same).expect("what is quoted is offered");
        let disk = if offer["disk_gib"] == 0 { quote["disk_gib"].as_i64().expect("a number") } else { 0 };
        let each = nanos(&offer["per_hour"])
            + nanos(&offer["fee_per_hour"])
            + nanos(&offer["ipv4_hour"])
            + nanos(&offer["disk_gib_hour"]) * i128::from(disk);
        assert_eq!(nanos(&quote["machine_per_hour"]), each, "{quote} of {offer}");
        let billing = &offer["billing"];
        let whole =
            |field: &str| i128::from(billing[field].as_i64().unwrap_or_else(|| panic!("{field}: {billing}")));
        let paid_s = (5000 + whole("unit_s") - 1) / whole("unit_s") * whole("unit_s");
        let one = (each * paid_s.max(whole("min_s")) + 3599) / 3600;
        assert_eq!(nanos(&quote["total"]), 3 * one.max(nanos(&billing["min_charge"])), "{quote} of {offer}");
        assert!(billing["month_hours_max"].is_null() || billing["month_hours_max"].is_u64(), "{billing}");
        assert!(offer["local_disk_gib"].is_u64(), "{offer}");
    }
    assert!(offers.iter().any(|one| nanos(&one["disk_gib_hour"]) > 0), "the test tests disks");
}
