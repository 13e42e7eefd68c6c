//! What people do, straight in the records: a stand-in for the handle while only the engine is under test.

use std::collections::BTreeMap;
use std::time::Duration;

use infra_core::nouns::account::User;
use infra_core::nouns::credential::{CredentialStatus, StoredCredential};
use infra_core::nouns::installation::{Installation, LaneRecord};
use infra_core::nouns::launch::EndCause;
use infra_core::nouns::reservation::{Choice, DeadlineKind, Heal, Reservation};
use infra_core::records::{Repo, Versioned};
use infra_core::testing::fixtures;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{InstallationId, ReservationId, TenantId, UserId};
use infra_core::words::lane::{Lane, Version};
use infra_core::words::secret::MasterKey;
use infra_core::{Entropy, SystemEntropy};

pub async fn open(repo: &Repo, home: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<(), String> {
    let found = repo.get::<Installation>(Installation::place()).await.map_err(|e| e.to_string())?;
    if found.is_some() {
        return Ok(());
    }
    let installation = Installation {
        id: InstallationId::draw(now, entropy),
        epoch: 1,
        home: home.to_owned(),
        schema: 1,
        created_at: now,
        frozen: None,
        deadlines_held_until: None,
        witness_floor: Version(0),
    };
    let mut txn = repo.txn();
    txn.insert(&installation);
    repo.commit(txn).await.map(drop).map_err(|e| e.to_string())
}

pub async fn add_user(repo: &Repo, user: &UserId, account: &str, now: Timestamp) -> Result<(), String> {
    let tenant = TenantId::new(user.as_str()).expect("legal");
    let mut txn = repo.txn();
    txn.insert(&User {
        id: user.clone(),
        tenant: tenant.clone(),
        created_at: now,
        machines_max: None,
        machines_held: 0,
        suspended: false,
    });
    let id: infra_core::words::ids::CredentialId = format!("sim/default/{account}").parse().expect("legal");
    let place = StoredCredential::place(&tenant, &id);
    let fields: BTreeMap<&str, String> = [("token", format!("sim-{account}"))].into();
    let text = serde_json::to_string(&fields).expect("a map of texts");
    txn.insert(&StoredCredential {
        id: id.clone(),
        tenant: tenant.clone(),
        saved_by: user.clone(),
        provider: "sim".parse().expect("legal"),
        label: "default".to_owned(),
        kind: "static".to_owned(),
        sealed: MasterKey::new([7; 32]).seal(&place, &text, &SystemEntropy),
        fingerprint: String::new(),
        account: account.parse().expect("legal"),
        identity: account.to_owned(),
        status: CredentialStatus::Valid,
        checked_at: now,
        retired: false,
    });
    txn.insert(&LaneRecord {
        lane: lane(account),
        created_at: now,
        keys: vec![(tenant, id)],
        mass_allowed_until: None,
    });
    repo.commit(txn).await.map(drop).map_err(|e| e.to_string())
}

pub fn lane(account: &str) -> Lane {
    Lane { account: account.parse().expect("legal"), ..fixtures::lane() }
}

/// A wish, with what it was resolved to.
pub struct Wish {
    pub id: ReservationId,
    pub name: String,
    pub count: u32,
    pub heal: Heal,
    pub duration: Option<Duration>,
    pub choices: Vec<Choice>,
}

pub async fn reserve(repo: &Repo, user: &UserId, wish: &Wish, now: Timestamp) -> Result<(), String> {
    let mut reservation = fixtures::reservation(wish.count, wish.heal, wish.duration, now);
    reservation.id = wish.id.clone();
    reservation.tenant = TenantId::new(user.as_str()).expect("legal");
    reservation.owner = user.clone();
    reservation.spec.request.name = Some(wish.name.clone());
    reservation.spec.choices = wish.choices.clone();
    let mut txn = repo.txn();
    txn.insert(&reservation);
    match repo.commit(txn).await {
        Err(error) if !error.is_conflict() => Err(error.to_string()),
        _ => Ok(()),
    }
}

pub async fn change(
    repo: &Repo,
    user: &UserId,
    id: &ReservationId,
    change: impl Fn(&mut Reservation) + Send + Sync,
) -> Result<(), String> {
    let tenant = TenantId::new(user.as_str()).expect("legal");
    loop {
        let found: Option<Versioned<Reservation>> =
            repo.get(Reservation::place(&tenant, id)).await.map_err(|e| e.to_string())?;
        let Some(was) = found.filter(|was| was.value.desired.present) else { return Err("gone".to_owned()) };
        let mut is = was.value.clone();
        change(&mut is);
        is.desired.change += 1;
        let mut txn = repo.txn();
        txn.update(&was, &is);
        match repo.commit(txn).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

pub fn release(reservation: &mut Reservation) {
    reservation.desired.present = false;
    reservation.end_cause = Some(EndCause::Asked);
}

pub fn extend(reservation: &mut Reservation, to: Timestamp) {
    reservation.deadlines.0.insert(DeadlineKind::Ends, to);
}

pub fn soon(now: Timestamp, seconds: u64) -> Timestamp {
    later(now, Duration::from_secs(seconds))
}
