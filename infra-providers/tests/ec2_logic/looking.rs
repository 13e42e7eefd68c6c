//! Finding, getting, listing, and the catalogue.

use infra_core::contracts::provider::{CloudDriver, FindQuery, MetricQuery};
use infra_core::nouns::cloud::{Cursor, Sighting};
use infra_core::nouns::offering::Price;
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::clock::Timestamp;
use infra_core::words::fault::Fault;
use infra_core::words::fault::FaultKind;
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::ResourceKind;
use infra_providers::aws::api::{Instance, Reached};

use crate::fake::{When, failure};
use crate::{Bench, credential, lane};

#[tokio::test]
async fn only_the_unknown_ids_are_absent() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        bench.provider.launch(&bench.machine(50), &bench.send()).await.expect("launched");
    }
    let known: Vec<ResourceId> =
        bench.ec2.with(|world| world.machines.iter().map(|one| one.id.parse().expect("an id")).collect());
    let mut ids = known.clone();
    for (at, id) in [(0, "i-none1"), (77, "i-none2"), (252, "i-none3")] {
        ids.insert(at, id.parse().expect("a literal name"));
    }
    let seen = bench.provider.get(ResourceKind::Machine, &ids).await.expect("looked");
    assert_eq!(seen.len(), 253);
    for (id, sighting) in ids.iter().zip(&seen) {
        match sighting {
            Sighting::Present(one) => assert_eq!(&one.id, id),
            Sighting::Absent(absent) => {
                assert_eq!(absent, id);
                assert!(!known.contains(id), "{id}");
            }
        }
    }
    assert_eq!(seen.iter().filter(|one| matches!(one, Sighting::Absent(_))).count(), 3);
    assert!(bench.calls().len() < 60, "halving, not one call per id: {}", bench.calls().len());
}

#[tokio::test]
async fn a_refused_key_is_no_absence() {
    let bench = Bench::new().await;
    for code in ["AuthFailure", "UnauthorizedOperation", "ExpiredToken"] {
        let ids = ["i-1".parse().expect("a literal name")];
        bench.ec2.plant("machines", When::Before, failure(Reached::Answered(403), code));
        let error = bench.provider.get(ResourceKind::Machine, &ids).await.expect_err("no key, no answer");
        assert_eq!(error.kind(), FaultKind::Unauthorized);
    }
}

#[tokio::test]
async fn a_machine_is_found_by_the_clouds_own_stamp_not_by_copied_tags() {
    let bench = Bench::new().await;
    let frozen = bench.machine(2);
    bench.provider.launch(&frozen, &bench.send()).await.expect("launched");
    bench.ec2.with(|world| {
        let copied = Instance { id: "i-copy".into(), client_token: None, ..world.machines[0].clone() };
        world.machines.push(copied);
        world.page = 1;
    });
    let query = FindQuery {
        token: frozen.token,
        kind: ResourceKind::Machine,
        name: frozen.name.clone(),
        since: Timestamp::UNIX_EPOCH,
    };
    let found = bench.provider.find(&query).await.expect("looked");
    assert_eq!(found.iter().map(|one| one.stamp).collect::<Vec<_>>(), [Some(frozen.token); 2]);
    assert!(found.iter().all(|one| one.id.as_str() != "i-copy"));
}

