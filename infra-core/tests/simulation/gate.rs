//! The gate between one replica and everything outside it: counts every effect, crashes after (or before) any of
//! them, loses replies of commits, pauses a call, and checks at the cloud's door what must hold there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{
    CloudDriver, CloudProvider, Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError,
    Send as Sending, Series,
};
use infra_core::contracts::store::{
    Change, Changes, Commit, DueQuery, Key, ListQuery, Page, Record, RecordKind, ReservationStore,
    StoreError, StoreLimits,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FrozenLaunch, Launch, LaunchState};
use infra_core::nouns::offering::Catalogue;
use infra_core::words::fault::Effect;
use infra_core::words::ids::{AccountId, CloudName, InstallationId, Region, ResourceId};
use infra_core::words::lane::{Endpoint, Lane, ResourceKind, Version};
use infra_store::MemoryStore;

use super::cloud;
use super::door::Door;
use super::skin::Cloud;

/// What was being done when the crash came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    Commit,
    Launch,
    Find,
    Get,
    List,
    Terminate,
    Power,
    Mark,
    /// One request of a real client, inside one of the others.
    Request,
}

/// Before the effect, or after it and before anybody learns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// What the store loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Done, and the reply lost.
    LostReply,
    /// Not done, and nobody knows.
    LostRequest,
}

type Hook = Box<dyn FnOnce(&MemoryStore) + Send>;

#[derive(Default)]
struct State {
    effects: u64,
    crash_at: Option<(u64, When)>,
    crashed: Option<StepKind>,
    pause_launches: bool,
    paused: u32,
    commit_faults: Vec<CommitFault>,
    before_sent: Option<Hook>,
    before_look: Option<Hook>,
    counts: BTreeMap<StepKind, u64>,
    listed: BTreeSet<ResourceId>,
    lagging: u64,
}

/// One replica's gate.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<State>>);

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under this lock")
    }

    /// Crashes at the n-th effect from now, 1 being the next.
    pub fn crash_in(&self, n: u64, when: When) {
        let mut state = self.state();
        state.crash_at = Some((state.effects + n, when));
    }

    /// No crash lies in wait any more.
    pub fn disarm(&self) {
        self.state().crash_at = None;
    }

    pub fn crashed(&self) -> Option<StepKind> {
        self.state().crashed
    }

    pub fn effects(&self) -> u64 {
        self.state().effects
    }

    /// Launch calls stop at the cloud's door until resumed.
    pub fn pause_launches(&self, pause: bool) {
        self.state().pause_launches = pause;
    }

    /// How many launch calls stand at the door.
    pub fn paused(&self) -> u32 {
        self.state().paused
    }

    /// Complete listings that did not show something that was there, since the last question.
    pub fn take_lagging(&self) -> u64 {
        std::mem::take(&mut self.state().lagging)
    }

    /// A page of a listing came; the last one is compared with the truth.
    fn listed(&self, page: &OwnedPage, account: &AccountId, sim: &Cloud) {
        let mut state = self.state();
        state.listed.extend(page.items.iter().map(|item| item.id.clone()));
        if page.next.is_some() {
            return;
        }
        let listed = std::mem::take(&mut state.listed);
        let there = cloud::everything(sim).into_iter().filter(|seen| seen.there && seen.token.is_some());
        let mut mine = there.filter(|seen| seen.account == account.as_str() && seen.marked);
        state.lagging += u64::from(mine.any(|seen| !listed.contains(&seen.id)));
    }

    pub fn lose_commits(&self, faults: Vec<CommitFault>) {
        self.state().commit_faults = faults;
    }

    /// Something happens just before the next send is written down.
    pub fn before_sent(&self, hook: Hook) {
        self.state().before_sent = Some(hook);
    }

    /// Something happens just before the next look at things by id.
    pub fn before_look(&self, hook: Hook) {
        self.state().before_look = Some(hook);
    }

    /// Whatever was to happen before a send or a look does not happen any more. Says whether it still lay in wait.
    pub fn call_off(&self) -> bool {
        let mut state = self.state();
        let (send, look) = (state.before_sent.take(), state.before_look.take());
        send.is_some() || look.is_some()
    }

    /// Does something outside, unless the replica dies just before it or just after.
    pub async fn effect<T>(&self, kind: StepKind, run: impl Future<Output = T> + Send) -> T {
        let number = {
            let mut state = self.state();
            if state.crashed.is_none() {
                state.effects += 1;
                *state.counts.entry(kind).or_default() += 1;
            }
            state.effects
        };
        self.crash_point(number, When::Before, kind).await;
        let answer = run.await;
        self.crash_point(number, When::After, kind).await;
        answer
    }

    async fn crash_point(&self, number: u64, when: When, kind: StepKind) {
        let dead = {
            let mut state = self.state();
            if state.crash_at == Some((number, when)) && state.crashed.is_none() {
                state.crashed = Some(kind);
            }
            state.crashed.is_some()
        };
        if dead {
            std::future::pending::<()>().await;
        }
    }

    /// Waits at the door while launches are paused; says whether it had to.
    async fn door_opens(&self) -> bool {
        let had_to = self.state().pause_launches;
        self.state().paused += 1;
        std::future::poll_fn(|context| {
            if self.state().pause_launches {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        })
        .await;
        self.state().paused -= 1;
        had_to
    }
}

