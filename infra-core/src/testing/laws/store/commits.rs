//! Laws about what a commit does, refuses, and answers.

use super::{Desk, Kept, Subject, check, delete, is_conflict, key, put};
use crate::contracts::store::{Change, Expect, Index, StoreError};
use crate::words::lane::Version;

/// Who read an older version may not write over a newer one. Otherwise two replicas that both read once each launch a
/// machine, and the second forgets that of the first. Tries a stale write and a stale deletion, and looks that
/// neither left anything.
pub(super) async fn stale_commit_is_a_conflict(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let first = desk.create(&a, Index::default()).await?;
    let second = desk.commit(vec![put(&a, Expect::Version(first), "second")]).await?;
    for stale in [put(&a, Expect::Version(first), "stale"), delete(&a, Expect::Version(first))] {
        hold!(is_conflict(&desk.commit(vec![stale]).await), "a stale change was taken");
    }
    same!(desk.one(&a).await?.map(|record| record.version), Some(second), "version after a stale commit");
    same!(desk.body(&a).await?.as_deref(), Some("second"), "body after a stale commit");
    Ok(())
}

/// What must be new may not replace anything. One name taken twice means two owners of one record, and the first
/// one's machines are known to nobody. Tries a write, a check and a deletion.
pub(super) async fn an_expectation_absent_fails_on_presence(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    desk.create(&a, Index::default()).await?;
    for change in [put(&a, Expect::Absent, "over"), check(&a, Expect::Absent), delete(&a, Expect::Absent)] {
        let what = format!("{change:?}");
        hold!(is_conflict(&desk.commit(vec![change]).await), "taken although present: {what}");
    }
    same!(desk.body(&a).await?.as_deref(), Some("new"), "body after refused writes");
    Ok(())
}

/// What was deleted meanwhile is not silently made again. A slow writer would bring an ended reservation back to
/// life, and with it the machines that it wants.
pub(super) async fn an_expectation_of_a_version_fails_on_absence(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let made = desk.create(&a, Index::default()).await?;
    desk.commit(vec![delete(&a, Expect::Version(made))]).await?;
    let expect = Expect::Version(made);
    for change in [put(&a, expect, "back"), check(&a, expect), delete(&a, expect)] {
        let what = format!("{change:?}");
        hold!(is_conflict(&desk.commit(vec![change]).await), "taken although absent: {what}");
    }
    same!(desk.one(&a).await?, None, "a record that nobody made");
    Ok(())
}

/// A commit of which one change is refused leaves no trace of the others, wherever the refused one stands. A unit
/// without its launch, or a launch without its unit, is how machines run that nobody counts. The refused change
/// stands first, in the middle and last, as stores that write one by one differ just there.
pub(super) async fn all_changes_or_none(store: Subject) -> Kept {
    let (desk, a, b, c) = (Desk::at(store), key("a"), key("b"), key("c"));
    let made = desk.create(&a, Index::default()).await?;
    let kept = desk.create(&c, Index::default()).await?;
    for refused_at in 0..3 {
        let mut changes = vec![put(&b, Expect::Absent, "half"), delete(&c, Expect::Version(kept))];
        changes.insert(refused_at, put(&a, Expect::Version(Version(made.0 + 1000)), "half"));
        hold!(is_conflict(&desk.commit(changes).await), "a wrong expectation at {refused_at} was taken");
        same!(desk.one(&b).await?, None, "a put beside a refused change");
        hold!(desk.one(&c).await?.is_some(), "a delete beside a refused change at {refused_at} was done");
        same!(desk.body(&a).await?.as_deref(), Some("new"), "the refused put itself");
    }
    Ok(())
}

/// Fences and switches are carried by checks: nothing is written once they moved, and checks write nothing. A replica
/// that lost its shard and still writes fights with its successor, launch by launch. A store that drops checks for
/// being no writes passes every other law.
pub(super) async fn a_check_alone_guards_the_commit(store: Subject) -> Kept {
    let (desk, fence, a, b) = (Desk::at(store), key("fence"), key("a"), key("b"));
    let old = desk.create(&fence, Index::default()).await?;
    desk.commit(vec![check(&fence, Expect::Version(old)), put(&a, Expect::Absent, "in time")]).await?;
    same!(desk.one(&fence).await?.map(|record| record.version), Some(old), "version after a mere check");
    desk.commit(vec![put(&fence, Expect::Version(old), "moved")]).await?;
    let late = vec![put(&b, Expect::Absent, "late"), check(&fence, Expect::Version(old))];
    hold!(is_conflict(&desk.commit(late).await), "a commit went through under an old fence");
    same!(desk.one(&b).await?, None, "what was written under an old fence");
    let alone = desk.commit(vec![check(&fence, Expect::Version(old))]).await;
    hold!(is_conflict(&alone), "a check by itself held although the fence moved");
    Ok(())
}

