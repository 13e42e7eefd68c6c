//! What [`super::swap`] is made of. `tests/swap.rs` has a module of the same name with an interleaving tester's types.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, RwLock};
pub(super) use std::thread::yield_now;
