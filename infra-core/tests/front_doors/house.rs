//! One installation for a test, and a store that crashes where it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use infra_core::contracts::store::{
    Change, Changes, Commit, DueQuery, Key, ListBy, ListQuery, Page, Record, RecordKind, StoreError,
    StoreLimits,
};
use infra_core::infra::{IdempotencyKey, NewKey, NewTemplate, Operator, TemplateFrom, UserHandle};
use infra_core::nouns::request::Request;
use infra_core::records::{Repo, Stored, Versioned};
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::fault::Effect;
use infra_core::words::ids::{CloudName, UserId};
use infra_core::words::lane::Version;
use infra_core::words::planted::Planted;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Infra, InfraBuilder, InfraError, Limits, ReservationStore, SystemClock};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld, Span};
use infra_store::MemoryStore;

pub const HOME: &str = "machine-a:/var/lib/infra";

/// A store, a cloud, and an installation over both.
pub struct House {
    pub store: Arc<MemoryStore>,
    pub sim: SimWorld,
    pub infra: Infra,
}

/// A cloud that builds and ends machines within milliseconds.
pub fn quick() -> SimWorld {
    let config = SimConfig {
        list_lag: Span::millis(0, 0),
        id_lag: Span::millis(0, 0),
        boot: Span::millis(1, 5),
        stop: Span::millis(1, 5),
        terminate: Span::millis(1, 5),
        visible_within: Duration::from_millis(50),
        // Below what any test keeps rows for: a thing that no row explains any more would freeze the store.
        gone_shown_for: Duration::from_secs(1),
        ..SimConfig::small(1)
    };
    SimWorld::new(config, Arc::new(SystemClock))
}

/// Pauses short enough for a test on the real clock.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.listing_every = Duration::from_millis(50);
    limits.listing_idle_every = Duration::from_millis(50);
    limits.poll_every = Duration::from_millis(20);
    limits.retry_min = Duration::from_millis(20);
    limits.retry_max = Duration::from_millis(100);
    limits
}

/// Everything but the engine and the home.
pub fn parts(store: Arc<dyn ReservationStore>, sim: &SimWorld) -> InfraBuilder {
    Infra::builder()
        .with_store(store)
        .with_driver(Arc::new(SimDriver::new(sim.clone())))
        .with_limits(limits())
        .with_master_key(MasterKey::new([7; 32]))
}

impl House {
    /// Only the handle: what is accepted stays pending.
    pub async fn quiet() -> Self {
        let (store, sim) = (Arc::new(MemoryStore::new()), quick());
        let infra = parts(store.clone(), &sim).with_home(HOME).without_engine().build().await.expect("opens");
        Self { store, sim, infra }
    }

    /// With a running engine.
    pub async fn live() -> Self {
        let (store, sim) = (Arc::new(MemoryStore::new()), quick());
        let infra = parts(store.clone(), &sim).with_home(HOME).build().await.expect("opens");
        Self { store, sim, infra }
    }

    /// The same store, opened at a place.
    pub async fn reopened(&self, home: &str) -> Infra {
        parts(self.store.clone(), &self.sim).with_home(home).without_engine().build().await.expect("opens")
    }

    pub fn operator(&self) -> Operator {
        self.infra.operator()
    }

    /// A user alone in its team, with a key to an account of its own.
    pub async fn user(&self, name: &str) -> UserHandle {
        let user = self.keyless(name).await;
        user.save_key(&sim_key("default", &format!("sim-acc-{name}"))).await.expect("a good key");
        user
    }

    pub async fn keyless(&self, name: &str) -> UserHandle {
        let id: UserId = name.parse().expect("legal");
        self.operator().add_user(&id, None).await.expect("a new user");
        self.infra.user(&id)
    }

    /// A user of a team; whoever is first brings the team's key.
    pub async fn mate(&self, team: &str, name: &str) -> UserHandle {
        let id: UserId = name.parse().expect("legal");
        let tenant = team.parse().expect("legal");
        self.operator().add_user(&id, Some(&tenant)).await.expect("a new user");
        let user = self.infra.user(&id);
        if user.keys().await.expect("lists").is_empty() {
            user.save_key(&sim_key("default", &format!("sim-acc-{team}"))).await.expect("a good key");
        }
        user
    }

    /// The same installation over a store that dies at its n-th commit from now.
    pub async fn dying(&self, commits: u32) -> Infra {
        let store = Crashing { inner: self.store.clone(), commits_left: AtomicU32::new(commits) };
        parts(Arc::new(store), &self.sim).with_home(HOME).without_engine().build().await.expect("opens")
    }

    /// The same installation over a store where something happens just before the next commit that writes this kind.
    pub async fn with_meanwhile(&self, kind: RecordKind, work: BoxFuture<'static, ()>) -> Infra {
        let store = Meanwhile { inner: self.store.clone(), kind, work: Mutex::new(Some(work)) };
        parts(Arc::new(store), &self.sim).with_home(HOME).without_engine().build().await.expect("opens")
    }

