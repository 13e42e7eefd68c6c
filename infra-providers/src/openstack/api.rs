//! The typed client: one method is one request (and, before the first or after a refused one, one for a token).
//!
//! # Flow
//! [`Session`] keeps the token and the catalogue of one key. A method names a service and a path; the session turns
//! that into an address, sends, and renews the token once when the service refuses it.
//!
//! # Guarantees
//! * Whatever keeps a request from being sent, a failed login included, says that nothing was sent, but for refusals
//!   of the key itself.
//! * One caller at a time asks for a token; the others wait for it.
//! * Nothing is sent with a token of another project than the lane's.

use std::sync::Arc;
use std::time::Duration;

use infra_core::words::clock::{Clock, Timestamp, between};
use infra_core::words::ids::{AccountId, Region};
use infra_core::words::secret::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::auth::Login;
use super::errors::said;
use super::settings::{Interface, versioned};
use super::shapes::{CatalogService, TokenAnswer, TokenBody};
use crate::exposed::is_exposed;
use crate::failure::{Answer, ApiFailure, Reached, own};
use crate::http::{self, HttpRequest, HttpResponse, Method, Transport};

/// A token is not used in its last seconds: a call that it starts must still find it good.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// The status by which a service refuses a token.
const REFUSED: u16 = 401;

/// The microversion of reads and ordinary creates: `networks` as `auto` and `none` (2.37), flavors by name in servers
/// (2.47), the image's id in the answer to a snapshot (2.45), and servers of a cell that is down (2.69).
pub(super) const NOVA: &str = "2.69";

/// The last microversion that takes files.
pub(super) const NOVA_WITH_FILES: &str = "2.56";

/// A service of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Compute,
    Image,
    Network,
}

impl Service {
    /// Types by which catalogues list it.
    const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Compute => &["compute"],
            Self::Image => &["image"],
            Self::Network => &["network"],
        }
    }

    /// The address with the API's version: catalogues list Nova with it, the others mostly without.
    fn versioned(self, url: &str) -> String {
        let plain = url.trim_end_matches('/');
        let (version, prefix) = match self {
            Self::Compute => return plain.to_owned(),
            Self::Image => ("/v2", "/v2"),
            Self::Network => ("/v2.0", "/v2"),
        };
        let last = plain.rsplit('/').next().unwrap_or_default();
        if format!("/{last}").starts_with(prefix) { plain.to_owned() } else { format!("{plain}{version}") }
    }
}

/// A token and what came with it. Never printed.
struct Token {
    id: Secret,
    /// On our monotonic clock.
    good_until: Duration,
    body: Arc<TokenBody>,
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) project: String,
    pub(super) user: String,
}

/// One key at one Keystone.
pub(super) struct Session {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    identity: String,
    login: Login,
    call_timeout: Duration,
    insecure: bool,
    token: Mutex<Option<Arc<Token>>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A request to a service, before it has an address and a token.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) service: Service,
    pub(super) method: Method,
    /// After the service's address, query included.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) microversion: &'static str,
    /// It must not leave after this moment of the monotonic clock.
    pub(super) deadline: Option<Duration>,
}

impl Ask {
    pub(super) fn new(service: Service, method: Method, path: impl Into<String>) -> Self {
        Self { service, method, path: path.into(), body: None, microversion: NOVA, deadline: None }
    }

    pub(super) fn get(service: Service, path: impl Into<String>) -> Self {
        Self::new(service, Method::Get, path)
    }

