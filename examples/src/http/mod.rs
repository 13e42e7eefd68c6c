//! The REST API as an axum [`Router`] that any program can mount.
//!
//! # Flow
//! One outermost layer gives every request an id, bounds how many run and for how long, turns every failure into
//! `application/problem+json`, and logs one line. Handlers read strictly, call the [`Infra`] handle, and write.
//!
//! # Guarantees
//! * A request that is refused has stored nothing and launched nothing.
//! * Somebody else's id, somebody else's path and a missing id look the same: 404.
//! * No header and no body is ever logged; a log line carries the route's template, not the path.
//!
//! # Caveats
//! The router speaks plain HTTP and trusts whoever mounts it with TLS and with the size of request heads.

mod auth;
mod brakes;
mod budgets;
mod edge;
mod extract;
mod health;
mod history;
mod keys;
mod metrics;
mod offerings;
mod openapi;
mod page;
mod places;
mod problem;
mod profile;
mod proxies;
mod quotes;
mod rates;
mod refuse;
mod reservations;
mod shares;
mod sim_control;
mod teams;
mod templates;
mod tokens;
mod usage;
mod users;
mod whoami;
pub mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use infra_core::infra::Infra;
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::{Entropy, SystemEntropy};
use infra_core::words::secret::{Secret, digest};
use infra_providers::prices::PriceBook;
use utoipa::openapi::{ComponentsBuilder, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use metrics::Metrics;
pub use openapi::additive::broken_promises;
pub use openapi::{error_catalogue, openapi};
pub use problem::{Code, FieldProblem, Problem};
pub use proxies::{Block, ProxyHeader, TrustedProxies};
pub use rates::{Peer, RateLimits};

use self::places::Places;
use crate::server::Stop;

/// How the router behaves. Every limit has a name and a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Digest of the admin token; the token itself is not kept.
    admin: String,
    /// Largest body, bytes.
    pub body_bytes_max: usize,
    /// A whole body must arrive within this time.
    pub body_within: Duration,
    /// Requests at once; more are told to come back.
    pub in_flight_max: usize,
    /// Of them, those of one access token.
    pub token_in_flight_max: usize,
    /// Longest `?wait=`.
    pub wait_max: Duration,
    /// Any answer must be ready within this time, waiting not counted.
    pub answer_within: Duration,
    /// Who waits at once, by `?wait=` and by streams of events; more are told to come back.
    pub waits_max: usize,
    /// Of them, those of one access token.
    pub token_waits_max: usize,
    /// A stream asks so often whether its token still counts, and says something so often at least.
    pub stream_recheck: Duration,
    /// A stream ends after so long; its reader goes on where it stopped.
    pub stream_for: Duration,
    /// Whose ages `/readyz` shows; none when not said.
    pub prices: Option<Arc<PriceBook>>,
    /// What `/metrics` shows; nothing is there when not said.
    pub metrics: Option<Arc<Metrics>>,
    /// Digest of a token that opens `/metrics` alone.
    metrics_token: Option<String>,
    /// Is `/metrics` open to everybody who reaches it?
    pub metrics_open: bool,
    /// How often callers may ask; nobody is limited unless said.
    pub rates: RateLimits,
    /// Proxies that say for whom they ask; nobody is believed unless said.
    pub proxies: TrustedProxies,
    /// The buckets themselves, made with the router.
    meter: Arc<rates::Rates>,
    /// Told when the server stops: whoever waits is answered at once.
    pub stop: Option<Stop>,
    /// Where waiting gets its time from.
    pub clock: Arc<dyn Clock>,
    /// Where request ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// The simulator's control routes (`/sim/...`), served to the admin alone.
    pub sim_control: Option<Router>,
}

impl HttpOptions {
    /// The defaults, with the token that opens every path.
    #[must_use]
    pub fn new(admin_token: &Secret) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self {
            admin: digest(admin_token.expose().as_bytes()),
            body_bytes_max: 1024 * 1024,
            body_within: Duration::from_secs(10),
            in_flight_max: 512,
            token_in_flight_max: 128,
            wait_max: Duration::from_secs(600),
            answer_within: Duration::from_secs(120),
            waits_max: 256,
            token_waits_max: 64,
            stream_recheck: Duration::from_secs(10),
            stream_for: Duration::from_secs(3600),
            prices: None,
            metrics: None,
            metrics_token: None,
            metrics_open: false,
            rates: RateLimits::OPEN,
            proxies: TrustedProxies::default(),
            meter: Arc::new(rates::Rates::new(RateLimits::OPEN, Arc::clone(&clock))),
            stop: None,
            clock,
            entropy: Arc::new(SystemEntropy),
            sim_control: None,
        }
    }

    /// A token that opens `/metrics` and nothing else; only its digest is kept.
    #[must_use]
    pub fn with_metrics_token(mut self, token: &Secret) -> Self {
        self.metrics_token = Some(digest(token.expose().as_bytes()));
        self
    }
}

