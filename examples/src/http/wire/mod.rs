//! What enters and leaves the server as JSON, and nothing else: the server writes these types, the OpenAPI document
//! takes its schemas from them, and clients in Rust may read them.
//!
//! # Guarantees
//! * A field that an answer names is always there, `null` when there is nothing to say.
//! * No secret is in any answer but the one that issues it.
//! * Bodies refuse what they do not know; answers may grow, so whoever reads them passes over what is new.

mod history;
mod keys;
mod offers;
mod page;
mod params;
mod people;
mod problem;
mod reservations;
mod service;

pub use history::{Access, HistoryEntry, Machine};
pub use keys::{Key, NewKey};
pub use offers::{Offering, Quote};
pub use page::Page;
pub use params::{
    Acting, AnyReservation, Idempotency, IfMatch, LastEventId, OfKey, OfReservation, OfToken, OfUser, PageOf,
    Wait, Which,
};
pub use people::{IssuedToken, NewToken, NewUser, Token, User, UserChange};
pub use problem::ProblemBody;
pub use reservations::{Asked, Change, Reservation};
pub use service::{Brake, Dropping, Health, LaneStatus, NewBrake, Readiness, Recover, Status, ThrownBrake};
