//! Pure decisions: no async, no I/O, no chance of their own; `now` is an argument.

pub mod absence;
pub mod births;
pub mod brake;
pub mod budget;
pub mod clock_guard;
pub mod cost;
pub mod fair;
pub mod fold;
pub mod guard;
pub mod memory;
pub mod proof;
pub mod reservation;
pub mod resolve;
