//! The lives of things: made, seen, listed, turned, ended.

use std::time::Duration;

use aws_sdk_ec2::types::{Filter, InstanceAttributeName};
use infra_core::SystemClock;
use infra_core::contracts::provider::{CloudDriver, Send};
use infra_core::nouns::cloud::{Act, Observed, PowerMode, Sighting, ThingState};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::nouns::offering::Price;
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::clock::{Clock, between};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::Secret;

use crate::cloud::{Cloud, IMAGE, body, credential, query, send};

pub(crate) const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBpKx0kNWq1ZBmc5aGbPGmWaeUXyQlZ4jlkGHvJ7QwzH ada@example";

#[tokio::test]
async fn the_key_says_whose_it_is_and_the_catalogue_what_there_is() {
    let Some(cloud) = Cloud::in_region("us-east-1").await else { return };
    let who = cloud.driver.identify(&credential("free", "free")).await.expect("identified");
    assert_eq!((who.account.as_str(), who.principal.starts_with("arn:aws:")), ("123456789012", true));
    assert_eq!(cloud.provider.identify().await.expect("identified"), who);
    let catalogue = cloud.provider.catalogue().await.expect("read");
    let micro = catalogue.offerings.iter().find(|one| one.type_name.as_str() == "t3.micro");
    let micro = micro.expect("the smallest of its family");
    assert_eq!((micro.vcpus_milli, micro.memory_mib, micro.market), (2000, 1024, Market::OnDemand));
    assert!(micro.zones.iter().any(|zone| zone.as_str() == "us-east-1a"), "{:?}", micro.zones);
    let known = catalogue.offerings.iter().filter(|one| matches!(one.price, Price::Known { .. })).count();
    assert!(known > 500, "{known} of {} have a price", catalogue.offerings.len());
    let newest = catalogue.newest_image("ubuntu 16.04", Arch::X86_64).expect("an image");
    assert!(newest.name.starts_with("ubuntu/images/hvm-ssd/ubuntu-xenial"), "{}", newest.name);
    assert!(between(catalogue.as_of, SystemClock.wall()) < Duration::from_secs(120));
}

#[tokio::test]
async fn a_machine_is_born_marked_closed_and_with_disks_that_go_with_it() {
    let Some(cloud) = Cloud::in_region("us-west-1").await else { return };
    let pair = cloud.frozen(1, "a", LaunchBody::KeyPair { public_key: PUBLIC_KEY.into() });
    cloud.provider.launch(&pair, &send()).await.expect("imported");
    let wall = cloud.firewall(&[]);
    let wall_made = cloud.provider.launch(&wall, &send()).await.expect("made");
    let group = wall_made[0].id.clone();
    let machine = MachineBody {
        firewall: Some(group.clone()),
        key_pair: Some(pair.name.clone()),
        private_only: true,
        options: Default::default(),
        files: None,
        ..body()
    };
    let frozen = cloud.frozen(2, "a", LaunchBody::Machine(machine));
    let send = Send { user_data: Some(Secret::new("#!/bin/sh\necho hunter2\n".into())), ..send() };
    let made = cloud.provider.launch(&frozen, &send).await.expect("launched");
    assert_eq!(made.len(), 2);
    for one in &made {
        assert_eq!((one.mark, one.stamp), (Some(frozen.mark), Some(frozen.token)));
        assert_eq!((&one.name, &one.zone), (&Some(frozen.name.clone()), &frozen.zone));
        assert_eq!(one.tags.get("team").map(String::as_str), Some("lab"));
        assert!(between(one.created_at, SystemClock.wall()) < Duration::from_secs(120), "{}", one.created_at);
        let one = cloud.seen(ResourceKind::Machine, &one.id, ThingState::Running).await;
        assert_eq!((one.public_address.is_none(), one.private_address.is_some()), (true, true));
        assert_eq!(one.image.map(|image| image.to_string()).as_deref(), Some(IMAGE));
        let of_machine = Filter::builder().name("attachment.instance-id").values(one.id.as_str()).build();
        let disks = cloud.truth.describe_volumes().filters(of_machine).send().await.expect("looked");
        assert_eq!(disks.volumes().len(), 1, "one root disk and no second one beside it");
        for disk in disks.volumes() {
            assert_eq!(disk.size(), Some(20));
            let tags: Vec<_> =
                disk.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect();
            for (key, value) in frozen.mark.to_tags() {
                assert!(tags.contains(&(key, value.as_str())), "{key} on the disk");
            }
        }
        let shown =
            cloud.truth.describe_instances().instance_ids(one.id.as_str()).send().await.expect("looked");
        let mappings = shown.reservations()[0].instances()[0].block_device_mappings();
        let goes: Vec<_> =
            mappings.iter().map(|disk| disk.ebs().and_then(|ebs| ebs.delete_on_termination())).collect();
        assert_eq!(goes, [Some(true)], "the image's own mapping would have kept it");
        let data = cloud.truth.describe_instance_attribute().instance_id(one.id.as_str());
        let data = data.attribute(InstanceAttributeName::UserData).send().await.expect("looked");
        let data = data.user_data().and_then(|data| data.value()).expect("first-boot data");
        assert_eq!(data, "IyEvYmluL3NoCmVjaG8gaHVudGVyMgo=");
    }
    // Nobody gets in: neither by our rules nor by a default of the cloud's.
    let groups =
        cloud.truth.describe_security_groups().group_ids(group.as_str()).send().await.expect("looked");
    let rules = groups.security_groups()[0].ip_permissions();
    assert!(rules.is_empty(), "{rules:?}");
    let instances =
        cloud.truth.describe_instances().instance_ids(made[0].id.as_str()).send().await.expect("looked");
    let interfaces = instances.reservations()[0].instances()[0].network_interfaces();
    let groups: Vec<_> =
        interfaces.iter().flat_map(|one| one.groups()).filter_map(|one| one.group_id()).collect();
    assert_eq!(groups, [group.as_str()], "the launch's own group and no default one beside it");
}

