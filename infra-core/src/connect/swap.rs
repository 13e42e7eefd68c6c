//! One value that is read all the time and replaced now and then, without readers waiting for whoever replaces it.
//!
//! # Flow
//! A small ring of places. The number of the newest stands apart. A writer fills the *next* place, at which no reader
//! has been pointed since the ring last came round, and then moves the number. A reader takes the number and copies the
//! pointer in its place.
//!
//! # Guarantees
//! * A reader never waits for a writer: it only tries. Its try fails only when writers went round the whole ring between
//!   two of its instructions; then a newer value stands elsewhere already, and it is taken. So one try is enough while no
//!   more than two values are set during it.
//! * A reader gets a whole value, none older than the newest that was there when it began, and never after it a look that
//!   goes back: what stands in a place says which number it has, and before that number is the newest nobody takes it.
//! * What is replaced lives for as long as somebody holds it.
//!
//! # Why not something else
//! Under one lock a reader waits while a writer drops what it replaces. A crate with an atomic pointer (`arc-swap`) bounds
//! a reader's steps whatever writers do, and needs unsafe code that an interleaving tester cannot look into from outside;
//! and where values are set minutes apart, what it would add is nothing. This is made of what `sync` names
//! alone, so `tests/swap.rs` builds this very file over the tester's own types and tries all interleavings.
//!
//! # Caveats
//! It is lock-free, and not wait-free in the strict sense: writers that go round the ring again and again, just between the
//! two instructions of one reader, each time, would keep it trying; and readers of one place count themselves in and out
//! by a compare-and-swap. The last few values are kept alive by their places. One writer at a time; others wait for it.

use super::sync::{Arc, AtomicUsize, Mutex, Ordering, RwLock};

/// Places in the ring: two swaps may pass while a reader is between its two instructions.
pub(crate) const PLACES: usize = 3;

/// A value that is replaced under its readers.
#[derive(Debug)]
pub(crate) struct Swap<T> {
    /// Each with the number under which it was put there.
    places: [RwLock<(usize, Option<Arc<T>>)>; PLACES],
    /// How often it was set; the newest stands at the remainder.
    newest: AtomicUsize,
    /// Held by the one writer.
    turn: Mutex<()>,
}

impl<T> Default for Swap<T> {
    /// Empty.
    fn default() -> Self {
        let places = std::array::from_fn(|_| RwLock::new((0, None)));
        Self { places, newest: AtomicUsize::new(0), turn: Mutex::new(()) }
    }
}

impl<T> Swap<T> {
    /// The newest value; `None` when it was never set.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        loop {
            let newest = self.newest.load(Ordering::Acquire);
            let place = self.places[newest % PLACES].try_read();
            if let Some((_, value)) = place.ok().filter(|place| place.0 == newest).as_deref() {
                return value.clone();
            }
        }
    }

    /// Replaces it. What stood in the place is dropped after the place is open again: a reader never waits for that.
    pub(crate) fn set(&self, value: Arc<T>) {
        let turn = self.turn.lock().expect("nobody panics while setting it");
        let next = self.newest.load(Ordering::Acquire).wrapping_add(1);
        let old = {
            let mut place = self.places[next % PLACES].write().expect("nobody panics while reading it");
            std::mem::replace(&mut *place, (next, Some(value)))
        };
        self.newest.store(next, Ordering::Release);
        drop(turn);
        drop(old);
    }
}
