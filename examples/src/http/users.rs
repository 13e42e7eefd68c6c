//! `/admin/users`: people and their tokens.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, Uri, header};
use infra_core::words::ids::UserId;

use super::auth::Admin;
use super::extract::{Json, NoParams, Params};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::{IssuedToken, NewToken, NewUser, Page, Token, User, UserChange};
use super::{page, wire};

pub(super) type Created<T> = (StatusCode, [(HeaderName, String); 1], Answer<T>);

/// Add a user
#[utoipa::path(
    post,
    path = "/admin/users",
    tag = tag::PEOPLE,
    operation_id = "addUser",
    params(wire::Idempotency),
    request_body = NewUser,
    responses((status = 201, body = User, description = "Added.", headers(("Location" = String, description = "Where it is.")))),
    extensions(("x-codes" = json!(["conflict", "busy", "paused", "idempotency-mismatch"])))
)]
pub(super) async fn add(
    Admin(operator): Admin,
    _: NoParams,
    Json(new): Json<NewUser>,
) -> Result<Created<User>, Problem> {
    let user = operator.add_user(&new.name, new.team.as_ref()).await?;
    let place = format!("/admin/users/{}", segment(user.id.as_str()));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Answer(User::from(&user))))
}

/// List the users
#[utoipa::path(
    get,
    path = "/admin/users",
    tag = tag::PEOPLE,
    operation_id = "listUsers",
    params(wire::PageOf),
    responses((status = 200, body = Page<User>, description = "A page of users."))
)]
pub(super) async fn list(Admin(operator): Admin, uri: Uri) -> Result<Answer<Page<User>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.users().await?, |user| user.id.to_string(), &params, |user| User::from(&user))
}

/// Show a user
#[utoipa::path(
    get,
    path = "/admin/users/{user}",
    tag = tag::PEOPLE,
    operation_id = "showUser",
    params(wire::OfUser),
    responses((status = 200, body = User, description = "As it is now."))
)]
pub(super) async fn show(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Answer<User>, Problem> {
    Ok(Answer(User::from(&operator.get_user(&user(&name)?).await?)))
}

/// Change a user: limit, suspend
#[utoipa::path(
    patch,
    path = "/admin/users/{user}",
    tag = tag::PEOPLE,
    operation_id = "changeUser",
    params(wire::OfUser, wire::Idempotency),
    request_body = UserChange,
    responses((status = 200, body = User, description = "As it is now.")),
    extensions(("x-codes" = json!(["busy", "paused", "idempotency-mismatch"])))
)]
pub(super) async fn change(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<Answer<User>, Problem> {
    let name = user(&name)?;
    if change.machines_max.is_none() && change.suspended.is_none() {
        return Ok(Answer(User::from(&operator.get_user(&name).await?)));
    }
    let changed = operator.set_user(&name, change.machines_max, change.suspended).await?;
    Ok(Answer(User::from(&changed)))
}

/// Remove a user
///
/// With its tokens, templates and profile and, when it is the last of its team, the team's keys. Refused while it holds
/// anything: release it, or hand it over to a team mate first.
#[utoipa::path(
    delete,
    path = "/admin/users/{user}",
    tag = tag::PEOPLE,
    operation_id = "removeUser",
    params(wire::OfUser),
    responses((status = 204, description = "Removed.")),
    extensions(("x-codes" = json!(["in-use", "busy", "paused", "conflict"])))
)]
pub(super) async fn remove(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    operator.remove_user(&user(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Longest life of a token that expires: a hundred years, within every calendar's reach.
const TOKEN_LIFE_MAX_S: u64 = 100 * 366 * 24 * 3600;

/// A life that a token can have.
pub(super) fn life(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    if seconds.is_some_and(|life| !(1..=TOKEN_LIFE_MAX_S).contains(&life)) {
        let limit = Some(format!("1..{TOKEN_LIFE_MAX_S}"));
        let message = "must be a life a token can have";
        return Err(Problem::field(Code::OutOfRange, "expires_in_s", message, limit));
    }
    Ok(seconds.map(Duration::from_secs))
}

/// Issue an access token
///
/// The token is shown in this one answer: repeated under the same `Idempotency-Key` it is 409 `conflict` with the
/// token's id, so that a token whose answer was lost can be revoked.
#[utoipa::path(
    post,
    path = "/admin/users/{user}/tokens",
    tag = tag::PEOPLE,
    operation_id = "issueToken",
    params(wire::OfUser, wire::Idempotency),
    request_body = NewToken,
    responses((status = 201, body = IssuedToken, description = "Issued.", headers(("Location" = String, description = "Where it is.")))),
    extensions(("x-codes" = json!(["conflict", "busy", "paused", "idempotency-mismatch"])))
)]
pub(super) async fn issue(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    Json(new): Json<NewToken>,
) -> Result<Created<IssuedToken>, Problem> {
    let name = user(&name)?;
    let life = life(new.expires_in_s)?;
    let (token, secret) = operator.issue_token(&name, &new.label, new.role, life).await?;
    let place = format!("/admin/users/{}/tokens/{}", segment(name.as_str()), segment(&token.id));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Answer(IssuedToken::new(&token, secret))))
}

/// List the access tokens of a user
#[utoipa::path(
    get,
    path = "/admin/users/{user}/tokens",
    tag = tag::PEOPLE,
    operation_id = "listTokens",
    params(wire::OfUser, wire::PageOf),
    responses((status = 200, body = Page<Token>, description = "A page of tokens."))
)]
pub(super) async fn tokens(
    Admin(operator): Admin,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Answer<Page<Token>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(
        operator.tokens(&user(&name)?).await?,
        |token| token.id.clone(),
        &params,
        |token| Token::from(&token),
    )
}

/// Revoke an access token
#[utoipa::path(
    delete,
    path = "/admin/users/{user}/tokens/{id}",
    tag = tag::PEOPLE,
    operation_id = "revokeToken",
    params(wire::OfToken),
    responses((status = 204, description = "Revoked.")),
    extensions(("x-codes" = json!(["busy"])))
)]
pub(super) async fn revoke(
    Admin(operator): Admin,
    _: NoParams,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    operator.revoke_token(&user(&name)?, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name that no user can have is a user that is not there.
pub(super) fn user(name: &str) -> Result<UserId, Problem> {
    UserId::new(name).map_err(|_| Problem::not_found())
}

/// A name as one segment of a path. Of the characters that names may have, these two would not pass unchanged.
pub(super) fn segment(name: &str) -> String {
    name.replace('/', "%2F").replace('+', "%2B")
}