#[tokio::test]
async fn a_token_replays_in_its_zone_only_and_never_for_another_body() {
    let Some(cloud) = Cloud::in_region("us-west-2").await else { return };
    let frozen = cloud.machine(2);
    let ids =
        |made: Vec<Observed>| made.into_iter().map(|one| one.id).collect::<std::collections::BTreeSet<_>>();
    let first = ids(cloud.provider.launch(&frozen, &send()).await.expect("launched"));
    assert_eq!(ids(cloud.provider.launch(&frozen, &send()).await.expect("replayed")), first);
    let mut drifted = frozen.clone();
    drifted.labels.insert("drift".into(), "yes".into());
    let error = cloud.provider.launch(&drifted, &send()).await.expect_err("another body");
    assert_eq!((error.kind(), error.effect()), (FaultKind::TokenMismatch, Effect::Unknown), "{error}");
    SystemClock.sleep(Duration::from_millis(500)).await;
    assert_eq!(ids(cloud.provider.find(&query(&frozen)).await.expect("looked")), first);
    let mut elsewhere = frozen.clone();
    elsewhere.zone = Some("us-west-2b".parse().expect("a literal name"));
    let second = ids(cloud.provider.launch(&elsewhere, &send()).await.expect("launched"));
    assert!(second.is_disjoint(&first), "per_zone is a fact, not a guess");
    for id in &first {
        cloud.provider.act(&cloud.handle(id, &frozen), Act::Terminate).await.expect("accepted");
        cloud.seen(ResourceKind::Machine, id, ThingState::Ended).await;
    }
    let error = cloud.provider.launch(&frozen, &send()).await.expect_err("its machines have ended");
    assert_eq!(error.kind(), FaultKind::TokenEnded, "{error}");
}

#[tokio::test]
async fn power_settles_before_it_turns_again() {
    let Some(cloud) = Cloud::in_region("eu-west-1").await else { return };
    let frozen = cloud.machine(1);
    let id = cloud.provider.launch(&frozen, &send()).await.expect("launched")[0].id.clone();
    let handle = cloud.handle(&id, &frozen);
    cloud.seen(ResourceKind::Machine, &id, ThingState::Building).await;
    let off = || cloud.provider.act(&handle, Act::Power(PowerMode::Stop));
    let on = || cloud.provider.act(&handle, Act::Power(PowerMode::On));
    assert_eq!(off().await.expect_err("still pending").kind(), FaultKind::Busy);
    let born = cloud.seen(ResourceKind::Machine, &id, ThingState::Running).await;
    off().await.expect("accepted");
    assert_eq!(on().await.expect_err("still stopping").kind(), FaultKind::Busy);
    cloud.seen(ResourceKind::Machine, &id, ThingState::Stopped).await;
    on().await.expect("accepted");
    let again = cloud.seen(ResourceKind::Machine, &id, ThingState::Running).await;
    assert_eq!(again.created_at, born.created_at, "turning on is no birth");
    for _ in 0..2 {
        cloud.provider.act(&handle, Act::Terminate).await.expect("accepted");
    }
    cloud.seen(ResourceKind::Machine, &id, ThingState::Ended).await;
    cloud.provider.act(&handle, Act::Terminate).await.expect("ended already");
}

