//! `/users/{user}/quotes`: what a request would cost, without asking for anything.

use axum::Json as Answer;
use infra_core::nouns::request::Request;

use super::auth::Reader;
use super::extract::{Json, NoParams};
use super::openapi::tag;
use super::problem::Problem;
use super::wire::Page;
use super::{page, wire};

/// Ask what a request would cost
///
/// Cheapest first; `next` is always `null`. Nothing is stored, so a viewer may ask, too.
#[utoipa::path(
    post,
    path = "/users/{user}/quotes",
    tag = tag::OFFERS,
    operation_id = "quote",
    params(wire::OfUser, wire::Acting),
    request_body = Request,
    responses((status = 200, body = Page<wire::Quote>, description = "The cheapest ways to have it.")),
    extensions(("x-codes" = json!(["no-fit", "unknown-region", "unknown-image", "no-credentials", "invalid-credentials", "unfulfillable", "provider-unavailable"])))
)]
pub(super) async fn quote(
    Reader(user): Reader,
    _: NoParams,
    Json(request): Json<Request>,
) -> Result<Answer<Page<wire::Quote>>, Problem> {
    let quotes = user.quote(&request).await?;
    Ok(page::answer(quotes.iter().map(wire::Quote::from).collect(), None))
}
