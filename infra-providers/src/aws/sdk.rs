//! The seam over the official SDK: the only file (with its children) that names it.
//!
//! # Guarantees
//! * Nothing is taken from the surroundings: no environment, no profile files, no instance metadata, no proxy
//!   variables. Key, region, endpoint, timeouts and the TLS stack are handed over.
//! * Retries are off: one call is one request.
//! * TLS is rustls on `ring`, chosen here and not process-wide. The SDK's own default would add `aws-lc-rs`, and a
//!   tree with both providers makes rustls panic in whatever program embeds this one.

mod answer;
mod convert;
mod failure;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_ec2::types::{Filter, LocationType, ResourceType};
use aws_smithy_http_client::tls;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::Region;
use infra_core::words::secret::Secret;

use self::answer::{DateOfAnswer, WholeAnswer};
use self::failure::{failed, lacking};
use super::api::{
    Answer, AssumeRole, Caller, Ec2Api, Group, ImageQuery, Instance, KeyPair, MachineImage, MachineType,
    NewGroup, NewKeyPair, Page, PriceListAsk, RunInstances, SpotPrice, StaticKeys, Tags, TemporaryKeys,
    Which,
};
use super::driver::Ec2Connector;
use super::settings::AwsSettings;

/// Things per page of a listing; EC2's largest for machines and groups.
const PAGE: i32 = 1000;
/// Types per page; EC2's largest.
const TYPES_PAGE: i32 = 100;
/// Products per page; the Price List's largest.
const PRODUCTS_PAGE: i32 = 100;

/// Where the Price List of a region is asked: it lives in few regions, and in each for its whole partition
/// (<https://docs.aws.amazon.com/general/latest/gr/billing.html>, "AWS Price List").
fn price_list_region(region: &Region) -> &'static str {
    let of = |start| region.as_str().starts_with(start);
    match () {
        () if of("cn-") => "cn-northwest-1",
        () if of("eu-") || of("af-") || of("me-") || of("il-") => "eu-central-1",
        () if of("ap-") => "ap-south-1",
        () => "us-east-1",
    }
}

/// Makes SDK clients; all of them share one pool of connections.
#[derive(Debug)]
pub struct SdkConnector {
    http: SharedHttpClient,
    endpoint: Option<String>,
    timeouts: TimeoutConfig,
}

impl SdkConnector {
    /// Prepares the transport.
    #[must_use]
    pub fn new(settings: &AwsSettings) -> Self {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        Self {
            http: aws_smithy_http_client::Builder::new().tls_provider(ring).build_https(),
            endpoint: Some(settings.endpoint.0.clone()).filter(|endpoint| !endpoint.is_empty()),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(settings.connect_timeout)
                .operation_timeout(settings.call_timeout)
                .build(),
        }
    }
}

impl Ec2Connector for SdkConnector {
    fn connect(&self, keys: StaticKeys, region: &Region) -> Arc<dyn Ec2Api> {
        let credentials = SharedCredentialsProvider::new(Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            keys.session_token.map(|token| token.expose().to_owned()),
            None,
            "infra",
        ));
        // Three services, three builders of one shape.
        macro_rules! client {
            ($sdk:ident, $region:expr) => {{
                let mut config = $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region($sdk::config::Region::new($region))
                    .credentials_provider(credentials.clone())
                    .http_client(self.http.clone())
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(self.timeouts.clone())
                    .interceptor(WholeAnswer);
                config.set_endpoint_url(self.endpoint.clone());
                $sdk::Client::from_conf(config.build())
            }};
        }
        let timeouts = self.timeouts.clone();
        Arc::new(SdkApi {
            ec2: client!(aws_sdk_ec2, region.to_string()),
            sts: client!(aws_sdk_sts, region.to_string()),
            pricing: client!(aws_sdk_pricing, price_list_region(region)),
            timeouts,
        })
    }
}

#[derive(Debug)]
struct SdkApi {
    ec2: aws_sdk_ec2::Client,
    sts: aws_sdk_sts::Client,
    pricing: aws_sdk_pricing::Client,
    timeouts: TimeoutConfig,
}

