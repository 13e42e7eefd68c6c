//! The OpenStack provider against a whole control plane: Keystone, Nova, Glance, Neutron and Placement as they are
//! released; only the hypervisor below Nova is a fake (see `scripts/testbed/openstack`).
//!
//! `scripts/test --only openstack` starts it and says where it is (see [`cloud`]).

mod cloud;
mod laws;
mod life;
