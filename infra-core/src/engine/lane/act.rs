//! Acting on things that exist: every order is written down first, goes to a freshly proven handle, and is
//! given again for ever until the cloud shows that it happened.
//!
//! # Flow
//! Proof, switches, brakes; then the order is written on the thing with every check; then the call; then what
//! was answered. That it happened is seen later, by a look or a listing: an answer of "accepted" ends
//! nothing.
//!
//! # Guarantees
//! * Every act is preceded by a commit that checks the claim, the switches and the installation.
//! * An act takes a handle, and a handle needs the id on the row and the mark on the thing, both in this
//!   tick.
//! * An order that was refused, or whose answer was lost, is given again after a pause, for as long as the
//!   thing is there. Giving it twice is harmless: ending what has ended is accepted.
//! * An ending that takes too long is told once, and goes on; it blocks no other.
//! * The tenant's own key is used where it still connects; where it was taken away, any key of the same
//!   account may end what is there.
//!
//! # Assumptions
//! `act` is idempotent on every cloud: ending what is ending, or stopping what has stopped, is accepted. One act
//! is on one thing, so one that is refused holds up no other.
//!
//! # Caveats
//! * A breaker stops creates, not endings: people wait for those, and what is not ended costs. They go as
//!   slowly as the bucket gives.
//! * A power order has no count of tries and is never told as stuck: it is given again each minute until the
//!   cloud shows the state. The slot says Stopping or Booting for as long, and what the cloud said to the last order.
//! * An order that was written and not given (a crash in between) waits for its pause like one that was refused.
//!
//! # Errors
//! What a cloud answers is written on the thing, or in the log; a refused order is no error of the tick. A
//! conflict leaves the order unwritten and ungiven.

use std::sync::Arc;

use super::{Fresh, Tick};
use crate::contracts::provider::{OwnedHandle, ProviderError};
use crate::contracts::store::Expect;
use crate::nouns::cloud::{Accepted, Act, PowerMode, ThingState};
use crate::nouns::event::Event;
use crate::nouns::installation::Installation;
use crate::nouns::launch::{Ending, Launch, PowerRefused, Thing};
use crate::plan::brake::VerbClass;
use crate::plan::proof::{prove, prove_confirmed};
use crate::plan::reservation::backoff;
use crate::records::{RepoError, Versioned};
use crate::words::clock::{between, later};
use crate::words::fault::{Fault, FaultKind};
use crate::words::ids::ResourceId;

