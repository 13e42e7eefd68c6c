//! The outermost layer: request ids, bounds, problems, one log line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use infra_core::words::secret::hex;
use tracing::Instrument;
use tracing::field::Empty;

use super::places::{Place, Places};
use super::problem::{Code, Problem};
use super::rates::{Payer, Peer};
use super::{HttpOptions, Shared, auth};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest sentence taken over from an error that is not ours.
const SENTENCE_BYTES_MAX: usize = 4096;

/// The id of the request, for handlers that log.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub Arc<str>);

/// The layer's own state, for routers without an installation.
#[derive(Debug, Clone)]
pub(super) struct Bare {
    pub(super) options: Arc<HttpOptions>,
    pub(super) room: Arc<Places>,
}

pub(super) async fn edge(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    around(&shared.options, &shared.room, request, next).await
}

pub(super) async fn bare(State(bare): State<Bare>, request: Request, next: Next) -> Response {
    around(&bare.options, &bare.room, request, next).await
}

async fn around(options: &HttpOptions, room: &Arc<Places>, mut request: Request, next: Next) -> Response {
    let id = request_id(options, &request);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let method = request.method().clone();
    // The template, not the path: people paste secrets into paths, too.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "-".to_owned(), |p| p.as_str().to_owned());
    let begun = options.clock.mono();
    // Everything that is logged below bears the id; who it is for is said once that is known.
    let span = tracing::info_span!(
        "request", otel.kind = "server", request_id = &*id, %method, route, user = Empty, status = Empty
    );
    let response = match let_in(options, room, &route, &request) {
        Ok(_place) => within_bounds(options, request, next).instrument(span.clone()).await,
        Err(problem) => problem.into_response(),
    };
    let response = finish(response, &id).await;
    span.record("status", response.status().as_u16());
    drop(span);
    let took_ms = u64::try_from(options.clock.mono().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX);
    tracing::info!(request_id = &*id, %method, route, status = response.status().as_u16(), took_ms, "request");
    response
}

/// Probes ask often, know no token, and must be answered above all when everything else is too much.
const NEVER_LIMITED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Charges the request to its caller, and gives it a place.
fn let_in(
    options: &HttpOptions,
    room: &Arc<Places>,
    route: &str,
    request: &Request,
) -> Result<Option<Place>, Problem> {
    if NEVER_LIMITED.contains(&route) {
        return Ok(None);
    }
    charge(options, request).map_err(too_often)?;
    room.take(request.headers(), options).map(Some)
}

/// Charges the request to its caller; the error is how long to wait.
fn charge(options: &HttpOptions, request: &Request) -> Result<(), Duration> {
    let peer = request.extensions().get::<Peer>();
    let from = peer.map(|peer| options.proxies.origin(peer.0, request.headers()));
    match auth::sent_digest(request.headers()) {
        None => options.meter.charge(&Payer::Stranger(from)),
        Some(sent) if auth::is_admins(&sent, options) => options.meter.charge(&Payer::Admin),
        Some(sent) => options.meter.charge(&Payer::Token(&sent, from)),
    }
}

fn too_often(wait: Duration) -> Problem {
    let mut problem = Problem::new(Code::RateLimited, "this caller asks too often");
    // Rounded up: who comes back as told is let in.
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    problem.retry_after_s = Some(whole.max(1));
    problem
}

async fn within_bounds(options: &HttpOptions, request: Request, next: Next) -> Response {
    let longest = options.answer_within + options.wait_max;
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    tokio::select! {
        answered = answering => answered.unwrap_or_else(|_| {
            Problem::new(Code::Internal, "a defect of this server; it is in its log").into_response()
        }),
        () = options.clock.sleep(longest) => late(longest),
    }
}

fn late(longest: Duration) -> Response {
    let detail =
        format!("no answer within {} s; whether it was done is unknown: ask again", longest.as_secs());
    Problem::new(Code::Unavailable, detail).into_response()
}

/// Writes the problem's body and the request's id.
async fn finish(mut response: Response, id: &str) -> Response {
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none() && is_foreign(&response) {
        problem = Some(foreign(&mut response).await);
    }
    if let Some(problem) = problem {
        let mut rendered = problem.render(id);
        // A 405 says what is allowed.
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            rendered.headers_mut().insert(header::ALLOW, allow);
        }
        response = rendered;
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("ids are made of letters, digits, . _ -"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Is it an error that axum or a mounted router made by itself?
fn is_foreign(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let json = kind.starts_with(b"application/problem+json") || kind.starts_with(b"application/json");
    (status.is_client_error() || status.is_server_error()) && !json
}

/// Makes it one of ours, with the sentence that it came with.
async fn foreign(response: &mut Response) -> Problem {
    let status = response.status();
    let said = axum::body::to_bytes(std::mem::take(response.body_mut()), SENTENCE_BYTES_MAX).await;
    let said =
        said.ok().and_then(|said| String::from_utf8(said.to_vec()).ok()).filter(|said| !said.is_empty());
    let detail = said
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("the request cannot be taken").to_lowercase());
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::Forbidden,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        status if status.is_server_error() => Code::Internal,
        _ => Code::OutOfRange,
    };
    Problem::new(code, detail)
}

/// The caller's own id when it is harmless in a log, else a drawn one.
fn request_id(options: &HttpOptions, request: &Request) -> Arc<str> {
    let harmless = |text: &&str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&text.len()) && text.bytes().all(legal)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(
        || {
            let mut bytes = [0_u8; 12];
            options.entropy.fill(&mut bytes);
            format!("req_{}", hex(&bytes)).into()
        },
        Into::into,
    )
}

pub(super) async fn no_path() -> Problem {
    Problem::new(Code::NotFound, "there is no such path")
}

pub(super) async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path does not take that method")
}
