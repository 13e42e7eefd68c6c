//! Lists: whole under every filter.

use std::collections::{BTreeMap, BTreeSet};

use infra_core::infra::{ListOptions, UserHandle};
use infra_core::nouns::reservation::Role;
use infra_core::words::ids::ReservationId;
use infra_core::words::lane::ResourceKind;

use super::house::{House, wish, word};

async fn tagged(user: &UserHandle, tags: &[(&str, &str)]) -> ReservationId {
    let mut request = wish(1);
    request.tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    user.reserve(&request, None).await.expect("accepted").view.id
}

fn with(tags: &[&str]) -> ListOptions {
    ListOptions { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..ListOptions::default() }
}

/// All pages; each full but the last.
async fn pages(user: &UserHandle, options: &ListOptions, limit: usize) -> Vec<ReservationId> {
    let mut options = ListOptions { limit: Some(limit), ..options.clone() };
    let mut seen = Vec::new();
    loop {
        let page = user.list(&options).await.expect("lists");
        assert!(
            page.next.is_none() || page.items.len() == limit,
            "a page in the middle has {}",
            page.items.len()
        );
        assert!(page.next.is_none() || !page.items.is_empty(), "an empty page that leads on");
        seen.extend(page.items.into_iter().map(|view| view.id));
        match page.next {
            Some(next) => options.after = Some(next),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn a_filtered_page_is_full_unless_it_is_the_last() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let mut data = Vec::new();
    for n in 0..14 {
        let id =
            tagged(&ada, &[("team", if n % 3 == 0 { "data" } else { "web" }), ("n", &n.to_string())]).await;
        if n % 3 == 0 {
            ada.share(&id, ben.id(), Role::Viewer, None).await.expect("shares");
            data.push(id);
        }
    }
    let own = tagged(&ben, &[("team", "data")]).await;
    for limit in [1, 2, 3, 4, 5, 6, 200] {
        assert_eq!(pages(&ada, &with(&["team:data"]), limit).await, data, "limit {limit}");
        assert_eq!(pages(&ada, &ListOptions::default(), limit).await.len(), 14, "limit {limit}");
        let shared = ListOptions { shared: true, ..ListOptions::default() };
        assert_eq!(pages(&ben, &shared, limit).await, data, "limit {limit}");
        let both = ListOptions { shared: true, ..with(&["team:data", "n:3"]) };
        assert_eq!(pages(&ben, &both, limit).await, data[1..=1]);
        assert_eq!(pages(&ben, &with(&["team:data"]), limit).await, std::slice::from_ref(&own));
    }
    assert!(pages(&ada, &with(&["team:data", "team:web"]), 5).await.is_empty(), "all of them, not any");
    assert!(pages(&ada, &with(&["team:dat"]), 5).await.is_empty());
    assert_eq!(pages(&ada, &with(&["n"]), 5).await.len(), 14, "whatever its value");
    for bad in [with(&[""]), with(&["a"; 31])] {
        assert_eq!(word(&ada.list(&bad).await.expect_err("absurd")), "OutOfRange");
    }
}

#[tokio::test]
async fn a_tag_with_a_colon_in_it_is_found_by_its_text() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let one = tagged(&ada, &[("a:b", "c")]).await;
    let two = tagged(&ada, &[("a", "b:c")]).await;
    tagged(&ada, &[("a", "b")]).await;
    let found: BTreeSet<_> = pages(&ada, &with(&["a:b:c"]), 5).await.into_iter().collect();
    assert_eq!(found, BTreeSet::from([one, two]));
    let changed = pages(&ada, &with(&["a:b"]), 5).await;
    assert_eq!(changed.len(), 2, "the value of one, the name of another");
    ada.set_tags(&changed[0], &BTreeMap::new(), None).await.expect("changes");
    assert_eq!(pages(&ada, &with(&["a:b"]), 5).await.len(), 1, "what is filtered by is what is there now");
}

#[tokio::test]
async fn a_list_is_whole_while_others_are_added() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut before = BTreeSet::new();
    for _ in 0..6 {
        before.insert(tagged(&ada, &[("keep", "x")]).await);
    }
    let mut options = ListOptions { limit: Some(2), ..with(&["keep:x"]) };
    let mut seen = Vec::new();
    loop {
        let page = ada.list(&options).await.expect("lists");
        seen.extend(page.items.into_iter().map(|view| view.id));
        let Some(next) = page.next else { break };
        options.after = Some(next);
        if seen.len() < 8 {
            tagged(&ada, &[("keep", "y")]).await;
        }
    }
    let unique: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!((seen.len(), unique), (6, before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_at_the_cloud_finds_the_tags_that_were_asked_for() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = tagged(&ada, &[("team", "data")]).await;
    ada.wait(&id, std::time::Duration::from_secs(20)).await.expect("waits");
    let truth = house.sim.truth();
    let machines = truth.iter().filter(|thing| thing.kind == ResourceKind::Machine);
    let tags: Vec<_> = machines.map(|machine| machine.tags.get("team").map(String::as_str)).collect();
    assert_eq!(tags, [Some("data")]);
    house.infra.shutdown().await;
}
