//! Bodies, parameters and headers, read strictly: whatever is not understood is an error that says where.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use infra_core::words::lane::Version;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Shared;
use super::problem::{Code, Problem};

/// A JSON object as body, of at most the configured size, read within the configured time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), shared).await?;
        parse(&bytes).map(Self)
    }
}

/// As [`Json`], where no body at all says as much as an empty object.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonOrNothing<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Shared> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), shared).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

/// Reads a whole body within the limits of size and time.
async fn read(body: Body, shared: &Shared) -> Result<Vec<u8>, Problem> {
    let limit = shared.options.body_bytes_max;
    let collecting = Limited::new(body, limit).collect();
    let collected = tokio::select! {
        collected = collecting => collected,
        () = shared.options.clock.sleep(shared.options.body_within) => {
            let within = shared.options.body_within.as_secs();
            return Err(Problem::new(Code::Timeout, format!("the body did not arrive within {within} s")));
        }
    };
    match collected {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body has more than {limit} bytes");
            Err(Problem::field(Code::TooLarge, "body", message, Some(limit.to_string())))
        }
        Err(_) => Err(Problem::new(Code::MalformedJson, "the body ended early")),
    }
}

/// Reads a JSON object; the problem says where it is wrong.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Syntax first and alone: "not JSON" must not depend on which field happens to be read first.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| syntax(&error))?;
    // Maps and values that are read freely would keep the last of two: of two wishes one would be passed over.
    read_strictly::<EachOnce>(bytes)?;
    // serde would take a list for a struct, field by field.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::field(Code::WrongType, "body", "must be a JSON object", None));
    }
    read_strictly(bytes)
}

fn read_strictly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        data(&path, error.inner())
    })
}

/// Any JSON in which no object has a field twice, however deep.
struct EachOnce;

impl<'de> Deserialize<'de> for EachOnce {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for EachOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            fields.next_value::<Self>()?;
            seen.insert(name);
        }
        Ok(self)
    }
}

fn syntax(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedJson, error.to_string())
}

/// serde says what is wrong only in words; the words are stable and tested here.
fn data(path: &str, error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    // " at line 1 column 20" says where in the text; the path says where in the meaning.
    let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message);
    let path = path.trim_matches('.');
    let here = if path.is_empty() { "body" } else { path };
    let named = |message: &str| message.split('`').nth(1).unwrap_or_default().to_owned();
    let child = |name: String| if path.is_empty() { name } else { format!("{path}.{name}") };
    if message.starts_with("unknown field") {
        // Here the path ends in the unknown name itself.
        let field = if path.is_empty() { named(message) } else { path.to_owned() };
        Problem::field(Code::UnknownField, &field, not_known(message), None)
    } else if message.starts_with("missing field") {
        Problem::field(Code::WrongType, &child(named(message)), "is required", None)
    } else if message.starts_with("duplicate field") {
        // A name that callers chose may have such a sign itself.
        let twice = message.trim_start_matches("duplicate field `").trim_end_matches('`');
        Problem::field(Code::MalformedJson, &child(twice.to_owned()), "stands twice", None)
    } else if let Some((given, wanted)) = mismatch(message, "invalid type: ") {
        let message = format!("must be {}, not {}", in_words(wanted), in_words(given));
        Problem::field(Code::WrongType, here, message, None)
    } else if let Some((_, wanted)) = mismatch(message, "invalid value: ") {
        let wanted = in_words(wanted);
        Problem::field(Code::OutOfRange, here, format!("must be {wanted}"), Some(wanted.to_owned()))
    } else if message.starts_with("number out of range") {
        Problem::field(Code::OutOfRange, here, message, None)
    } else if message == "expected value" {
        // Where a word is wanted; what it would say of text that is no JSON was said before.
        Problem::field(Code::WrongType, here, "must be a string", None)
    } else if error.is_syntax() || error.is_eof() {
        Problem::field(Code::MalformedJson, here, message, None)
    } else {
        out_of_range(here, message)
    }
}

