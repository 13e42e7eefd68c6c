//! A provider that breaks one law and keeps the others as well as it can: what proves that a law can fail.
//!
//! # Flow
//! `broken` wraps a correct provider and is told the name of one law. Each call goes to the correct one; on the way
//! there, or on the way back, the one defect is put in.
//!
//! # Guarantees
//! Nothing is broken by chance: the same law on the same subject meets the same defect each time.
//!
//! # Caveats
//! A new law needs its defect here. Without one the correct provider answers, and the law is reported as a survivor.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::Subject;
use crate::contracts::provider::{
    Authority, CloudProvider, Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Said,
    Send, Series,
};
use crate::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting, ThingState};
use crate::nouns::launch::{FrozenLaunch, LaunchBody};
use crate::nouns::offering::Catalogue;
use crate::words::clock::later;
use crate::words::fault::Effect;
use crate::words::ids::{AccountId, LaunchToken, ResourceId};
use crate::words::lane::ResourceKind;

/// Breaks a correct subject in the point of one law, named as the law. `wrong_key` is wrapped as well, since one law
/// asks nothing but the refused key. `stranger` stays correct: a law that needs both sees the difference between
/// them.
#[must_use]
pub fn broken(law: &'static str, correct: &Subject) -> Subject {
    let wrap = |inner: Arc<dyn CloudProvider>| -> Arc<dyn CloudProvider> {
        let subject = correct.clone();
        Arc::new(Broken { inner, law, subject, answered: Mutex::default(), ordered: Mutex::default() })
    };
    Subject {
        provider: wrap(correct.provider.clone()),
        wrong_key: correct.wrong_key.clone().map(wrap),
        ..correct.clone()
    }
}

/// Holds the correct provider and lets every call pass, except where the law named in `law` is at stake. The law of
/// that name must catch it; others may do so by the way, and nobody asks them.
#[derive(Debug)]
struct Broken {
    inner: Arc<dyn CloudProvider>,
    law: &'static str,
    subject: Subject,
    /// What launches answered: some defects answer it again.
    answered: Mutex<Vec<Observed>>,
    /// What was acted on.
    ordered: Mutex<Vec<ResourceId>>,
}

impl Broken {
    fn is(&self, law: &str) -> bool {
        self.law == law
    }

    /// What a defect does to everything it shows. Caught by `launch_marks_in_the_call`, `a_stamp_is_the_clouds_own`
    /// and `a_birthday_is_by_the_clouds_clock_and_stays`: a mark written late, a stamp that is a copy of the mark or
    /// missing, a birthday by a clock that is an hour ahead.
    fn blur(&self, mut thing: Observed) -> Observed {
        if self.is("launch_marks_in_the_call") {
            // Tagging in a call of its own, later: a crash in between leaves an unmarked machine.
            thing.mark = None;
            thing.tags.clear();
        }
        if self.is("a_stamp_is_the_clouds_own") {
            thing.stamp = if thing.stamp.is_some() { None } else { thing.mark.map(|mark| mark.token) };
        }
        if self.is("a_birthday_is_by_the_clouds_clock_and_stays") {
            thing.created_at = later(thing.created_at, Duration::from_secs(3600));
        }
        thing
    }

    /// What a defect does to a body on its way out. The cloud gets another body than the frozen one: labels dropped,
    /// the first zone in place of the named one, a fresh token at every retry, a batch cut to the limit, a firewall
    /// left out. Each has the law of its name to catch it.
    fn bend(&self, frozen: &FrozenLaunch) -> FrozenLaunch {
        let mut bent = frozen.clone();
        let sent_before = !self.answered().is_empty();
        match self.law {
            "labels_and_name_reach_the_cloud" => bent.labels.clear(),
            "the_zone_named_is_the_zone_taken" => bent.zone = self.subject.zones.first().cloned(),
            "same_token_and_body_answers_the_same_things" | "ended_token_says_so" if sent_before => {
                bent.token = LaunchToken::draw(self.subject.clock.wall(), self.subject.entropy.as_ref());
            }
            "a_batch_beyond_the_limit_is_invalid" => {
                let max = self.inner.facts().kind(bent.body.kind()).map_or(1, |facts| facts.max_batch);
                bent.count = bent.count.min(max);
            }
            "a_missing_firewall_is_invalid" => {
                if let LaunchBody::Machine(machine) = &mut bent.body {
                    machine.firewall = None;
                }
            }
            _ => {}
        }
        bent
    }

