//! Budgets of users and teams, and the discounts of a team.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, header};
use infra_core::infra::{BudgetView, Operator, OverlaysView};
use infra_core::nouns::budget::BudgetScope;
use infra_core::words::ids::TenantId;

use super::auth::{Admin, Reader};
use super::extract::{Json, NoParams, if_match};
use super::openapi::tag;
use super::problem::Problem;
use super::users::user;
use super::wire::Page;
use super::{page, wire};

type Tagged<T> = ([(HeaderName, String); 1], Answer<T>);

/// A budget, or its limits and nothing else when nobody set one.
type Shown = Tagged<Option<wire::Budget>>;

fn shown(view: Option<&BudgetView>) -> Shown {
    let version = view.map_or(0, |view| view.version.0);
    ([(header::ETAG, format!("\"{version}\""))], Answer(view.map(wire::Budget::from)))
}

async fn set(
    operator: &Operator,
    scope: &BudgetScope,
    headers: &HeaderMap,
    new: &wire::BudgetLimits,
) -> Result<Shown, Problem> {
    let view = operator.set_budget(scope, &new.into(), if_match(headers)?).await?;
    Ok(shown(view.as_ref()))
}

fn tenant(name: &str) -> Result<TenantId, Problem> {
    TenantId::new(name).map_err(|_| Problem::not_found())
}

fn team(name: &str) -> Result<BudgetScope, Problem> {
    tenant(name).map(BudgetScope::Team)
}

/// List the budgets that count for a user
///
/// The user's own and its team's, with what counts against them now. Those that nobody set are not there.
#[utoipa::path(
    get,
    path = "/users/{user}/budgets",
    tag = tag::OFFERS,
    operation_id = "listBudgets",
    params(wire::OfUser, wire::Acting),
    responses((status = 200, body = Page<wire::Budget>, description = "Two at most; `next` is always `null`."))
)]
pub(super) async fn of_user(
    Reader(user): Reader,
    _: NoParams,
) -> Result<Answer<Page<wire::Budget>>, Problem> {
    let budgets = user.budgets().await?;
    Ok(page::answer(budgets.iter().map(wire::Budget::from).collect(), None))
}

/// Show a user's budget
///
/// `null` when nobody set one.
#[utoipa::path(
    get,
    path = "/admin/users/{user}/budget",
    tag = tag::PEOPLE,
    operation_id = "showUserBudget",
    params(wire::OfUser),
    responses((status = 200, body = Option<wire::Budget>, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`."))))
)]
pub(super) async fn show_user(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(shown(operator.budget(&BudgetScope::User(user(&name)?)).await?.as_ref()))
}

/// Set a user's budget
///
/// In the place of the one there is; without any limit it is removed. What is held stays, also beyond the new limits:
/// nothing is ended, and nothing new is made until there is room.
#[utoipa::path(
    put,
    path = "/admin/users/{user}/budget",
    tag = tag::PEOPLE,
    operation_id = "setUserBudget",
    params(wire::OfUser, wire::IfMatch),
    request_body = wire::BudgetLimits,
    responses((status = 200, body = Option<wire::Budget>, description = "As it is now; `null` when it was removed.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["conflict", "busy", "paused"])))
)]
pub(super) async fn set_user(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<wire::BudgetLimits>,
) -> Result<Shown, Problem> {
    set(&operator, &BudgetScope::User(user(&name)?), &headers, &new).await
}

/// Show a team's budget
///
/// `null` when nobody set one.
#[utoipa::path(
    get,
    path = "/admin/teams/{team}/budget",
    tag = tag::PEOPLE,
    operation_id = "showTeamBudget",
    params(wire::OfTeam),
    responses((status = 200, body = Option<wire::Budget>, description = "As it is now.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`."))))
)]
pub(super) async fn show_team(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Shown, Problem> {
    Ok(shown(operator.budget(&team(&name)?).await?.as_ref()))
}

/// Set a team's budget
///
/// As a user's; all members count against it together.
#[utoipa::path(
    put,
    path = "/admin/teams/{team}/budget",
    tag = tag::PEOPLE,
    operation_id = "setTeamBudget",
    params(wire::OfTeam, wire::IfMatch),
    request_body = wire::BudgetLimits,
    responses((status = 200, body = Option<wire::Budget>, description = "As it is now; `null` when it was removed.", headers(("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["conflict", "busy", "paused"])))
)]
pub(super) async fn set_team(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<wire::BudgetLimits>,
) -> Result<Shown, Problem> {
    set(&operator, &team(&name)?, &headers, &new).await
}

fn discounts(view: OverlaysView) -> Tagged<wire::Overlays> {
    ([(header::ETAG, format!("\"{}\"", view.version))], Answer(view.into()))
}

/// Show the team's discounts
///
/// Empty and of version 0 when none were set. `effects` says what each lowers now; clouds that were not heard lately are
/// asked, for 5 s at most.
#[utoipa::path(
    get,
    path = "/users/{user}/overlays",
    tag = tag::OFFERS,
    operation_id = "showOverlays",
    params(wire::OfUser, wire::Acting),
    responses((status = 200, body = wire::Overlays, description = "As they are now.", headers(("ETag" = String, description = "Their version; send it back in `If-Match`."))))
)]
pub(super) async fn overlays(Reader(user): Reader, _: NoParams) -> Result<Tagged<wire::Overlays>, Problem> {
    Ok(discounts(user.overlays().await?))
}

/// Show what a team pays less
///
/// The team of a user without one is `user:` and the name. Empty and of version 0 when nothing was set. `effects` says what
/// each lowers now; clouds that were not heard lately are asked, for 5 s at most.
#[utoipa::path(
    get,
    path = "/admin/teams/{team}/overlays",
    tag = tag::PEOPLE,
    operation_id = "showTeamOverlays",
    params(wire::OfTeam),
    responses((status = 200, body = wire::Overlays, description = "As they are now.", headers(("ETag" = String, description = "Their version; send it back in `If-Match`."))))
)]
pub(super) async fn show_team_overlays(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
) -> Result<Tagged<wire::Overlays>, Problem> {
    Ok(discounts(operator.overlays(&tenant(&name)?).await?))
}

/// Replace what a team pays less
///
/// Discounts and savings plans lower what machines cost in this team's quotes and budgets, and nobody else's; so they
/// are the operator's to set. What is reserved keeps the price it was chosen at. A `provider` that is not configured is
/// refused; what lowers nothing now (no such region or family, no key yet) is kept, and `effects` says so.
#[utoipa::path(
    put,
    path = "/admin/teams/{team}/overlays",
    tag = tag::PEOPLE,
    operation_id = "setTeamOverlays",
    params(wire::OfTeam, wire::IfMatch),
    request_body = wire::NewOverlays,
    responses((status = 200, body = wire::Overlays, description = "As they are now.", headers(("ETag" = String, description = "Their version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["busy", "paused", "conflict"])))
)]
pub(super) async fn set_team_overlays(
    Admin(operator): Admin,
    _: NoParams,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<wire::NewOverlays>,
) -> Result<Tagged<wire::Overlays>, Problem> {
    Ok(discounts(operator.set_overlays(&tenant(&name)?, &new.overlays, if_match(&headers)?).await?))
}
