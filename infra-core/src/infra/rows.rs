//! New records: the one place where each is put together.
//!
//! # Guarantees
//! * Pure but for the clock and the id that is drawn: nothing is read or written, so a lost race may make the same
//!   record again.
//! * First-boot scripts and files are sealed before they are in any record, for the one reservation that they are of.
//!   The request that is kept beside them has neither: of files it keeps the paths.
//! * Who names no public key gets a key pair made for this one reservation: a machine that nobody can enter is of no
//!   use. Its private half is sealed likewise.
//! * A new reservation is due at once: whoever misses the change that announces it finds it by its
//!   deadline.
//!
//! # Caveats
//! Choices are cut to `offers_kept`, the best ones. Prices in them are as of now and are not refreshed.

use super::core::Core;
use super::defaults::Admitted;
use super::once::Once;
use crate::nouns::account::{IdempotencyRecord, User};
use crate::nouns::actor::Actor;
use crate::nouns::event::{Event, Outbox};
use crate::nouns::request::Request;
use crate::nouns::reservation::{
    DeadlineKind, Deadlines, Desired, Login, Phase, Power, Reservation, Source, Spec, Summary,
};
use crate::nouns::template::TemplateRef;
use crate::plan::budget::first_charge;
use crate::plan::reservation::provisional_end;
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TenantId};
use crate::words::secret::Sealed;
use crate::words::ssh::SshKeyPair;
use std::collections::BTreeMap;
use std::time::Duration;

/// A reservation that nothing was done for yet: pending, wanted On, with all its machines counted against its owner.
/// Its quotes are ranked, the best first; `idempotency` is the id of the key's record, which must be written with it.
pub(super) fn reservation(
    core: &Core,
    user: &User,
    admitted: Admitted,
    template: Option<TemplateRef>,
    idempotency: Option<&str>,
    actor: &Actor,
) -> Reservation {
    let Admitted { request, from_profile, quotes, kept } = admitted;
    let now = core.now();
    let id = ReservationId::draw(now, &*core.entropy);
    let seal =
        |what: &str, text: &str| core.master.seal(&format!("reservation/{id}/{what}"), text, &*core.entropy);
    let setup = request.setup.as_ref().map(|script| seal("setup", script));
    let files = Some(&request.options.files).filter(|files| !files.is_empty());
    let files = files.map(|files| seal("files", &serde_json::to_string(files).expect("texts are JSON")));
    let login = request.ssh_public_keys.is_empty().then(|| login(core, &id, &seal));
    let count = request.count();
    let mut reservation = Reservation {
        id,
        tenant: user.tenant.clone(),
        owner: user.id.clone(),
        shares: BTreeMap::new(),
        source: Source::Cloud,
        spec: Spec {
            request: without_secrets(&request),
            setup,
            files,
            login,
            from_profile,
            template,
            choices: kept,
        },
        desired: Desired { count, power: Power::On, present: true, change: 0 },
        heal: request.heal.unwrap_or_default(),
        parent: None,
        needs: Vec::new(),
        next_unit: 0,
        deadlines: deadlines(&request, now, core.limits.build_deadline),
        hold: None,
        end_cause: None,
        failure: None,
        recent_creates: Vec::new(),
        tries: Vec::new(),
        summary: pending(count),
        created_at: now,
        ready_at: None,
        over_at: None,
        idempotency: idempotency.map(str::to_owned).into_iter().collect(),
        counted: count,
        request_id: actor.request_id.clone(),
        diverged_at: Some(now),
        cost: None,
        charge: None,
        months: BTreeMap::new(),
    };
    // It counts for what can be had now; something cheaper that lacks capacity at the moment may stand before it.
    let first = quotes.first().map(|quote| &quote.choice);
    reservation.charge = Some(first_charge(&reservation, first, now));
    reservation
}

/// What lists show until the first plan has derived a summary from slots: all of them wanted, none of them there.
fn pending(wanted: u32) -> Summary {
    Summary { phase: Phase::Pending, wanted, have: 0, ready: 0, reason: None, places: Vec::new() }
}

/// A key pair for one reservation, its private half sealed.
fn login(core: &Core, id: &ReservationId, seal: &dyn Fn(&str, &str) -> Sealed) -> Login {
    let pair = SshKeyPair::draw(&*core.entropy, id.as_str());
    Login { public_key: pair.public, private_key: seal("login", pair.private.expose()) }
}

/// A request as a record keeps it: people put secrets into scripts and files.
pub(super) fn without_secrets(request: &Request) -> Request {
    let mut kept = Request { setup: None, ..request.clone() };
    kept.options.files.values_mut().for_each(String::clear);
    kept
}

/// When it ends, and that somebody must look at it now. A duration counts from readiness, which the engine
/// writes; until then the end is as late as building may take.
fn deadlines(request: &Request, now: Timestamp, build: Duration) -> Deadlines {
    let mut deadlines = Deadlines::default();
    deadlines.0.insert(DeadlineKind::Retry, now);
    let counted = request.duration_s.map(|seconds| provisional_end(now, Duration::from_secs(seconds), build));
    if let Some(ends) = request.ends_at.or(counted) {
        deadlines.0.insert(DeadlineKind::Ends, ends);
    }
    deadlines
}

/// An idempotency key that names a reservation. It does not expire while the reservation lives.
pub(super) fn idempotency(core: &Core, of: &Reservation, once: &Once) -> IdempotencyRecord {
    IdempotencyRecord { reservation: Some(of.id.clone()), expires_at: None, ..once.record(core) }
}

/// An event about a reservation; `what` and `nth` make its cause, which is enqueued once. `nth` is what counts the
/// changes of the record itself, so the same change tried again has the same cause.
pub(super) fn event(
    tenant: &TenantId,
    of: &ReservationId,
    what: &str,
    nth: u64,
    at: Timestamp,
    event: Event,
    actor: &Actor,
) -> Outbox {
    Outbox::new(tenant.clone(), format!("{of}/{what}/{nth}"), at, event).by(actor.clone())
}