#[tokio::test]
async fn a_listing_is_whole_only_at_its_end_and_as_old_as_its_beginning() {
    let bench = Bench::new().await;
    bench.provider.launch(&bench.machine(3), &bench.send()).await.expect("launched");
    bench.provider.launch(&bench.firewall(&[]), &bench.send()).await.expect("made");
    bench.ec2.with(|world| {
        world.machines.push(Instance {
            id: "i-strange".into(),
            state: "running".into(),
            ..Instance::default()
        });
        (world.page, world.date) = (2, 100);
    });
    let (mut cursor, mut kinds) = (None, Vec::new());
    loop {
        let page = bench.provider.list_owned(cursor).await.expect("listed");
        kinds.extend(page.items.iter().map(|one| one.kind));
        assert_eq!(page.as_of.as_second(), 101, "later pages prove nothing about later moments");
        assert_eq!(page.complete, page.next.is_none());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let machine = ResourceKind::Machine;
    assert_eq!(kinds, [machine, machine, machine, ResourceKind::Firewall]);
    assert_eq!(bench.calls()[3..], ["machines", "machines", "groups", "pairs"]);
    let error = bench.provider.list_owned(Some(Cursor("7".into()))).await.expect_err("not ours");
    assert_eq!(error.kind(), FaultKind::Invalid);
}

#[tokio::test]
async fn a_listing_that_fails_halfway_never_says_it_was_complete() {
    let bench = Bench::new().await;
    bench.provider.launch(&bench.machine(1), &bench.send()).await.expect("launched");
    let page = bench.provider.list_owned(None).await.expect("listed");
    assert!(!page.complete);
    bench.ec2.plant("groups", When::Before, failure(Reached::Maybe, "no-answer"));
    let error = bench.provider.list_owned(page.next).await.expect_err("lost");
    assert_eq!(error.kind(), FaultKind::Unavailable);
}

#[tokio::test]
async fn the_catalogue_offers_only_what_can_be_had_and_prices_only_what_is_known() {
    let bench = Bench::new().await;
    bench.ec2.with(|world| world.page = 2);
    let catalogue = bench.provider.catalogue().await.expect("read");
    let offered: Vec<_> =
        catalogue.offerings.iter().map(|one| (one.type_name.as_str(), one.arch, one.market)).collect();
    assert_eq!(
        offered,
        [
            ("t3.micro", Arch::X86_64, Market::OnDemand),
            ("t3.micro", Arch::X86_64, Market::Spot),
            ("t4g.micro", Arch::Arm64, Market::OnDemand),
        ]
    );
    let local: Vec<u32> = catalogue.offerings.iter().map(|one| one.local_disk_gib).collect();
    assert_eq!(local, [0, 0, 69], "75 GB as they are sold");
    let zones: Vec<_> = catalogue.offerings[0].zones.iter().map(ToString::to_string).collect();
    assert_eq!(zones, ["us-east-1a", "us-east-1b"]);
    assert!(matches!(catalogue.offerings[0].price, Price::Known { live: false, .. }));
    assert!(matches!(catalogue.offerings[1].price, Price::Unknown { .. }));
    // All images of the source's own architecture; the newest is the one of that name.
    assert_eq!(catalogue.images.len(), 2);
    let newest = catalogue.newest_image("Ubuntu 24.04", Arch::X86_64).map(|image| image.id.as_str());
    assert_eq!(newest, Some("ami-2"));
}

#[tokio::test]
async fn a_key_of_another_form_or_a_lane_of_another_place_is_refused_without_a_call() {
    let bench = Bench::new().await;
    let good = [("access_key_id", "AKIA"), ("secret_access_key", "hunter2")];
    for fields in [&good[..1], &[good[0], ("secret_access_key", "")], &[good[0], good[1], ("role", "x")]] {
        let error = bench.driver.identify(&credential(fields)).await.expect_err("malformed");
        assert_eq!(error.kind(), FaultKind::Invalid);
        assert!(!error.to_string().contains("hunter2"));
    }
    let mut other_kind = credential(&good);
    other_kind.kind = "password".into();
    assert!(bench.driver.identify(&other_kind).await.is_err());
    let (mut region, mut endpoint) = (lane(), lane());
    region.region = "mars-1".parse().expect("a literal name");
    endpoint.endpoint.0 = "http://127.0.0.1:1".into();
    for lane in [region, endpoint] {
        let refused = bench.driver.connect(&credential(&good), &lane, bench.installation).await;
        assert_eq!(refused.expect_err("not here").kind(), FaultKind::Invalid);
    }
    assert_eq!(bench.calls(), Vec::<&str>::new());
    let who = bench.driver.identify(&credential(&good)).await.expect("identified");
    assert_eq!(who.account.as_str(), "123456789012");
}

#[tokio::test]
async fn a_metric_nobody_reads_is_an_error_and_not_an_empty_series() {
    let bench = Bench::new().await;
    let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let query = MetricQuery { metric: "cpu_percent".into(), from, to };
    assert_eq!(bench.provider.measure(&[], &query).await.expect_err("not read").kind(), FaultKind::Invalid);
}
