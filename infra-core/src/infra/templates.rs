//! Templates: requests kept under a name, asked again with changes by their owner or a team mate.
//!
//! # Flow
//! Saving writes the next version and moves the name on to it in one commit. Reading goes through the name, which says
//! which versions there are. Asking again opens what is sealed, writes the caller's changes over it, and goes the way of
//! any other reservation: the caller's keys, profile and limits, the caller as owner.
//!
//! # Assumptions
//! What is sealed opens under the master key of this process, or under an older one that it was given as well. Where
//! neither does, the template is kept, but one with a script cannot be asked again: that is an internal error, and its
//! log line names both keys.
//!
//! # Errors
//! [`InfraError::NotFound`] (`template`) for a name or a number that there is not, that was deleted, or that is somebody's
//! of another team; the caller cannot tell which. Saving is refused by field, as a request would be, but not for wishes
//! that nothing acts upon yet: a template may wait for what is to come, and asking it again says so until then.
//!
//! # Cancel safety
//! Saving is one commit and then the removal of what a deletion left over. Deleting is one commit and then the removal of
//! what it made unreachable. Either may be dropped after its commit: the next save or deletion removes the rest.
//!
//! # Guarantees
//! * A version never changes, and a number is never given twice: savers at once move the same name on, so that one of
//!   them is first and the others follow. A name that was deleted goes on counting when it is used again.
//! * Deleting takes every version there is at that moment, at once; what is saved afterwards is a template again. The
//!   versions' records are removed after that, and by the next save or deletion if that is cut short; until then nothing
//!   reaches them.
//! * Scripts and files are sealed for the version they are of, and no view shows them.
//! * Somebody else's template is not there for whoever is not in the owner's team *now*.
//! * What came from the owner's profile is not in a template, and the owner's public keys are not in what a team mate
//!   asks again: nobody gets a login on another one's machine by lending a template.
//!
//! # Caveats
//! Whoever may ask a template again runs its script on a machine of his own, and can read it there. Do not put into a
//! shared template what the team may not know.
//!
//! Templates are their owner's: they go along when the owner changes the team, and end with the owner.

use super::core::Core;
use super::error::InfraError;
use super::gate::{Gate, Step};
use super::once::{self, Once};
use super::reserve::{self, Ask};
use super::user::UserHandle;
use super::views::{
    IdempotencyKey, NewTemplate, Relaunch, Reserved, SavedTemplate, TemplateFrom, TemplatePage, TemplateView,
    TemplatesAfter,
};
use super::{ask, defaults, page, rows, teams};
use crate::contracts::store::Expect;
use crate::nouns::account::{IdempotencyRecord, User};
use crate::nouns::actor::Actor;
use crate::nouns::event::{Event, Outbox};
use crate::nouns::request::Request;
use crate::nouns::reservation::{DeadlineKind, Reservation};
use crate::nouns::template::{Template, TemplateRef, TemplateVersion};
use crate::records::{Stored, Versioned, state, system_tenant};
use crate::words::clock::{Timestamp, between};
use crate::words::ids::{ReservationId, TemplateName, UserId};
use crate::words::lane::Version;
use crate::words::secret::Sealed;

/// Characters of a name.
const NAME_LEN_MAX: usize = 64;
/// Names of one user, deleted ones included, and versions of one name.
const NAMES_MAX: usize = 1000;
const VERSIONS_MAX: u32 = 1000;
/// Versions removed with one commit.
const REMOVED_AT_ONCE: usize = 20;

/// What a version will say, before it has a number.
#[derive(Debug)]
struct Drafted {
    request: Request,
    from: Option<ReservationId>,
}

