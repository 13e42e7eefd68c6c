//! May a newer document take an older one's place? Pure: two documents in, every broken promise out.
//!
//! # The rule
//! * Every path, method, operation id, parameter, body, answer, field, word and code of the old one is there.
//! * What callers send may only be asked for less: nothing new is required, no type, word, limit or pattern is
//!   narrower.
//! * What callers get may only be promised more: what was required stays required, no type is wider. New words may
//!   come, and limits of what is answered are no promise.
//!
//! # Caveats
//! Patterns are compared as texts: another one counts as narrower, also when it is not. Lists of words, `^(a|b)$`, may get
//! longer.

use std::collections::BTreeSet;

use serde_json::Value;

/// Who writes the value that a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Caller,
    Server,
}

/// Every promise of the old document that the new one breaks, as a sentence with its place; empty when there is none.
#[must_use]
pub fn broken_promises(old: &Value, new: &Value) -> Vec<String> {
    let mut check = Check { old, new, seen: BTreeSet::new(), broken: Vec::new() };
    check.paths();
    check.codes();
    check.broken
}

struct Check<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Pairs of named schemas already compared: they may contain themselves.
    seen: BTreeSet<(String, String, By)>,
    broken: Vec<String>,
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::String(text) => BTreeSet::from([text.as_str()]),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

impl<'a> Check<'a> {
    fn say(&mut self, at: &str, what: &str) {
        self.broken.push(format!("{at}: {what}"));
    }

    fn paths(&mut self) {
        for (path, item) in entries(&self.old["paths"]) {
            let newer = &self.new["paths"][path];
            for (method, operation) in entries(item) {
                let at = format!("{} {path}", method.to_uppercase());
                match &newer[method] {
                    Value::Null => self.say(&at, "is gone"),
                    new => self.operation(&at, operation, new),
                }
            }
        }
    }

    fn codes(&mut self) {
        let (old, new) = (&self.old["x-infra-errors"], &self.new["x-infra-errors"]);
        for was in old.as_array().into_iter().flatten() {
            let same = |is: &&Value| is["code"] == was["code"];
            match new.as_array().into_iter().flatten().find(same) {
                None => self.say("errors", &format!("code {} is gone", was["code"])),
                Some(is) if is["status"] != was["status"] => {
                    self.say("errors", &format!("code {} has another status", was["code"]));
                }
                Some(_) => {}
            }
        }
    }