impl Tick<'_> {
    /// Orders one thing to end. `false` when it is not proven ours in this tick, or a switch or the bucket says no.
    ///
    /// `since` stays at the first order and `tries` counts them all, so whoever reads the row sees how long and how
    /// often; `said` is what the last one was answered, `None` when it was accepted.
    pub(super) async fn end(
        &self,
        row: &Versioned<Launch>,
        id: &ResourceId,
        fresh: &Fresh,
    ) -> Result<bool, RepoError> {
        let Some(handle) = self.proven(&row.value, id, fresh) else { return Ok(false) };
        let open = self.switches.allow_delete(&row.value);
        if !open || !self.worker.may_call(VerbClass::End, self.mono()) {
            return Ok(false);
        }
        self.tell_if_stuck(row, id).await?;
        let (now, limits) = (self.now(), &self.engine.parts.limits);
        let token = row.value.token;
        let order = |thing: &mut Thing| {
            let (since, tries) = thing.ending.as_ref().map_or((now, 0), |order| (order.since, order.tries));
            let told = thing.ending.as_ref().is_some_and(|order| order.told);
            let retry_at = later(now, backoff(tries + 1, token, limits));
            let said = Some("ordered".to_owned());
            thing.ending = Some(Ending { since, tries: tries + 1, retry_at, said, told });
        };
        let Some(written) = self.write_order(row, id, order).await? else { return Ok(false) };
        let answer = self.order(&written, &handle, Act::Terminate, VerbClass::End).await;
        let said = answer.err().map(|error| error.to_string());
        let change = |row: &mut Launch| {
            if let Some(order) = thing_of(row, id).and_then(|thing| thing.ending.as_mut()) {
                order.said.clone_from(&said);
            }
        };
        self.engine.record(&written, change).await?;
        Ok(true)
    }

    /// Orders one thing on or off. Turning on asks what creating asks (it begins to cost), turning off what ending
    /// asks. The moment is written with the order, and the same order is not repeated before it could have shown. A
    /// refusal is written, too: people see why their machine still runs, and what it refuses for good is not asked again.
    pub(super) async fn power(
        &self,
        row: &Versioned<Launch>,
        id: &ResourceId,
        mode: PowerMode,
        fresh: &Fresh,
    ) -> Result<bool, RepoError> {
        let Some(handle) = self.proven(&row.value, id, fresh) else { return Ok(false) };
        let (class, open) = if mode == PowerMode::On {
            (VerbClass::Create, self.switches.allow_create(&row.value))
        } else {
            (VerbClass::End, self.switches.allow_delete(&row.value))
        };
        if !open || !self.worker.may_call(class, self.mono()) {
            return Ok(false);
        }
        let now = self.now();
        let order = |thing: &mut Thing| thing.power = Some((mode, now));
        let Some(written) = self.write_order(row, id, order).await? else { return Ok(false) };
        let answer = self.order(&written, &handle, Act::Power(mode), class).await;
        let refused = answer.err().map(|error| {
            tracing::info!(thing = %id, %error, "power order was refused; given again when it has settled");
            PowerRefused { mode, kind: error.kind(), said: error.to_string() }
        });
        if thing_in(&written, id).is_some_and(|thing| thing.power_refused != refused) {
            let change = |row: &mut Launch| {
                if let Some(thing) = thing_of(row, id) {
                    thing.power_refused.clone_from(&refused);
                }
            };
            self.engine.record(&written, change).await?;
        }
        Ok(true)
    }

    /// Writes a lost mark again: its owner confirmed that the thing is theirs. The proof is the id on the row and
    /// that word, and is good for nothing but marking. It makes nothing and ends nothing, so only what forbids both
    /// forbids it.
    pub(super) async fn remark(
        &self,
        row: &Versioned<Launch>,
        id: &ResourceId,
        fresh: &Fresh,
    ) -> Result<bool, RepoError> {
        let Some((observed, seen_at)) = fresh.get(id) else { return Ok(false) };
        let Ok(handle) = prove_confirmed(&row.value, observed, *seen_at) else { return Ok(false) };
        let open = self.switches.allow_create(&row.value) || self.switches.allow_delete(&row.value);
        if !open || !self.worker.may_call(VerbClass::End, self.mono()) {
            return Ok(false);
        }
        // Nothing new to write down: the confirmation stands on the row. The commit is for its checks.
        let Some(written) = self.write_order(row, id, |_| ()).await? else { return Ok(false) };
        if let Err(error) = self.order(&written, &handle, Act::Mark, VerbClass::End).await {
            tracing::warn!(thing = %id, %error, "its mark could not be written again");
        }
        Ok(true)
    }

    /// A proof from what was seen in this tick, at most `handle_fresh_for` ago: a tick with many rows may take longer
    /// than that, and then the rest waits for the next look. `None` also for what has ended, which needs no order.
    fn proven(&self, row: &Launch, id: &ResourceId, fresh: &Fresh) -> Option<OwnedHandle> {
        let (observed, seen_at) = fresh.get(id)?;
        if observed.state == ThingState::Ended
            || self.mono() > *seen_at + self.engine.parts.limits.handle_fresh_for
        {
            return None;
        }
        match prove(row, observed, self.installation.value.id, *seen_at) {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::warn!(lane = %self.worker.lane, %error, "not proven ours: nothing is done");
                None
            }
        }
    }

    /// Writes an order down with every check: claim, switches, installation and the row as just read. `None` when
    /// the thing is no longer on the row, or has ended. Not the reservation: an ending that was wished stays
    /// wished, whatever it wants by now.
    async fn write_order(
        &self,
        row: &Versioned<Launch>,
        id: &ResourceId,
        order: impl FnOnce(&mut Thing),
    ) -> Result<Option<Launch>, RepoError> {
        let place = Launch::place(&row.value.tenant, &row.value.reservation, row.value.token);
        // Read again: earlier steps of this tick may have written the row.
        let Some(now) = self.engine.parts.repo.get::<Launch>(place).await? else { return Ok(None) };
        let mut ordered = now.value.clone();
        let Some(thing) = thing_of(&mut ordered, id).filter(|thing| thing.alive()) else { return Ok(None) };
        order(thing);
        let mut txn = self.engine.parts.repo.txn();
        txn.update(&now, &ordered);
        self.ownership.check(&mut txn);
        self.switches.check(self.engine, &row.value, &mut txn);
        txn.check(Installation::place(), Expect::Version(self.installation.version));
        self.engine.parts.repo.commit(txn).await?;
        Ok(Some(ordered))
    }

    /// Gives an order with the tenant's own key where there is one, else with any that reaches the lane.
    async fn order(
        &self,
        row: &Launch,
        handle: &OwnedHandle,
        act: Act,
        class: VerbClass,
    ) -> Result<Accepted, ProviderError> {
        let own = self.engine.parts.connections.provider(&row.tenant, &row.credential, &row.lane).await;
        let provider = own.map_or_else(|_| Arc::clone(&self.provider), |own| own.provider);
        let mut answer = self.in_time(provider.act(handle, act)).await;
        if answer.as_ref().is_err_and(|error| error.kind() == FaultKind::Unauthorized) {
            // The key that made it is dead, and the refusal did nothing: the one that has just looked may still end it.
            answer = self.in_time(self.provider.act(handle, act)).await;
        }
        let (kind, wait) =
            answer.as_ref().map_or_else(|e| (Some(e.kind()), e.retry_after()), |_| (None, None));
        self.worker.came_back(class, self.mono(), kind, wait);
        answer
    }

    /// An ending that takes longer than `stuck_terminate_after` is told once, and goes on. The event is written before
    /// the note that it was told; after a crash in between its cause stands already, and nobody hears it twice.
    async fn tell_if_stuck(&self, row: &Versioned<Launch>, id: &ResourceId) -> Result<(), RepoError> {
        let limits = &self.engine.parts.limits;
        let order =
            row.value.things.iter().find(|thing| &thing.id == id).and_then(|thing| thing.ending.as_ref());
        let Some(order) = order.filter(|order| !order.told) else { return Ok(()) };
        if between(order.since, self.now()) < limits.stuck_terminate_after {
            return Ok(());
        }
        let said = order.said.clone();
        let event = Event::Stuck { reservation: row.value.reservation.clone(), thing: id.clone(), said };
        self.tell(row, &format!("stuck-{id}"), event).await?;
        let change = |row: &mut Launch| {
            if let Some(order) = thing_of(row, id).and_then(|thing| thing.ending.as_mut()) {
                order.told = true;
            }
        };
        self.engine.record(&row.value, change).await.map(drop)
    }
}

/// A thing on a row by its id.
fn thing_in<'a>(row: &'a Launch, id: &ResourceId) -> Option<&'a Thing> {
    row.things.iter().find(|thing| &thing.id == id)
}

fn thing_of<'a>(row: &'a mut Launch, id: &ResourceId) -> Option<&'a mut Thing> {
    row.things.iter_mut().find(|thing| &thing.id == id)
}