/// The store behind the gate.
#[derive(Debug)]
pub struct GateStore {
    pub store: Arc<MemoryStore>,
    pub gate: Gate,
}

impl GateStore {
    fn is_sent(commit: &Commit) -> bool {
        commit.changes.iter().any(|change| match change {
            Change::Put { key, body, .. } if key.kind == RecordKind::Launch => {
                serde_json::from_slice::<Launch>(body).is_ok_and(|row| row.state == LaunchState::Sent)
            }
            _ => false,
        })
    }
}

#[async_trait]
impl ReservationStore for GateStore {
    fn limits(&self) -> StoreLimits {
        self.store.limits()
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.store.get(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        let fault = self.gate.state().commit_faults.pop();
        if Self::is_sent(commit) {
            let hook = self.gate.state().before_sent.take();
            if let Some(hook) = hook {
                hook(&self.store);
            }
        }
        let lost = |why: &str| StoreError::Unavailable { why: why.to_owned(), effect: Effect::Unknown };
        if fault == Some(CommitFault::LostRequest) {
            return Err(lost("request lost"));
        }
        let answer = self.gate.effect(StepKind::Commit, self.store.commit(commit)).await;
        if fault == Some(CommitFault::LostReply) { Err(lost("reply lost")) } else { answer }
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        self.store.list(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        self.store.due(query).await
    }

    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        self.store.changes(after, wait).await
    }
}

/// A cloud behind the gate, watched at its door.
#[derive(Debug)]
pub struct GateDriver {
    pub driver: Arc<dyn CloudDriver>,
    pub gate: Gate,
    pub door: Arc<Door>,
    pub sim: Cloud,
}

#[async_trait]
impl CloudDriver for GateDriver {
    fn name(&self) -> CloudName {
        self.driver.name()
    }

    fn endpoint(&self) -> Endpoint {
        self.driver.endpoint()
    }

    fn regions(&self) -> Vec<Region> {
        self.driver.regions()
    }

    fn key_fields(&self, kind: &str) -> Option<Vec<&'static str>> {
        self.driver.key_fields(kind)
    }

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        self.driver.identify(credential).await
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        let provider = self.driver.connect(credential, lane, installation).await?;
        let (gate, door, sim) = (self.gate.clone(), Arc::clone(&self.door), self.sim.clone());
        Ok(Arc::new(GateProvider { provider, gate, door, sim, account: lane.account.clone() }))
    }
}

#[derive(Debug)]
struct GateProvider {
    provider: Arc<dyn CloudProvider>,
    gate: Gate,
    door: Arc<Door>,
    sim: Cloud,
    account: AccountId,
}

#[async_trait]
impl CloudProvider for GateProvider {
    fn facts(&self) -> &Facts {
        self.provider.facts()
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        self.provider.identify().await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        self.provider.catalogue().await
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Sending) -> Result<Vec<Observed>, ProviderError> {
        self.door.launch(frozen, self.provider.facts());
        // A pause here is a pause between the provider's own look at its deadline and the socket: no look helps.
        let slept = self.gate.door_opens().await;
        let deadline = if slept { Duration::MAX } else { send.deadline };
        let send = Sending { deadline, ..send.clone() };
        self.gate.effect(StepKind::Launch, self.provider.launch(frozen, &send)).await
    }

    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        self.gate.effect(StepKind::Find, self.provider.find(query)).await
    }

    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        let hook = self.gate.state().before_look.take();
        if let Some(hook) = hook {
            hook(&self.door.store);
        }
        self.gate.effect(StepKind::Get, self.provider.get(kind, ids)).await
    }

    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        let page = self.gate.effect(StepKind::List, self.provider.list_owned(after)).await?;
        self.gate.listed(&page, &self.account, &self.sim);
        Ok(page)
    }

    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        self.door.act(on, act);
        let kind = match act {
            Act::Terminate => StepKind::Terminate,
            Act::Power(_) => StepKind::Power,
            Act::Mark | Act::Unmark => StepKind::Mark,
        };
        self.gate.effect(kind, self.provider.act(on, act)).await
    }

    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        self.provider.measure(ids, query).await
    }
}
