//! `/users/{user}/keys`: keys to clouds. What comes in is never shown again, not even in an error.

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use infra_core::infra::NewKey;
use infra_core::words::ids::CloudName;
use infra_core::words::secret::Secret;
use serde_json::Value;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, Params};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::Page;
use super::{page, wire};

/// A value that is not a text is refused by its field's name alone.
fn secret((name, value): (String, Value)) -> Result<(String, Secret), Problem> {
    match value {
        Value::String(text) => Ok((name, Secret::new(text))),
        _ => Err(Problem::field(Code::WrongType, &name, "must be a string", None)),
    }
}

/// Save a key to a cloud
///
/// The cloud is asked who the key is before anything is stored; the secret is sealed and never shown again. Saving
/// under a label that exists replaces it; a key of another account retires the old one.
#[utoipa::path(
    post,
    path = "/users/{user}/keys",
    tag = tag::KEYS,
    operation_id = "saveKey",
    params(wire::OfUser, wire::Idempotency, wire::Acting),
    request_body = wire::NewKey,
    responses((status = 201, body = wire::Key, description = "Saved.")),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "invalid-credentials", "unverified", "conflict", "in-use", "not-found", "idempotency-mismatch"])))
)]
pub(super) async fn save(
    Writer(user): Writer,
    _: NoParams,
    Json(body): Json<wire::NewKey>,
) -> Result<(StatusCode, Answer<wire::Key>), Problem> {
    let fields = body.fields.into_iter().map(secret).collect::<Result<_, _>>()?;
    let key = NewKey { provider: body.provider, label: body.label, kind: body.kind, fields };
    let saved = user.save_key(&key).await?;
    Ok((StatusCode::CREATED, Answer(wire::Key::from(&saved))))
}

/// List the keys to clouds
#[utoipa::path(
    get,
    path = "/users/{user}/keys",
    tag = tag::KEYS,
    operation_id = "listKeys",
    params(wire::OfUser, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<wire::Key>, description = "A page of keys."))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<wire::Key>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(user.keys().await?, |key| key.id.to_string(), &params, |it| wire::Key::from(&it))
}

/// Remove a key
///
/// Refused while machines live on it.
#[utoipa::path(
    delete,
    path = "/users/{user}/keys/{provider}/{label}",
    tag = tag::KEYS,
    operation_id = "removeKey",
    params(wire::OfKey, wire::Acting),
    responses((status = 204, description = "Removed.")),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "in-use"])))
)]
pub(super) async fn remove(
    Writer(user): Writer,
    _: NoParams,
    Path((_, provider, label)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let provider = CloudName::new(provider).map_err(|_| Problem::not_found())?;
    user.remove_key(&provider, &label).await?;
    Ok(StatusCode::NO_CONTENT)
}
