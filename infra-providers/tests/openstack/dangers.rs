//! What loses, doubles or endangers machines, and what is seen of it.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::cloud::{Act, PowerMode, Sighting, ThingState};
use infra_core::nouns::launch::LaunchBody;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::{Endpoint, Lane, ResourceKind};
use infra_core::{Clock, CloudDriver};
use infra_providers::http::{HttpRequest, HttpResponse, Transport, TransportError};
use infra_providers::openstack::{OpenStackDriver, OpenStackFake};
use infra_providers::sim::{FaultEffect, Rule};

use crate::cloud::{Cloud, credential, look, password, query, settings, state};

fn cloud() -> Cloud {
    Cloud::new(OpenStackFake::config(1))
}

const SETTLED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_name() {
    for effect in [FaultEffect::LostReply, FaultEffect::ErrorButCreated, FaultEffect::Garbled] {
        let cloud = cloud();
        let provider = cloud.provider("sim-laws").await;
        provider.catalogue().await.expect("has one");
        cloud.rule(Rule::once("launch", effect));
        let frozen = cloud.machine();
        let error = provider.launch(&frozen, &cloud.send()).await.expect_err("it is lost");
        assert_eq!(error.effect(), Effect::Unknown, "{effect:?}: {error}");
        cloud.clock.sleep(SETTLED).await;
        let found = provider.find(&query(&frozen)).await.expect("can be looked for");
        assert_eq!(found.len(), 1, "{effect:?}");
        assert_eq!((found[0].mark, found[0].stamp), (Some(frozen.mark), None), "{effect:?}");
        assert_eq!(cloud.alive().len(), 1, "one send, one machine: {effect:?}");
    }
}

#[tokio::test]
async fn a_refusal_did_nothing_and_keeps_its_meaning() {
    for (effect, kind) in [
        (FaultEffect::Quota, FaultKind::Quota),
        (FaultEffect::Capacity, FaultKind::Capacity),
        (FaultEffect::Throttled, FaultKind::Throttled),
        (FaultEffect::Unauthorized, FaultKind::Unauthorized),
        (FaultEffect::Busy, FaultKind::Busy),
    ] {
        let cloud = cloud();
        let provider = cloud.provider("sim-laws").await;
        cloud.rule(Rule::once("launch", effect));
        let error = provider.launch(&cloud.machine(), &cloud.send()).await.expect_err("it is refused");
        assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("req-"), "the request's id for the cloud's support: {error}");
        assert_eq!(error.retry_after().is_some(), effect == FaultEffect::Throttled);
        assert_eq!(cloud.alive().len(), 0, "{effect:?}");
    }
}

#[tokio::test]
async fn a_login_that_fails_never_makes_a_create_unknown() {
    for effect in [FaultEffect::LostReply, FaultEffect::ServerError, FaultEffect::Garbled] {
        let cloud = cloud();
        let provider = cloud.provider("sim-laws").await;
        cloud.rule(Rule::once("identify", effect));
        let error = provider.launch(&cloud.machine(), &cloud.send()).await.expect_err("nobody is logged in");
        assert_eq!(error.effect(), Effect::NotApplied, "{effect:?}: {error}");
        assert_eq!(cloud.alive().len(), 0);
        provider.launch(&cloud.machine(), &cloud.send()).await.expect("the next login works");
    }
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_once_for_all() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let made = provider.launch(&cloud.machine(), &cloud.send()).await.expect("is made");
    assert_eq!(cloud.fake.logins(), 1);
    cloud.fake.revoke_tokens();
    let ids = vec![made[0].id.clone(); 8];
    provider.get(ResourceKind::Machine, &ids).await.expect("the token is renewed");
    assert_eq!(cloud.fake.logins(), 2, "eight look-ups at once log in once");
    cloud.fake.revoke_tokens();
    provider.launch(&cloud.machine(), &cloud.send()).await.expect("the refused create is sent again");
    assert_eq!(cloud.alive().len(), 2, "and made one machine");
}

