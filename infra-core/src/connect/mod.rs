//! From keys at rest to live connections, and what they offer.
//!
//! # Flow
//! [`Connections::provider`] reads the key, opens its seal and lets the driver connect it to one lane; the
//! connection is kept until the key changes. [`Connections::for_lane`] says with whose keys a lane can be worked.
//! [`Connections::catalogue`] is what quotes read.
//!
//! # Guarantees
//! * A connection is never shared between tenants: its cache is keyed by tenant, key, version, lane and
//!   installation, and the key is read from the store at every call, so a replaced or removed key is never used
//!   again.
//! * A key is used only for lanes of its own account, and a lane only through a driver with the lane's endpoint:
//!   another account or endpoint is another lane, whose "not found" means nothing here.
//! * Secrets are opened only to be handed to a driver.
//!
//! # Assumptions
//! Between [`Connections::provider`] and a send the key may change: the commit that writes a send down carries
//! [`Connected::check`], and keys that are [`Connected::retired`] are not sent with.
//!
//! # Cancel safety
//! Every `async fn` here only reads the store and fills caches: it may be dropped at any await.
//! ([`Connections::register_lanes`] and [`Connections::drop_retired`] write; repeating them is fine.)

mod catalogues;
mod error;
mod lanes;
mod providers;
mod sameness;
mod swap;
mod sync;
mod watched;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, Weak};

pub use catalogues::Stock;
pub use error::ConnectError;
pub use lanes::LaneKey;
pub(crate) use lanes::made_with_account_of;
pub use providers::Connected;

use crate::contracts::pricing::{Prepared, PricingEngine};
use crate::contracts::provider::CloudDriver;
use crate::records::Repo;
use crate::words::clock::Clock;
use crate::words::entropy::Entropy;
use crate::words::ids::CloudName;
use crate::words::secret::{MasterKey, Sealed, Secret, digest};

/// Connections of all tenants to all configured clouds. Cheap to clone; all clones share one cache.
#[derive(Clone, Debug)]
pub struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    repo: Repo,
    clock: Arc<dyn Clock>,
    master: MasterKey,
    drivers: BTreeMap<CloudName, Arc<dyn CloudDriver>>,
    providers: Mutex<HashMap<providers::CacheKey, Connected>>,
    catalogues: Mutex<HashMap<catalogues::CacheKey, Arc<catalogues::Entry>>>,
    pricing: OnceLock<Arc<dyn PricingEngine>>,
    prepared: Mutex<HashMap<sameness::Same, Weak<Prepared>>>,
    sameness: sameness::Sameness,
    simulated: Mutex<HashMap<CloudName, bool>>,
}

impl Connections {
    /// Connections through these drivers. Does no I/O.
    ///
    /// # Errors
    /// [`ConnectError::SameName`] when two drivers have one name.
    pub fn new(
        repo: Repo,
        clock: Arc<dyn Clock>,
        master: MasterKey,
        drivers: impl IntoIterator<Item = Arc<dyn CloudDriver>>,
    ) -> Result<Self, ConnectError> {
        let mut by_name = BTreeMap::new();
        for driver in drivers {
            let cloud = driver.name();
            if by_name.insert(cloud.clone(), driver).is_some() {
                return Err(ConnectError::SameName { cloud });
            }
        }
        let shared = Shared {
            repo,
            clock,
            master,
            drivers: by_name,
            providers: Mutex::default(),
            catalogues: Mutex::default(),
            pricing: OnceLock::new(),
            prepared: Mutex::default(),
            sameness: sameness::Sameness::default(),
            simulated: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Catalogues that arrive from now on are prepared by this engine; the first one named stays. Without one they are
    /// ranked as they are.
    #[must_use]
    pub fn prepared_by(self, engine: Arc<dyn PricingEngine>) -> Self {
        drop(self.shared.pricing.set(engine));
        self
    }

    /// The driver of a cloud; `None` when it is not configured.
    #[must_use]
    pub fn driver(&self, cloud: &CloudName) -> Option<&Arc<dyn CloudDriver>> {
        self.shared.drivers.get(cloud)
    }

    /// Configured clouds, by name.
    #[must_use]
    pub fn clouds(&self) -> Vec<CloudName> {
        self.shared.drivers.keys().cloned().collect()
    }

    /// Is what runs at a cloud free of real cost? `None` until somebody connected to it.
    #[must_use]
    pub fn simulated(&self, cloud: &CloudName) -> Option<bool> {
        self.shared.simulated.lock().expect("nobody panics while reading it").get(cloud).copied()
    }
}

/// Most entries of each cache; a full one is emptied, which costs a reconnect each and nothing else.
const CACHED_MAX: usize = 4096;

/// Seals the fields of a key for its place, as one JSON object; answers it with the key's fingerprint.
pub(crate) fn seal_fields(
    master: &MasterKey,
    entropy: &dyn Entropy,
    place: &str,
    fields: &BTreeMap<String, Secret>,
) -> (Sealed, String) {
    let open: BTreeMap<&str, &str> =
        fields.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let text = zeroize::Zeroizing::new(serde_json::to_string(&open).expect("a map of texts serialises"));
    let mut fingerprint = digest(text.as_bytes());
    fingerprint.truncate(FINGERPRINT_LEN);
    (master.seal(place, &text, entropy), fingerprint)
}

/// Hex digits of a fingerprint: enough to tell two keys apart by eye.
const FINGERPRINT_LEN: usize = 12;
