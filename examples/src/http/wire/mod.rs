//! What enters and leaves the server as JSON, and nothing else: the server writes these types, the OpenAPI document
//! takes its schemas from them, and clients in Rust may read them.
//!
//! # Guarantees
//! * A field that an answer names is always there, `null` when there is nothing to say.
//! * No secret is in any answer but the one that issues it.
//! * Bodies refuse what they do not know; answers may grow, so whoever reads them passes over what is new.

mod history;
mod keys;
mod money;
mod offers;
mod page;
mod params;
mod people;
mod problem;
mod reservations;
mod service;
mod templates;
mod whoami;

pub use history::{Access, HistoryEntry, Machine, StreamedEvent};
pub use keys::{Key, NewKey};
pub use money::{
    Budget, BudgetLeft, BudgetLimits, BudgetTotals, NewOverlays, Overlays, Quotes, RuleCost, Skipped,
    Spending, Usage, UsageOf,
};
pub use offers::{Offering, Quote};
pub use page::Page;
pub use params::{
    Acting, AnyReservation, Explain, Idempotency, IfMatch, LastEventId, OfKey, OfMonth, OfReservation,
    OfShare, OfTeam, OfTemplate, OfToken, OfUser, Offers, PageOf, TemplateOwner, TemplateVersion, Wait,
    Which,
};
pub use people::{
    IssuedToken, Members, NewOwnToken, NewToken, NewUser, OwnRole, Profile, Team, Token, Transfer,
    Transferred, User, UserChange,
};
pub use problem::ProblemBody;
pub use reservations::{Asked, Change, NewShare, Reservation, Share, ShareRole};
pub use service::{Brake, Dropping, Health, LaneStatus, NewBrake, Readiness, Recover, Status, ThrownBrake};
pub use templates::{NewTemplate, Overrides, Template, TemplateSource};
pub use whoami::{Role, WhoAmI};
