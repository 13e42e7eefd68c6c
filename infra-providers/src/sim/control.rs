//! Hands on the world over HTTP, for demonstrations and process tests.
//!
//! | request | does |
//! |---|---|
//! | `GET /sim/machines` | the truth: `{items: [...]}`, every kind, ended ones too |
//! | `POST /sim/machines {account, region, zone?, type?, name?, tags?}` | makes one by hand: 201 `{id}` |
//! | `POST /sim/machines/{id}/{vanish, end, strip-marks, copy-marks}` | the same hands as [`SimWorld`]'s: 200 `{id}` |
//! | `GET /sim/calls` | `{counts: {op: n}, calls: [...]}`, the last 1,000 calls |
//! | `GET`, `POST`, `DELETE /sim/rules` | the standing fault rules; adds an array of them; forgets all |
//! | `POST /sim/tick {seconds}` | time passes at once, for all who share the world's clock: `{now}` |
//!
//! Whoever mounts this wraps it with authentication.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use infra_core::words::ids::ResourceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::hands::HandMade;
use super::rules::Rule;
use super::world::SimWorld;

/// Calls shown one by one.
const CALLS_SHOWN: usize = 1_000;
/// Longest time that one tick may pass: ten years.
const TICK_MAX_S: f64 = 315_360_000.0;
/// Rules that may stand at once.
const RULES_MAX: usize = 1_000;

/// The control API, without authentication.
pub fn control_router(world: SimWorld) -> Router {
    Router::new()
        .route("/sim/machines", get(machines).post(make))
        .route("/sim/machines/{id}/{hand}", post(hand))
        .route("/sim/calls", get(calls))
        .route("/sim/rules", get(rules).post(add_rules).delete(clear_rules))
        .route("/sim/tick", post(tick))
        .with_state(world)
}

async fn machines(State(world): State<SimWorld>) -> Json<Value> {
    Json(json!({ "items": world.truth() }))
}

async fn make(
    State(world): State<SimWorld>,
    Json(wish): Json<HandMade>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let id = world.make_by_hand(wish).ok_or(StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn hand(
    State(world): State<SimWorld>,
    Path((id, hand)): Path<(ResourceId, String)>,
) -> Result<Json<Value>, StatusCode> {
    let touched = match hand.as_str() {
        "vanish" => world.vanish(&id).then_some(id),
        "end" => world.end_by_hand(&id).then_some(id),
        "strip-marks" => world.strip_marks(&id).then_some(id),
        "copy-marks" => world.copy_marks(&id),
        _ => None,
    };
    touched.map(|id| Json(json!({ "id": id }))).ok_or(StatusCode::NOT_FOUND)
}

async fn calls(State(world): State<SimWorld>) -> Json<Value> {
    let calls = world.calls();
    let shown = &calls[calls.len().saturating_sub(CALLS_SHOWN)..];
    Json(json!({ "counts": world.counts(), "calls": shown }))
}

async fn rules(State(world): State<SimWorld>) -> Json<Vec<Rule>> {
    Json(world.rules())
}

async fn add_rules(State(world): State<SimWorld>, Json(new): Json<Vec<Rule>>) -> StatusCode {
    if world.rules().len() + new.len() > RULES_MAX {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    for rule in new {
        world.rule(rule);
    }
    StatusCode::NO_CONTENT
}

async fn clear_rules(State(world): State<SimWorld>) -> StatusCode {
    world.clear_rules();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tick {
    seconds: f64,
}

async fn tick(State(world): State<SimWorld>, Json(tick): Json<Tick>) -> Result<Json<Value>, StatusCode> {
    if !(0.0..=TICK_MAX_S).contains(&tick.seconds) {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    world.tick(Duration::from_secs_f64(tick.seconds));
    Ok(Json(json!({ "now": world.now() })))
}
