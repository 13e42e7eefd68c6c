//! `/users/{user}/keys`: keys to clouds. What comes in is never shown again, not even in an error.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use infra_core::infra::NewKey;
use infra_core::words::ids::CloudName;
use infra_core::words::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::auth::{Reader, Writer};
use super::extract::{Json, NoParams, Params};
use super::problem::{Code, Problem};
use super::{page, wire};

#[derive(Debug, Deserialize)]
pub(super) struct KeyBody {
    provider: CloudName,
    #[serde(default = "default_label")]
    label: String,
    kind: String,
    /// Whatever else the cloud needs; its driver knows which fields those are.
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

fn default_label() -> String {
    "default".to_owned()
}

/// A value that is not a text is refused by its field's name alone.
fn secret((name, value): (String, Value)) -> Result<(String, Secret), Problem> {
    match value {
        Value::String(text) => Ok((name, Secret::new(text))),
        _ => Err(Problem::field(Code::WrongType, &name, "must be a string", None)),
    }
}

pub(super) async fn save(
    Writer(user): Writer,
    _: NoParams,
    Json(body): Json<KeyBody>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let fields = body.fields.into_iter().map(secret).collect::<Result<_, _>>()?;
    let key = NewKey { provider: body.provider, label: body.label, kind: body.kind, fields };
    let saved = user.save_key(&key).await?;
    Ok((StatusCode::CREATED, Answer(wire::key(&saved))))
}

pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    page::cut(user.keys().await?, |key| key.id.to_string(), &params, wire::key)
}

pub(super) async fn remove(
    Writer(user): Writer,
    _: NoParams,
    Path((_, provider, label)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let provider = CloudName::new(provider).map_err(|_| Problem::not_found())?;
    user.remove_key(&provider, &label).await?;
    Ok(StatusCode::NO_CONTENT)
}
