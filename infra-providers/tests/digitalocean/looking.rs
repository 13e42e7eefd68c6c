//! What can be seen, and what an answer may claim.

use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::cloud::{Act, Cursor, Sighting};
use infra_core::nouns::offering::{Billing, Price};
use infra_core::nouns::options::MachineOption;
use infra_core::nouns::request::Arch;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::words::lane::ResourceKind;
use infra_core::words::money::Money;
use infra_core::{Clock, CloudDriver};
use infra_providers::digitalocean::DigitalOceanDriver;
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::prices::PriceBook;
use infra_providers::sim::{FaultEffect, Rule, SimWorld};

use crate::bench::{Bench, key, lane, settings};

#[tokio::test]
async fn no_page_of_a_listing_is_forgotten() {
    let bench = Bench::new().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(bench.made(&bench.droplet()).await.id);
        expected.push(bench.made(&bench.firewall(&[])).await.id);
    }
    bench.settle();
    bench.wire.forget();
    let (items, complete) = bench.owned().await;
    let mut seen: Vec<_> = items.into_iter().map(|one| one.id).collect();
    seen.sort();
    expected.sort();
    assert_eq!((seen, complete), (expected, true));
    let calls = bench.wire.calls();
    assert_eq!(calls.iter().filter(|call| *call == "GET /v2/droplets").count(), 3, "{calls:?}");
}

#[tokio::test]
async fn a_listing_that_changed_while_it_was_read_is_not_complete() {
    let bench = Bench::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let frozen = bench.droplet();
        made.push((bench.made(&frozen).await, frozen));
    }
    bench.settle();
    let first = bench.provider.list_owned(None).await.expect("lists");
    // Everything after it moves up: the third droplet is on no page that is still to come.
    bench.provider.act(&bench.handle(&made[0].0.id, &made[0].1), Act::Terminate).await.expect("ends");
    bench.settle();
    let (mut after, mut complete, mut rest) = (first.next, first.complete, Vec::new());
    while let Some(cursor) = after {
        let page = bench.provider.list_owned(Some(cursor)).await.expect("lists");
        rest.extend(page.items.into_iter().map(|one| one.id));
        (after, complete) = (page.next, page.complete);
    }
    assert!(!rest.contains(&made[2].0.id), "the danger itself is gone: this test proves nothing");
    assert!(!complete, "a droplet is missing and the listing says that it is the whole");
}

#[tokio::test]
async fn looking_at_a_fleet_does_not_use_up_the_requests_of_its_account() {
    let bench = Bench::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(bench.made(&bench.droplet()).await.id);
    }
    bench.settle();
    // One that no listing by its mark shows, and one that never was.
    let stripped = bench.alive(ResourceKind::Machine)[1].id.clone();
    assert!(bench.world.strip_marks(&stripped));
    let nothing = ResourceId::new("4711").expect("a number");
    let mut ids = made.clone();
    ids.insert(0, nothing);
    bench.wire.forget();
    let seen = bench.provider.get(ResourceKind::Machine, &ids).await.expect("answers");
    let shown = |sighting: &Sighting| match sighting {
        Sighting::Present(seen) => Some((seen.id.clone(), seen.mark.is_some())),
        Sighting::Absent(_) => None,
    };
    let expected = made.iter().enumerate().map(|(nth, id)| Some((id.clone(), nth != 1)));
    let expected: Vec<_> = [None].into_iter().chain(expected).collect();
    assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), expected);
    // Pages of two: the second shows all but the two that no page shows.
    let calls = bench.wire.calls();
    assert_eq!(calls.len(), 4, "one call each, instead of a listing and the rest: {calls:?}");
}

#[tokio::test]
async fn droplets_of_another_region_are_not_of_this_lane() {
    let bench = Bench::new().await;
    let there = bench.elsewhere("nyc3", "sim-lab").await;
    let (droplet, wall) = (bench.droplet(), bench.firewall(&[]));
    let far = there.launch(&droplet, &bench.send()).await.expect("is made").remove(0);
    there.launch(&wall, &bench.send()).await.expect("is made");
    bench.made(&bench.droplet()).await;
    bench.settle();
    assert_eq!(bench.owned().await.0.len(), 1, "the other region's droplet and firewall are listed here");
    assert!(bench.find(&droplet).await.expect("answers").is_empty());
    let page = there.list_owned(None).await.expect("lists");
    assert_eq!(page.items.iter().map(|one| &one.id).collect::<Vec<_>>(), [&far.id]);
}

