//! Laws about what is due.

use super::{Desk, KIND, Kept, Subject, ids, key, key_of, put_at};
use crate::contracts::store::{DueQuery, Expect, Index, RecordKind};
use crate::words::clock::Timestamp;

/// Seconds and nanoseconds since 1970.
fn at(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp::new(seconds, nanos).expect("a time within range")
}

fn due(seconds: i64, nanos: i32) -> Index {
    Index { due_at: Some(at(seconds, nanos)), ..Index::default() }
}

/// Due at the very nanosecond, not one before; never without a time. Whoever sleeps until a deadline asks at that
/// very moment: a store that excludes it answers nothing, and the caller sleeps again. One that cuts times to
/// microseconds ends things too early.
pub(super) async fn due_is_inclusive(store: Subject) -> Kept {
    let desk = Desk::at(store);
    desk.create(&key("a"), due(100, 5)).await?;
    desk.create(&key("never"), Index::default()).await?;
    same!(ids(&desk.due(0, at(100, 4)).await?), Vec::<&str>::new(), "due a nanosecond early");
    same!(ids(&desk.due(0, at(99, 999_999_999)).await?), Vec::<&str>::new(), "due a moment early");
    same!(ids(&desk.due(0, at(100, 5)).await?), ["a"], "due in time");
    same!(ids(&desk.due(0, Timestamp::MAX).await?), ["a"], "due in the end");
    Ok(())
}

/// Whoever has little time looks at the most overdue first. In the order of keys, the first few are served over and
/// over while an expired machine further on is paid for. Times before 1970 and fractions of a second tell sorting by
/// number from sorting by text.
pub(super) async fn due_comes_earliest_first(store: Subject) -> Kept {
    let desk = Desk::at(store);
    for (id, seconds, nanos) in
        [("a", 300, 0), ("b", 100, 2), ("c", 100, 1), ("d", -5, -7), ("e", 0, -1), ("f", 200, 0), ("g", 0, 1)]
    {
        desk.create(&key(id), due(seconds, nanos)).await?;
    }
    same!(ids(&desk.due(0, at(300, 0)).await?), ["d", "e", "g", "c", "b", "f", "a"], "all that is due");
    let query = DueQuery { shard: 0, kind: KIND, at: at(300, 0), limit: 3 };
    same!(ids(&desk.store.due(&query).await?), ["d", "e", "g"], "the first three");
    Ok(())
}

/// Shards share the work: none sees another's, and kinds are asked for one by one. A shard that sees a neighbour's
/// work does it a second time; one that sees none of its own lets deadlines pass unseen. The largest shard number is
/// among them, as narrow columns cut it.
pub(super) async fn due_is_within_shard_and_kind(store: Subject) -> Kept {
    let desk = Desk::at(store);
    for shard in [0, 1, 2, u16::MAX] {
        let index = Index { shard, ..due(100, 0) };
        desk.create(&key(&format!("in{shard}")), index.clone()).await?;
        desk.create(&key_of("team", RecordKind::Launch, &format!("launch{shard}")), index).await?;
    }
    for shard in [0, 1, 2, u16::MAX] {
        same!(ids(&desk.due(shard, at(100, 0)).await?), [format!("in{shard}")], "due in a shard");
    }
    same!(ids(&desk.due(3, at(100, 0)).await?), Vec::<&str>::new(), "due in an empty shard");
    Ok(())
}

/// A rewritten record is due when it says now, not when it said before. An index left behind ends what was extended.
/// Moves a record later, earlier, into another shard and to never, and looks at the old place and the new one each
/// time.
pub(super) async fn rewritten_due_moves(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let mut version = desk.create(&a, due(100, 0)).await?;
    for (index, then, before) in [
        (due(200, 0), at(200, 0), at(199, 0)),
        (due(50, 0), at(50, 0), at(49, 0)),
        (due(70, 0), at(70, 0), at(69, 0)),
    ] {
        version = desk.commit(vec![put_at(&a, Expect::Version(version), index, "moved")]).await?;
        same!(ids(&desk.due(0, before).await?), Vec::<&str>::new(), "due before its new time");
        same!(ids(&desk.due(0, then).await?), ["a"], "due at its new time");
        same!(desk.due(0, Timestamp::MAX).await?.len(), 1, "how often it is due in the end");
    }
    let elsewhere = Index { shard: 9, ..due(70, 0) };
    version = desk.commit(vec![put_at(&a, Expect::Version(version), elsewhere, "moved")]).await?;
    same!(ids(&desk.due(0, at(70, 0)).await?), Vec::<&str>::new(), "due in the shard it left");
    same!(ids(&desk.due(9, at(70, 0)).await?), ["a"], "due in its new shard");
    desk.commit(vec![put_at(&a, Expect::Version(version), Index::default(), "done")]).await?;
    same!(ids(&desk.due(9, Timestamp::MAX).await?), Vec::<&str>::new(), "due although it says never");
    Ok(())
}
