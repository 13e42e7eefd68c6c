//! The real client of DigitalOcean over its fake: the laws, and the dangers one by one. No socket, virtual time.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod bench;
mod births;
mod laws;
mod looking;
mod satellites;
