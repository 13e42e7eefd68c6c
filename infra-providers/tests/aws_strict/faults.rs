//! What goes wrong between us and the cloud, made to happen by the fault proxy.
//!
//! The rules name an operation and a word of its body (the launch's token or name), so tests do not meet.

use std::time::Duration;

use infra_core::SystemClock;
use infra_core::contracts::provider::{CloudProvider, ProviderError};
use infra_core::nouns::cloud::{Sighting, ThingState};
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::words::clock::Clock;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;

use crate::cloud::{Cloud, counterpart, http, query, send, settings};

struct Proxied {
    cloud: Cloud,
    control: String,
}

impl Proxied {
    async fn in_region(region: &str, call_timeout: Duration) -> Option<Self> {
        counterpart("INFRA_TEST_EC2_ENDPOINT")?;
        let (proxy, control) = (counterpart("INFRA_TEST_EC2_PROXY")?, counterpart("INFRA_TEST_EC2_CONTROL")?);
        let mut settings = settings(&proxy, region);
        settings.call_timeout = call_timeout;
        Some(Self { cloud: Cloud::with(settings, &proxy, region).await, control })
    }

    /// The next call of `operation` whose body has `word`. `rest` is JSON without its braces.
    fn rule(&self, operation: &str, word: &str, at: &str, rest: &str) {
        let matching = format!(r#"{{"operation": "{operation}", "body_regex": "{word}"}}"#);
        let rule = format!(r#"{{"match": {matching}, "at": "{at}", "times": 1, {rest}}}"#);
        http(&self.control, "POST", "/rules", &[("Content-Type", "application/json")], &rule);
    }

    async fn launch(&self, frozen: &FrozenLaunch) -> Result<usize, ProviderError> {
        self.cloud.provider.launch(frozen, &send()).await.map(|made| made.len())
    }
}

const LOST: (&str, &str) = ("after_forward_hold_reply", r#""then": "drop""#);
const NEVER: (&str, &str) = ("before_forward", r#""then": "drop""#);

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_token_finds_what_it_made() {
    let Some(proxied) = Proxied::in_region("ap-northeast-1", Duration::from_secs(10)).await else { return };
    for ((at, rest), born) in [(LOST, 2), (NEVER, 0)] {
        let frozen = proxied.cloud.machine(2);
        proxied.rule("RunInstances", &frozen.token.to_string(), at, rest);
        let error = proxied.launch(&frozen).await.expect_err("no answer");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{error}");
        SystemClock.sleep(Duration::from_millis(500)).await;
        let found = proxied.cloud.provider.find(&query(&frozen)).await.expect("looked");
        assert_eq!(found.len(), born, "{at}");
        assert_eq!(proxied.launch(&frozen).await.expect("replayed"), 2);
        SystemClock.sleep(Duration::from_millis(500)).await;
        assert_eq!(proxied.cloud.provider.find(&query(&frozen)).await.expect("looked").len(), 2);
    }
}

#[tokio::test]
async fn a_slow_answer_is_cut_and_unknown() {
    let Some(proxied) = Proxied::in_region("ap-northeast-2", Duration::from_secs(1)).await else { return };
    let frozen = proxied.cloud.machine(1);
    let held = r#""then": "pass", "delay_s": 12"#;
    proxied.rule("RunInstances", &frozen.token.to_string(), "after_forward_hold_reply", held);
    let began = SystemClock.mono();
    let error = proxied.launch(&frozen).await.expect_err("too slow");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{error}");
    assert!(SystemClock.mono() - began < Duration::from_secs(10));
}

#[tokio::test]
async fn a_crash_between_group_and_rules_is_mended_by_the_replay() {
    let Some(proxied) = Proxied::in_region("ap-northeast-3", Duration::from_secs(10)).await else { return };
    let steps = [("CreateSecurityGroup", "GroupName="), ("AuthorizeSecurityGroupIngress", "10.77.0.0")];
    for (operation, word) in steps {
        for (at, rest) in [NEVER, LOST] {
            let frozen = proxied.cloud.firewall(&["10.77.0.0/16", "192.0.2.0/24"]);
            proxied.rule(operation, word, at, rest);
            let error = proxied.launch(&frozen).await.expect_err("no answer");
            assert_eq!(error.effect(), Effect::Unknown, "{operation} {at}: {error}");
            let whole = (operation, at) == ("AuthorizeSecurityGroupIngress", LOST.0);
            let found = proxied.cloud.provider.find(&query(&frozen)).await.expect("looked");
            assert_eq!(found.len(), usize::from(whole), "{operation} {at}");
            assert_eq!(proxied.launch(&frozen).await.expect("replayed"), 1, "{operation} {at}");
            let found = proxied.cloud.provider.find(&query(&frozen)).await.expect("looked");
            assert_eq!((found.len(), found[0].mark), (1, Some(frozen.mark)));
            let groups = proxied.cloud.truth.describe_security_groups().group_ids(found[0].id.as_str());
            let groups = groups.send().await.expect("looked");
            let rules = groups.security_groups()[0].ip_permissions().iter();
            assert_eq!(rules.map(|rule| rule.ip_ranges().len()).sum::<usize>(), 2, "{operation} {at}");
        }
    }
}

#[tokio::test]
async fn refusals_keep_ec2s_words_and_its_request_id() {
    let Some(proxied) = Proxied::in_region("ap-southeast-1", Duration::from_secs(10)).await else { return };
    let error = |code: &str| {
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>planted</Message></Error></Errors>\
             <RequestID>req-77</RequestID></Response>"
        )
    };
    for (status, code, kind, effect) in [
        (500, "InsufficientInstanceCapacity", FaultKind::Capacity, Effect::NotApplied),
        (400, "VcpuLimitExceeded", FaultKind::Quota, Effect::NotApplied),
        (503, "RequestLimitExceeded", FaultKind::Throttled, Effect::NotApplied),
        (500, "InternalError", FaultKind::Unavailable, Effect::Unknown),
        (403, "ExpiredToken", FaultKind::Unauthorized, Effect::NotApplied),
    ] {
        let frozen = proxied.cloud.machine(1);
        let headers = r#"{"Content-Type": "text/xml", "Retry-After": "7"}"#;
        let reply = format!(r#"{{"status": {status}, "headers": {headers}, "body": "{}"}}"#, error(code));
        let rest = format!(r#""then": "reply", "reply": {reply}"#);
        proxied.rule("RunInstances", &frozen.token.to_string(), "before_forward", &rest);
        let error = proxied.launch(&frozen).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{error}");
        let text = error.to_string();
        assert!(text.contains(code) && text.contains("planted") && text.contains("req-77"), "{text}");
        if matches!(kind, FaultKind::Throttled | FaultKind::Unavailable) {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{text}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_may_have_made_something() {
    let Some(proxied) = Proxied::in_region("ap-southeast-2", Duration::from_secs(10)).await else { return };
    let half = "<RunInstancesResponse><instancesSet><item><instanceId>i-1";
    for (status, body, kind) in [
        (200, half, FaultKind::Internal),
        (200, "not even markup", FaultKind::Internal),
        (200, "", FaultKind::Internal),
        (502, "<html>Bad Gateway</html>", FaultKind::Unavailable),
        (404, "<html>Not Found</html>", FaultKind::Internal),
    ] {
        let frozen = proxied.cloud.machine(1);
        let rest = format!(r#""then": "reply", "reply": {{"status": {status}, "body": "{body}"}}"#);
        proxied.rule("RunInstances", &frozen.token.to_string(), "after_forward_hold_reply", &rest);
        let error = proxied.launch(&frozen).await.expect_err("unreadable");
        assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown), "{status} {body:?}: {error}");
        SystemClock.sleep(Duration::from_millis(500)).await;
        assert_eq!(proxied.cloud.provider.find(&query(&frozen)).await.expect("looked").len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_did_nothing() {
    if counterpart("INFRA_TEST_EC2_ENDPOINT").is_none() {
        return;
    }
    // A port that was free a moment ago: nobody listens there.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).expect("a port").port();
    for endpoint in [format!("http://127.0.0.1:{port}"), "http://no-such-host.invalid".to_owned()] {
        let cloud = Cloud::at(&endpoint, "us-east-2").await;
        let error = cloud.provider.launch(&cloud.firewall(&[]), &send()).await.expect_err("nobody there");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::NotApplied), "{error}");
    }
}

#[tokio::test]
async fn a_listing_that_lags_is_no_absence_by_id() {
    let Some(cloud) = Cloud::in_region("us-east-2").await else { return };
    const LONG_S: u32 = 3600;
    cloud.lags(LONG_S, LONG_S);
    let frozen = cloud.machine(1);
    let id = cloud.provider.launch(&frozen, &send()).await.expect("launched")[0].id.clone();
    let ids = std::slice::from_ref(&id);
    let first = cloud.provider.get(ResourceKind::Machine, ids).await.expect("looked");
    assert_eq!(
        first,
        [Sighting::Absent(id.clone())],
        "right after birth EC2 may not know it: a value, not an error"
    );
    cloud.lags(0, LONG_S);
    cloud.seen(ResourceKind::Machine, &id, ThingState::Running).await;
    assert!(listed(&*cloud.provider).await.is_empty(), "the listing lags behind the look by id");
    cloud.lags(0, 0);
    assert_eq!(listed(&*cloud.provider).await, [id]);
}

async fn listed(provider: &dyn CloudProvider) -> Vec<infra_core::words::ids::ResourceId> {
    let page = provider.list_owned(None).await.expect("listed");
    page.items.into_iter().map(|one| one.id).collect()
}
