//! Nouns: the records. Plain data, serialised as JSON into a store's bodies.

pub mod account;
pub mod actor;
pub mod budget;
pub mod cloud;
pub mod credential;
pub mod event;
pub mod installation;
pub mod launch;
pub mod lease;
pub mod offering;
pub mod options;
pub mod overlay;
pub mod overrides;
pub mod policy;
pub mod request;
pub mod reservation;
pub mod retention;
pub mod scarcity;
pub mod switch;
pub mod system;
pub mod template;
pub mod unit;
