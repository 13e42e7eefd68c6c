//! Keys that end: fetched, shared, and fetched anew before they do.
//!
//! # Flow
//! A [`Source`] says how keys are had: from an [`AmbientKeys`], or by assuming a role with other keys. [`Renewing`] is
//! the seam over whatever keys are good now: each call takes the current API, and whoever finds it too old fetches new
//! keys while the others wait for that one answer.
//!
//! # Guarantees
//! * Keys are renewed [`AHEAD`] of their end, by one fetch for all who wait.
//! * An answer that says that the keys have ended did nothing: the call is made once more with new keys, within what
//!   is left of its time. Nothing else is repeated.
//! * A failed fetch is the answer to the calls that waited for it, and is tried again by the next.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::words::clock::{Clock, Timestamp, later};
use infra_core::words::ids::Region;
use tokio::sync::Mutex;

use super::api::{
    Answer, ApiFailure, AssumeRole, Caller, Ec2Api, Group, ImageQuery, Instance, KeyPair, MachineImage,
    MachineType, NewGroup, NewKeyPair, Page, PriceListAsk, RunInstances, SpotPrice, StaticKeys, Tags,
    TemporaryKeys, Which,
};
use super::driver::{AmbientKeys, Ec2Connector};

/// Keys are renewed so long before their end: longer than any call takes.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How keys are had.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// They are at hand.
    Fixed(StaticKeys),
    /// From the operator's surroundings.
    Ambient(Arc<dyn AmbientKeys>),
    /// By assuming a role with the keys of another source.
    Role(AssumeRole, Box<Source>),
}

impl Source {
    /// Gets keys anew.
    async fn fetch(&self, connector: &dyn Ec2Connector, region: &Region) -> Answer<TemporaryKeys> {
        match self {
            Self::Fixed(keys) => Ok(TemporaryKeys { keys: keys.clone(), expires_at: None }),
            Self::Ambient(ambient) => ambient.fetch().await,
            Self::Role(role, base) => {
                let base = Box::pin(base.fetch(connector, region)).await?;
                connector.connect(base.keys, region).assume_role(role).await
            }
        }
    }
}

/// The API with keys that are renewed.
#[derive(Debug)]
pub(super) struct Renewing {
    source: Source,
    connector: Arc<dyn Ec2Connector>,
    region: Region,
    clock: Arc<dyn Clock>,
    /// Held while keys are fetched: that makes one fetch of many.
    current: Mutex<Option<Current>>,
}

#[derive(Debug, Clone)]
struct Current {
    api: Arc<dyn Ec2Api>,
    expires_at: Option<Timestamp>,
}

impl Renewing {
    pub(super) fn new(
        source: Source,
        connector: Arc<dyn Ec2Connector>,
        region: Region,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { source, connector, region, clock, current: Mutex::default() }
    }

    /// The API with good keys. `spent` is one whose keys AWS has just called ended.
    async fn api(&self, spent: Option<&Arc<dyn Ec2Api>>) -> Answer<Arc<dyn Ec2Api>> {
        let mut current = self.current.lock().await;
        let soon = later(self.clock.wall(), AHEAD);
        let good = current.as_ref().filter(|known| {
            let fresh = known.expires_at.is_none_or(|at| at > soon);
            fresh && !spent.is_some_and(|spent| Arc::ptr_eq(spent, &known.api))
        });
        if let Some(known) = good {
            return Ok(Arc::clone(&known.api));
        }
        let fetched = self.source.fetch(&*self.connector, &self.region).await;
        // Keys that cannot be renewed yet are good until they end.
        let last =
            |known: &Current| spent.is_none() && known.expires_at.is_some_and(|at| at > self.clock.wall());
        let made = match (fetched, current.as_ref().filter(|known| last(known))) {
            (Ok(made), _) => made,
            (Err(_), Some(known)) => return Ok(Arc::clone(&known.api)),
            (Err(failure), None) => return Err(failure),
        };
        let api = self.connector.connect(made.keys, &self.region);
        *current = Some(Current { api: Arc::clone(&api), expires_at: made.expires_at });
        Ok(api)
    }
}

/// Did AWS refuse the call because its keys have ended?
fn is_spent(failure: &ApiFailure) -> bool {
    matches!(failure.reached, super::api::Reached::Answered(_))
        && matches!(failure.said.code.as_str(), "ExpiredToken" | "ExpiredTokenException" | "RequestExpired")
}

