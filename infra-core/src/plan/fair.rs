//! Whose turn is it? A lane's rate is shared by all tenants of its account, and what is asked first empties the bucket.
//!
//! # Guarantees
//! * In every round each tenant comes once, so a thousand rows of one never stand before the first row of another.
//! * The tenant who begins changes from turn to turn: where a tick has tokens for fewer rows than there are tenants,
//!   each of them begins equally often.
//! * A tenant's own rows keep their order, and nothing is left out or doubled.

use std::collections::{BTreeMap, VecDeque};

/// Orders items by rounds over their owners; `turn` says which owner begins.
#[must_use]
pub fn in_turns<T, K: Ord>(items: Vec<T>, turn: usize, owner: impl Fn(&T) -> K) -> Vec<T> {
    let count = items.len();
    let mut by_owner: BTreeMap<K, VecDeque<T>> = BTreeMap::new();
    for item in items {
        by_owner.entry(owner(&item)).or_default().push_back(item);
    }
    let mut queues: VecDeque<VecDeque<T>> = by_owner.into_values().collect();
    if !queues.is_empty() {
        let begin = turn % queues.len();
        queues.rotate_left(begin);
    }
    let mut ordered = Vec::with_capacity(count);
    while let Some(mut queue) = queues.pop_front() {
        ordered.extend(queue.pop_front());
        if !queue.is_empty() {
            queues.push_back(queue);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nobody_waits_behind_a_crowd(owners in proptest::collection::vec(0_u8..5, 0..60), turn in 0_usize..100) {
            let items: Vec<(u8, usize)> = owners.iter().copied().zip(0..).collect();
            let ordered = in_turns(items.clone(), turn, |item| item.0);
            let mut sorted = ordered.clone();
            sorted.sort_by_key(|item| item.1);
            prop_assert_eq!(sorted, items, "nothing is left out or doubled");
            for (at, (owner, number)) in ordered.iter().enumerate() {
                let before = &ordered[..at];
                let own = before.iter().filter(|item| item.0 == *owner).count();
                prop_assert!(before.iter().all(|item| item.0 != *owner || item.1 < *number), "its own order");
                for other in 0..5 {
                    let others = before.iter().filter(|item| item.0 == other).count();
                    prop_assert!(others <= own + 1, "{} rows of {other} before number {own} of {owner}", others);
                }
            }
        }

        #[test]
        fn everybody_begins_equally_often(tenants in 1_usize..6) {
            let items: Vec<usize> = (0..tenants).chain(0..tenants).collect();
            let mut first: Vec<usize> = (0..tenants).map(|turn| in_turns(items.clone(), turn, |item| *item)[0]).collect();
            first.sort_unstable();
            prop_assert_eq!(first, (0..tenants).collect::<Vec<_>>());
        }
    }
}
