//! Access tokens: issued, shown once, recognised, ended.
//!
//! # Flow
//! Issuing draws 32 random bytes, stores their digest, and answers them once. Recognising looks the digest up, asks
//! whether the user of that name is still the one it was issued to, and whether its life is over. Revoking deletes the
//! record; expired ones stay listed until they are revoked, so that people see what became of them.
//!
//! # Errors
//! [`InfraError::OutOfRange`] names `label`, `role` or `expires_in_s`; [`InfraError::NotFound`] (`token`) for one that is
//! gone or somebody else's. That a token is not good is no error: [`Operator::authenticate`] answers `None`, and never
//! says why.
//!
//! # Cancel safety
//! An issue that is dropped may have stored a token whose secret nobody has: it opens nothing, and can be revoked.
//!
//! # Guarantees
//! * A token's secret exists in the answer that issues it and nowhere else.
//! * A revoked or expired token opens nothing from that moment on, and neither does one that was issued while its user
//!   was being removed.
//! * What a user issues for itself does less than an operator's: never a bot's role, and nothing that outlives the token
//!   it was issued with. So whoever steals a token for an hour has it for an hour.
//! * That a token was used is written beside the request, once in a while: a request neither waits for it nor fails of
//!   it, nothing is written while the store is frozen, and a revoked token does not come back by it.
//!
//! # Caveats
//! `last_used_at` is some minutes rough, and is lost when the process ends before it is written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::core::Core;
use super::error::InfraError;
use super::gate::not_frozen;
use super::once::{self, Once};
use super::operator::Operator;
use super::user::UserHandle;
use super::views::Principal;
use crate::contracts::store::Expect;
use crate::nouns::account::{AccessToken, TokenRole, User};
use crate::nouns::installation::Installation;
use crate::records::{Versioned, system_tenant};
use crate::words::clock::{Timestamp, later};
use crate::words::ids::UserId;
use crate::words::secret::{Secret, digest, hex, same_digest};

/// Tokens of one user at most, expired ones included, and characters of a token's label. Counted and then written,
/// not in one commit: of several issued at the same moment a few more may pass, and that harms nobody.
const TOKENS_MAX: usize = 100;
const TOKEN_LABEL_LEN_MAX: usize = 100;
/// Between two writes of one token's last use.
const USE_WRITTEN_EVERY: Duration = Duration::from_secs(5 * 60);
/// Its use is written once in minutes: more than a few lost races are no race.
const REVOKE_TRIES: u32 = 8;
/// Tokens whose last write is remembered.
const REMEMBERED_MAX: usize = 10_000;

/// When this process last wrote, or tried to write, that a token was used.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<String, Duration>>);

impl Uses {
    /// Is it time to write this token's use? Says so once, whatever becomes of the write: a store that does not answer
    /// must not be asked by every request.
    ///
    /// When too many are remembered all are forgotten: a few uses are then written earlier than they need be.
    fn is_due(&self, token: &str, mono: Duration) -> bool {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = tried.get(token).is_some_and(|at| mono.saturating_sub(*at) < USE_WRITTEN_EVERY);
        if recent {
            return false;
        }
        if tried.len() >= REMEMBERED_MAX {
            tried.clear();
        }
        tried.insert(token.to_owned(), mono);
        true
    }
}

/// What a token is to be.
#[derive(Debug, Clone, Copy)]
struct New<'a> {
    label: &'a str,
    role: TokenRole,
    expires_at: Option<Timestamp>,
}

impl Operator {
    /// Issues an access token. The secret is answered once and kept nowhere; only its digest is.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`); [`InfraError::OutOfRange`] for a label of more than 100 characters, a
    /// life of zero, or more than 100 tokens.
    pub async fn issue_token(
        &self,
        user: &UserId,
        label: &str,
        role: TokenRole,
        expires_in: Option<Duration>,
    ) -> Result<(AccessToken, Secret), InfraError> {
        let expires_at = self.core.end_of_life(expires_in)?;
        self.core.user(user).await?;
        let once = self.once(|| once::asked(&(user, label, role, expires_in)));
        self.core.issue(user, New { label, role, expires_at }, once.as_ref()).await
    }

    /// A user's tokens, expired ones included, without secrets. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`).
    pub async fn tokens(&self, user: &UserId) -> Result<Vec<AccessToken>, InfraError> {
        self.core.user(user).await?;
        Ok(self.tokens_of(user).await?.into_iter().map(|token| token.value).collect())
    }

    /// Revokes a token by its public id, at once; a frozen store does not keep it alive.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`token`).
    pub async fn revoke_token(&self, user: &UserId, id: &str) -> Result<(), InfraError> {
        self.core.revoke(user, id).await
    }

