//! Who calls, and what they may open.
//!
//! A token is compared by digest and in constant time. An access token opens only its own user's paths, a bot's
//! those of the user it names, the admin token all of them; whatever else a caller asks for is simply not there.

use axum::extract::{FromRequestParts, MatchedPath, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use infra_core::infra::{IdempotencyKey, Operator, Principal, UserHandle};
use infra_core::nouns::account::TokenRole;
use infra_core::nouns::actor::Actor;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::UserId;
use infra_core::words::secret::{digest, same_digest};
use std::collections::BTreeMap;

use super::edge::RequestId;
use super::extract::one;
use super::problem::{Code, Problem};
use super::wire::{Role, WhoAmI};
use super::{HttpOptions, Shared};

/// The header by which a bot names the user it acts for.
const ON_BEHALF: &str = "infra-on-behalf-of";

/// The header by which a caller makes sure that a repeated call is one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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

/// Whoever shows a token that counts.
#[derive(Debug, Clone)]
pub(super) struct Anybody(pub WhoAmI);

impl FromRequestParts<Shared> for Anybody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        Ok(Self(match who(&parts.headers, shared).await? {
            Caller::Admin => WhoAmI { user: None, role: Role::Admin },
            Caller::Token(principal) => WhoAmI { user: Some(principal.user), role: principal.role.into() },
        }))
    }
}

/// A user in person: no bot. With when the token ends that it shows.
#[derive(Debug, Clone)]
pub(super) struct InPerson(pub UserHandle, pub Option<Timestamp>);

impl FromRequestParts<Shared> for InPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        match open(parts, shared, true).await? {
            (user, Caller::Admin) => Ok(Self(user, None)),
            (_, Caller::Token(principal)) if principal.role == TokenRole::Bot => {
                // Or whoever steals a bot's token would have everybody's for good.
                Err(Problem::new(Code::Forbidden, "a bot has nothing to do with its users' tokens"))
            }
            (user, Caller::Token(principal)) => Ok(Self(user, principal.expires_at)),
        }
    }
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let caller = who(&parts.headers, shared).await?;
        match caller {
            Caller::Admin => {
                audit(parts, "admin", None);
                let operator = shared.infra.operator().acting(Actor::admin().on(request_id(parts)));
                Ok(Self(operator.under_key(idempotency_key(parts)?)))
            }
            Caller::Token(_) => Err(Problem::new(Code::Forbidden, "this path is for the admin token alone")),
        }
    }
}

impl FromRequestParts<Shared> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        open(parts, shared, false).await.map(|(user, _)| Self(user))
    }
}

impl FromRequestParts<Shared> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        open(parts, shared, true).await.map(|(user, _)| Self(user))
    }
}

/// Is this the admin's token? Used where there is no installation to ask.
pub(super) fn is_admin(headers: &HeaderMap, options: &HttpOptions) -> bool {
    sent_digest(headers).is_some_and(|sent| is_admins(&sent, options))
}

/// The digest of whatever was sent as token.
pub(super) fn sent_digest(headers: &HeaderMap) -> Option<String> {
    bearer(headers).ok().map(|token| digest(token.as_bytes()))
}

