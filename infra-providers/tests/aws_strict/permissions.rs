//! The smallest policy: enough for the life of a machine, and not with any one line less.

use std::collections::BTreeMap;

use infra_core::contracts::provider::{CloudDriver, CloudProvider, OwnedHandle, ProviderError};
use infra_core::nouns::cloud::{Act, Observed, PowerMode, Sighting, ThingState};
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::offering::Price;
use infra_core::words::fault::{Fault, FaultKind};
use infra_core::words::ids::InstallationId;
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::words::secret::Secret;
use infra_core::{Clock, SystemClock, SystemEntropy};
use infra_providers::aws::permissions::{actions, policy, price_actions};
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::{
    CHECKING, Cloud, body, counterpart, credential, driver, frozen, http, lane, query, send, settings,
};
use crate::keys::{Checked, iam, user_with, user_with_policy};
use crate::life::PUBLIC_KEY;

const REGION: &str = "eu-west-3";

/// Everything that is ever done to a machine and its satellites, with one key.
struct Life {
    provider: Arc<dyn CloudProvider>,
    installation: InstallationId,
    lane: Lane,
    /// Where its machine is.
    subnet: String,
}

/// A subnet of the zone in which the lives are led, looked up while nobody checks keys.
async fn a_subnet() -> String {
    let cloud = Cloud::in_region(REGION).await.expect("the endpoint was asked for before");
    let all = cloud.truth.describe_subnets().send().await.expect("looked");
    let zone = format!("{REGION}a");
    let of_zone = all.subnets().iter().find(|one| one.availability_zone() == Some(&zone));
    of_zone.and_then(|one| one.subnet_id()).expect("a default subnet").to_owned()
}

impl Life {
    async fn of(endpoint: &str, user: &Checked, subnet: &str) -> Self {
        let lane = lane(endpoint, REGION);
        let installation = InstallationId::draw(SystemClock.wall(), &SystemEntropy);
        let connected = driver(settings(endpoint, REGION))
            .connect(&credential(&user.id, &user.secret), &lane, installation)
            .await;
        Self { provider: connected.expect("no I/O yet"), installation, lane, subnet: subnet.to_owned() }
    }

    async fn make(&self, body: LaunchBody) -> Result<(FrozenLaunch, Observed), ProviderError> {
        let frozen = frozen(self.installation, 1, &format!("{REGION}a"), body);
        let made = self.provider.launch(&frozen, &send()).await?.remove(0);
        Ok((frozen, made))
    }

    async fn act(&self, (frozen, one): &(FrozenLaunch, Observed), act: Act) -> Result<(), ProviderError> {
        let handle = OwnedHandle::unproven(one.id.clone(), one.kind, self.lane.clone(), frozen.mark);
        self.provider.act(&handle, act).await.map(drop)
    }

    async fn until(&self, one: &Observed, state: ThingState) -> Result<(), ProviderError> {
        for _ in 0..100 {
            let mut seen = self.provider.get(one.kind, std::slice::from_ref(&one.id)).await?;
            match seen.pop() {
                Some(Sighting::Present(one)) if one.state == state => return Ok(()),
                _ => SystemClock.sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("{} did not become {state:?}", one.id);
    }

    async fn lived(&self) -> Result<(), ProviderError> {
        let provider = &self.provider;
        provider.identify().await?;
        provider.catalogue().await?;
        let pair = self.make(LaunchBody::KeyPair { public_key: PUBLIC_KEY.to_owned() }).await?;
        let allow_from = vec!["10.0.0.0/8".to_owned()];
        let network = Some(self.subnet.clone());
        let wall = self.make(LaunchBody::Firewall(FirewallBody { allow_from, network })).await?;
        let (firewall, key_pair) = (Some(wall.1.id.clone()), Some(pair.0.name.clone()));
        let mut body = MachineBody { firewall, key_pair, ..body() };
        body.options.network = Some(self.subnet.clone());
        let machine = self.make(LaunchBody::Machine(body)).await?;
        for (of, _) in [&pair, &wall, &machine] {
            provider.find(&query(of)).await?;
        }
        let mut after = None;
        loop {
            after = provider.list_owned(after).await?.next;
            if after.is_none() {
                break;
            }
        }
        self.until(&machine.1, ThingState::Running).await?;
        self.act(&machine, Act::Power(PowerMode::Stop)).await?;
        self.until(&machine.1, ThingState::Stopped).await?;
        self.act(&machine, Act::Power(PowerMode::On)).await?;
        self.until(&machine.1, ThingState::Running).await?;
        self.act(&machine, Act::Unmark).await?;
        self.act(&machine, Act::Mark).await?;
        self.act(&machine, Act::Terminate).await?;
        self.until(&machine.1, ThingState::Ended).await?;
        self.act(&wall, Act::Terminate).await?;
        self.act(&pair, Act::Terminate).await
    }
}

/// Few types, so that the catalogue takes no seconds; all of them again afterwards.
struct FewTypes<'a>(&'a str);

impl<'a> FewTypes<'a> {
    fn set(endpoint: &'a str, count: u32) -> Self {
        let settings = format!(r#"{{"STRICT_TYPES_MAX": {count}}}"#);
        http(endpoint, "POST", "/moto-api/strict", &[("Content-Type", "application/json")], &settings);
        Self(endpoint)
    }
}

impl Drop for FewTypes<'_> {
    fn drop(&mut self) {
        let all = r#"{"STRICT_TYPES_MAX": 0}"#;
        http(self.0, "POST", "/moto-api/strict", &[("Content-Type", "application/json")], all);
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "what users get to read, for --show-output")]
async fn the_policy_is_enough_and_without_any_line_the_error_names_what_is_missing() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let subnet = a_subnet().await;
    let _alone = CHECKING.write().await;
    let _few = FewTypes::set(&endpoint, 20);
    {
        // The very document that is handed out.
        let user = user_with_policy(&endpoint, &policy());
        Life::of(&endpoint, &user, &subnet).await.lived().await.expect("the policy is enough");
    }
    for missing in actions() {
        let user = user_with(&endpoint, &all_but(missing));
        let error = Life::of(&endpoint, &user, &subnet).await.lived().await.expect_err(missing);
        // After a group was made, a refusal of its rules leaves the whole attempt unknown.
        let half = missing == "ec2:AuthorizeSecurityGroupIngress";
        let kind = if half { FaultKind::Unavailable } else { FaultKind::Unauthorized };
        assert_eq!(error.kind(), kind, "{missing}: {error}");
        assert!(error.to_string().contains(missing), "{missing} is not in: {error}");
        println!("without {missing}: {error}");
    }
}

