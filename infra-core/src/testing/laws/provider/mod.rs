//! The laws of [`CloudProvider`].
//!
//! A subject is one key in one lane where nothing of ours is, with what a law needs besides: a body that can be
//! launched, a clock on which waiting passes time (virtual for the sim, real for a real counterpart), and the same
//! lane seen by others. Laws select themselves by the provider's [`Facts`](crate::contracts::provider::Facts): what a
//! cloud does not have is skipped.

mod acting;
mod broken;
mod launching;
mod looking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Law, Unmet};
use crate::contracts::provider::{
    CloudProvider, FindQuery, KindFacts, OwnedHandle, ProviderError, Send, TokenScope,
};
use crate::nouns::cloud::{Observed, OwnedPage, Sighting, ThingState};
use crate::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use crate::words::clock::{Clock, Timestamp};
use crate::words::entropy::Entropy;
use crate::words::ids::{InstallationId, LaunchToken, ResourceId, Zone};
use crate::words::lane::{Lane, Mark, ResourceKind, Version};

pub use broken::broken;

/// What the laws are checked on.
#[derive(Debug, Clone)]
pub struct Subject {
    /// One key in one lane, for `installation`.
    pub provider: Arc<dyn CloudProvider>,
    /// The same key and lane, for another installation.
    pub stranger: Arc<dyn CloudProvider>,
    /// The same lane with a key that the cloud refuses; `None` where keys are not checked.
    pub wrong_key: Option<Arc<dyn CloudProvider>>,
    /// The lane.
    pub lane: Lane,
    /// Whose marks the provider looks for.
    pub installation: InstallationId,
    /// Deadlines are read from it, and waiting on it passes time.
    pub clock: Arc<dyn Clock>,
    /// Draws tokens.
    pub entropy: Arc<dyn Entropy>,
    /// A small machine that can be launched, in each of `zones`.
    pub machine: MachineBody,
    /// Zones that have it; empty where the cloud has no zones.
    pub zones: Vec<Zone>,
    /// A well-formed id that nothing has.
    pub unknown_id: ResourceId,
    /// Anything ordered is done within this.
    pub settles_within: Duration,
    /// Between two looks at something that settles.
    pub poll: Duration,
}

type Kept = Result<(), Unmet>;

/// All laws of the provider.
#[must_use]
pub fn laws() -> Vec<Law<Subject>> {
    laws![
        launching::launch_answers_as_many_as_asked,
        launching::launch_marks_in_the_call,
        launching::labels_and_name_reach_the_cloud,
        launching::the_zone_named_is_the_zone_taken,
        launching::same_token_and_body_answers_the_same_things,
        launching::same_token_other_body_is_unknown_never_terminal,
        launching::same_token_in_another_zone_is_another_machine,
        launching::ended_token_says_so,
        launching::without_token_every_send_creates,
        launching::a_stamp_is_the_clouds_own,
        launching::late_call_is_not_sent,
        launching::an_unknown_image_is_invalid,
        launching::a_batch_beyond_the_limit_is_invalid,
        launching::a_missing_firewall_is_invalid,
        launching::satellites_are_marked_too,
        looking::find_sees_what_launch_made_within_visible_within,
        looking::every_look_shows_the_proof,
        looking::find_of_an_unused_token_is_empty,
        looking::absent_is_a_value,
        looking::get_answers_in_the_order_asked,
        looking::list_owned_shows_what_we_made,
        looking::list_owned_shows_only_our_installation,
        looking::the_last_page_is_complete,
        looking::pages_hold_each_thing_once,
        looking::a_birthday_is_by_the_clouds_clock_and_stays,
        looking::the_catalogue_offers_what_can_be_launched,
        looking::a_wrong_key_is_unauthorized_never_absent,
        looking::identify_names_the_account_of_the_lane,
        looking::an_unknown_metric_is_invalid,
        acting::terminate_ends_for_good,
        acting::terminate_is_repeatable,
        acting::terminate_ends_nothing_else,
        acting::ended_is_seen_before_it_vanishes,
        acting::power_off_and_on_settles,
        acting::a_handle_of_another_lane_is_not_sent,
        acting::what_may_only_be_powered_is_never_ended,
        acting::firewall_in_use_is_busy,
        acting::a_mark_can_be_taken_off_and_written_again,
    ]
}

/// Says that a law cannot be checked on this cloud. A skip is counted and shown: it never passes for a law kept.
fn skipped<T>(why: &str) -> Result<T, Unmet> {
    Err(Unmet::Skipped(why.to_owned()))
}

impl Subject {
    /// What the cloud says of a kind. A law about a kind that it does not make is skipped.
    fn facts(&self, kind: ResourceKind) -> Result<KindFacts, Unmet> {
        match self.provider.facts().kind(kind) {
            Some(facts) => Ok(*facts),
            None => skipped("the cloud does not make this kind"),
        }
    }

    /// Whether creating machines has a token here, as half of the launch laws hang on it.
    fn token_scope(&self) -> Result<TokenScope, Unmet> {
        Ok(self.facts(ResourceKind::Machine)?.token)
    }

