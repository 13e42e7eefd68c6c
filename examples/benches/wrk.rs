//! What a request costs beyond HTTP itself: wrk on a `GET` and a `POST` of the API, beside empty handlers behind the same
//! listener, in one run. The reservations are durable (SQLite); the engine is off, so that only the front end is measured.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::get;
use infra_core::infra::{Infra, NewKey};
use infra_core::nouns::account::TokenRole;
use infra_core::nouns::request::Request;
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::ids::{CloudName, UserId};
use infra_core::words::limits::Limits;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, SystemClock};
use infra_examples::http::{HttpOptions, router};
use infra_examples::server::{Door, Stop, serve};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld};
use infra_store::SqliteStore;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Four runs of so many seconds.
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 16;

/// One served router; it ends with the value.
struct Served {
    address: String,
    _tell: watch::Sender<bool>,
}

impl Served {
    async fn new(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (tell, told) = watch::channel(false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        tokio::spawn(serve(listener, routes, Door::default(), Stop::new(told), clock));
        Self { address, _tell: tell }
    }
}

/// Runs wrk; requests per second. An answer that is not a success makes the figure void.
async fn wrk(folder: &Path, served: &Served, method: &str, path: &str, token: &str, body: &str) -> f64 {
    let script = folder.join(format!("{method}.lua"));
    let text = format!(
        "wrk.method = \"{method}\"\nwrk.headers[\"authorization\"] = \"Bearer {token}\"\nwrk.body = '{body}'\n"
    );
    std::fs::write(&script, text).expect("the folder is ours");
    let url = format!("http://{}{path}", served.address);
    let run = move || {
        Command::new("wrk")
            .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), "-s"])
            .arg(script)
            .arg(url)
            .output()
            .expect("wrk runs: the stage looked for it")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("Non-2xx"), "{method} {path}: {said}");
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    line.and_then(|rate| rate.trim().parse().ok()).unwrap_or_else(|| panic!("no rate in {said}"))
}

/// The API over a store in a folder, with a user who may hold much, and one reservation; its token and path.
async fn api(folder: &Path) -> (Router, Infra, String, String) {
    let world = SimWorld::new(SimConfig::small(1), Arc::new(SystemClock));
    let mut limits = Limits::default();
    limits.machines_max = 1_000_000;
    let infra = Infra::builder()
        .with_store(Arc::new(SqliteStore::open(folder.join("store")).expect("the folder is ours")))
        .with_driver(Arc::new(SimDriver::new(world)))
        .with_limits(limits)
        .with_master_key(MasterKey::draw(&SystemEntropy))
        .with_home("a bench")
        .without_engine()
        .build()
        .await
        .expect("all parts are there");
    let ada = UserId::new("ada").expect("legal");
    infra.operator().add_user(&ada, None).await.expect("the name is free");
    let issued = infra.operator().issue_token(&ada, "bench", TokenRole::User, None).await;
    let (_, token) = issued.expect("the user is there");
    let user = infra.user(&ada);
    user.save_key(&NewKey {
        provider: CloudName::new("sim").expect("legal"),
        label: "default".into(),
        kind: "static".into(),
        fields: [("token".into(), Secret::new("sim-bench".into()))].into(),
    })
    .await
    .expect("the simulator takes it");
    let mut need = Request::default();
    (need.vcpus, need.duration_s) = (Some(1.0), Some(3600));
    let reserved = user.reserve(&need, None).await.expect("it fits");
    let path = format!("/users/ada/reservations/{}", reserved.view.id);
    let admin = Secret::new("the-admin-of-a-bench".to_owned());
    (router(infra.clone(), HttpOptions::new(&admin)), infra, token.expose().to_owned(), path)
}

fn line(name: &str, value: f64, baseline: f64) {
    let ratio = value / baseline.max(f64::MIN_POSITIVE);
    println!("BENCH name={name} value={value:.0} unit=req/s baseline={baseline:.0} ratio={ratio:.3}");
}

#[tokio::main]
async fn main() {
    let folder: PathBuf = std::env::temp_dir().join(format!("infra-wrk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let empty = get(|| async { StatusCode::OK }).post(|_: Bytes| async { StatusCode::ACCEPTED });
    let empty = Served::new(Router::new().route("/", empty)).await;
    let (routes, infra, token, path) = api(&folder).await;
    let served = Served::new(routes).await;
    let body = "{\"vcpus\":1,\"duration_s\":3600}";
    let nothing = wrk(&folder, &empty, "GET", "/", &token, "").await;
    let got = wrk(&folder, &served, "GET", &path, &token, "").await;
    line("http_get_reservation", got, nothing);
    let nothing = wrk(&folder, &empty, "POST", "/", &token, body).await;
    let posted = wrk(&folder, &served, "POST", "/users/ada/reservations", &token, body).await;
    line("http_post_reservation_durable", posted, nothing);
    infra.shutdown().await;
    let _best_effort = std::fs::remove_dir_all(&folder);
}
