//! What the sim does when it is told to break, and when hands from outside reach in.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::subject;
use infra_core::contracts::provider::{FindQuery, OwnedHandle, ProviderError, Send, TokenScope};
use infra_core::nouns::cloud::{Act, Observed, Sighting, ThingState};
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::Billing;
use infra_core::nouns::request::Arch;
use infra_core::testing::VirtualClock;
use infra_core::testing::laws::provider::Subject;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::LaunchToken;
use infra_core::words::lane::{Mark, ResourceKind, Version};
use infra_core::words::money::Money;
use infra_providers::sim::{FaultEffect, Match, Rule, SimConfig, SimDriver, SimWorld, Span};

struct Desk {
    world: SimWorld,
    clock: Arc<VirtualClock>,
    on: Subject,
}

impl Desk {
    async fn of(config: SimConfig) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let world = SimWorld::new(config, clock.clone());
        let on = subject(&SimDriver::new(world.clone()), clock.clone(), "sim-east", "t3.small").await;
        Self { world, clock, on }
    }

    async fn new() -> Self {
        Self::of(SimConfig::small(11)).await
    }

    fn draft(&self, body: LaunchBody, count: u16) -> FrozenLaunch {
        let token = LaunchToken::draw(self.clock.wall(), self.on.entropy.as_ref());
        let mark = Mark { installation: self.on.installation, token, kind: body.kind(), seq: Version(1) };
        let zone = self.on.zones.first().cloned().filter(|_| body.kind() == ResourceKind::Machine);
        FrozenLaunch {
            token,
            mark,
            name: format!("d-{token}"),
            count,
            zone,
            labels: Default::default(),
            body,
        }
    }

    fn machine(&self) -> FrozenLaunch {
        self.draft(LaunchBody::Machine(self.on.machine.clone()), 1)
    }

    async fn launch(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        let send =
            Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) };
        self.on.provider.launch(frozen, &send).await
    }

    async fn find(&self, frozen: &FrozenLaunch) -> usize {
        let kind = frozen.body.kind();
        let (token, name, since) = (frozen.token, frozen.name.clone(), Timestamp::UNIX_EPOCH);
        self.on.provider.find(&FindQuery { token, kind, name, since }).await.expect("answers").len()
    }

    async fn listed(&self) -> usize {
        self.on.provider.list_owned(None).await.expect("answers").items.len()
    }

    async fn terminate(&self, thing: &Observed, frozen: &FrozenLaunch) {
        let handle = OwnedHandle::unproven(thing.id.clone(), thing.kind, self.on.lane.clone(), frozen.mark);
        self.on.provider.act(&handle, Act::Terminate).await.expect("is accepted");
    }

    async fn state(&self, thing: &Observed) -> Option<ThingState> {
        let ids = std::slice::from_ref(&thing.id);
        match self.on.provider.get(thing.kind, ids).await.expect("answers").remove(0) {
            Sighting::Present(seen) => Some(seen.state),
            Sighting::Absent(_) => None,
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn alive(&self) -> usize {
        self.world.truth().iter().filter(|thing| thing.alive()).count()
    }
}

#[tokio::test]
async fn each_fault_says_what_it_did_and_does_it() {
    use FaultEffect as F;
    let cases = [
        (F::LostReply, FaultKind::Unavailable, Effect::Unknown, 1),
        (F::ErrorButCreated, FaultKind::Unavailable, Effect::Unknown, 1),
        (F::Garbled, FaultKind::Internal, Effect::Unknown, 1),
        (F::LostRequest, FaultKind::Unavailable, Effect::Unknown, 0),
        (F::ServerError, FaultKind::Unavailable, Effect::Unknown, 0),
        (F::Capacity, FaultKind::Capacity, Effect::NotApplied, 0),
        (F::Quota, FaultKind::Quota, Effect::NotApplied, 0),
        (F::Throttled, FaultKind::Throttled, Effect::NotApplied, 0),
        (F::Unauthorized, FaultKind::Unauthorized, Effect::NotApplied, 0),
        (F::Busy, FaultKind::Busy, Effect::NotApplied, 0),
    ];
    for (effect, kind, applied, born) in cases {
        let desk = Desk::new().await;
        desk.world.rule(Rule::once("launch", effect));
        let frozen = desk.machine();
        let error = desk.launch(&frozen).await.expect_err("the rule stands");
        assert_eq!((error.kind(), error.effect(), desk.alive()), (kind, applied, born), "{effect:?}");
        // The same attempt again: with a token it is the same machine, whatever became of the first send.
        assert_eq!(desk.launch(&frozen).await.expect("the rule is used up").len(), 1);
        assert_eq!(desk.alive(), 1, "{effect:?}");
    }
}

#[tokio::test]
async fn a_late_request_is_born_after_everybody_gave_up() {
    let desk = Desk::of(SimConfig::small(2).without_token()).await;
    desk.world.rule(Rule::once("launch", FaultEffect::LateMs(600_000)));
    let frozen = desk.machine();
    let error = desk.launch(&frozen).await.expect_err("times out");
    assert_eq!((error.effect(), desk.alive()), (Effect::Unknown, 0));
    desk.pass(599);
    assert_eq!((desk.find(&frozen).await, desk.alive()), (0, 0));
    desk.pass(10);
    assert_eq!((desk.find(&frozen).await, desk.alive()), (1, 1));
}

#[tokio::test]
async fn a_stuck_terminate_is_accepted_and_happens_when_ordered_again() {
    let desk = Desk::new().await;
    let frozen = desk.machine();
    let machine = desk.launch(&frozen).await.expect("launches").remove(0);
    desk.pass(10);
    desk.world.rule(Rule::once("terminate", FaultEffect::Stuck));
    desk.terminate(&machine, &frozen).await;
    desk.pass(3600);
    assert_eq!(desk.state(&machine).await, Some(ThingState::Ending));
    desk.terminate(&machine, &frozen).await;
    desk.pass(10);
    assert_eq!(desk.state(&machine).await, Some(ThingState::Ended));
}

#[tokio::test]
async fn builds_fail_or_drag_on_when_told() {
    let desk = Desk::new().await;
    desk.world.rule(Rule::once("launch", FaultEffect::ErrorState));
    let failed = desk.launch(&desk.machine()).await.expect("launches").remove(0);
    desk.world.rule(Rule::once("launch", FaultEffect::SlowBuildS(900)));
    let slow = desk.launch(&desk.machine()).await.expect("launches").remove(0);
    desk.pass(600);
    assert_eq!(desk.state(&failed).await, Some(ThingState::Error));
    assert_eq!(desk.state(&slow).await, Some(ThingState::Building));
    desk.pass(600);
    assert_eq!(desk.state(&slow).await, Some(ThingState::Running));
}

#[tokio::test]
async fn a_listing_may_hide_one_thing_or_forget_one_for_ever() {
    let desk = Desk::new().await;
    let frozen = desk.machine();
    let shown = desk.launch(&frozen).await.expect("launches").remove(0);
    desk.world.rule(Rule::once("launch", FaultEffect::HideFromList));
    let hidden = desk.machine();
    let forgotten = desk.launch(&hidden).await.expect("launches").remove(0);
    desk.pass(3600);
    assert_eq!((desk.listed().await, desk.find(&hidden).await), (1, 0));
    assert_eq!(desk.state(&forgotten).await, Some(ThingState::Running));
    let matching = Match { id: Some(shown.id.clone()), ..Match::default() };
    desk.world.rule(Rule::once("list_owned", FaultEffect::HideFromList).only(matching));
    assert_eq!(desk.listed().await, 0);
    assert_eq!(desk.listed().await, 1, "the rule is used up");
    desk.world.rule(Rule::once("list_owned", FaultEffect::Incomplete));
    assert!(!desk.on.provider.list_owned(None).await.expect("answers").complete);
}

#[tokio::test]
async fn new_things_are_known_late_in_lists_and_early_by_id() {
    let config = SimConfig { list_lag: Span::secs(4, 4), id_lag: Span::secs(1, 1), ..SimConfig::small(1) };
    let desk = Desk::of(config).await;
    let frozen = desk.machine();
    let machine = desk.launch(&frozen).await.expect("launches").remove(0);
    assert_eq!((desk.state(&machine).await, desk.listed().await), (None, 0));
    desk.pass(2);
    assert_eq!((desk.state(&machine).await.is_some(), desk.listed().await), (true, 0));
    assert_eq!(desk.find(&frozen).await, 0);
    desk.pass(2);
    assert_eq!((desk.find(&frozen).await, desk.listed().await), (1, 1));
}

#[tokio::test]
async fn a_copied_mark_looks_like_ours_but_for_its_name_and_stamp() {
    let desk = Desk::new().await;
    let frozen = desk.machine();
    let original = desk.launch(&frozen).await.expect("launches").remove(0);
    desk.pass(60);
    let copy = desk.world.copy_marks(&original.id).expect("is known");
    let page = desk.on.provider.list_owned(None).await.expect("answers");
    let copied = page.items.iter().find(|thing| thing.id == copy).expect("is listed as ours");
    assert_eq!((copied.mark, copied.stamp, copied.name.as_ref()), (original.mark, None, None));
    assert_eq!(desk.find(&frozen).await, 1, "the stamp is not copied");
    assert!(desk.world.truth().iter().any(|thing| thing.id == copy && thing.by_hand));
    assert!(desk.world.strip_marks(&original.id));
    assert_eq!((desk.listed().await, desk.find(&frozen).await), (1, 1), "the stamp is not stripped");
}

#[tokio::test]
async fn what_vanishes_was_never_seen_ended() {
    let desk = Desk::new().await;
    let machine = desk.launch(&desk.machine()).await.expect("launches").remove(0);
    let other = desk.launch(&desk.machine()).await.expect("launches").remove(0);
    desk.pass(60);
    assert!(desk.world.vanish(&machine.id) && desk.world.end_by_hand(&other.id));
    assert_eq!(desk.state(&machine).await, None);
    assert_eq!(desk.state(&other).await, Some(ThingState::Ended));
    desk.pass(2 * 3600);
    assert_eq!(desk.state(&other).await, None, "ended things leave after a while");
    assert_eq!((desk.alive(), desk.world.truth().len()), (0, 2), "the truth forgets nothing");
}

#[tokio::test]
async fn an_old_token_is_forgotten_and_buys_again() {
    let token = TokenScope::Token { valid_after_end: Duration::from_secs(3600), per_zone: true };
    let desk = Desk::of(SimConfig { token, ..SimConfig::small(5) }).await;
    let frozen = desk.machine();
    let machine = desk.launch(&frozen).await.expect("launches").remove(0);
    desk.pass(10);
    desk.world.end_by_hand(&machine.id);
    desk.pass(3590);
    let error = desk.launch(&frozen).await.expect_err("its machine has ended");
    assert_eq!(error.kind(), FaultKind::TokenEnded);
    desk.pass(20);
    assert_ne!(desk.launch(&frozen).await.expect("buys again")[0].id, machine.id);
}

#[tokio::test]
async fn a_new_latest_image_changes_the_answer_of_the_same_question() {
    let desk = Desk::new().await;
    let newest = async || {
        let catalogue = desk.on.provider.catalogue().await.expect("answers");
        catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone()
    };
    let before = newest().await;
    let published = desk.world.publish_image("ubuntu 24.04");
    assert!(published.contains(&newest().await) && newest().await != before);
}

#[tokio::test]
async fn quota_and_capacity_count_machines_and_zones() {
    let desk = Desk::new().await;
    desk.world.set_quota(&desk.on.lane.account, 1);
    desk.launch(&desk.machine()).await.expect("the first fits");
    assert_eq!(desk.launch(&desk.machine()).await.expect_err("is full").kind(), FaultKind::Quota);
    desk.world.set_quota(&desk.on.lane.account, 9);
    let machine = &desk.on.machine;
    desk.world.set_capacity(&machine.type_name, desk.on.zones.first(), false);
    assert_eq!(desk.launch(&desk.machine()).await.expect_err("is empty").kind(), FaultKind::Capacity);
    let mut elsewhere = desk.machine();
    elsewhere.zone = desk.on.zones.last().cloned();
    desk.launch(&elsewhere).await.expect("another zone has some");
}

#[tokio::test]
async fn our_wall_clock_is_not_the_clouds() {
    let desk = Desk::new().await;
    let before = desk.world.now();
    desk.clock.set_wall(Timestamp::from_second(4_000_000_000).expect("within range"));
    assert_eq!(desk.world.now(), before);
    desk.pass(5);
    assert_eq!(desk.world.now().duration_since(before).as_secs(), 5);
}

#[tokio::test]
async fn a_seed_repeats_a_run() {
    let run = async |seed| {
        let desk = Desk::of(SimConfig::small(seed)).await;
        desk.world.rule(Rule::once("launch", FaultEffect::LostReply).times(None).per_mille(400));
        for _ in 0..20 {
            let _any = desk.launch(&desk.machine()).await;
            desk.pass(1);
        }
        (desk.world.truth(), desk.world.calls())
    };
    let (one, again, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(one, again);
    assert_ne!(one.0, other.0);
    let outcomes: std::collections::BTreeSet<_> = one.1.iter().map(|call| call.outcome.clone()).collect();
    assert!(outcomes.contains("ok") && outcomes.contains("Unavailable"), "{outcomes:?}");
}

#[tokio::test]
async fn nothing_is_open_but_what_was_asked_for() {
    let desk = Desk::new().await;
    let closed = desk.draft(LaunchBody::Firewall(FirewallBody::open_to(Vec::new())), 1);
    desk.launch(&closed).await.expect("launches");
    let LaunchBody::Firewall(made) = &desk.world.truth()[0].body else { panic!("a firewall was made") };
    assert!(made.allow_from.is_empty());
    let nonsense = FirewallBody::open_to(vec!["anywhere".to_owned()]);
    let error = desk.launch(&desk.draft(LaunchBody::Firewall(nonsense), 1)).await.expect_err("no CIDR");
    assert_eq!(error.kind(), FaultKind::Invalid);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let desk = Desk::new().await;
    let machine = desk.launch(&desk.machine()).await.expect("launches").remove(0);
    desk.pass(60);
    use infra_core::CloudDriver;
    let driver = SimDriver::new(desk.world.clone());
    let other = driver.connect(&common::key("sim-other"), &desk.on.lane, desk.on.installation).await;
    let other = other.expect("connects: who it is shows only when asked");
    assert_ne!(other.identify().await.expect("is known").account, desk.on.lane.account);
    let ids = std::slice::from_ref(&machine.id);
    let seen = other.get(ResourceKind::Machine, ids).await.expect("answers");
    assert_eq!(seen, vec![Sighting::Absent(machine.id.clone())]);
    desk.world.revoke_key("sim-laws");
    let error = desk.on.provider.get(ResourceKind::Machine, ids).await.expect_err("was revoked");
    assert_eq!(error.kind(), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_minute_of_a_droplet_costs_a_cent_as_at_digitalocean() {
    let desk = Desk::new().await;
    let ec2 = desk.on.provider.catalogue().await.expect("answers");
    assert_eq!(ec2.billing, Billing::default());
    let driver = SimDriver::new(desk.world.clone());
    let clock = desk.clock.clone();
    let droplets = subject(&driver, clock, "sim-ams", "s-1vcpu-1gb").await;
    let catalogue = droplets.provider.catalogue().await.expect("answers");
    let cent = Money::usd_nanos(10_000_000);
    assert_eq!(
        catalogue.billing,
        Billing::PerSecond { min_s: 60, min_charge: cent, month_hours_max: Some(672) }
    );
}
