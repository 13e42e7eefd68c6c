//! The laws of [`ReservationStore`].
//!
//! A subject is an empty store. Run them on a runtime of several threads: the laws about concurrency count how many
//! tasks were really at work at once, and say "skipped" where it was one.
//!
//! # Guarantees
//! Each law begins with an empty store and needs nothing that another law left. It counts on no order in which they
//! run.

mod broken;
mod changes;
mod commits;
mod due;
mod lists;
mod races;
mod reads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Law, Unmet};
use crate::contracts::store::{
    Change, Commit, DueQuery, Expect, Index, Key, ListBy, ListQuery, Record, RecordKind, ReservationStore,
    StoreError,
};
use crate::words::ids::{CommitId, TenantId, UserId};
use crate::words::lane::{LaneId, Version};

pub use broken::broken;

/// What the laws are checked on: an empty store.
pub type Subject = Arc<dyn ReservationStore>;

type Kept = Result<(), Unmet>;

/// All laws of the store.
#[must_use]
pub fn laws() -> Vec<Law<Subject>> {
    laws![
        commits::stale_commit_is_a_conflict,
        commits::an_expectation_absent_fails_on_presence,
        commits::an_expectation_of_a_version_fails_on_absence,
        commits::all_changes_or_none,
        commits::a_check_alone_guards_the_commit,
        commits::a_conflict_names_the_record,
        commits::same_commit_again_answers_the_same,
        commits::same_commit_again_answers_the_same_after_later_writes,
        commits::a_deletion_sent_again_answers_the_same,
        commits::a_refused_commit_may_be_sent_again,
        commits::versions_rise_with_every_commit,
        commits::versions_never_repeat_even_after_delete,
        commits::limits_are_refused_by_name,
        commits::one_key_twice_is_malformed,
        commits::an_empty_commit_is_malformed,
        reads::a_record_reads_back_as_written,
        reads::get_answers_in_the_order_asked,
        reads::tenants_and_kinds_do_not_mix,
        reads::odd_ids_are_kept_apart,
        reads::deleted_is_gone_everywhere,
        races::concurrent_counters_lose_nothing,
        races::get_is_one_snapshot,
        lists::pages_hold_each_record_once_while_others_are_added,
        lists::the_last_page_says_so,
        lists::a_page_is_no_longer_than_asked,
        lists::prefix_does_not_match_siblings,
        lists::wildcards_in_ids_are_only_letters,
        lists::lists_are_ordered_by_key,
        lists::owner_list_is_within_a_tenant,
        lists::a_new_owner_moves_the_record,
        lists::lane_list_spans_tenants,
        lists::all_list_spans_tenants,
        lists::lists_hold_one_kind,
        lists::state_max_filters,
        due::due_is_inclusive,
        due::due_comes_earliest_first,
        due::due_is_within_shard_and_kind,
        due::rewritten_due_moves,
        changes::changes_lists_every_key_once_after_a_version,
        changes::changes_come_oldest_first,
        changes::changes_lose_nothing_between_pages,
        changes::changes_wakes_a_waiter,
        changes::newest_is_told_without_changes,
    ]
}

/// The kind most laws use.
const KIND: RecordKind = RecordKind::Unit;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("the laws use legal names")
}

fn user(name: &str) -> UserId {
    UserId::new(name).expect("the laws use legal names")
}

fn lane(name: &str) -> LaneId {
    LaneId(name.to_owned())
}

fn key(id: &str) -> Key {
    key_of("team", KIND, id)
}

fn key_of(of: &str, kind: RecordKind, id: &str) -> Key {
    Key { tenant: tenant(of), kind, id: id.to_owned() }
}

/// A write of a record with nothing but a body.
fn put(key: &Key, expect: Expect, body: &str) -> Change {
    put_at(key, expect, Index::default(), body)
}

fn put_at(key: &Key, expect: Expect, index: Index, body: &str) -> Change {
    Change::Put { key: key.clone(), expect, index, body: body.as_bytes().to_vec() }
}

fn delete(key: &Key, expect: Expect) -> Change {
    Change::Delete { key: key.clone(), expect }
}

fn check(key: &Key, expect: Expect) -> Change {
    Change::Check { key: key.clone(), expect }
}

/// Refused because an expectation failed, and for no other reason.
fn is_conflict<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict { .. }))
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.id.as_str()).collect()
}

/// Where a law writes and reads: a store, and commit ids that are never drawn twice.
#[derive(Clone)]
struct Desk {
    store: Subject,
    commits: Arc<AtomicU64>,
}

impl Desk {
    fn at(store: Subject) -> Self {
        Self { store, commits: Arc::default() }
    }

    /// A commit under the next number: a law that sends the same one twice has to keep it.
    fn commit_of(&self, changes: Vec<Change>) -> Commit {
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        Commit { id: CommitId(uuid::Uuid::from_u128(number.into())), changes }
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Version, StoreError> {
        self.store.commit(&self.commit_of(changes)).await
    }

    /// Writes a record that must not be there yet.
    async fn create(&self, key: &Key, index: Index) -> Result<Version, StoreError> {
        self.commit(vec![put_at(key, Expect::Absent, index, "new")]).await
    }

    async fn create_all<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> Result<(), StoreError> {
        for key in keys {
            self.create(key, Index::default()).await?;
        }
        Ok(())
    }

    async fn one(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.store.get(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// What a record says, as text.
    async fn body(&self, key: &Key) -> Result<Option<String>, StoreError> {
        let record = self.one(key).await?;
        Ok(record.map(|record| String::from_utf8_lossy(&record.body).into_owned()))
    }

    /// Every page of a list, in pages of `limit`; broken when the pages never end.
    async fn all(&self, by: ListBy, state_max: Option<u8>, limit: usize) -> Result<Vec<Record>, Unmet> {
        let mut query = ListQuery { by, kind: KIND, state_max, after: None, limit };
        let mut found = Vec::new();
        for _ in 0..1000 {
            let page = self.store.list(&query).await?;
            found.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(found),
            }
        }
        Err(Unmet::Broken("the pages never end".to_owned()))
    }

    async fn due(&self, shard: u16, at: crate::words::clock::Timestamp) -> Result<Vec<Record>, StoreError> {
        self.store.due(&DueQuery { shard, kind: KIND, at, limit: 100 }).await
    }

    /// Asked far behind the end, so that no key is listed along with it.
    async fn newest(&self) -> Result<Version, StoreError> {
        Ok(self.store.changes(Version(u64::MAX), Duration::ZERO).await?.newest)
    }
}

/// A tenant's records under a prefix.
fn under(prefix: &str) -> ListBy {
    ListBy::Tenant { tenant: tenant("team"), prefix: prefix.to_owned() }
}
