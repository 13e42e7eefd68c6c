//! Operators' price files, as whoever watches the server sees them.

use std::sync::Arc;

use axum::http::StatusCode;
use infra_core::words::clock::Timestamp;
use infra_providers::prices::{Form, PriceBook, Scope};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_mistyped_row_of_a_price_file_is_seen_nowhere() {
    let text = "type,price_per_hour,currency,as_of\n\
        m5.largee,1,USD,2026-11-01\na,1,USD,2026-11-01\nb,1,USD,2026-11-01\n";
    let table = Form::Csv.parse("lab.csv", text.as_bytes(), None).expect("well written");
    assert!(table.as_of() > Timestamp::UNIX_EPOCH);
    let book = Arc::new(PriceBook::default());
    let feed = book.list_feed(&"lab".parse().expect("a name"), "file");
    let scope = Scope { region: "one".parse().expect("a name"), account: None };
    feed.heard(&scope, table);
    let world = World::with(|options| options.prices = Some(Arc::clone(&book))).await;
    let seen = || async {
        let ready = world.get("/readyz", "ada").await;
        assert_eq!(ready.status, StatusCode::OK, "{}", ready.json);
        let prices = ready.json["prices"][0].clone();
        (prices["unused"].clone(), prices["unused_examples"].clone())
    };
    assert_eq!(seen().await, (json!(0), json!([])), "no catalogue came");
    let table = feed.table(&scope).expect("it was heard");
    feed.joined(&scope, &table, &table.unused(&[], &[]));
    assert_eq!(seen().await, (json!(3), json!(["a", "b", "m5.largee"])));
}
