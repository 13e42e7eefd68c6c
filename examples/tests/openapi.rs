//! The OpenAPI document: recorded, whole, and only ever growing.

use std::path::{Path, PathBuf};

use infra_examples::http::{broken_promises, error_catalogue, openapi};
use serde_json::Value;

/// A file of the repository's `docs`.
fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Writes a new recording when asked by `INFRA_RECORD=1`; complains otherwise.
fn record(name: &str, text: &str) {
    let recorded = std::fs::read_to_string(docs(name)).unwrap_or_default();
    if recorded == text {
        return;
    }
    assert!(
        std::env::var("INFRA_RECORD").is_ok(),
        "docs/{name} is not what the code says; INFRA_RECORD=1 cargo test -p infra-examples --test openapi"
    );
    std::fs::write(docs(name), text).expect("the repository is ours");
}

#[test]
fn the_recorded_document_is_the_codes_and_never_loses_anything() {
    let mut text = serde_json::to_string_pretty(openapi()).expect("plain data");
    text.push('\n');
    if let Ok(recorded) = std::fs::read(docs("openapi.json")) {
        let recorded: Value = serde_json::from_slice(&recorded).expect("the recorded document is JSON");
        let broken = broken_promises(&recorded, openapi());
        // Not even a new recording passes over this.
        assert!(broken.is_empty(), "promises of docs/openapi.json are broken:\n{}", broken.join("\n"));
    }
    record("openapi.json", &text);
}

#[test]
fn the_error_catalogue_for_people_is_the_codes() {
    record("errors.md", &error_catalogue());
}

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn nothing_in_the_document_leads_nowhere() {
    let mut found = Vec::new();
    references(openapi(), &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        let there = reference.strip_prefix('#').and_then(|pointer| openapi().pointer(pointer));
        assert!(there.is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_operation_is_named_summed_up_and_sorted() {
    let mut names = Vec::new();
    for (path, item) in openapi()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let at = format!("{method} {path}");
            names.push(operation["operationId"].as_str().unwrap_or_else(|| panic!("{at}: no id")).to_owned());
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!((5..60).contains(&summary.len()) && !summary.ends_with('.'), "{at}: {summary:?}");
            let tag = &operation["tags"][0];
            let known = openapi()["tags"].as_array().expect("tags").iter().any(|known| &known["name"] == tag);
            assert!(known, "{at}: tag {tag} is not explained");
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            for name in path.split(['{', '}']).skip(1).step_by(2) {
                let named =
                    |one: &Value| one["in"] == "path" && one["name"] == name && one["required"] == true;
                assert!(parameters.iter().any(named), "{at}: {name} is not described");
            }
            for parameter in parameters {
                assert!(parameter["description"].is_string(), "{at}: {parameter} is not described");
            }
            assert!(operation["responses"].get("503").is_some(), "{at}: no 503");
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "an operationId stands twice");
    println!("COUNT openapi operations={count}");
}
