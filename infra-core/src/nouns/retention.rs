//! When a reservation that is over may be forgotten, with everything that hangs on it.
//!
//! # Guarantees
//! * It is written with the end of the reservation, in one commit: nothing that is over is kept for want of a note.

use serde::{Deserialize, Serialize};

use super::reservation::Reservation;
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TenantId};

/// A note beside a reservation that is over. It goes last: while it is there, something of the reservation may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub reservation: ReservationId,
    /// Readable until then.
    pub until: Timestamp,
}

impl Retention {
    /// The note beside a reservation.
    ///
    /// Made at its end, when it is known from when on the time counts.
    #[must_use]
    pub fn of(reservation: &Reservation, until: Timestamp) -> Self {
        Self { tenant: reservation.tenant.clone(), reservation: reservation.id.clone(), until }
    }
}
