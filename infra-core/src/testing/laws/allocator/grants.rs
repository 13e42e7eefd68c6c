//! Laws about who gets what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Subject, ask, ask_all, ask_for, devices, pool, release_of};
use crate::contracts::allocator::{AllocateError, PoolQuery};
use crate::nouns::lease::{AllocateRequest, Allocation};
use crate::testing::laws::Unmet;
use crate::words::ids::{DeviceId, TenantId};

/// A caller whose reply was lost sends again. A second grant for it would hold a device that nobody uses and nobody
/// returns. Asks twice, compares, and counts what is held.
pub(super) async fn the_same_request_answers_the_same_grant(it: Subject) -> Result<(), Unmet> {
    let (once, again) = (it.granted(&ask(1)).await?, it.granted(&ask(1)).await?);
    same!(again, once, "the same request's second grant");
    let held = it.views(None).await?.iter().filter(|view| view.lease.is_some()).count();
    same!(held, 1, "devices held by one request");
    Ok(())
}

/// One id for two wishes is a mistake that must not pass as either. Answered with the old grant, a caller works on
/// devices that lack what it asked for; answered with a new one, the first grant loses its name. Sends other demands
/// under a used id.
pub(super) async fn a_request_id_is_not_used_for_another_request(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask(1)).await?;
    let other = AllocateRequest { request: ask(1).request, ..ask_for(1, &[("other", &["fast"])]) };
    let answer = it.allocator.allocate(&other).await;
    hold!(matches!(answer, Err(AllocateError::RequestMismatch)), "{answer:?}");
    Ok(())
}

/// C22: a request whose lease ended must not come back to life when its reply arrives late. A grant made for a caller
/// that has left blocks a device until it runs out. Ends one by release and one by time, then repeats both over days.
pub(super) async fn an_ended_request_is_ended_for_ever(it: Subject) -> Result<(), Unmet> {
    let (released, _) = it.granted(&ask(1)).await?;
    it.released(release_of(&released)).await?;
    it.granted(&ask(2)).await?;
    it.pass(Duration::from_secs(61));
    for wait in [0, 1, 3600, 1_000_000] {
        it.pass(Duration::from_secs(wait));
        for nth in [1, 2] {
            same!(it.allocator.allocate(&ask(nth)).await?, Allocation::Ended, "an ended request");
        }
    }
    Ok(())
}

/// Half a test set-up is of no use and keeps others out. Two callers that each hold half of what both need wait for
/// each other for ever. Asks for three where two are free, and counts what is held afterwards.
pub(super) async fn all_demands_are_met_or_none(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask(1)).await?;
    it.not_granted(&ask_all(2)).await?;
    let held = it.views(None).await?.iter().filter(|view| view.lease.is_some()).count();
    same!(held, 1, "devices held after a request for more than there is");
    let pair = ask_for(3, &[("a", &[]), ("b", &[])]);
    same!(it.granted(&pair).await?.1.len(), 2, "devices granted for two demands");
    Ok(())
}

/// A choice made for one slot must not starve another, and no device fills two. The pool of the laws can be dealt in
/// one way only: who takes the first device that fits, slot by slot, gets stuck although everybody could be served.
pub(super) async fn every_slot_has_a_device_of_its_own_that_fits(it: Subject) -> Result<(), Unmet> {
    let slots: [(&str, &[&str]); 3] = [("a", &["big"]), ("b", &["fast"]), ("c", &["big", "fast"])];
    let (_, granted) = it.granted(&ask_for(1, &slots)).await?;
    let different: BTreeSet<&DeviceId> = granted.values().collect();
    same!(different.len(), 3, "different devices for three slots");
    for (slot, labels) in slots {
        let id = granted.get(slot).ok_or_else(|| Unmet::Broken(format!("slot {slot} is empty")))?;
        let device = devices().into_iter().find(|device| device.id == *id);
        let fits = device.is_some_and(|it| labels.iter().all(|label| it.labels.contains_key(*label)));
        hold!(fits, "{id} fills slot {slot}, which asks for {labels:?}");
    }
    Ok(())
}