#[tokio::test]
async fn a_wrong_key_is_never_an_absence() {
    let bench = Bench::new().await;
    let frozen = bench.droplet();
    let made = bench.made(&frozen).await;
    bench.settle();
    bench.world.revoke_key("sim-lab");
    let kinds = [
        bench.provider.get(ResourceKind::Machine, std::slice::from_ref(&made.id)).await.err(),
        bench.find(&frozen).await.err(),
        bench.provider.list_owned(None).await.err(),
        bench.provider.identify().await.err(),
        bench.provider.act(&bench.handle(&made.id, &frozen), Act::Terminate).await.err(),
    ];
    for error in kinds {
        let error = error.expect("the key was revoked");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unauthorized, Effect::NotApplied), "{error}");
        assert!(!format!("{error} {error:?}").contains("sim-lab"), "a key in an error");
    }
    assert_eq!(bench.alive(ResourceKind::Machine).len(), 1);
}

#[tokio::test]
async fn a_404_of_something_in_between_is_no_absence() {
    let bench = Bench::new().await;
    let made = bench.made(&bench.droplet()).await;
    let call = format!("GET /v2/droplets/{}", made.id);
    for (status, body) in
        [(404, "<html>not here</html>"), (404, ""), (200, "{\"droplet\":{\"id\":1"), (200, "{}")]
    {
        bench.wire.answer(&call, status, &[], body);
        let error = bench.provider.get(ResourceKind::Machine, std::slice::from_ref(&made.id)).await;
        let error = error.expect_err("no droplet and no words of the API");
        assert_eq!(error.kind(), FaultKind::Internal, "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_absent_without_a_call() {
    let bench = Bench::new().await;
    for (kind, id) in [
        (ResourceKind::Machine, "i-0123456789abcdef0"),
        (ResourceKind::Snapshot, "latest"),
        (ResourceKind::Firewall, "bb48d0a1-0000-4000-8000-000000000001"),
    ] {
        let id: ResourceId = id.parse().expect("a literal name");
        assert_eq!(bench.look(kind, &id).await, Sighting::Absent(id));
    }
    assert!(bench.wire.calls().is_empty());
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let bench = Bench::new().await;
    bench.world.rule(Rule::once("launch", FaultEffect::Throttled));
    let error = bench.launch(&bench.droplet()).await.expect_err("throttled");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Throttled, Effect::NotApplied));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    // Without Retry-After, DigitalOcean's own header counts.
    let now = bench.clock.wall();
    let date = jiff_date(now);
    let reset = (now.as_second() + 90).to_string();
    let headers = [("date", date.as_str()), ("ratelimit-reset", reset.as_str())];
    let words = r#"{"id":"too_many_requests","message":"API rate limit exceeded."}"#;
    bench.wire.answer("GET /v2/account", 429, &headers, words);
    let error = bench.provider.identify().await.expect_err("throttled");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(90)), "{error}");
}

/// As a server writes it.
fn jiff_date(at: infra_core::words::clock::Timestamp) -> String {
    let text = at.to_string();
    assert!(
        text.starts_with("2026-01-01T00:00:00"),
        "the virtual clock begins there, and nothing has passed: {text}"
    );
    "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()
}

#[tokio::test]
async fn the_catalogue_is_of_this_region_with_live_prices() {
    let bench = Bench::new().await;
    let catalogue = bench.provider.catalogue().await.expect("has a catalogue");
    let min_charge = Money::usd_nanos(10_000_000);
    assert_eq!(catalogue.billing, Billing::PerSecond { min_s: 60, min_charge, month_hours_max: Some(672) });
    let small =
        catalogue.offerings.iter().find(|one| one.type_name.as_str() == "s-1vcpu-1gb").expect("offered");
    assert_eq!((small.vcpus_milli, small.memory_mib, small.disk_gib), (1000, 1024, 25));
    let Price::Known { per_hour, live, as_of, .. } = &small.price else { panic!("{:?}", small.price) };
    assert_eq!((per_hour.to_string().as_str(), *live, *as_of), ("0.00893", true, bench.clock.wall()));
    let image = catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one");
    assert!(image.id.as_str().parse::<u64>().is_ok(), "{image:?}: a slug would change its meaning");
    let slug = catalogue.newest_image("ubuntu-24-04-x64", Arch::X86_64).expect("by its slug, too");
    assert_eq!(slug.id, image.id);
    assert!(catalogue.options.contains(&MachineOption::Network));
    assert!(!catalogue.options.contains(&MachineOption::Files));
    // A size that is sold out, or sold elsewhere, is not offered.
    let sizes = r#"{"sizes":[
        {"slug":"a","memory":512,"vcpus":1,"disk":10,"price_hourly":0.1,"regions":["ams3"],"available":false},
        {"slug":"b","memory":512,"vcpus":1,"disk":10,"price_hourly":0.1,"regions":["sfo3"],"available":true},
        {"slug":"c","memory":512,"vcpus":1,"disk":10,"price_hourly":0.0,"regions":["ams3"],"available":true},
        {"slug":"gpu","memory":512,"vcpus":1,"disk":10,"price_hourly":3.39,"regions":["ams3"],"available":true,
         "gpu_info":{"count":8,"model":"nvidia_h100"}}],"links":{},"meta":{"total":4}}"#;
    bench.wire.answer("GET /v2/sizes", 200, &[], sizes);
    let catalogue = bench.provider.catalogue().await.expect("has a catalogue");
    let offered: Vec<_> = catalogue.offerings.iter().map(|one| one.type_name.as_str()).collect();
    assert_eq!(offered, ["c", "gpu"]);
    assert!(matches!(catalogue.offerings[0].price, Price::Unknown { .. }), "nothing is free");
    assert_eq!((catalogue.offerings[1].gpus, catalogue.offerings[1].gpu_model.as_deref()), (8, Some("h100")));
}

