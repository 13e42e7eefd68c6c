//! `/users/{user}/quotes`: what a request would cost, without asking for anything.

use axum::Json as Answer;
use infra_core::nouns::request::Request;
use serde_json::Value;

use super::auth::Reader;
use super::extract::{Json, NoParams};
use super::problem::Problem;
use super::{page, wire};

/// Cheapest first. Nothing is stored, so a viewer may ask, too.
pub(super) async fn quote(
    Reader(user): Reader,
    _: NoParams,
    Json(request): Json<Request>,
) -> Result<Answer<Value>, Problem> {
    let quotes = user.quote(&request).await?;
    let items: Vec<Value> = quotes.iter().map(wire::quote).collect();
    Ok(page::answer(&items, None))
}
