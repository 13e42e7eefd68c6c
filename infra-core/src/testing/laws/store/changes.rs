//! Laws about following a store.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Desk, Kept, Subject, delete, key, put};
use crate::contracts::store::{Expect, Index, Key};
use crate::words::clock::{Clock, SystemClock};
use crate::words::lane::Version;

/// Written twice is listed once, and what was seen is not shown again. A key left out is a reservation that waits for
/// its next sweep; a key repeated is work done twice by every follower. Asks after each version there is.
pub(super) async fn changes_lists_every_key_once_after_a_version(store: Subject) -> Kept {
    let (desk, a, b, c) = (Desk::at(store), key("a"), key("b"), key("c"));
    let first = desk.create(&a, Index::default()).await?;
    let second = desk.create(&b, Index::default()).await?;
    let third = desk.commit(vec![put(&a, Expect::Version(first), "x"), put(&c, Expect::Absent, "x")]).await?;
    for (after, expected) in
        [(Version(0), vec![&a, &b, &c]), (first, vec![&a, &b, &c]), (second, vec![&a, &c]), (third, vec![])]
    {
        let changes = desk.store.changes(after, Duration::ZERO).await?;
        let mut keys: Vec<&Key> = changes.keys.iter().collect();
        keys.sort();
        same!(keys, expected, format!("keys after {after}"));
        same!((changes.upto, changes.newest), (third, third), format!("how far that is after {after}"));
    }
    Ok(())
}

/// In the order of commits, so that a cause is seen before what came of it. A follower that is cut short resumes
/// after the last it saw: in another order, that skips what stood behind it. A rewritten record has to move to the
/// end.
pub(super) async fn changes_come_oldest_first(store: Subject) -> Kept {
    let desk = Desk::at(store);
    for id in ["c", "a", "d", "b"] {
        desk.create(&key(id), Index::default()).await?;
    }
    let made = desk.one(&key("a")).await?.map(|record| record.version).unwrap_or_default();
    desk.commit(vec![put(&key("a"), Expect::Version(made), "again")]).await?;
    let changes = desk.store.changes(Version(0), Duration::ZERO).await?;
    same!(changes.keys, ["c", "d", "b", "a"].map(key), "keys in the order of their newest commits");
    Ok(())
}

/// Whoever goes on from `upto` misses nothing, however many were written in between. A store that cuts its answer and
/// still tells the newest number as `upto` loses everything in between, and only under load. Writes more than one
/// answer can hold.
pub(super) async fn changes_lose_nothing_between_pages(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let limits = desk.store.limits();
    let total = (limits.page_max.min(2000) + 100).div_ceil(limits.changes_max) * limits.changes_max;
    let keys: Vec<Key> = (0..total).map(|no| key(&format!("{no:06}"))).collect();
    let mut last = Version(0);
    for some in keys.chunks(limits.changes_max) {
        last = desk.commit(some.iter().map(|key| put(key, Expect::Absent, "x")).collect()).await?;
    }
    let (mut seen, mut after) = (BTreeSet::new(), Version(0));
    while after < last {
        let changes = desk.store.changes(after, Duration::ZERO).await?;
        hold!(changes.upto > after, "no way on after {after}: {:?}", changes.upto);
        same!(changes.newest, last, "the newest commit");
        seen.extend(changes.keys);
        after = changes.upto;
    }
    same!(seen.len(), keys.len(), "keys seen");
    Ok(())
}

/// A commit ends the wait, long before it would have ended by itself; without one it does end. A wait that nothing
/// ends adds its whole length to every step of every machine; one that never waits turns each follower into a busy
/// loop. Both are timed here, by a real clock.
pub(super) async fn changes_wakes_a_waiter(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let seen = desk.create(&key("old"), Index::default()).await?;
    let (wait, began) = (Duration::from_secs(5), SystemClock.mono());
    let waiter = {
        let desk = desk.clone();
        tokio::spawn(async move { desk.store.changes(seen, wait).await })
    };
    // Whoever does not wait has answered by now.
    SystemClock.sleep(Duration::from_millis(50)).await;
    hold!(!waiter.is_finished(), "it answered before anything happened: {:?}", waiter.await);
    let made = desk.create(&key("new"), Index::default()).await?;
    let changes = waiter.await??;
    hold!(SystemClock.mono().saturating_sub(began) < wait, "the commit did not end the wait");
    same!((changes.keys, changes.upto), (vec![key("new")], made), "what the waiter was woken with");
    let nothing = desk.store.changes(made, Duration::from_millis(20)).await?;
    same!(nothing.keys, Vec::<Key>::new(), "what a waiter sees when nothing happens");
    Ok(())
}

/// The newest commit's number is told at once to whoever asks, also after deletions. Followers measure by it how far
/// behind they are: one that falls to zero makes them start over, and a deletion that is not counted leaves caches
/// with what is gone.
pub(super) async fn newest_is_told_without_changes(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    same!(desk.newest().await?, Version(0), "newest commit of an empty store");
    let made = desk.create(&a, Index::default()).await?;
    same!(desk.newest().await?, made, "newest commit");
    let deleted = desk.commit(vec![delete(&a, Expect::Version(made))]).await?;
    same!(desk.newest().await?, deleted, "newest commit after a deletion");
    let changes = desk.store.changes(Version(u64::MAX), Duration::ZERO).await?;
    same!(changes.keys, Vec::<Key>::new(), "keys after the end of time");
    Ok(())
}