/// The caller learns which expectation failed. A lost fence means stop, a lost race means read again: without the
/// name every conflict is met with the wrong one of the two. The refused change stands second, so that naming the
/// first is found out.
pub(super) async fn a_conflict_names_the_record(store: Subject) -> Kept {
    let (desk, a, taken) = (Desk::at(store), key("a"), key("taken"));
    desk.create(&taken, Index::default()).await?;
    let changes = vec![put(&a, Expect::Absent, "x"), put(&taken, Expect::Absent, "x")];
    match desk.commit(changes).await {
        Err(StoreError::Conflict { tenant, kind, id }) => {
            same!((tenant, kind, id), (taken.tenant, taken.kind, taken.id), "what the conflict names");
            Ok(())
        }
        other => Err(super::Unmet::Broken(format!("not a conflict: {other:?}"))),
    }
}

/// A writer whose reply was lost asks by sending again, and nothing happens twice. Without it a lost reply reads as a
/// conflict, the writer thinks that it lost, and drops a launch that is on its way. Another commit lies between, so
/// that answering the newest number is no way out.
pub(super) async fn same_commit_again_answers_the_same(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let made = desk.create(&a, Index::default()).await?;
    let commit = desk.commit_of(vec![put(&a, Expect::Version(made), "once")]);
    let first = desk.store.commit(&commit).await?;
    desk.create(&key("b"), Index::default()).await?;
    for _ in 0..2 {
        same!(desk.store.commit(&commit).await?, first, "answer to the same commit");
    }
    same!(
        desk.one(&a).await?.map(|record| record.version),
        Some(first),
        "version after the same commit again"
    );
    Ok(())
}

/// Also when no record carries the commit any more. A store that remembers commits only on its records forgets them
/// with the next write. Sends again after an overwrite and after a deletion, and nothing may come back.
pub(super) async fn same_commit_again_answers_the_same_after_later_writes(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let commit = desk.commit_of(vec![put(&a, Expect::Absent, "first")]);
    let first = desk.store.commit(&commit).await?;
    let second = desk.commit(vec![put(&a, Expect::Version(first), "second")]).await?;
    same!(desk.store.commit(&commit).await?, first, "answer to an overwritten commit");
    same!(desk.body(&a).await?.as_deref(), Some("second"), "body after an overwritten commit again");
    desk.commit(vec![delete(&a, Expect::Version(second))]).await?;
    same!(desk.store.commit(&commit).await?, first, "answer to a commit whose record is gone");
    same!(desk.one(&a).await?, None, "a deleted record after its first commit again");
    Ok(())
}

/// A deletion leaves no record that could carry its id. Forgotten, the second one reads as a conflict, or removes the
/// record that took the place meanwhile. Has a new record born under the same key in between.
pub(super) async fn a_deletion_sent_again_answers_the_same(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let made = desk.create(&a, Index::default()).await?;
    let commit = desk.commit_of(vec![delete(&a, Expect::Version(made))]);
    let first = desk.store.commit(&commit).await?;
    same!(desk.store.commit(&commit).await?, first, "answer to the same deletion");
    desk.create(&a, Index::default()).await?;
    same!(desk.store.commit(&commit).await?, first, "answer to the same deletion after a new birth");
    hold!(desk.one(&a).await?.is_some(), "the same deletion again removed the next record");
    Ok(())
}

/// Only what was done is remembered: a refusal is not an outcome for ever. A store that keeps refusals would lock out
/// a writer that only came too early. Frees the key, and sends the very same commit.
pub(super) async fn a_refused_commit_may_be_sent_again(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let made = desk.create(&a, Index::default()).await?;
    let commit = desk.commit_of(vec![put(&a, Expect::Absent, "mine")]);
    hold!(is_conflict(&desk.store.commit(&commit).await), "a present record was replaced");
    desk.commit(vec![delete(&a, Expect::Version(made))]).await?;
    desk.store.commit(&commit).await?;
    same!(desk.body(&a).await?.as_deref(), Some("mine"), "body after the refused commit was sent again");
    Ok(())
}

