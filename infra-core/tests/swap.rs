//! A value that is replaced under its readers, in all interleavings: the file that ships, built over the tester's types.

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, RwLock};
}

#[path = "../src/connect/swap.rs"]
mod swap;

use loom::thread;
use swap::Swap;
use sync::Arc;

/// Two halves that only a torn value has different.
fn value(of: usize) -> Arc<(usize, usize)> {
    Arc::new((of, of * 7))
}

fn model(swaps: usize, readers: usize) -> usize {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let swap = Arc::new(Swap::default());
        swap.set(value(1));
        let all: Vec<_> = (0..readers)
            .map(|_| {
                let swap = Arc::clone(&swap);
                thread::spawn(move || {
                    let mut last = 1;
                    for _ in 0..2 {
                        let seen = swap.get().expect("it was set before anybody reads");
                        assert_eq!(seen.1, seen.0 * 7, "torn");
                        assert!(seen.0 >= last, "older than what was there when the look began");
                        last = seen.0;
                    }
                })
            })
            .collect();
        for nth in 0..swaps {
            swap.set(value(nth + 2));
        }
        assert_eq!(swap.get().expect("set").0, swaps + 1, "the writer sees its own");
        all.into_iter().for_each(|reader| reader.join().expect("no reader panics"));
    });
    runs.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn a_reader_never_sees_a_torn_or_an_older_value_nor_waits_for_a_writer() {
    // Four swaps go round the ring of three with a reader in the middle.
    let (one, two) = (model(4, 1), model(2, 2));
    println!("COUNT swap-interleavings one-reader={one} two-readers={two}");
    assert!(one > 10 && two > 10, "the tester tried {one} and {two} interleavings");
}