/// Is this the digest of the admin's token?
pub(super) fn is_admins(sent: &str, options: &HttpOptions) -> bool {
    same_digest(sent, &options.admin)
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
    shared.options.meter.judged(&digest(token.as_bytes()), principal.is_some());
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
async fn open(parts: &mut Parts, shared: &Shared, change: bool) -> Result<(UserHandle, Caller), Problem> {
    let caller = who(&parts.headers, shared).await?;
    let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, shared)
        .await
        .map_err(|_| Problem::not_found())?;
    let user =
        path.get("user").and_then(|name| UserId::new(name.as_str()).ok()).ok_or_else(Problem::not_found)?;
    let actor = match &caller {
        Caller::Admin => {
            // Whoever names a user means that one: an admin's slip of the pen is not passed over either.
            if named(&parts.headers)?.is_some_and(|named| named != user) {
                return Err(Problem::new(
                    Code::Forbidden,
                    "the header Infra-On-Behalf-Of names another user",
                ));
            }
            audit(parts, "admin", Some(&user));
            Actor::admin()
        }
        Caller::Token(principal) => {
            let acts_for = acts_for(&parts.headers, principal)?;
            if acts_for != user {
                return Err(Problem::not_found());
            }
            match principal.role {
                TokenRole::Viewer if change => {
                    return Err(Problem::new(Code::Forbidden, "a viewer's token only looks"));
                }
                TokenRole::Bot => {
                    audit(parts, &principal.token, Some(&user));
                    not_suspended(shared, principal).await?;
                }
                TokenRole::User | TokenRole::Viewer => {}
            }
            Actor::token(&principal.token)
        }
    };
    tracing::Span::current().record("user", user.as_str());
    let user = match &caller {
        Caller::Token(principal) if principal.user == user => shared.infra.user_of(principal),
        _ => shared.infra.user(&user),
    };
    let user = user.acting(actor.on(request_id(parts)));
    let key = if change { idempotency_key(parts)? } else { None };
    Ok((user.under_key(key), caller))
}

/// The key under which a change is made once, on every `POST` and `PATCH` alike. `PUT` and `DELETE` say how it shall be
/// in the end, and repeat without.
fn idempotency_key(parts: &Parts) -> Result<Option<IdempotencyKey>, Problem> {
    if !matches!(parts.method, Method::POST | Method::PATCH) {
        return Ok(None);
    }
    let Some(key) = one(&parts.headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    let route = parts.extensions.get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    Ok(Some(IdempotencyKey::new(key_route(&parts.method, route), key)?))
}

/// Names the route inside a key: the same key on another route is another key. These names stand in stores: `POST
/// reservations`, `POST templates` for both ways to save one, `PATCH admin/users`.
fn key_route(method: &Method, route: &str) -> String {
    let path = route.strip_prefix("/users/{user}/").unwrap_or(route);
    let words = path.split('/').filter(|word| !word.is_empty() && !word.starts_with('{'));
    format!("{method} {}", words.collect::<Vec<_>>().join("/"))
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
    match (principal.role, named(headers)?) {
        (TokenRole::Bot, Some(name)) => Ok(name),
        (TokenRole::Bot, None) => {
            Err(Problem::new(Code::Forbidden, "a bot must name its user in the header Infra-On-Behalf-Of"))
        }
        (_, Some(name)) if name != principal.user => {
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

/// The user named in the header.
fn named(headers: &HeaderMap) -> Result<Option<UserId>, Problem> {
    let name = one(headers, ON_BEHALF)?.map(UserId::new).transpose();
    name.map_err(|_| {
        Problem::field(Code::OutOfRange, "Infra-On-Behalf-Of", "must be the name of a user", None)
    })
}

/// One line for whoever asks later who opened what. Looking is told apart from changing by the method.
fn audit(parts: &Parts, by: &str, user: Option<&UserId>) {
    let route = parts.extensions.get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let request_id = parts.extensions.get::<RequestId>().map_or("-", |id| &id.0);
    let user = user.map_or("-", UserId::as_str);
    let change = !matches!(parts.method, Method::GET | Method::HEAD);
    tracing::info!(target: "infra_audit", request_id, by, user, method = %parts.method, route, change, "opened");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_stand_in_stores_are_found_under_another_name() {
        for (method, route, name) in [
            (Method::POST, "/users/{user}/reservations", "POST reservations"),
            (Method::POST, "/users/{user}/templates", "POST templates"),
            (Method::POST, "/users/{user}/templates/{name}", "POST templates"),
            (Method::POST, "/users/{user}/templates/{name}/reservations", "POST templates/reservations"),
            (Method::PATCH, "/users/{user}/reservations/{id}", "PATCH reservations"),
            (Method::POST, "/admin/users/{user}/tokens", "POST admin/users/tokens"),
        ] {
            assert_eq!(key_route(&method, route), name);
        }
    }
}
