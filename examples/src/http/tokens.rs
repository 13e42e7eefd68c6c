//! `/users/{user}/tokens`: access tokens in their own user's hands.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{StatusCode, Uri, header};

use super::auth::{InPerson, Reader};
use super::extract::{Json, NoParams, Params};
use super::openapi::tag;
use super::problem::Problem;
use super::users::{Created, life, segment};
use super::wire::{IssuedToken, NewOwnToken, Page, Token};
use super::{page, wire};

/// Issue a token of one's own
///
/// As `user` or `viewer`, never as a bot, and not for longer than the token it is issued with. Shown in this one answer:
/// repeated under the same `Idempotency-Key` it is 409 `conflict` with the token's id.
#[utoipa::path(
    post,
    path = "/users/{user}/tokens",
    tag = tag::PEOPLE,
    operation_id = "issueOwnToken",
    params(wire::OfUser, wire::Idempotency),
    request_body = NewOwnToken,
    responses((status = 201, body = IssuedToken, description = "Issued.", headers(("Location" = String, description = "Where it is.")))),
    extensions(("x-codes" = json!(["conflict", "busy", "paused", "suspended", "idempotency-mismatch"])))
)]
pub(super) async fn issue(
    InPerson(user, ends_by): InPerson,
    _: NoParams,
    Json(new): Json<NewOwnToken>,
) -> Result<Created<IssuedToken>, Problem> {
    let life = life(new.expires_in_s)?;
    let (token, secret) = user.issue_token(&new.label, new.role.into(), life, ends_by).await?;
    let place = format!("/users/{}/tokens/{}", segment(user.id().as_str()), segment(&token.id));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Answer(IssuedToken::new(&token, secret))))
}

/// List one's own tokens
#[utoipa::path(
    get,
    path = "/users/{user}/tokens",
    tag = tag::PEOPLE,
    operation_id = "listOwnTokens",
    params(wire::OfUser, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<Token>, description = "A page of tokens."))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<Token>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(user.tokens().await?, |token| token.id.clone(), &params, |token| Token::from(&token))
}

/// Revoke one of one's own tokens
///
/// At once; also while suspended.
#[utoipa::path(
    delete,
    path = "/users/{user}/tokens/{id}",
    tag = tag::PEOPLE,
    operation_id = "revokeOwnToken",
    params(wire::OfToken),
    responses((status = 204, description = "Revoked.")),
    extensions(("x-codes" = json!(["busy"])))
)]
pub(super) async fn revoke(
    InPerson(user, _): InPerson,
    _: NoParams,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    user.revoke_token(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