impl HttpOptions {
    fn room(&self) -> Arc<Places> {
        Places::new("requests", self.in_flight_max, self.token_in_flight_max)
    }

    /// Makes the buckets, now that clock and rates are settled.
    fn settled(mut self) -> Arc<Self> {
        self.meter = Arc::new(rates::Rates::new(self.rates, Arc::clone(&self.clock)));
        Arc::new(self)
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("body_bytes_max", &self.body_bytes_max)
            .field("in_flight_max", &self.in_flight_max)
            .field("wait_max", &self.wait_max)
            .field("sim_control", &self.sim_control.is_some())
            .finish_non_exhaustive()
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
struct Shared {
    infra: Infra,
    options: Arc<HttpOptions>,
    room: Arc<Places>,
    waits: Arc<Places>,
    ready: Arc<health::Cached>,
}

/// The REST API over an installation.
pub fn router(infra: Infra, mut options: HttpOptions) -> Router {
    let room = options.room();
    let sim = options.sim_control.take();
    let waits = Places::new("waits and streams", options.waits_max, options.token_waits_max);
    let shared = Shared { infra, room, waits, ready: Arc::default(), options: options.settled() };
    let mut routes = api().split_for_parts().0.merge(openapi::page());
    if let Some(sim) = sim {
        routes = routes.merge(sim_control::guarded(sim, &shared));
    }
    let layer = axum::middleware::from_fn_with_state(shared.clone(), edge::edge);
    routes
        .fallback(edge::no_path)
        .method_not_allowed_fallback(edge::no_method)
        .layer(layer)
        .with_state(shared)
}

/// A router beside the API (the simulator alone, for one) behind the same admin token and the same outer layer.
pub fn admin_only(inner: Router, open: Router, options: HttpOptions) -> Router {
    let room = options.room();
    let edge = edge::Bare { options: options.settled(), room };
    let guard = axum::middleware::from_fn_with_state(Arc::clone(&edge.options), sim_control::guard_bare);
    let layer = axum::middleware::from_fn_with_state(edge, edge::bare);
    open.merge(inner.layer(guard))
        .fallback(edge::no_path)
        .method_not_allowed_fallback(edge::no_method)
        .layer(layer)
}

/// Every documented route. A route is documented by being here: handler, schema and path are one thing.
fn api() -> OpenApiRouter<Shared> {
    // No handler answers it by itself: problems are written by the outermost layer.
    let mut schemas = vec![(wire::ProblemBody::name().into_owned(), wire::ProblemBody::schema())];
    wire::ProblemBody::schemas(&mut schemas);
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    let document = OpenApiBuilder::new().components(Some(components)).build();
    OpenApiRouter::with_openapi(document).merge(admin()).merge(user()).merge(service())
}

fn admin() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(users::add, users::list))
        .routes(routes!(users::show, users::change, users::remove))
        .routes(routes!(users::issue, users::tokens))
        .routes(routes!(users::revoke))
        .routes(routes!(teams::transfer))
        .routes(routes!(teams::list))
        .routes(routes!(teams::show, teams::set, teams::remove))
        .routes(routes!(budgets::show_user, budgets::set_user))
        .routes(routes!(budgets::show_team, budgets::set_team))
        .routes(routes!(brakes::show, brakes::throw))
        .routes(routes!(brakes::lift_hold))
        .routes(routes!(health::status))
        .routes(routes!(health::recover))
}

fn user() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(keys::save, keys::list))
        .routes(routes!(keys::remove))
        .routes(routes!(quotes::quote))
        .routes(routes!(offerings::list))
        .routes(routes!(usage::show))
        .routes(routes!(budgets::of_user))
        .routes(routes!(budgets::overlays))
        .routes(routes!(budgets::show_team_overlays, budgets::set_team_overlays))
        .routes(routes!(reservations::reserve, reservations::list))
        .routes(routes!(reservations::show, reservations::change, reservations::release))
        .routes(routes!(history::list))
        .routes(routes!(history::events))
        .routes(routes!(history::access))
        .routes(routes!(shares::list))
        .routes(routes!(shares::give, shares::take))
        .routes(routes!(templates::save, templates::list))
        .routes(routes!(templates::save_under, templates::show, templates::remove))
        .routes(routes!(templates::relaunch))
        .routes(routes!(profile::show, profile::set))
        .routes(routes!(tokens::issue, tokens::list))
        .routes(routes!(tokens::revoke))
}

fn service() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(whoami::show))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::document))
}
