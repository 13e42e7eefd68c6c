//! Which lanes there are, and with whose keys each can be worked.
//!
//! # Guarantees
//! * A lane that was ever registered stays: it is swept for ever, because something may still be born there.
//! * A key that is removed while somebody saves it again stays registered: the commit that unregisters it
//!   checks that it is gone.
//! * A retired key is dropped only when no launch of its account is left, closed ones that are kept for late
//!   births included.
//!
//! # Caveats
//! The lane list of a key follows the configuration of today: a region that is configured no more keeps its
//! record and its rows.

use super::{ConnectError, Connections};
use crate::contracts::store::{Expect, Key, ListBy};
use crate::nouns::credential::StoredCredential;
use crate::nouns::installation::LaneRecord;
use crate::nouns::launch::Launch;
use crate::records::{Stored, Versioned};
use crate::words::ids::{CredentialId, TenantId};
use crate::words::lane::Lane;

/// A key that reaches a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub credential: CredentialId,
    /// It may look and end, but make nothing.
    pub retired: bool,
}

/// How often a record that others write, too, is read again.
const TRIES: u32 = 16;

impl Connections {
    /// The keys that reach a lane, of all tenants, retired ones last; removed ones are left out.
    ///
    /// # Errors
    /// [`ConnectError::Repo`].
    pub async fn for_lane(&self, lane: &Lane) -> Result<Vec<LaneKey>, ConnectError> {
        let Some(record) = self.shared.repo.get::<LaneRecord>(LaneRecord::place(lane)).await? else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        for (tenant, credential) in record.value.keys {
            let place = StoredCredential::place_of(&tenant, &credential);
            let Some(found) = self.shared.repo.get::<StoredCredential>(place).await? else { continue };
            keys.push(LaneKey { tenant, credential, retired: found.value.retired });
        }
        keys.sort_by_key(|key| key.retired);
        Ok(keys)
    }

    /// The lanes that a tenant's active keys reach, each with one key: every region of the key's cloud. Where
    /// two keys reach one lane the first by id serves.
    ///
    /// # Errors
    /// [`ConnectError::Repo`].
    pub async fn lanes_of(&self, tenant: &TenantId) -> Result<Vec<(Lane, CredentialId)>, ConnectError> {
        let keys = self.shared.repo.list_prefix::<StoredCredential>(tenant, "", None).await?;
        let mut lanes: Vec<(Lane, CredentialId)> = Vec::new();
        for key in keys.iter().filter(|key| !key.value.retired) {
            for lane in self.lanes_of_key(&key.value) {
                if !lanes.iter().any(|(known, _)| known == &lane) {
                    lanes.push((lane, key.value.id.clone()));
                }
            }
        }
        Ok(lanes)
    }

    /// Every lane that a key reaches by today's configuration; none when its cloud is not configured.
    #[must_use]
    pub fn lanes_of_key(&self, key: &StoredCredential) -> Vec<Lane> {
        let Some(driver) = self.driver(&key.provider) else { return Vec::new() };
        let lane = |region| Lane {
            cloud: key.provider.clone(),
            endpoint: driver.endpoint(),
            account: key.account.clone(),
            region,
        };
        driver.regions().into_iter().map(lane).collect()
    }

    /// Writes every lane that a key reaches into the register of lanes ever used. One commit per lane;
    /// repeating writes only what is missing.
    ///
    /// # Errors
    /// [`ConnectError::Repo`].
    pub async fn register_lanes(&self, key: &StoredCredential) -> Result<(), ConnectError> {
        for lane in self.lanes_of_key(key) {
            self.register(&lane, &key.tenant, &key.id).await?;
        }
        Ok(())
    }

    /// [`Self::register_lanes`] for every key of every tenant: after a start, because regions may have been
    /// configured since, and after a restore, because the register may be older than the lanes.
    ///
    /// # Errors
    /// [`ConnectError::Repo`].
    pub async fn register_all_lanes(&self) -> Result<(), ConnectError> {
        for key in self.shared.repo.list_all::<StoredCredential>(ListBy::All, None).await? {
            self.register_lanes(&key.value).await?;
        }
        Ok(())
    }