/// Every action of the policy but one, as a policy's list, percent-encoded.
fn all_but(missing: &str) -> String {
    let others = actions().into_iter().chain(price_actions()).filter(|action| *action != missing);
    others.map(|action| format!("%22{}%22", action.replace(':', "%3A"))).collect::<Vec<_>>().join("%2C")
}

#[tokio::test]
async fn without_a_permission_for_prices_machines_are_leased_and_the_price_says_what_is_missing() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let subnet = a_subnet().await;
    let _alone = CHECKING.write().await;
    let _few = FewTypes::set(&endpoint, 20);
    for missing in price_actions() {
        let user = user_with(&endpoint, &all_but(missing));
        let life = Life::of(&endpoint, &user, &subnet).await;
        life.lived().await.expect(missing);
        let offered = life.provider.catalogue().await.expect("read").offerings;
        let reasons: Vec<_> = offered
            .iter()
            .filter_map(|one| match &one.price {
                Price::Unknown { reason } => Some(reason.as_str()),
                _ => None,
            })
            .filter(|reason| reason.contains(missing))
            .collect();
        assert!(!reasons.is_empty(), "{missing}: {offered:?}");
        // The other half is not touched by it.
        assert!(offered.iter().any(|one| one.price.per_hour().is_some()), "{missing}");
    }
}

#[tokio::test]
async fn a_role_does_what_its_base_key_may_not() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let _alone = CHECKING.write().await;
    let user = user_with(&endpoint, "%22sts%3AAssumeRole%22");
    let role = format!("leaser-{}", SystemClock.wall().as_millisecond());
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
    user.unchecked(|| {
        let encode = crate::keys::encoded;
        iam(
            &endpoint,
            &format!("Action=CreateRole&RoleName={role}&AssumeRolePolicyDocument={}", encode(trust)),
        );
        let policy = encode(&policy());
        iam(&endpoint, &format!("Action=PutRolePolicy&RoleName={role}&PolicyName=p&PolicyDocument={policy}"));
    });
    let base = credential(&user.id, &user.secret);
    let driver = driver(settings(&endpoint, REGION));
    let installation = InstallationId::draw(SystemClock.wall(), &SystemEntropy);
    let lane = lane(&endpoint, REGION);
    let plain = driver.connect(&base, &lane, installation).await.expect("no I/O yet");
    let error = plain.list_owned(None).await.expect_err("the base key may assume roles, no more");
    assert_eq!(error.kind(), FaultKind::Unauthorized, "{error}");

    let mut assumed = base;
    assumed.kind = "assume_role".to_owned();
    let arn = format!("arn:aws:iam::123456789012:role/{role}");
    assumed.fields.extend(BTreeMap::from([
        ("role_arn".to_owned(), Secret::new(arn)),
        ("external_id".to_owned(), Secret::new("lab-7".to_owned())),
    ]));
    let who = driver.identify(&assumed).await.expect("identified");
    assert!(who.principal.contains(&format!("assumed-role/{role}/")), "{who:?}");
    let provider = driver.connect(&assumed, &lane, installation).await.expect("no I/O yet");
    let frozen = frozen(installation, 1, &format!("{REGION}a"), LaunchBody::Machine(body()));
    let made = provider.launch(&frozen, &send()).await.expect("launched");
    let handle = OwnedHandle::unproven(made[0].id.clone(), ResourceKind::Machine, lane, frozen.mark);
    provider.act(&handle, Act::Terminate).await.expect("ended");
}
