//! `/users/{user}/reservations/{id}/shares`: whom a reservation is shared with.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use infra_core::infra::Shares;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, Params, if_match};
use super::openapi::tag;
use super::problem::Problem;
use super::reservations::reservation;
use super::users::user as named;
use super::wire::{NewShare, Page, Share};
use super::{page, wire};

type Tagged<T> = ([(HeaderName, String); 1], T);

fn tagged<T>(shares: &Shares, answer: T) -> Tagged<T> {
    ([(header::ETAG, format!("\"{}\"", shares.version))], answer)
}

/// List whom a reservation is shared with
#[utoipa::path(
    get,
    path = "/users/{user}/reservations/{id}/shares",
    tag = tag::RESERVATIONS,
    operation_id = "listShares",
    params(wire::OfReservation, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<Share>, description = "Team mates by name.", headers(("ETag" = String, description = "The reservation's version; send it back in `If-Match`."))))
)]
pub(super) async fn list(
    Reader(user): Reader,
    Path((_, id)): Path<(String, String)>,
    uri: Uri,
) -> Result<Tagged<Answer<Page<Share>>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    let shares = user.shares(&reservation(id)?).await?;
    let shown = page::cut(&shares.items, |it| it.user.to_string(), &params, Share::from)?;
    Ok(tagged(&shares, shown))
}

/// Share a reservation with a team mate
///
/// As `viewer`, who looks, or as `user`, who also stops, starts and extends. All else stays its owner's; whoever leaves
/// the team loses it.
#[utoipa::path(
    put,
    path = "/users/{user}/reservations/{id}/shares/{other}",
    tag = tag::RESERVATIONS,
    operation_id = "share",
    params(wire::OfShare, wire::IfMatch, wire::Acting),
    request_body = NewShare,
    responses((status = 200, body = Share, description = "Shared.", headers(("ETag" = String, description = "The reservation's version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "conflict", "gone", "released"])))
)]
pub(super) async fn give(
    Writer(user): Writer,
    _: NoParams,
    Path((_, id, other)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(new): Json<NewShare>,
) -> Result<Tagged<Answer<Share>>, Problem> {
    let (id, other) = (reservation(id)?, named(&other)?);
    let shares = user.share(&id, &other, new.role.into(), if_match(&headers)?).await?;
    let shown = Share { user: other, role: new.role };
    Ok(tagged(&shares, Answer(shown)))
}

/// Take a share back
#[utoipa::path(
    delete,
    path = "/users/{user}/reservations/{id}/shares/{other}",
    tag = tag::RESERVATIONS,
    operation_id = "unshare",
    params(wire::OfShare, wire::IfMatch, wire::Acting),
    responses((status = 204, description = "Taken back.")),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "conflict", "gone", "released"])))
)]
pub(super) async fn take(
    Writer(user): Writer,
    _: NoParams,
    Path((_, id, other)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    user.unshare(&reservation(id)?, &named(&other)?, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
