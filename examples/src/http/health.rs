//! Is the process alive, may it work, and what happened to its store?

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json as Answer, Router};
use infra_core::infra::Status;
use infra_core::nouns::installation::{Frozen, Recovery};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::auth::Admin;
use super::extract::{Json, NoParams};
use super::problem::{Code, Problem};

/// A store that takes longer is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

async fn alive() -> Answer<Value> {
    Answer(json!({"status": "ok"}))
}

/// 200 when the store answers and nothing is frozen; 503 with the reason otherwise.
async fn ready(State(shared): State<Shared>) -> Result<Answer<Value>, Problem> {
    let operator = shared.infra.operator();
    let status = tokio::select! {
        status = operator.status() => status?,
        () = shared.options.clock.sleep(READY_WITHIN) => {
            return Err(Problem::new(Code::Unavailable, "the store does not answer in time"));
        }
    };
    match &status.frozen {
        None => Ok(Answer(json!({"status": "ready"}))),
        Some(frozen) => {
            let how = "POST /admin/recover {\"what\": \"moved\" | \"clone\" | \"restored\"}";
            Err(Problem::new(Code::Unavailable, format!("frozen: {}; say what happened: {how}", why(frozen))))
        }
    }
}

fn why(frozen: &Frozen) -> String {
    match frozen {
        Frozen::Elsewhere { .. } => "the store was opened at another place than where it lives".to_owned(),
        Frozen::OlderThanCloud { seen, newest, .. } => {
            format!("a cloud shows mark {seen}, newer than the store's newest commit {newest}")
        }
    }
}

pub(super) async fn status(Admin(operator): Admin, _: NoParams) -> Result<Answer<Value>, Problem> {
    Ok(Answer(shown(&operator.status().await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recover {
    what: Recovery,
}

/// Says what happened to a frozen store, and thaws it.
pub(super) async fn recover(
    Admin(operator): Admin,
    _: NoParams,
    Json(body): Json<Recover>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(shown(&operator.recover(body.what).await?)))
}

fn shown(status: &Status) -> Value {
    let mut shown = json!(status);
    // The shapes of brakes and lanes are those of their own paths.
    shown["switches"] = status.switches.iter().map(super::wire::brake).collect();
    for (lane, known) in status.lanes.iter().enumerate() {
        shown["lanes"][lane]["id"] = json!(known.lane.id());
        shown["lanes"][lane]["switch"] = known.switch.as_ref().map_or(Value::Null, super::wire::brake);
    }
    shown
}
