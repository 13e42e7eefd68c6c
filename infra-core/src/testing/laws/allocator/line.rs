//! Laws about waiting, and about what can be looked up.

use std::time::Duration;

use super::{Subject, ask, ask_all, pool, queued, release_of, tenant};
use crate::contracts::allocator::PoolQuery;
use crate::nouns::lease::{Allocation, Lease, PoolEventKind};
use crate::testing::laws::Unmet;
use crate::words::lane::Fence;

/// One holds everything, two stand in line.
async fn two_in_line(it: &Subject) -> Result<Lease, Unmet> {
    let (lease, _) = it.granted(&ask_all(1)).await?;
    for (nth, position) in [(2, 1), (3, 2)] {
        let place = it.allocator.allocate(&queued(ask_all(nth))).await?;
        same!(place, Allocation::Queued { position }, "the place in line");
    }
    Ok(lease)
}

/// First come, first served, whoever asks first afterwards. Else the luckiest poller wins, everybody polls as fast as
/// it can, and a patient caller starves. The last in line asks first here.
pub(super) async fn the_line_is_served_in_order(it: Subject) -> Result<(), Unmet> {
    let first = two_in_line(&it).await?;
    it.released(release_of(&first)).await?;
    it.clean();
    let last = it.allocator.allocate(&queued(ask_all(3))).await?;
    same!(last, Allocation::Queued { position: 1 }, "the second in line, asking first");
    let (second, _) = it.granted(&queued(ask_all(2))).await?;
    it.released(release_of(&second)).await?;
    it.clean();
    it.granted(&queued(ask_all(3))).await.map(drop)
}

/// Whoever does not queue must not be better off than who does. If it were, nobody would queue, and small requests
/// would for ever eat what a large one waits for. The newcomer wants one device while all three are owed to the line.
pub(super) async fn a_newcomer_does_not_overtake_the_line(it: Subject) -> Result<(), Unmet> {
    let first = two_in_line(&it).await?;
    it.released(release_of(&first)).await?;
    it.clean();
    let newcomer = it.not_granted(&ask(4)).await?;
    hold!(matches!(newcomer, Allocation::Busy { .. }), "a newcomer who does not queue is told {newcomer:?}");
    Ok(())
}

/// Who was told busy has gone elsewhere: nothing may be granted to it behind its back. Such a grant runs its full
/// time with nobody at the device. Is told busy, empties the pool, and looks whether anything is held.
pub(super) async fn busy_leaves_nothing_behind(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask_all(1)).await?;
    match it.allocator.allocate(&ask_all(2)).await? {
        Allocation::Busy { retry_after } => hold!(retry_after > Duration::ZERO, "told to retry at once"),
        other => return Err(Unmet::Broken(format!("{other:?} where nothing is free and nobody queues"))),
    }
    it.released(release_of(&lease)).await?;
    it.clean();
    let held = it.views(None).await?.iter().filter(|view| view.lease.is_some()).count();
    same!(held, 0, "devices held after the only lease was released");
    it.granted(&ask_all(3)).await.map(drop)
}

/// C22: this is how a lost reply is resolved without asking again. A look changes nothing, so it is safe where a
/// second request is not. Wants the one request's devices and lease, nothing for an id never used, and nothing once
/// it has ended.
pub(super) async fn a_lost_reply_is_found_by_its_request(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask(1)).await?;
    let (lease, devices) = it.granted(&ask(2)).await?;
    let found = it.views(Some(ask(2).request)).await?;
    let ids: Vec<_> = found.iter().map(|view| view.device.id.clone()).collect();
    same!(ids, devices.values().cloned().collect::<Vec<_>>(), "devices found by the request");
    hold!(found.iter().all(|view| view.lease.as_ref() == Some(&lease)), "found with {found:?}");
    hold!(found.iter().all(|view| view.request == Some(ask(2).request)), "found with {found:?}");
    same!(it.views(Some(ask(9).request)).await?.len(), 0, "devices of a request never made");
    it.released(release_of(&lease)).await?;
    same!(it.views(Some(ask(2).request)).await?.len(), 0, "devices of an ended request");
    Ok(())
}

/// Ordered by id, none twice, none left out. A device on no page is never seen by who cleans up, one on two pages is
/// counted as two. The pool does not divide evenly into pages.
pub(super) async fn pages_hold_each_device_once(it: Subject) -> Result<(), Unmet> {
    let (mut seen, mut after) = (Vec::new(), None);
    for _ in 0..4 {
        let query = PoolQuery { tenant: tenant(), pool: pool(), request: None, after, limit: 2 };
        let page = it.allocator.list(&query).await?;
        hold!(page.items.len() <= 2, "{} devices on a page of 2", page.items.len());
        seen.extend(page.items.into_iter().map(|view| view.device.id.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    same!(seen, ["d1", "d2", "d3"].map(String::from).to_vec(), "devices on all pages");
    Ok(())
}

/// Nothing is told twice to who passes back what came last, and what happened in line is told too. A guard that
/// misses an end lets the old holder go on; one that hears of the grant first cuts off the new one. Follows two
/// grants and an end, from the start and from the middle.
pub(super) async fn changes_tell_every_grant_and_end_in_order(it: Subject) -> Result<(), Unmet> {
    let first = two_in_line(&it).await?;
    it.released(release_of(&first)).await?;
    it.clean();
    it.views(None).await?;
    let all = it.allocator.changes(Fence::default(), Duration::ZERO).await?;
    let told: Vec<_> = all.iter().map(|event| (event.request, event.what)).collect();
    let (one, two) = (ask(1).request, ask(2).request);
    let want = [(one, PoolEventKind::Granted), (one, PoolEventKind::Ended), (two, PoolEventKind::Granted)];
    same!(told, want.to_vec(), "what is told from the beginning");
    hold!(all.is_sorted_by(|a, b| a.at < b.at), "events are not in order: {all:?}");
    let rest = it.allocator.changes(all[1].at, Duration::ZERO).await?;
    same!(rest, all[2..].to_vec(), "what is told after the second event");
    Ok(())
}
