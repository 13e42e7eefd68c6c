//! Sending: the commit that writes it down carries every check, and the call carries exactly what was
//! written.
//!
//! # Flow
//! Still wanted? May it be sent (again)? Do the brakes allow it? Does a key of the tenant reach the lane?
//! Then one commit writes the row as Sent and checks claim, installation, reservation, switches and key; then
//! the call leaves with the stored body; then the answer is recorded.
//!
//! # Guarantees
//! * No request leaves unless the commit that announces it was *acknowledged*. A commit whose fate is unknown
//!   is sent again under its own id, or the call does not happen.
//! * The body on the wire is the body in the row. Nothing is resolved, drawn or looked up in between; only
//!   the first-boot script is opened from its seal.
//! * A refusal closes a row only when every send of its token was refused: it says nothing about an earlier
//!   send that may have gone through.
//! * A token that the cloud knows with another body is looked up, never sent again.
//! * A call that outlasts its time may have happened: Unknown.
//!
//! # Assumptions
//! An implementation decides `effect` where it knows whether the request may have left, and says NotApplied
//! only when it certainly did nothing.
//!
//! # Caveats
//! * A switch that is thrown after the commit does not stop the call; who throws it is told which calls may
//!   still land.
//! * Bucket and fuse are charged before the commit: what then conflicts, or is refused, counts too.
//! * A key that does not connect puts its row off like a failed call. Nothing was sent, so nothing is Unknown.
//!
//! # Errors
//! A [`ProviderError`] is never passed on: it is written on the row, where the planner and the user read it. Only
//! the store's errors end a step, and a conflict among them only this step.

use std::time::Duration;

use super::{Tick, observe};
use crate::connect::Connected;
use crate::contracts::provider::{ProviderError, Send};
use crate::contracts::store::Expect;
use crate::nouns::cloud::Observed;
use crate::nouns::installation::Installation;
use crate::nouns::launch::{
    Absence, Closed, FrozenLaunch, Launch, LaunchBody, LaunchState, Retry, SendRecord,
};
use crate::nouns::reservation::{DeadlineKind, Reservation};
use crate::plan::brake::VerbClass;
use crate::plan::reservation::backoff;
use crate::plan::resolve::may_resend;
use crate::records::{RepoError, Stored, Txn, Versioned};
use crate::words::clock::{Timestamp, later};
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::limits::Limits;
use crate::words::planted::{Bug, Planted};
use crate::words::secret::Sealed;

