//! `/admin/brakes`: kill switches, and the brakes that threw themselves.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use infra_core::infra::Operator;
use infra_core::nouns::switch::{SwitchScope, SwitchValue};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ReservationId, TenantId};
use infra_core::words::lane::LaneId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Admin;
use super::extract::{Json, NoParams, Params};
use super::problem::{Code, Problem};
use super::{page, wire};

pub(super) async fn show(Admin(operator): Admin, uri: Uri) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(operator.switches().await?, |switch| switch.scope.id(), &params, wire::brake)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Brake {
    /// `global`, `lane:<id>` or `tenant:<id>`.
    scope: String,
    value: SwitchValue,
    #[serde(default)]
    why: String,
    until: Option<Timestamp>,
}

/// Throws a brake, and answers which create calls may still land.
pub(super) async fn throw(
    Admin(operator): Admin,
    _: NoParams,
    Json(brake): Json<Brake>,
) -> Result<Answer<Value>, Problem> {
    let scope = scope(&operator, &brake.scope).await?;
    let thrown = operator.set_switch(&scope, brake.value, "admin", &brake.why, brake.until).await;
    let (switch, in_flight) = thrown?;
    let mut shown = wire::brake(&switch);
    shown["in_flight"] = json!(in_flight);
    Ok(Answer(shown))
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

/// Lifts the brake that holds one reservation.
pub(super) async fn lift_hold(
    Admin(operator): Admin,
    _: NoParams,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = ReservationId::new(id).map_err(|_| Problem::not_found())?;
    operator.lift_hold(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
