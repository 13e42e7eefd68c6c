//! Cloud providers for `infra-core`. One folder per cloud.
//!
//! * [`sim`]: a real provider whose cloud is in memory (or in one file): always on, needs no key.
//! * [`aws`]: EC2. Its logic is always there; feature `aws` adds the official SDK beneath it.
//! * [`digitalocean`]: droplets, firewalls and snapshots over plain HTTP; feature `digitalocean` adds the transport.
//! * [`openstack`]: Nova, Neutron and Glance. Its logic is always there; feature `openstack` adds the real transport.
//!
//! [`registry`] makes drivers from what an operator writes, [`prices`] keeps what capacity costs. What clouds share: [`failure`] turns a failed call into the contract's error, [`http`] is the way to an HTTP API,
//! `first_boot` puts public keys beside a user's script, `families` reads what the names of types say.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod aws;
pub mod digitalocean;
pub mod failure;
pub mod http;
pub mod openstack;
pub mod prices;
pub mod registry;
pub mod sim;

mod cidr;
mod exposed;
mod families;
mod first_boot;
