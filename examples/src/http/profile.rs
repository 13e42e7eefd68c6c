//! `/users/{user}/profile`: what a user's requests are filled up with.

use axum::Json as Answer;
use axum::http::{HeaderMap, HeaderName, header};
use infra_core::infra::ProfileView;
use infra_core::nouns::account::Preferences;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, if_match};
use super::openapi::tag;
use super::problem::Problem;
use super::wire;

type Shown = ([(HeaderName, String); 1], Answer<wire::Profile>);

fn answer(view: &ProfileView) -> Shown {
    ([(header::ETAG, format!("\"{}\"", view.version))], Answer(wire::Profile::from(view)))
}

/// Show the profile
///
/// An empty one of version 0 when none was set.
#[utoipa::path(
    get,
    path = "/users/{user}/profile",
    tag = tag::PEOPLE,
    operation_id = "showProfile",
    params(wire::OfUser, wire::Acting),
    responses((status = 200, body = wire::Profile, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`."))))
)]
pub(super) async fn show(Reader(user): Reader, _: NoParams) -> Result<Shown, Problem> {
    Ok(answer(&user.profile().await?))
}

/// Replace the profile
///
/// Requests are filled up with what it says: public keys and software where a request names none, region and system where
/// it does not say. A default is a preference: where it cannot apply (a region that the named cloud does not have, or
/// where nothing fits) it is left out, and makes no request fail.
#[utoipa::path(
    put,
    path = "/users/{user}/profile",
    tag = tag::PEOPLE,
    operation_id = "setProfile",
    params(wire::OfUser, wire::IfMatch, wire::Acting),
    request_body = Preferences,
    responses((status = 200, body = wire::Profile, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "conflict"])))
)]
pub(super) async fn set(
    Writer(user): Writer,
    _: NoParams,
    headers: HeaderMap,
    Json(preferences): Json<Preferences>,
) -> Result<Shown, Problem> {
    Ok(answer(&user.set_profile(&preferences, if_match(&headers)?).await?))
}
