//! The handle: everything a front door may do.
//!
//! # Flow
//! [`Infra::builder`] takes a store, clouds and settings; [`InfraBuilder::build`] opens the installation and
//! starts the engine. [`Infra::user`] is one user's view: it touches nothing of anybody else. [`Infra::operator`]
//! is for those who run the installation. A front door changes only what is *desired*; the engine makes it so.
//!
//! # Guarantees
//! * Every change is one compare-and-swap commit, or a sequence of them that may be repeated from the start.
//! * A release always wins; somebody else's id looks like a missing id.
//! * Nothing is changed while the store is frozen ([`InfraError::Frozen`]); everything stays readable.
//!
//! # Cancel safety
//! Every `async fn` here may be dropped at any await. What its one commit changed is then either wholly done or
//! not at all, and the caller does not know which: repeat the call (under the same idempotency key where it
//! creates). Calls of several commits say so; repeating finishes them.
//!
//! # Caveats
//! Accepting is not having: a reservation is `pending` until the engine has acted; use [`UserHandle::wait`].

mod access;
mod ask;
mod budget;
mod builder;
mod change;
mod core;
mod defaults;
mod engine_hook;
mod error;
mod gate;
mod health;
mod history;
mod keys;
mod list;
mod once;
mod open;
mod operator;
mod overlay_effect;
mod overlays;
mod page;
mod profile;
mod quote;
mod recover;
mod refill;
mod reseal;
mod reserve;
mod rows;
mod sharing;
mod show;
mod teams;
mod templates;
mod tokens;
mod usage;
mod user;
mod views;

use std::sync::Arc;

pub use access::{Access, Door};
pub use budget::BudgetView;
pub use builder::{InfraBuilder, SHARDS};
pub use error::{FieldError, InfraError};
pub use health::{Component, Condition, Health};
pub use history::{HistoryEntry, HistoryOptions, HistoryPage, Told, Watch};
pub use operator::Operator;
pub use overlay_effect::OverlayEffect;
pub use reseal::Resealed;
pub use usage::{ReservationUsage, Usage};
pub use user::UserHandle;
pub use views::{
    Explained, IDEMPOTENCY_KEY_LEN_MAX, IdempotencyKey, InFlight, KeyView, LaneOfferings, LaneStatus,
    ListOptions, NewKey, NewTemplate, OverlaysView, Principal, ProfileView, QuoteOptions, Relaunch,
    ReleaseOutcome, ReservationView, Reserved, SavedTemplate, ShareView, Shares, Status, TeamView,
    TemplateFrom, TemplatePage, TemplateView, TemplatesAfter, ViewPage,
};

use crate::words::ids::UserId;

/// An open installation. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Infra {
    core: Arc<core::Core>,
    engine: Arc<engine_hook::Running>,
}

impl Infra {
    /// Begins to build one.
    pub fn builder() -> InfraBuilder {
        InfraBuilder::default()
    }

    /// One user's view. Does no I/O: whether the user exists is found by the first call on it.
    #[must_use]
    pub fn user(&self, id: &UserId) -> UserHandle {
        UserHandle::new(Arc::clone(&self.core), id.clone())
    }

    /// The view of whoever showed a token. As [`Self::user`], and spares the first look at who that is.
    #[must_use]
    pub fn user_of(&self, principal: &Principal) -> UserHandle {
        UserHandle::of(Arc::clone(&self.core), principal)
    }

    /// For those who run the installation. Whoever holds it may do everything it offers.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(Arc::clone(&self.core))
    }

    /// Stops the engine and waits until it has stopped. Reservations live on in the store; calls on handles go on
    /// working, but nothing acts on them until the next start. Repeating is fine.
    ///
    /// Cancel safety: once polled the engine has been told to stop; dropping only ends the waiting.
    pub async fn shutdown(&self) {
        self.engine.stop().await;
    }
}

const _: () = {
    const fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Infra>();
    shared::<UserHandle>();
    shared::<Operator>();
};