    pub(super) fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) const fn until(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// An answer and the cloud's clock.
#[derive(Debug)]
pub(super) struct Dated<T> {
    pub(super) value: T,
    pub(super) at: Option<Timestamp>,
}

impl Session {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        auth_url: &str,
        login: Login,
        call_timeout: Duration,
    ) -> Self {
        let identity = versioned(auth_url);
        Self { transport, clock, identity, login, call_timeout, insecure: false, token: Mutex::default() }
    }

    /// The same, which may send its token over plain HTTP to other machines, or may not.
    pub(super) const fn exposed_if(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Who this key is, asked now.
    pub(super) async fn identify(&self) -> Answer<Who> {
        let token = self.token().await?;
        let answer = match self.check(&token).await {
            Err(failure) if is_refused(&failure) => {
                let token = self.renew(&token).await?;
                self.check(&token).await?
            }
            answer => answer?,
        };
        who(&answer.token)
    }

    /// Keystone looks at a token.
    async fn check(&self, token: &Token) -> Answer<TokenAnswer> {
        let mut request = self.request(Method::Get, format!("{}/auth/tokens", self.identity));
        let id = token.id.expose();
        request.headers.push(("x-auth-token".to_owned(), id.to_owned()));
        request.headers.push(("x-subject-token".to_owned(), id.to_owned()));
        http::json(&http::read(&*self.transport, request, said).await.map_err(of_the_key)?)
    }

    fn request(&self, method: Method, url: String) -> HttpRequest {
        let headers = vec![("accept".to_owned(), "application/json".to_owned())];
        HttpRequest { method, url, headers, body: None, within: self.call_timeout }
    }

    /// A token that is still good for a while.
    async fn token(&self) -> Answer<Arc<Token>> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| self.clock.mono() < token.good_until) {
            return Ok(Arc::clone(token));
        }
        let fresh = Arc::new(self.log_in().await?);
        *kept = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Another token than this one, which was refused.
    async fn renew(&self, refused: &Arc<Token>) -> Answer<Arc<Token>> {
        let mut kept = self.token.lock().await;
        // Somebody else may have renewed it while this caller waited.
        if let Some(token) = kept.as_ref().filter(|token| !Arc::ptr_eq(token, refused)) {
            return Ok(Arc::clone(token));
        }
        *kept = None;
        let fresh = Arc::new(self.log_in().await?);
        *kept = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn log_in(&self) -> Answer<Token> {
        let mut request = self.request(Method::Post, format!("{}/auth/tokens", self.identity));
        request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        request.body = Some(self.login.to_body().to_string().into_bytes());
        let began = self.clock.mono();
        let answer = http::read(&*self.transport, request, said).await.map_err(before_the_call)?;
        let unreadable = |what: &str| ApiFailure {
            reached: Reached::Nothing,
            said: own("unreadable-answer", format!("a token without {what}")),
            retry_after: None,
        };
        let id = answer.header("x-subject-token").ok_or_else(|| unreadable("id"))?;
        let body = http::json::<TokenAnswer>(&answer).map_err(before_the_call)?.token;
        let expires: Timestamp = body.expires_at.parse().map_err(|_| unreadable("an end"))?;
        // Its life is measured on the cloud's clock, then counted on ours: a wrong wall clock does no harm.
        let life = between(answer.date().unwrap_or_else(|| self.clock.wall()), expires);
        let good_until = began + life.saturating_sub(RENEW_BEFORE).max(life / 2);
        Ok(Token { id: Secret::new(id.to_owned()), good_until, body: Arc::new(body) })
    }

    /// Sends one request to a service of a region.
    async fn send(&self, place: &Place, ask: &Ask) -> Answer<HttpResponse> {
        let token = self.token().await?;
        match self.send_with(&token, place, ask).await {
            // The refused request did nothing, so it is the same request that is sent again.
            Err(failure) if is_refused(&failure) => {
                let token = self.renew(&token).await?;
                self.send_with(&token, place, ask).await
            }
            answer => answer,
        }
    }

    async fn send_with(&self, token: &Token, place: &Place, ask: &Ask) -> Answer<HttpResponse> {
        place.admits(token)?;
        let address = place.address(ask.service, &token.body.catalog)?;
        // Whoever runs Keystone without TLS has said so of the whole cloud.
        if !self.insecure && is_exposed(&address) && !is_exposed(&self.identity) {
            let why = format!(
                "the catalogue's {} address {address} is plain HTTP to another machine, and would show the token to \
                 whoever is on the way: name another interface, or allow it with the cloud's insecure = true",
                ask.service.types()[0]
            );
            return Err(nothing_sent("clear-text", why));
        }
        let mut request = self.request(ask.method, format!("{address}{}", ask.path));
        if let Some(deadline) = ask.deadline {
            let left = deadline.saturating_sub(self.clock.mono());
            if left.is_zero() {
                return Err(nothing_sent("too-late", "the deadline for sending has passed"));
            }
            request.within = left.min(self.call_timeout);
        }
        let mut header = |name: &str, value: &str| request.headers.push((name.to_owned(), value.to_owned()));
        header("x-auth-token", token.id.expose());
        if ask.service == Service::Compute {
            header("openstack-api-version", &format!("compute {}", ask.microversion));
        }
        if let Some(body) = &ask.body {
            header("content-type", "application/json");
            request.body = Some(body.to_string().into_bytes());
        }
        http::read(&*self.transport, request, said).await
    }
}

fn is_refused(failure: &ApiFailure) -> bool {
    failure.reached == Reached::Answered(REFUSED)
}

fn nothing_sent(code: &str, why: impl Into<String>) -> ApiFailure {
    ApiFailure { reached: Reached::Nothing, said: own(code, why), retry_after: None }
}

/// A login that failed: the call it was for did not happen. Only a refusal of the key keeps its own meaning.
fn before_the_call(failure: ApiFailure) -> ApiFailure {
    let failure = of_the_key(failure);
    match failure.reached {
        Reached::Answered(400..=499) => failure,
        _ => ApiFailure { reached: Reached::Nothing, ..failure },
    }
}

/// Keystone does not find a token that has ended or was revoked: the key is refused, nothing is absent.
fn of_the_key(failure: ApiFailure) -> ApiFailure {
    let unknown = failure.reached == Reached::Answered(404) && !failure.said.code.is_empty();
    if unknown { ApiFailure { reached: Reached::Answered(REFUSED), ..failure } } else { failure }
}

fn who(token: &TokenBody) -> Answer<Who> {
    let no_project = || ApiFailure {
        reached: Reached::Answered(400),
        said: own("unscoped", "the key reaches no project"),
        retry_after: None,
    };
    let project = token.project.as_ref().ok_or_else(no_project)?;
    Ok(Who { project: project.id.clone(), user: token.user.name.clone() })
}

/// In which project, and at which of a catalogue's addresses.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) project: AccountId,
    pub(super) region: Region,
    pub(super) interface: Interface,
}

