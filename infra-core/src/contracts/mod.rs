//! The contracts: small dyn traits without default methods, one error enum each.

pub mod allocator;
pub mod observer;
pub mod pricing;
pub mod provider;
pub mod store;
