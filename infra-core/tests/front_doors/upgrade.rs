//! Records of other versions of this program, and keys across crashes.

use std::time::Duration;

use infra_core::InfraError;
use infra_core::infra::IdempotencyKey;
use infra_core::nouns::actor::{Actor, By};
use infra_core::nouns::event::{Event, Outbox};
use infra_core::nouns::installation::{Installation, Recovery};
use infra_core::nouns::reservation::{Phase, Role};
use infra_core::nouns::retention::Retention;
use infra_core::nouns::template::TemplateVersion;

use super::house::{HOME, House, parts, template, wish};

/// The installation's record says another schema.
async fn says(house: &House, schema: u32) {
    let was = house.all::<Installation>().await.remove(0);
    let mut txn = house.repo().txn();
    txn.update(&was, &Installation { schema, ..was.value.clone() });
    house.repo().commit(txn).await.expect("nobody else writes");
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_written_to() {
    let house = House::quiet().await;
    let ours = house.all::<Installation>().await[0].value.schema;
    says(&house, ours + 1).await;
    let before = house.newest().await;
    let opened = parts(house.store.clone(), &house.sim).with_home(HOME).without_engine().build().await;
    let refused = opened.expect_err("this program would drop what it does not know");
    assert!(
        matches!(&refused, InfraError::Misconfigured { why } if why.contains("newer program")),
        "{refused}"
    );
    assert_eq!(house.newest().await, before, "untouched");
}

#[tokio::test]
async fn an_older_program_opens_what_it_would_damage_or_what_was_over_stays_for_ever() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let over = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let open = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.wait(&over, Duration::from_secs(20)).await.expect("is there");
    ada.release(&over).await.expect("releases");
    for _ in 0..200 {
        if ada.get(&over).await.expect("is there").state == Phase::Released {
            break;
        }
        ada.wait(&over, Duration::from_millis(100)).await.expect("is there");
    }
    house.infra.shutdown().await;
    // As a store of the first schema was: nothing says when to forget what is over.
    let notes = house.all::<Retention>().await;
    assert_eq!(notes.len(), 1, "one is over");
    let was = house.all::<Installation>().await.remove(0);
    let mut txn = house.repo().txn();
    notes.iter().for_each(|note| txn.delete(note));
    txn.update(&was, &Installation { schema: 1, ..was.value.clone() });
    house.repo().commit(txn).await.expect("nobody else writes");
    for round in 0..2 {
        let _infra = house.reopened(HOME).await;
        let again = house.all::<Retention>().await;
        assert_eq!(again.len(), 1, "round {round}: {open} is not over");
        let (again, note) = (&again[0].value, &notes[0].value);
        assert_eq!((&again.reservation, &again.tenant), (&note.reservation, &note.tenant), "round {round}");
        assert!(house.all::<Installation>().await[0].value.schema > 1, "an older program refuses it now");
    }
}

#[tokio::test]
async fn shares_templates_and_a_copys_letting_go_leave_no_trace() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let by_token = ada.clone().acting(Actor::token("tok_1"));
    for role in [Role::Viewer, Role::User] {
        by_token.share(&id, ben.id(), role, None).await.expect("shares");
    }
    by_token.unshare(&id, ben.id(), None).await.expect("takes back");
    let from = infra_core::infra::NewTemplate {
        from: infra_core::infra::TemplateFrom::Reservation(id.clone()),
        ..template("web", wish(1))
    };
    by_token.save_template(&from, None).await.expect("saves");
    by_token.save_template(&template("other", wish(1)), None).await.expect("saves");
    let away = house.reopened("elsewhere").await;
    away.operator().recover(Recovery::Clone).await.expect("a copy");
    let told = ada.history(&id, &Default::default()).await.expect("reads").items;
    let word = |event: &Event| {
        let event = serde_json::to_value(event).expect("plain data");
        event["event"].as_str().expect("a word").to_owned()
    };
    let words: Vec<String> = told.iter().map(|entry| word(&entry.event)).collect();
    assert_eq!(words, ["reserved", "shared", "shared", "unshared", "template_saved", "let_go"]);
    assert!(told[1..5].iter().all(|entry| entry.by == By::Token("tok_1".to_owned())));
    assert!(matches!(&told[2].event, Event::Shared { was: Some(Role::Viewer), role: Role::User, .. }));
    let log = house.all::<Outbox>().await;
    let other = log.iter().find(|entry| entry.value.cause == "template/ada/template-saved/other/1");
    assert!(other.is_some(), "also what is of no reservation is told");
    assert_eq!(house.all::<TemplateVersion>().await.len(), 2);
}

#[tokio::test]
async fn a_crash_makes_two_of_one_key() {
    for commits in 0..6 {
        let house = House::quiet().await;
        let key = || Some(IdempotencyKey::new("POST x", "k").expect("legal"));
        let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
        for _ in 0..3 {
            ada.reserve(&wish(1), None).await.expect("accepted");
        }
        let dying = house.dying(commits).await;
        let zoe = "zoe".parse().expect("legal");
        // Whatever became of it: whoever has no answer asks again.
        let _lost = dying.operator().under_key(key()).add_user(&zoe, None).await;
        house.operator().under_key(key()).add_user(&zoe, None).await.expect("the same user");
        let key = || Some(IdempotencyKey::new("POST y", "k").expect("legal"));
        let _lost = dying.operator().under_key(key()).transfer(ada.id(), ben.id()).await;
        let moved = house.operator().under_key(key()).transfer(ada.id(), ben.id()).await.expect("finishes");
        let again = house.operator().under_key(key()).transfer(ada.id(), ben.id()).await.expect("the same");
        assert_eq!(moved, again);
        assert_eq!((house.held(&ada).await, house.held(&ben).await), (0, 3), "after {commits} commits");
    }
}