impl SdkApi {
    /// This call alone is cut after `within`. The other timeouts stay, or the connection pool would split.
    fn cut(&self, within: Duration) -> aws_sdk_ec2::config::Builder {
        let timeouts = self.timeouts.to_builder().operation_timeout(within).build();
        aws_sdk_ec2::Config::builder().timeout_config(timeouts)
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

#[async_trait]
impl Ec2Api for SdkApi {
    async fn caller_identity(&self) -> Answer<Caller> {
        let caller = self.sts.get_caller_identity().send().await.map_err(failed)?;
        let account = caller.account.ok_or_else(|| lacking("account"))?;
        Ok(Caller { account, arn: caller.arn.unwrap_or_default() })
    }

    async fn assume_role(&self, ask: &AssumeRole) -> Answer<TemporaryKeys> {
        let call = self.sts.assume_role().role_arn(&ask.role_arn).role_session_name(&ask.session_name);
        let made = call.set_external_id(ask.external_id.clone()).send().await.map_err(failed)?;
        let keys = made.credentials.ok_or_else(|| lacking("credentials"))?;
        let expires_at = keys.expiration;
        Ok(TemporaryKeys {
            expires_at: Timestamp::new(expires_at.secs(), 0).ok(),
            keys: StaticKeys {
                access_key_id: Secret::new(keys.access_key_id),
                secret_access_key: Secret::new(keys.secret_access_key),
                session_token: Some(Secret::new(keys.session_token)),
            },
        })
    }

    async fn run_instances(&self, ask: &RunInstances, within: Duration) -> Answer<Vec<Instance>> {
        let call = convert::run_instances(self.ec2.run_instances(), ask);
        let made = call.customize().config_override(self.cut(within)).send().await.map_err(failed)?;
        made.instances.unwrap_or_default().into_iter().map(convert::instance).collect()
    }

    async fn describe_instances(&self, which: &Which, page: Option<String>) -> Answer<Page<Instance>> {
        let call = self.ec2.describe_instances().set_next_token(page);
        let call = match which {
            // Ids and page sizes exclude each other.
            Which::Ids(ids) => call.set_instance_ids(Some(ids.clone())),
            Which::ClientToken(token) => call.filters(filter("client-token", token)).max_results(PAGE),
            Which::Name(name) => call.filters(filter("tag:Name", name)).max_results(PAGE),
            Which::Tag { key, value } => call.filters(filter(&format!("tag:{key}"), value)).max_results(PAGE),
        };
        let date = DateOfAnswer::default();
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let reservations = found.reservations.unwrap_or_default().into_iter();
        let machines = reservations.flat_map(|one| one.instances.unwrap_or_default());
        Ok(date.page(machines.map(convert::instance).collect::<Answer<_>>()?, found.next_token))
    }

    async fn start_instance(&self, id: &str) -> Answer<()> {
        self.ec2.start_instances().instance_ids(id).send().await.map_err(failed).map(drop)
    }

    async fn stop_instance(&self, id: &str, hibernate: bool) -> Answer<()> {
        let call = self.ec2.stop_instances().instance_ids(id).set_hibernate(hibernate.then_some(true));
        call.send().await.map_err(failed).map(drop)
    }

    async fn terminate_instance(&self, id: &str) -> Answer<()> {
        self.ec2.terminate_instances().instance_ids(id).send().await.map_err(failed).map(drop)
    }

    async fn subnet_vpc(&self, subnet: &str) -> Answer<String> {
        let found = self.ec2.describe_subnets().subnet_ids(subnet).send().await.map_err(failed)?;
        let vpc = found.subnets.unwrap_or_default().into_iter().find_map(|subnet| subnet.vpc_id);
        vpc.ok_or_else(|| lacking("vpcId"))
    }

    async fn create_group(&self, ask: &NewGroup, within: Duration) -> Answer<String> {
        let call = self.ec2.create_security_group().group_name(&ask.name).description(&ask.description);
        let call = call.set_vpc_id(ask.vpc.clone());
        let call =
            call.tag_specifications(convert::tag_specification(ResourceType::SecurityGroup, &ask.tags));
        let made = call.customize().config_override(self.cut(within)).send().await.map_err(failed)?;
        made.group_id.ok_or_else(|| lacking("groupId"))
    }

    async fn authorize_ingress(&self, group: &str, cidrs: &[String], within: Duration) -> Answer<()> {
        let call = self.ec2.authorize_security_group_ingress().group_id(group);
        let call = call.ip_permissions(convert::every_port_from(cidrs));
        call.customize().config_override(self.cut(within)).send().await.map_err(failed).map(drop)
    }

    async fn describe_groups(&self, which: &Which, page: Option<String>) -> Answer<Page<Group>> {
        let call = self.ec2.describe_security_groups().set_next_token(page);
        let call = match which {
            Which::Ids(ids) => call.set_group_ids(Some(ids.clone())),
            Which::ClientToken(token) => call.filters(filter("client-token", token)),
            Which::Name(name) => call.filters(filter("group-name", name)).max_results(PAGE),
            Which::Tag { key, value } => call.filters(filter(&format!("tag:{key}"), value)).max_results(PAGE),
        };
        let date = DateOfAnswer::default();
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let groups = found.security_groups.unwrap_or_default().into_iter();
        Ok(date.page(groups.map(convert::group).collect::<Answer<_>>()?, found.next_token))
    }

    async fn delete_group(&self, id: &str) -> Answer<()> {
        self.ec2.delete_security_group().group_id(id).send().await.map_err(failed).map(drop)
    }

    async fn import_key_pair(&self, ask: &NewKeyPair, within: Duration) -> Answer<String> {
        let call = self.ec2.import_key_pair().key_name(&ask.name);
        let call = call.public_key_material(aws_sdk_ec2::primitives::Blob::new(ask.public_key.clone()));
        let call = call.tag_specifications(convert::tag_specification(ResourceType::KeyPair, &ask.tags));
        let made = call.customize().config_override(self.cut(within)).send().await.map_err(failed)?;
        made.key_pair_id.ok_or_else(|| lacking("keyPairId"))
    }

    async fn describe_key_pairs(&self, which: &Which) -> Answer<Page<KeyPair>> {
        let call = self.ec2.describe_key_pairs().include_public_key(true);
        let call = match which {
            Which::Ids(ids) => call.set_key_pair_ids(Some(ids.clone())),
            Which::ClientToken(token) => call.filters(filter("client-token", token)),
            Which::Name(name) => call.filters(filter("key-name", name)),
            Which::Tag { key, value } => call.filters(filter(&format!("tag:{key}"), value)),
        };
        let date = DateOfAnswer::default();
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let pairs = found.key_pairs.unwrap_or_default().into_iter();
        Ok(date.page(pairs.map(convert::key_pair).collect::<Answer<_>>()?, None))
    }

    async fn delete_key_pair(&self, id: &str) -> Answer<()> {
        self.ec2.delete_key_pair().key_pair_id(id).send().await.map_err(failed).map(drop)
    }

    async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        let call = self.ec2.create_tags().resources(id).set_tags(Some(convert::tags_to(tags)));
        call.send().await.map_err(failed).map(drop)
    }

    async fn delete_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        let call = self.ec2.delete_tags().resources(id).set_tags(Some(convert::tags_to(tags)));
        call.send().await.map_err(failed).map(drop)
    }

