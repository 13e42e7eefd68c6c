//! One value that is read all the time and replaced now and then, without readers waiting for whoever replaces it.
//!
//! # Flow
//! The value stands twice (the "left-right" technique of Ramalhete and Correia, 2013). Readers are sent to one side; the
//! writer fills the other, sends readers there, waits until nobody is on the first, and fills that too. A reader
//! counts itself in at one of two gates while it copies the pointer, so that the writer knows when nobody is left; new
//! readers count at the other gate meanwhile, so that the writer is not kept waiting by those who come later.
//!
//! # Guarantees
//! * A reader never waits for a writer, and does the same few steps whatever writers do: it has no loop, and the only
//!   lock it touches is one that a writer takes when no reader is sent there. It tries that lock and does not wait
//!   for it; were a writer ever there, it would panic, and the interleaving tester would see that.
//! * A reader gets a whole value, none older than the newest that was there when it began, and never after it a look that
//!   goes back.
//! * What is replaced is let go before `set` returns, and lives for as long as somebody holds it.
//!
//! # Why not something else
//! Under one lock a reader waits while a writer drops what it replaces. A crate with an atomic pointer (`arc-swap`) does as
//! well, and needs unsafe code that an interleaving tester cannot look into from outside. This is made of what
//! `sync` names alone, so `tests/swap.rs` builds this very file over the tester's own types and tries all interleavings.
//!
//! # Caveats
//! Readers of one side count themselves in the lock by a compare-and-swap, which another *reader* can make one repeat: towards
//! each other they are lock-free. One writer at a time; it waits for readers, a few instructions of each.

use super::sync::{Arc, AtomicUsize, Mutex, Ordering, RwLock, yield_now};

/// A value that is replaced under its readers.
#[derive(Debug)]
pub(crate) struct Swap<T> {
    /// The value, twice; two different ones only while it is being set.
    sides: [RwLock<Option<Arc<T>>>; 2],
    /// To which side readers are sent.
    side: AtomicUsize,
    /// How many readers are inside, by the gate through which they came.
    inside: [AtomicUsize; 2],
    /// Through which gate readers come.
    gate: AtomicUsize,
    /// Held by the one writer.
    turn: Mutex<()>,
}

impl<T> Default for Swap<T> {
    /// Empty.
    fn default() -> Self {
        Self {
            sides: [RwLock::new(None), RwLock::new(None)],
            side: AtomicUsize::new(0),
            inside: [AtomicUsize::new(0), AtomicUsize::new(0)],
            gate: AtomicUsize::new(0),
            turn: Mutex::new(()),
        }
    }
}

impl<T> Swap<T> {
    /// The newest value; `None` when it was never set.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        // Which gate does not matter for what is read: the writer waits for both.
        let inside = &self.inside[self.gate.load(Ordering::Relaxed)];
        // Whoever counts in after the writer found nobody here reads, with this, where that writer sends readers.
        inside.fetch_add(1, Ordering::AcqRel);
        let side = &self.sides[self.side.load(Ordering::Acquire)];
        let value = side.try_read().expect("no writer is where readers are sent").clone();
        inside.fetch_sub(1, Ordering::Release);
        value
    }

    /// Replaces it. What it replaces is dropped after everybody is let in again: nobody waits for that.
    pub(crate) fn set(&self, value: Arc<T>) {
        let turn = self.turn.lock().expect("nobody panics while setting it");
        let from = self.side.load(Ordering::Acquire);
        let older = self.put(1 - from, Arc::clone(&value));
        self.side.store(1 - from, Ordering::Release);
        let gate = self.gate.load(Ordering::Relaxed);
        self.wait_for_nobody(1 - gate);
        self.gate.store(1 - gate, Ordering::Relaxed);
        self.wait_for_nobody(gate);
        let old = self.put(from, value);
        drop(turn);
        drop((older, old));
    }

    /// Fills a side where no reader is, and answers what stood there.
    fn put(&self, side: usize, value: Arc<T>) -> Option<Arc<T>> {
        self.sides[side].write().expect("nobody panics while reading it").replace(value)
    }

    /// Until all who came through a gate have left it once.
    fn wait_for_nobody(&self, gate: usize) {
        // A write that changes nothing, and not a read: a reader comes before it, and is counted, or after it, and sees
        // to where readers are sent.
        while self.inside[gate].fetch_add(0, Ordering::AcqRel) != 0 {
            yield_now();
        }
    }
}
