//! Defects of reads, lists, dues and changes.

use std::time::Duration;

use super::Broken;
use crate::contracts::store::{
    Changes, DueQuery, Key, ListBy, ListQuery, Page, Record, RecordKind, StoreError,
};
use crate::words::clock::Timestamp;
use crate::words::lane::Version;

impl Broken {
    /// Keys sorted, kinds forgotten, ids in lower case, and a read that is no snapshot: each is caught by the law
    /// that its match arm names.
    pub(super) async fn broken_get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut keys = keys.to_vec();
        match self.law {
            "get_answers_in_the_order_asked" => keys.sort(),
            "tenants_and_kinds_do_not_mix" => keys.iter_mut().for_each(|key| key.kind = RecordKind::Unit),
            "odd_ids_are_kept_apart" => keys.iter_mut().for_each(|key| key.id = key.id.to_lowercase()),
            "get_is_one_snapshot" => return self.get_one_by_one(&keys).await,
            _ => {}
        }
        self.inner.get(&keys).await
    }

    /// Lets others in between two keys, as a store does that has no transaction for reads. Caught by
    /// `get_is_one_snapshot`.
    async fn get_one_by_one(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut found = Vec::new();
        for key in keys {
            found.push(self.one(key).await?);
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    /// Paging by offset, `LIKE` in place of a prefix, a slash cut off, an owner without a tenant, a page one too
    /// long, and a limit on states that excludes itself. Caught by the laws about lists.
    pub(super) async fn broken_list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        let mut query = query.clone();
        match (self.law, &mut query.by) {
            ("pages_hold_each_record_once_while_others_are_added", _) => return self.by_offset(query).await,
            ("wildcards_in_ids_are_only_letters", ListBy::Tenant { prefix, .. }) => {
                let pattern = std::mem::take(prefix);
                let mut page = self.inner.list(&query).await?;
                page.items.retain(|record| like(pattern.as_bytes(), record.key.id.as_bytes()));
                return Ok(page);
            }
            ("prefix_does_not_match_siblings", ListBy::Tenant { prefix, .. }) => {
                prefix.truncate(prefix.trim_end_matches('/').len());
            }
            ("owner_list_is_within_a_tenant", ListBy::Owner { owner, .. }) => {
                let owner = Some(owner.clone());
                query.by = ListBy::All;
                let mut page = self.inner.list(&query).await?;
                page.items.retain(|record| record.index.owner == owner);
                return Ok(page);
            }
            ("a_page_is_no_longer_than_asked", _) => query.limit = query.limit.saturating_add(1),
            ("state_max_filters", _) => query.state_max = query.state_max.map(|max| max.saturating_sub(1)),
            _ => {}
        }
        let page = self.inner.list(&query).await?;
        self.bend_page(page, query).await
    }

    /// What goes wrong after the query: a `next` on a full last page, an order that ignores case, a list cut to one
    /// tenant or robbed of the system's own, and a second kind mixed in.
    async fn bend_page(
        &self,
        mut page: Page<Record>,
        mut query: ListQuery,
    ) -> Result<Page<Record>, StoreError> {
        match self.law {
            "the_last_page_says_so" if page.items.len() == query.limit => {
                page.next = page.items.last().map(|record| record.key.clone());
            }
            "lists_are_ordered_by_key" => page.items.sort_by_key(|record| record.key.id.to_lowercase()),
            "lane_list_spans_tenants" => {
                let first = page.items.first().map(|record| record.key.tenant.clone());
                page.items.retain(|record| Some(&record.key.tenant) == first.as_ref());
            }
            "all_list_spans_tenants" => {
                page.items.retain(|record| !record.key.tenant.as_str().starts_with('_'));
            }
            "lists_hold_one_kind" => {
                query.kind = RecordKind::Launch;
                page.items.extend(self.inner.list(&query).await?.items);
            }
            _ => {}
        }
        Ok(page)
    }

    /// Skips as many records as were shown before, whichever they are by now. Caught by
    /// `pages_hold_each_record_once_while_others_are_added`, and by no law that leaves the store alone while it
    /// pages.
    async fn by_offset(&self, mut query: ListQuery) -> Result<Page<Record>, StoreError> {
        let (limit, first) = (query.limit, query.after.take().is_none());
        query.limit = usize::MAX;
        let all = self.inner.list(&query).await?.items;
        let mut seen = self.seen();
        if first {
            seen.listed = 0;
        }
        let items: Vec<Record> = all.iter().skip(seen.listed).take(limit).cloned().collect();
        seen.listed += items.len();
        let next = items.last().filter(|_| seen.listed < all.len()).map(|record| record.key.clone());
        Ok(Page { items, next })
    }

    /// Not yet due at the very moment, in the order of keys, with a neighbour's shard, or with records that are
    /// deleted: the last is caught by `deleted_is_gone_everywhere`, the others by the laws about dues.
    pub(super) async fn broken_due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        let mut query = query.clone();
        if self.is("due_is_inclusive") {
            query.at = query.at.checked_sub(Duration::from_nanos(1)).unwrap_or(Timestamp::MIN);
        }
        let mut due = self.inner.due(&query).await?;
        match self.law {
            "due_comes_earliest_first" => due.sort_by(|one, other| one.key.cmp(&other.key)),
            "due_is_within_shard_and_kind" => {
                query.shard = query.shard.saturating_add(1);
                due.extend(self.inner.due(&query).await?);
            }
            "deleted_is_gone_everywhere" => due.extend(self.seen().gone.iter().cloned()),
            _ => {}
        }
        Ok(due)
    }

    /// One version too far back, no wait, keys in alphabetical order, an answer cut without saying so, and a newest
    /// number that falls to zero when nothing happened. Caught by the laws about changes.
    pub(super) async fn broken_changes(
        &self,
        mut after: Version,
        mut wait: Duration,
    ) -> Result<Changes, StoreError> {
        match self.law {
            "changes_lists_every_key_once_after_a_version" => after.0 = after.0.saturating_sub(1),
            "changes_wakes_a_waiter" => wait = Duration::ZERO,
            _ => {}
        }
        let mut changes = self.inner.changes(after, wait).await?;
        match self.law {
            "changes_come_oldest_first" => changes.keys.sort(),
            "changes_lose_nothing_between_pages" => changes.keys.truncate(100),
            "newest_is_told_without_changes" if changes.keys.is_empty() => changes.newest = Version(0),
            _ => {}
        }
        Ok(changes)
    }
}

/// Does the text begin as the pattern says, in the manner of SQL's LIKE?
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((b'%', rest)) => (0..=text.len()).any(|from| like(rest, &text[from..])),
        Some((letter, rest)) => text
            .split_first()
            .is_some_and(|(found, others)| (found == letter || *letter == b'_') && like(rest, others)),
    }
}
