//! The EC2 provider over the fake that stands on the sim: laws and dangers, in virtual time.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod keys;
mod laws;
mod network;
mod power;