/// An unknown word, a moment that is none, or a name that breaks its rules.
fn out_of_range(here: &str, message: &str) -> Problem {
    if let Some((_, known)) =
        message.split_once("`, expected ").filter(|_| message.starts_with("unknown variant"))
    {
        let known = known.replace('`', "");
        return Problem::field(Code::OutOfRange, here, format!("must be {known}"), Some(known));
    }
    // A clock's own words for each of its digits say little to whoever wrote "tomorrow".
    let is_moment = here.ends_with("_at") || here == "until";
    let message = match message {
        _ if is_moment => "must be a moment like 2026-11-21T12:00:00Z",
        // Any id may have a slash; what is said of templates' names must be their own rule, or it is broken next.
        _ if message.starts_with("template \"") => {
            "must be 1 to 64 of a-z A-Z 0-9 . _ - and not begin with a dot"
        }
        _ => message,
    };
    Problem::field(Code::OutOfRange, here, message, None)
}

/// An unknown field, with the one that was meant, or all that there are.
fn not_known(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let said = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    match crate::server::nearest(said, known.iter().copied()) {
        Some(meant) => format!("is not known; did you mean {meant}?"),
        None if known.is_empty() => "is not known; there are no fields".to_owned(),
        None => format!("is not known; there are {}", known.join(", ")),
    }
}

/// Names of types as people know them from JSON.
fn in_words(of_serde: &str) -> &str {
    match of_serde {
        "f64" | "f32" => "a number",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 up",
        "u16" | "u8" => "a whole number, not below zero and not too large",
        "i64" | "i32" => "a whole number, not too large",
        "integer" => "a whole number",
        "floating point" => "a fraction",
        "string" => "a string",
        "boolean" | "a boolean" => "true or false",
        "map" | "a map" => "an object",
        "sequence" | "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// What was given, by its type alone since the value may be a secret, and what is wanted.
fn mismatch<'a>(message: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let rest = message.strip_prefix(kind)?;
    let (given, wanted) = rest.rsplit_once(", expected ")?;
    let given = given.split(['`', '"']).next().unwrap_or_default().trim();
    Some((given, wanted))
}

/// The parameters of a query, each known and given at most once.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query; only the named parameters may stand in it.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::read_lists(uri, known, &[])
    }

    /// As [`Self::read`]; those that are named in `lists`, too, may stand in it several times.
    pub(super) fn read_lists(uri: &Uri, known: &[&str], lists: &[&str]) -> Result<Self, Problem> {
        let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::new(Code::WrongType, "the query cannot be read"))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            let field = format!("?{name}");
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("is not a parameter here; known: {known}");
                return Err(Problem::field(Code::UnknownField, &field, message, None));
            }
            let list = lists.contains(&name.as_str());
            if !list && pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::field(Code::OutOfRange, &field, "stands twice", Some("1".to_owned())));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may stand several times.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let of_name = self.0.iter().filter(|(known, _)| known == name);
        of_name.map(|(_, value)| value.clone()).collect()
    }

    /// A parameter that may only be `true`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                let limit = Some("true".to_owned());
                Err(Problem::field(Code::OutOfRange, &format!("?{name}"), "may only be `true`", limit))
            }
        }
    }

    /// A parameter that is a name, or a number: whatever its type reads.
    pub(super) fn read_as<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let wrong = |_| Problem::field(Code::OutOfRange, &format!("?{name}"), "cannot be that", None);
        self.get(name).map(str::parse).transpose().map_err(wrong)
    }

    /// `?limit=`: 1 to 200, 50 when not said.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        self.limit_or(PAGE)
    }

    /// `?limit=`: 1 to 200.
    pub(super) fn limit_or(&self, unsaid: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(unsaid) };
        let wrong = |code| Problem::field(code, "?limit", "must be 1 to 200", Some(format!("1..{PAGE_MAX}")));
        let limit: i64 = text.parse().map_err(|_| wrong(Code::WrongType))?;
        let limit = usize::try_from(limit).map_err(|_| wrong(Code::OutOfRange))?;
        if (1..=PAGE_MAX).contains(&limit) { Ok(limit) } else { Err(wrong(Code::OutOfRange)) }
    }

    /// `?wait=60s`: how long the answer may wait, at most `max`.
    pub(super) fn wait(&self, max: Duration) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.get("wait") else { return Ok(None) };
        let limit = Some(format!("{}s", max.as_secs()));
        let Some(wait) = duration(text) else {
            let message = "must be a duration like 60s, 2m or 500ms";
            return Err(Problem::field(Code::WrongType, "?wait", message, limit));
        };
        if wait > max {
            return Err(Problem::field(Code::OutOfRange, "?wait", "is too long", limit));
        }
        Ok(Some(wait))
    }
}

