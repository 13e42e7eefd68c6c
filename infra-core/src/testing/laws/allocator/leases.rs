//! Laws about how leases live and end.

use std::time::Duration;

use super::{MAX_LIFE, SECOND, Subject, TTL, ask, ask_all, release_of, renewal};
use crate::nouns::lease::{AllocateRequest, DeviceState, Lease, ReleaseRequest, Released, Renewal, Renewed};
use crate::testing::laws::Unmet;
use crate::words::clock::{Clock, later};
use crate::words::lane::Fence;
use crate::words::secret::digest;

/// Ended devices are cleaned first, shown as such with no lease on them, and granted only afterwards.
async fn not_granted_before_clean(it: &Subject) -> Result<(), Unmet> {
    let states: Vec<_> = it.views(None).await?.into_iter().map(|view| (view.state, view.lease)).collect();
    hold!(states.iter().all(|it| *it == (DeviceState::Cleaning, None)), "being cleaned is {states:?}");
    it.not_granted(&ask(2)).await?;
    it.clean();
    it.granted(&ask(3)).await.map(drop)
}

/// C24: the old session must be cut before the next holder comes. Otherwise the next holder finds the files and the
/// open connections of the one before. Releases everything, and asks again at once and after the cleaning.
pub(super) async fn a_released_device_is_cleaned_before_it_is_granted(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask_all(1)).await?;
    it.released(release_of(&lease)).await?;
    not_granted_before_clean(&it).await
}

/// The same for a holder that went silent. It may still be at work: silence is no proof that it stopped. Here time
/// ends the lease, by a millisecond.
pub(super) async fn an_expired_device_is_cleaned_before_it_is_granted(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask_all(1)).await?;
    it.pass(TTL + Duration::from_millis(1));
    not_granted_before_clean(&it).await
}

/// A holder that died gives back what it held. Without it every crashed caller takes a device out of the pool for
/// good. Asks a second before the end and a second after.
pub(super) async fn an_expiry_frees_the_device(it: Subject) -> Result<(), Unmet> {
    it.granted(&ask_all(1)).await?;
    it.pass(TTL - SECOND);
    it.not_granted(&ask(2)).await?;
    it.pass(SECOND * 2);
    it.clean();
    it.granted(&ask(3)).await.map(drop)
}

/// Renewed in time, it lives on, and the answer says how long. A caller plans its next renewal by that answer: told
/// too much it comes too late and loses its device in the middle of its work. Renews ten times, each a second before
/// the end.
pub(super) async fn a_renewal_lasts_its_ttl(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask_all(1)).await?;
    same!(lease.expires_at, later(it.clock.wall(), TTL), "the first expiry");
    for _ in 0..10 {
        it.pass(TTL - SECOND);
        same!(it.renewed(&lease).await?, Renewed::Until(later(it.clock.wall(), TTL)), "a renewal in time");
    }
    it.pass(TTL - SECOND);
    it.not_granted(&ask(2)).await.map(drop)
}

/// F: the founding system answered 200 while the device was being destroyed. Whoever hears that its lease lives on
/// goes on writing to a device that is somebody else's by now. Renews after the end, before and after the cleaning.
pub(super) async fn a_late_renewal_loses(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    it.pass(TTL + SECOND);
    same!(it.renewed(&lease).await?, Renewed::Gone, "a renewal after the expiry");
    it.clean();
    same!(it.renewed(&lease).await?, Renewed::Gone, "a renewal after the clean-up");
    Ok(())
}

/// Invariant 6. Keepalives are sent beside the work, so one is often under way while the work gives back. If it won,
/// a device nobody uses would stay held.
pub(super) async fn a_release_beats_a_later_renewal(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    same!(it.released(release_of(&lease)).await?, Released::Done, "a release");
    same!(it.renewed(&lease).await?, Renewed::Gone, "a renewal after the release");
    Ok(())
}

/// Its reply may be lost too; and repeating must not touch the next holder. Releases three times, lets another one
/// in, and releases once more under the old lease: the new holder must be able to renew.
pub(super) async fn a_release_can_be_repeated(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask_all(1)).await?;
    for _ in 0..3 {
        same!(it.released(release_of(&lease)).await?, Released::Done, "a release, repeated");
    }
    it.clean();
    let (next, _) = it.granted(&ask_all(2)).await?;
    same!(it.released(release_of(&lease)).await?, Released::Done, "a release after the next grant");
    let renewed = it.renewed(&next).await?;
    hold!(matches!(renewed, Renewed::Until(_)), "the next holder's renewal is {renewed:?}");
    Ok(())
}

/// Knowing an id, which stands in logs, is not enough to hold on. Renews with a guess shortly before the end, and
/// then wants the lease to end at its old time: a refusal that still moves the clock would pass a look at the answer
/// alone.
pub(super) async fn a_wrong_secret_renews_nothing(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    let secret = crate::nouns::lease::SecretHash(digest(b"guess"));
    it.pass(TTL - SECOND);
    let outcome = it.renewed_by(Renewal { secret, ..renewal(&lease) }).await?;
    same!(outcome, Renewed::Forbidden, "a renewal with a wrong secret");
    it.pass(SECOND * 2);
    same!(it.renewed(&lease).await?, Renewed::Gone, "the lease that was not renewed");
    Ok(())
}

