//! Teams: a user moves whole, holding nothing, and leaves nothing behind.

use infra_core::InfraError;
use infra_core::contracts::store::RecordKind;
use infra_core::infra::UserHandle;
use infra_core::nouns::account::{Team, User};
use infra_core::nouns::credential::StoredCredential;
use infra_core::nouns::reservation::Reservation;
use infra_core::words::ids::{TenantId, UserId};
use infra_core::words::lane::Version;

use super::house::{House, sim, sim_key, template, wish, word};

fn team(name: &str) -> TenantId {
    name.parse().expect("legal")
}

fn ids(users: &[&UserHandle]) -> Vec<UserId> {
    users.iter().map(|user| user.id().clone()).collect()
}

async fn tenant(house: &House, user: &UserHandle) -> String {
    house.operator().get_user(user.id()).await.expect("is there").tenant.to_string()
}

fn in_use(answer: Result<(), InfraError>) -> Vec<String> {
    match answer.expect_err("in use") {
        InfraError::InUse { by, .. } => by,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_holds_anything_does_not_move() {
    let house = House::quiet().await;
    let (ada, ben) = (house.user("ada").await, house.keyless("ben").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let before = house.newest().await;
    let set = house.operator().set_team(&team("qa"), &ids(&[&ben, &ada]), None).await;
    let by = in_use(set.map(drop));
    assert_eq!(by, [id.to_string(), "key sim/default/acc-ada".to_owned()]);
    assert_eq!(house.newest().await, before, "nobody moved, not even who could");
    assert_eq!(tenant(&house, &ben).await, "user:ben");
    for name in ["user:ada", "_system"] {
        let error = house.operator().set_team(&team(name), &ids(&[&ben]), None).await.expect_err("reserved");
        assert_eq!(word(&error), "OutOfRange");
    }
    let nobody = vec!["nobody".parse().expect("legal")];
    let error = house.operator().set_team(&team("qa"), &nobody, None).await.expect_err("no such user");
    assert!(matches!(error, InfraError::NotFound { what: "user", .. }), "{error:?}");
    let twice = ids(&[&ben, &ben]);
    let error = house.operator().set_team(&team("qa"), &twice, None).await.expect_err("twice");
    assert_eq!(word(&error), "OutOfRange");
    assert_eq!(house.newest().await, before);
}

#[tokio::test]
async fn who_leaves_a_team_sees_nothing_of_it_any_more() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    ada.save_template(&template("web", wish(1)), None).await.expect("saves");
    ben.save_template(&template("db", wish(1)), None).await.expect("saves");
    let name = "web".parse().expect("legal");
    assert!(ben.template(Some(ada.id()), &name, None).await.is_ok());
    let seen = house.operator().team(&team("qa")).await.expect("is there");
    assert_eq!(seen.members, ids(&[&ada, &ben]));
    let set = house.operator().set_team(&team("qa"), &ids(&[&ada]), Some(seen.version)).await.expect("sets");
    assert_eq!(set.members, ids(&[&ada]));
    assert_eq!(tenant(&house, &ben).await, "user:ben");
    assert!(ben.keys().await.expect("lists").is_empty(), "the keys are the team's");
    assert_eq!(ada.keys().await.expect("lists").len(), 1);
    assert!(matches!(ben.template(Some(ada.id()), &name, None).await, Err(InfraError::NotFound { .. })));
    let own = ben.templates(None, None, None).await.expect("lists").items;
    assert_eq!(
        own.iter().map(|view| view.of.name.as_str()).collect::<Vec<_>>(),
        ["db"],
        "his own goes along"
    );
    let error =
        house.operator().set_team(&team("qa"), &[], Some(seen.version)).await.expect_err("seen before");
    assert!(matches!(error, InfraError::Conflict { what: "team", .. }), "{error:?}");
    let repeated =
        house.operator().set_team(&team("qa"), &ids(&[&ada]), None).await.expect("repeating is fine");
    assert_eq!(repeated.members, set.members);
}

#[tokio::test]
async fn a_move_that_meets_a_reservation_loses_neither() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let _ = &ada;
    // The reservation comes between the look and the move: the move looks again.
    let reserves = {
        let ben = ben.clone();
        Box::pin(async move { drop(ben.reserve(&wish(1), None).await.expect("accepted")) })
    };
    let racing = house.with_meanwhile(RecordKind::User, reserves).await;
    let by = in_use(racing.operator().set_team(&team("qa"), &ids(&[&ada]), None).await.map(drop));
    assert_eq!(by.len(), 1);
    assert_eq!(tenant(&house, &ben).await, "qa");
    // The move comes between the offers and the commit: nothing is made in the team that was left.
    let dan = house.mate("qa", "dan").await;
    let leaves = {
        let (operator, stay) = (house.operator(), ids(&[&ada, &ben]));
        Box::pin(
            async move { drop(operator.set_team(&team("qa"), &stay, None).await.expect("holds nothing")) },
        )
    };
    let racing = house.with_meanwhile(RecordKind::Reservation, leaves).await;
    let error =
        racing.user(dan.id()).reserve(&wish(1), None).await.expect_err("his keys are not his any more");
    assert!(matches!(error, InfraError::Busy { .. }), "{error:?}");
    assert_eq!((tenant(&house, &dan).await.as_str(), house.held(&dan).await), ("user:dan", 0));
    for record in house.all::<Reservation>().await {
        let owner = house.operator().get_user(&record.value.owner).await.expect("is there");
        assert_eq!(owner.tenant, record.value.tenant, "somebody holds what he cannot see");
    }
}

#[tokio::test]
async fn a_key_that_is_saved_meanwhile_is_not_left_to_nobody() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let saves = {
        let ada = ada.clone();
        Box::pin(async move { drop(ada.save_key(&sim_key("default", "sim-acc-ada")).await.expect("good")) })
    };
    let racing = house.with_meanwhile(RecordKind::User, saves).await;
    let by = in_use(racing.operator().set_team(&team("qa"), &ids(&[&ada]), None).await.map(drop));
    assert_eq!(by, ["key sim/default/acc-ada"]);
    // The other way round: the key goes where the user is by then.
    ada.remove_key(&sim(), "default").await.expect("nothing runs on it");
    let moves = {
        let (operator, members) = (house.operator(), ids(&[&ada]));
        Box::pin(async move { drop(operator.set_team(&team("qa"), &members, None).await.expect("moves")) })
    };
    let racing = house.with_meanwhile(RecordKind::Credential, moves).await;
    racing.user(ada.id()).save_key(&sim_key("default", "sim-acc-ada")).await.expect("good");
    let keys = house.all::<StoredCredential>().await;
    assert_eq!(keys.iter().map(|key| key.value.tenant.as_str()).collect::<Vec<_>>(), ["qa"]);
}

