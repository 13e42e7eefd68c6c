//! The narrow way from a cloud's client to its HTTP API: one call, one request.
//!
//! # Flow
//! A cloud's client builds an [`HttpRequest`], hands it to a [`Transport`], and reads the [`HttpResponse`] with
//! [`read`] and [`json`], which turn everything but a readable success into an [`ApiFailure`].
//!
//! # Guarantees asked of implementers of [`Transport`]
//! * One call is one request: no retries, no redirects, no waiting for a rate.
//! * The call is cut after the request's `within`; nothing leaves later.
//! * A failure says whether the request may have left ([`Sent`]). When in doubt it may have.
//!
//! The real one is `client::Client` (feature `http-client`). Fakes answer in process, on a virtual clock: real
//! sockets cannot be waited for in virtual time.

#[cfg(feature = "http-client")]
pub mod client;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::Said;
use infra_core::words::clock::Timestamp;
use serde::de::DeserializeOwned;

use crate::failure::{Answer, ApiFailure, Reached, own};

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One request. Headers and body may hold secrets, so `Debug` shows method and URL alone.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URL, query included and percent-encoded.
    pub url: String,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body; a JSON document where the cloud wants one.
    pub body: Option<Vec<u8>>,
    /// The whole call is cut after this.
    pub within: Duration,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.word(), self.url)
    }
}

/// One answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The cloud's clock, to the second, from the `Date` header.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        self.header("date").and_then(http_date)
    }

    /// When the cloud wants to be asked again: `Retry-After` in seconds or as a date.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let (at, now) = (http_date(text)?, self.date()?);
        Some(infra_core::words::clock::between(now, at))
    }
}

/// Did a failed request leave?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not.
    No,
    /// Perhaps.
    Maybe,
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TransportError {
    /// Did the request leave?
    pub sent: Sent,
    /// Why there is no answer, in one line and without any secret.
    pub why: String,
}

/// Carries requests to a cloud.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends one request, once.
    ///
    /// # Errors
    /// [`TransportError`] when no whole answer came. A status is never an error here.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// Sends a request and sorts its outcome: anything but a 2xx is a failure. `said` reads the words of an error answer.
///
/// # Errors
/// [`ApiFailure`].
pub async fn read(
    transport: &dyn Transport,
    request: HttpRequest,
    said: impl Fn(&HttpResponse) -> Said,
) -> Answer<HttpResponse> {
    let response = transport.call(request).await.map_err(|error| ApiFailure {
        reached: if error.sent == Sent::No { Reached::Nothing } else { Reached::Maybe },
        said: own(if error.sent == Sent::No { "not-connected" } else { "no-answer" }, error.why),
        retry_after: None,
    })?;
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let retry_after = response.retry_after();
    Err(ApiFailure { reached: Reached::Answered(response.status), said: said(&response), retry_after })
}

/// Reads a success's JSON body.
///
/// # Errors
/// [`Reached::Unreadable`]. The message names what is wrong and never repeats the body.
pub fn json<T: DeserializeOwned>(response: &HttpResponse) -> Answer<T> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let why = format!("line {} column {}: not what was expected", error.line(), error.column());
        ApiFailure { reached: Reached::Unreadable, said: own("unreadable-answer", why), retry_after: None }
    })
}

/// Percent-encodes a path segment or a query value.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the form of RFC 9110.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(headers: &[(&str, &str)]) -> HttpResponse {
        let headers = headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        HttpResponse { status: 429, headers, body: Vec::new() }
    }

    #[test]
    fn when_to_come_back_is_read_in_both_forms() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |of: &HttpResponse| of.retry_after().map(|after| after.as_secs());
        assert_eq!(seconds(&response(&[("retry-after", "7")])), Some(7));
        assert_eq!(seconds(&response(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")])), Some(30));
        assert_eq!(seconds(&response(&[date, ("retry-after", "soon")])), None);
        assert_eq!(seconds(&response(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")])), None);
        assert_eq!(seconds(&response(&[])), None);
    }

    #[test]
    fn a_request_never_prints_what_it_carries() {
        let request = HttpRequest {
            method: Method::Post,
            url: "https://keys.example/v3/auth/tokens".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer hunter2".to_owned())],
            body: Some(b"{\"password\": \"hunter2\"}".to_vec()),
            within: Duration::from_secs(1),
        };
        assert_eq!(format!("{request:?}"), "POST https://keys.example/v3/auth/tokens");
    }

    #[test]
    fn what_has_a_meaning_in_urls_is_encoded() {
        assert_eq!(encoded("infra-token:0a/b c?d=é"), "infra-token%3A0a%2Fb%20c%3Fd%3D%C3%A9");
    }

    #[test]
    fn an_unreadable_answer_does_not_repeat_itself() {
        let secret =
            HttpResponse { status: 200, headers: Vec::new(), body: b"{\"token\": \"hunter2".to_vec() };
        let failure = json::<serde_json::Value>(&secret).expect_err("it is cut off");
        assert_eq!(failure.reached, Reached::Unreadable);
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
}
