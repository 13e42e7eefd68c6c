//! One effect per idempotency key, however often and from however many sides the call is repeated.
//!
//! # Flow
//! A handle is given the key ([`UserHandle::under_key`], [`Operator::under_key`]); the call that it is used for looks
//! the key up before it decides, and writes it in the very commit that has the effect, with the answer. Who comes later
//! gets that answer; of two at once one commit conflicts, and that one finds the key when it decides anew.
//!
//! # Guarantees
//! * Key and effect stand together or not at all, whatever is killed when.
//! * The same key with anything else is [`InfraError::IdempotencyMismatch`]; on another route it is another key.
//! * No secret is kept for a repetition: of what a call was asked only a digest stands in the record, of a cloud's key
//!   one under the master key, and the secret of an issued token not at all: repeating that is
//!   [`InfraError::Conflict`] with the token's id, which can be revoked.
//!
//! # Caveats
//! What takes several commits ([`Operator::transfer`], [`Operator::recover`]) writes the key with its last one. Cut short
//! before that, the repetition finishes it, which such calls allow at any time.
//! A key is kept for `idempotency_keep`, one that made a reservation until as long after the end of that.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::Core;
use super::error::InfraError;
use super::operator::Operator;
use super::user::UserHandle;
use super::views::IdempotencyKey;
use crate::nouns::account::{IdempotencyRecord, User};
use crate::records::{Txn, system_tenant};
use crate::words::clock::later;
use crate::words::ids::TenantId;
use crate::words::secret::digest;

/// Whose the keys of operators are: a name that the handle refuses to users.
const OPERATORS: &str = "_admin";

/// What an idempotency key stands for: where its record is, and the digest of what came with it.
#[derive(Debug)]
pub(super) struct Once {
    pub(super) tenant: TenantId,
    pub(super) id: String,
    pub(super) body: String,
}

/// What was asked, in a form that is the same whenever the same is asked.
pub(super) fn asked<T: Serialize + ?Sized>(what: &T) -> String {
    digest(&serde_json::to_vec(what).expect("what is asked serialises: string keys, checked numbers"))
}

impl Once {
    /// A key of `whose` with the digest of what came with it.
    pub(super) fn new(
        key: &IdempotencyKey,
        tenant: &TenantId,
        whose: impl std::fmt::Display,
        body: String,
    ) -> Self {
        let id = digest(format!("{}|{}|{whose}", key.route, key.key).as_bytes());
        Self { tenant: tenant.clone(), id, body }
    }

    /// The key's record, when it came before.
    ///
    /// # Errors
    /// [`InfraError::IdempotencyMismatch`] when it came with something else.
    pub(super) async fn before(&self, core: &Core) -> Result<Option<IdempotencyRecord>, InfraError> {
        let place = IdempotencyRecord::place(&self.tenant, &self.id);
        match core.repo.get::<IdempotencyRecord>(place).await? {
            Some(key) if key.value.body != self.body => Err(InfraError::IdempotencyMismatch),
            key => Ok(key.map(|key| key.value)),
        }
    }

    /// The record of a key that is used now, before it says what for.
    pub(super) fn record(&self, core: &Core) -> IdempotencyRecord {
        let now = core.now();
        IdempotencyRecord {
            tenant: self.tenant.clone(),
            id: self.id.clone(),
            body: self.body.clone(),
            reservation: None,
            template: None,
            answer: None,
            expires_at: Some(later(now, core.limits.idempotency_keep)),
            created_at: now,
        }
    }
}

/// The answer that was given under this key, when it came before.
///
/// # Errors
/// [`InfraError::IdempotencyMismatch`] when it came with something else.
pub(super) async fn answered<T: DeserializeOwned>(
    core: &Core,
    once: Option<&Once>,
) -> Result<Option<T>, InfraError> {
    let Some(once) = once else { return Ok(None) };
    let Some(answer) = once.before(core).await?.and_then(|key| key.answer) else { return Ok(None) };
    let read = serde_json::from_str(&answer);
    read.map(Some).map_err(|error| InfraError::Internal { why: format!("an answer kept for a key: {error}") })
}

/// Writes the key with its answer, in the commit that has the effect.
pub(super) fn note<T: Serialize>(core: &Core, once: Option<&Once>, txn: &mut Txn, answer: &T) {
    if let Some(once) = once {
        let answer = serde_json::to_string(answer).expect("answers serialise: string keys, checked numbers");
        txn.insert(&IdempotencyRecord { answer: Some(answer), ..once.record(core) });
    }
}

impl UserHandle {
    /// The same view, for one change under an idempotency key: repeated under it, the change is made once and answered
    /// again. Of `None` the change is made whenever it is asked.
    ///
    /// It counts for every change but those that may be repeated without a key: shares, profiles, removals, releases.
    #[must_use]
    pub fn under_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.key = key;
        self
    }

    /// The key in use for a call that was asked so. Of the user of this name that is there now: the next one of the
    /// name is answered nothing that this one was.
    pub(super) fn once(&self, user: &User, body: impl FnOnce() -> String) -> Option<Once> {
        let whose = || format!("{}@{}", user.id, user.created_at);
        self.key.as_ref().map(|key| Once::new(key, &user.tenant, whose(), body()))
    }
}

impl Operator {
    /// The same, for one change under an idempotency key, as [`UserHandle::under_key`]. It counts for
    /// [`Self::add_user`], [`Self::set_user`] and its like, [`Self::issue_token`], [`Self::transfer`] and
    /// [`Self::recover`]; the others may be repeated without.
    #[must_use]
    pub fn under_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.key = key;
        self
    }

    /// The key in use for a call that was asked so.
    pub(super) fn once(&self, body: impl FnOnce() -> String) -> Option<Once> {
        self.key.as_ref().map(|key| Once::new(key, &system_tenant(), OPERATORS, body()))
    }
}
