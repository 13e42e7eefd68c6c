//! The document's sections.

pub(in crate::http) const RESERVATIONS: &str = "reservations";
pub(in crate::http) const OFFERS: &str = "offers";
pub(in crate::http) const KEYS: &str = "keys";
pub(in crate::http) const PEOPLE: &str = "people";
pub(in crate::http) const OPERATION: &str = "operation";
pub(in crate::http) const SERVICE: &str = "service";

/// Every section, in the order of a newcomer's path, with what it is for.
pub(super) const ALL: &[(&str, &str)] = &[
    (RESERVATIONS, "What a user holds: reserve, look, extend, stop, start, release."),
    (OFFERS, "What can be had, and what it costs."),
    (KEYS, "A user's keys to clouds."),
    (PEOPLE, "Users and their access tokens; for the admin."),
    (OPERATION, "Brakes, and what is known of the installation; for the admin."),
    (SERVICE, "Is it alive, may it work, and this document; open to everybody."),
];
