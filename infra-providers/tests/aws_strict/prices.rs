//! Today's prices over the real SDK: the emulator's types and zones, a Price List and a spot market with everything in
//! them that must not be believed (`scripts/testbed/aws/prices.py`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{CloudDriver, CloudProvider};
use infra_core::nouns::offering::{Offering, Price};
use infra_core::nouns::request::Market;
use infra_core::words::ids::InstallationId;
use infra_core::{Clock, SystemClock, SystemEntropy};

use crate::cloud::{CHECKING, counterpart, credential, driver, http, lane, settings};

/// The market of this test alone; as it was again afterwards.
struct Weather<'a>(&'a str);

impl Weather<'_> {
    fn set(&self, settings: &str) {
        http(self.0, "POST", "/moto-api/prices", &[("Content-Type", "application/json")], settings);
    }
}

impl Drop for Weather<'_> {
    fn drop(&mut self) {
        self.set(r#"{"mode": "ok", "after": 0, "factor": 1.0}"#);
    }
}

async fn provider(endpoint: &str, region: &str) -> Arc<dyn CloudProvider> {
    let mut settings = settings(endpoint, region);
    settings.call_timeout = Duration::from_secs(if region == "eu-west-1" { 30 } else { 4 });
    let installation = InstallationId::draw(SystemClock.wall(), &SystemEntropy);
    let driver = driver(settings);
    let key = credential("free", "free");
    driver.connect(&key, &lane(endpoint, region), installation).await.expect("no I/O yet")
}

async fn offered(endpoint: &str, region: &str) -> Vec<Offering> {
    let provider = provider(endpoint, region).await;
    provider.catalogue().await.expect("prices never fail a catalogue").offerings
}

/// What the server's list says, in billionths.
fn listed(one: &Offering) -> i64 {
    let (vcpus, mib) = (i64::from(one.vcpus_milli), i64::try_from(one.memory_mib).expect("it fits"));
    // 0.04 a processor, 0.005 a GiB, rounded to four digits.
    let nanos = vcpus * 40_000 + mib * 5_000_000 / 1024;
    (nanos + 50_000) / 100_000 * 100_000
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "figures, for --show-output")]
async fn every_type_costs_what_the_list_says_and_nothing_else_is_believed() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let _alone = CHECKING.write().await;
    let began = SystemClock.mono();
    let offered = offered(&endpoint, "eu-west-1").await;
    let took = SystemClock.mono() - began;
    let (mut known, mut unknown, mut spot) = (0, BTreeMap::new(), 0);
    let mut zones = BTreeMap::<(String, String), Vec<i64>>::new();
    for one in &offered {
        match (&one.price, one.market) {
            (Price::Known { per_hour, live, .. }, Market::OnDemand) => {
                known += 1;
                assert!(*live && (per_hour.nanos - listed(one)).abs() <= 100_000, "{one:?}");
            }
            (Price::Known { per_hour, .. }, Market::Spot) => {
                spot += 1;
                let share = per_hour.nanos as f64 / listed(one) as f64;
                assert!((0.2..0.8).contains(&share), "{share}: {one:?}");
                let key = (one.type_name.to_string(), format!("{:?}", one.arch));
                zones.entry(key).or_default().push(per_hour.nanos);
            }
            (Price::Unknown { reason }, Market::OnDemand) => {
                unknown.insert(one.type_name.to_string(), reason.clone());
            }
            _ => {}
        }
    }
    let names: Vec<_> = unknown.keys().map(String::as_str).collect();
    assert_eq!(names, ["t2.medium", "t2.micro", "t2.nano", "t2.small"], "{unknown:?}");
    for (name, why) in
        [("t2.nano", "not above zero"), ("t2.micro", "no on-demand term"), ("t2.medium", "listed only with")]
    {
        assert!(unknown[name].contains(why), "{name}: {}", unknown[name]);
    }
    assert!(known > 500 && spot > 1000, "{known} on demand, {spot} spot");
    assert!(zones.values().any(|prices| prices.len() > 1), "zones differ");
    println!(
        "COUNT aws_prices on_demand={known} spot={spot} unknown={} ms={}",
        unknown.len(),
        took.as_millis()
    );
}

#[tokio::test]
async fn on_a_bad_day_of_aws_a_dated_table_stands_in_where_it_is_true_and_nowhere_else() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let _alone = CHECKING.write().await;
    let market = Weather(&endpoint);
    http(
        &endpoint,
        "POST",
        "/moto-api/strict",
        &[("Content-Type", "application/json")],
        r#"{"STRICT_TYPES_MAX": 60}"#,
    );
    for mode in [
        r#"{"mode": "throttled"}"#,
        r#"{"mode": "error"}"#,
        r#"{"mode": "half"}"#,
        r#"{"mode": "empty"}"#,
        r#"{"mode": "hang"}"#,
        r#"{"mode": "error", "after": 1}"#,
        r#"{"mode": "half", "after": 1}"#,
    ] {
        for (region, table) in [("us-east-1", true), ("eu-north-1", false)] {
            market.set(mode);
            let offered = offered(&endpoint, region).await;
            let on_demand: Vec<_> = offered.iter().filter(|one| one.market == Market::OnDemand).collect();
            assert!(!on_demand.is_empty());
            let dated = |one: &&Offering| matches!(&one.price, Price::Known { live: false, .. });
            assert_eq!(on_demand.iter().any(dated), table, "{mode} {region}: {:?}", on_demand[0]);
            let live = offered.iter().filter(|one| matches!(&one.price, Price::Known { live: true, .. }));
            // Of the spot market one page is all, so with one good answer it is whole.
            let spot_whole = mode.contains("after");
            assert_eq!(live.count() > 0, spot_whole, "{mode} {region}");
        }
    }
    http(
        &endpoint,
        "POST",
        "/moto-api/strict",
        &[("Content-Type", "application/json")],
        r#"{"STRICT_TYPES_MAX": 0}"#,
    );
}