impl UserHandle {
    /// Saves a template of the user's own: the first version of a new name, or the next one of a name that is there.
    ///
    /// Cancel safety: dropped, it may have been saved; the same call under the same idempotency key answers the same
    /// version, within a day.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for the name, for any field of the request (but not for what is merely not offered
    /// yet), and beyond 1,000 names or versions; [`InfraError::NotFound`] (`reservation`),
    /// [`InfraError::NotAllowed`] for a reservation that a team mate only shares,
    /// [`InfraError::IdempotencyMismatch`].
    pub async fn save_template(
        &self,
        new: &NewTemplate,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<SavedTemplate, InfraError> {
        let core = &self.core;
        check_name(&new.name)?;
        let gate = core.gate(&self.id).await?;
        let key = idempotency.or(self.key.as_ref());
        let once = key.map(|key| Once::new(key, gate.tenant(), &self.id, once::asked(new)));
        if let Some(view) = replay(core, &gate, once.as_ref()).await? {
            return Ok(SavedTemplate { view, replayed: true });
        }
        gate.may_change()?;
        let drafted = draft(core, &gate.user.value, &new.from).await?;
        let settled = core.settle_under(once.is_some(), "the template", || async {
            let gate = core.gate(&self.id).await?;
            if let Some(view) = replay(core, &gate, once.as_ref()).await? {
                let seen = view.version;
                return Ok(Step::Done(Err(view), seen));
            }
            gate.may_change()?;
            save(core, &gate, &self.actor, &new.name, &drafted, once.as_ref()).await
        });
        match settled.await? {
            (Err(view), _) => Ok(SavedTemplate { view, replayed: true }),
            (Ok((head, version)), at) => {
                let head = Versioned { value: head, version: at };
                sweep(core, &head.value).await?;
                Ok(SavedTemplate { view: view(&head, &version, true), replayed: false })
            }
        }
    }

    /// A page of the templates that the user may ask again, each with its newest version: its own and those of its
    /// team, or of one owner alone. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for a limit outside 1..=200; [`InfraError::NotFound`] (`user`) for an owner who is not
    /// in the team.
    pub async fn templates(
        &self,
        owner: Option<&UserId>,
        limit: Option<usize>,
        after: Option<&TemplatesAfter>,
    ) -> Result<TemplatePage, InfraError> {
        let limit = page::limit(limit)?;
        let me = self.core.user(&self.id).await?.value;
        let owners = match owner {
            Some(owner) => vec![self.core.mate(&me, owner).await?],
            None => teams::members(&self.core, &me.tenant).await?,
        };
        let mut heads = Vec::new();
        for owner in &owners {
            heads.extend(heads_of(&self.core, owner).await?);
        }
        let place = |head: &Versioned<Template>| (head.value.owner.clone(), head.value.name.clone());
        heads.sort_by_key(place);
        heads.retain(|head| after.is_none_or(|after| place(head) > *after));
        let more = heads.len() > limit;
        heads.truncate(limit);
        let next = heads.last().filter(|_| more).map(place);
        let mut items = Vec::new();
        for head in &heads {
            // One that was deleted since the names were read is left out.
            if let Some(newest) = version(&self.core, head, None).await? {
                items.push(view(head, &newest, head.value.owner == me.id));
            }
        }
        Ok(TemplatePage { items, next })
    }

    /// One version of a template, the newest when none is named; of a team mate's when its owner is named. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`template`), also for what is not of the user's team.
    pub async fn template(
        &self,
        owner: Option<&UserId>,
        name: &TemplateName,
        number: Option<u32>,
    ) -> Result<TemplateView, InfraError> {
        let me = self.core.user(&self.id).await?.value;
        let (head, version, _) = find(&self.core, &me, owner, name, number).await?;
        Ok(view(&head, &version, head.value.owner == me.id))
    }

    /// Deletes a template of the user's own with all its versions. Saved again, the name goes on counting.
    ///
    /// Cancel safety: the first of several commits deletes it; the rest remove what nothing reaches any more.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`template`), also when it is deleted already; [`InfraError::Conflict`] when a version
    /// was saved since `if_match`.
    pub async fn remove_template(
        &self,
        name: &TemplateName,
        if_match: Option<Version>,
    ) -> Result<(), InfraError> {
        let settled = self.core.settle("the template", || async {
            let gate = self.core.gate(&self.id).await?;
            gate.may_change()?;
            let missing = || InfraError::missing("template", name);
            let was = head(&self.core, &gate.user.value, name).await?.ok_or_else(missing)?;
            if was.value.versions() == 0 {
                // An earlier deletion may have been cut short.
                sweep(&self.core, &was.value).await?;
                return Err(missing());
            }
            if let Some(expected) = if_match.filter(|expected| *expected != was.version) {
                return Err(InfraError::Conflict {
                    what: "template",
                    id: name.to_string(),
                    why: format!("version is {}, not {expected}", was.version),
                    version: Some(was.version),
                });
            }
            let gone_through = was.value.newest;
            let is = Template { gone_through, changed_at: self.core.now(), ..was.value.clone() };
            let mut txn = self.core.repo.txn();
            txn.update(&was, &is);
            gate.check(&mut txn);
            Ok(Step::Commit(txn, is))
        });
        let (gone, _) = settled.await?;
        sweep(&self.core, &gone).await
    }

    /// Asks a template again: [`Self::reserve`] for its request with the caller's changes.
    ///
    /// # Errors
    /// As [`Self::reserve`]; and [`InfraError::NotFound`] (`template`).
    pub async fn relaunch(
        &self,
        relaunch: &Relaunch,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Reserved, InfraError> {
        let ask = Ask::Template(relaunch);
        let (record, replayed) =
            reserve::reserve(&self.core, &self.id, &self.actor, ask, idempotency.or(self.key.as_ref()))
                .await?;
        Ok(Reserved { view: self.reserved(&record, replayed).await?, replayed })
    }
}

/// A template's request with its secrets and the caller's changes, and which version it is.
///
/// # Errors
/// [`InfraError::NotFound`] (`template`).
pub(super) async fn resolve(
    core: &Core,
    caller: &User,
    relaunch: &Relaunch,
) -> Result<(Request, TemplateRef), InfraError> {
    let (_, version, owner) =
        find(core, caller, relaunch.owner.as_ref(), &relaunch.name, relaunch.version).await?;
    let mut request = version.request.clone();
    if owner != caller.id {
        request.ssh_public_keys.clear();
    }
    request.setup = open(core, &version.of, "setup", version.setup.as_ref())?;
    if let Some(files) = open(core, &version.of, "files", version.files.as_ref())? {
        request.options.files = files_of(&files)?;
    }
    Ok((relaunch.overrides.over(&request), version.of))
}

/// All that a user saved, for removing the user. Repeatable; what is saved meanwhile belongs to somebody who is no more
/// and is not seen by the next of that name.
pub(super) async fn remove_all(core: &Core, owner: &UserId) -> Result<(), InfraError> {
    let versions: Vec<Versioned<TemplateVersion>> =
        core.repo.list_owner(&system_tenant(), owner, None).await?;
    remove(core, &versions).await?;
    let heads: Vec<Versioned<Template>> = core.repo.list_owner(&system_tenant(), owner, None).await?;
    remove(core, &heads).await
}

/// Removes records a few per commit. Some that are gone already are fine: somebody else removes them, too.
async fn remove<T: Stored>(core: &Core, records: &[Versioned<T>]) -> Result<(), InfraError> {
    for some in records.chunks(REMOVED_AT_ONCE) {
        let mut txn = core.repo.txn();
        some.iter().for_each(|record| txn.delete(record));
        match core.repo.commit(txn).await {
            Err(error) if error.is_conflict() => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Removes the versions that were deleted with the name. Nothing reaches them; they only take room, and hold secrets.
///
/// May be repeated, and costs nothing for a name that was never deleted.
async fn sweep(core: &Core, head: &Template) -> Result<(), InfraError> {
    if head.gone_through == 0 {
        return Ok(());
    }
    let prefix = format!("{}/", Template::place(&head.owner, &head.name).id);
    let mut gone: Vec<Versioned<TemplateVersion>> =
        core.repo.list_prefix(&system_tenant(), &prefix, None).await?;
    gone.retain(|version| version.value.of.version <= head.gone_through);
    remove(core, &gone).await
}

/// No `/` among them: a version stands under its template by prefix, and nobody may name a template into another
/// one's.
fn check_name(name: &TemplateName) -> Result<(), InfraError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let text = name.as_str();
    // One that begins with a dot would be a step up in somebody's path.
    if text.len() > NAME_LEN_MAX || text.starts_with('.') || !text.chars().all(legal) {
        let message = format!("must be 1 to {NAME_LEN_MAX} of a-z A-Z 0-9 . _ - and not begin with a dot");
        return Err(InfraError::field("name", message));
    }
    Ok(())
}

/// A user's template by its name, deleted or not; that of a removed user of the same name is none.
async fn head(
    core: &Core,
    owner: &User,
    name: &TemplateName,
) -> Result<Option<Versioned<Template>>, InfraError> {
    let found = core.repo.get::<Template>(Template::place(&owner.id, name)).await?;
    Ok(found.filter(|found| found.value.since == owner.created_at))
}

/// A user's names that have versions.
async fn heads_of(core: &Core, owner: &User) -> Result<Vec<Versioned<Template>>, InfraError> {
    let mut heads: Vec<Versioned<Template>> =
        core.repo.list_owner(&system_tenant(), &owner.id, Some(state::OPEN)).await?;
    heads.retain(|head| head.value.since == owner.created_at);
    Ok(heads)
}

/// A version of a name, the newest when none is named.
///
/// `None` also for one that is deleted, and for one whose record went since the name was read.
async fn version(
    core: &Core,
    head: &Versioned<Template>,
    number: Option<u32>,
) -> Result<Option<TemplateVersion>, InfraError> {
    let number = number.unwrap_or(head.value.newest);
    if !head.value.has(number) {
        return Ok(None);
    }
    let place = TemplateVersion::place(&head.value.owner, &head.value.name, number);
    Ok(core.repo.get::<TemplateVersion>(place).await?.map(|found| found.value))
}

/// A template as a user may see it: the user's own, or a named team mate's.
///
/// Whatever is not there for the caller gets one error, so that nobody learns from it who is in which team.
async fn find(
    core: &Core,
    caller: &User,
    owner: Option<&UserId>,
    name: &TemplateName,
    number: Option<u32>,
) -> Result<(Versioned<Template>, TemplateVersion, UserId), InfraError> {
    let missing = || InfraError::missing("template", name);
    let owner = match owner {
        None => caller.clone(),
        // That there is such a user, but in another team, is not said.
        Some(owner) => core.mate(caller, owner).await.map_err(|error| match error {
            InfraError::NotFound { .. } => missing(),
            other => other,
        })?,
    };
    let head = head(core, &owner, name).await?.ok_or_else(missing)?;
    let version = version(core, &head, number).await?.ok_or_else(missing)?;
    Ok((head, version, owner.id))
}

/// What the version will say, from a request or from one of the user's own reservations.
///
/// A request is looked at by shape alone, since a template may wait for what is to come. A reservation must be the
/// user's own, and what its owner's profile added is taken out again.
async fn draft(core: &Core, user: &User, from: &TemplateFrom) -> Result<Drafted, InfraError> {
    let now = core.now();
    match from {
        TemplateFrom::Request(request) => {
            ask::shape(request, &core.limits, now)?;
            let mut request = (**request).clone();
            lasting(&mut request, now);
            Ok(Drafted { request, from: None })
        }
        TemplateFrom::Reservation(id) => {
            let reservation = core.mine(user, id).await?.value;
            let mut request = asked(core, &reservation)?;
            defaults::without(&mut request, &reservation.spec.from_profile);
            Ok(Drafted { request, from: Some(id.clone()) })
        }
    }
}

/// What a reservation asks for now, its secrets included.
///
/// Count and end are as they are desired now, not as they were asked at first. A count of zero is not taken over.
fn asked(core: &Core, reservation: &Reservation) -> Result<Request, InfraError> {
    let spec = &reservation.spec;
    let mut request = spec.request.clone();
    if reservation.desired.count > 0 {
        request.count = Some(reservation.desired.count);
    }
    request.ends_at = request.ends_at.and(reservation.deadlines.0.get(&DeadlineKind::Ends).copied());
    lasting(&mut request, reservation.ready_at.unwrap_or(reservation.created_at));
    let place = |what: &str| format!("reservation/{}/{what}", reservation.id);
    let open = |what: &str, sealed: &Sealed| core.master.open(&place(what), sealed).map_err(unopened);
    request.setup = match &spec.setup {
        Some(sealed) => Some(open("setup", sealed)?.expose().to_owned()),
        None => None,
    };
    if let Some(sealed) = &spec.files {
        request.options.files = files_of(open("files", sealed)?.expose())?;
    }
    Ok(request)
}

/// A moment would be over when the template is asked again: an end becomes a duration.
fn lasting(request: &mut Request, since: Timestamp) {
    if let Some(ends_at) = request.ends_at.take() {
        request.duration_s = Some(between(since, ends_at).as_secs().max(1));
    }
}

/// The commit that saves the next version.
///
/// The name's record is written at the version that was read, so of two savers at once one conflicts and counts anew.
async fn save(
    core: &Core,
    gate: &Gate,
    actor: &Actor,
    name: &TemplateName,
    drafted: &Drafted,
    once: Option<&Once>,
) -> Result<Step<Result<(Template, TemplateVersion), TemplateView>>, InfraError> {
    let (me, now) = (&gate.user.value, core.now());
    // Also that of a removed user of the same name: its numbers stay given.
    let was = core.repo.get::<Template>(Template::place(&me.id, name)).await?;
    let ours = was.as_ref().filter(|was| was.value.since == me.created_at);
    let before = was.as_ref().map_or(0, |was| was.value.newest);
    let gone_through = ours.map_or(before, |ours| ours.value.gone_through);
    let head = Template {
        owner: me.id.clone(),
        since: me.created_at,
        name: name.clone(),
        newest: before.saturating_add(1),
        gone_through,
        changed_at: now,
    };
    if head.versions() > VERSIONS_MAX {
        return Err(InfraError::field(
            "name",
            format!("has {VERSIONS_MAX} versions: delete it, or take another name"),
        ));
    }
    if was.is_none() && names(core, &me.id).await? >= NAMES_MAX {
        return Err(InfraError::field("name", format!("would be more than {NAMES_MAX}")));
    }
    let of = TemplateRef { owner: me.id.clone(), name: name.clone(), version: head.newest };
    let version = sealed(core, of, drafted, now);
    let mut txn = core.repo.txn();
    txn.put(&head, was.map_or(Expect::Absent, |was| Expect::Version(was.version)));
    txn.insert(&version);
    if let Some(once) = once {
        let template = Some(version.of.clone());
        txn.insert(&IdempotencyRecord { template, ..once.record(core) });
    }
    txn.insert(&told(me, actor, &version));
    // Nothing is written for a user who is being removed.
    txn.check(me.key(), Expect::Version(gate.user.version));
    gate.check(&mut txn);
    Ok(Step::Commit(txn, Ok((head, version))))
}

/// That it was saved: in the history of the reservation it was made from, else for the log alone.
fn told(me: &User, actor: &Actor, version: &TemplateVersion) -> Outbox {
    let (of, from) = (version.of.clone(), version.from.clone());
    let what = format!("template-saved/{}", of.name);
    let under = from.as_ref().map_or_else(|| format!("template/{}", of.owner), ToString::to_string);
    let cause = format!("{under}/{what}/{}", of.version);
    let event = Event::TemplateSaved { template: of, reservation: from };
    Outbox::new(me.tenant.clone(), cause, version.created_at, event).by(actor.clone())
}

/// How many names a user ever used.
///
/// Deleted ones count, because their records stay: without that a name could be used up again and again.
async fn names(core: &Core, owner: &UserId) -> Result<usize, InfraError> {
    Ok(core.repo.list_owner::<Template>(&system_tenant(), owner, None).await?.len())
}

/// The record of a version: secrets sealed for it, and taken out of the request.
fn sealed(core: &Core, of: TemplateRef, drafted: &Drafted, created_at: Timestamp) -> TemplateVersion {
    let seal = |what: &str, text: &str| core.master.seal(&place(&of, what), text, &*core.entropy);
    let request = &drafted.request;
    let files = Some(&request.options.files).filter(|files| !files.is_empty());
    TemplateVersion {
        setup: request.setup.as_ref().map(|script| seal("setup", script)),
        files: files.map(|files| seal("files", &serde_json::to_string(files).expect("texts are JSON"))),
        request: rows::without_secrets(request),
        from: drafted.from.clone(),
        created_at,
        of,
    }
}

/// What a secret of a version is sealed for.
///
/// The version is part of it: a secret that is copied to another version's record does not open there.
pub(super) fn place(of: &TemplateRef, what: &str) -> String {
    format!("template/{}/{}/{}/{what}", of.owner, of.name, of.version)
}

/// One secret of a version, opened; `None` when it has none.
///
/// # Errors
/// [`InfraError::Internal`] under another master key, or when it was sealed for another place.
fn open(
    core: &Core,
    of: &TemplateRef,
    what: &str,
    sealed: Option<&Sealed>,
) -> Result<Option<String>, InfraError> {
    let Some(sealed) = sealed else { return Ok(None) };
    Ok(Some(core.master.open(&place(of, what), sealed).map_err(unopened)?.expose().to_owned()))
}

/// The caller did nothing wrong, so it is never told as a refusal.
#[allow(clippy::needless_pass_by_value, reason = "errors are mapped by value")]
fn unopened(error: crate::words::secret::SealError) -> InfraError {
    InfraError::Internal { why: error.to_string() }
}

/// Files as they were sealed, by path. What was sealed here always reads; anything else is a damaged record.
fn files_of(text: &str) -> Result<std::collections::BTreeMap<String, String>, InfraError> {
    serde_json::from_str(text)
        .map_err(|_| InfraError::Internal { why: "sealed files do not read".to_owned() })
}

/// The version that a key stands for, when it came before.
///
/// A template that was deleted since then is not there any more: the key does not bring it back.
async fn replay(core: &Core, gate: &Gate, once: Option<&Once>) -> Result<Option<TemplateView>, InfraError> {
    let Some(once) = once else { return Ok(None) };
    let Some(of) = once.before(core).await?.and_then(|key| key.template) else {
        return Ok(None);
    };
    let (head, version, _) = find(core, &gate.user.value, None, &of.name, Some(of.version)).await?;
    Ok(Some(view(&head, &version, true)))
}

/// A version as people see it. Where it came from is its owner's business.
fn view(head: &Versioned<Template>, version: &TemplateVersion, own: bool) -> TemplateView {
    TemplateView {
        of: version.of.clone(),
        newest: head.value.newest,
        versions: head.value.versions(),
        request: version.request.clone(),
        has_setup: version.setup.is_some(),
        from: version.from.clone().filter(|_| own),
        created_at: version.created_at,
        version: head.version,
    }
}
