//! The handle over a store in memory and a simulated cloud: what front doors may do, and what they may not.

#![allow(unreachable_pub, reason = "one test binary: its modules are private to it")]

mod budgets;
mod capacity;
mod changing;
mod charging;
mod frozen;
mod guards;
mod history;
mod house;
mod keys;
mod lists;
mod market;
mod overlays;
mod people;
mod profile;
mod races;
mod resealing;
mod reserving;
mod sharing;
mod spending;
mod systems;
mod teams;
mod templates;
mod tokens;
mod upgrade;
mod usage;
