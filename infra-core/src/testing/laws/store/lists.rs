//! Laws about lists: what is on them, in which order, and how pages fit together.

use std::collections::BTreeSet;

use super::{Desk, KIND, Kept, Subject, ids, key, key_of, lane, put_at, tenant, under, user};
use crate::contracts::store::{Expect, Index, Key, ListBy, ListQuery, RecordKind};

fn owned_by(name: &str) -> Index {
    Index { owner: Some(user(name)), ..Index::default() }
}

fn on_lane(name: &str) -> Index {
    Index { lane: Some(lane(name)), ..Index::default() }
}

/// Records made while somebody turns pages neither hide nor repeat those that were there. Paging by offset shifts
/// with every insertion: a sweep then skips machines it should end, and nobody sees that it did. New records come
/// before, at and behind the reader's place.
pub(super) async fn pages_hold_each_record_once_while_others_are_added(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let there: Vec<Key> = (0..20).map(|no| key(&format!("m{no:02}"))).collect();
    desk.create_all(&there).await?;
    let mut query = ListQuery { by: under(""), kind: KIND, state_max: None, after: None, limit: 3 };
    let (mut seen, mut turned) = (Vec::new(), 0);
    loop {
        let page = desk.store.list(&query).await?;
        seen.extend(page.items.into_iter().map(|record| record.key).filter(|key| there.contains(key)));
        // One before everything, one right here, one behind everything.
        for place in ["a", &format!("m{:02}-", turned * 3), "z"] {
            desk.create(&key(&format!("{place}{turned}")), Index::default()).await?;
        }
        turned += 1;
        hold!(turned < 200, "the pages never end");
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    same!(seen, there, "the records that were there all the time, page by page");
    Ok(())
}

/// `next` is there when more is, and only then: also when the last page is exactly full. A missing `next` hides all
/// that follows, one too many costs a call at every list, or never ends. Full pages are the trap: their length says
/// nothing.
pub(super) async fn the_last_page_says_so(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let keys: Vec<Key> = (0..4).map(|no| key(&no.to_string())).collect();
    desk.create_all(&keys).await?;
    let page = async |after: Option<&Key>, limit| {
        let query = ListQuery { by: under(""), kind: KIND, state_max: None, after: after.cloned(), limit };
        desk.store.list(&query).await
    };
    let first = page(None, 2).await?;
    same!(first.next.as_ref(), Some(&keys[1]), "where the second page begins");
    same!(page(first.next.as_ref(), 2).await?.next, None, "where the page after a full last one begins");
    same!(page(None, 4).await?.next, None, "where the page after a full only one begins");
    same!(page(None, 100).await?.next, None, "where the page after a half-empty one begins");
    let beyond = page(keys.last(), 2).await?;
    hold!(beyond.items.is_empty() && beyond.next.is_none(), "a page behind the last record: {beyond:?}");
    Ok(())
}

/// Neither longer than asked nor than the store's own limit. A caller sizes its memory and its reply by that number.
/// No length at all must still get on, and the largest number must not overflow inside.
pub(super) async fn a_page_is_no_longer_than_asked(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let keys: Vec<Key> = (0..5).map(|no| key(&no.to_string())).collect();
    desk.create_all(&keys).await?;
    for limit in 1..=5 {
        let query = ListQuery { by: under(""), kind: KIND, state_max: None, after: None, limit };
        same!(desk.store.list(&query).await?.items.len(), limit, "records on a page");
    }
    same!(desk.all(under(""), None, 0).await?.len(), 5, "records on all pages of no length");
    let query = ListQuery { by: under(""), kind: KIND, state_max: None, after: None, limit: usize::MAX };
    same!(desk.store.list(&query).await?.items.len(), 5, "records on a page without a limit worth the name");
    Ok(())
}

/// `rsv_1/` is not the beginning of `rsv_10/0`, nor of `rsv_1` itself. Units are found by the prefix of their
/// reservation: a sloppy match ends the machines of ten others along with the first. Another tenant has a record
/// under the same prefix.
pub(super) async fn prefix_does_not_match_siblings(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let all = ["rsv_1", "rsv_1/0", "rsv_1/1", "rsv_10/0", "rsv_2/0", "rsv_1.", "rsv_10"];
    desk.create_all(&all.map(key)).await?;
    desk.create(&key_of("team2", KIND, "rsv_1/9"), Index::default()).await?;
    for limit in [1, 2, 100] {
        let found = desk.all(under("rsv_1/"), None, limit).await?;
        same!(ids(&found), ["rsv_1/0", "rsv_1/1"], "under rsv_1/");
    }
    same!(ids(&desk.all(under("rsv_3/"), None, 10).await?), Vec::<&str>::new(), "under rsv_3/");
    Ok(())
}

/// `%`, `_`, `*`, `?` and `[` in a prefix match themselves alone. Users choose names, and `LIKE` or a glob would let
/// one of them list and end what merely looks alike. Each sign stands beside a record that only a pattern would
/// match.
pub(super) async fn wildcards_in_ids_are_only_letters(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let all = ["a_b/1", "axb/1", "a%b/1", "a--b/1", "a*b/1", "a?b/1", "[ab]/1", "b/1", "\\%/1", "%/1"];
    desk.create_all(&all.map(key)).await?;
    for (prefix, expected) in [
        ("a_b/", "a_b/1"),
        ("a%b/", "a%b/1"),
        ("a*b", "a*b/1"),
        ("a?b", "a?b/1"),
        ("[ab]/", "[ab]/1"),
        ("%", "%/1"),
    ] {
        same!(ids(&desk.all(under(prefix), None, 10).await?), [expected], format!("under {prefix}"));
    }
    Ok(())
}

/// Ordered by tenant, then id, byte by byte, over all pages. Paging resumes by key: where a database sorts by its own
/// language, records between the two orders fall through. Cases, accents and signs are mixed, and page lengths too.
pub(super) async fn lists_are_ordered_by_key(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let odd = ["b", "B", "a", "_", "é", "z", "😀", "10", "9", "a/b", "a0", "a"];
    let mut expected: Vec<Key> = odd.iter().map(|id| key(id)).collect();
    expected.extend(odd.iter().map(|id| key_of("Team", KIND, id)));
    expected.sort();
    expected.dedup();
    // Made in another order than that of keys.
    let mut shuffled = expected.clone();
    shuffled.sort_by_key(|key| std::cmp::Reverse(key.id.len()));
    desk.create_all(&shuffled).await?;
    for limit in [1, 4, 100] {
        let found = desk.all(ListBy::All, None, limit).await?;
        let found: Vec<Key> = found.into_iter().map(|record| record.key).collect();
        same!(found, expected, "keys in the order listed");
    }
    Ok(())
}

/// The same name in another tenant is another user. Otherwise one customer reads, counts and is charged for what
/// belongs to another. The same name exists in two tenants.
pub(super) async fn owner_list_is_within_a_tenant(store: Subject) -> Kept {
    let desk = Desk::at(store);
    desk.create(&key("ours"), owned_by("ada")).await?;
    desk.create(&key("ours2"), owned_by("ada")).await?;
    desk.create(&key("bobs"), owned_by("bob")).await?;
    desk.create(&key("nobodys"), Index::default()).await?;
    desk.create(&key_of("other", KIND, "theirs"), owned_by("ada")).await?;
    for limit in [1, 100] {
        let by = ListBy::Owner { tenant: tenant("team"), owner: user("ada") };
        same!(ids(&desk.all(by, None, limit).await?), ["ours", "ours2"], "what ada owns in team");
    }
    let by = ListBy::Owner { tenant: tenant("team"), owner: user("eve") };
    same!(ids(&desk.all(by, None, 10).await?), Vec::<&str>::new(), "what eve owns in team");
    Ok(())
}

/// A transferred record leaves its old owner's list when it enters the new one's. Left on the old list, it counts
/// against the quota of somebody who has given it away, and who could still end it.
pub(super) async fn a_new_owner_moves_the_record(store: Subject) -> Kept {
    let (desk, a) = (Desk::at(store), key("a"));
    let made = desk.create(&a, owned_by("ada")).await?;
    desk.commit(vec![put_at(&a, Expect::Version(made), owned_by("bob"), "moved")]).await?;
    for (owner, expected) in [("ada", vec![]), ("bob", vec!["a"])] {
        let by = ListBy::Owner { tenant: tenant("team"), owner: user(owner) };
        same!(ids(&desk.all(by, None, 10).await?), expected, format!("what {owner} owns"));
    }
    Ok(())
}

/// One lane serves many tenants: its reconciler sees them all, and nothing of another lane. A tenant left out has
/// machines that nobody reconciles; a lane too many has them compared with a cloud that never had them, and taken for
/// lost.
pub(super) async fn lane_list_spans_tenants(store: Subject) -> Kept {
    let desk = Desk::at(store);
    desk.create(&key_of("one", KIND, "b"), on_lane("sim||a|r")).await?;
    desk.create(&key_of("two", KIND, "a"), on_lane("sim||a|r")).await?;
    desk.create(&key_of("two", KIND, "x"), on_lane("sim||a|r2")).await?;
    desk.create(&key_of("two", KIND, "y"), Index::default()).await?;
    for limit in [1, 100] {
        let found = desk.all(ListBy::Lane(lane("sim||a|r")), None, limit).await?;
        same!(ids(&found), ["b", "a"], "the lane's records");
    }
    Ok(())
}

/// A sweep over a kind sees every tenant. The system's own tenant is easily forgotten, and with it the records that
/// no user owns and nobody else cleans up.
pub(super) async fn all_list_spans_tenants(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let keys = ["_system", "one", "two"].map(|of| key_of(of, KIND, of));
    desk.create_all(&keys).await?;
    for limit in [1, 100] {
        let found: BTreeSet<Key> =
            desk.all(ListBy::All, None, limit).await?.into_iter().map(|record| record.key).collect();
        same!(found, BTreeSet::from(keys.clone()), "keys of every tenant");
    }
    Ok(())
}

/// A list holds the kind it was asked for, whatever it is by. A record of another kind is decoded as what it is not:
/// at best that is an error for the whole list. Every kind has the same key, owner and lane here.
pub(super) async fn lists_hold_one_kind(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let index = Index { owner: Some(user("ada")), lane: Some(lane("l")), ..Index::default() };
    for kind in RecordKind::ALL {
        desk.create(&key_of("team", kind, "a"), index.clone()).await?;
    }
    let owner = ListBy::Owner { tenant: tenant("team"), owner: user("ada") };
    for by in [under(""), owner, ListBy::Lane(lane("l")), ListBy::All] {
        let what = format!("kinds listed by {by:?}");
        let kinds: Vec<_> = desk.all(by, None, 2).await?.iter().map(|record| record.key.kind).collect();
        same!(kinds, [KIND], what);
    }
    Ok(())
}

/// At most this state, inclusively, whatever the list is by; and a record's state can change. The filter is what
/// keeps ended records from being read for ever; one off, it hides the last state that still has work to do. All ways
/// of listing are tried, and a record that changed its state.
pub(super) async fn state_max_filters(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let at = |state| Index { owner: Some(user("ada")), lane: Some(lane("l")), state, ..Index::default() };
    for (id, state) in [("a", 0), ("b", 7), ("c", 8), ("d", u8::MAX), ("e", 3)] {
        desk.create(&key(id), at(state)).await?;
    }
    let moved = desk.create(&key("f"), at(0)).await?;
    desk.commit(vec![put_at(&key("f"), Expect::Version(moved), at(200), "over")]).await?;
    let owner = ListBy::Owner { tenant: tenant("team"), owner: user("ada") };
    for by in [under(""), owner, ListBy::Lane(lane("l")), ListBy::All] {
        for (state_max, expected) in [
            (Some(7), vec!["a", "b", "e"]),
            (Some(0), vec!["a"]),
            (Some(u8::MAX), vec!["a", "b", "c", "d", "e", "f"]),
            (None, vec!["a", "b", "c", "d", "e", "f"]),
        ] {
            let found = desk.all(by.clone(), state_max, 2).await?;
            same!(ids(&found), expected, format!("states up to {state_max:?} by {by:?}"));
        }
    }
    Ok(())
}