/// Counted with eight tasks at once: a lock that locks nothing looks well in a test that takes turns. Two holders of
/// one device spoil each other's results without any error to see. The law also counts how many held at the same
/// time, as a run in which nobody met anybody proves nothing.
pub(super) async fn a_device_has_one_holder_at_a_time(it: Subject) -> Result<(), Unmet> {
    const TASKS: u128 = 8;
    const ROUNDS: u128 = 40;
    let names = devices().into_iter().map(|device| (device.id, AtomicUsize::new(0)));
    let holders: Arc<BTreeMap<DeviceId, AtomicUsize>> = Arc::new(names.collect());
    let (together, most, grants) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let counts = Arc::new((together, most, AtomicUsize::new(0), grants));
    let begin = Arc::new(tokio::sync::Barrier::new(usize::try_from(TASKS).unwrap_or(1)));
    let tasks = (0..TASKS).map(|task| {
        let (it, holders, counts, begin) = (it.clone(), holders.clone(), counts.clone(), begin.clone());
        tokio::spawn(async move {
            let (together, most_together, most_per_device, grants) = &*counts;
            begin.wait().await;
            for round in 0..ROUNDS {
                // Others let time pass: nobody's lease may run out while it counts.
                let long = Duration::from_secs(1_000_000);
                let request = AllocateRequest { ttl: long, max_life: long, ..ask(task * ROUNDS + round) };
                if let Allocation::Granted { lease, devices } = it.allocator.allocate(&request).await? {
                    let held = devices.values().filter_map(|id| holders.get(id)).collect::<Vec<_>>();
                    for holder in &held {
                        most_per_device
                            .fetch_max(holder.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    }
                    most_together.fetch_max(together.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    grants.fetch_add(1, Ordering::SeqCst);
                    together.fetch_sub(1, Ordering::SeqCst);
                    held.iter().for_each(|holder| _ = holder.fetch_sub(1, Ordering::SeqCst));
                    it.released(release_of(&lease)).await?;
                }
                it.clean();
                tokio::task::yield_now().await;
            }
            Ok::<(), Unmet>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    same!(read(&counts.2), 1, "most holders of one device at one time");
    hold!(read(&counts.1) > 1, "nobody ever held at the same time as another: nothing was put to the test");
    hold!(read(&counts.3) > 40, "only {} grants", read(&counts.3));
    Ok(())
}

/// Waiting for what can never come is the one mistake a caller cannot find out. No release ever helps it, and in a
/// strict line it holds up all those behind it. Asks for labels that no device has, and for more devices of a label
/// than the pool owns.
pub(super) async fn an_impossible_demand_is_named(it: Subject) -> Result<(), Unmet> {
    for (slots, want) in [
        ([("a", &["big"] as &[&str]), ("b", &["quiet"]), ("c", &[])], "b"),
        ([("a", &["big", "fast"]), ("b", &["big"]), ("c", &["big"])], "c"),
    ] {
        let answer = it.allocator.allocate(&super::queued(ask_for(1, &slots))).await;
        match answer {
            Err(AllocateError::Unfulfillable { slot, .. }) => same!(slot, want, "the slot that is named"),
            other => return Err(Unmet::Broken(format!("{other:?} for what no devices could meet"))),
        }
    }
    Ok(())
}

/// Somebody else's pool looks like a missing one, and somebody else's request id says nothing. Any other answer tells
/// a stranger which pools exist and how busy they are. Asks as a stranger with a fresh id and with one in use.
pub(super) async fn a_foreign_tenant_sees_nothing(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask(1)).await?;
    let tenant: TenantId = "strangers".parse()?;
    for nth in [1, 2] {
        let answer = it.allocator.allocate(&AllocateRequest { tenant: tenant.clone(), ..ask(nth) }).await;
        hold!(matches!(answer, Err(AllocateError::UnknownPool { .. })), "allocate says {answer:?}");
    }
    let request = Some(ask(1).request);
    let query = PoolQuery { tenant, pool: pool(), request, after: None, limit: 100 };
    let answer = it.allocator.list(&query).await;
    hold!(matches!(answer, Err(AllocateError::UnknownPool { .. })), "list says {answer:?}");
    Ok(())
}

/// A device's guard refuses what is older than the newest it has seen. A fence that falls or repeats locks the
/// rightful holder out, or lets the previous one in. Takes and returns devices again and again, and compares each
/// fence with the last.
pub(super) async fn fences_rise_with_every_grant(it: Subject) -> Result<(), Unmet> {
    let mut last = None;
    for nth in 1..20 {
        let (lease, _) = it.granted(&ask(nth)).await?;
        hold!(Some(lease.fence) > last, "fence {:?} after {last:?}", lease.fence);
        last = Some(lease.fence);
        it.released(release_of(&lease)).await?;
        it.clean();
    }
    Ok(())
}
