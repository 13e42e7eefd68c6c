//! Serves a world to other processes: one JSON call per request.
//!
//! `GET /sim/api/about` says what kind of cloud it is; `POST /sim/api/<op>` takes a call. The answer is always 200
//! with `{"Ok": ...}` or `{"Err": ...}`: another status comes from something in between, and means nothing is known.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use infra_core::contracts::provider::TokenScope;
use infra_core::words::limits::Rate;

use super::wire::{Answer, Asked, Hello, Port, WireError};
use super::world::SimWorld;

/// The sim's own API, to be merged into a server. A call carries its key; there is no other protection, so it
/// listens on loopback.
pub fn api_router(world: SimWorld) -> Router {
    Router::new().route("/sim/api/about", get(about)).route("/sim/api/{op}", post(call)).with_state(world)
}

async fn about(State(world): State<SimWorld>) -> Json<Hello> {
    let config = world.config();
    let rate = |rate: Rate| (rate.per_second, rate.burst);
    Json(Hello {
        cloud: config.cloud.clone(),
        endpoint: config.endpoint.clone(),
        regions: config.regions.iter().map(|region| region.name.clone()).collect(),
        token: match config.token {
            TokenScope::None => None,
            TokenScope::Token { valid_after_end, per_zone } => Some((valid_after_end, per_zone)),
        },
        max_batch: config.max_batch,
        visible_within: config.visible_within,
        gone_shown_for: config.gone_shown_for,
        create_rate: rate(config.create_rate),
        terminate_rate: rate(config.terminate_rate),
        open_creates_max: config.open_creates_max,
    })
}

async fn call(
    State(world): State<SimWorld>,
    Path(op): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<Json<Result<Answer, WireError>>, StatusCode> {
    // The path is what proxies and logs go by: it must not say anything else than the call.
    if op != asked.call.op() {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Json(world.call(asked).await.map_err(|error| WireError::from(&error))))
}
