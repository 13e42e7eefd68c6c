//! Is the process alive, may it work, and what happened to its store?

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use infra_core::infra::Condition;
use infra_core::nouns::installation::Frozen;
use tokio::sync::Mutex;

use super::Shared;
use super::auth::Admin;
use super::extract::{Json, NoParams};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::{Health, Readiness, Recover, Status};

/// Parts that take longer are not ready.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// Whoever asks more often is answered from the last time: asking is open to everybody.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// What was found the last time, and when: one asks at a time.
#[derive(Debug, Default)]
pub(super) struct Cached(Mutex<Option<(Duration, infra_core::infra::Health)>>);

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = tag::SERVICE,
    operation_id = "alive",
    responses((status = 200, body = Health, description = "It is.")),
    security(())
)]
pub(super) async fn alive() -> Answer<Health> {
    Answer(Health { status: "ok".to_owned() })
}

/// May requests be sent here?
///
/// Every part with its condition, within 15 s: the store, the engine, the clouds, the events that are to be told. 503 with
/// the reason while the store does not answer or is frozen, the engine stands still, or events wait for longer than a
/// minute. A cloud in trouble is `degraded`: the others work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = tag::SERVICE,
    operation_id = "ready",
    responses((status = 200, body = Readiness, description = "They may.")),
    security(())
)]
pub(super) async fn ready(State(shared): State<Shared>) -> Result<Answer<Readiness>, Problem> {
    let health = tokio::select! {
        health = health(&shared) => health?,
        () = shared.options.clock.sleep(READY_WITHIN) => {
            return Err(Problem::new(Code::Unavailable, "the store does not answer in time"));
        }
    };
    if health.is_ready() {
        let prices = shared.options.prices.as_ref().map(|book| book.ages()).unwrap_or_default();
        return Ok(Answer(Readiness::new(&health, prices)));
    }
    if let Some(frozen) = &health.frozen {
        let how = "POST /admin/recover {\"what\": \"moved\" | \"clone\" | \"restored\"}";
        return Err(Problem::new(
            Code::Unavailable,
            format!("frozen: {}; say what happened: {how}", why(frozen)),
        ));
    }
    let parts = [
        ("store", &health.store),
        ("engine", &health.engine),
        ("lanes", &health.lanes),
        ("events", &health.events),
    ];
    let down = parts.iter().filter(|(_, part)| part.condition == Condition::Down);
    let said: Vec<String> = down.map(|(name, part)| format!("{name}: {}", part.detail)).collect();
    Err(Problem::new(Code::Unavailable, said.join("; ")))
}

/// Asks every part, at most once a second whoever asks.
async fn health(shared: &Shared) -> Result<infra_core::infra::Health, Problem> {
    let mut cached = shared.ready.0.lock().await;
    let now = shared.options.clock.mono();
    if let Some((_, health)) = cached.as_ref().filter(|(at, _)| now < *at + ASKED_EVERY) {
        return Ok(health.clone());
    }
    let health = shared.infra.operator().health().await?;
    *cached = Some((now, health.clone()));
    Ok(health)
}

fn why(frozen: &Frozen) -> String {
    match frozen {
        Frozen::Elsewhere { .. } => "the store was opened at another place than where it lives".to_owned(),
        Frozen::OlderThanCloud { seen, newest, .. } => {
            format!("a cloud shows mark {seen}, newer than the store's newest commit {newest}")
        }
    }
}

/// Show what is known of the installation
#[utoipa::path(
    get,
    path = "/admin/status",
    tag = tag::OPERATION,
    operation_id = "showStatus",
    responses((status = 200, body = Status, description = "As it is now."))
)]
pub(super) async fn status(Admin(operator): Admin, _: NoParams) -> Result<Answer<Status>, Problem> {
    Ok(Answer(Status::from(&operator.status().await?)))
}

/// Say what happened to a frozen store, and thaw it
///
/// `moved`: this is the one store, at a new place. `clone`: a copy; it forgets its keys and lets go of everything,
/// which cannot be undone. `restored`: an older backup; no deadline fires for a day.
#[utoipa::path(
    post,
    path = "/admin/recover",
    tag = tag::OPERATION,
    operation_id = "recover",
    params(super::wire::Idempotency),
    request_body = Recover,
    responses((status = 200, body = Status, description = "Thawed.")),
    extensions(("x-codes" = json!(["conflict", "busy", "idempotency-mismatch"])))
)]
pub(super) async fn recover(
    Admin(operator): Admin,
    State(shared): State<Shared>,
    _: NoParams,
    Json(body): Json<Recover>,
) -> Result<Answer<Status>, Problem> {
    let recovered = operator.recover(body.what).await?;
    // What was known of the parts is over.
    *shared.ready.0.lock().await = None;
    Ok(Answer(Status::from(&recovered)))
}
