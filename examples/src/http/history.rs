//! `/users/{user}/reservations/{id}/history`, `/events` and `/access`: what happened, as it happens, and the way in.
//!
//! # Guarantees
//! * A stream tells every entry of the history once, in order, across reconnects: the id of each event is where to go
//!   on, and comes back in `Last-Event-ID`.
//! * It is pulled by its reader: one that is slow makes it wait, and holds a hundred entries at most.
//! * It ends when the reservation is over and all is told, when the server stops, when its token counts no more (asked
//!   every few seconds), and after an hour; who comes back goes on where it stopped.
//!
//! # Caveats
//! A reader who accepts nothing keeps its place until its connection is cut (the server does so after `accept_within`,
//! once the network's buffers are full), and for an hour at most.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use infra_core::infra::{HistoryOptions, Told, Watch};
use infra_core::words::ids::{ReservationId, UserId};
use serde_json::json;

use super::auth::{self, Reader, Writer};
use super::extract::{NoParams, Params, one};
use super::openapi::tag;
use super::places::Place;
use super::problem::{Code, Problem};
use super::wire::Page;
use super::{Shared, page, wire};

/// The header in which a reader says what it saw last.
const LAST_EVENT_ID: &str = "last-event-id";
/// A reader that lost its stream comes back after this.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// List what happened to a reservation
///
/// Oldest first: who did what, why, before and after, every attempt with the cloud's words, and what it had cost by then.
/// Entries are never changed, and stay as long as the reservation is readable.
#[utoipa::path(
    get,
    path = "/users/{user}/reservations/{id}/history",
    tag = tag::RESERVATIONS,
    operation_id = "listHistory",
    params(wire::OfReservation, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<wire::HistoryEntry>, description = "A page of its history."))
)]
pub(super) async fn list(
    Reader(user): Reader,
    Path((_, id)): Path<(String, String)>,
    uri: Uri,
) -> Result<Answer<Page<wire::HistoryEntry>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    let wrong = || Problem::field(Code::OutOfRange, "?after", "must be the `next` of an earlier page", None);
    let after = page::after(&params)?.map(|text| text.parse()).transpose().map_err(|_| wrong())?;
    let options = HistoryOptions { limit: Some(params.limit()?), after };
    let found = user.history(&reservation(id)?, &options).await?;
    let items = found.items.iter().map(wire::HistoryEntry::from).collect();
    let next = found.next.map(|place| place.to_string());
    Ok(page::answer(items, next.as_deref()))
}

/// Follow a reservation
///
/// Server-sent events: every entry of the history from its beginning (`event` is what it is, `data` the entry), and
/// `state` with the whole reservation whenever it differs from what was told last. Come back with the last `id` in
/// `Last-Event-ID` to go on exactly there; 204 says that nothing comes any more.
#[utoipa::path(
    get,
    path = "/users/{user}/reservations/{id}/events",
    tag = tag::RESERVATIONS,
    operation_id = "followReservation",
    params(wire::OfReservation, wire::LastEventId, wire::Acting),
    responses(
        (status = 200, body = wire::StreamedEvent, content_type = "text/event-stream", description = "Events, until it is over; the schema is that of each."),
        (status = 204, description = "It is over, and everything was told.")
    )
)]
pub(super) async fn events(
    Reader(user): Reader,
    State(shared): State<Shared>,
    _: NoParams,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = one(&headers, LAST_EVENT_ID)?.filter(|text| !text.is_empty());
    let place = shared.waits.take(&headers, &shared.options)?;
    let mut watch = user.watch(&reservation(id)?, from).await?;
    let first = watch.next(Duration::ZERO).await?;
    if first == Told::Over {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let now = shared.options.clock.mono();
    let until = now + shared.options.stream_for;
    let user = user.id().clone();
    let first = Some(event(&first, &watch));
    let following = Following { watch, shared, headers, user, first, asked_at: now, until, _place: place };
    Ok(Sse::new(following.into_stream()).into_response())
}

/// A stream under way.
struct Following {
    watch: Watch,
    shared: Shared,
    /// Who may look is asked by these again.
    headers: HeaderMap,
    user: UserId,
    first: Option<Event>,
    asked_at: Duration,
    until: Duration,
    _place: Place,
}

impl Following {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        unfold(self, |mut following| async move {
            let event = following.next().await?;
            Some((Ok(event), following))
        })
    }

    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first.retry(COME_BACK_AFTER));
        }
        let now = self.shared.options.clock.mono();
        if now >= self.until
            || (now >= self.asked_at + self.shared.options.stream_recheck && !self.may().await)
        {
            return None;
        }
        let stop = self.shared.options.stop.clone();
        let stopping = async {
            match stop {
                Some(stop) => stop.told().await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            told = self.watch.next(self.shared.options.stream_recheck) => told,
            () = stopping => return None,
        };
        match told {
            Ok(Told::Over) => None,
            Ok(told) => Some(event(&told, &self.watch)),
            Err(error) => {
                tracing::info!(%error, "a stream ends early");
                None
            }
        }
    }

    /// Does its token still open this user?
    async fn may(&mut self) -> bool {
        self.asked_at = self.shared.options.clock.mono();
        auth::may_look(&self.headers, &self.shared, &self.user).await
    }
}

/// What was told, as an event; its id is where to go on after it.
fn event(told: &Told, watch: &Watch) -> Event {
    let (word, data) = match told {
        Told::Entry(entry) => {
            let entry = wire::HistoryEntry::from(&**entry);
            (entry.event.clone(), json!(entry))
        }
        Told::State(view) => ("state".to_owned(), json!(wire::Reservation::from(&**view))),
        Told::Quiet | Told::Over => return Event::default().comment("still here"),
    };
    Event::default().id(watch.mark()).event(word).data(data.to_string())
}

/// Show the way in
///
/// Addresses, whom to log in as, and, for its owner alone, the private half of the key pair that was made when the
/// request named no public key. Every call is written into the history. Nothing of it may be kept by caches.
#[utoipa::path(
    get,
    path = "/users/{user}/reservations/{id}/access",
    tag = tag::RESERVATIONS,
    operation_id = "showAccess",
    params(wire::OfReservation, wire::Acting),
    responses((status = 200, body = wire::Access, description = "The way in.", headers(("Cache-Control" = String, description = "`no-store`.")))),
    extensions(("x-codes" = json!(["suspended", "busy"])))
)]
pub(super) async fn access(
    Writer(user): Writer,
    _: NoParams,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let access = user.access(&reservation(id)?).await?;
    let body = Answer(wire::Access::from(&access));
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// An id that no reservation can have is a reservation that is not there.
fn reservation(id: String) -> Result<ReservationId, Problem> {
    ReservationId::new(id).map_err(|_| Problem::not_found())
}