impl Tick<'_> {
    /// Sends an attempt, for the first time or again, if everything still speaks for it. Answers whether a request
    /// left; `false` changed nothing but, at most, the moment of the next try.
    ///
    /// The order matters: whether a brake says no anyway is asked first, because it costs nothing; what is read comes
    /// next, what is used up (bucket, fuse) after that, and the connection last, because opening it may take a call to
    /// the cloud.
    ///
    /// # Errors
    /// A conflict when anything moved that spoke for it: then no request has left.
    pub(super) async fn send(&self, row: &Versioned<Launch>) -> Result<bool, RepoError> {
        let launch = &row.value;
        if !self.worker.could_create(self.mono()) {
            return Ok(false);
        }
        let Some(reservation) = self.wanted(launch).await? else { return Ok(false) };
        let context = self.context(launch);
        let again = !launch.sends.is_empty() && !launch.sends.iter().all(SendRecord::refused);
        if again && !context.is_some_and(|context| may_resend(launch, &context)) {
            return Ok(false);
        }
        if !self.may_create(launch, reservation.value.desired.count) {
            return Ok(false);
        }
        let Some(connected) = self.connect(row).await? else { return Ok(false) };
        let sent = self.sending(row);
        if self.engine.parts.planted.is(Bug::C14SatelliteUnwritten) && launch.units.is_empty() {
            self.call(&sent, &connected).await?;
            return Ok(true);
        }
        let mut txn = self.engine.parts.repo.txn();
        txn.update(row, &sent);
        connected.check(&mut txn);
        self.check_everything(&mut txn, launch, &reservation);
        self.engine.parts.repo.commit(txn).await?;
        self.call(&sent, &connected).await?;
        Ok(true)
    }

    /// The row as it is written before its request leaves: Sent, one send more, without an answer yet. What was
    /// known of its absence is void from now on, and the first send puts the number into the mark that a restored
    /// store is later recognised by; replays keep it, since the body must stay the same.
    fn sending(&self, row: &Versioned<Launch>) -> Launch {
        let mut sent = row.value.clone();
        sent.state = LaunchState::Sent;
        sent.unseen = None;
        sent.retry = None;
        if sent.sends.is_empty() {
            // The commit number of the row itself: a store restored from before it is older than this mark.
            sent.frozen.witness(row.version);
        }
        let by = self.engine.claims.boot();
        sent.sends.push(SendRecord { at: self.now(), by, effect: None, said: None });
        sent
    }

    /// The tenant's own key: the one on the row, or another active one of the tenant for the same account. Nobody
    /// else's makes anything for it, and a retired one makes nothing any more. `None` has put the row off and said
    /// why on it.
    async fn connect(&self, row: &Versioned<Launch>) -> Result<Option<Connected>, RepoError> {
        let launch = &row.value;
        let connections = &self.engine.parts.connections;
        match connections.provider(&launch.tenant, &launch.credential, &launch.lane).await {
            Ok(connected) if !connected.retired => Ok(Some(connected)),
            Ok(_) => {
                self.wait(row, FaultKind::Unauthorized, "its key was taken away; only ending is possible")
                    .await?;
                Ok(None)
            }
            Err(error) => {
                self.wait(row, FaultKind::Unauthorized, &error.to_string()).await?;
                Ok(None)
            }
        }
    }

    /// The reservation, if it still wants this attempt: present, not held, its time not over, and the attempt's
    /// slots not given up. Time is asked here once more, because a deadline may pass between plan and send: what
    /// would be ended at once is not bought first. Read now, and checked by the commit.
    async fn wanted(&self, launch: &Launch) -> Result<Option<Versioned<Reservation>>, RepoError> {
        let place = Reservation::place(&launch.tenant, &launch.reservation);
        let Some(reservation) = self.engine.parts.repo.get::<Reservation>(place).await? else {
            return Ok(None);
        };
        let planted = self.engine.parts.planted;
        let value = &reservation.value;
        let over = |kind| value.deadlines.0.get(&kind).is_some_and(|at| *at <= self.now());
        let in_time = !over(DeadlineKind::Ends) && !over(DeadlineKind::MaxLife);
        let wanted = value.desired.present && value.hold.is_none() && in_time && launch.wanted();
        let planted = planted.is(Bug::C7OldLaunchResumed) || planted.is(Bug::C16ResentUnderRelease);
        Ok((wanted || planted).then_some(reservation))
    }

    /// Switches, the lane's fuse, its bucket and its breaker, in this order. Satellites count as no machine for the
    /// fuse, and as a call for the bucket. `wanted` is the reservation's count.
    fn may_create(&self, launch: &Launch, wanted: u32) -> bool {
        let open =
            self.switches.allow_create(launch) || self.engine.parts.planted.is(Bug::C19SwitchUnchecked);
        let count = u32::from(launch.frozen.count);
        let (now, limits) = (self.mono(), &self.engine.parts.limits);
        let machines = u32::try_from(launch.units.len()).unwrap_or(u32::MAX);
        let may = open
            && self.worker.fuse(now, machines, wanted.max(count), limits)
            && self.worker.may_call(VerbClass::Create, now);
        if may {
            self.worker.burn(now, machines);
        }
        may
    }

    /// Makes the commit fail when anything changed that spoke for the send: claim, switches, reservation,
    /// installation. With the row itself and its key that is eight changes.
    fn check_everything(&self, txn: &mut Txn, launch: &Launch, reservation: &Versioned<Reservation>) {
        self.ownership.check(txn);
        self.switches.check(self.engine, launch, txn);
        if !self.engine.parts.planted.is(Bug::C19SwitchUnchecked) {
            txn.check(reservation.value.key(), Expect::Version(reservation.version));
        }
        txn.check(Installation::place(), Expect::Version(self.installation.version));
    }

    /// The call itself, and what came of it. The answer is recorded whatever has become of the row and of the claim
    /// meanwhile: knowing what a request did is worth more than being in charge.
    async fn call(&self, sent: &Launch, connected: &Connected) -> Result<(), RepoError> {
        let answer = match self.prepare(sent, self.held_until().await?) {
            Ok(send) => {
                let frozen = self.body(sent).await;
                self.in_time(connected.provider.launch(&frozen, &send)).await
            }
            Err(why) => Err(ProviderError::NotSent { why }),
        };
        let (kind, wait) = match &answer {
            Ok(_) => (None, None),
            Err(error) => (Some(error.kind()), error.retry_after()),
        };
        self.worker.came_back(VerbClass::Create, self.mono(), kind, wait);
        let (now, limits, planted) = (self.now(), &*self.engine.parts.limits, self.engine.parts.planted);
        let sends = sent.sends.len();
        let change = |row: &mut Launch| match &answer {
            Ok(things) => answered(row, things, sends, now, planted),
            Err(error) => refused(row, error, sends, &Outcome { now, limits, planted }),
        };
        self.engine.record(sent, change).await.map(drop)
    }

    /// Opens the first-boot script and sets the moment after which the call must not leave: the end of the
    /// claim, or of the call's own time, whichever is first.
    ///
    /// A claim that is lost, or a seal that does not open, answers why, as text: no call is made, and the row learns
    /// that nothing was sent.
    fn prepare(&self, sent: &Launch, held_until: Option<Duration>) -> Result<Send, String> {
        let limits = &self.engine.parts.limits;
        let held_until = held_until.ok_or("another replica has this lane by now")?;
        let deadline = held_until.min(self.mono() + limits.call_timeout);
        let LaunchBody::Machine(body) = &sent.frozen.body else {
            return Ok(Send { user_data: None, files: None, deadline });
        };
        let open = |what: &str, sealed: Option<&Sealed>| {
            let place = format!("reservation/{}/{what}", sent.reservation);
            let opened = sealed.map(|sealed| self.engine.parts.master.open(&place, sealed)).transpose();
            opened.map_err(|error| error.to_string())
        };
        let user_data = open("setup", body.user_data.as_ref())?;
        let files = open("files", body.files.as_ref())?;
        Ok(Send { user_data, files, deadline })
    }

    /// The stored body; a planted defect rebuilds it.
    async fn body(&self, sent: &Launch) -> FrozenLaunch {
        let mut frozen = sent.frozen.clone();
        let planted = self.engine.parts.planted;
        let again = sent.sends.len() > 1;
        if again
            && planted.is(Bug::C4BodyRebuilt)
            && let LaunchBody::Machine(body) = &mut frozen.body
        {
            body.disk_gib += 1;
        }
        if again
            && planted.is(Bug::C5TokenInAnotherZone)
            && let Ok(catalogue) = self.provider.catalogue().await
        {
            let zones = catalogue.offerings.iter().flat_map(|offering| &offering.zones);
            frozen.zone =
                zones.filter(|zone| Some(*zone) != frozen.zone.as_ref()).min().cloned().or(frozen.zone);
        }
        frozen
    }

    /// A call with a limit on its time: what takes longer may have happened.
    ///
    /// The call's future is dropped then, and whatever it still answers is lost. An answer that is there in the same
    /// moment as the end of its time wins: `biased` asks the call first.
    pub(super) async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>> + std::marker::Send,
    ) -> Result<T, ProviderError> {
        let timeout = self.engine.parts.clock.sleep(self.engine.parts.limits.call_timeout);
        tokio::select! {
            biased;
            answer = call => answer,
            () = timeout => Err(ProviderError::Unavailable {
                said: crate::contracts::provider::Said {
                    code: "timeout".to_owned(),
                    message: "no answer in time".to_owned(),
                    request_id: None,
                },
                effect: Effect::Unknown,
                retry_after: None,
            }),
        }
    }

    /// Closes a row: it stays for late births.
    ///
    /// Two late facts are kept apart by the row's version: whoever learns something of it meanwhile makes this
    /// conflict, and the row is looked at anew before it is closed.
    pub(super) async fn close(&self, row: &Versioned<Launch>, how: &Closed) -> Result<bool, RepoError> {
        let keep_until = later(self.now(), self.engine.parts.limits.keep_closed_for);
        let mut closed = row.value.clone();
        close_as(&mut closed, how.clone(), keep_until);
        let mut txn = self.engine.parts.repo.txn();
        txn.update(row, &closed);
        self.ownership.check(&mut txn);
        self.engine.parts.repo.commit(txn).await.map(|_| true)
    }
}