    /// Adds a key to a lane's record.
    async fn register(&self, lane: &Lane, tenant: &TenantId, id: &CredentialId) -> Result<(), ConnectError> {
        self.rewrite(lane, None, |keys| {
            if !keys.iter().any(|(whose, which)| whose == tenant && which == id) {
                keys.push((tenant.clone(), id.clone()));
            }
        })
        .await
    }

    /// Takes a removed key out of the register. The lanes themselves stay: they are swept for ever.
    pub(crate) async fn unregister(&self, key: &StoredCredential) -> Result<(), ConnectError> {
        for record in self.shared.repo.list_all::<LaneRecord>(ListBy::All, None).await? {
            if record.value.keys.iter().any(|(tenant, id)| *tenant == key.tenant && *id == key.id) {
                // Checked in the same commit: somebody may have saved the key again.
                self.rewrite(&record.value.lane, Some(key.key()), |keys| {
                    keys.retain(|(tenant, id)| *tenant != key.tenant || *id != key.id);
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Changes who reaches a lane, making its record if there is none. Does nothing when `absent` is there.
    async fn rewrite(
        &self,
        lane: &Lane,
        absent: Option<Key>,
        change: impl Fn(&mut Vec<(TenantId, CredentialId)>),
    ) -> Result<(), ConnectError> {
        let repo = &self.shared.repo;
        for _ in 0..TRIES {
            if let Some(place) = &absent
                && repo.get_raw(std::slice::from_ref(place)).await?.pop().flatten().is_some()
            {
                return Ok(());
            }
            let was = repo.get::<LaneRecord>(LaneRecord::place(lane)).await?;
            let mut now = match &was {
                Some(was) => was.value.clone(),
                None => LaneRecord {
                    lane: lane.clone(),
                    created_at: self.shared.clock.wall(),
                    keys: Vec::new(),
                    mass_allowed_until: None,
                    droppings: Vec::new(),
                    droppings_count: 0,
                },
            };
            change(&mut now.keys);
            let mut txn = repo.txn();
            match &was {
                Some(was) if was.value.keys == now.keys => return Ok(()),
                Some(was) => txn.update(was, &now),
                None => txn.insert(&now),
            }
            if let Some(place) = &absent {
                txn.check(place.clone(), Expect::Absent);
            }
            match repo.commit(txn).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ConnectError::Internal { why: format!("{lane} is being written by others all the time") })
    }

    /// Removes a tenant's retired keys that no launch needs any more, not even one that is kept for late
    /// births. Meant for the sweep. Answers what was removed.
    ///
    /// # Errors
    /// [`ConnectError::Repo`].
    pub async fn drop_retired(&self, tenant: &TenantId) -> Result<Vec<CredentialId>, ConnectError> {
        let repo = &self.shared.repo;
        let keys = repo.list_prefix::<StoredCredential>(tenant, "", None).await?;
        let retired: Vec<Versioned<StoredCredential>> =
            keys.into_iter().filter(|key| key.value.retired).collect();
        if retired.is_empty() {
            return Ok(Vec::new());
        }
        let launches = repo.list_prefix::<Launch>(tenant, "", None).await?;
        let mut dropped = Vec::new();
        for key in retired {
            if launches.iter().any(|row| made_with_account_of(&row.value, &key.value)) {
                continue;
            }
            let mut txn = repo.txn();
            txn.delete(&key);
            match repo.commit(txn).await {
                Ok(_) => {}
                // Somebody made it active again, or removed it.
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error.into()),
            }
            self.unregister(&key.value).await?;
            dropped.push(key.value.id);
        }
        Ok(dropped)
    }
}

/// Does a launch stand in the account that a key reaches?
pub(crate) fn made_with_account_of(launch: &Launch, key: &StoredCredential) -> bool {
    launch.tenant == key.tenant && launch.lane.cloud == key.provider && launch.lane.account == key.account
}
