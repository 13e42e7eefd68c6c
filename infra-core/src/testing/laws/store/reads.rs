//! Laws about reading by key, and about what a deletion leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Desk, KIND, Kept, Subject, delete, ids, key, key_of, lane, put, tenant, under, user};
use crate::contracts::store::{Change, Expect, Index, ListBy, Record, RecordKind};
use crate::words::clock::Timestamp;
use crate::words::lane::Version;

/// An index whose every field is at an end of its range, with a time finer than microseconds.
fn extreme() -> Index {
    Index {
        owner: Some(user("ada@example")),
        shard: u16::MAX,
        lane: Some(lane("cloud||account|region")),
        due_at: Some(Timestamp::new(1_767_225_600, 123_456_789).expect("a time within range")),
        state: u8::MAX,
    }
}

/// Key, version, commit, index and body come back bit by bit. What is lost here is lost silently: a deadline cut to
/// microseconds fires early, a body taken for text is no longer what was sealed. Writes every byte, every index field
/// at its end, and a time before 1970.
pub(super) async fn a_record_reads_back_as_written(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let before_1970 = Timestamp::new(-1, -500_000_000).expect("a time within range");
    let early = Index { due_at: Some(before_1970), ..Index::default() };
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for (id, index, body) in
        [("full", extreme(), every_byte), ("plain", Index::default(), Vec::new()), ("early", early, vec![0])]
    {
        let key = key(id);
        let change = Change::Put {
            key: key.clone(),
            expect: Expect::Absent,
            index: index.clone(),
            body: body.clone(),
        };
        let commit = desk.commit_of(vec![change]);
        let version = desk.store.commit(&commit).await?;
        let written = Record { key: key.clone(), version, by: commit.id, index, body };
        same!(desk.one(&key).await?, Some(written), "what was written");
    }
    Ok(())
}

/// One answer per key asked, in that order, also for missing and repeated keys. Callers pair keys and records by
/// place, so that another order puts one machine's state on another. A key is missing and one is repeated, as batches
/// of a database drop both.
pub(super) async fn get_answers_in_the_order_asked(store: Subject) -> Kept {
    let desk = Desk::at(store);
    desk.create_all(&[key("a"), key("b"), key("c")]).await?;
    let asked = ["c", "missing", "a", "b", "a"].map(key);
    let found = desk.store.get(&asked).await?;
    let found: Vec<_> = found.iter().map(|record| record.as_ref().map(|record| &*record.key.id)).collect();
    same!(found, [Some("c"), None, Some("a"), Some("b"), Some("a")], "ids in the order asked");
    hold!(desk.store.get(&[]).await?.is_empty(), "records were found that nobody asked for");
    Ok(())
}

/// The same id under another tenant or kind is another record. One customer would read another's machines. Two of the
/// keys are the same text when tenant and id are joined without a sign between.
pub(super) async fn tenants_and_kinds_do_not_mix(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let keys = [
        key_of("team", KIND, "a"),
        key_of("team2", KIND, "a"),
        key_of("team", RecordKind::Launch, "a"),
        key_of("te", KIND, "ama"),
    ];
    for (no, one) in keys.iter().enumerate() {
        same!(desk.one(one).await?, None, "a record before it was made");
        desk.commit(vec![put(one, Expect::Absent, &no.to_string())]).await?;
    }
    for (no, one) in keys.iter().enumerate() {
        same!(desk.body(one).await?, Some(no.to_string()), "body under its own key");
    }
    let listed = desk.all(under(""), None, 10).await?;
    same!(ids(&listed), ["a"], "what a tenant has of a kind");
    Ok(())
}

/// Ids are compared byte by byte: no folding of case, accents, spaces or quotes. Two ids that a database takes for
/// one overwrite each other, and the loser's machine runs on unknown. Quotes and comment signs also tell whether a
/// query is put together from text.
pub(super) async fn odd_ids_are_kept_apart(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let odd = [
        "",
        "a",
        "A",
        " a",
        "a ",
        "a\n",
        "'",
        "''",
        "\"",
        "\\",
        "a;b",
        "--",
        "é",
        "e\u{301}",
        "😀",
        "a/b",
        "a//b",
        "%",
        "_",
        "*",
        "?",
        "0",
        "00",
        "NULL",
        "a\u{200b}",
    ];
    for (no, id) in odd.iter().enumerate() {
        desk.commit(vec![put(&key(id), Expect::Absent, &no.to_string())]).await?;
    }
    for (no, id) in odd.iter().enumerate() {
        same!(desk.body(&key(id)).await?, Some(no.to_string()), format!("body under {id:?}"));
    }
    let listed = desk.all(under(""), None, 7).await?;
    let listed: BTreeSet<&str> = ids(&listed).into_iter().collect();
    same!(listed, BTreeSet::from(odd), "ids listed");
    Ok(())
}

/// No way leads to a deleted record, and a new one under its key starts afresh. An index entry that outlives its
/// record wakes somebody for nothing for ever, or shows a new record to its predecessor's owner. Goes every way there
/// is, then reuses the key.
pub(super) async fn deleted_is_gone_everywhere(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let index = extreme();
    let due_at = index.due_at.expect("is set");
    let made = desk.create(&a, index.clone()).await?;
    same!(desk.due(index.shard, due_at).await?.len(), 1, "due before the deletion");
    let deleted = desk.commit(vec![delete(&a, Expect::Version(made))]).await?;
    same!(desk.one(&a).await?, None, "read after the deletion");
    let ways = [
        under(""),
        ListBy::Owner { tenant: tenant("team"), owner: user("ada@example") },
        ListBy::Lane(lane("cloud||account|region")),
        ListBy::All,
    ];
    for by in ways {
        let what = format!("listed after the deletion by {by:?}");
        same!(ids(&desk.all(by, None, 10).await?), Vec::<&str>::new(), what);
    }
    same!(ids(&desk.due(index.shard, due_at).await?), Vec::<&str>::new(), "due after the deletion");
    let since = desk.store.changes(Version(0), Duration::ZERO).await?;
    same!(since.newest, deleted, "newest commit after the deletion");
    desk.create(&a, Index::default()).await?;
    let owned = ListBy::Owner { tenant: tenant("team"), owner: user("ada@example") };
    same!(
        ids(&desk.all(owned, None, 10).await?),
        Vec::<&str>::new(),
        "the old owner's list after a new birth"
    );
    Ok(())
}
