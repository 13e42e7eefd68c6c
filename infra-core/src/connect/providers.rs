//! One connection per tenant, key and lane.
//!
//! # Guarantees
//! * A key serves a lane only when cloud and account are the lane's: a replaced key of another account never
//!   sees the lane's things as absent.
//! * The pinned key comes first, then an active one of the same account, then a retired one: what was made
//!   can be ended as long as anything reaches it.
//! * The answer says which key it was and at which version, so that a commit can check that it is still
//!   there.
//!
//! # Caveats
//! An old connection lives on in whoever holds it. What it may do is limited by the commit before each call,
//! not by taking it away.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::watched::Watched;
use super::{CACHED_MAX, ConnectError, Connections};
use crate::contracts::provider::{CloudDriver, CloudProvider};
use crate::contracts::store::{Expect, Key};
use crate::nouns::credential::{Credential, StoredCredential};
use crate::nouns::installation::Installation;
use crate::records::{Stored, Txn, Versioned};
use crate::words::ids::{CredentialId, InstallationId, TenantId};
use crate::words::lane::{Lane, Version};
use crate::words::secret::Secret;

/// A connection is reused only for exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    tenant: TenantId,
    credential: CredentialId,
    version: Version,
    lane: Lane,
    installation: InstallationId,
}

/// A live connection, and the key that it was made with. Cheap to clone; derefs to the provider.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The connection.
    pub provider: Arc<dyn CloudProvider>,
    /// The key that serves: the pinned one, or a newer one of the same account.
    pub credential: CredentialId,
    /// Where the key stands.
    pub key: Key,
    /// The key's version when it was connected.
    pub version: Version,
    /// The key may look at things and end them, but make nothing.
    pub retired: bool,
}

impl Connected {
    /// Fails the commit when the key was replaced, retired or removed meanwhile. Belongs into every commit
    /// that writes a send down, so that no send leaves with a key that somebody is taking away.
    pub fn check(&self, txn: &mut Txn) {
        txn.check(self.key.clone(), Expect::Version(self.version));
    }
}

impl Deref for Connected {
    type Target = dyn CloudProvider;

    fn deref(&self) -> &Self::Target {
        &*self.provider
    }
}

impl Connections {
    /// A tenant's connection to a lane: with the pinned key, or, when that is gone or retired, with an active
    /// one of the same cloud and account, or with a retired one of that account.
    ///
    /// Reads the key and the installation from the store at every call; connects only when one of them
    /// changed.
    ///
    /// # Errors
    /// [`ConnectError::NoKey`], [`ConnectError::NoDriver`], [`ConnectError::OtherEndpoint`],
    /// [`ConnectError::Sealed`], [`ConnectError::Provider`], [`ConnectError::Repo`].
    pub async fn provider(
        &self,
        tenant: &TenantId,
        pinned: &CredentialId,
        lane: &Lane,
    ) -> Result<Connected, ConnectError> {
        let driver = self.driver_of(lane)?;
        let installation = self.installation().await?;
        let stored = self.serving(tenant, pinned, lane).await?;
        let cache_key = CacheKey {
            tenant: tenant.clone(),
            credential: stored.value.id.clone(),
            version: stored.version,
            lane: lane.clone(),
            installation,
        };
        if let Some(found) = self.cached(&cache_key) {
            return Ok(found);
        }
        let credential = self.open(&stored.value)?;
        let provider = driver.connect(&credential, lane, installation).await.map_err(|source| {
            ConnectError::Provider { lane: Box::new(lane.clone()), source: Box::new(source) }
        })?;
        let provider = Arc::new(Watched {
            provider,
            lane: lane.clone(),
            observer: self.shared.repo.observer(),
            clock: Arc::clone(&self.shared.clock),
        });
        let connected = Connected {
            provider,
            credential: stored.value.id.clone(),
            key: stored.value.key(),
            version: stored.version,
            retired: stored.value.retired,
        };
        self.keep(cache_key, &connected);
        Ok(connected)
    }