#[tokio::test]
async fn nobody_sees_how_old_the_prices_are_that_came_with_the_sizes() {
    let clock = Arc::new(VirtualClock::default());
    let world = SimWorld::new(DigitalOceanFake::config(1), clock.clone());
    let book = PriceBook::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let transport = Arc::new(DigitalOceanFake::new(world));
    let driver = DigitalOceanDriver::new(settings(2), transport, clock.clone()).with_prices(&book);
    let installation = InstallationId::draw(clock.wall(), &SeededEntropy::new(2));
    let provider = driver.connect(&key("sim-lab"), &lane("ams3"), installation).await.expect("connects");
    assert!(book.ages().is_empty(), "nobody said anything yet");
    let offerings = provider.catalogue().await.expect("has a catalogue").offerings;
    clock.advance(Duration::from_secs(7200));
    let age = book.ages().remove(0);
    let known = offerings.iter().filter(|one| one.price.per_hour().is_some()).count();
    let cloud = (age.cloud.as_str(), age.region.as_str(), age.source.as_str());
    assert_eq!(cloud, ("digitalocean", "ams3", "digitalocean /v2/sizes"));
    assert!(age.live && age.known == known && known > 0, "{age:?}");
    assert!(age.age.is_some_and(|age| age >= Duration::from_secs(7200)), "{age:?}");
}

#[tokio::test]
async fn a_newer_build_of_an_image_wins_and_the_older_one_keeps_its_number() {
    let bench = Bench::new().await;
    bench.clock.advance(Duration::from_secs(3600));
    bench.world.publish_image("ubuntu 24.04");
    let catalogue = bench.provider.catalogue().await.expect("has a catalogue");
    let newest = catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one");
    assert_ne!(newest.id, bench.machine.image);
    assert_eq!(catalogue.newest_image("ubuntu-24-04-x64", Arch::X86_64).map(|one| &one.id), Some(&newest.id));
    assert_eq!(
        bench.made(&bench.droplet()).await.image,
        Some(bench.machine.image.clone()),
        "frozen is frozen"
    );
}

#[tokio::test]
async fn the_team_that_pays_is_the_account() {
    let bench = Bench::new().await;
    let who = bench.driver.identify(&key("sim-lab")).await.expect("a good key");
    assert_eq!((who.account.as_str(), who.principal.as_str()), ("lab", "team lab"));
    let lone = r#"{"account":{"uuid":"b6fr89dbf6d9156cace5f3c78dc9851d957381ef","email":"a@example.org"}}"#;
    bench.wire.answer("GET /v2/account", 200, &[], lone);
    let who = bench.driver.identify(&key("sim-lab")).await.expect("a good key");
    assert_eq!(who.account.as_str(), "b6fr89dbf6d9156cace5f3c78dc9851d957381ef");
    assert_eq!(who.principal, "a@example.org");
}

#[tokio::test]
async fn a_cursor_that_is_not_ours_is_refused() {
    let bench = Bench::new().await;
    for bad in ["", "machine", "machine|0|1||", "cluster|1|1||", "machine|1|x||", "machine|1|1||torn|more"] {
        let error = bench.provider.list_owned(Some(Cursor(bad.to_owned()))).await.expect_err("not ours");
        assert_eq!(error.kind(), FaultKind::Invalid, "{bad}");
    }
    assert!(bench.wire.calls().is_empty());
}

#[tokio::test]
async fn a_next_page_is_never_asked_for_where_an_answer_says() {
    let bench = Bench::new().await;
    // The transport of the bench refuses any other host than DigitalOcean's, which is where a key may go.
    let page = r#"{"firewalls":[],"links":{"pages":{"next":"https://evil.example/v2/firewalls?page=2"}},"meta":{"total":0}}"#;
    bench.wire.answer("GET /v2/firewalls", 200, &[], page);
    assert!(bench.find(&bench.firewall(&[])).await.expect("answers").is_empty());
    assert_eq!(bench.wire.calls(), ["GET /v2/firewalls", "GET /v2/firewalls"]);
    let nowhere = page.replace("?page=2", "");
    bench.wire.answer("GET /v2/firewalls", 200, &[], &nowhere);
    let error = bench.find(&bench.firewall(&[])).await.expect_err("leads nowhere");
    assert_eq!(error.kind(), FaultKind::Internal, "{error}");
}
