//! Puts into every operation the problems that it may answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::http::problem::Code;

/// Where a handler names the codes of its own; it is taken out again.
const OWN: &str = "x-codes";

/// One code, as the catalogue shows it.
pub(super) fn entry(code: Code) -> Value {
    json!({
        "code": code.word(),
        "status": code.status().as_u16(),
        "meaning": code.title(),
        "what_to_do": code.what_to_do(),
    })
}

/// Completes every operation of a document.
pub(super) fn complete(document: &mut Value) {
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().expect("a path has methods") {
            let codes = codes(path, method, operation);
            problems(operation, &codes);
        }
    }
}

/// The codes of an operation: its own, and those that follow from where it stands and what it reads.
fn codes(path: &str, method: &str, operation: &mut Value) -> BTreeSet<Code> {
    let own = operation.as_object_mut().and_then(|operation| operation.remove(OWN));
    let own = own.as_ref().and_then(Value::as_array).into_iter().flatten();
    let mut codes: BTreeSet<Code> = own.map(|word| named(word.as_str().unwrap_or_default())).collect();
    // Whoever comes while too many are there, and whatever goes wrong inside.
    codes.extend([Code::RateLimited, Code::Internal, Code::Unavailable]);
    let open = operation.get("security").is_some();
    if !open {
        codes.extend([Code::Unauthenticated, Code::Forbidden]);
        // A parameter or header that is not known, of the wrong type, out of range, or stands twice.
        codes.extend([Code::UnknownField, Code::WrongType, Code::OutOfRange]);
    }
    if path.contains('{') {
        codes.insert(Code::NotFound);
    }
    if !open && method != "get" && path.starts_with("/users/{user}/") {
        // Of a bot's own user.
        codes.insert(Code::Suspended);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([Code::MalformedJson, Code::TooLarge, Code::Timeout]);
    }
    codes
}

fn named(word: &str) -> Code {
    let code = Code::ALL.iter().find(|code| code.word() == word);
    *code.unwrap_or_else(|| panic!("{word:?} is not a code"))
}

fn problems(operation: &mut Value, codes: &BTreeSet<Code>) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let said: Vec<String> =
            codes.iter().map(|code| format!("`{}`: {}.", code.word(), code.title())).collect();
        let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
        let mut response = json!({
            "description": said.join(" "),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "x-infra-codes": words,
        });
        let header = match status {
            401 => Some(("WWW-Authenticate", "string", "`Bearer`.")),
            429 => Some(("Retry-After", "integer", "When to ask again, seconds.")),
            _ => None,
        };
        if let Some((name, kind, about)) = header {
            response["headers"][name] =
                json!({"required": true, "schema": {"type": kind}, "description": about});
        }
        operation["responses"][status.to_string()] = response;
    }
}
