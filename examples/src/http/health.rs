//! Is the process alive, may it work, and what happened to its store?

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use infra_core::nouns::installation::Frozen;

use super::Shared;
use super::auth::Admin;
use super::extract::{Json, NoParams};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::{Health, Recover, Status};

/// A store that takes longer is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = tag::SERVICE,
    operation_id = "alive",
    responses((status = 200, body = Health, description = "It is.")),
    security(())
)]
pub(super) async fn alive() -> Answer<Health> {
    Answer(Health { status: "ok".to_owned() })
}

/// May it work?
///
/// 503 with the reason while the store does not answer or the installation is frozen.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = tag::SERVICE,
    operation_id = "ready",
    responses((status = 200, body = Health, description = "It may.")),
    security(())
)]
pub(super) async fn ready(State(shared): State<Shared>) -> Result<Answer<Health>, Problem> {
    let operator = shared.infra.operator();
    let status = tokio::select! {
        status = operator.status() => status?,
        () = shared.options.clock.sleep(READY_WITHIN) => {
            return Err(Problem::new(Code::Unavailable, "the store does not answer in time"));
        }
    };
    match &status.frozen {
        None => Ok(Answer(Health { status: "ready".to_owned() })),
        Some(frozen) => {
            let how = "POST /admin/recover {\"what\": \"moved\" | \"clone\" | \"restored\"}";
            Err(Problem::new(Code::Unavailable, format!("frozen: {}; say what happened: {how}", why(frozen))))
        }
    }
}

fn why(frozen: &Frozen) -> String {
    match frozen {
        Frozen::Elsewhere { .. } => "the store was opened at another place than where it lives".to_owned(),
        Frozen::OlderThanCloud { seen, newest, .. } => {
            format!("a cloud shows mark {seen}, newer than the store's newest commit {newest}")
        }
    }
}

/// Show what is known of the installation
#[utoipa::path(
    get,
    path = "/admin/status",
    tag = tag::OPERATION,
    operation_id = "showStatus",
    responses((status = 200, body = Status, description = "As it is now."))
)]
pub(super) async fn status(Admin(operator): Admin, _: NoParams) -> Result<Answer<Status>, Problem> {
    Ok(Answer(Status::from(&operator.status().await?)))
}

/// Say what happened to a frozen store, and thaw it
///
/// `moved`: this is the one store, at a new place. `clone`: a copy; it forgets its keys and lets go of everything,
/// which cannot be undone. `restored`: an older backup; no deadline fires for a day.
#[utoipa::path(
    post,
    path = "/admin/recover",
    tag = tag::OPERATION,
    operation_id = "recover",
    request_body = Recover,
    responses((status = 200, body = Status, description = "Thawed.")),
    extensions(("x-codes" = json!(["conflict", "busy"])))
)]
pub(super) async fn recover(
    Admin(operator): Admin,
    _: NoParams,
    Json(body): Json<Recover>,
) -> Result<Answer<Status>, Problem> {
    Ok(Answer(Status::from(&operator.recover(body.what).await?)))
}