    fn operation(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.say(at, "has another operationId");
        }
        if old.get("security").is_some() && new.get("security") != old.get("security") {
            self.say(at, "asks for a token now");
        }
        self.parameters(at, &old["parameters"], &new["parameters"]);
        self.body(at, &old["requestBody"], &new["requestBody"]);
        for (status, answer) in entries(&old["responses"]) {
            let at = format!("{at} {status}");
            match &new["responses"][status] {
                Value::Null => self.say(&at, "is gone"),
                newer => self.answer(&at, answer, newer),
            }
        }
    }

    fn parameters(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        let list = |all: &'a Value| all.as_array().into_iter().flatten();
        let key = |one: &Value| (one["in"].clone(), one["name"].clone());
        for was in list(old) {
            let at = format!("{at} {}", was["name"]);
            match list(new).find(|is| key(is) == key(was)) {
                None => self.say(&at, "is gone"),
                Some(is) => {
                    if is["required"] == true && was["required"] != true {
                        self.say(&at, "is required now");
                    }
                    self.schema(&at, &was["schema"], &is["schema"], By::Caller);
                }
            }
        }
        for is in list(new).filter(|is| is["required"] == true) {
            if !list(old).any(|was| key(was) == key(is)) {
                self.say(at, &format!("parameter {} is new and required", is["name"]));
            }
        }
    }

    fn body(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        let at = format!("{at} body");
        if new["required"] == true && old["required"] != true {
            self.say(&at, "is required now");
        }
        for (kind, was) in entries(&old["content"]) {
            match &new["content"][kind] {
                Value::Null => self.say(&at, &format!("is no longer taken as {kind}")),
                is => self.schema(&at, &was["schema"], &is["schema"], By::Caller),
            }
        }
    }

    fn answer(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        for (kind, was) in entries(&old["content"]) {
            match &new["content"][kind] {
                Value::Null => self.say(at, &format!("is no longer {kind}")),
                is => self.schema(at, &was["schema"], &is["schema"], By::Server),
            }
        }
        for name in entries(&old["headers"]).map(|(name, _)| name) {
            if new["headers"][name].is_null() {
                self.say(at, &format!("header {name} is gone"));
            }
        }
        for code in texts(&old["x-infra-codes"]).difference(&texts(&new["x-infra-codes"])) {
            self.say(at, &format!("code {code} is gone"));
        }
    }

    /// Follows references; `None` when this pair was compared before.
    fn followed(&mut self, old: &'a Value, new: &'a Value, from: By) -> Option<(&'a Value, &'a Value)> {
        let name = |schema: &Value| schema["$ref"].as_str().map(str::to_owned);
        let (was, is) = (name(old), name(new));
        if was.is_none() && is.is_none() {
            return Some((old, new));
        }
        let pair = (was.clone().unwrap_or_default(), is.clone().unwrap_or_default(), from);
        let inner = was.is_none() || is.is_none();
        if !self.seen.insert(pair) && !inner {
            return None;
        }
        let find = |document: &'a Value, schema: &'a Value, name: Option<String>| match name {
            Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null),
            None => schema,
        };
        Some((find(self.old, old, was), find(self.new, new, is)))
    }

    fn schema(&mut self, at: &str, old: &'a Value, new: &'a Value, from: By) {
        let Some((old, new)) = self.followed(old, new, from) else { return };
        if new.is_null() && !old.is_null() {
            return self.say(at, "has no schema now");
        }
        self.types(at, old, new, from);
        self.words(at, old, new, from);
        self.fields(at, old, new, from);
        self.parts(at, old, new, from);
        if from == By::Caller {
            self.limits(at, old, new);
        }
    }

    fn types(&mut self, at: &str, old: &Value, new: &Value, from: By) {
        let (was, is) = (texts(&old["type"]), texts(&new["type"]));
        let fits = match from {
            // No type at all means any.
            By::Caller => is.is_empty() || (!was.is_empty() && was.is_subset(&is)),
            By::Server => was.is_empty() || (!is.is_empty() && is.is_subset(&was)),
        };
        if !fits {
            self.say(at, &format!("was {was:?} and is {is:?}"));
        }
        if from == By::Server && old["format"] != new["format"] && !old["format"].is_null() {
            self.say(at, &format!("format was {} and is {}", old["format"], new["format"]));
        }
    }

    fn words(&mut self, at: &str, old: &Value, new: &Value, from: By) {
        match (old["enum"].as_array(), new["enum"].as_array()) {
            (Some(was), Some(is)) => {
                for word in was.iter().filter(|word| !is.contains(word)) {
                    self.say(at, &format!("word {word} is gone"));
                }
            }
            (None, Some(_)) if from == By::Caller => self.say(at, "takes only certain words now"),
            (Some(_), None) if from == By::Server => self.say(at, "says any word now"),
            _ => {}
        }
    }

    fn fields(&mut self, at: &str, old: &'a Value, new: &'a Value, from: By) {
        for (field, was) in entries(&old["properties"]) {
            let at = format!("{at} {field}");
            match &new["properties"][field] {
                Value::Null => self.say(&at, "is gone"),
                is => self.schema(&at, was, is, from),
            }
        }
        let (was, is) = (texts(&old["required"]), texts(&new["required"]));
        match from {
            By::Caller => {
                for field in is.difference(&was) {
                    self.say(at, &format!("{field} is required now"));
                }
                let closed = |schema: &Value| schema["additionalProperties"] == false;
                if closed(new) && !closed(old) {
                    self.say(at, "takes no further fields now");
                }
            }
            By::Server => {
                for field in was.difference(&is) {
                    self.say(at, &format!("{field} may be missing now"));
                }
            }
        }
    }

    /// What a schema is made of: items, values of maps, alternatives.
    fn parts(&mut self, at: &str, old: &'a Value, new: &'a Value, from: By) {
        for part in ["items", "additionalProperties", "propertyNames"] {
            if old[part].is_object() || (new[part].is_object() && from == By::Caller && part != "items") {
                self.schema(&format!("{at} {part}"), &old[part], &new[part], from);
            }
        }
        for part in ["oneOf", "anyOf", "allOf"] {
            let (Some(was), is) = (old[part].as_array(), new[part].as_array()) else { continue };
            let is = is.map_or(&[][..], Vec::as_slice);
            if is.len() < was.len() || (is.len() > was.len() && part == "allOf" && from == By::Caller) {
                self.say(at, &format!("{part} has other alternatives"));
            }
            for (nth, (was, is)) in was.iter().zip(is).enumerate() {
                self.schema(&format!("{at} {part}[{nth}]"), was, is, from);
            }
        }
    }

    /// No limit of what callers send is narrower.
    fn limits(&mut self, at: &str, old: &Value, new: &Value) {
        let lower = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
        let upper = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
        for (names, sign) in [(lower, 1.0), (upper, -1.0)] {
            for name in names {
                let narrower = match (old[name].as_f64(), new[name].as_f64()) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(was), Some(is)) => is * sign > was * sign,
                };
                if narrower {
                    self.say(at, &format!("{name} is narrower"));
                }
            }
        }
        for name in ["pattern", "format"] {
            let longer =
                listed(&old[name]).zip(listed(&new[name])).is_some_and(|(was, is)| was.is_subset(&is));
            if !new[name].is_null() && new[name] != old[name] && !longer {
                self.say(at, &format!("{name} is another"));
            }
        }
    }
}