    async fn describe_types(&self, page: Option<String>) -> Answer<Page<MachineType>> {
        let date = DateOfAnswer::default();
        let call = self.ec2.describe_instance_types().max_results(TYPES_PAGE).set_next_token(page);
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let types = found.instance_types.unwrap_or_default().into_iter();
        Ok(date.page(types.filter_map(convert::machine_type).collect(), found.next_token))
    }

    async fn describe_type_zones(&self, page: Option<String>) -> Answer<Page<(String, String)>> {
        let date = DateOfAnswer::default();
        let call = self.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
        let call = call.max_results(PAGE).set_next_token(page);
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let offerings = found.instance_type_offerings.unwrap_or_default().into_iter();
        let pairs = offerings.filter_map(|one| Some((one.instance_type?.as_str().to_owned(), one.location?)));
        Ok(date.page(pairs.collect(), found.next_token))
    }

    async fn describe_images(&self, query: &ImageQuery, page: Option<String>) -> Answer<Page<MachineImage>> {
        let date = DateOfAnswer::default();
        let call = self.ec2.describe_images();
        let call = match query {
            ImageQuery::Id(id) => call.image_ids(id),
            ImageQuery::Named { owner, pattern } => call
                .owners(owner)
                .filters(filter("name", pattern))
                .filters(filter("state", "available"))
                .max_results(PAGE)
                .set_next_token(page),
        };
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let images = found.images.unwrap_or_default().into_iter();
        Ok(date.page(images.filter_map(convert::image).collect(), found.next_token))
    }

    async fn price_list(&self, ask: &PriceListAsk, page: Option<String>) -> Answer<Page<String>> {
        let date = DateOfAnswer::default();
        let filters = ask.attributes.iter().map(|(name, value)| convert::product_filter(name, value));
        let filters = filters.collect::<Option<Vec<_>>>().ok_or_else(|| lacking("filter"))?;
        let call = self.pricing.get_products().service_code("AmazonEC2").set_filters(Some(filters));
        let call = call.format_version("aws_v1").max_results(PRODUCTS_PAGE).set_next_token(page);
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        Ok(date.page(found.price_list.unwrap_or_default(), found.next_token))
    }

    async fn spot_prices(
        &self,
        product: &str,
        since: Timestamp,
        page: Option<String>,
    ) -> Answer<Page<SpotPrice>> {
        let date = DateOfAnswer::default();
        let since = aws_sdk_ec2::primitives::DateTime::from_secs(since.as_second());
        let call = self.ec2.describe_spot_price_history().product_descriptions(product).start_time(since);
        let call = call.max_results(PAGE).set_next_token(page);
        let found = call.customize().interceptor(date.clone()).send().await.map_err(failed)?;
        let rows = found.spot_price_history.unwrap_or_default().into_iter();
        Ok(date.page(rows.filter_map(convert::spot_price).collect(), found.next_token))
    }
}