#[tokio::test]
async fn a_firewall_opens_to_whom_it_names_and_outlives_its_machine() {
    let Some(cloud) = Cloud::in_region("eu-west-2").await else { return };
    let wall = cloud.firewall(&["192.0.2.7/24", "2001:db8::/32"]);
    let made = cloud.provider.launch(&wall, &send()).await.expect("made");
    let again = cloud.provider.launch(&wall, &send()).await.expect("replayed");
    assert_eq!(made, again);
    let group = made[0].id.clone();
    let shown = cloud.seen(ResourceKind::Firewall, &group, ThingState::Running).await;
    assert_eq!((shown.mark, shown.created_at), (Some(wall.mark), made[0].created_at));
    let groups =
        cloud.truth.describe_security_groups().group_ids(group.as_str()).send().await.expect("looked");
    let rules = groups.security_groups()[0].ip_permissions();
    let four: Vec<_> =
        rules.iter().flat_map(|rule| rule.ip_ranges()).filter_map(|range| range.cidr_ip()).collect();
    let six: Vec<_> =
        rules.iter().flat_map(|rule| rule.ipv6_ranges()).filter_map(|range| range.cidr_ipv6()).collect();
    assert_eq!((four, six), (vec!["192.0.2.0/24"], vec!["2001:db8::/32"]));
    assert!(rules.iter().all(|rule| rule.ip_protocol() == Some("-1")), "{rules:?}");

    let body = LaunchBody::Machine(MachineBody { firewall: Some(group.clone()), ..body() });
    let frozen = cloud.frozen(1, "a", body);
    let machine = cloud.provider.launch(&frozen, &send()).await.expect("launched")[0].id.clone();
    let seen = cloud.seen(ResourceKind::Machine, &machine, ThingState::Running).await;
    assert!(seen.public_address.is_some());
    let busy = cloud.provider.act(&cloud.handle(&group, &wall), Act::Terminate).await.expect_err("in use");
    assert_eq!((busy.kind(), busy.effect()), (FaultKind::Busy, Effect::NotApplied), "{busy}");
    cloud.provider.act(&cloud.handle(&machine, &frozen), Act::Terminate).await.expect("accepted");
    cloud.seen(ResourceKind::Machine, &machine, ThingState::Ended).await;
    for _ in 0..2 {
        cloud.provider.act(&cloud.handle(&group, &wall), Act::Terminate).await.expect("accepted");
    }
    let gone =
        cloud.provider.get(ResourceKind::Firewall, std::slice::from_ref(&group)).await.expect("looked");
    assert_eq!(gone, [Sighting::Absent(group)]);
}

#[tokio::test]
async fn a_key_pair_lives_by_its_id_and_is_found_by_its_name() {
    let Some(cloud) = Cloud::in_region("eu-west-3").await else { return };
    let frozen = cloud.frozen(1, "a", LaunchBody::KeyPair { public_key: PUBLIC_KEY.into() });
    let made = cloud.provider.launch(&frozen, &send()).await.expect("imported");
    let again = cloud.provider.launch(&frozen, &send()).await.expect("replayed");
    let found = cloud.provider.find(&query(&frozen)).await.expect("looked");
    assert_eq!((&made[0].id, &again[0].id), (&found[0].id, &found[0].id));
    assert_eq!((found[0].mark, found[0].stamp), (Some(frozen.mark), Some(frozen.token)));
    let mut other = frozen.clone();
    other.body = LaunchBody::KeyPair { public_key: PUBLIC_KEY.replace("AAAAIBpK", "AAAAIBpL") };
    let error = cloud.provider.launch(&other, &send()).await.expect_err("another key");
    assert_eq!(error.kind(), FaultKind::TokenMismatch, "{error}");
    let unknown = "key-0123456789abcdef0".parse().expect("a literal name");
    let ids = [made[0].id.clone(), unknown];
    let seen = cloud.provider.get(ResourceKind::KeyPair, &ids).await.expect("looked");
    assert!(matches!((&seen[0], &seen[1]), (Sighting::Present(_), Sighting::Absent(_))), "{seen:?}");
    for _ in 0..2 {
        cloud.provider.act(&cloud.handle(&made[0].id, &frozen), Act::Terminate).await.expect("accepted");
    }
    assert_eq!(cloud.provider.find(&query(&frozen)).await.expect("looked"), []);
}

