//! The EC2 provider through the official SDK against a strict emulator, straight and through a fault proxy.
//!
//! `scripts/test --only aws` starts both and says where they are (see [`cloud`]).

mod cloud;
mod faults;
mod keys;
mod laws;
mod life;
mod options;
mod permissions;
mod prices;
