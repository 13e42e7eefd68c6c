//! Keys: checked with the cloud before they are saved, retired instead of lost while anything hangs on them.
//!
//! # Flow
//! Saving asks the cloud who the key is, then commits the sealed key, and registers every lane that it reaches.
//! Removing retires first, so that nothing new begins, then looks for open launches, then deletes.
//!
//! # Guarantees
//! * A key that the cloud did not confirm is not stored, in no form.
//! * The same label with a key of another account is another lane: the old key is retired in the same commit, and
//!   goes on to look at and end what it made.
//! * A key is never removed from under something that only it can end.
//! * Fields are sealed for their tenant and id: a row copied to another tenant does not open.
//!
//! # Assumptions
//! The account that a cloud names for a key is the one that its machines are billed to, and stays so for the life
//! of the key. A driver reads only; asking who a key is changes nothing at the cloud.
//!
//! # Caveats
//! * A label is the user's word for a place in the list, not for a secret: saving under it again replaces.
//! * What is saved is checked once. A key that the cloud withdraws later is found out by the lane that uses it, and
//!   its reservations say so.
//! * Any member of a team may save and remove the team's keys.
//!
//! # Errors
//! [`InfraError::InvalidCredentials`] only when the cloud said no; [`InfraError::Unverified`] when it did not
//! answer; [`InfraError::InUse`] with the reservations that still need the key.

use std::collections::BTreeMap;

use super::ask;
use super::core::Core;
use super::error::InfraError;
use super::gate::{Gate, Step};
use super::once;
use super::quote::connect_error;
use super::user::UserHandle;
use super::views::{KeyView, NewKey};
use crate::connect::{made_with_account_of, seal_fields};
use crate::contracts::provider::{Identity, ProviderError};
use crate::contracts::store::ListBy;
use crate::nouns::credential::{Credential, CredentialStatus, StoredCredential};
use crate::nouns::launch::Launch;
use crate::records::{Versioned, state};
use crate::words::fault::Fault;
use crate::words::ids::{CloudName, CredentialId, TenantId, UserId};
use crate::words::lane::Version;
use crate::words::secret::Secret;
use tracing::Instrument;

/// Characters of a label, and of a key's kind: both stand in record ids.
const LABEL_LEN_MAX: usize = 64;
/// Fields of one key, far above what any driver reads.
const FIELDS_MAX: usize = 16;
/// Bytes of one field: room for a private key in PEM or a service account's JSON, not for a file pasted by mistake.
const FIELD_LEN_MAX: usize = 16 * 1024;
/// Keys of one team at most, retired ones included.
const KEYS_MAX: usize = 100;
/// Shorter values are words like a region; longer ones are never repeated in an error.
const SECRET_LEN_MIN: usize = 6;
/// Ids named in an answer about what is in use.
const NAMED_MAX: usize = 50;

/// Checks, seals and saves a key; [`super::UserHandle::save_key`] says what may go wrong.
///
/// Commits: one per lane that is not registered yet, then the one that saves the key. The cloud is asked outside
/// of the commit's loop, so that a lost race costs no second question.
pub(super) async fn save(by: &UserHandle, key: &NewKey) -> Result<KeyView, InfraError> {
    let (core, user) = (&*by.core, &by.id);
    check(core, key)?;
    let gate = core.gate(user).await?;
    let once = by.once(&gate.user.value, || asked(core, key));
    if let Some(saved) = once::answered(core, once.as_ref()).await? {
        return Ok(saved);
    }
    gate.may_change()?;
    let identity = identify(core, key).await?;
    // Before the key: nothing may be made with it in a lane that nobody sweeps. An entry without key is harmless.
    let reached = stored(core, &gate, key, &identity)?;
    core.connections.register_lanes(&reached).await.map_err(connect_error)?;
    let settled = core.settle_under(once.is_some(), "the key", || async {
        if let Some(saved) = once::answered(core, once.as_ref()).await? {
            return Ok(Step::Done((saved, None), Version(0)));
        }
        let gate = core.gate(user).await?;
        gate.may_change()?;
        let new = stored(core, &gate, key, &identity)?;
        let mut txn = core.repo.txn();
        let known = all(core, gate.tenant()).await?;
        if known.len() >= KEYS_MAX && !known.iter().any(|known| known.value.id == new.id) {
            return Err(InfraError::field("label", format!("a team may have {KEYS_MAX} keys")));
        }
        for old in known.into_iter().filter(|old| has_label(&old.value, &key.provider, &key.label)) {
            if old.value.id == new.id {
                txn.update(&old, &new);
            } else if !old.value.retired {
                txn.update(&old, &StoredCredential { retired: true, ..old.value.clone() });
            }
        }
        txn.put(&new, crate::contracts::store::Expect::Absent);
        // Written as it was: whoever moves or removes the user meanwhile has not seen this key, and must look again.
        txn.update(&gate.user, &gate.user.value);
        once::note(core, once.as_ref(), &mut txn, &view(&new));
        gate.check(&mut txn);
        Ok(Step::Commit(txn, (view(&new), Some(new))))
    });
    let ((saved, new), _) = settled.await?;
    if let Some(new) = new {
        // After it, too: a removal of the same key that ran beside this may have taken its entries out.
        core.connections.register_lanes(&new).await.map_err(connect_error)?;
    }
    Ok(saved)
}