/// A path without parameters: a wish like `?dry_run=1` must not be passed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoParams;

impl<S: Sync> FromRequestParts<S> for NoParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Params::read(&parts.uri, &[]).map(|_| Self)
    }
}

/// Items of a page when not said.
pub(super) const PAGE: usize = 50;
/// Most items of a page.
pub(super) const PAGE_MAX: usize = 200;

/// Reads `60`, `60s`, `500ms`, `2m`, `1h`, `1m30s`.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number = u64::from(rest[..digits].parse::<u32>().ok()?);
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        sum += match &rest[..unit] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number * 60),
            "h" => Duration::from_secs(number * 3600),
            _ => return None,
        };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(sum)
}

/// `If-Match`: a version as `ETag` gave it; `None` when not said or `*`. Weak tags and lists of them are refused: a
/// version is exact, and whoever would take one of several has not decided on what is there.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(value) = one(headers, header::IF_MATCH.as_str())? else { return Ok(None) };
    let text = value.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(|version| Some(Version(version))).ok_or_else(|| {
        let message = "must be the ETag of one answer, like \"42\", or *";
        Problem::field(Code::OutOfRange, "If-Match", message, None)
    })
}

/// A header that may stand once; `None` when it does not.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let wrong = |message| Problem::field(Code::OutOfRange, name, message, None);
    match (first, second) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(wrong("stands twice")),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| wrong("must be printable ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use infra_core::nouns::request::Request;
    use infra_core::words::money::Money;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Deep {
        #[allow(dead_code, reason = "only the errors around it are looked at")]
        cap: Money,
    }

    fn refused<T: DeserializeOwned + fmt::Debug>(text: &str) -> (Code, Option<String>) {
        let problem = parse::<T>(text.as_bytes()).expect_err(text);
        (problem.code, problem.errors.first().map(|error| error.field.clone()))
    }

    #[test]
    fn each_way_of_being_wrong_has_its_code_and_names_its_field() {
        for (text, code, field) in [
            ("", Code::MalformedJson, None),
            ("{", Code::MalformedJson, None),
            ("{} x", Code::MalformedJson, None),
            ("{\"count\":1,\"count\":2}", Code::MalformedJson, Some("count")),
            ("[]", Code::WrongType, Some("body")),
            ("null", Code::WrongType, Some("body")),
            ("{\"tags\":{\"a\":\"1\",\"a\":\"2\"}}", Code::MalformedJson, Some("tags.a")),
            ("{\"tags\":{\"a`b\":\"1\",\"a`b\":\"2\"}}", Code::MalformedJson, Some("tags.a`b")),
            ("{\"cuont\":1}", Code::UnknownField, Some("cuont")),
            ("{\"count\":\"two\"}", Code::WrongType, Some("count")),
            ("{\"count\":1.5}", Code::WrongType, Some("count")),
            ("{\"count\":-1}", Code::OutOfRange, Some("count")),
            ("{\"count\":4294967296}", Code::OutOfRange, Some("count")),
            ("{\"vcpus\":1e999}", Code::OutOfRange, Some("vcpus")),
            ("{\"name\":\"\\ud800\"}", Code::MalformedJson, Some("name")),
            ("{\"tags\":{\"a\":1}}", Code::WrongType, Some("tags.a")),
            ("{\"ssh_public_keys\":[\"a\",2]}", Code::WrongType, Some("ssh_public_keys[1]")),
            ("{\"market\":\"barter\"}", Code::OutOfRange, Some("market")),
            ("{\"resource\":null}", Code::WrongType, Some("resource")),
            ("{\"resource\":5}", Code::WrongType, Some("resource")),
            ("{\"options\":[]}", Code::WrongType, Some("options")),
            ("{\"region\":\"the moon\"}", Code::OutOfRange, Some("region")),
            ("{\"ends_at\":\"tomorrow\"}", Code::OutOfRange, Some("ends_at")),
        ] {
            assert_eq!(refused::<Request>(text), (code, field.map(str::to_owned)), "{text}");
        }
        for (text, code, field) in [
            ("{}", Code::WrongType, "cap"),
            ("{\"cap\":{\"amount\":\"1\"}}", Code::WrongType, "cap.currency"),
            ("{\"cap\":{\"amont\":\"1\"}}", Code::UnknownField, "cap.amont"),
        ] {
            assert_eq!(refused::<Deep>(text), (code, Some(field.to_owned())), "{text}");
        }
        for (text, says) in [
            ("{\"duration\":60}", "duration: is not known; did you mean duration_s?"),
            ("{\"zzz\":60}", "there are resource, count, vcpus"),
            ("{\"vcpus\":\"two\"}", "vcpus: must be a number, not a string"),
            ("{\"tags\":[]}", "tags: must be an object, not a list"),
            ("{\"duration_s\":-1}", "must be a whole number from 0 up"),
            ("{\"resource\":\"k8s\"}", "resource: must be one of vm, cluster, device"),
            ("{\"ends_at\":\"tomorrow\"}", "must be a moment like 2026-11-21T12:00:00Z"),
        ] {
            let told = parse::<Request>(text.as_bytes()).expect_err(text);
            assert!(told.detail.contains(says), "{text}: {}", told.detail);
        }
        let told = parse::<Deep>(b"{\"cap\":\"500\"}").expect_err("money is an object");
        let money =
            r#"cap: must be an amount of money like {"amount": "0.5", "currency": "USD"}, not a string"#;
        assert_eq!(told.detail, money);
        let told = parse::<Request>(b"{\"count\":\"planted-secret\"}").expect_err("a text is no number");
        assert!(!format!("{told:?}").contains("planted"), "{told:?}");
        let deep = "[".repeat(100_000);
        assert_eq!(refused::<Request>(&deep).0, Code::MalformedJson);
    }

    #[test]
    fn only_one_strong_tag_or_a_star_is_a_version() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, value.parse().expect("visible ASCII"));
            if_match(&headers)
        };
        assert_eq!(read("\"42\""), Ok(Some(Version(42))));
        assert_eq!(read(" * "), Ok(None));
        for bad in ["W/\"42\"", "42", "\"42", "\"\"42\"\"", "\"\"", "\"+42\"", "\"42\", \"43\"", "\"*\"", ""]
        {
            assert_eq!(read(bad).expect_err(bad).code, Code::OutOfRange, "{bad}");
        }
    }

    #[test]
    fn parameters_are_as_strict_as_bodies() {
        let limit = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().expect("a uri");
            Params::read(&uri, &["limit", "wait"]).and_then(|params| {
                params.wait(Duration::from_secs(600))?;
                params.limit()
            })
        };
        assert_eq!(limit("limit=200"), Ok(200));
        assert_eq!(limit("wait=1m30s"), Ok(PAGE));
        for (query, code) in [
            ("limit=0", Code::OutOfRange),
            ("limit=201", Code::OutOfRange),
            ("limit=-1", Code::OutOfRange),
            ("limit=many", Code::WrongType),
            ("limit=1&limit=2", Code::OutOfRange),
            ("limti=1", Code::UnknownField),
            ("wait=soon", Code::WrongType),
            ("wait=", Code::WrongType),
            ("wait=11m", Code::OutOfRange),
        ] {
            assert_eq!(limit(query).expect_err(query).code, code, "{query}");
        }
    }

    #[test]
    fn durations_are_read_whole_or_not_at_all() {
        for (text, millis) in
            [("60", 60_000), ("60s", 60_000), ("500ms", 500), ("1m30s", 90_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "60x", "1.5s", "-1s", "60s ", "5000000000s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
