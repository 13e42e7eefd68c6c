//! The operator's own keys: from variables that the operator's program hands over, or from the machine it runs on.
//!
//! Nothing here looks around by itself: the program says where keys are, and the settings say whether credentials may
//! use them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::Said;
use infra_core::words::clock::Timestamp;
use infra_core::words::secret::Secret;
use serde::Deserialize;

use super::api::{Answer, ApiFailure, Reached, StaticKeys, TemporaryKeys};
use super::driver::AmbientKeys;
use crate::failure::own;
use crate::http::{HttpRequest, HttpResponse, Method, Transport, encoded, json, read};

/// Keys in variables, named as AWS's own tools name them.
#[derive(Clone)]
pub struct VariableKeys(Option<StaticKeys>);

impl fmt::Debug for VariableKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VariableKeys({})", if self.0.is_some() { "set" } else { "not set" })
    }
}

impl VariableKeys {
    /// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, once.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| variable(name).filter(|value| !value.is_empty()).map(Secret::new);
        Self(get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| StaticKeys {
            access_key_id: id,
            secret_access_key: secret,
            session_token: get("AWS_SESSION_TOKEN"),
        }))
    }
}

#[async_trait]
impl AmbientKeys for VariableKeys {
    async fn fetch(&self) -> Answer<TemporaryKeys> {
        let keys =
            self.0.clone().ok_or_else(|| none("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"))?;
        Ok(TemporaryKeys { keys, expires_at: None })
    }
}

/// Keys of the machine's instance profile, by version 2 of EC2's metadata service.
#[derive(Debug)]
pub struct ProfileKeys {
    transport: Arc<dyn Transport>,
}

/// The same on every machine of EC2.
const METADATA: &str = "http://169.254.169.254/latest";
/// The service is on the machine itself: longer means that there is none.
const WITHIN: Duration = Duration::from_secs(2);

/// Never printed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

impl ProfileKeys {
    /// Asks through this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    async fn ask(&self, method: Method, path: &str, header: (&str, &str)) -> Answer<HttpResponse> {
        let request = HttpRequest {
            method,
            url: format!("{METADATA}/{path}"),
            headers: vec![(header.0.to_owned(), header.1.to_owned())],
            body: None,
            within: WITHIN,
        };
        let said = |response: &HttpResponse| Said {
            code: "metadata".to_owned(),
            message: format!("the metadata service answers {} to {path}", response.status),
            request_id: None,
        };
        read(&*self.transport, request, said).await
    }
}

#[async_trait]
impl AmbientKeys for ProfileKeys {
    async fn fetch(&self) -> Answer<TemporaryKeys> {
        let session = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
        let session = text(&self.ask(Method::Put, "api/token", session).await?)?;
        let header = ("x-aws-ec2-metadata-token", session.as_str());
        let roles = "meta-data/iam/security-credentials/";
        let listed = text(&self.ask(Method::Get, roles, header).await?)?;
        let role = listed.lines().next().filter(|role| !role.is_empty());
        let role = role.ok_or_else(|| none("the machine has no instance profile"))?;
        let document = self.ask(Method::Get, &format!("{roles}{}", encoded(role)), header).await?;
        let Document { access_key_id, secret_access_key, token, expiration } = json(&document)?;
        let keys = StaticKeys {
            access_key_id: Secret::new(access_key_id),
            secret_access_key: Secret::new(secret_access_key),
            session_token: Some(Secret::new(token)),
        };
        Ok(TemporaryKeys { keys, expires_at: Some(expiration) })
    }
}

fn text(response: &HttpResponse) -> Answer<String> {
    let text = std::str::from_utf8(&response.body).map_err(|_| ApiFailure {
        reached: Reached::Unreadable,
        said: own("unreadable-answer", "the metadata service answers no text"),
        retry_after: None,
    })?;
    Ok(text.trim().to_owned())
}

fn none(why: &str) -> ApiFailure {
    ApiFailure { reached: Reached::Nothing, said: own("no-keys", why), retry_after: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::http::TransportError;

    /// What was asked, and what is answered.
    type Play = (Vec<String>, Vec<(u16, &'static str)>);

    /// Answers in order, and writes down what was asked.
    #[derive(Debug)]
    struct Script(Mutex<Play>);

    #[async_trait]
    impl Transport for Script {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
            let mut script = self.0.lock().expect("no panic");
            let header = request.headers.first().map(|(_, value)| value.clone()).unwrap_or_default();
            script.0.push(format!("{request:?} {header}"));
            let (status, body) = script.1.remove(0);
            Ok(HttpResponse { status, headers: Vec::new(), body: body.into() })
        }
    }

    const KEYS: &str = r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIA7", "SecretAccessKey": "hunter2",
        "Token": "hunter3", "Expiration": "2026-01-01T06:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}"#;

    async fn fetch(answers: &[(u16, &'static str)]) -> (Answer<TemporaryKeys>, Vec<String>) {
        let script = Arc::new(Script(Mutex::new((Vec::new(), answers.to_vec()))));
        let fetched = ProfileKeys::new(Arc::clone(&script) as Arc<dyn Transport>).fetch().await;
        let asked = script.0.lock().expect("no panic").0.clone();
        (fetched, asked)
    }

    #[tokio::test]
    async fn a_machines_keys_come_by_version_two_of_the_service_and_say_when_they_end() {
        let (fetched, asked) = fetch(&[(200, "session"), (200, "leaser\n"), (200, KEYS)]).await;
        let fetched = fetched.expect("keys");
        assert_eq!(fetched.keys.access_key_id.expose(), "ASIA7");
        assert_eq!(fetched.keys.session_token.as_ref().map(Secret::expose), Some("hunter3"));
        assert_eq!(fetched.expires_at.map(|at| at.to_string()).as_deref(), Some("2026-01-01T06:00:00Z"));
        assert!(!format!("{fetched:?}").contains("hunter"), "a secret in Debug");
        let keys = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
        let wanted = [
            "PUT http://169.254.169.254/latest/api/token 60".to_owned(),
            format!("GET {keys} session"),
            format!("GET {keys}leaser session"),
        ];
        assert_eq!(asked, wanted);
    }

    #[tokio::test]
    async fn a_machine_without_keys_is_an_error_that_says_so() {
        for (answers, words) in [
            (&[(200, "session"), (404, "")][..], "answers 404"),
            (&[(200, "session"), (200, "")][..], "no instance profile"),
            (&[(200, "session"), (200, "leaser"), (200, "{\"SecretAccessKey\": \"hunter2\"")][..], "line 1"),
        ] {
            let failure = fetch(answers).await.0.expect_err("no keys");
            assert!(
                failure.to_string().contains(words) && !failure.to_string().contains("hunter"),
                "{failure}"
            );
        }
    }

    #[tokio::test]
    async fn variables_are_read_whole_or_not_at_all() {
        let whole = |name: &str| (name != "AWS_SESSION_TOKEN").then(|| format!("value of {name}"));
        let keys = VariableKeys::new(whole).fetch().await.expect("set").keys;
        assert_eq!(keys.access_key_id.expose(), "value of AWS_ACCESS_KEY_ID");
        assert!(keys.session_token.is_none());
        let half = VariableKeys::new(|name| (name == "AWS_ACCESS_KEY_ID").then(|| "AKIA".to_owned()));
        assert_eq!(half.fetch().await.expect_err("half").reached, Reached::Nothing);
    }
}
