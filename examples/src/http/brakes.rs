//! `/admin/brakes`: kill switches, and the brakes that threw themselves.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use infra_core::infra::Operator;
use infra_core::nouns::switch::SwitchScope;
use infra_core::words::ids::{ReservationId, TenantId};
use infra_core::words::lane::LaneId;

use super::auth::Admin;
use super::extract::{Json, NoParams, Params};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::{Brake, NewBrake, Page, ThrownBrake};
use super::{page, wire};

/// List the brakes
///
/// All that were ever thrown, open ones included.
#[utoipa::path(
    get,
    path = "/admin/brakes",
    tag = tag::OPERATION,
    operation_id = "listBrakes",
    params(wire::PageOf),
    responses((status = 200, body = Page<Brake>, description = "A page of brakes."))
)]
pub(super) async fn show(Admin(operator): Admin, uri: Uri) -> Result<Answer<Page<Brake>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.switches().await?, |switch| switch.scope.id(), &params, |it| Brake::from(&it))
}

/// Throw a brake, or open it
///
/// Answers which create calls may still land; none beyond them will.
#[utoipa::path(
    put,
    path = "/admin/brakes",
    tag = tag::OPERATION,
    operation_id = "setBrake",
    request_body = NewBrake,
    responses((status = 200, body = ThrownBrake, description = "Thrown.")),
    extensions(("x-codes" = json!(["busy"])))
)]
pub(super) async fn throw(
    Admin(operator): Admin,
    _: NoParams,
    Json(brake): Json<NewBrake>,
) -> Result<Answer<ThrownBrake>, Problem> {
    let scope = scope(&operator, &brake.scope).await?;
    let thrown = operator.set_switch(&scope, brake.value, "admin", &brake.why, brake.until).await;
    let (switch, in_flight) = thrown?;
    Ok(Answer(ThrownBrake::new(&switch, in_flight)))
}

/// Reads a scope. One that covers nothing is an error: in an emergency a typo must not look like a brake.
async fn scope(operator: &Operator, text: &str) -> Result<SwitchScope, Problem> {
    let wrong =
        |message: &str, limit: String| Err(Problem::field(Code::OutOfRange, "scope", message, Some(limit)));
    if text == "global" {
        return Ok(SwitchScope::Global);
    }
    if let Some(lane) = text.strip_prefix("lane:") {
        let lane = LaneId(lane.to_owned());
        let known: Vec<LaneId> = operator.status().await?.lanes.iter().map(|known| known.lane.id()).collect();
        if known.contains(&lane) {
            return Ok(SwitchScope::Lane(lane));
        }
        let known: Vec<String> = known.iter().map(|lane| format!("lane:{lane}")).collect();
        return wrong("names a lane that was never used", known.join(", "));
    }
    if let Some(Ok(tenant)) = text.strip_prefix("tenant:").map(TenantId::new) {
        if operator.users().await?.iter().any(|user| user.tenant == tenant) {
            return Ok(SwitchScope::Tenant(tenant));
        }
        return wrong("names a tenant without users", "tenant:<team>, tenant:user:<name>".to_owned());
    }
    wrong("is not a scope", "global, lane:<id>, tenant:<id>".to_owned())
}

/// Lift the brake that holds one reservation
///
/// Of one whose end was held because many ended at once, this confirms the end.
#[utoipa::path(
    delete,
    path = "/admin/reservations/{id}/hold",
    tag = tag::OPERATION,
    operation_id = "liftHold",
    params(wire::AnyReservation),
    responses((status = 204, description = "Lifted.")),
    extensions(("x-codes" = json!(["conflict", "busy", "paused"])))
)]
pub(super) async fn lift_hold(
    Admin(operator): Admin,
    _: NoParams,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = ReservationId::new(id).map_err(|_| Problem::not_found())?;
    operator.lift_hold(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