#[tokio::test]
async fn a_key_that_leads_to_another_project_makes_nothing_there_and_takes_nothing_for_absent() {
    let cloud = cloud();
    let key = [("application_credential_id", "1"), ("application_credential_secret", "sim-laws")];
    let key = credential("application_credential", &key);
    let provider = cloud.driver.connect(&key, &cloud.lane, cloud.installation).await.expect("a whole key");
    let made = provider.launch(&cloud.firewall(&[]), &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;

    cloud.fake.world().lead_key("sim-laws", Some("elsewhere".parse().expect("a literal name")));
    let refused = [
        provider.launch(&cloud.firewall(&[]), &cloud.send()).await.expect_err("it would be made elsewhere"),
        provider
            .get(ResourceKind::Firewall, from_ref(&made.id))
            .await
            .expect_err("it is not looked for there"),
        provider.list_owned(None).await.expect_err("nor listed"),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unauthorized, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("leads to project elsewhere, not laws"), "{error}");
    }
    assert_eq!(cloud.alive().len(), 1, "nothing was made elsewhere");

    cloud.fake.world().lead_key("sim-laws", None);
    let seen = provider.get(ResourceKind::Firewall, from_ref(&made.id)).await.expect("it leads here again");
    assert!(matches!(&seen[..], [Sighting::Present(_)]), "{seen:?}");
}

#[tokio::test]
async fn an_administrators_key_sees_no_other_project() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let mine = provider.launch(&cloud.firewall(&[]), &cloud.send()).await.expect("is made").remove(0);
    // Another lane of this installation, in another project.
    let key =
        credential("password", &[("username", "zoe"), ("password", "sim-else"), ("project_name", "else")]);
    let mut lane = cloud.lane.clone();
    lane.account = "else".parse().expect("a literal name");
    let other = cloud.driver.connect(&key, &lane, cloud.installation).await.expect("a whole key");
    let foreign = cloud.firewall(&[]);
    let theirs = other.launch(&foreign, &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    cloud.fake.make_admin("ada");

    let (mut items, mut page) = (Vec::new(), provider.list_owned(None).await.expect("lists"));
    loop {
        items.extend(page.items.into_iter().map(|one| one.id));
        let Some(next) = page.next else { break };
        page = provider.list_owned(Some(next)).await.expect("lists");
    }
    assert_eq!(items, [mine.id], "one lane, one project");
    assert_eq!(state(&look(&*provider, theirs.kind, &theirs.id).await), None, "nor by its id");
    assert_eq!(provider.find(&query(&foreign)).await.expect("looks"), [], "nor by its name");
}

#[tokio::test]
async fn looking_at_a_fleet_is_one_question() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(provider.launch(&cloud.machine(), &cloud.send()).await.expect("is made").remove(0).id);
    }
    cloud.clock.advance(SETTLED);
    ids.push(ResourceId::new("nothing").expect("a plain name"));
    let asked = |op: &str| cloud.fake.world().counts().get(op).copied().unwrap_or_default();
    let (listed, looked) = (asked("list_owned"), asked("get"));
    let seen = provider.get(ResourceKind::Machine, &ids).await.expect("can be looked at");
    let shown: Vec<_> = seen.iter().map(|seen| state(seen).is_some()).collect();
    assert_eq!(shown, [true, true, true, true, true, true, false]);
    assert_eq!((asked("list_owned") - listed, asked("get") - looked), (1, 1), "and one by id");
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end() {
    let cloud = Cloud::with(OpenStackFake::config(1), |fake| fake.with_token_life(Duration::from_secs(600)));
    let provider = cloud.provider("sim-laws").await;
    provider.identify().await.expect("logged in");
    cloud.clock.sleep(Duration::from_secs(530)).await;
    provider.identify().await.expect("logged in");
    assert_eq!(cloud.fake.logins(), 1);
    cloud.clock.sleep(Duration::from_secs(20)).await;
    provider.identify().await.expect("logged in");
    assert_eq!(
        cloud.fake.logins(),
        2,
        "a call that starts in a token's last seconds would lose it under way"
    );
}

#[tokio::test]
async fn a_server_that_could_not_be_built_says_why() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    cloud.rule(Rule::once("launch", FaultEffect::ErrorState));
    let frozen = cloud.machine();
    let made = provider.launch(&frozen, &cloud.send()).await.expect("the order is taken").remove(0);
    cloud.clock.sleep(SETTLED).await;
    let Sighting::Present(seen) = look(&*provider, made.kind, &made.id).await else { panic!("it is there") };
    assert_eq!(seen.state, ThingState::Error);
    assert!(seen.fault.is_some_and(|fault| fault.starts_with("500: ")));
    provider.act(&cloud.handle(&made, &frozen), Act::Terminate).await.expect("is taken");
    cloud.clock.sleep(SETTLED).await;
    assert_eq!(cloud.alive().len(), 0, "what is in error is billed and must go");
}

