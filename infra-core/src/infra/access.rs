//! The way in: addresses, whom to log in as, and the key, each time on record.
//!
//! # Guarantees
//! * Secrets are opened for the owner alone, for one answer, after a commit that says who asked: an answer that was not
//!   written down is not given.
//! * The private half of a key pair stands sealed in the reservation's record, and nowhere in clear: not in rows, tags,
//!   events or logs.
//!
//! # Cancel safety
//! Dropped, the history may say that secrets were given although nobody got them; never the other way round.
//!
//! # Caveats
//! No cloud's password and no host key is known: none of the clouds that are here gives any by the calls that are made.

use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::rows;
use super::show;
use super::user::UserHandle;
use crate::nouns::actor::By;
use crate::nouns::event::Event;
use crate::nouns::reservation::{Reservation, UnitView};
use crate::price::DEFAULT_OS;
use crate::words::ids::{CommitId, ReservationId};
use crate::words::secret::Secret;

/// Where OpenSSH listens.
const SSH_PORT: u16 = 22;

/// The way into a reservation.
#[derive(Debug, Clone)]
pub struct Access {
    /// Into which.
    pub reservation: ReservationId,
    /// Its machines that have an address.
    pub machines: Vec<Door>,
    /// Public keys that may log in.
    pub public_keys: Vec<String>,
    /// The private half of the key pair that was made for it, in OpenSSH's format. `None` when its owner named keys of
    /// their own, when it is over, and for everybody but the owner.
    pub private_key: Option<Secret>,
    /// Was a key pair made for it, because the request named no key?
    pub made_here: bool,
}

/// One machine's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Which slot, where, in which state.
    pub unit: UnitView,
    /// The address to connect to: the public one where there is one.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whom to log in as; `None` when nobody knows what the image wants.
    pub user: Option<String>,
}

impl UserHandle {
    /// The way in. Secrets only for the owner, acting as itself or by a token of its own or a bot's; whoever runs the
    /// installation sees the doors without the keys. Every call stands in the history.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::Frozen`], because it could not be written down.
    pub async fn access(&self, id: &ReservationId) -> Result<Access, InfraError> {
        let user = self.core.user(&self.id).await?;
        let reservation = self.core.mine(&user.value, id).await?.value;
        let machines = self.doors(&reservation).await?;
        let private_key = self.private_key(&reservation)?;
        self.write_down(&reservation, private_key.is_some()).await?;
        Ok(Access {
            reservation: id.clone(),
            machines,
            public_keys: reservation.ssh_public_keys(),
            private_key,
            made_here: reservation.spec.login.is_some(),
        })
    }

    /// Opens the private half, if there is one and this is for its owner.
    fn private_key(&self, reservation: &Reservation) -> Result<Option<Secret>, InfraError> {
        let owner = reservation.owner == self.id && matches!(self.actor.by, By::User(_) | By::Token(_));
        let sealed = reservation.spec.login.as_ref().map(|login| &login.private_key);
        let Some(sealed) = sealed.filter(|_| owner && reservation.over_at.is_none()) else { return Ok(None) };
        let opened = self.core.master.open(&format!("reservation/{}/login", reservation.id), sealed);
        opened.map(Some).map_err(|error| InfraError::Internal { why: error.to_string() })
    }

    /// Who asked, and what they are about to get.
    async fn write_down(&self, reservation: &Reservation, secrets: bool) -> Result<(), InfraError> {
        let settled = self.core.settle("the history", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let (tenant, id, now) = (&reservation.tenant, &reservation.id, self.core.now());
            let event = Event::Accessed { reservation: id.clone(), secrets };
            // Nothing counts accesses: each is a cause of its own.
            let what = format!("access/{}", CommitId::draw(now, &*self.core.entropy));
            let mut txn = self.core.repo.txn();
            txn.insert(&rows::event(tenant, id, &what, 0, now, event, &self.actor));
            Ok(Step::Commit(txn, ()))
        });
        settled.await.map(drop)
    }

    /// Machines that can be connected to.
    async fn doors(&self, reservation: &Reservation) -> Result<Vec<Door>, InfraError> {
        let mut doors = Vec::new();
        for unit in show::slots(&self.core, reservation).await? {
            let host = unit.public_address.clone().or_else(|| unit.private_address.clone());
            let Some(host) = host else { continue };
            let user = self.login(reservation, &unit).await.map(str::to_owned);
            doors.push(Door { unit, host, port: SSH_PORT, user });
        }
        Ok(doors)
    }

    /// Whom the image of a machine lets in, as its cloud says.
    async fn login(&self, reservation: &Reservation, unit: &UnitView) -> Option<&'static str> {
        let here = |lane: &crate::words::lane::Lane| {
            Some(lane.cloud.to_string()) == unit.provider && Some(lane.region.to_string()) == unit.region
        };
        let choice = reservation.spec.choices.iter().find(|choice| here(&choice.lane))?;
        let connections = &self.core.connections;
        let connected =
            connections.provider(&reservation.tenant, &choice.credential, &choice.lane).await.ok()?;
        let request = &reservation.spec.request;
        let os = request.os.as_deref().or_else(|| request.image.is_none().then_some(DEFAULT_OS));
        connected.facts().login.user(os)
    }
}
