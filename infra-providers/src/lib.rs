//! Cloud providers for infra-core. One folder per cloud, with the same files in each.

pub mod aws;
