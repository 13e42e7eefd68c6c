//! Cloud providers for `infra-core`. One folder per cloud.
//!
//! * [`sim`]: a real provider whose cloud is in memory (or in one file): always on, needs no key.
//! * [`aws`]: EC2. Its logic is always there; feature `aws` adds the official SDK beneath it.
//! * [`openstack`]: Nova, Neutron and Glance. Its logic is always there; feature `openstack` adds the real transport.
//!
//! What clouds share: [`failure`] turns a failed call into the contract's error, [`http`] is the way to an HTTP API.

pub mod aws;
pub mod failure;
pub mod http;
pub mod openstack;
pub mod sim;