#[tokio::test]
async fn a_listing_shows_all_of_ours_the_ended_too_and_nothing_else() {
    let Some(cloud) = Cloud::in_region("eu-central-1").await else { return };
    let stranger = cloud.stranger().await;
    stranger.provider.launch(&stranger.machine(1), &send()).await.expect("another installation's");
    let by_hand = cloud.truth.run_instances().image_id(IMAGE).min_count(1).max_count(1);
    by_hand.instance_type(aws_sdk_ec2::types::InstanceType::T3Micro).send().await.expect("made by hand");
    let before = SystemClock.wall();
    let frozen = cloud.machine(2);
    let made = cloud.provider.launch(&frozen, &send()).await.expect("launched");
    let wall = cloud.provider.launch(&cloud.firewall(&[]), &send()).await.expect("made");
    cloud.provider.act(&cloud.handle(&made[0].id, &frozen), Act::Terminate).await.ok();
    SystemClock.sleep(Duration::from_secs(1)).await;
    cloud.provider.act(&cloud.handle(&made[0].id, &frozen), Act::Terminate).await.expect("accepted");
    cloud.seen(ResourceKind::Machine, &made[0].id, ThingState::Ended).await;
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = cloud.provider.list_owned(cursor).await.expect("listed");
        assert_eq!(page.complete, page.next.is_none());
        // The provider's own clock, to the second.
        assert!(between(page.as_of, before) < Duration::from_secs(2) && page.as_of <= SystemClock.wall());
        items.extend(page.items.into_iter().map(|one| (one.id, one.state)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = vec![
        (made[0].id.clone(), ThingState::Ended),
        (made[1].id.clone(), ThingState::Running),
        (wall[0].id.clone(), ThingState::Running),
    ];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(items, expected);
}

#[tokio::test]
async fn a_mark_can_be_taken_off_and_put_on_again() {
    let Some(cloud) = Cloud::in_region("ca-central-1").await else { return };
    let frozen = cloud.machine(1);
    let id = cloud.provider.launch(&frozen, &send()).await.expect("launched")[0].id.clone();
    cloud.seen(ResourceKind::Machine, &id, ThingState::Running).await;
    for (act, mark) in [(Act::Unmark, None), (Act::Mark, Some(frozen.mark))] {
        cloud.provider.act(&cloud.handle(&id, &frozen), act).await.expect("accepted");
        let seen = cloud.seen(ResourceKind::Machine, &id, ThingState::Running).await;
        assert_eq!((seen.mark, seen.stamp), (mark, Some(frozen.token)), "the cloud's own stamp stays");
        assert_eq!(seen.tags.get("team").map(String::as_str), Some("lab"), "the user's tags stay");
    }
}

#[tokio::test]
async fn one_unknown_id_among_many_is_absent_alone() {
    let Some(cloud) = Cloud::in_region("sa-east-1").await else { return };
    let frozen = cloud.machine(5);
    let made = cloud.provider.launch(&frozen, &send()).await.expect("launched");
    SystemClock.sleep(Duration::from_millis(200)).await;
    let mut ids: Vec<_> = made.iter().map(|one| one.id.clone()).collect();
    ids.insert(2, "i-0123456789abcdef0".parse().expect("a literal name"));
    let seen = cloud.provider.get(ResourceKind::Machine, &ids).await.expect("looked");
    let absent: Vec<_> = seen.iter().map(|one| matches!(one, Sighting::Absent(_))).collect();
    assert_eq!(absent, [false, false, true, false, false, false]);
}

#[tokio::test]
async fn spot_is_one_time() {
    let Some(cloud) = Cloud::in_region("ap-south-1").await else { return };
    let body = LaunchBody::Machine(MachineBody { market: Market::Spot, ..body() });
    let made = cloud.provider.launch(&cloud.frozen(1, "a", body), &send()).await.expect("launched");
    let shown = cloud.truth.describe_instances().instance_ids(made[0].id.as_str());
    SystemClock.sleep(Duration::from_millis(200)).await;
    let shown = shown.send().await.expect("looked");
    let lifecycle = shown.reservations()[0].instances()[0].instance_lifecycle();
    assert_eq!(lifecycle.map(|word| word.as_str()), Some("spot"));
}
