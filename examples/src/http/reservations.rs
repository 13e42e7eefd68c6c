//! `/users/{user}/reservations`: the heart of the API.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use infra_core::infra::{InfraError, ListOptions, ReleaseOutcome, ReservationView, UserHandle};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{Phase, Power};
use infra_core::words::ids::ReservationId;
use std::time::Duration;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, Params, if_match};
use super::openapi::tag;
use super::places::Place;
use super::problem::{Code, Problem};
use super::users::segment;
use super::wire::{Change, Page};
use super::{Shared, page, wire};

/// Reserve capacity
///
/// Answers at once, and the engine makes it so; with `?wait=` the answer waits until it is ready, has failed, or the
/// time is over.
#[utoipa::path(
    post,
    path = "/users/{user}/reservations",
    tag = tag::RESERVATIONS,
    operation_id = "reserve",
    params(wire::OfUser, wire::Wait, wire::Idempotency, wire::Acting),
    request_body = Request,
    responses((status = 202, body = wire::Reservation, description = "Accepted.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version; send it back in `If-Match`."))), (status = 200, body = wire::Reservation, description = "It is ready, or has failed: only with `?wait=`.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["over-budget", "paused", "suspended", "busy", "conflict", "released", "no-fit", "unknown-region", "unknown-image", "no-credentials", "invalid-credentials", "unfulfillable", "idempotency-mismatch", "provider-unavailable"])))
)]
pub(super) async fn reserve(
    Writer(user): Writer,
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let wait = Wait::read(&Params::read(&uri, &["wait"])?, &headers, &shared)?;
    let reserved = user.reserve(&request, None).await?;
    accepted(&user, &shared, reserved.view, wait).await
}

/// The answer to whatever makes a reservation, when the caller has waited as long as it wants.
pub(super) async fn accepted(
    user: &UserHandle,
    shared: &Shared,
    view: ReservationView,
    wait: Option<Wait>,
) -> Result<Response, Problem> {
    let asked = wait.is_some();
    let view = waited(user, shared, view, wait).await?;
    let status = if asked && settled(view.state) { StatusCode::OK } else { StatusCode::ACCEPTED };
    let place = format!("/users/{}/reservations/{}", segment(user.id().as_str()), view.id);
    let mut response = answer(status, &view);
    let place = HeaderValue::from_str(&place).expect("names and ids are visible ASCII");
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

/// List reservations
///
/// Oldest first; those that are over only with `?state=all`, those that team mates share only with `?shared=true`. A page
/// is full unless it is the last, whatever is filtered.
#[utoipa::path(
    get,
    path = "/users/{user}/reservations",
    tag = tag::RESERVATIONS,
    operation_id = "listReservations",
    params(wire::OfUser, wire::PageOf, wire::Which, wire::Acting),
    responses((status = 200, body = Page<wire::Reservation>, description = "A page of reservations."))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<wire::Reservation>>, Problem> {
    let params = Params::read_lists(&uri, &["limit", "after", "state", "shared", "tag"], &["tag"])?;
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
    let (limit, shared) = (Some(params.limit()?), params.flag("shared")?);
    let found = user.list(&ListOptions { all, limit, after, tags: params.all("tag"), shared }).await?;
    let items = found.items.iter().map(wire::Reservation::from).collect();
    Ok(page::answer(items, found.next.as_ref().map(ReservationId::as_str)))
}

/// Show a reservation
#[utoipa::path(
    get,
    path = "/users/{user}/reservations/{id}",
    tag = tag::RESERVATIONS,
    operation_id = "showReservation",
    params(wire::OfReservation, wire::Wait, wire::Acting),
    responses((status = 200, body = wire::Reservation, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`."))))
)]
pub(super) async fn show(
    Reader(user): Reader,
    State(shared): State<Shared>,
    Path((_, id)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = Wait::read(&Params::read(&uri, &["wait"])?, &headers, &shared)?;
    let view = user.get(&reservation(id)?).await?;
    let view = waited(&user, &shared, view, wait).await?;
    Ok(answer(StatusCode::OK, &view))
}

/// Change a reservation: extend, stop, start, tag
///
/// Exactly one of `ends_at`, `power` and `tags` at a time.
#[utoipa::path(
    patch,
    path = "/users/{user}/reservations/{id}",
    tag = tag::RESERVATIONS,
    operation_id = "changeReservation",
    params(wire::OfReservation, wire::IfMatch, wire::Idempotency, wire::Acting),
    request_body = Change,
    responses((status = 200, body = wire::Reservation, description = "As it is now; what was asked comes true soon.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["over-budget", "paused", "suspended", "conflict", "busy", "gone", "released", "unfulfillable", "idempotency-mismatch", "provider-unavailable"])))
)]
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

/// Release a reservation
///
/// 202 as long as it is ending, so that a client whose answer was lost may ask again; 410 when it is over.
#[utoipa::path(
    delete,
    path = "/users/{user}/reservations/{id}",
    tag = tag::RESERVATIONS,
    operation_id = "releaseReservation",
    params(wire::OfReservation, wire::Acting),
    responses((status = 202, body = wire::Reservation, description = "It is ending.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["suspended", "busy", "paused", "released"])))
)]
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

/// A `?wait=`, with its place among those who wait. Taken before anything is done: who finds none has changed nothing.
#[derive(Debug)]
pub(super) struct Wait {
    for_: Duration,
    _place: Place,
}

impl Wait {
    /// Reads `?wait=` and takes the place.
    pub(super) fn read(
        params: &Params,
        headers: &HeaderMap,
        shared: &Shared,
    ) -> Result<Option<Self>, Problem> {
        let Some(for_) = params.wait(shared.options.wait_max)? else { return Ok(None) };
        let place = shared.waits.take(headers, &shared.options)?;
        Ok(Some(Self { for_, _place: place }))
    }
}

/// Waits as long as the caller wants, but not beyond the server's own end.
async fn waited(
    user: &UserHandle,
    shared: &Shared,
    view: ReservationView,
    wait: Option<Wait>,
) -> Result<ReservationView, Problem> {
    let Some(wait) = wait.filter(|_| !settled(view.state)) else { return Ok(view) };
    let stopping = async {
        match &shared.options.stop {
            Some(stop) => stop.told().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        waited = user.wait(&view.id, wait.for_) => Ok(waited?),
        () = stopping => Ok(user.get(&view.id).await?),
    }
}

/// Nothing more will come of waiting.
const fn settled(state: Phase) -> bool {
    matches!(state, Phase::Ready | Phase::Stopped | Phase::Failed | Phase::Released)
}

fn answer(status: StatusCode, view: &ReservationView) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", view.version)).expect("a number in quotes");
    (status, [(header::ETAG, tag)], Answer(wire::Reservation::from(view))).into_response()
}

/// An id that no reservation can have is a reservation that is not there.
pub(super) fn reservation(id: String) -> Result<ReservationId, Problem> {
    ReservationId::new(id).map_err(|_| Problem::not_found())
}