#[tokio::test]
async fn a_terminate_that_hangs_is_seen_as_ending_and_may_be_repeated() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let frozen = cloud.machine();
    let made = provider.launch(&frozen, &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    cloud.rule(Rule::once("terminate", FaultEffect::Stuck));
    let handle = cloud.handle(&made, &frozen);
    provider.act(&handle, Act::Terminate).await.expect("is taken");
    cloud.clock.sleep(Duration::from_secs(900)).await;
    assert_eq!(state(&look(&*provider, made.kind, &made.id).await), Some(ThingState::Ending));
    provider.act(&handle, Act::Terminate).await.expect("is taken");
    cloud.clock.sleep(SETTLED).await;
    assert_eq!(state(&look(&*provider, made.kind, &made.id).await), None);
}

#[tokio::test]
async fn servers_of_a_cell_that_is_down_are_not_proven_absent() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let made = provider.launch(&cloud.machine(), &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    cloud.fake.set_cell_down(true);
    let (mut items, mut page) = (0, provider.list_owned(None).await.expect("lists"));
    while let Some(next) = page.next.take() {
        items += page.items.len();
        page = provider.list_owned(Some(next)).await.expect("lists");
    }
    items += page.items.len();
    assert_eq!((items, page.complete), (0, false), "a listing that hides something is not complete");
    assert_eq!(state(&look(&*provider, made.kind, &made.id).await), Some(ThingState::Suspect));
}

