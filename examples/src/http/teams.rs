//! `/admin/teams`, and what an admin moves between team mates.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use infra_core::infra::TeamView;
use infra_core::words::ids::TenantId;

use super::auth::Admin;
use super::extract::{Json, NoParams, Params, if_match};
use super::openapi::tag;
use super::problem::Problem;
use super::users::user;
use super::wire::{Members, Page, Team, Transfer, Transferred};
use super::{page, wire};

type Shown = ([(HeaderName, String); 1], Answer<Team>);

fn answer(view: &TeamView) -> Shown {
    ([(header::ETAG, format!("\"{}\"", view.version))], Answer(Team::from(view)))
}

/// A name that no team can have is a team that is not there.
fn team(name: &str) -> Result<TenantId, Problem> {
    TenantId::new(name).map_err(|_| Problem::not_found())
}

/// List the teams
#[utoipa::path(
    get,
    path = "/admin/teams",
    tag = tag::PEOPLE,
    operation_id = "listTeams",
    params(wire::PageOf),
    responses((status = 200, body = Page<Team>, description = "A page of teams."))
)]
pub(super) async fn list(Admin(operator): Admin, uri: Uri) -> Result<Answer<Page<Team>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.teams().await?, |team| team.id.to_string(), &params, |team| Team::from(&team))
}

/// Show a team
#[utoipa::path(
    get,
    path = "/admin/teams/{team}",
    tag = tag::PEOPLE,
    operation_id = "showTeam",
    params(wire::OfTeam),
    responses((status = 200, body = Team, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`."))))
)]
pub(super) async fn show(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(answer(&operator.team(&team(&name)?).await?))
}

/// Set who is in a team
///
/// Makes the team if there is none. Who is not named is put out and is a team of one. A user moves only while holding
/// nothing, and while no keys would be left to nobody: else 409 `in-use` with what stands in the way, and nobody moves. Cut
/// short, it is repeated.
#[utoipa::path(
    put,
    path = "/admin/teams/{team}",
    tag = tag::PEOPLE,
    operation_id = "setTeam",
    params(wire::OfTeam, wire::IfMatch),
    request_body = Members,
    responses((status = 200, body = Team, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["in-use", "conflict", "busy", "paused"])))
)]
pub(super) async fn set(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<Members>,
) -> Result<Shown, Problem> {
    Ok(answer(&operator.set_team(&team(&name)?, &new.members, if_match(&headers)?).await?))
}

/// Remove a team
///
/// Its members are teams of one afterwards. Refused while anybody in it holds anything, or it has keys.
#[utoipa::path(
    delete,
    path = "/admin/teams/{team}",
    tag = tag::PEOPLE,
    operation_id = "removeTeam",
    params(wire::OfTeam, wire::IfMatch),
    responses((status = 204, description = "Removed.")),
    extensions(("x-codes" = json!(["in-use", "conflict", "busy", "paused"])))
)]
pub(super) async fn remove(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    operator.remove_team(&team(&name)?, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hand a user's reservations to a team mate
///
/// All of them, those that are over included, each with its count against the limits: before the user is removed, say. Cut
/// short, it is repeated; what was moved before stays moved.
#[utoipa::path(
    post,
    path = "/admin/users/{user}/transfer",
    tag = tag::PEOPLE,
    operation_id = "transferReservations",
    params(wire::OfUser, wire::Idempotency),
    request_body = Transfer,
    responses((status = 200, body = Transferred, description = "Handed over.")),
    extensions(("x-codes" = json!(["over-budget", "busy", "paused", "idempotency-mismatch"])))
)]
pub(super) async fn transfer(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    Json(transfer): Json<Transfer>,
) -> Result<Answer<Transferred>, Problem> {
    let moved = operator.transfer(&user(&name)?, &transfer.to).await?;
    Ok(Answer(Transferred { moved }))
}
