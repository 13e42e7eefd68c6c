//! One call: sent, read, and sent again where that is safe.

use std::sync::Arc;
use std::time::Duration;

use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::{Entropy, SystemEntropy};
use infra_core::words::secret::hex;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Page, Pages};
use super::error::{ClientError, Problem, chain};
use super::repeat::{Ended, Patience, Twice, pause};
use super::target::Target;
use super::tls::{transport, untrusted};

/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// An answer must be there within this time, a wish to wait not counted.
const ANSWER_WITHIN: Duration = Duration::from_secs(130);
/// Items of a page when all pages are wanted.
const PAGE: &str = "200";
/// Pages followed at most: no list is a million items long, but a server that names the same page for ever could be.
const PAGES_MAX: usize = 5_000;

/// A client of one server. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    target: Target,
    pub(super) patience: Patience,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A call in the making.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    twice: Twice,
    within: Duration,
}

impl Call {
    /// A call to a path, segment by segment. Whatever stands in a segment stays one.
    pub(super) fn new<S: Into<String>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        let twice = if method == Method::POST { Twice::Never } else { Twice::Fine };
        let path = path.into_iter().map(Into::into).collect();
        Self {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            twice,
            within: ANSWER_WITHIN,
        }
    }

    pub(super) fn get<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// # Errors
    /// [`ClientError::Target`] when the body is no JSON: a float that is no number, for one.
    pub(super) fn json<B: Serialize + ?Sized>(mut self, body: &B) -> Result<Self, ClientError> {
        let text = serde_json::to_string(body).map_err(|error| ClientError::Target {
            address: "the body".to_owned(),
            why: error.to_string(),
        })?;
        self.body = Some(text);
        Ok(self)
    }

    /// This one may be sent again although it is a `POST`.
    pub(super) const fn repeatable(mut self) -> Self {
        self.twice = Twice::Fine;
        self
    }

    /// The server answers at the latest after this time, besides the usual.
    pub(super) fn waits(mut self, for_: Duration) -> Self {
        self.within = ANSWER_WITHIN.saturating_add(for_);
        self
    }
}

/// One send that came back with something.
struct Received {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Received {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn retry_after(&self) -> Option<u64> {
        self.header(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok())
    }
}

impl Client {
    /// Prepares a client; sends nothing.
    ///
    /// # Errors
    /// [`ClientError::Target`] when a certificate cannot be read, or the token would be shown to the network.
    pub fn new(target: Target) -> Result<Self, ClientError> {
        let http = transport(&target)?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Ok(Self { http, target, patience: Patience::default(), clock, entropy })
    }

    /// Goes on for longer or shorter before it gives up.
    #[must_use]
    pub const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where, and as whom.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// An idempotency key that nobody else draws.
    #[must_use]
    pub fn draw_key(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.entropy.fill(&mut bytes);
        format!("infra-cli-{}", hex(&bytes))
    }

    /// The segments of a path below `/users/{user}`.
    pub(super) fn of_user(&self, rest: &[&str]) -> Result<Vec<String>, ClientError> {
        let user = self.target.user().ok_or(ClientError::NoUser)?;
        let path = ["users", user].into_iter().chain(rest.iter().copied());
        Ok(path.map(str::to_owned).collect())
    }

    /// Sends a call until it is answered, and reads the answer.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<Answer<T>, ClientError> {
        let (received, sends) = self.deliver(&call).await?;
        let text = if received.text.is_empty() { "null" } else { &received.text };
        let value = serde_json::from_str(text).map_err(|error| self.unexpected(received.status, &error))?;
        let etag = received.header(header::ETAG).map(str::to_owned);
        Ok(Answer { value, etag, status: received.status, sends, raw: received.text })
    }

    /// Sends a call until it is answered, with something else than JSON.
    pub(super) async fn text(&self, call: Call) -> Result<String, ClientError> {
        Ok(self.deliver(&call).await?.0.text)
    }