/// Nor to take a device from its holder. Otherwise any reader of a log can end the work of others. Releases with a
/// guess, and lets the holder renew.
pub(super) async fn a_wrong_secret_releases_nothing(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    let secret = crate::nouns::lease::SecretHash(digest(b"guess"));
    let outcome = it.released(ReleaseRequest { secret, ..release_of(&lease) }).await?;
    same!(outcome, Released::Forbidden, "a release with a wrong secret");
    let renewed = it.renewed(&lease).await?;
    hold!(matches!(renewed, Renewed::Until(_)), "the holder's renewal is {renewed:?}");
    Ok(())
}

/// A holder from before a restore carries another fence. It believes in a device that was dealt anew since; keeping
/// its lease alive would keep the wrong one of two holders. Renews with the number just below the true one.
pub(super) async fn another_fence_renews_nothing(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    let fence = Fence { epoch: lease.fence.epoch, seq: lease.fence.seq.wrapping_sub(1) };
    let outcome = it.renewed_by(Renewal { fence, ..renewal(&lease) }).await?;
    hold!(!matches!(outcome, Renewed::Until(_)), "an older fence is renewed: {outcome:?}");
    Ok(())
}

/// An id nobody was given. `Gone` would say that it once was there, `Done` that something was given back: both hide a
/// caller that mixes up its installations.
pub(super) async fn an_unknown_lease_is_not_found(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    let unknown = Lease { id: "nobodys".parse()?, ..lease };
    same!(it.renewed(&unknown).await?, Renewed::NotFound, "a renewal of an unknown lease");
    same!(it.released(release_of(&unknown)).await?, Released::NotFound, "a release of an unknown lease");
    Ok(())
}

/// A batch saves calls, and one bad lease in it fails none of the others. If one failed them all, a single ended
/// lease would cost its caller every other device. Mixes an unknown, an ended and a good one, and sends an empty
/// batch.
pub(super) async fn each_renewal_has_its_own_outcome(it: Subject) -> Result<(), Unmet> {
    let (good, _) = it.granted(&ask(1)).await?;
    let (ended, _) = it.granted(&ask(2)).await?;
    it.released(release_of(&ended)).await?;
    let unknown = Renewal { lease: "nobodys".parse()?, ..renewal(&good) };
    let outcomes = it.allocator.renew(&[unknown, renewal(&ended), renewal(&good)]).await?;
    let until = Renewed::Until(later(it.clock.wall(), TTL));
    same!(outcomes, vec![Renewed::NotFound, Renewed::Gone, until], "outcomes in the order asked");
    same!(it.allocator.renew(&[]).await?, vec![], "outcomes of no renewals");
    Ok(())
}

/// A keepalive in a forgotten loop must not hold a device for ever. The cap counts from the grant, not from the last
/// renewal, and the answer to a renewal tells it beforehand: the caller can finish in time.
pub(super) async fn max_life_caps_every_renewal(it: Subject) -> Result<(), Unmet> {
    let began = it.clock.wall();
    let request = AllocateRequest { max_life: TTL * 2, ..ask_all(1) };
    let (lease, _) = it.granted(&request).await?;
    same!(lease.max_until, later(began, TTL * 2), "the end of its longest life");
    for _ in 0..3 {
        it.pass(TTL / 2);
        it.renewed(&lease).await?;
    }
    same!(it.renewed(&lease).await?, Renewed::Until(later(began, TTL * 2)), "the last renewal");
    it.pass(TTL / 2 + SECOND);
    same!(it.renewed(&lease).await?, Renewed::Gone, "a renewal after the longest life");
    let short = AllocateRequest { ttl: MAX_LIFE, max_life: TTL, ..ask_all(2) };
    it.clean();
    let expires_at = it.granted(&short).await?.0.expires_at;
    same!(expires_at, later(it.clock.wall(), TTL), "the expiry of a life shorter than its ttl");
    Ok(())
}

/// C13: a bad time server must not end every lease at once, nor keep them for ever. Sets the wall a year ahead and
/// renews, then turns it back and lets true time pass: the lease has to end all the same.
pub(super) async fn a_wall_clock_jump_ends_nothing(it: Subject) -> Result<(), Unmet> {
    let (lease, _) = it.granted(&ask(1)).await?;
    let wall = it.clock.wall();
    it.clock.set_wall(later(wall, Duration::from_secs(365 * 24 * 3600)));
    let renewed = it.renewed(&lease).await?;
    hold!(matches!(renewed, Renewed::Until(_)), "after the wall jumped a year ahead: {renewed:?}");
    it.clock.set_wall(wall);
    it.pass(TTL + SECOND);
    it.clock.set_wall(wall);
    same!(it.renewed(&lease).await?, Renewed::Gone, "a late renewal while the wall stands still");
    Ok(())
}
