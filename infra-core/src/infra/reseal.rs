//! Sealing again: from an older master key to the one in use.
//!
//! # Flow
//! [`InfraBuilder::build`](super::InfraBuilder::build) does it before the engine starts, when the master key
//! [opens older ones, too](crate::words::secret::MasterKey::opening_also): every record that holds a secret under another key is written again
//! with the same secret under the key in use. At the end every record of every kind is looked at as it stands, whether
//! any still names an older key.
//!
//! # Guarantees
//! * Each record is rewritten by compare-and-swap, with nothing changed but its seals: killed anywhere, every secret
//!   stands under one of the two keys, and the next start goes on.
//! * [`Resealed::is_complete`] is said of what was read last, not of what was meant to be written. Until then the older
//!   keys are needed.
//! * A secret that does not open stays as it is and is named; the others are sealed again all the same.
//!
//! # Assumptions
//! Whoever else has the store open opens both keys, too: a replica with only the older one would go on sealing under it.
//!
//! # Caveats
//! A frozen store is not written: nothing is sealed again before it is recovered and opened anew. What a store keeps of
//! replaced records (free pages, logs, copies) is the store's to wipe. An idempotency key under which a cloud's key was
//! saved is known by a tag under the master key of then: repeated under another one it is a mismatch, for a day.

use serde_json::Value;

use super::core::Core;
use super::error::InfraError;
use crate::contracts::store::{ListBy, ListQuery, RecordKind};
use crate::nouns::credential::StoredCredential;
use crate::nouns::launch::{Launch, LaunchBody};
use crate::nouns::reservation::Reservation;
use crate::nouns::template::TemplateVersion;
use crate::records::{Stored, Versioned};
use crate::words::secret::{SealError, Sealed};

/// Records written with one commit: bodies of launches are large.
const AT_ONCE: usize = 10;
/// Records read at once.
const PAGE: usize = 200;
/// Passes over a store in which others write meanwhile.
const PASSES_MAX: u32 = 5;
/// Records named in a report.
const NAMED_MAX: usize = 50;

/// What came of sealing again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Records that this start wrote again; after a crash only those that were left.
    pub records: u64,
    /// Records with a secret that did not open under any key at hand, as `kind id`; the first 50.
    pub unopened: Vec<String>,
    /// Records that still name an older key, those that did not open among them.
    pub left: u64,
}

