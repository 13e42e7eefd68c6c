//! `/whoami`: a token says whose it is, so that a client needs nothing else to begin.

use axum::Json as Answer;

use super::auth::Anybody;
use super::extract::NoParams;
use super::openapi::tag;
use super::wire::WhoAmI;

/// Show whose token this is
///
/// Open to every token: a client that was given nothing else learns its user here.
#[utoipa::path(
    get,
    path = "/whoami",
    tag = tag::PEOPLE,
    operation_id = "who_am_i",
    responses((status = 200, body = WhoAmI, description = "Who it is."))
)]
pub(super) async fn show(Anybody(who): Anybody, _: NoParams) -> Answer<WhoAmI> {
    Answer(who)
}