/// What recording a refusal depends on.
struct Outcome<'a> {
    now: Timestamp,
    limits: &'a Limits,
    planted: Planted,
}

/// The cloud named what it made. A row that was closed while the call was on its way stays closed: a listing
/// finds the thing by its mark, and it is ended as a late birth.
///
/// `sends` is how many sends the row had when this one left: the answer is noted on that very one.
fn answered(row: &mut Launch, things: &[Observed], sends: usize, now: Timestamp, planted: Planted) {
    if let Some(send) = row.sends.get_mut(sends - 1) {
        send.said = Some(format!("made {}", things.len()));
    }
    let late = row.closed();
    if late {
        // Closed while the call was on its way: a listing finds it by its mark and ends it.
        return;
    }
    if things.is_empty() {
        // Accepted, and named later (a snapshot at DigitalOcean): found by its name once it is there.
        row.state = LaunchState::Unknown;
        return;
    }
    observe::adopt(row, things, now, planted);
}

/// The cloud said no, or nothing. The send is recorded either way; the row moves only if nobody resolved it
/// meanwhile. Closed by refusal, back to Planned with a pause, or Unknown: see the guarantees above.
fn refused(row: &mut Launch, error: &ProviderError, sends: usize, outcome: &Outcome<'_>) {
    let Some(send) = row.sends.get_mut(sends - 1) else { return };
    send.effect = Some(error.effect());
    send.said = Some(error.to_string());
    if row.state != LaunchState::Sent || row.sends.len() != sends {
        // Somebody resolved it meanwhile; what this send said is on record.
        return;
    }
    let times = u32::try_from(row.sends.len()).unwrap_or(u32::MAX);
    let pause = error.retry_after().unwrap_or_else(|| backoff(times, row.token, outcome.limits));
    let at = later(outcome.now, pause);
    row.retry = Some(Retry { times, at, reason: error.to_string(), kind: error.kind() });
    let keep_until = later(outcome.now, outcome.limits.keep_closed_for);
    let all_refused = row.sends.iter().all(SendRecord::refused);
    let said_no = error.effect() == Effect::NotApplied;
    let planted = outcome.planted.is(Bug::C6RefusalClosesUnknown) && said_no;
    row.state = match error.kind() {
        FaultKind::TokenEnded => {
            close_as(row, Closed::Gone(Absence::EndSeen), keep_until);
            return;
        }
        kind if (all_refused || planted) && is_final(kind) => {
            close_as(row, Closed::NeverBorn(Absence::Refused), keep_until);
            return;
        }
        _ if all_refused => LaunchState::Planned,
        _ => {
            // Looked up at once: the next look says more than a pause.
            if let Some(retry) = &mut row.retry {
                retry.at = outcome.now;
                retry.times = 0;
            }
            LaunchState::Unknown
        }
    };
}

/// Refusals that the same body will always get, or that another offer answers better: capacity and quota are
/// among them, because the planner then goes on to the next offer with a new attempt. Not final is what time or a
/// person mends while the offer stays right.
const fn is_final(kind: FaultKind) -> bool {
    !matches!(
        kind,
        FaultKind::Throttled
            | FaultKind::Unavailable
            | FaultKind::Busy
            | FaultKind::Unauthorized
            | FaultKind::Blocked
    )
}

/// Closes a row, and says until when it must be kept: until then a late birth finds it.
fn close_as(row: &mut Launch, how: Closed, keep_until: Timestamp) {
    row.state = LaunchState::Closed(how);
    row.keep_until = Some(keep_until);
}
