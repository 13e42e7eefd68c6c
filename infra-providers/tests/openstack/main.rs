//! The OpenStack provider over its in-process fake, in virtual time.

mod cloud;
mod dangers;
mod input;
mod laws;
