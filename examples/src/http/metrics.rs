//! `/metrics`: what the engine does, in numbers.
//!
//! # Guarantees
//! * No user, reservation, lease, account or request is a label: a metric says how much, never whose.
//! * A scrape reads nothing: everything is counted as it happens, or by the shards as they plan.
//! * It is closed unless somebody opens it: what runs where is nobody's business by default. The admin's token opens it,
//!   a token for this path alone does, too (a scraper should not hold a token that opens everything), and an operator
//!   whose network is private may open it to all.
//!
//! # Caveats
//! Figures are this process's: over several replicas they are summed. Metrics of devices and leases are absent as long
//! as there are no pools.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use infra_core::contracts::observer::{CallOutcome, Observer, Op, Tally};
use infra_core::words::clock::{Clock, Timestamp, between};
use infra_core::words::fault::FaultKind;
use infra_core::words::lane::Lane;
use infra_providers::prices::PriceBook;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Shared;
use super::auth;
use super::extract::NoParams;
use super::openapi::tag;
use super::problem::{Code, Problem};

/// What a scrape is answered as.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Buckets for calls over a network, seconds.
const CALL_SECONDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets for commits to a local store, seconds.
const COMMIT_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];
/// Buckets for waiting at a limiter, seconds.
const WAIT_SECONDS: [f64; 9] = [0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

type Labels<const N: usize> = [(&'static str, String); N];
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// All metrics of one installation: an [`Observer`], and the text that it comes to. Nothing is global.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    clock: Arc<dyn Clock>,
    reservations: Family<Labels<1>, Gauge>,
    units: Family<Labels<1>, Gauge>,
    divergence: Gauge<f64, AtomicU64>,
    calls: Family<Labels<3>, Counter>,
    call_seconds: Histograms<2>,
    limiter_wait: Histogram,
    breaker_open: Family<Labels<2>, Gauge>,
    droppings: Gauge,
    commit_seconds: Histogram,
    price_age: Family<Labels<3>, Gauge<f64, AtomicU64>>,
    price_failures: Family<Labels<3>, Gauge>,
    prices: Option<Arc<PriceBook>>,
    heard: Mutex<Heard>,
}

/// What gauges are computed from.
#[derive(Debug, Default)]
struct Heard {
    diverged_at: Option<Timestamp>,
    /// Several lanes (accounts) stand in one region.
    open: BTreeMap<String, (Labels<2>, bool)>,
    droppings: BTreeMap<String, u64>,
}

impl Metrics {
    /// All at zero. The clock is the engine's: how long something lasts is measured by it.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            clock,
            reservations: Family::default(),
            units: Family::default(),
            divergence: Gauge::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| Histogram::new(CALL_SECONDS)),
            limiter_wait: Histogram::new(WAIT_SECONDS),
            breaker_open: Family::default(),
            droppings: Gauge::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            price_age: Family::default(),
            price_failures: Family::default(),
            prices: None,
            heard: Mutex::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("infra_reservations", "Open reservations by state", self.reservations.clone());
        registry.register("infra_units", "Machines wanted, there, being made", self.units.clone());
        let about = "How long the reservation that differs from its wish for longest has done so";
        registry.register("infra_divergence_seconds", about, self.divergence.clone());
        registry.register("infra_provider_calls", "Calls to clouds", self.calls.clone());
        registry.register("infra_provider_call_seconds", "What they took", self.call_seconds.clone());
        let about = "How long calls waited for their lane's rate";
        registry.register("infra_limiter_wait_seconds", about, self.limiter_wait.clone());
        registry.register("infra_breaker_open", "1 while a breaker is open there", self.breaker_open.clone());
        registry.register("infra_droppings", "Marked things without a record", self.droppings.clone());
        registry.register("infra_store_commit_seconds", "What commits took", self.commit_seconds.clone());
        let about = "How old the prices in use are, by the source's own date";
        registry.register("infra_price_age_seconds", about, self.price_age.clone());
        let about = "Failures to read prices since the last success";
        registry.register("infra_price_failures", about, self.price_failures.clone());
        self
    }

    /// Shows the ages of these prices, too.
    #[must_use]
    pub fn with_prices(self, prices: Arc<PriceBook>) -> Self {
        Self { prices: Some(prices), ..self }
    }

    /// Everything as text, as of now.
    #[must_use]
    pub fn render(&self) -> String {
        let now = self.clock.wall();
        let diverged_at = self.with(|heard| heard.diverged_at);
        self.divergence.set(diverged_at.map_or(0.0, |since| between(since, now).as_secs_f64()));
        for age in self.prices.iter().flat_map(|book| book.ages()) {
            let labels = [
                ("provider", age.cloud.to_string()),
                ("region", age.region.to_string()),
                ("feed", age.feed.to_owned()),
            ];
            self.price_failures.get_or_create(&labels).set(number(age.failures.into()));
            if let Some(seconds) = age.age {
                self.price_age.get_or_create(&labels).set(seconds.as_secs_f64());
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }

    fn with<T>(&self, work: impl FnOnce(&mut Heard) -> T) -> T {
        work(&mut self.heard.lock().expect("no panic under this lock"))
    }
}

/// States that a reservation which is not over can be in: each is always there, so that a graph falls to zero.
const STATES: [&str; 8] =
    ["pending", "creating", "ready", "stopping", "stopped", "starting", "releasing", "failed"];

impl Observer for Metrics {
    fn provider_call(&self, lane: &Lane, op: Op, outcome: CallOutcome, took: Duration) {
        let (provider, op) = (lane.cloud.to_string(), op.word().to_owned());
        let labels =
            [("provider", provider.clone()), ("op", op.clone()), ("outcome", outcome.word().to_owned())];
        self.calls.get_or_create(&labels).inc();
        let seconds = self.call_seconds.get_or_create(&[("provider", provider), ("op", op)]).clone();
        seconds.observe(took.as_secs_f64());
    }

    fn limiter_wait(&self, _: &Lane, waited: Duration) {
        self.limiter_wait.observe(waited.as_secs_f64());
    }

    fn breaker(&self, lane: &Lane, open: bool) {
        let labels = [("provider", lane.cloud.to_string()), ("region", lane.region.to_string())];
        let any = self.with(|heard| {
            heard.open.insert(lane.id().0, (labels.clone(), open));
            heard.open.values().any(|(there, open)| *there == labels && *open)
        });
        self.breaker_open.get_or_create(&labels).set(i64::from(any));
    }

    fn listed(&self, _: &Lane, _: bool) {}

    fn droppings(&self, lane: &Lane, count: u64) {
        let all: u64 = self.with(|heard| {
            heard.droppings.insert(lane.id().0, count);
            heard.droppings.values().sum()
        });
        self.droppings.set(number(all));
    }

    fn store_commit(&self, _: Option<FaultKind>, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    fn turned(&self, tally: &Tally) {
        let counted: BTreeMap<String, u64> =
            tally.reservations.iter().map(|(at, n)| (word(at), *n)).collect();
        for state in STATES {
            let count = counted.get(state).copied().unwrap_or(0);
            self.reservations.get_or_create(&[("state", state.to_owned())]).set(number(count));
        }
        for (kind, count) in [("want", tally.want), ("have", tally.have), ("building", tally.building)] {
            self.units.get_or_create(&[("state", kind.to_owned())]).set(number(count));
        }
        self.with(|heard| heard.diverged_at = tally.diverged_at);
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The wire word of a phase.
fn word(phase: &infra_core::nouns::reservation::Phase) -> String {
    let word = serde_json::to_value(phase).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Metrics, as Prometheus reads them
///
/// For the admin's token, or for a token of its own, or open to everybody, as the operator says.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = tag::SERVICE,
    operation_id = "metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "In the OpenMetrics text format."))
)]
pub(super) async fn metrics(
    State(shared): State<Shared>,
    _: NoParams,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !shared.options.metrics_open && !auth::may_scrape(&headers, &shared.options) {
        let why = "metrics are for the admin's token or the scraper's";
        let shown = auth::shows_a_token(&headers);
        return Err(if shown { Problem::new(Code::Forbidden, why) } else { auth::unauthenticated() });
    }
    let Some(metrics) = &shared.options.metrics else { return Err(Problem::not_found()) };
    let text = metrics.render();
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
