//! Which cloud a world has: the sim itself, or the sim behind a real cloud's protocol, reached by that cloud's real
//! client. Truth and hands are the sim's in all of them; things are called as the client calls them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::infra::NewKey;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::ids::{Region, ResourceId};
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver, Entropy};
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::digitalocean::{DigitalOceanDriver, DigitalOceanSettings};
use infra_providers::http::{HttpRequest, HttpResponse, Transport, TransportError};
use infra_providers::openstack::{OpenStackDriver, OpenStackFake, OpenStackSettings, PriceSheet};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld, Span, TruthThing};

use super::gate::{Gate, StepKind};

/// What is shown of anything at the latest after this.
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);
/// A copy of a disk that does not show after this has failed.
const COPIED_WITHIN: Duration = Duration::from_secs(120);
/// What the servers of the fake Nova cost; others are not offered.
const PRICES: &str =
    "as_of = \"2026-01-01T00:00:00Z\"\ncurrency = \"USD\"\n[per_hour]\n\"t3.small\" = \"0.02\"\n";

/// How the engine reaches the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By the sim's own client.
    Sim,
    /// By the real client of DigitalOcean, over its protocol.
    DigitalOcean,
    /// By the real client of Keystone, Nova, Glance and Neutron, over theirs.
    OpenStack,
}

#[derive(Debug, Clone)]
enum Skin {
    Plain,
    DigitalOcean(Arc<DigitalOceanFake>),
    OpenStack(Arc<OpenStackFake>),
}

/// The cloud of one world.
#[derive(Debug, Clone)]
pub struct Cloud {
    sim: SimWorld,
    skin: Skin,
}

impl Deref for Cloud {
    type Target = SimWorld;

    fn deref(&self) -> &SimWorld {
        &self.sim
    }
}

impl Cloud {
    /// The cloud of a seed; `plain` is the sim's own configuration for it.
    pub fn new(
        kind: Kind,
        seed: u64,
        plain: SimConfig,
        chance: &SeededEntropy,
        clock: &VirtualClock,
    ) -> Self {
        let config = match kind {
            Kind::Sim => plain,
            Kind::DigitalOcean => lagging(DigitalOceanFake::config(seed), chance),
            Kind::OpenStack => lagging(OpenStackFake::config(seed), chance),
        };
        let sim = SimWorld::new(config, Arc::new(clock.clone()));
        let skin = match kind {
            Kind::Sim => Skin::Plain,
            Kind::DigitalOcean => Skin::DigitalOcean(Arc::new(DigitalOceanFake::new(sim.clone()))),
            Kind::OpenStack => Skin::OpenStack(Arc::new(OpenStackFake::new(sim.clone()))),
        };
        Self { sim, skin }
    }

    /// A replica's client. What it sends goes through the replica's gate.
    pub fn driver(&self, gate: &Gate, clock: Arc<dyn Clock>) -> Arc<dyn CloudDriver> {
        let config = self.sim.config();
        let gated = |fake| Arc::new(GateTransport { fake, gate: gate.clone() });
        match &self.skin {
            Skin::Plain => Arc::new(SimDriver::with_clock(self.sim.clone(), clock)),
            Skin::DigitalOcean(fake) => {
                let mut settings = DigitalOceanSettings::default();
                settings.visible_within = config.visible_within;
                settings.snapshot_within = COPIED_WITHIN;
                settings.simulated = true;
                settings.regions = vec![self.region()];
                let fake: Arc<dyn Transport> = Arc::<DigitalOceanFake>::clone(fake);
                Arc::new(DigitalOceanDriver::new(settings, gated(fake), clock))
            }
            Skin::OpenStack(fake) => {
                let (name, auth_url) = (config.cloud.clone(), OpenStackFake::auth_url());
                let mut settings = OpenStackSettings::new(name, &auth_url, vec![self.region()]);
                settings.visible_within = config.visible_within;
                settings.simulated = true;
                settings.prices = Some(PriceSheet::from_toml(PRICES).expect("a sheet"));
                let fake: Arc<dyn Transport> = Arc::<OpenStackFake>::clone(fake);
                Arc::new(OpenStackDriver::new(settings, gated(fake), clock))
            }
        }
    }

    /// The region of all reservations.
    pub fn region(&self) -> Region {
        self.sim.config().regions[0].name.clone()
    }

    /// A key that reaches an account.
    pub fn key(&self, account: &str) -> NewKey {
        let secret = format!("sim-{account}");
        let (kind, fields): (_, &[(&str, &str)]) = match self.skin {
            Skin::Plain => ("static", &[("token", &secret)]),
            Skin::DigitalOcean(_) => ("token", &[("token", &secret)]),
            // It carries its project: should it ever lead elsewhere, only asking who it is will show that.
            Skin::OpenStack(_) => (
                "application_credential",
                &[("application_credential_id", "1"), ("application_credential_secret", &secret)],
            ),
        };
        let fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        NewKey {
            provider: self.sim.config().cloud.clone(),
            label: "default".to_owned(),
            kind: kind.to_owned(),
            fields: fields.collect(),
        }
    }

    /// What the client calls a thing.
    pub fn id_of(&self, thing: &TruthThing) -> ResourceId {
        let shown = match self.skin {
            Skin::Plain => None,
            Skin::DigitalOcean(_) => DigitalOceanFake::id_of(thing),
            Skin::OpenStack(_) => OpenStackFake::id_of(thing),
        };
        shown.unwrap_or_else(|| thing.id.clone())
    }

    /// What the sim calls the thing that the client calls so.
    pub fn inner(&self, id: &ResourceId) -> Option<ResourceId> {
        self.sim.truth().into_iter().find(|thing| &self.id_of(thing) == id).map(|thing| thing.id)
    }
}

/// A fake's own kind of cloud, with what makes clouds hard: lags, and builds that take a while.
fn lagging(config: SimConfig, chance: &SeededEntropy) -> SimConfig {
    let mut regions = config.regions.clone();
    regions.truncate(1);
    SimConfig {
        regions,
        visible_within: VISIBLE_WITHIN,
        list_lag: Span::secs(0, 1 + chance.below(20)),
        id_lag: Span::secs(0, 2),
        boot: Span::secs(1, 30),
        ..config
    }
}

/// The wire: every request is an effect, so a crash may come between the requests of one call.
#[derive(Debug)]
struct GateTransport {
    fake: Arc<dyn Transport>,
    gate: Gate,
}

#[async_trait]
impl Transport for GateTransport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.gate.effect(StepKind::Request, self.fake.call(request)).await
    }
}
