//! Prices from AWS, through the whole provider: what is chosen by, and what happens when AWS does not answer.

use std::time::Duration;

use infra_core::nouns::offering::{Billing, Offering, Price};
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_providers::aws::api::{Reached, SpotPrice};
use serde_json::json;

use crate::Bench;
use crate::fake::{When, failure, refusal};

/// 2027-01-15.
const NOW_S: i64 = 1_800_000_000;

fn listed(name: &str, tenancy: &str, usd: &str) -> String {
    listed_with("Linux", name, tenancy, usd)
}

fn listed_with(os: &str, name: &str, tenancy: &str, usd: &str) -> String {
    let attributes = json!({
        "instanceType": name, "tenancy": tenancy, "preInstalledSw": "NA", "capacitystatus": "Used",
        "marketoption": "OnDemand", "operatingSystem": os, "regionCode": "HERE",
        "licenseModel": "No License required",
    });
    let dimension =
        json!({"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}});
    let term = json!({"effectiveDate": "2026-11-01T00:00:00Z", "priceDimensions": {"d": dimension}});
    let product = json!({"productFamily": "Compute Instance", "attributes": attributes});
    json!({"product": product, "terms": {"OnDemand": {"t": term}}}).to_string()
}

fn sold(zone: &str, price: &str) -> SpotPrice {
    SpotPrice {
        type_name: "t3.micro".into(),
        zone: format!("us-east-1{zone}"),
        product: String::new(),
        price: price.into(),
        since: Timestamp::from_second(NOW_S - 3600).ok(),
    }
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.ec2.with(|world| {
        world.page = 2;
        world.date = NOW_S;
        world.listed = vec![
            listed("t3.micro", "Dedicated", "0.001"),
            listed("t3.micro", "Shared", "0.0120000000"),
            listed("t4g.micro", "Shared", "0.0000000000"),
            listed("t3.micro", "Host", "0.002"),
        ];
        world.sold = vec![sold("a", "0.0041"), sold("b", "0.0052")];
    });
    bench
}

async fn shown(bench: &Bench) -> Vec<Offering> {
    bench.provider.catalogue().await.expect("prices never fail a catalogue").offerings
}

fn of<'a>(all: &'a [Offering], name: &str, market: Market) -> Vec<(Option<i64>, usize, &'a Price)> {
    let ours = all.iter().filter(|one| one.type_name.as_str() == name && one.market == market);
    ours.map(|one| (one.price.per_hour().map(|price| price.nanos), one.zones.len(), &one.price)).collect()
}

#[tokio::test]
async fn a_machine_is_priced_by_todays_list_and_each_zone_by_its_own_market() {
    let bench = bench().await;
    let all = shown(&bench).await;
    let on_demand = of(&all, "t3.micro", Market::OnDemand);
    assert_eq!((on_demand.len(), on_demand[0].0, on_demand[0].1), (1, Some(12_000_000), 2));
    assert!(matches!(on_demand[0].2, Price::Known { live: true, .. }), "{on_demand:?}");
    let spot: Vec<_> = of(&all, "t3.micro", Market::Spot).iter().map(|one| (one.0, one.1)).collect();
    assert_eq!(spot, [(Some(4_100_000), 1), (Some(5_200_000), 1)]);
    let zero = of(&all, "t4g.micro", Market::OnDemand);
    assert!(matches!(zero[0].2, Price::Unknown { reason } if reason.contains("not above zero")), "{zero:?}");
}

/// What one system of the smallest type costs on a market, by zone.
fn with(all: &[Offering], system: System, market: Market) -> Vec<(Option<i64>, String)> {
    let ours = |one: &&Offering| {
        one.type_name.as_str() == "t3.micro" && one.market == market && one.system == system
    };
    let zones = |one: &Offering| one.zones.iter().map(|zone| zone.as_str()[9..].to_owned()).collect();
    all.iter().filter(ours).map(|one| (one.price.per_hour().map(|price| price.nanos), zones(one))).collect()
}

#[tokio::test]
async fn what_boots_windows_or_suse_has_no_price_or_that_of_linux() {
    let bench = bench().await;
    shown(&bench).await;
    let asked = |bench: &Bench| bench.calls().iter().filter(|call| **call == "spot-prices").count();
    assert_eq!(asked(&bench), 1, "nothing here boots anything but Linux");
    let bench = self::bench().await;
    let paid = |product: &str, zone: &str, price: &str| {
        let row = sold(zone, price);
        SpotPrice { product: format!("{product} (Amazon VPC)"), ..row }
    };
    bench.ec2.with(|world| {
        world.platforms = vec![("ami-1", "SUSE Linux"), ("ami-2", "Windows")];
        world.listed.push(listed_with("Windows", "t3.micro", "Shared", "0.0212"));
        world.listed.push(listed_with("SUSE", "t3.micro", "Shared", "0.0704"));
        world.sold.extend([
            paid("Windows", "a", "0.0133"),
            paid("Windows", "b", "0.0133"),
            paid("SUSE Linux", "a", "0.0604"),
            paid("Red Hat Enterprise Linux", "a", "0.0101"),
        ]);
    });
    let catalogue = bench.provider.catalogue().await.expect("prices never fail a catalogue");
    let all = &catalogue.offerings;
    let is = |price: i64, zones: &str| (Some(price), zones.to_owned());
    assert_eq!(with(all, System::Windows, Market::OnDemand), [is(21_200_000, "ab")]);
    assert_eq!(with(all, System::Windows, Market::Spot), [is(13_300_000, "ab")]);
    assert_eq!(with(all, System::Suse, Market::OnDemand), [is(70_400_000, "ab")]);
    assert_eq!(with(all, System::Suse, Market::Spot), [is(60_400_000, "a"), (None, "b".to_owned())]);
    assert_eq!(with(all, System::Linux, Market::Spot), [is(4_100_000, "a"), is(5_200_000, "b")]);
    assert_eq!(with(all, System::Rhel, Market::Spot), [], "nothing boots it, so nobody asks");
    assert_eq!(asked(&bench), 3, "once for each system that boots here");
    // SUSE alone is charged by the begun hour, and all of them for their disks alone while they are off.
    let hourly = System::PRICED.map(|system| catalogue.billing_of(system) == Billing::PerHour);
    assert_eq!(hourly, [false, false, false, true], "{:?}", System::PRICED);
    let usd = |nanos| infra_core::words::money::Money::usd_nanos(nanos);
    assert_eq!(catalogue.off_per_hour(usd(21_200_000), 30), catalogue.disk_gib_hour.times(30));
}

#[tokio::test]
async fn a_spot_price_of_windows_that_cannot_be_is_believed_beside_that_of_linux() {
    let bench = bench().await;
    bench.ec2.with(|world| {
        world.platforms = vec![("ami-2", "Windows")];
        world.listed.push(listed_with("Windows", "t3.micro", "Shared", "0.5"));
        // A third of what Linux is listed at, and no hundredth of what Windows is.
        let row = sold("a", "0.004");
        world.sold.push(SpotPrice { product: "Windows (Amazon VPC)".into(), ..row });
    });
    let all = shown(&bench).await;
    let prices: Vec<_> = with(&all, System::Windows, Market::Spot).into_iter().map(|one| one.0).collect();
    assert!(!prices.is_empty() && prices.iter().all(Option::is_none), "{prices:?}");
}

#[tokio::test]
async fn a_key_without_the_permission_leases_by_the_dated_table_and_buys_no_spot() {
    for when in [When::Before, When::After] {
        let bench = bench().await;
        bench.ec2.plant("price-list", when, refusal("AccessDeniedException"));
        bench.ec2.plant("spot-prices", when, refusal("UnauthorizedOperation"));
        let all = shown(&bench).await;
        let on_demand = of(&all, "t3.micro", Market::OnDemand);
        assert_eq!(on_demand[0].0, Some(10_400_000), "the table's price");
        assert!(matches!(on_demand[0].2, Price::Known { live: false, .. }), "{on_demand:?}");
        let spot = of(&all, "t3.micro", Market::Spot);
        assert!(
            matches!(spot[0].2, Price::Unknown { reason } if reason.contains("UnauthorizedOperation")),
            "{spot:?}"
        );
    }
}

#[tokio::test]
async fn half_a_list_is_no_list_and_the_last_whole_one_stays() {
    let bench = bench().await;
    shown(&bench).await;
    bench.clock.advance(Duration::from_secs(8 * 3600));
    bench.ec2.with(|world| world.listed[1] = listed("t3.micro", "Shared", "0.5"));
    // The first page comes, the second does not.
    bench.ec2.plant("price-list", When::After, failure(Reached::Maybe, "no-answer"));
    for _ in 0..3 {
        let all = shown(&bench).await;
        tokio::task::yield_now().await;
        assert_eq!(of(&all, "t3.micro", Market::OnDemand)[0].0, Some(12_000_000));
    }
    bench.clock.advance(Duration::from_secs(120));
    shown(&bench).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let all = shown(&bench).await;
    assert_eq!(of(&all, "t3.micro", Market::OnDemand)[0].0, Some(500_000_000), "it answers again");
    let asked = bench.calls().iter().filter(|call| **call == "price-list").count();
    assert!(asked < 20, "{asked} calls");
}

#[tokio::test]
async fn what_a_broken_list_says_is_never_a_price() {
    let bench = bench().await;
    bench.ec2.with(|world| {
        world.listed =
            ["0", "-1", "NaN", "", "1e-3", "12000"].map(|usd| listed("t3.micro", "Shared", usd)).to_vec();
        world.sold = vec![sold("a", "0"), sold("b", "0.00001")];
    });
    let all = shown(&bench).await;
    // A list without a single price is no list: the dated table stands in.
    assert!(matches!(of(&all, "t3.micro", Market::OnDemand)[0].2, Price::Known { live: false, .. }));
    assert!(of(&all, "t3.micro", Market::Spot).iter().all(|one| one.0.is_none()), "{all:?}");
}
