//! `/admin/users`: people and their tokens.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, Uri, header};
use infra_core::nouns::account::TokenRole;
use infra_core::words::ids::{TenantId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Admin;
use super::extract::{Json, NoParams, Params};
use super::problem::{Code, Problem};
use super::{page, wire};

type Created = (StatusCode, [(HeaderName, String); 1], Answer<Value>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: UserId,
    team: Option<TenantId>,
}

pub(super) async fn add(
    Admin(operator): Admin,
    _: NoParams,
    Json(new): Json<NewUser>,
) -> Result<Created, Problem> {
    let user = operator.add_user(&new.name, new.team.as_ref()).await?;
    let place = format!("/admin/users/{}", segment(user.id.as_str()));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Answer(wire::user(&user))))
}

pub(super) async fn list(Admin(operator): Admin, uri: Uri) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.users().await?, |user| user.id.to_string(), &params, wire::user)
}

pub(super) async fn show(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(wire::user(&operator.get_user(&user(&name)?).await?)))
}

/// What an admin may change of a user; what is not said stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    machines_max: Option<u32>,
    suspended: Option<bool>,
}

pub(super) async fn change(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Result<Answer<Value>, Problem> {
    let name = user(&name)?;
    let mut changed = operator.get_user(&name).await?;
    if let Some(max) = change.machines_max {
        changed = operator.set_machines_max(&name, Some(max)).await?;
    }
    if let Some(suspended) = change.suspended {
        changed = operator.set_suspended(&name, suspended).await?;
    }
    Ok(Answer(wire::user(&changed)))
}

pub(super) async fn remove(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    operator.remove_user(&user(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    #[serde(default = "default_label")]
    label: String,
    #[serde(default = "default_role")]
    role: TokenRole,
    expires_in_s: Option<u64>,
}

fn default_label() -> String {
    "default".to_owned()
}

const fn default_role() -> TokenRole {
    TokenRole::User
}

/// Longest life of a token that expires: a hundred years, within every calendar's reach.
const TOKEN_LIFE_MAX_S: u64 = 100 * 366 * 24 * 3600;

pub(super) async fn issue(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    Json(new): Json<NewToken>,
) -> Result<Created, Problem> {
    let name = user(&name)?;
    if new.expires_in_s.is_some_and(|life| !(1..=TOKEN_LIFE_MAX_S).contains(&life)) {
        let limit = Some(format!("1..{TOKEN_LIFE_MAX_S}"));
        return Err(Problem::field(
            Code::OutOfRange,
            "expires_in_s",
            "must be a life a token can have",
            limit,
        ));
    }
    let life = new.expires_in_s.map(Duration::from_secs);
    let (token, secret) = operator.issue_token(&name, &new.label, new.role, life).await?;
    let mut shown = wire::token(&token);
    // The one time that it is shown.
    shown["token"] = json!(secret.expose());
    let place = format!("/admin/users/{}/tokens/{}", segment(name.as_str()), segment(&token.id));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Answer(shown)))
}

pub(super) async fn tokens(
    Admin(operator): Admin,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.tokens(&user(&name)?).await?, |token| token.id.clone(), &params, wire::token)
}

pub(super) async fn revoke(
    Admin(operator): Admin,
    _: NoParams,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    operator.revoke_token(&user(&name)?, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name that no user can have is a user that is not there.
fn user(name: &str) -> Result<UserId, Problem> {
    UserId::new(name).map_err(|_| Problem::not_found())
}

/// A name as one segment of a path. Of the characters that names may have, these two would not pass unchanged.
pub(super) fn segment(name: &str) -> String {
    name.replace('/', "%2F").replace('+', "%2B")
}
