//! The records and their indexes. Synchronous; the caller holds the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use infra_core::contracts::store::{
    Change, Changes, Commit, DueQuery, Expect, Key, ListBy, ListQuery, Page, Record, RecordKind, StoreError,
};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{CommitId, TenantId, UserId};
use infra_core::words::lane::{LaneId, Version};

use crate::rules::{LIMITS, conflict, page_len};

/// Commits whose ids are remembered, beyond those that a record still carries.
const COMMITS_REMEMBERED: usize = 16_384;

type Keys = BTreeSet<Arc<Key>>;
type DueKeys = BTreeSet<(Timestamp, Arc<Key>)>;

/// Everything the store knows. Each index holds keys in key order, so pages come out sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    newest: Version,
    records: BTreeMap<Arc<Key>, Record>,
    by_kind: BTreeMap<RecordKind, Keys>,
    by_owner: BTreeMap<(TenantId, UserId, RecordKind), Keys>,
    by_lane: BTreeMap<(LaneId, RecordKind), Keys>,
    by_due: BTreeMap<(u16, RecordKind), DueKeys>,
    by_version: BTreeMap<Version, Keys>,
    commits: HashMap<CommitId, Version>,
    commits_in_order: VecDeque<CommitId>,
}

impl State {
    pub(super) fn get(&self, keys: &[Key]) -> Vec<Option<Record>> {
        keys.iter().map(|key| self.records.get(key).cloned()).collect()
    }

    /// Looks at everything before it writes anything: a refused commit leaves no trace.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Version, StoreError> {
        if let Some(version) = self.done_before(commit) {
            return Ok(version);
        }
        for change in &commit.changes {
            let found = self.records.get(change.key()).map(|record| record.version);
            let holds = match change.expect() {
                Expect::Absent => found.is_none(),
                Expect::Version(version) => found == Some(version),
            };
            if !holds {
                return Err(conflict(change.key()));
            }
        }
        self.newest.0 += 1;
        let version = self.newest;
        for change in &commit.changes {
            match change {
                Change::Put { key, index, body, .. } => {
                    let (key, index, body) = (key.clone(), index.clone(), body.clone());
                    self.put(Record { key, version, by: commit.id, index, body });
                }
                Change::Delete { key, .. } => self.remove(key),
                Change::Check { .. } => {}
            }
        }
        self.remember(commit.id, version);
        Ok(version)
    }

    fn done_before(&self, commit: &Commit) -> Option<Version> {
        let carried = || {
            let mut records = commit.changes.iter().filter_map(|change| self.records.get(change.key()));
            records.find(|record| record.by == commit.id).map(|record| record.version)
        };
        self.commits.get(&commit.id).copied().or_else(carried)
    }

    fn remember(&mut self, id: CommitId, version: Version) {
        self.commits.insert(id, version);
        self.commits_in_order.push_back(id);
        if self.commits_in_order.len() > COMMITS_REMEMBERED
            && let Some(oldest) = self.commits_in_order.pop_front()
        {
            self.commits.remove(&oldest);
        }
    }

    fn put(&mut self, record: Record) {
        self.remove(&record.key);
        let key = Arc::new(record.key.clone());
        let (kind, index) = (key.kind, &record.index);
        self.by_kind.entry(kind).or_default().insert(Arc::clone(&key));
        if let Some(owner) = &index.owner {
            let place = (key.tenant.clone(), owner.clone(), kind);
            self.by_owner.entry(place).or_default().insert(Arc::clone(&key));
        }
        if let Some(lane) = &index.lane {
            self.by_lane.entry((lane.clone(), kind)).or_default().insert(Arc::clone(&key));
        }
        if let Some(due_at) = index.due_at {
            self.by_due.entry((index.shard, kind)).or_default().insert((due_at, Arc::clone(&key)));
        }
        self.by_version.entry(record.version).or_default().insert(Arc::clone(&key));
        self.records.insert(key, record);
    }

    fn remove(&mut self, key: &Key) {
        let Some((key, record)) = self.records.remove_entry(key) else { return };
        let (kind, index) = (key.kind, record.index);
        take(&mut self.by_kind, &kind, &key);
        if let Some(owner) = index.owner {
            take(&mut self.by_owner, &(key.tenant.clone(), owner, kind), &key);
        }
        if let Some(lane) = index.lane {
            take(&mut self.by_lane, &(lane, kind), &key);
        }
        if let Some(due_at) = index.due_at {
            take(&mut self.by_due, &(index.shard, kind), &(due_at, Arc::clone(&key)));
        }
        take(&mut self.by_version, &record.version, &key);
    }

    pub(super) fn list(&self, query: &ListQuery) -> Page<Record> {
        let kind = query.kind;
        let (keys, prefix) = match &query.by {
            ListBy::Tenant { tenant, prefix } => {
                let first = Key { tenant: tenant.clone(), kind, id: prefix.clone() };
                (self.by_kind.get(&kind), Some(first))
            }
            ListBy::Owner { tenant, owner } => {
                (self.by_owner.get(&(tenant.clone(), owner.clone(), kind)), None)
            }
            ListBy::Lane(lane) => (self.by_lane.get(&(lane.clone(), kind)), None),
            ListBy::All => (self.by_kind.get(&kind), None),
        };
        let Some(keys) = keys else { return Page { items: Vec::new(), next: None } };
        let start = match (&prefix, &query.after) {
            (Some(first), Some(after)) if first > after => Bound::Included(first),
            (_, Some(after)) => Bound::Excluded(after),
            (Some(first), None) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let under = |key: &Key| {
            prefix.as_ref().is_none_or(|first| key.tenant == first.tenant && key.id.starts_with(&first.id))
        };
        let mut found = keys
            .range::<Key, _>((start, Bound::Unbounded))
            .take_while(|key| under(key))
            .map(|key| &self.records[key])
            .filter(|record| query.state_max.is_none_or(|max| record.index.state <= max));
        let items: Vec<Record> = found.by_ref().take(page_len(query.limit)).cloned().collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|record| record.key.clone());
        Page { items, next }
    }

    pub(super) fn due(&self, query: &DueQuery) -> Vec<Record> {
        let Some(due) = self.by_due.get(&(query.shard, query.kind)) else { return Vec::new() };
        due.iter()
            .take_while(|(due_at, _)| *due_at <= query.at)
            .take(query.limit.min(LIMITS.page_max))
            .map(|(_, key)| self.records[key].clone())
            .collect()
    }

    /// A commit is never cut in two: `upto` would hide its second half.
    pub(super) fn changes(&self, after: Version) -> Changes {
        let mut keys = Vec::new();
        for (version, written) in self.by_version.range((Bound::Excluded(after), Bound::Unbounded)) {
            keys.extend(written.iter().map(|key| Key::clone(key)));
            if keys.len() >= LIMITS.page_max {
                return Changes { keys, upto: *version, newest: self.newest };
            }
        }
        Changes { keys, upto: self.newest, newest: self.newest }
    }
}

/// Takes a value out of a set of an index, and the set with its last value.
fn take<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, place: &K, value: &V) {
    if let Some(values) = index.get_mut(place) {
        values.remove(value);
        if values.is_empty() {
            index.remove(place);
        }
    }
}