    /// Follows a list to its end, or answers the one page asked for.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        call: Call,
        limit: Option<u32>,
        after: Option<&str>,
    ) -> Result<Page<T>, ClientError> {
        let mut pages = Pages::default();
        let mut after = after.map(str::to_owned);
        for _ in 0..PAGES_MAX {
            let mut one = call.clone().query("limit", limit.map_or(PAGE.to_owned(), |n| n.to_string()));
            if let Some(after) = after.take() {
                one = one.query("after", after);
            }
            let (received, _) = self.deliver(&one).await?;
            let more = pages.add(&received.text).map_err(|error| self.unexpected(received.status, &error))?;
            if limit.is_some() || !more {
                break;
            }
            after.clone_from(&pages.next);
        }
        pages.finish().map_err(|error| self.unexpected(200, &error))
    }

    /// Sends until there is a success, or nothing more to hope for. Answers with the number of sends.
    async fn deliver(&self, call: &Call) -> Result<(Received, u32), ClientError> {
        let mut was_lost = false;
        let mut sends = 0;
        loop {
            sends += 1;
            let (ended, error) = match self.once(call).await {
                Ok(received) if (200..300).contains(&received.status) => return Ok((received, sends)),
                Ok(received) => {
                    let ended = Ended::Status(received.status, received.retry_after());
                    (ended, self.refused(&received))
                }
                Err((ended, error)) => (ended, error),
            };
            was_lost |= ended == Ended::Lost;
            let mut jitter = [0_u8; 1];
            self.entropy.fill(&mut jitter);
            match pause(&self.patience, call.twice, sends, was_lost, ended, jitter[0]) {
                Some(wait) => self.clock.sleep(wait).await,
                None => return Err(unsure(error, was_lost)),
            }
        }
    }

    async fn once(&self, call: &Call) -> Result<Received, (Ended, ClientError)> {
        let mut answer = self.request(call).timeout(call.within).send().await.map_err(|e| self.lost(e))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| self.lost(error))? {
            if bytes.len() + part.len() > ANSWER_BYTES_MAX {
                let why = format!("longer than {ANSWER_BYTES_MAX} bytes");
                return Err((Ended::Status(0, None), self.unexpected(status, &why)));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Received { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// Opens an answer that goes on and on. Not sent again here: whoever reads it knows where it left off.
    pub(super) async fn open(&self, call: &Call) -> Result<reqwest::Response, ClientError> {
        let mut answer = self.request(call).send().await.map_err(|error| self.lost(error).1)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if status == 200 {
            return Ok(answer);
        }
        let mut bytes = Vec::new();
        while let Ok(Some(part)) = answer.chunk().await {
            bytes.extend_from_slice(&part);
            if bytes.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Err(self.refused(&Received { status, headers, text }))
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let mut request = self.http.request(call.method.clone(), url(&self.target, call));
        request = request.bearer_auth(self.target.token.expose());
        if let Some(user) = self.target.user() {
            // A bot must say for whom it acts; for everybody else it says what the path says.
            request = request.header("infra-on-behalf-of", user);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        match &call.body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.clone()),
            None => request,
        }
    }

    pub(super) fn lost(&self, error: reqwest::Error) -> (Ended, ClientError) {
        let never_left = error.is_connect() || error.is_builder();
        let why = if error.is_timeout() && !never_left {
            "no answer in time".to_owned()
        } else if let Some(why) = untrusted(&error, &self.target) {
            why
        } else {
            chain(&error.without_url())
        };
        let address = self.target.address().to_owned();
        let ended = if never_left { Ended::Unreached } else { Ended::Lost };
        (ended, ClientError::Unreachable { address, why, maybe_done: !never_left })
    }

    fn refused(&self, received: &Received) -> ClientError {
        match Problem::read(&received.text) {
            Some(problem) => ClientError::Refused(Box::new(problem)),
            None => self.unexpected(received.status, &"the body is no problem+json"),
        }
    }

    pub(super) fn unexpected(&self, status: u16, why: &dyn std::fmt::Display) -> ClientError {
        let address = self.target.address().to_owned();
        ClientError::Unexpected { address, status, why: why.to_string() }
    }
}

/// Once an answer was lost, "not reached" no longer means "not done".
fn unsure(error: ClientError, was_lost: bool) -> ClientError {
    match error {
        ClientError::Unreachable { address, why, .. } if was_lost => {
            ClientError::Unreachable { address, why, maybe_done: true }
        }
        other => other,
    }
}

fn url(target: &Target, call: &Call) -> Url {
    let mut url = target.url.clone();
    url.path_segments_mut()
        .expect("http and https have paths")
        .pop_if_empty()
        .extend(call.path.iter().map(String::as_str));
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(call.query.iter().map(|(name, value)| (name, value)));
    }
    url
}

#[cfg(test)]
mod tests {
    use infra_core::words::secret::Secret;

    use super::*;

    #[test]
    fn no_name_leaves_its_segment_of_the_path() {
        let target = Target::new("http://localhost/below/", Secret::new("t".into())).expect("an address");
        let call = Call::get(["users", "a/b+c?d#e%2F..", "keys"]).query("after", "a&b=c");
        let url = url(&target, &call);
        assert_eq!(url.as_str(), "http://localhost/below/users/a%2Fb+c%3Fd%23e%252F../keys?after=a%26b%3Dc");
        assert_eq!(url.path_segments().map(Iterator::count), Some(4));
    }
}
