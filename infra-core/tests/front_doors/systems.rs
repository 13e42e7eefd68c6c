//! Windows, from a quote to a machine: its price is of what it boots, budgets count that price, and what is sold with Linux
//! alone is not taken for it.

use std::time::Duration;

use infra_core::InfraError;
use infra_core::infra::UserHandle;
use infra_core::nouns::budget::BudgetLimits;
use infra_core::nouns::launch::{Launch, LaunchBody};
use infra_core::nouns::request::{Arch, Request};
use infra_core::nouns::reservation::{Choice, Phase};
use infra_core::nouns::system::System;
use infra_core::words::lane::ResourceKind;
use infra_core::words::money::Money;

use super::budgets::{accepted, is_exact, of};
use super::house::{House, wish};

const WINDOWS: &str = "windows 2022";

/// A small wish with an operating system.
fn booting(os: &str) -> Request {
    let mut request = wish(1);
    request.os = Some(os.to_owned());
    request
}

/// What machines cost an hour of each type, disk and all.
async fn prices(user: &UserHandle, os: &str) -> Vec<Choice> {
    let quotes = user.quote(&booting(os)).await.expect("something fits");
    quotes.into_iter().map(|quote| quote.choice).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_is_reserved_at_the_price_of_linux() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let linux = prices(&ada, "ubuntu 24.04").await;
    let windows = prices(&ada, WINDOWS).await;
    assert!(linux.iter().all(|choice| choice.offering.system.is_linux()));
    for choice in &windows {
        let offering = &choice.offering;
        assert_eq!((offering.system, offering.arch), (System::Windows, Arch::X86_64), "{}", choice.offer());
        assert!(choice.image.as_str().contains("windows") && choice.disk_gib >= 30, "{choice:?}");
        assert!(offering.memory_mib >= 2048, "the image boots with no less: {}", choice.offer());
        let same = |it: &&Choice| it.offering.type_name == offering.type_name && it.zone == choice.zone;
        let sibling = linux.iter().find(same);
        let (own, plain) = (offering.price.per_hour(), sibling.and_then(|it| it.offering.price.per_hour()));
        assert!(plain.is_none_or(|plain| own > Some(plain)), "{own:?} beside {plain:?}");
    }
    assert!(linux.iter().any(|choice| choice.lane.region.as_str() == "sim-ams"), "the cheapest with Linux");

    let cheapest = windows[0].per_hour;
    let less = Money::usd_nanos(cheapest.nanos - 1);
    assert!(linux[0].per_hour < less, "there is room for Linux, and none for Windows");
    let budget = |max| BudgetLimits { per_hour: Some(max), ..BudgetLimits::default() };
    house.operator().set_budget(&of(&ada), &budget(less), None).await.expect("set");
    let refused = ada.reserve(&booting(WINDOWS), None).await;
    assert!(matches!(refused, Err(InfraError::OverBudget { .. })), "{refused:?}");
    house.operator().set_budget(&of(&ada), &budget(cheapest), None).await.expect("set");
    let id = ada.reserve(&booting(WINDOWS), None).await.expect("just enough").view.id;
    let view = ada.wait(&id, Duration::from_secs(30)).await.expect("is there");
    assert_eq!(view.state, Phase::Ready, "{:?} {:?}", view.reason, view.tries);
    is_exact(&house, &of(&ada)).await;
    let more = [ada.reserve(&wish(1), None).await.map(drop)];
    assert_eq!(accepted(&more), 0, "all of it is counted, licence and disk: {more:?}");

    let rows = house.all::<Launch>().await;
    let machine = rows.iter().find(|row| row.value.kind() == ResourceKind::Machine).expect("was launched");
    assert_eq!(
        machine.value.price.as_ref().map(|price| price.per_hour),
        Some(cheapest),
        "what it is billed by"
    );
    let LaunchBody::Machine(body) = &machine.value.frozen.body else { panic!("a machine") };
    assert_eq!((&body.image, body.disk_gib), (&windows[0].image, windows[0].disk_gib));
}

#[tokio::test]
async fn what_is_sold_with_linux_alone_is_taken_for_windows() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut request = booting(WINDOWS);
    // Its image is there, and no price with it.
    request.region = Some("sim-ams".parse().expect("legal"));
    let refused = ada.quote(&request).await.expect_err("nobody sells it there");
    let InfraError::NoFit { failed, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(failed.field, "os");
    assert!(failed.detail.contains("nobody names a price with windows"), "{}", failed.detail);
    assert!(matches!(ada.reserve(&request, None).await, Err(InfraError::NoFit { .. })));
    // Nor does it run on what it is not made for.
    request.region = None;
    request.arch = Some(Arch::Arm64);
    assert!(ada.quote(&request).await.is_err(), "there is no such image");
}