    /// Who shows this secret? `None` when nobody's, revoked or expired. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones: a store that does not answer is not a wrong token.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Principal>, InfraError> {
        let shown = digest(secret.as_bytes());
        let Some((token, user)) = self.core.holder(&shown).await? else { return Ok(None) };
        // A token issued while its user was being removed must not open the next user of that name.
        let same = user.as_ref().is_some_and(|user| user.value.created_at <= token.value.created_at);
        let live = same && token.value.expires_at.is_none_or(|at| self.core.now() < at);
        // The look-up compared digests already; once more in constant time, whatever the store does.
        let right = live && same_digest(&token.value.digest, &shown);
        if !right {
            return Ok(None);
        }
        note_use(&self.core, &token);
        Ok(Some(Principal {
            user: token.value.user,
            role: token.value.role,
            token: token.value.id,
            expires_at: token.value.expires_at,
            seen: user,
        }))
    }

    /// A user's tokens as stored, those of a removed user of the same name included.
    pub(super) async fn tokens_of(&self, user: &UserId) -> Result<Vec<Versioned<AccessToken>>, InfraError> {
        self.core.tokens_of(user).await
    }

    /// Deletes a token; one that is gone already is fine.
    pub(super) async fn delete_token(&self, token: &Versioned<AccessToken>) -> Result<(), InfraError> {
        self.core.delete_token(token).await
    }
}

impl UserHandle {
    /// The user's own tokens, expired ones included, without secrets. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn tokens(&self) -> Result<Vec<AccessToken>, InfraError> {
        self.core.user(&self.id).await?;
        Ok(self.core.tokens_of(&self.id).await?.into_iter().map(|token| token.value).collect())
    }

    /// Issues a token for the user itself, as `user` or `viewer`. `ends_by` is when the token ends that it is issued
    /// with: it ends by then, too.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for the role `bot`, a life beyond `ends_by`, and as [`Operator::issue_token`].
    pub async fn issue_token(
        &self,
        label: &str,
        role: TokenRole,
        expires_in: Option<Duration>,
        ends_by: Option<Timestamp>,
    ) -> Result<(AccessToken, Secret), InfraError> {
        let gate = self.core.gate(&self.id).await?;
        let once = self.once(&gate.user.value, || once::asked(&(label, role, expires_in)));
        issued_before(&self.core, once.as_ref()).await?;
        gate.may_change()?;
        if role == TokenRole::Bot {
            return Err(InfraError::field(
                "role",
                "must be user or viewer; an operator issues tokens for bots",
            ));
        }
        let asked = self.core.end_of_life(expires_in)?;
        let expires_at = match (asked, ends_by) {
            (Some(asked), Some(by)) if asked > by => {
                let message = format!("outlives the token it is issued with, which ends at {by}");
                return Err(InfraError::field("expires_in_s", message));
            }
            (asked, by) => asked.or(by),
        };
        self.core.issue(&self.id, New { label, role, expires_at }, once.as_ref()).await
    }

    /// Revokes one of the user's own tokens, at once: also when suspended, or while the store is frozen.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`token`).
    pub async fn revoke_token(&self, id: &str) -> Result<(), InfraError> {
        self.core.revoke(&self.id, id).await
    }
}

/// Whose tokens were, by digest: a guess at what to read together, and never an answer.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<HashMap<String, UserId>>);

impl Holders {
    fn guess(&self, digest: &str) -> Option<UserId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// When too many are remembered all are forgotten: their next use costs one question more.
    fn note(&self, digest: &str, user: &UserId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(digest.to_owned(), user.clone());
    }
}

impl Core {
    /// A token and its user as they are now, by the token's digest. Both are read at every use, so a revocation or a
    /// removal counts at once; from the second use on with one question to the store.
    async fn holder(
        &self,
        shown: &str,
    ) -> Result<Option<(Versioned<AccessToken>, Option<Versioned<User>>)>, InfraError> {
        let place = AccessToken::place(shown);
        let guess = self.holders.guess(shown);
        let (token, user) = match &guess {
            Some(user) => self.repo.get_both::<AccessToken, User>(place, User::place(user)).await?,
            None => (self.repo.get::<AccessToken>(place).await?, None),
        };
        let Some(token) = token else { return Ok(None) };
        if guess.as_ref() == Some(&token.value.user) {
            return Ok(Some((token, user)));
        }
        let user = self.repo.get::<User>(User::place(&token.value.user)).await?;
        self.holders.note(shown, &token.value.user);
        Ok(Some((token, user)))
    }

    /// When a token of this life ends.
    ///
    /// `None` is a token that never ends by itself.
    fn end_of_life(&self, expires_in: Option<Duration>) -> Result<Option<Timestamp>, InfraError> {
        if expires_in.is_some_and(|life| life.is_zero()) {
            return Err(InfraError::field("expires_in_s", "must be above zero"));
        }
        Ok(expires_in.map(|life| later(self.now(), life)))
    }

