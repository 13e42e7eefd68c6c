//! The router over a memory store and a small simulated cloud, without the engine: what is accepted stays
//! `pending`, and every commit is one that a request made.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use infra_core::ReservationStore;
use infra_core::infra::Infra;
use infra_core::nouns::account::{AccessToken, TokenRole};
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::ids::UserId;
use infra_core::words::lane::Version;
use infra_core::words::secret::{MasterKey, Secret};
use infra_examples::http::{HttpOptions, router};
use infra_providers::sim::{FaultEffect, Rule, SimConfig, SimDriver, SimWorld};
use infra_store::MemoryStore;
use serde_json::Value;
use tower::ServiceExt;

/// Who calls with the admin token.
pub(crate) const ADMIN: &str = "admin";

/// A router, its store, its cloud, and the tokens of `ada` (who has a key), `ada-viewer`, `eve` and `bot`.
pub(crate) struct World {
    router: Router,
    pub(crate) infra: Infra,
    store: Arc<MemoryStore>,
    sim: SimWorld,
    tokens: Vec<(&'static str, Secret)>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// As [`Self::new`], with other options for the router.
    pub(crate) async fn with(change: impl FnOnce(&mut HttpOptions)) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(infra_core::SystemClock);
        let sim = SimWorld::new(SimConfig::small(1), clock);
        let admin = Secret::new("admin-token-of-this-test".to_owned());
        let infra = Infra::builder()
            .with_store(Arc::clone(&store) as _)
            .with_driver(Arc::new(SimDriver::new(sim.clone())))
            .with_pricing(Arc::new(infra_core::CheapestFit))
            .with_master_key(MasterKey::draw(&SystemEntropy))
            .with_home("test")
            .without_engine()
            .build()
            .await
            .expect("all parts are there");
        let operator = infra.operator();
        let mut tokens = vec![(ADMIN, admin.clone())];
        for (who, user, role) in [
            ("ada", "ada", TokenRole::User),
            ("ada-viewer", "ada", TokenRole::Viewer),
            ("eve", "eve", TokenRole::User),
            ("bot", "bot", TokenRole::Bot),
        ] {
            let user = UserId::new(user).expect("a legal name");
            if operator.get_user(&user).await.is_err() {
                operator.add_user(&user, None).await.expect("the name is free");
            }
            let (_, secret) = operator.issue_token(&user, who, role, None).await.expect("the user is there");
            tokens.push((who, secret));
        }
        // That a token was used is written beside its first request; for minutes later ones write nothing.
        for (_, secret) in tokens.iter().filter(|(who, _)| *who != ADMIN) {
            let known = operator.authenticate(secret.expose()).await.expect("memory answers");
            let principal = known.expect("it was issued just now");
            loop {
                let all = operator.tokens(&principal.user).await.expect("memory answers");
                let written =
                    |token: &AccessToken| token.id != principal.token || token.last_used_at.is_some();
                if all.iter().all(written) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let router_ = router(infra.clone(), HttpOptions::new(&admin));
        let mut world = Self { router: router_, infra: infra.clone(), store, sim, tokens };
        let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}";
        let saved = world.post("/users/ada/keys", "ada", key).await;
        assert_eq!(saved.status, StatusCode::CREATED, "{}", saved.json);
        // Connecting to the cloud for the first time may write down its lanes; later requests must not.
        let quoted = world.post("/users/ada/quotes", "ada", "{\"vcpus\":1}").await;
        assert_eq!(quoted.status, StatusCode::OK, "{}", quoted.json);
        let mut options = HttpOptions::new(&admin);
        change(&mut options);
        world.router = router(infra, options);
        world
    }

    /// Puts something before the router.
    pub(crate) fn wrap(&mut self, with: impl FnOnce(Router) -> Router) {
        self.router = with(std::mem::take(&mut self.router));
    }

    /// The router itself, to be served.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// What somebody shows.
    pub(crate) fn token(&self, who: &str) -> &str {
        self.tokens.iter().find(|(name, _)| *name == who).map_or("wrong", |(_, token)| token.expose())
    }

    /// The cloud's next call of an operation fails so.
    pub(crate) fn fail_next(&self, op: &str, effect: FaultEffect) {
        self.sim.rule(Rule::once(op, effect));
    }

    /// The store's newest commit.
    pub(crate) async fn newest(&self) -> Version {
        self.store.changes(Version::default(), Duration::ZERO).await.expect("memory answers").newest
    }

    /// How often the cloud was asked to make something, whatever came of it.
    pub(crate) fn launches(&self) -> u64 {
        self.sim.counts().get("launch").copied().unwrap_or(0)
    }

    pub(crate) async fn get(&self, path: &str, who: &str) -> Reply {
        self.send("GET", path, who, Body::empty(), &[]).await
    }

    pub(crate) async fn post(&self, path: &str, who: &str, body: &str) -> Reply {
        self.send("POST", path, who, body.to_owned(), &[]).await
    }

    /// Sends one request; an empty `who` sends no token, an unknown one a wrong token.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        who: &str,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !who.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token(who)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a well-formed request");
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("the body is in memory").to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply { status: head.status, headers: head.headers, json, text }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> &str {
        self.json["type"].as_str().unwrap_or_default().trim_start_matches("urn:infra:problem:")
    }
}
