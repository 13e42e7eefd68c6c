//! Who calls, and what they may open.
//!
//! A token is compared by digest and in constant time. An access token opens only its own user's paths, a bot's
//! those of the user it names, the admin token all of them; whatever else a caller asks for is simply not there.

use axum::extract::{FromRequestParts, MatchedPath, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use infra_core::infra::{Operator, Principal, UserHandle};
use infra_core::nouns::account::TokenRole;
use infra_core::nouns::actor::Actor;
use infra_core::words::ids::UserId;
use infra_core::words::secret::{digest, same_digest};
use std::collections::BTreeMap;

use super::edge::RequestId;
use super::extract::one;
use super::problem::{Code, Problem};
use super::{HttpOptions, Shared};

/// The header by which a bot names the user it acts for.
const ON_BEHALF: &str = "infra-on-behalf-of";

/// Who calls.
#[derive(Debug, Clone)]
enum Caller {
    Admin,
    Token(Principal),
}

/// The admin, who may do everything.
#[derive(Debug, Clone)]
pub(super) struct Admin(pub Operator);

/// A caller who may look at a user's things.
#[derive(Debug, Clone)]
pub(super) struct Reader(pub UserHandle);

/// A caller who may change a user's things.
#[derive(Debug, Clone)]
pub(super) struct Writer(pub UserHandle);

impl FromRequestParts<Shared> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let caller = who(&parts.headers, shared).await?;
        match caller {
            Caller::Admin => {
                audit(parts, "admin", None);
                Ok(Self(shared.infra.operator().acting(Actor::admin().on(request_id(parts)))))
            }
            Caller::Token(_) => Err(Problem::new(Code::Forbidden, "this path is for the admin token alone")),
        }
    }
}

impl FromRequestParts<Shared> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        open(parts, shared, false).await.map(Self)
    }
}

impl FromRequestParts<Shared> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        open(parts, shared, true).await.map(Self)
    }
}

/// Is this the admin's token? Used where there is no installation to ask.
pub(super) fn is_admin(headers: &HeaderMap, options: &HttpOptions) -> bool {
    bearer(headers).is_ok_and(|token| same_digest(&digest(token.as_bytes()), &options.admin))
}

/// No token, or one that does not count.
pub(super) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "send a valid token as: Authorization: Bearer <token>")
}

async fn who(headers: &HeaderMap, shared: &Shared) -> Result<Caller, Problem> {
    let token = bearer(headers)?;
    if is_admin(headers, &shared.options) {
        return Ok(Caller::Admin);
    }
    let principal = shared.infra.operator().authenticate(token).await?;
    principal.map(Caller::Token).ok_or_else(unauthenticated)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = one(headers, header::AUTHORIZATION.as_str()).ok().flatten().ok_or_else(unauthenticated)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(unauthenticated()),
    }
}

/// Does this request show any token?
pub(super) fn shows_a_token(headers: &HeaderMap) -> bool {
    bearer(headers).is_ok()
}

/// Is this the scraper's token, or the admin's?
pub(super) fn may_scrape(headers: &HeaderMap, options: &HttpOptions) -> bool {
    let scraper = options.metrics_token.as_ref();
    let shown = bearer(headers).map(|token| digest(token.as_bytes()));
    is_admin(headers, options)
        || shown.is_ok_and(|shown| scraper.is_some_and(|token| same_digest(&shown, token)))
}

/// May whoever sent these headers still look at this user's things? Asked again while a stream goes on; a store that does
/// not answer ends it, too, because nobody knows.
pub(super) async fn may_look(headers: &HeaderMap, shared: &Shared, user: &UserId) -> bool {
    match who(headers, shared).await {
        Ok(Caller::Admin) => true,
        Ok(Caller::Token(principal)) => acts_for(headers, &principal).is_ok_and(|acts_for| acts_for == *user),
        Err(_) => false,
    }
}

/// Opens the path's user to the caller, who acts from here on.
async fn open(parts: &mut Parts, shared: &Shared, change: bool) -> Result<UserHandle, Problem> {
    let caller = who(&parts.headers, shared).await?;
    let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, shared)
        .await
        .map_err(|_| Problem::not_found())?;
    let user =
        path.get("user").and_then(|name| UserId::new(name.as_str()).ok()).ok_or_else(Problem::not_found)?;
    let actor = match caller {
        Caller::Admin => {
            audit(parts, "admin", Some(&user));
            Actor::admin()
        }
        Caller::Token(principal) => {
            let acts_for = acts_for(&parts.headers, &principal)?;
            if acts_for != user {
                return Err(Problem::not_found());
            }
            match principal.role {
                TokenRole::Viewer if change => {
                    return Err(Problem::new(Code::Forbidden, "a viewer's token only looks"));
                }
                TokenRole::Bot => {
                    audit(parts, &principal.token, Some(&user));
                    if change {
                        not_suspended(shared, &principal).await?;
                    }
                }
                TokenRole::User | TokenRole::Viewer => {}
            }
            Actor::token(&principal.token)
        }
    };
    Ok(shared.infra.user(&user).acting(actor.on(request_id(parts))))
}

/// Suspending a bot's own user stops the bot: its token opens every user.
async fn not_suspended(shared: &Shared, bot: &Principal) -> Result<(), Problem> {
    let owner = shared.infra.operator().get_user(&bot.user).await?;
    if owner.suspended {
        return Err(Problem::new(Code::Suspended, "the bot's own user is suspended"));
    }
    Ok(())
}

/// The user for whom a token acts.
fn acts_for(headers: &HeaderMap, principal: &Principal) -> Result<UserId, Problem> {
    let named = one(headers, ON_BEHALF)?;
    match (principal.role, named) {
        (TokenRole::Bot, Some(name)) => UserId::new(name).map_err(|_| Problem::not_found()),
        (TokenRole::Bot, None) => {
            Err(Problem::new(Code::Forbidden, "a bot must name its user in the header Infra-On-Behalf-Of"))
        }
        (_, Some(name)) if name != principal.user.as_str() => {
            Err(Problem::new(Code::Forbidden, "only a bot's token acts for another user"))
        }
        _ => Ok(principal.user.clone()),
    }
}

/// The request's id, as it goes into records and down to the clouds' calls.
fn request_id(parts: &Parts) -> Option<infra_core::words::ids::RequestId> {
    let id = parts.extensions.get::<RequestId>()?;
    infra_core::words::ids::RequestId::new(&*id.0).ok()
}

/// One line for whoever asks later who opened what. Looking is told apart from changing by the method.
fn audit(parts: &Parts, by: &str, user: Option<&UserId>) {
    let route = parts.extensions.get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let request_id = parts.extensions.get::<RequestId>().map_or("-", |id| &id.0);
    let user = user.map_or("-", UserId::as_str);
    let change = !matches!(parts.method, Method::GET | Method::HEAD);
    tracing::info!(target: "infra_audit", request_id, by, user, method = %parts.method, route, change, "opened");
}