impl Resealed {
    /// Does nothing need an older key any more?
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// A record that holds secrets.
trait Holding: Stored + Clone {
    /// Its secrets, each with the place it is sealed for.
    fn seals(&mut self) -> Vec<(String, &mut Sealed)>;
}

impl Holding for StoredCredential {
    fn seals(&mut self) -> Vec<(String, &mut Sealed)> {
        vec![(Self::place(&self.tenant, &self.id), &mut self.sealed)]
    }
}

impl Holding for Reservation {
    fn seals(&mut self) -> Vec<(String, &mut Sealed)> {
        let place = |what: &str| format!("reservation/{}/{what}", self.id);
        let (setup, files, login) = (place("setup"), place("files"), place("login"));
        let spec = &mut self.spec;
        let login = spec.login.as_mut().map(|pair| (login, &mut pair.private_key));
        let texts = [(setup, spec.setup.as_mut()), (files, spec.files.as_mut())];
        texts.into_iter().filter_map(|(place, seal)| Some((place, seal?))).chain(login).collect()
    }
}

impl Holding for Launch {
    fn seals(&mut self) -> Vec<(String, &mut Sealed)> {
        let place = |what: &str| format!("reservation/{}/{what}", self.reservation);
        let (setup, files) = (place("setup"), place("files"));
        let LaunchBody::Machine(body) = &mut self.frozen.body else { return Vec::new() };
        let texts = [(setup, body.user_data.as_mut()), (files, body.files.as_mut())];
        texts.into_iter().filter_map(|(place, seal)| Some((place, seal?))).collect()
    }
}

impl Holding for TemplateVersion {
    fn seals(&mut self) -> Vec<(String, &mut Sealed)> {
        let place = |what: &str| super::templates::place(&self.of, what);
        let texts = [(place("setup"), self.setup.as_mut()), (place("files"), self.files.as_mut())];
        texts.into_iter().filter_map(|(place, seal)| Some((place, seal?))).collect()
    }
}

/// Seals everything again that stands under another key than the one in use.
///
/// Commits: one for every ten records. Dropped or killed at any await, calling it again goes on where it stood.
///
/// # Errors
/// [`InfraError::Store`].
pub(super) async fn all(core: &Core) -> Result<Resealed, InfraError> {
    let mut report = Resealed::default();
    for _ in 0..PASSES_MAX {
        report.unopened.clear();
        of_kind::<StoredCredential>(core, &mut report).await?;
        of_kind::<TemplateVersion>(core, &mut report).await?;
        // Reservations before their launches: one that is planned meanwhile takes the seals of its reservation.
        of_kind::<Reservation>(core, &mut report).await?;
        of_kind::<Launch>(core, &mut report).await?;
        report.left = left(core).await?;
        if report.is_complete() || !report.unopened.is_empty() {
            break;
        }
    }
    Ok(report)
}

async fn of_kind<T: Holding>(core: &Core, report: &mut Resealed) -> Result<(), InfraError> {
    let mut query = ListQuery { by: ListBy::All, kind: T::KIND, state_max: None, after: None, limit: PAGE };
    loop {
        let (records, next) = core.repo.list_page::<T>(&query).await?;
        let mut again = Vec::new();
        for record in records {
            match sealed_again(core, &record) {
                Ok(Some(value)) => again.push((record, value)),
                Ok(None) => {}
                Err(why) => {
                    let name = format!("{:?} {}", T::KIND, record.value.key().id);
                    tracing::warn!(record = name, %why, "a secret was not sealed again");
                    if report.unopened.len() < NAMED_MAX {
                        report.unopened.push(name);
                    }
                }
            }
        }
        for some in again.chunks(AT_ONCE) {
            let mut txn = core.repo.txn();
            some.iter().for_each(|(was, value)| txn.update(was, value));
            match core.repo.commit(txn).await {
                Ok(_) => report.records += some.len() as u64,
                // Somebody wrote first: the next pass finds what is there now.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        match next {
            Some(next) => query.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The record with all its secrets under the key in use; `None` when they are.
fn sealed_again<T: Holding>(core: &Core, record: &Versioned<T>) -> Result<Option<T>, SealError> {
    let mut value = record.value.clone();
    let mut changed = false;
    for (place, seal) in value.seals() {
        if seal.kek != core.master.id() {
            let secret = core.master.open(&place, seal)?;
            *seal = core.master.seal(&place, secret.expose(), &*core.entropy);
            changed = true;
        }
    }
    Ok(changed.then_some(value))
}

/// How many records name an older key, of whatever kind: one that is forgotten above is found here.
///
/// Users who write such a name into a tag would have to know it; it stands in the operator's log alone.
async fn left(core: &Core) -> Result<u64, InfraError> {
    let older = core.master.older_ids();
    let mut left = 0;
    for kind in RecordKind::ALL {
        let mut query = ListQuery { by: ListBy::All, kind, state_max: None, after: None, limit: PAGE };
        loop {
            let page = core.repo.list_raw(&query).await?;
            left += page.items.iter().filter(|record| names(&record.body, &older)).count() as u64;
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    Ok(left)
}

/// Is there a seal under one of these keys anywhere in it?
fn names(body: &[u8], older: &[String]) -> bool {
    fn within(value: &Value, older: &[String]) -> bool {
        match value {
            Value::Object(fields) => {
                let kek = fields.get("kek").and_then(Value::as_str);
                kek.is_some_and(|kek| older.iter().any(|id| id == kek))
                    || fields.values().any(|value| within(value, older))
            }
            Value::Array(items) => items.iter().any(|value| within(value, older)),
            _ => false,
        }
    }
    // What front ends keep for themselves need not be JSON, and holds nothing of ours.
    serde_json::from_slice(body).is_ok_and(|value| within(&value, older))
}

impl super::Operator {
    /// What came of sealing again when this was built; `None` when the master key opens no older one, or the store was
    /// frozen then.
    #[must_use]
    pub fn resealed(&self) -> Option<&Resealed> {
        self.core.resealed.get()
    }
}

/// Seals again, once, when there is an older key.
pub(super) async fn at_start(core: &Core) -> Result<(), InfraError> {
    if !core.master.older_ids().is_empty() {
        let report = all(core).await?;
        let (key, complete) = (core.master.id(), report.is_complete());
        tracing::info!(key, records = report.records, left = report.left, complete, "sealed again");
        // Nobody else sets it: it is called once, by the builder.
        let _ = core.resealed.set(report);
    }
    Ok(())
}
