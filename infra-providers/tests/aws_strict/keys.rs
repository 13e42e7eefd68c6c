//! Wrong keys, missing permissions, unknown images and types: typed errors in EC2's own words.

use infra_core::contracts::provider::{CloudDriver, OwnedHandle, ProviderError};
use infra_core::nouns::cloud::Act;
use infra_core::nouns::launch::{FirewallBody, LaunchBody, MachineBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::InstallationId;
use infra_core::words::lane::ResourceKind;
use infra_core::{Clock, SystemClock, SystemEntropy};

use crate::cloud::{
    CHECKING, Cloud, body, counterpart, credential, driver, frozen, http, lane, send, settings,
};

#[tokio::test]
async fn unknown_images_and_types_are_refused_in_ec2s_words() {
    let Some(cloud) = Cloud::in_region("us-east-2").await else { return };
    let named = |text: &str| text.parse().expect("a literal name");
    for (machine, code) in [
        (MachineBody { image: named("ami-0123456789abcdef0"), ..body() }, "InvalidAMIID.NotFound"),
        (
            MachineBody { type_name: "t99.micro".parse().expect("a literal name"), ..body() },
            "InvalidInstanceType.NotFound",
        ),
    ] {
        let frozen = cloud.frozen(1, "a", LaunchBody::Machine(machine));
        let error = cloud.provider.launch(&frozen, &send()).await.expect_err("unknown");
        let ProviderError::Invalid { said } = &error else { panic!("{error:?}") };
        assert_eq!((said.code.as_str(), error.effect()), (code, Effect::NotApplied));
        assert!(!said.message.is_empty() && said.request_id.is_some(), "{said:?}");
        println!("{error}");
    }
    let key = MachineBody { key_pair: Some("no-such-key".into()), ..body() };
    let frozen = cloud.frozen(1, "a", LaunchBody::Machine(key));
    let error = cloud.provider.launch(&frozen, &send()).await.expect_err("unknown");
    // It may have been made moments ago.
    assert_eq!((error.kind(), error.effect()), (FaultKind::Busy, Effect::NotApplied), "{error}");
}

/// One call of IAM, which the emulator answers before it begins to check.
pub(crate) fn iam(endpoint: &str, form: &str) -> String {
    let authorization = "AWS4-HMAC-SHA256 Credential=free/20260101/us-east-1/iam/aws4_request, \
                         SignedHeaders=host, Signature=0";
    let headers = [("Authorization", authorization), ("Content-Type", "application/x-www-form-urlencoded")];
    http(endpoint, "POST", "/", &headers, &format!("{form}&Version=2010-05-08"))
}

/// A user of the emulator; while it lives, the emulator checks signatures and policies.
pub(crate) struct Checked {
    endpoint: String,
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Drop for Checked {
    fn drop(&mut self) {
        http(&self.endpoint, "POST", "/moto-api/reset-auth", &[], "inf");
    }
}

impl Checked {
    /// Something that the user itself may not do.
    pub(crate) fn unchecked(&self, work: impl FnOnce()) {
        http(&self.endpoint, "POST", "/moto-api/reset-auth", &[], "inf");
        work();
        http(&self.endpoint, "POST", "/moto-api/reset-auth", &[], "0");
    }
}

/// Percent-encoded for a form.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A user who may do these actions (as JSON, percent-encoded).
pub(crate) fn user_with(endpoint: &str, actions: &str) -> Checked {
    let policy = format!(
        "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
         %22Action%22%3A%5B{actions}%5D%2C%22Resource%22%3A%22%2A%22%7D%5D%7D"
    );
    user_with_encoded(endpoint, &policy)
}

/// A user with this policy.
pub(crate) fn user_with_policy(endpoint: &str, policy: &str) -> Checked {
    user_with_encoded(endpoint, &encoded(policy))
}

fn user_with_encoded(endpoint: &str, policy: &str) -> Checked {
    http(endpoint, "POST", "/moto-api/reset-auth", &[], "3");
    let user = format!("tester-{}", SystemClock.wall().as_microsecond());
    iam(endpoint, &format!("Action=CreateUser&UserName={user}"));
    iam(endpoint, &format!("Action=PutUserPolicy&UserName={user}&PolicyName=p&PolicyDocument={policy}"));
    let key = iam(endpoint, &format!("Action=CreateAccessKey&UserName={user}"));
    let text = |name: &str| between(&key, &format!("<{name}>"), &format!("</{name}>")).replace("&amp;", "&");
    Checked { endpoint: endpoint.to_owned(), id: text("AccessKeyId"), secret: text("SecretAccessKey") }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let from = text.find(open).expect("the opening tag") + open.len();
    &text[from..from + text[from..].find(close).expect("the closing tag")]
}

#[tokio::test]
async fn a_wrong_key_is_unauthorised_and_never_an_absence() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let _alone = CHECKING.write().await;
    let actions = "%22ec2%3ADescribe%2A%22%2C%22ec2%3ACreateSecurityGroup%22%2C%22sts%3A%2A%22";
    let user = user_with(&endpoint, actions);
    check(&endpoint, &user.id, &user.secret).await;
}

async fn check(endpoint: &str, id: &str, secret: &str) {
    let region = "us-east-2";
    let driver = driver(settings(endpoint, region));
    let wrong = [(id, "another-secret"), ("AKIAIOSFODNN7EXAMPLE", secret)];
    for (id, secret) in wrong {
        let error = driver.identify(&credential(id, secret)).await.expect_err("a wrong key");
        refused(&error, secret);
    }
    let who = driver.identify(&credential(id, secret)).await.expect("a good key");
    assert!(who.principal.contains(":user/tester-"), "{who:?}");

    let installation = InstallationId::draw(SystemClock.wall(), &SystemEntropy);
    let lane = lane(endpoint, region);
    let ids = ["i-0123456789abcdef0".parse().expect("a literal name")];
    for (id, secret) in wrong {
        let provider =
            driver.connect(&credential(id, secret), &lane, installation).await.expect("no I/O yet");
        refused(&provider.get(ResourceKind::Machine, &ids).await.expect_err("a wrong key"), secret);
        refused(&provider.list_owned(None).await.expect_err("a wrong key"), secret);
    }
    // May look and make groups, but not launch, not open ports, not end anything.
    let provider = driver.connect(&credential(id, secret), &lane, installation).await.expect("no I/O yet");
    assert!(provider.list_owned(None).await.is_ok());
    let frozen = |body| frozen(installation, 1, &format!("{region}a"), body);
    let machine = frozen(LaunchBody::Machine(body()));
    refused(&provider.launch(&machine, &send()).await.expect_err("not permitted"), secret);
    let handle = OwnedHandle::unproven(ids[0].clone(), ResourceKind::Machine, lane.clone(), machine.mark);
    refused(&provider.act(&handle, Act::Terminate).await.expect_err("not permitted"), secret);
    let allow_from = vec!["10.0.0.0/8".to_owned()];
    let wall = frozen(LaunchBody::Firewall(FirewallBody::open_to(allow_from)));
    let error = provider.launch(&wall, &send()).await.expect_err("the group, but not its rules");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{error}");
    assert!(error.to_string().contains("UnauthorizedOperation"), "{error}");
}

/// Unauthorised, with the cloud's code, message and request id, and without the secret.
#[allow(clippy::print_stdout, reason = "what users get to read, for --show-output")]
fn refused(error: &ProviderError, secret: &str) {
    let ProviderError::Unauthorized { said } = error else { panic!("{error:?}") };
    assert!(!said.code.is_empty() && !said.message.is_empty() && said.request_id.is_some(), "{said:?}");
    assert!(!format!("{error} {error:?}").contains(secret), "a secret in an error");
    println!("{error}");
}
