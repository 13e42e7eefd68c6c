//! A value that is replaced under its readers, in all interleavings: the file that ships, built over the tester's types.

mod sync {
    pub(crate) use loom::sync::atomic::Ordering;
    pub(crate) use loom::sync::{Arc, Mutex, RwLock};
    pub(crate) use loom::thread::yield_now;

    /// How the writer looks whether readers are inside: as it ships, or broken on purpose.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(crate) enum Look {
        Whole,
        /// It sees nobody: it does not wait.
        Blind,
        /// It reads where it has to write: a reader may come in behind what it read.
        OnlyReads,
    }

    thread_local! {
        pub(crate) static LOOK: std::cell::Cell<Look> = const { std::cell::Cell::new(Look::Whole) };
    }

    /// The tester's, but for the look.
    #[derive(Debug)]
    pub(crate) struct AtomicUsize(loom::sync::atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) fn new(value: usize) -> Self {
            Self(loom::sync::atomic::AtomicUsize::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: usize, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_sub(value, order)
        }

        pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            match (value, LOOK.get()) {
                (0, Look::Blind) => 0,
                (0, Look::OnlyReads) => self.0.load(Ordering::Acquire),
                _ => self.0.fetch_add(value, order),
            }
        }
    }
}

#[path = "../src/connect/swap.rs"]
mod swap;

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::thread;
use swap::Swap;
use sync::{Arc, LOOK, Look};

/// Two halves that only a torn value has different.
fn value(of: usize) -> Arc<(usize, usize)> {
    Arc::new((of, of * 7))
}

fn model(swaps: usize, readers: usize, preemptions: usize) -> usize {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
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
fn a_reader_never_sees_a_torn_or_an_older_value_nor_meets_a_writer() {
    // Three swaps come back to the side where a slow reader may still be.
    let (one, two) = (model(3, 1, 3), model(2, 2, 2));
    println!("COUNT swap-interleavings one-reader={one} two-readers={two}");
    assert!(one > 10 && two > 10, "the tester tried {one} and {two} interleavings");
}

#[test]
fn a_writer_that_does_not_wait_as_it_should_is_caught() {
    for broken in [Look::Blind, Look::OnlyReads] {
        LOOK.set(broken);
        let caught = catch_unwind(AssertUnwindSafe(|| model(3, 1, 3)));
        LOOK.set(Look::Whole);
        assert!(caught.is_err(), "{broken:?} passed");
    }
}
