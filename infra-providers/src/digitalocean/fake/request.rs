//! A request, taken apart.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reply::Refusal;
use crate::http::{HttpRequest, Method};

/// What is asked, and with which key.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) method: Method,
    /// Scheme and host.
    pub(super) base: String,
    /// Segments after `/v2`, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) key: String,
    pub(super) body: Value,
}

impl Asking {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Refusal> {
        let (base, rest) = request.url.split_once("/v2/").ok_or_else(Refusal::not_found)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        };
        let header = |name: &str| request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let key = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let key = key.ok_or_else(|| Refusal::said(401, "Unauthorized", "Unable to authenticate you"))?;
        let body = match &request.body {
            None => Value::Null,
            Some(_) if header("content-type").is_none_or(|kind| kind != "application/json") => {
                return Err(Refusal::said(415, "unsupported_media_type", "a body must be JSON"));
            }
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|_| Refusal::said(400, "bad_request", "The request body is not JSON."))?,
        };
        Ok(Self {
            method: request.method,
            base: base.to_owned(),
            path: path.split('/').map(decoded).collect(),
            query: query.split('&').filter(|text| !text.is_empty()).map(pair).collect(),
            key: key.to_owned(),
            body,
        })
    }

    /// A text of the body.
    pub(super) fn text(&self, field: &str) -> Result<&str, Refusal> {
        let text = self.body[field].as_str();
        text.ok_or_else(|| Refusal::unprocessable(&format!("{field} is missing")))
    }

    /// A list of texts of the body; none when it is not there.
    pub(super) fn texts(&self, field: &str) -> Vec<String> {
        let texts = self.body[field].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn number(&self, field: &str) -> Option<usize> {
        self.query.get(field).and_then(|text| text.parse().ok())
    }

    /// One page of a listing, with its links.
    pub(super) fn page(&self, word: &str, items: Vec<Value>) -> Value {
        let size = self.number("per_page").unwrap_or(20).clamp(1, 200);
        let page = self.number("page").unwrap_or(1).max(1);
        let total = items.len();
        let pages = total.div_ceil(size).max(1);
        let link = |to: usize| {
            let kept = self.query.iter().filter(|(key, _)| *key != "page" && *key != "per_page");
            let kept: String =
                kept.map(|(key, value)| format!("{key}={}&", crate::http::encoded(value))).collect();
            Value::from(format!("{}/v2/{}?{kept}page={to}&per_page={size}", self.base, self.path.join("/")))
        };
        let mut links = serde_json::Map::new();
        if page < pages {
            links.insert("next".to_owned(), link(page + 1));
            links.insert("last".to_owned(), link(pages));
        }
        if page > 1 {
            links.insert("first".to_owned(), link(1));
            links.insert("prev".to_owned(), link(page - 1));
        }
        let links =
            if links.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "pages": links }) };
        let items: Vec<Value> = items.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
        serde_json::json!({ word: items, "links": links, "meta": { "total": total } })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = if *first == b'%' { tail.get(..2) } else { None };
        let byte = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
