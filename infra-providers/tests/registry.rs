//! What an operator may write wrongly about clouds, and what the answer names.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use infra_core::testing::VirtualClock;
use infra_core::{CloudDriver, words::ids::CloudName};
use infra_providers::http::{HttpRequest, HttpResponse, Sent, Transport, TransportError};
use infra_providers::registry::{CloudSpec, Parts, Place, RegistryError, built, kinds, open};

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(TransportError { sent: Sent::No, why: "nothing is asked when clouds are opened".to_owned() })
    }
}

fn parts() -> Parts {
    Parts { clock: Arc::new(VirtualClock::default()), transport: Arc::new(Nowhere), prices: Arc::default() }
}

fn spec(text: &str) -> CloudSpec {
    serde_json::from_str(text).expect("a spec")
}

fn driver(name: &str, text: &str) -> Result<Arc<dyn CloudDriver>, RegistryError> {
    open(name, &spec(text), &parts())
}

#[test]
fn several_clouds_of_one_kind_stand_side_by_side() {
    let lab =
        driver("lab", r#"{"kind": "openstack", "endpoint": "https://k:5000", "regions": ["RegionOne"]}"#);
    let lab = lab.expect("well written");
    assert_eq!((lab.name().as_str(), lab.endpoint().0.as_str()), ("lab", "https://k:5000"));
    let second =
        driver("do-team2", r#"{"kind": "digitalocean", "regions": ["ams3", "fra1"]}"#).expect("well written");
    assert_eq!((second.name().as_str(), second.regions().len()), ("do-team2", 2));
    assert_eq!(driver("digitalocean", "{}").expect("its name is a kind").regions()[0].as_str(), "ams3");
}

#[test]
fn what_is_wrong_is_answered_with_what_there_is() {
    for (name, text, says) in [
        ("moon", "{}", "\"moon\" is no kind of cloud that is known; aws, digitalocean, openstack are"),
        ("a b", "{}", "must be 1 to 200 characters"),
        (
            "digitalocean",
            r#"{"network": "auto"}"#,
            "network is no setting of digitalocean, only of openstack",
        ),
        ("digitalocean", r#"{"off_is_free": true}"#, "off_is_free is no setting of digitalocean"),
        (
            "openstack",
            r#"{"snapshot_within_s": 5}"#,
            "snapshot_within_s is no setting of openstack, only of digitalocean",
        ),
        ("digitalocean", r#"{"endpoint": "ftp://x"}"#, "must begin with http:// or https://"),
        ("openstack", r#"{"regions": ["one"]}"#, "endpoint is missing"),
        ("openstack", r#"{"endpoint": "https://k"}"#, "regions is missing"),
        (
            "openstack",
            r#"{"endpoint": "https://k", "regions": ["one"], "interface": "sideways"}"#,
            "\"sideways\" is not known; public, internal and admin are",
        ),
        (
            "openstack",
            r#"{"endpoint": "https://k", "regions": ["one"], "prices": "/does/not/exist.toml"}"#,
            "/does/not/exist.toml cannot be read",
        ),
    ] {
        let error = driver(name, text).expect_err(text);
        assert!(error.to_string().contains(says), "{name} {text}: {error}");
    }
    for (text, says) in [
        (r#"{"endpoint": "http://k"}"#, "\"http://k\" is plain HTTP to another machine"),
        (r#"{"endpoint": "http://localhost.example.com"}"#, "insecure = true"),
    ] {
        let error = driver("digitalocean", text).expect_err("every key would be read on the way");
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    for said in ["insecure", "simulated"] {
        let text = format!("{{\"endpoint\": \"http://k\", \"{said}\": true}}");
        driver("digitalocean", &text).unwrap_or_else(|error| panic!("{said}: {error}"));
    }
    if !built().contains(&"aws") {
        let error = driver("aws", "{}").expect_err("it is not built in");
        assert_eq!(error, RegistryError::NotBuilt { cloud: "aws".into(), feature: "aws" });
    }
    assert_eq!(kinds(), ["aws", "digitalocean", "openstack"]);
}

#[test]
fn a_place_is_found_or_answered_with_what_there_is() {
    let digitalocean = driver("digitalocean", r#"{"regions": ["ams3", "fra1"]}"#).expect("well written");
    let drivers: BTreeMap<CloudName, _> = [(digitalocean.name(), digitalocean)].into();
    let find = |text: &str| {
        text.parse::<Place>().and_then(|place| place.find(&drivers).map(|(_, regions)| regions.len()))
    };
    assert_eq!(find("digitalocean"), Ok(2));
    assert_eq!(find("digitalocean:ams3"), Ok(1));
    for (text, says) in [
        ("aws:eu-west-1", "cloud aws is not configured; digitalocean are"),
        ("digitalocean:nyc9", "region nyc9 is not configured for digitalocean; ams3, fra1 are"),
        ("", "CLOUD or CLOUD:REGION"),
        ("digitalocean:", "CLOUD or CLOUD:REGION"),
    ] {
        let error = find(text).expect_err(text);
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    let place: Place = "openstack:lab".parse().expect("a place");
    assert_eq!(place.to_string(), "openstack:lab");
}