/// The words that a pattern like `^(true|false)$` or `^true$` lists.
fn listed(pattern: &Value) -> Option<BTreeSet<&str>> {
    let whole = pattern.as_str()?.strip_prefix('^')?.strip_suffix('$')?;
    let inner = whole.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(whole);
    let words: BTreeSet<_> = inner.split('|').collect();
    words
        .iter()
        .all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .then_some(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi;

    /// A change of the document at a JSON pointer; `None` takes away.
    fn changed(pointer: &str, to: Option<Value>) -> Value {
        let mut document = openapi().clone();
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
        let last = last.replace("~1", "/");
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} is not there"));
        match (parent, to) {
            (Value::Object(map), Some(to)) => drop(map.insert(last, to)),
            (Value::Object(map), None) => drop(map.remove(&last).expect("it is there")),
            (Value::Array(list), Some(to)) => list.push(to),
            (Value::Array(list), None) => drop(list.remove(last.parse().expect("an index"))),
            _ => panic!("{pointer} leads nowhere"),
        }
        document
    }

    /// A list of words.
    const EXPLAIN: &str = "/paths/~1users~1{user}~1quotes/post/parameters/1/schema/pattern";
    const RESERVE: &str = "/paths/~1users~1{user}~1reservations/post";

    #[test]
    fn a_document_may_take_its_own_place() {
        assert_eq!(broken_promises(openapi(), openapi()), Vec::<String>::new());
    }

    #[test]
    fn every_way_of_breaking_a_promise_is_found() {
        let schema = |rest: &str| format!("/components/schemas/{rest}");
        let reserve = |rest: &str| format!("{RESERVE}/{rest}");
        let rows: Vec<(String, Option<Value>, &str)> = vec![
            ("/paths/~1healthz".into(), None, "GET /healthz: is gone"),
            (RESERVE.into(), None, "POST /users/{user}/reservations: is gone"),
            (reserve("operationId"), Some(json!("order")), "another operationId"),
            (reserve("parameters/1"), None, "\"wait\": is gone"),
            (reserve("parameters/1/required"), Some(json!(true)), "\"wait\": is required now"),
            (
                reserve("parameters/-"),
                Some(json!({"in": "query", "name": "team", "required": true, "schema": {}})),
                "new and required",
            ),
            (reserve("responses/202"), None, "202: is gone"),
            (reserve("responses/202/headers/ETag"), None, "header ETag is gone"),
            (reserve("responses/409/x-infra-codes/0"), None, "code conflict is gone"),
            (reserve("responses/202/content/application~1json"), None, "no longer application/json"),
            ("/paths/~1healthz/get/security".into(), None, "asks for a token now"),
            ("/x-infra-errors/0".into(), None, "code \"malformed-json\" is gone"),
            ("/x-infra-errors/0/status".into(), Some(json!(422)), "another status"),
            (schema("Reservation/properties/price"), None, "price: is gone"),
            (schema("Reservation/required/0"), None, "may be missing now"),
            (schema("Reservation/properties/id"), Some(json!({"type": "integer"})), "is {\"integer\"}"),
            (schema("Reservation/properties/created_at/type"), Some(json!(["string", "null"])), "\"null\""),
            (schema("Phase/enum/0"), None, "word \"pending\" is gone"),
            (schema("ReservationRequest/properties/count"), None, "count: is gone"),
            (schema("ReservationRequest/required"), Some(json!(["count"])), "count is required now"),
            (schema("ReservationRequest/properties/count/maximum"), Some(json!(10)), "maximum is narrower"),
            (schema("ReservationRequest/properties/count/minimum"), Some(json!(2)), "minimum is narrower"),
            (schema("ReservationRequest/properties/count/type"), Some(json!("integer")), "\"null\""),
            (schema("ReservationRequest/properties/setup/pattern"), Some(json!("^#!")), "pattern is another"),
            (schema("ReservationRequest/properties/tags/maxProperties"), Some(json!(3)), "narrower"),
            (EXPLAIN.to_owned(), Some(json!("^true$")), "pattern is another"),
            (EXPLAIN.to_owned(), Some(json!("^(true|false|.*)$")), "pattern is another"),
            (schema("NewKey/additionalProperties"), Some(json!(false)), "no further fields"),
            (schema("Market/enum/1"), None, "word \"spot\" is gone"),
        ];
        for (pointer, to, wanted) in rows {
            let broken = broken_promises(openapi(), &changed(&pointer, to));
            let said = broken.iter().any(|said| said.contains(wanted));
            assert!(said, "{pointer}: wanted {wanted:?} in {broken:#?}");
        }
    }

    #[test]
    fn a_document_may_grow() {
        let grown = [
            ("/paths/~1new", json!({"get": {"operationId": "new", "responses": {}}})),
            ("/x-infra-errors/-", json!({"code": "new", "status": 400})),
            ("/components/schemas/Reservation/properties/new", json!({"type": "string"})),
            ("/components/schemas/ReservationRequest/properties/new", json!({"type": "string"})),
            (EXPLAIN, json!("^(true|false|full)$")),
            ("/components/schemas/Phase/enum/-", json!("dreaming")),
            ("/components/schemas/ReservationRequest/properties/count/maximum", json!(2000)),
            (&format!("{RESERVE}/responses/402"), json!({"description": "new"})),
            (&format!("{RESERVE}/parameters/-"), json!({"in": "query", "name": "new", "required": false})),
        ];
        for (pointer, to) in grown {
            let broken = broken_promises(openapi(), &changed(pointer, Some(to)));
            assert_eq!(broken, Vec::<String>::new(), "{pointer}");
        }
    }
}