/// What was asked, with the secrets under the master key: a digest alone would let whoever has the store try passwords.
fn asked(core: &Core, key: &NewKey) -> String {
    let fields: BTreeMap<&str, &str> =
        key.fields.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let text = serde_json::to_string(&(&key.provider, &key.label, &key.kind, fields));
    core.master.tag(&zeroize::Zeroizing::new(text.expect("texts are JSON")))
}

/// A team's keys.
///
/// Retired ones are among them, so that people see what still ends their machines.
pub(super) async fn list(core: &Core, user: &UserId) -> Result<Vec<KeyView>, InfraError> {
    let user = core.user(user).await?;
    let keys = all(core, &user.value.tenant).await?;
    Ok(keys.iter().map(|key| view(&key.value)).collect())
}

/// Removes a key with whatever it retired, unless something made with it would be left without any.
///
/// Several commits: retire each, look, then delete each and take it out of the lanes' register. A crash in between
/// leaves keys retired, which make nothing and still end what they made; repeating the call finishes the removal.
/// A suspended user may remove: it asks for nothing.
///
/// # Errors
/// [`InfraError::NotFound`] (`key`); [`InfraError::InUse`] with up to 50 reservations, after which the key is active
/// again (unless an earlier removal that was cut short had retired it: then saving it makes it active);
/// [`InfraError::Conflict`] when it was saved again meanwhile; [`InfraError::Frozen`].
pub(super) async fn remove(
    core: &Core,
    user: &UserId,
    provider: &CloudName,
    label: &str,
) -> Result<(), InfraError> {
    let gate = core.gate(user).await?;
    super::gate::not_frozen(&gate.installation.value)?;
    let tenant = gate.tenant().clone();
    let keys = labelled(core, &tenant, provider, label).await?;
    if keys.is_empty() {
        return Err(InfraError::missing("key", format!("{provider}/{label}")));
    }
    // Retired first: nothing new begins with it while we look whether anything still needs it.
    for key in &keys {
        retire(core, key, true).await?;
    }
    let by = in_use(core, &tenant, &keys).await?;
    if !by.is_empty() {
        for key in keys.iter().filter(|key| !key.value.retired) {
            retire(core, key, false).await?;
        }
        return Err(InfraError::InUse { what: "key", id: format!("{provider}/{label}"), by });
    }
    for key in keys {
        delete(core, &key.value.id, &tenant).await?;
        core.connections.unregister(&key.value).await.map_err(connect_error)?;
    }
    Ok(())
}

/// Makes a key look-and-end only, or lifts that again. Bumping its version is half of the purpose: no commit that
/// checked the active key goes through any more.
async fn retire(core: &Core, key: &Versioned<StoredCredential>, retired: bool) -> Result<(), InfraError> {
    let settled = core.settle("the key", || async {
        let place = crate::records::Stored::key(&key.value);
        let found = core.repo.get::<StoredCredential>(place).await?;
        let Some(was) = found.filter(|was| was.value.retired != retired) else {
            return Ok(Step::Done((), key.version));
        };
        let mut txn = core.repo.txn();
        txn.update(&was, &StoredCredential { retired, ..was.value.clone() });
        Ok(Step::Commit(txn, ()))
    });
    settled.await.map(drop)
}