    /// A new attempt to make something, in the first zone. Machines get a name of their own; other kinds take the
    /// name that their mark spells.
    fn draft(&self, body: LaunchBody, count: u16) -> FrozenLaunch {
        let token = LaunchToken::draw(self.clock.wall(), self.entropy.as_ref());
        let mark = Mark { installation: self.installation, token, kind: body.kind(), seq: Version(7) };
        let zoned = body.kind() == ResourceKind::Machine;
        let name = if zoned { format!("law-{token}") } else { mark.to_name() };
        FrozenLaunch {
            token,
            mark,
            name,
            count,
            zone: self.zones.first().cloned().filter(|_| zoned),
            labels: BTreeMap::from([("team".to_owned(), "laws".to_owned())]),
            body,
        }
    }

    /// A new attempt at so many small machines.
    fn machines(&self, count: u16) -> FrozenLaunch {
        self.draft(LaunchBody::Machine(self.machine.clone()), count)
    }

    /// Nothing for the first boot, and half a minute until the call must have left.
    fn send(&self) -> Send {
        Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) }
    }

    async fn launch(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        self.provider.launch(frozen, &self.send()).await
    }

    /// Launches one thing.
    async fn one(&self, frozen: &FrozenLaunch) -> Result<Observed, Unmet> {
        let made = self.launch(frozen).await?;
        match <[Observed; 1]>::try_from(made) {
            Ok([one]) => Ok(one),
            Err(made) => Err(Unmet::Broken(format!("{} things, not one", made.len()))),
        }
    }

    /// A machine of a new attempt, running.
    async fn running(&self) -> Result<(FrozenLaunch, Observed), Unmet> {
        let frozen = self.machines(1);
        let made = self.one(&frozen).await?;
        let seen = self.until(&made, "running", |seen| is(seen, ThingState::Running)).await?;
        match seen {
            Sighting::Present(observed) => Ok((frozen, *observed)),
            Sighting::Absent(id) => Err(Unmet::Broken(format!("{id} is running and absent"))),
        }
    }

    /// One look at one thing: exactly one sighting, or the law is broken.
    async fn look(&self, thing: &Observed) -> Result<Sighting, Unmet> {
        let mut seen = self.provider.get(thing.kind, std::slice::from_ref(&thing.id)).await?;
        hold!(seen.len() == 1, "{} sightings of one id", seen.len());
        Ok(seen.remove(0))
    }

    /// Looks until a thing is as expected; breaks the law when it never is. Reads the deadline from the subject's
    /// clock, so the same loop takes no time on the sim and minutes on a real cloud.
    async fn until(
        &self,
        thing: &Observed,
        what: &str,
        fits: impl Fn(&Sighting) -> bool,
    ) -> Result<Sighting, Unmet> {
        let patience = self.clock.mono() + self.settles_within;
        loop {
            let seen = self.look(thing).await?;
            if fits(&seen) {
                return Ok(seen);
            }
            hold!(self.clock.mono() < patience, "{} never {what}: {seen:?}", thing.id);
            self.clock.sleep(self.poll).await;
        }
    }

    /// Everything owned, all pages. Follows the cursors to the end, and gives up after a thousand pages: a listing
    /// that never ends must not hang a test.
    async fn owned(&self, by: &dyn CloudProvider) -> Result<Vec<OwnedPage>, Unmet> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = by.list_owned(after).await?;
            let next = page.next.clone();
            pages.push(page);
            hold!(pages.len() < 1000, "a listing of {} pages", pages.len());
            if next.is_none() {
                return Ok(pages);
            }
            after = next;
        }
    }

    /// Passes the time after which everything made so far is visible.
    async fn pass_visible(&self, kind: ResourceKind) -> Kept {
        let facts = self.facts(kind)?;
        self.clock.sleep(facts.visible_within).await;
        Ok(())
    }

    /// Looks for an attempt by all that is known of it, from the beginning of time.
    async fn find(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        let query = FindQuery {
            token: frozen.token,
            kind: frozen.body.kind(),
            name: frozen.name.clone(),
            since: Timestamp::UNIX_EPOCH,
        };
        self.provider.find(&query).await
    }

    /// A handle without the ledger's proof. The laws may have one, because nothing but what they made themselves is
    /// on the lane.
    fn handle(&self, thing: &Observed, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(thing.id.clone(), thing.kind, self.lane.clone(), frozen.mark)
    }

    fn firewall(&self) -> FrozenLaunch {
        self.draft(LaunchBody::Firewall(FirewallBody::open_to(Vec::new())), 1)
    }
}

/// Is it there, and in this state?
fn is(seen: &Sighting, state: ThingState) -> bool {
    matches!(seen, Sighting::Present(observed) if observed.state == state)
}

/// Ended, or not there any more.
fn over(seen: &Sighting) -> bool {
    matches!(seen, Sighting::Absent(_)) || is(seen, ThingState::Ended)
}

fn items(pages: &[OwnedPage]) -> Vec<&Observed> {
    pages.iter().flat_map(|page| &page.items).collect()
}

fn ids(things: &[Observed]) -> Vec<&ResourceId> {
    things.iter().map(|thing| &thing.id).collect()
}