#[tokio::test]
async fn two_who_leave_at_once_leave_no_key_behind() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let by = in_use(house.operator().set_team(&team("qa"), &[], None).await.map(drop));
    assert_eq!(by, ["key sim/default/acc-qa"]);
    let leaves = {
        let (operator, members) = (house.operator(), ids(&[&ben]));
        Box::pin(async move { drop(operator.set_team(&team("b"), &members, None).await.expect("moves")) })
    };
    let racing = house.with_meanwhile(RecordKind::User, leaves).await;
    let answer = racing.operator().set_team(&team("a"), &ids(&[&ada]), None).await;
    assert_eq!(in_use(answer.map(drop)), ["key sim/default/acc-qa"], "ada is the last one now");
    assert_eq!((tenant(&house, &ada).await.as_str(), tenant(&house, &ben).await.as_str()), ("qa", "b"));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_moving_many_is_repeated() {
    for n in 0..7 {
        let house = House::quiet().await;
        let mut users = Vec::new();
        for name in ["ada", "ben", "cem", "dan"] {
            users.push(house.keyless(name).await);
        }
        house.operator().set_team(&team("old"), &ids(&[&users[0], &users[1]]), None).await.expect("sets");
        let wanted = ids(&[&users[1], &users[2], &users[3]]);
        let dying = house.dying(n).await;
        let died = dying.operator().set_team(&team("new"), &wanted, None).await.is_err();
        assert_eq!(died, n < 4, "one commit for the team and one for each of three");
        for record in house.all::<User>().await {
            let known = ["old", "new"].contains(&record.value.tenant.as_str());
            assert!(
                known || record.value.tenant.as_str() == format!("user:{}", record.value.id),
                "{record:?}"
            );
        }
        let set = house.operator().set_team(&team("new"), &wanted, None).await.expect("repeated");
        assert_eq!(set.members, wanted, "died at {n}");
        assert_eq!(house.operator().team(&team("old")).await.expect("is there").members, ids(&[&users[0]]));
    }
}