#[tokio::test]
async fn every_way_off_is_left_by_its_own_way_on() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let frozen = cloud.machine();
    let made = provider.launch(&frozen, &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    let handle = cloud.handle(&made, &frozen);
    for mode in [PowerMode::Stop, PowerMode::Shelve, PowerMode::Suspend] {
        provider.act(&handle, Act::Power(mode)).await.expect("is taken");
        let early = provider.act(&handle, Act::Power(PowerMode::On)).await.expect_err("it is stopping");
        assert_eq!(early.kind(), FaultKind::Busy, "{mode:?}: started while stopping");
        cloud.clock.sleep(SETTLED).await;
        assert_eq!(
            state(&look(&*provider, made.kind, &made.id).await),
            Some(ThingState::Stopped),
            "{mode:?}"
        );
        provider.act(&handle, Act::Power(mode)).await.expect("it is off already");
        provider.act(&handle, Act::Power(PowerMode::On)).await.expect("is taken");
        cloud.clock.sleep(SETTLED).await;
        assert_eq!(
            state(&look(&*provider, made.kind, &made.id).await),
            Some(ThingState::Running),
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn a_locked_server_is_busy_and_stays() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let frozen = cloud.machine();
    let made = provider.launch(&frozen, &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    cloud.fake.lock(&made.id);
    for act in [Act::Terminate, Act::Power(PowerMode::Stop)] {
        let error = provider.act(&cloud.handle(&made, &frozen), act).await.expect_err("it is locked");
        assert_eq!(error.kind(), FaultKind::Busy, "{error}");
        assert!(error.to_string().contains("locked"), "{error}");
    }
    assert_eq!(cloud.alive().len(), 1);
}

#[tokio::test]
async fn a_half_made_firewall_is_unknown_open_to_nobody_and_seen() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let frozen = cloud.firewall(&["10.0.0.0/8", "2001:db8::/32"]);
    // The rules' call looks the group up first.
    cloud.rule(Rule::once("get", FaultEffect::Quota));
    let error = provider.launch(&frozen, &cloud.send()).await.expect_err("the rules are refused");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{error}");
    cloud.clock.sleep(SETTLED).await;
    assert_eq!(provider.find(&query(&frozen)).await.expect("can be looked for").len(), 0);
    let left = &cloud.alive()[0];
    let Sighting::Present(seen) = look(&*provider, ResourceKind::Firewall, &left.id).await else {
        panic!("it is there")
    };
    assert_eq!((seen.state, seen.mark), (ThingState::Building, Some(frozen.mark)));
    let whole = provider.launch(&cloud.firewall(&["10.0.0.0/8"]), &cloud.send()).await.expect("is made");
    assert_eq!(whole[0].state, ThingState::Running);
}

#[tokio::test]
async fn a_copy_is_of_use_only_when_it_has_bytes() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let of = provider.launch(&cloud.machine(), &cloud.send()).await.expect("is made").remove(0);
    cloud.clock.sleep(SETTLED).await;
    let frozen = cloud.frozen(LaunchBody::Snapshot { of: of.id.clone() });
    let made = provider.launch(&frozen, &cloud.send()).await.expect("the order is taken").remove(0);
    assert_eq!((made.kind, made.state), (ResourceKind::Snapshot, ThingState::Building));
    assert_eq!(made.mark, Some(frozen.mark));
    cloud.clock.sleep(SETTLED).await;
    assert_eq!(state(&look(&*provider, made.kind, &made.id).await), Some(ThingState::Running));
    let found = provider.find(&query(&frozen)).await.expect("can be looked for");
    assert_eq!(found.len(), 1);
    provider.act(&cloud.handle(&made, &frozen), Act::Terminate).await.expect("is taken");
    cloud.clock.sleep(SETTLED).await;
    assert_eq!(state(&look(&*provider, made.kind, &made.id).await), None);
}

#[tokio::test]
async fn a_bad_day_loses_no_machine_and_leaves_none() {
    const MACHINES: usize = 100;
    let cloud = Cloud::new(OpenStackFake::lagging(3));
    cloud.fake.trouble(50, 20);
    let provider = cloud.provider("sim-laws").await;
    let mut made = Vec::new();
    for _ in 0..MACHINES {
        let frozen = cloud.machine();
        made.push((provider.launch(&frozen, &cloud.send()).await.expect("is taken").remove(0), frozen));
    }
    cloud.clock.sleep(SETTLED).await;
    let (mut running, mut failed) = (0, 0);
    for (machine, frozen) in &made {
        let found = provider.find(&query(frozen)).await.expect("can be looked for");
        assert_eq!(found.len(), 1, "{}: what lagged is there by now", machine.id);
        match found[0].state {
            ThingState::Running => running += 1,
            ThingState::Error => failed += 1,
            other => panic!("{} is {other:?}", machine.id),
        }
    }
    assert_eq!(running + failed, MACHINES);
    assert!((1..MACHINES / 5).contains(&failed), "about one in twenty fails to build: {failed}");
    let mut rounds = 0;
    while !cloud.alive().is_empty() {
        rounds += 1;
        assert!(rounds < 6, "{} are left", cloud.alive().len());
        for (machine, frozen) in &made {
            provider.act(&cloud.handle(machine, frozen), Act::Terminate).await.expect("is taken");
        }
        cloud.clock.sleep(SETTLED).await;
    }
    assert!(rounds > 1, "no delete was stuck: the helper does nothing");
}

/// Keystone behind TLS, its services without, as many installations list them.
#[derive(Debug)]
struct BehindTls(Arc<OpenStackFake>);

#[async_trait::async_trait]
impl Transport for BehindTls {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        request.url = request.url.replace("https://", "http://");
        self.0.call(request).await
    }
}

#[tokio::test]
async fn a_token_follows_a_catalogue_out_of_tls() {
    for insecure in [false, true] {
        let cloud = cloud();
        let mut settings = settings(&OpenStackFake::config(1));
        settings.endpoint = Endpoint(settings.endpoint.0.replace("http://", "https://"));
        settings.insecure = insecure;
        let lane = Lane { endpoint: settings.endpoint.clone(), ..cloud.lane.clone() };
        let transport = Arc::new(BehindTls(Arc::clone(&cloud.fake)));
        let driver = OpenStackDriver::new(settings, transport, cloud.clock.clone());
        let key = password("sim-laws");
        driver.identify(&key).await.expect("Keystone itself speaks TLS");
        let provider = driver.connect(&key, &lane, cloud.installation).await.expect("connects");
        let listed = provider.list_owned(None).await;
        assert_eq!(listed.is_ok(), insecure, "{listed:?}");
        if let Err(error) = listed {
            assert_eq!(error.effect(), Effect::NotApplied, "{error}");
            assert!(error.to_string().contains("insecure = true"), "{error}");
        }
    }
}