    /// The driver that is configured for a lane's very endpoint.
    fn driver_of(&self, lane: &Lane) -> Result<&Arc<dyn CloudDriver>, ConnectError> {
        let driver =
            self.driver(&lane.cloud).ok_or_else(|| ConnectError::NoDriver { cloud: lane.cloud.clone() })?;
        let configured = driver.endpoint();
        if configured != lane.endpoint {
            return Err(ConnectError::OtherEndpoint { lane: lane.clone(), configured });
        }
        Ok(driver)
    }

    /// Whose marks connections write and list.
    async fn installation(&self) -> Result<InstallationId, ConnectError> {
        let found = self.shared.repo.get::<Installation>(Installation::place()).await?;
        found
            .map(|record| record.value.id)
            .ok_or_else(|| ConnectError::Internal { why: "the store was never opened".to_owned() })
    }

    /// The key that serves a lane in the pinned one's place.
    async fn serving(
        &self,
        tenant: &TenantId,
        pinned: &CredentialId,
        lane: &Lane,
    ) -> Result<Versioned<StoredCredential>, ConnectError> {
        let fits = |key: &StoredCredential| key.provider == lane.cloud && key.account == lane.account;
        let place = StoredCredential::place_of(tenant, pinned);
        let exact = self.shared.repo.get::<StoredCredential>(place).await?.filter(|key| fits(&key.value));
        if let Some(key) = exact.as_ref().filter(|key| !key.value.retired) {
            return Ok(key.clone());
        }
        let prefix = format!("{}/", lane.cloud);
        let mut others = self.shared.repo.list_prefix::<StoredCredential>(tenant, &prefix, None).await?;
        others.retain(|key| fits(&key.value));
        // Active before retired, then the newest: the one that most likely still works.
        let best = others.into_iter().min_by_key(|key| (key.value.retired, std::cmp::Reverse(key.version)));
        let best = match (exact, best) {
            (Some(exact), Some(best)) if best.value.retired => Some(exact),
            (exact, best) => best.or(exact),
        };
        best.ok_or_else(|| ConnectError::NoKey { tenant: tenant.clone(), lane: lane.clone() })
    }

    /// Opens a key's seal.
    pub(super) fn open(&self, stored: &StoredCredential) -> Result<Credential, ConnectError> {
        let place = StoredCredential::place(&stored.tenant, &stored.id);
        let text = self
            .shared
            .master
            .open(&place, &stored.sealed)
            .map_err(|source| ConnectError::Sealed { credential: stored.id.clone(), source })?;
        // The parser's own words may quote what it read: they are dropped.
        let fields: BTreeMap<String, String> = serde_json::from_str(text.expose()).map_err(|_| {
            ConnectError::Internal { why: format!("key {} is not an object of texts", stored.id) }
        })?;
        let fields = fields.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        Ok(Credential { provider: stored.provider.clone(), kind: stored.kind.clone(), fields })
    }

    /// A connection made earlier for exactly this.
    fn cached(&self, cache_key: &CacheKey) -> Option<Connected> {
        self.shared.providers.lock().expect("nobody panics while reading it").get(cache_key).cloned()
    }

    /// Keeps a connection and forgets those that the same key had in older versions.
    fn keep(&self, cache_key: CacheKey, connected: &Connected) {
        let simulated = connected.facts().simulated;
        let cloud = cache_key.lane.cloud.clone();
        self.shared.simulated.lock().expect("nobody panics while writing it").insert(cloud, simulated);
        let mut kept = self.shared.providers.lock().expect("nobody panics while writing it");
        if kept.len() >= CACHED_MAX {
            kept.clear();
        }
        kept.retain(|other, _| {
            let same = other.tenant == cache_key.tenant && other.credential == cache_key.credential;
            !same || (other.version == cache_key.version && other.installation == cache_key.installation)
        });
        kept.insert(cache_key, connected.clone());
    }
}
