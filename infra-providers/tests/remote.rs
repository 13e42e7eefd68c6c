//! The same laws when the sim is served by another server, and what its control API does.

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use common::{key, print, report, subject};
use infra_core::contracts::provider::ProviderError;
use infra_core::testing::VirtualClock;
use infra_core::words::fault::{Effect, Fault};
use infra_core::{Clock, CloudDriver};
use infra_providers::sim::{RemoteSim, SimConfig, SimWorld, api_router, control_router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn served(world: SimWorld) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let router: Router = api_router(world.clone()).merge(control_router(world));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_served_sim_breaks_a_law_or_a_law_proves_nothing() {
    let fresh = async || {
        let clock = Arc::new(VirtualClock::default());
        let config = SimConfig { page: 2, ..SimConfig::small(1) };
        let url = served(SimWorld::new(config, clock.clone())).await;
        let driver = RemoteSim::open(&url, clock.clone()).await.expect("answers");
        subject(&driver, clock, "sim-east", "t3.small").await
    };
    let mut report = report("sim-remote", fresh).await;
    report.counterpart = "loopback".to_owned();
    print(&report, &["without_token_every_send_creates"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_did_nothing() {
    let clock = Arc::new(VirtualClock::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let world = SimWorld::new(SimConfig::small(1), clock.clone());
    let server = tokio::spawn(async move { axum::serve(listener, api_router(world)).await });
    let driver = RemoteSim::open(&url, clock.clone()).await.expect("answers");
    driver.identify(&key("sim-a")).await.expect("is known");
    server.abort();
    let _aborted = server.await;
    // The kept connection may die under the first call; afterwards no connection can be made.
    let _first = driver.identify(&key("sim-a")).await;
    let error = driver.identify(&key("sim-a")).await.expect_err("nobody is there");
    assert_eq!(error.effect(), Effect::NotApplied, "{error}");
}

/// A server that says what it is, then takes each request and hangs up.
async fn rude() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let second = json!({ "secs": 1, "nanos": 0 });
    let about = json!({
        "cloud": "sim", "endpoint": "", "regions": ["sim-east"], "token": null, "max_batch": 1,
        "visible_within": second, "gone_shown_for": second,
        "create_rate": [0.0, 0], "terminate_rate": [0.0, 0], "open_creates_max": 1,
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0_u8; 4096];
            let read = socket.read(&mut request).await.unwrap_or(0);
            if request[..read].starts_with(b"GET") {
                let body = about.to_string();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                let _sent = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        }
    });
    url
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_unknown() {
    let driver = RemoteSim::open(&rude().await, Arc::new(VirtualClock::default())).await.expect("answers");
    let error = driver.identify(&key("sim-a")).await.expect_err("it hangs up");
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
}

async fn ask(url: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("connects");
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n");
    let more = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    socket.write_all(format!("{head}{more}").as_bytes()).await.expect("sends");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("answers");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("has a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn control_makes_breaks_and_moves_time() {
    let clock = Arc::new(VirtualClock::default());
    let world = SimWorld::new(SimConfig::small(1), clock.clone());
    let url = served(world.clone()).await;
    let wish = json!({ "account": "ada", "region": "sim-ams", "name": "by-hand" });
    let (status, made) = ask(&url, "POST", "/sim/machines", &wish).await;
    assert_eq!(status, 201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let nowhere = json!({ "account": "ada", "region": "mars" });
    assert_eq!(ask(&url, "POST", "/sim/machines", &nowhere).await.0, 422);
    assert_eq!(ask(&url, "POST", "/sim/machines", &json!({ "surprise": 1 })).await.0, 422);

    let rules = json!([
        { "op": "identify", "times": 2, "effect": "5xx" },
        { "op": "launch", "match": { "zone": "use1-az1" }, "effect": { "slow_ms": 5 } },
    ]);
    assert_eq!(ask(&url, "POST", "/sim/rules", &rules).await.0, 204);
    let driver = RemoteSim::open(&url, clock.clone()).await.expect("answers");
    for _ in 0..2 {
        driver.identify(&key("sim-ada")).await.expect_err("the rule stands");
    }
    driver.identify(&key("sim-ada")).await.expect("the rule is used up");
    assert_eq!(world.rules().len(), 1);
    let (_, calls) = ask(&url, "GET", "/sim/calls", &Value::Null).await;
    assert_eq!(calls["counts"]["identify"], 3);

    let (before, mono) = (world.now(), world.clock().mono());
    assert_eq!(ask(&url, "POST", "/sim/tick", &json!({ "seconds": 3600 })).await.0, 200);
    assert_eq!(ask(&url, "POST", "/sim/tick", &json!({ "seconds": -1 })).await.0, 422);
    assert_eq!(world.now().duration_since(before).as_secs(), 3600);
    assert_eq!(world.clock().mono() - mono, Duration::from_secs(3600));

    assert_eq!(ask(&url, "POST", &format!("/sim/machines/{id}/end"), &Value::Null).await.0, 200);
    let (_, truth) = ask(&url, "GET", "/sim/machines", &Value::Null).await;
    assert_eq!(truth["items"][0]["state"], "ended");
    assert_eq!(truth["items"][0]["by_hand"], true);
}