    /// What the subject has answered to launches so far, in that order.
    fn answered(&self) -> Vec<Observed> {
        self.answered.lock().expect("nothing panics while it remembers").clone()
    }

    /// Everything ours on the first page. A defect that ends or shows too much needs no more than that.
    async fn mine(&self) -> Result<Vec<Observed>, ProviderError> {
        Ok(self.inner.list_owned(None).await?.items)
    }
}

/// What a broken cloud says for itself. No law reads it: kinds and effects decide.
fn words() -> Said {
    Said { code: "Broken".to_owned(), message: "on purpose".to_owned(), request_id: None }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CloudProvider for Broken {
    fn facts(&self) -> &Facts {
        self.inner.facts()
    }

    /// Another account answers: caught by `identify_names_the_account_of_the_lane`.
    async fn identify(&self) -> Result<Identity, ProviderError> {
        let mut identity = self.inner.identify().await?;
        if self.is("identify_names_the_account_of_the_lane") {
            identity.account = AccountId::new("somebody-else").expect("a legal name");
        }
        Ok(identity)
    }

    /// No image is offered any more: caught by `the_catalogue_offers_what_can_be_launched`.
    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let mut catalogue = self.inner.catalogue().await?;
        if self.is("the_catalogue_offers_what_can_be_launched") {
            catalogue.images.clear();
        }
        Ok(catalogue)
    }

    /// Answers earlier things again, ignores the deadline, softens or hardens a refusal, or leaves the last thing out
    /// of the answer. A mismatch told as `Invalid` is the worst of them: it reads as final while something runs.
    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        let before = self.answered();
        let remembers = ["same_token_in_another_zone_is_another_machine", "without_token_every_send_creates"];
        if remembers.contains(&self.law) && !before.is_empty() {
            return Ok(before);
        }
        let mut send = send.clone();
        if self.is("late_call_is_not_sent") {
            send.deadline = Duration::MAX;
        }
        let outcome = self.inner.launch(&self.bend(frozen), &send).await;
        let mut made: Vec<_> = match outcome {
            Err(ProviderError::TokenMismatch { said })
                if self.is("same_token_other_body_is_unknown_never_terminal") =>
            {
                return Err(ProviderError::Invalid { said });
            }
            Err(ProviderError::Invalid { said }) if self.is("an_unknown_image_is_invalid") => {
                return Err(ProviderError::Unavailable { said, effect: Effect::Unknown, retry_after: None });
            }
            outcome => outcome?.into_iter().map(|thing| self.blur(thing)).collect(),
        };
        if self.is("launch_answers_as_many_as_asked") {
            made.pop();
        }
        self.answered.lock().expect("nothing panics while it remembers").extend(made.clone());
        Ok(made)
    }

    /// Blind, or so generous that it shows every machine there is: caught by the two laws about `find`.
    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        match self.law {
            "find_sees_what_launch_made_within_visible_within" => Ok(Vec::new()),
            "find_of_an_unused_token_is_empty" => self.mine().await,
            _ => Ok(self.inner.find(query).await?.into_iter().map(|thing| self.blur(thing)).collect()),
        }
    }

    /// A refused key told as absence, an absence told as an error, answers in reverse order, and ended things hidden
    /// at once. Each is caught by the law that stands beside it.
    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        let outcome = self.inner.get(kind, ids).await;
        if let (Err(ProviderError::Unauthorized { .. }), "a_wrong_key_is_unauthorized_never_absent") =
            (&outcome, self.law)
        {
            return Ok(ids.iter().cloned().map(Sighting::Absent).collect());
        }
        let mut seen: Vec<_> = outcome?
            .into_iter()
            .map(|seen| match seen {
                Sighting::Present(thing) => Sighting::Present(Box::new(self.blur(*thing))),
                absent @ Sighting::Absent(_) => absent,
            })
            .collect();
        match self.law {
            "absent_is_a_value" if seen.iter().any(|seen| matches!(seen, Sighting::Absent(_))) => {
                return Err(ProviderError::NotFound { said: words() });
            }
            "get_answers_in_the_order_asked" => seen.reverse(),
            "ended_is_seen_before_it_vanishes" => {
                for one in &mut seen {
                    if let Sighting::Present(thing) = one
                        && thing.state == ThingState::Ended
                    {
                        *one = Sighting::Absent(thing.id.clone());
                    }
                }
            }
            _ => {}
        }
        Ok(seen)
    }

    /// One thing only, things with another proof than elsewhere, foreign things too, a last page that never says so, a thing twice, machines without their
    /// satellites: caught by the laws about listings and by `satellites_are_marked_too`.
    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        let mut page = self.inner.list_owned(after).await?;
        page.items = page.items.into_iter().map(|thing| self.blur(thing)).collect();
        match self.law {
            "list_owned_shows_what_we_made" => page.items.truncate(1),
            "every_look_shows_the_proof" => {
                for thing in &mut page.items {
                    thing.stamp = if thing.stamp.is_some() { None } else { thing.mark.map(|it| it.token) };
                }
            }
            "list_owned_shows_only_our_installation" => page.items.extend(self.answered()),
            "the_last_page_is_complete" => page.complete = false,
            "pages_hold_each_thing_once" => page.items.extend(page.items.first().cloned()),
            "satellites_are_marked_too" => {
                page.items.retain(|thing| thing.kind == ResourceKind::Machine);
            }
            _ => {}
        }
        Ok(page)
    }

    /// Orders that are accepted and forgotten, refused the second time, carried out on everything, or carried out
    /// although the handle came from another lane or allows power alone. Ending a firewall in use is accepted where it should be `Busy`.
    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        let again = {
            let mut ordered = self.ordered.lock().expect("nothing panics while it remembers");
            ordered.push(on.id().clone());
            ordered.iter().filter(|id| *id == on.id()).count() > 1
        };
        match (self.law, act) {
            ("terminate_ends_for_good", Act::Terminate)
            | ("power_off_and_on_settles", Act::Power(_))
            | ("a_mark_can_be_taken_off_and_written_again", Act::Mark) => return Ok(Accepted),
            ("terminate_is_repeatable", Act::Terminate) if again => {
                return Err(ProviderError::Busy { said: words() });
            }
            ("terminate_ends_nothing_else", Act::Terminate) => {
                // One id too many in a batch.
                for thing in self.mine().await? {
                    let Some(mark) = thing.mark else { continue };
                    let handle = OwnedHandle::unproven(thing.id, thing.kind, on.lane().clone(), mark);
                    self.inner.act(&handle, act).await?;
                }
                return Ok(Accepted);
            }
            ("a_handle_of_another_lane_is_not_sent", _) => {
                let lane = self.subject.lane.clone();
                let handle = OwnedHandle::unproven(on.id().clone(), on.kind(), lane, *on.mark());
                return self.inner.act(&handle, act).await;
            }
            ("what_may_only_be_powered_is_never_ended", Act::Terminate) => {
                let may = Authority::PowerAndTerminate;
                return self.inner.act(&OwnedHandle { may, ..on.clone() }, act).await;
            }
            _ => {}
        }
        match self.inner.act(on, act).await {
            Err(ProviderError::Busy { .. }) if self.is("firewall_in_use_is_busy") => Ok(Accepted),
            outcome => outcome,
        }
    }

    /// No points in place of a refusal: caught by `an_unknown_metric_is_invalid`.
    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        let outcome = self.inner.measure(ids, query).await;
        match outcome {
            Err(ProviderError::Invalid { .. }) if self.is("an_unknown_metric_is_invalid") => Ok(Vec::new()),
            outcome => outcome,
        }
    }
}