/// Deletes a retired key; one that is active again was saved meanwhile and is left alone.
async fn delete(core: &Core, id: &CredentialId, tenant: &TenantId) -> Result<(), InfraError> {
    let settled = core.settle("the key", || async {
        let place = StoredCredential::place_of(tenant, id);
        let Some(was) = core.repo.get::<StoredCredential>(place).await? else {
            return Ok(Step::Done((), Version(0)));
        };
        if !was.value.retired {
            return Err(InfraError::Conflict {
                what: "key",
                id: id.to_string(),
                why: "it was saved again meanwhile".to_owned(),
                version: None,
            });
        }
        let mut txn = core.repo.txn();
        txn.delete(&was);
        Ok(Step::Commit(txn, ()))
    });
    settled.await.map(drop)
}

/// Reservations whose open launches stand in an account that no other active key of the team reaches, sorted, each
/// once, the first 50. Read after the keys were retired: nothing new can be sent with them.
async fn in_use(
    core: &Core,
    tenant: &TenantId,
    keys: &[Versioned<StoredCredential>],
) -> Result<Vec<String>, InfraError> {
    let others: Vec<_> = all(core, tenant).await?;
    let served = |key: &StoredCredential| {
        others.iter().any(|other| {
            let another = !keys.iter().any(|removed| removed.value.id == other.value.id);
            another
                && !other.value.retired
                && other.value.provider == key.provider
                && other.value.account == key.account
        })
    };
    let rows: Vec<Versioned<Launch>> = core.repo.list_prefix(tenant, "", Some(state::OPEN)).await?;
    let mut by: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| !served(&key.value)) {
        let open = rows.iter().filter(|row| made_with_account_of(&row.value, &key.value));
        by.extend(open.map(|row| row.value.reservation.to_string()));
    }
    by.sort();
    by.dedup();
    by.truncate(NAMED_MAX);
    Ok(by)
}