    /// Where every token is made, whoever issues it. Its public id and its secret are of different random bytes, so
    /// that the id may stand in lists and logs. A store that freezes meanwhile makes the commit fail.
    async fn issue(
        &self,
        user: &UserId,
        new: New<'_>,
        once: Option<&Once>,
    ) -> Result<(AccessToken, Secret), InfraError> {
        issued_before(self, once).await?;
        let installation = self.installation().await?;
        not_frozen(&installation.value)?;
        if new.label.chars().count() > TOKEN_LABEL_LEN_MAX || new.label.chars().any(char::is_control) {
            let message = format!("must be at most {TOKEN_LABEL_LEN_MAX} printable characters");
            return Err(InfraError::field("label", message));
        }
        if self.tokens_of(user).await?.len() >= TOKENS_MAX {
            return Err(InfraError::field("label", format!("a user may have {TOKENS_MAX} tokens")));
        }
        let mut bytes = [0_u8; 40];
        self.entropy.fill(&mut bytes);
        let secret = format!("infra_{}", hex(&bytes[8..]));
        let token = AccessToken {
            id: format!("tok_{}", hex(&bytes[..8])),
            digest: digest(secret.as_bytes()),
            user: user.clone(),
            label: new.label.to_owned(),
            role: new.role,
            created_at: self.now(),
            expires_at: new.expires_at,
            last_used_at: None,
        };
        let mut txn = self.repo.txn();
        txn.insert(&token);
        once::note(self, once, &mut txn, &token.id);
        txn.check(Installation::place(), Expect::Version(installation.version));
        match self.repo.commit(txn).await {
            Err(error) if error.is_conflict() => {
                // Another call under the same key was first.
                issued_before(self, once).await?;
                Err(error.into())
            }
            other => Ok(other.map(|_| (token, Secret::new(secret)))?),
        }
    }

    /// As stored, expired ones included, and those that a removed user of the same name may have left.
    async fn tokens_of(&self, user: &UserId) -> Result<Vec<Versioned<AccessToken>>, InfraError> {
        Ok(self.repo.list_owner(&system_tenant(), user, None).await?)
    }

    /// Looks among the user's own only: an id of somebody else's is as good as none.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`token`); [`InfraError::Busy`] when it was written at every try.
    async fn revoke(&self, user: &UserId, id: &str) -> Result<(), InfraError> {
        // Once more when its use was written meanwhile: a revocation is not lost to that.
        for _ in 0..REVOKE_TRIES {
            let found = self.tokens_of(user).await?.into_iter().find(|token| token.value.id == id);
            let token = found.ok_or_else(|| InfraError::missing("token", id))?;
            let mut txn = self.repo.txn();
            txn.delete(&token);
            match self.repo.commit(txn).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(drop).map_err(InfraError::from),
            }
        }
        Err(InfraError::Busy { what: format!("token {id}") })
    }

    /// Deletes a token; one that is gone already is fine.
    async fn delete_token(&self, token: &Versioned<AccessToken>) -> Result<(), InfraError> {
        match self.revoke(&token.value.user, &token.value.id).await {
            Err(InfraError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

/// Refuses a key that issued a token before: the secret was in the one answer, and no repetition has it.
async fn issued_before(core: &Core, once: Option<&Once>) -> Result<(), InfraError> {
    let Some(id) = once::answered::<String>(core, once).await? else { return Ok(()) };
    let why = "this Idempotency-Key issued it, and its secret was shown once: if that answer was lost, revoke it and \
               take a new key";
    Err(InfraError::Conflict { what: "token", id, why: why.to_owned(), version: None })
}

/// Writes beside the request that a token was used, unless that stands there already.
///
/// Outside of a runtime nothing is written. A write that fails is logged and not repeated: the next use comes.
fn note_use(core: &Arc<Core>, token: &Versioned<AccessToken>) {
    let now = core.now();
    // A moment in the future is from a clock that was wrong.
    let stands = token.value.last_used_at.is_some_and(|at| at <= now && now < later(at, USE_WRITTEN_EVERY));
    if stands || !core.uses.is_due(&token.value.id, core.clock.mono()) {
        return;
    }
    let (core, token) = (Arc::clone(core), token.clone());
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if let Err(error) = write_use(&core, &token, now).await {
                tracing::debug!(%error, token = token.value.id, "the token's use was not written");
            }
        });
    }
}

/// On the record as it was read: a token that was revoked meanwhile stays so.
async fn write_use(core: &Core, token: &Versioned<AccessToken>, at: Timestamp) -> Result<(), InfraError> {
    let installation = core.installation().await?;
    not_frozen(&installation.value)?;
    let mut txn = core.repo.txn();
    txn.update(token, &AccessToken { last_used_at: Some(at), ..token.value.clone() });
    txn.check(Installation::place(), Expect::Version(installation.version));
    core.repo.commit(txn).await?;
    Ok(())
}
