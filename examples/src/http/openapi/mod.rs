//! The OpenAPI document, made from the routes and the types that they read and write; and its page.
//!
//! # Guarantees
//! * A route that is served is documented, and the other way round: both come out of one `routes!`.
//! * Every answer of an operation is named, problems with their codes included: the codes that follow from the path
//!   are put in here, those of its own each handler names.
//! * `/docs` needs no network: its scripts are part of the binary.

pub(super) mod additive;
mod problems;
pub(super) mod tag;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Shared;
use super::problem::Code;

/// What the document says before anything else.
const ABOUT: &str = include_str!("about.md");

/// How the schemas of pages begin.
const PAGE: &str = "Page_";

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
static TEXT: LazyLock<String> = LazyLock::new(|| pretty(&DOCUMENT));

/// The OpenAPI 3.1 document as it is served at `/openapi.json`.
#[must_use]
pub fn openapi() -> &'static Value {
    &DOCUMENT
}

/// The error catalogue for people, in Markdown: every code with its status, its meaning and what to do about it.
#[must_use]
pub fn error_catalogue() -> String {
    let mut text = "# Errors\n\nEvery answer that is not a success is `application/problem+json`; its `type` is \
        `urn:infra:problem:` and one of these codes. Codes are never taken away and never change their status; new \
        ones may come, so act on the status for a code that you do not know. Made from the code, like \
        `/openapi.json`, where the same table stands as `x-infra-errors`.\n\n\
        | status | code | meaning | what to do |\n|---|---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let (status, word) = (code.status().as_u16(), code.word());
        text += &format!("| {status} | `{word}` | {} | {} |\n", code.title(), code.what_to_do());
    }
    text
}

/// The OpenAPI document of this server
///
/// What you are reading.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = tag::SERVICE,
    operation_id = "openapi",
    responses((status = 200, body = Object, description = "This document.")),
    security(())
)]
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The page that shows the document to people. Nothing of it comes from elsewhere, and it sends nothing elsewhere:
/// the validator, which is somebody else's service, is off.
pub(super) fn page() -> Router<Shared> {
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .display_request_duration(true)
        .doc_expansion("list")
        .deep_linking(true);
    SwaggerUi::new("/docs").config(config).into()
}

fn build() -> Value {
    let (_, document) = super::api().split_for_parts();
    let mut document = serde_json::to_value(document).expect("a document is plain data");
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "infra",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/", "description": "This server."}]);
    document["tags"] =
        tag::ALL.iter().map(|(name, about)| json!({"name": name, "description": about})).collect();
    document["security"] = json!([{"token": []}]);
    document["components"]["securitySchemes"] = json!({"token": {
        "type": "http", "scheme": "bearer",
        "description": "An access token of a user, or the admin's token, which opens every path.",
    }});
    document["x-infra-errors"] = Code::ALL.iter().map(|code| problems::entry(*code)).collect();
    // What no attribute of a struct can say: exactly one change at a time.
    // Exactly one of several, beside what is required anyway.
    for (name, fields) in [("ReservationChange", 1), ("TemplateSource", 1), ("NewTemplate", 2)] {
        let schema = &mut document["components"]["schemas"][name];
        (schema["minProperties"], schema["maxProperties"]) = (json!(fields), json!(fields));
    }
    name_items(&mut document);
    problems::complete(&mut document);
    document
}

/// utoipa writes the items of a page out where they stand; named once, a generated client has one type for them.
fn name_items(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
    let pages: Vec<String> = schemas.keys().filter(|name| name.starts_with(PAGE)).cloned().collect();
    for page in pages {
        let name = page.trim_start_matches(PAGE);
        let items = &mut schemas[&page]["properties"]["items"]["items"];
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        let written_out = std::mem::replace(items, reference);
        if written_out.get("$ref").is_none() {
            schemas.entry(name).or_insert(written_out);
        }
    }
}

/// The document as it is served and recorded.
fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("a document is plain data");
    text.push('\n');
    text
}
