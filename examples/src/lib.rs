//! Front ends over `infra-core`. Thin: they translate, and call the handle.
//!
//! * [`client`]: a client of that API, for any program; [`cli`] is the command line over it.
//! * [`http`]: an axum router over [`infra_core`], to be mounted by any program.
//! * [`server`]: what the `http-server` binary needs around it.

pub mod cli;
pub mod client;
pub mod http;
pub mod server;

/// The README's example is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