/// Commit numbers rise over all keys, and a record carries the number that its commit was answered with. A follower
/// skips whatever is numbered at or below what it has seen: a number too low is a change that it never hears of.
pub(super) async fn versions_rise_with_every_commit(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let mut last = Version(0);
    for round in 0..6 {
        let a = key(&format!("{round}"));
        let made = desk.create(&a, Index::default()).await?;
        hold!(made > last, "{made} was answered after {last}");
        same!(desk.one(&a).await?.map(|record| record.version), Some(made), "the record's own version");
        last = made;
    }
    Ok(())
}

/// A number that named a deleted state never names another one: nobody acts on the wrong record. A store that counts
/// per record starts again at one, and an expectation from before the deletion holds against a record that its writer
/// never read.
pub(super) async fn versions_never_repeat_even_after_delete(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let mut seen = vec![desk.create(&a, Index::default()).await?];
    for _ in 0..3 {
        let last = *seen.last().expect("one was made");
        seen.push(desk.commit(vec![delete(&a, Expect::Version(last))]).await?);
        seen.push(desk.create(&a, Index::default()).await?);
    }
    hold!(seen.is_sorted_by(|earlier, later| earlier < later), "versions do not rise: {seen:?}");
    let first = Expect::Version(seen[0]);
    hold!(
        is_conflict(&desk.commit(vec![put(&a, first, "aba")]).await),
        "a version of before the deletion held"
    );
    Ok(())
}

/// The limits told are the limits in force, and a refusal says which one, how large, and how large it may be. Limits
/// that are told too large fail a commit that was cut to fit, each time anew; told too small they waste what there
/// is. Goes one beyond each of them, and looks that nothing was left behind.
pub(super) async fn limits_are_refused_by_name(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let limits = desk.store.limits();
    hold!(limits.changes_max >= 24, "every store takes 24 changes, not {}", limits.changes_max);
    let many = |count: usize, name: &str| -> Vec<Change> {
        (0..count).map(|no| put(&key(&format!("{name}{no}")), Expect::Absent, "x")).collect()
    };
    desk.commit(many(limits.changes_max, "fits")).await?;
    let refused = desk.commit(many(limits.changes_max + 1, "many")).await;
    is_too_large(&refused, limits.changes_max)?;
    let large = |len: usize| vec![put(&key("large"), Expect::Absent, &"x".repeat(len))];
    is_too_large(&desk.commit(large(limits.body_bytes_max + 1)).await, limits.body_bytes_max)?;
    same!(desk.one(&key("large")).await?, None, "a record that was refused");
    same!(desk.one(&key("many0")).await?, None, "a record that was refused");
    desk.commit(large(limits.body_bytes_max)).await?;
    Ok(())
}

/// Refused for its size, with this limit in the answer.
fn is_too_large(outcome: &Result<Version, StoreError>, asked: usize) -> Kept {
    match outcome {
        Err(StoreError::TooLarge { what, value, limit }) => {
            same!((*value, *limit), (asked + 1, asked), what);
            Ok(())
        }
        other => Err(super::Unmet::Broken(format!("not refused as too large: {other:?}"))),
    }
}

/// Two changes of one key have no order: such a commit is refused whole. If the last one won, the first one's
/// expectation would be checked by nobody. Repeats a key by a write and by a check.
pub(super) async fn one_key_twice_is_malformed(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    for second in [put(&a, Expect::Absent, "two"), check(&a, Expect::Absent)] {
        let outcome = desk.commit(vec![put(&a, Expect::Absent, "one"), second]).await;
        hold!(matches!(outcome, Err(StoreError::Malformed { .. })), "one key twice: {outcome:?}");
    }
    same!(desk.one(&a).await?, None, "a record of a malformed commit");
    Ok(())
}

/// A commit without changes is a defect of its sender. Answered with a number, it would pass for something written,
/// and its sender would go on as if guarded by a fence it never named.
pub(super) async fn an_empty_commit_is_malformed(store: Subject) -> Kept {
    let outcome = Desk::at(store).commit(Vec::new()).await;
    hold!(matches!(outcome, Err(StoreError::Malformed { .. })), "an empty commit: {outcome:?}");
    Ok(())
}