/// The form of a key, as far as it is ours to say; what its fields must be, its driver says.
///
/// Said before the cloud is asked: a form that cannot be saved costs no call.
fn check(core: &Core, key: &NewKey) -> Result<(), InfraError> {
    let Some(driver) = core.connections.driver(&key.provider) else {
        let known: Vec<String> = core.connections.clouds().iter().map(ToString::to_string).collect();
        return Err(InfraError::field("provider", format!("is not configured; known: {}", known.join(", "))));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if key.label.is_empty() || key.label.len() > LABEL_LEN_MAX || !key.label.chars().all(legal) {
        return Err(InfraError::field("label", format!("must be 1 to {LABEL_LEN_MAX} of a-z A-Z 0-9 . _ -")));
    }
    ask::no_step("label", &key.label)?;
    if key.kind.is_empty() || key.kind.len() > LABEL_LEN_MAX || !key.kind.chars().all(legal) {
        return Err(InfraError::field("kind", format!("must be 1 to {LABEL_LEN_MAX} of a-z A-Z 0-9 . _ -")));
    }
    check_names(driver.key_fields(&key.kind).as_deref(), key)?;
    match key.fields.iter().find(|(_, value)| value.expose().len() > FIELD_LEN_MAX) {
        Some((name, _)) => Err(InfraError::field(name, format!("must be at most {FIELD_LEN_MAX} bytes"))),
        None => Ok(()),
    }
}

/// The names of a key's fields, by what its driver reads. One that nobody reads would be sealed and kept for nothing.
fn check_names(known: Option<&[&str]>, key: &NewKey) -> Result<(), InfraError> {
    let none = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if let Some(known) = known
        && let Some(other) = key.fields.keys().find(|name| !known.contains(&name.as_str()))
    {
        let (provider, kind) = (&key.provider, &key.kind);
        let message = format!("is no field of a {provider} key of kind {kind}; known: {}", none(known));
        return Err(InfraError::UnknownField { field: other.clone(), message });
    }
    if key.fields.is_empty() && known != Some(&[]) {
        let message = format!("needs fields beside it; known: {}", none(known.unwrap_or(&["see its cloud"])));
        return Err(InfraError::field("kind", message));
    }
    if key.fields.len() > FIELDS_MAX {
        return Err(InfraError::field("kind", format!("needs at most {FIELDS_MAX} fields beside it")));
    }
    Ok(())
}

/// Asks the cloud who a key is, with the key in memory only. One call, outside of any lane's brakes: there may be no
/// lane yet.
async fn identify(core: &Core, key: &NewKey) -> Result<Identity, InfraError> {
    let driver = core
        .connections
        .driver(&key.provider)
        .ok_or_else(|| InfraError::field("provider", "is not configured"))?;
    let fields: BTreeMap<_, _> = key.fields.clone();
    let credential = Credential { provider: key.provider.clone(), kind: key.kind.clone(), fields };
    // It has no lane yet, so nobody else watches this call.
    let span = tracing::debug_span!(target: "infra_trace", "cloud call", otel.kind = "client", cloud = %key.provider, op = "identify");
    driver.identify(&credential).instrument(span).await.map_err(|error| refused(key, &error))
}

/// What a cloud's refusal means. Only "unauthorized" is a wrong key; a cloud that is down must not be read as one,
/// or people would replace keys that are right.
fn refused(key: &NewKey, error: &ProviderError) -> InfraError {
    let (provider, said) = (key.provider.clone(), without_secrets(&error.to_string(), &key.fields));
    match error {
        ProviderError::Unauthorized { .. } => InfraError::InvalidCredentials { provider, said },
        ProviderError::Invalid { .. } => InfraError::field("kind", said),
        _ => InfraError::Unverified { provider, said, retry_after: error.retry_after() },
    }
}

/// Some clouds repeat in their errors what was sent to them. Fields too short to be a secret stay: blanking every
/// `a` of a sentence helps nobody.
fn without_secrets(said: &str, fields: &BTreeMap<String, Secret>) -> String {
    let secrets = fields.values().map(Secret::expose).filter(|value| value.len() >= SECRET_LEN_MIN);
    secrets.fold(said.to_owned(), |said, secret| said.replace(secret, "[secret]"))
}

/// The key at rest: its account stands in its id, so a key of another account is another record.
fn stored(
    core: &Core,
    gate: &Gate,
    key: &NewKey,
    identity: &Identity,
) -> Result<StoredCredential, InfraError> {
    let tenant = gate.tenant().clone();
    let id = CredentialId::new(format!("{}/{}/{}", key.provider, key.label, identity.account))
        .map_err(|error| InfraError::Internal { why: error.to_string() })?;
    let place = StoredCredential::place(&tenant, &id);
    let (sealed, fingerprint) = seal_fields(&core.master, &*core.entropy, &place, &key.fields);
    Ok(StoredCredential {
        id,
        tenant,
        saved_by: gate.user.value.id.clone(),
        provider: key.provider.clone(),
        label: key.label.clone(),
        kind: key.kind.clone(),
        sealed,
        fingerprint,
        account: identity.account.clone(),
        identity: identity.principal.clone(),
        status: CredentialStatus::Valid,
        checked_at: core.now(),
        retired: false,
    })
}

/// Every key of a team, by id.
async fn all(core: &Core, tenant: &TenantId) -> Result<Vec<Versioned<StoredCredential>>, InfraError> {
    let by = ListBy::Tenant { tenant: tenant.clone(), prefix: String::new() };
    Ok(core.repo.list_all(by, None).await?)
}

/// The keys under one label: at most one active, and those it retired.
async fn labelled(
    core: &Core,
    tenant: &TenantId,
    provider: &CloudName,
    label: &str,
) -> Result<Vec<Versioned<StoredCredential>>, InfraError> {
    let keys = all(core, tenant).await?;
    Ok(keys.into_iter().filter(|key| has_label(&key.value, provider, label)).collect())
}

/// Is it under this label of this cloud, whatever its account?
fn has_label(key: &StoredCredential, provider: &CloudName, label: &str) -> bool {
    &key.provider == provider && key.label == label
}

/// Everything but the seal. The fingerprint tells two keys apart without telling either.
fn view(key: &StoredCredential) -> KeyView {
    KeyView {
        id: key.id.clone(),
        provider: key.provider.clone(),
        label: key.label.clone(),
        kind: key.kind.clone(),
        fingerprint: key.fingerprint.clone(),
        status: key.status,
        identity: key.identity.clone(),
        account: key.account.clone(),
        checked_at: key.checked_at,
        retired: key.retired,
    }
}
