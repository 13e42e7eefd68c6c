//! `/users/{user}/reservations`: the heart of the API.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use infra_core::infra::{
    IdempotencyKey, InfraError, ListOptions, ReleaseOutcome, ReservationView, UserHandle,
};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{Phase, Power};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::ReservationId;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, Params, if_match, one};
use super::problem::{Code, Problem};
use super::users::segment;
use super::{Shared, page, wire};

/// Names the route inside idempotency keys: the same key on another route is another key.
const ROUTE: &str = "POST reservations";

pub(super) async fn reserve(
    Writer(user): Writer,
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let wait = Params::read(&uri, &["wait"])?.wait(shared.options.wait_max)?;
    let key = one(&headers, "idempotency-key")?;
    let key = key.map(|key| IdempotencyKey::new(ROUTE, key)).transpose()?;
    let reserved = user.reserve(&request, key.as_ref()).await?;
    let view = waited(&user, &shared, reserved.view, wait).await?;
    let status = if wait.is_some() && settled(view.state) { StatusCode::OK } else { StatusCode::ACCEPTED };
    let place = format!("/users/{}/reservations/{}", segment(user.id().as_str()), view.id);
    let mut response = answer(status, &view);
    let place = HeaderValue::from_str(&place).expect("names and ids are visible ASCII");
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after", "state"])?;
    let all = match params.get("state") {
        None => false,
        Some("all") => true,
        Some(_) => {
            let limit = Some("all".to_owned());
            return Err(Problem::field(Code::OutOfRange, "?state", "may only be `all`", limit));
        }
    };
    let after = page::after(&params)?.map(ReservationId::new).transpose();
    let after = after.map_err(|_| {
        Problem::field(Code::OutOfRange, "?after", "must be the `next` of an earlier page", None)
    })?;
    let found = user.list(&ListOptions { all, limit: Some(params.limit()?), after }).await?;
    let items: Vec<Value> = found.items.iter().map(wire::reservation).collect();
    Ok(page::answer(&items, found.next.as_ref().map(ReservationId::as_str)))
}

pub(super) async fn show(
    Reader(user): Reader,
    State(shared): State<Shared>,
    Path((_, id)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let wait = Params::read(&uri, &["wait"])?.wait(shared.options.wait_max)?;
    let view = user.get(&reservation(id)?).await?;
    let view = waited(&user, &shared, view, wait).await?;
    Ok(answer(StatusCode::OK, &view))
}

/// Exactly one of these is changed at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    ends_at: Option<Timestamp>,
    power: Option<Power>,
    tags: Option<BTreeMap<String, String>>,
}

pub(super) async fn change(
    Writer(user): Writer,
    _: NoParams,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    let (id, expected) = (reservation(id)?, if_match(&headers)?);
    let view = match change {
        Change { ends_at: Some(at), power: None, tags: None } => user.extend(&id, at, expected).await,
        Change { power: Some(Power::On), ends_at: None, tags: None } => user.start(&id, expected).await,
        Change { power: Some(Power::Off), ends_at: None, tags: None } => user.stop(&id, expected).await,
        Change { tags: Some(tags), ends_at: None, power: None } => user.set_tags(&id, &tags, expected).await,
        Change { ends_at: None, power: None, tags: None } => {
            let message = "one of ends_at, power, tags is required";
            return Err(Problem::field(Code::WrongType, "body", message, None));
        }
        _ => {
            let message = "only one of ends_at, power, tags is changed at a time";
            return Err(Problem::field(Code::OutOfRange, "body", message, Some("1".to_owned())));
        }
    }?;
    Ok(answer(StatusCode::OK, &view))
}

/// 202 as long as it is ending, so that a client whose answer was lost may ask again; 410 when it is over.
pub(super) async fn release(
    Writer(user): Writer,
    _: NoParams,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    match user.release(&reservation(id)?).await? {
        ReleaseOutcome::Releasing(view) => Ok(answer(StatusCode::ACCEPTED, &view)),
        ReleaseOutcome::AlreadyOver(view) => {
            Err(InfraError::Released { id: view.id.clone(), phase: view.state }.into())
        }
    }
}

/// Waits as long as the caller wants, but not beyond the server's own end.
async fn waited(
    user: &UserHandle,
    shared: &Shared,
    view: ReservationView,
    wait: Option<Duration>,
) -> Result<ReservationView, Problem> {
    let Some(wait) = wait.filter(|_| !settled(view.state)) else { return Ok(view) };
    let stopping = async {
        match &shared.options.stop {
            Some(stop) => stop.told().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        waited = user.wait(&view.id, wait) => Ok(waited?),
        () = stopping => Ok(user.get(&view.id).await?),
    }
}

/// Nothing more will come of waiting.
const fn settled(state: Phase) -> bool {
    matches!(state, Phase::Ready | Phase::Stopped | Phase::Failed | Phase::Released)
}

fn answer(status: StatusCode, view: &ReservationView) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", view.version)).expect("a number in quotes");
    (status, [(header::ETAG, tag)], Answer(wire::reservation(view))).into_response()
}

/// An id that no reservation can have is a reservation that is not there.
fn reservation(id: String) -> Result<ReservationId, Problem> {
    ReservationId::new(id).map_err(|_| Problem::not_found())
}