impl Place {
    /// A key whose project's name was given to another project leads there from its next token on. What is asked for
    /// here must not be made there, nor may its absence there be taken for one here: such a token counts as refused,
    /// so that another is tried.
    fn admits(&self, token: &Token) -> Answer<()> {
        let of = who(&token.body)?.project;
        if of == self.project.as_str() {
            return Ok(());
        }
        Err(ApiFailure {
            reached: Reached::Answered(REFUSED),
            said: own("another-project", format!("the key leads to project {of}, not {}", self.project)),
            retry_after: None,
        })
    }

    fn address(&self, service: Service, catalog: &[CatalogService]) -> Answer<String> {
        let endpoints: Vec<_> = catalog
            .iter()
            .filter(|one| service.types().contains(&one.kind.as_str()))
            .flat_map(|one| &one.endpoints)
            .filter(|one| one.interface == self.interface.word())
            .collect();
        let here = endpoints.iter().find(|one| one.region() == Some(self.region.as_str()));
        here.map(|one| service.versioned(&one.url)).ok_or_else(|| {
            let mut regions: Vec<&str> = endpoints.iter().filter_map(|one| one.region()).collect();
            regions.sort_unstable();
            regions.dedup();
            let has = if regions.is_empty() { "none".to_owned() } else { regions.join(", ") };
            let (kind, interface) = (service.types()[0], self.interface.word());
            let why =
                format!("no {interface} {kind} service in region {}; regions with one: {has}", self.region);
            ApiFailure {
                reached: Reached::Answered(400),
                said: own("unknown-region", why),
                retry_after: None,
            }
        })
    }
}

/// One key in one region.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) session: Arc<Session>,
    pub(super) place: Place,
}

impl Api {
    /// Sends and reads a body.
    pub(super) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Answer<Dated<T>> {
        let answer = self.session.send(&self.place, ask).await?;
        Ok(Dated { at: answer.date(), value: http::json(&answer)? })
    }

    /// Sends; the answer has no body that counts.
    pub(super) async fn done(&self, ask: &Ask) -> Answer<()> {
        self.session.send(&self.place, ask).await.map(drop)
    }
}