/// One call with good keys; once more when they had ended. A call that creates is cut by what is left of its time.
macro_rules! renewed {
    ($self:ident, $api:ident => $call:expr) => {{
        let $api = $self.api(None).await?;
        match $call.await {
            Err(failure) if is_spent(&failure) => {
                let $api = $self.api(Some(&$api)).await?;
                $call.await
            }
            answer => answer,
        }
    }};
    ($self:ident, $within:ident, $api:ident, $left:ident => $call:expr) => {{
        let until = $self.clock.mono() + $within;
        let $api = $self.api(None).await?;
        let $left = left(&*$self.clock, until).ok_or_else(late)?;
        match $call.await {
            Err(failure) if is_spent(&failure) => {
                let $api = $self.api(Some(&$api)).await?;
                let $left = left(&*$self.clock, until).ok_or(failure)?;
                $call.await
            }
            answer => answer,
        }
    }};
}

fn left(clock: &dyn Clock, until: Duration) -> Option<Duration> {
    until.checked_sub(clock.mono()).filter(|left| !left.is_zero())
}

/// The time of a call went by while keys were fetched.
fn late() -> ApiFailure {
    let said = crate::failure::own("not-sent", "getting keys took all the time that the call had");
    ApiFailure { reached: super::api::Reached::Nothing, said, retry_after: None }
}

#[async_trait]
impl Ec2Api for Renewing {
    async fn caller_identity(&self) -> Answer<Caller> {
        renewed!(self, api => api.caller_identity())
    }

    async fn assume_role(&self, ask: &AssumeRole) -> Answer<TemporaryKeys> {
        renewed!(self, api => api.assume_role(ask))
    }

    async fn run_instances(&self, ask: &RunInstances, within: Duration) -> Answer<Vec<Instance>> {
        renewed!(self, within, api, left => api.run_instances(ask, left))
    }

    async fn describe_instances(&self, which: &Which, page: Option<String>) -> Answer<Page<Instance>> {
        renewed!(self, api => api.describe_instances(which, page.clone()))
    }

    async fn start_instance(&self, id: &str) -> Answer<()> {
        renewed!(self, api => api.start_instance(id))
    }

    async fn stop_instance(&self, id: &str, hibernate: bool) -> Answer<()> {
        renewed!(self, api => api.stop_instance(id, hibernate))
    }

    async fn terminate_instance(&self, id: &str) -> Answer<()> {
        renewed!(self, api => api.terminate_instance(id))
    }

    async fn subnet_vpc(&self, subnet: &str) -> Answer<String> {
        renewed!(self, api => api.subnet_vpc(subnet))
    }

    async fn create_group(&self, ask: &NewGroup, within: Duration) -> Answer<String> {
        renewed!(self, within, api, left => api.create_group(ask, left))
    }

    async fn authorize_ingress(&self, group: &str, cidrs: &[String], within: Duration) -> Answer<()> {
        renewed!(self, within, api, left => api.authorize_ingress(group, cidrs, left))
    }

    async fn describe_groups(&self, which: &Which, page: Option<String>) -> Answer<Page<Group>> {
        renewed!(self, api => api.describe_groups(which, page.clone()))
    }

    async fn delete_group(&self, id: &str) -> Answer<()> {
        renewed!(self, api => api.delete_group(id))
    }

    async fn import_key_pair(&self, ask: &NewKeyPair, within: Duration) -> Answer<String> {
        renewed!(self, within, api, left => api.import_key_pair(ask, left))
    }

    async fn describe_key_pairs(&self, which: &Which) -> Answer<Page<KeyPair>> {
        renewed!(self, api => api.describe_key_pairs(which))
    }

    async fn delete_key_pair(&self, id: &str) -> Answer<()> {
        renewed!(self, api => api.delete_key_pair(id))
    }

    async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        renewed!(self, api => api.create_tags(id, tags))
    }

    async fn delete_tags(&self, id: &str, tags: &Tags) -> Answer<()> {
        renewed!(self, api => api.delete_tags(id, tags))
    }

    async fn describe_types(&self, page: Option<String>) -> Answer<Page<MachineType>> {
        renewed!(self, api => api.describe_types(page.clone()))
    }

    async fn describe_type_zones(&self, page: Option<String>) -> Answer<Page<(String, String)>> {
        renewed!(self, api => api.describe_type_zones(page.clone()))
    }

    async fn describe_images(&self, query: &ImageQuery, page: Option<String>) -> Answer<Page<MachineImage>> {
        renewed!(self, api => api.describe_images(query, page.clone()))
    }

    async fn price_list(&self, ask: &PriceListAsk, page: Option<String>) -> Answer<Page<String>> {
        renewed!(self, api => api.price_list(ask, page.clone()))
    }

    async fn spot_prices(
        &self,
        product: &str,
        since: Timestamp,
        page: Option<String>,
    ) -> Answer<Page<SpotPrice>> {
        renewed!(self, api => api.spot_prices(product, since, page.clone()))
    }
}