    /// The same installation over a store that does the next commit of this kind, and says for ever that nobody knows.
    pub async fn with_lost_reply(&self, kind: RecordKind) -> Infra {
        let store = LostReply { inner: self.store.clone(), kind };
        parts(Arc::new(store), &self.sim).with_home(HOME).without_engine().build().await.expect("opens")
    }

    pub async fn held(&self, user: &UserHandle) -> u32 {
        self.operator().get_user(user.id()).await.expect("is there").machines_held
    }

    pub fn repo(&self) -> Repo {
        // Drawn, not seeded: two repositories of one millisecond would give two commits the same id.
        let entropy = Arc::new(SystemEntropy);
        Repo::new(
            self.store.clone(),
            Arc::new(SystemClock),
            entropy,
            infra_core::infra::SHARDS,
            Planted::NONE,
        )
    }

    pub async fn all<T: Stored>(&self) -> Vec<Versioned<T>> {
        self.repo().list_all(ListBy::All, None).await.expect("memory answers")
    }

    /// Every record of every kind.
    pub async fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for kind in RecordKind::ALL {
            let mut query = ListQuery { by: ListBy::All, kind, state_max: None, after: None, limit: 100 };
            loop {
                let page = self.store.list(&query).await.expect("memory answers");
                all.extend(page.items);
                let Some(next) = page.next else { break };
                query.after = Some(next);
            }
        }
        all
    }

    pub async fn newest(&self) -> Version {
        self.repo().newest().await.expect("memory answers")
    }
}

pub fn sim() -> CloudName {
    "sim".parse().expect("legal")
}

pub fn sim_key(label: &str, token: &str) -> NewKey {
    let fields = BTreeMap::from([("token".to_owned(), Secret::new(token.to_owned()))]);
    NewKey { provider: sim(), label: label.to_owned(), kind: "static".to_owned(), fields }
}

/// A small wish.
pub fn wish(count: u32) -> Request {
    let mut request = Request::default();
    request.count = Some(count);
    request.vcpus = Some(1.0);
    request.duration_s = Some(3600);
    request
}

/// A request to be kept under a name.
pub fn template(name: &str, request: Request) -> NewTemplate {
    NewTemplate { name: name.parse().expect("legal"), from: TemplateFrom::Request(Box::new(request)) }
}

pub fn once(key: &str) -> IdempotencyKey {
    IdempotencyKey::new("POST reservations", key).expect("printable")
}

/// The answer's variant, for tables of refusals.
pub fn word(error: &InfraError) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// A store whose process dies at one commit: that one and all later ones fail, undone.
#[derive(Debug)]
pub struct Crashing {
    pub inner: Arc<MemoryStore>,
    pub commits_left: AtomicU32,
}

#[async_trait]
impl ReservationStore for Crashing {
    fn limits(&self) -> StoreLimits {
        self.inner.limits()
    }
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.get(keys).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        let less = |left: u32| left.checked_sub(1);
        if self.commits_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_err() {
            return Err(StoreError::Unavailable { why: "crash".to_owned(), effect: Effect::NotApplied });
        }
        self.inner.commit(commit).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        self.inner.list(query).await
    }
    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        self.inner.due(query).await
    }
    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        self.inner.changes(after, wait).await
    }
}

/// Does a commit write a record of this kind?
fn writes(commit: &Commit, kind: RecordKind) -> bool {
    let written = |change: &Change| !matches!(change, Change::Check { .. }) && change.key().kind == kind;
    commit.changes.iter().any(written)
}

/// A store where something happens between a decision and its commit.
pub struct Meanwhile {
    inner: Arc<MemoryStore>,
    kind: RecordKind,
    work: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanwhile").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Meanwhile {
    async fn take(&self, commit: &Commit) -> Result<Version, StoreError> {
        let mine = writes(commit, self.kind);
        let work = if mine { self.work.lock().expect("no panic under it").take() } else { None };
        if let Some(work) = work {
            work.await;
        }
        self.inner.commit(commit).await
    }
}

/// A store whose commits of one kind are done, and nobody is told.
#[derive(Debug)]
pub struct LostReply {
    inner: Arc<MemoryStore>,
    kind: RecordKind,
}

impl LostReply {
    async fn take(&self, commit: &Commit) -> Result<Version, StoreError> {
        let version = self.inner.commit(commit).await?;
        if writes(commit, self.kind) {
            return Err(StoreError::Unavailable {
                why: "the reply is lost".to_owned(),
                effect: Effect::Unknown,
            });
        }
        Ok(version)
    }
}

macro_rules! forwarding {
    ($store:ty) => {
        #[async_trait]
        impl ReservationStore for $store {
            fn limits(&self) -> StoreLimits {
                self.inner.limits()
            }
            async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
                self.inner.get(keys).await
            }
            async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
                self.take(commit).await
            }
            async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
                self.inner.list(query).await
            }
            async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
                self.inner.due(query).await
            }
            async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
                self.inner.changes(after, wait).await
            }
        }
    };
}

forwarding!(Meanwhile);
forwarding!(LostReply);