#[tokio::test]
async fn two_who_set_one_team_at_once_are_told_apart() {
    let house = House::quiet().await;
    let (ada, ben) = (house.keyless("ada").await, house.keyless("ben").await);
    let other = {
        let (operator, members) = (house.operator(), ids(&[&ben]));
        Box::pin(async move { drop(operator.set_team(&team("qa"), &members, None).await.expect("sets")) })
    };
    let racing = house.with_meanwhile(RecordKind::User, other).await;
    let error =
        racing.operator().set_team(&team("qa"), &ids(&[&ada]), None).await.expect_err("another one's");
    assert!(matches!(error, InfraError::Busy { .. }), "{error:?}");
    assert_eq!(house.operator().team(&team("qa")).await.expect("is there").members, ids(&[&ben]));
}

#[tokio::test]
async fn a_team_is_removed_only_when_it_holds_nothing() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ben.reserve(&wish(1), None).await.expect("accepted").view.id;
    let operator = house.operator();
    assert_eq!(in_use(operator.remove_team(&team("qa"), None).await), [id.to_string()]);
    assert_eq!((tenant(&house, &ada).await.as_str(), tenant(&house, &ben).await.as_str()), ("qa", "qa"));
    let empty = house.operator().set_team(&team("empty"), &[], None).await.expect("a team of nobody yet");
    assert!(empty.members.is_empty() && empty.version > Version(0));
    let names: Vec<_> =
        operator.teams().await.expect("lists").into_iter().map(|team| team.id.to_string()).collect();
    assert_eq!(names, ["empty", "qa"]);
    operator.remove_team(&team("empty"), None).await.expect("holds nothing");
    for missing in ["empty", "user:ada", "nobody"] {
        for answer in
            [operator.remove_team(&team(missing), None).await, operator.team(&team(missing)).await.map(drop)]
        {
            let error = answer.expect_err("no team");
            assert!(matches!(error, InfraError::NotFound { what: "team", .. }), "{error:?}");
        }
    }
    // Somebody is added between the look and the removal: the team stays.
    let joins = {
        let operator = house.operator();
        Box::pin(async move {
            let new = "eve".parse().expect("legal");
            drop(operator.add_user(&new, Some(&team("late"))).await.expect("new"));
        })
    };
    operator.set_team(&team("late"), &[], None).await.expect("sets");
    let racing = house.with_meanwhile(RecordKind::Team, joins).await;
    let error = racing.operator().remove_team(&team("late"), None).await.expect_err("eve joined just now");
    assert!(matches!(error, InfraError::Busy { .. }), "{error:?}");
    let eve = house.infra.user(&"eve".parse().expect("legal"));
    let there = async || house.all::<Team>().await.iter().any(|record| record.value.id == team("late"));
    assert_eq!((tenant(&house, &eve).await.as_str(), there().await), ("late", true), "not without her team");
    operator.remove_team(&team("late"), None).await.expect("repeated");
    assert_eq!((tenant(&house, &eve).await.as_str(), there().await), ("user:eve", false));
}

#[tokio::test]
async fn nobody_moves_to_where_a_namesake_left_something_readable() {
    let house = House::live().await;
    let (ada, _ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.release(&id).await.expect("releases");
    ada.wait(&id, std::time::Duration::from_secs(20)).await.expect("waits");
    house.operator().remove_user(ada.id()).await.expect("holds nothing");
    let next = house.keyless("ada").await;
    let members = [next.id().clone(), "ben".parse().expect("legal")];
    let error =
        house.operator().set_team(&team("qa"), &members, None).await.expect_err("it is not hers to read");
    assert!(matches!(error, InfraError::Conflict { what: "user", .. }), "{error:?}");
    assert!(matches!(next.get(&id).await, Err(InfraError::NotFound { .. })));
    house.infra.shutdown().await;
}
