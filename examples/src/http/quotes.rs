//! `/users/{user}/quotes`: what a request would cost, without asking for anything.

use axum::Json as Answer;
use axum::http::Uri;
use infra_core::infra::QuoteOptions;
use infra_core::nouns::request::Request;

use super::auth::Reader;
use super::extract::{Json, Params};
use super::openapi::tag;
use super::problem::Problem;
use super::wire;

/// Ask what a request would cost
///
/// Cheapest first, 20 unless `limit` says otherwise; `next` is always `null`. With `explain=true` also what each rule of the request costs. Nothing is
/// stored, so a viewer may ask, too.
#[utoipa::path(
    post,
    path = "/users/{user}/quotes",
    tag = tag::OFFERS,
    operation_id = "quote",
    params(wire::OfUser, wire::Explain, wire::Acting),
    request_body = Request,
    responses((status = 200, body = wire::Quotes, description = "The cheapest ways to have it.")),
    extensions(("x-codes" = json!(["no-fit", "unknown-region", "unknown-image", "no-credentials", "invalid-credentials", "unfulfillable", "provider-unavailable"])))
)]
pub(super) async fn quote(
    Reader(user): Reader,
    uri: Uri,
    Json(request): Json<Request>,
) -> Result<Answer<wire::Quotes>, Problem> {
    let params = Params::read(&uri, &["explain", "limit"])?;
    let limit = params.limit_or(QuoteOptions::default().limit)?;
    let options = QuoteOptions { explain: params.flag("explain")?, limit };
    Ok(Answer(wire::Quotes::new(&user.quotes(&request, options).await?, options.explain)))
}
