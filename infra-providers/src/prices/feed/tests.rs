//! What becomes of prices while their source is slow, wrong, silent or asked by many.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use infra_core::testing::{SeededEntropy, VirtualClock, in_virtual_time};
use infra_core::words::fault::FaultKind;

use super::super::table::PriceOf;
use super::super::{Amount, CurrencyCode};
use super::*;

/// What a source does next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Says(&'static str),
    SaysAfter(u64, &'static str),
    Throttles,
    Hangs,
}

#[derive(Debug)]
struct Scripted {
    clock: VirtualClock,
    does: Mutex<Does>,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl PriceSource for Scripted {
    async fn read(&self) -> Result<PriceTable, PriceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        let does = *self.does.lock().expect("no panic");
        let answer = match does {
            Does::Says(price) => Ok(price),
            Does::SaysAfter(seconds, price) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                Ok(price)
            }
            Does::Hangs => {
                self.at_once.fetch_sub(1, Ordering::Relaxed);
                return std::future::pending().await;
            }
            Does::Throttles => {
                let (kind, code) = (FaultKind::Throttled, "ThrottlingException".to_owned());
                Err(PriceError::Call {
                    action: "list",
                    kind,
                    code,
                    retry_after: Some(Duration::from_secs(600)),
                })
            }
        };
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        answer.map(|price| {
            let mut table = PriceTable::new("scripted", self.clock.wall(), true);
            table.add(PriceOf::on_demand("t"), Amount::read(price, CurrencyCode::USD));
            table
        })
    }
}

struct Bench {
    clock: VirtualClock,
    feed: Arc<PriceFeed>,
    source: Arc<Scripted>,
    scope: Scope,
}

impl Bench {
    fn new(does: Does) -> Self {
        let clock = VirtualClock::default().manual();
        let entropy = Arc::new(SeededEntropy::new(1));
        let cloud = "aws".parse().expect("a name");
        let feed = PriceFeed::new(cloud, "list", Pace::default(), Arc::new(clock.clone()), entropy);
        let source = Arc::new(Scripted {
            clock: clock.clone(),
            does: Mutex::new(does),
            asked: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let scope = Scope { region: "us-east-1".parse().expect("a name"), account: None };
        Self { clock, feed: Arc::new(feed), source, scope }
    }

    fn next(&self, does: Does) {
        *self.source.does.lock().expect("no panic") = does;
    }

    async fn ask(&self) -> Option<String> {
        let table = self.feed.known(&self.scope, Arc::clone(&self.source) as Arc<dyn PriceSource>).await;
        table.and_then(|table| table.amount(PriceOf::on_demand("t"))).map(|amount| amount.to_string())
    }

    /// Lets whatever runs in the background go on as far as it can without time.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn asked(&self) -> usize {
        self.source.asked.load(Ordering::Relaxed)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_reader_never_waits_for_a_refresh_and_sees_it_afterwards() {
    let bench = Bench::new(Does::Says("0.1"));
    assert_eq!(bench.ask().await.as_deref(), Some("0.10 USD"), "the first one waits");
    bench.clock.advance(5 * HOUR);
    bench.ask().await;
    assert_eq!(bench.asked(), 1, "it is young enough");
    bench.clock.advance(2 * HOUR);
    bench.next(Does::SaysAfter(15, "0.2"));
    for _ in 0..50 {
        assert_eq!(bench.ask().await.as_deref(), Some("0.10 USD"), "no time passes in here");
    }
    bench.settle().await;
    assert_eq!(bench.asked(), 2, "fifty readers, one question");
    bench.clock.advance(Duration::from_secs(21));
    bench.settle().await;
    assert_eq!(bench.ask().await.as_deref(), Some("0.20 USD"));
    assert_eq!(bench.asked(), 2);
}

#[tokio::test]
async fn many_first_readers_ask_once() {
    let bench = Arc::new(Bench::new(Does::SaysAfter(3, "0.1")));
    let clock = bench.clock.clone();
    let all = async {
        let asks = (0..100).map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.ask().await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.expect("no panic").as_deref(), Some("0.10 USD"));
        }
    };
    in_virtual_time(&clock, all).await;
    assert_eq!((bench.asked(), bench.source.most_at_once.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn the_last_good_prices_stay_while_the_source_fails_and_the_failure_shows() {
    let bench = Bench::new(Does::Says("0.1"));
    bench.ask().await;
    for (does, why) in [
        (Does::Throttles, "list: throttled (ThrottlingException)"),
        (Does::Says("0"), "names no price at all (1 rows without one)"),
        (Does::Says("NaN"), "names no price at all"),
        (Does::Hangs, "no answer within 20 s"),
    ] {
        bench.next(does);
        bench.clock.advance(8 * HOUR);
        bench.ask().await;
        bench.settle().await;
        bench.clock.advance(Duration::from_secs(31));
        bench.settle().await;
        assert_eq!(bench.ask().await.as_deref(), Some("0.10 USD"), "{does:?}");
        let ages = bench.feed.ages();
        assert_eq!((ages.len(), ages[0].known), (1, 1));
        assert!(ages[0].last_error.as_deref().is_some_and(|said| said.contains(why)), "{does:?}: {ages:?}");
        assert!(ages[0].age >= Some(8 * HOUR), "{ages:?}");
    }
    assert_eq!(bench.feed.ages()[0].failures, 4);
    bench.next(Does::Says("0.3"));
    bench.clock.advance(8 * HOUR);
    bench.ask().await;
    bench.settle().await;
    let age = bench.feed.ages().remove(0);
    assert_eq!((age.failures, age.last_error, age.age), (0, None, Some(Duration::ZERO)));
}

#[tokio::test]
async fn a_source_that_fails_is_left_alone_for_longer_each_time() {
    let bench = Bench::new(Does::Hangs);
    let clock = bench.clock.clone();
    assert_eq!(in_virtual_time(&clock, bench.ask()).await, None, "the first one waits, and not for ever");
    bench.next(Does::Says("0"));
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let before = (bench.asked(), bench.clock.mono());
        while bench.asked() == before.0 {
            bench.clock.advance(Duration::from_secs(1));
            bench.ask().await;
            bench.settle().await;
        }
        pauses.push((bench.clock.mono() - before.1).as_secs());
    }
    for (at, pause) in pauses.iter().enumerate() {
        let exact = 60 << at;
        assert!((exact * 9 / 10..=exact * 11 / 10 + 1).contains(pause), "{pauses:?}");
    }
    bench.next(Does::Throttles);
    bench.clock.advance(10 * HOUR);
    bench.ask().await;
    bench.settle().await;
    let asked = bench.asked();
    bench.clock.advance(Duration::from_secs(599));
    bench.ask().await;
    bench.settle().await;
    assert_eq!(bench.asked(), asked, "it said when to come back");
}

#[tokio::test]
async fn accounts_are_remembered_apart_and_only_so_many() {
    let bench = Bench::new(Does::Says("0.1"));
    for account in 0..SCOPES_MAX + 20 {
        let account = Some(format!("{account:012}").parse().expect("an account"));
        let scope = Scope { account, ..bench.scope.clone() };
        bench.clock.advance(Duration::from_secs(1));
        let source = Arc::clone(&bench.source) as Arc<dyn PriceSource>;
        assert!(bench.feed.known(&scope, source).await.is_some());
    }
    assert_eq!(bench.feed.with_slots(|slots| slots.len()), SCOPES_MAX);
    assert!(bench.feed.table(&bench.scope).is_none());
    assert_eq!(bench.feed.ages().len(), 1, "no account shows");
}

#[tokio::test]
async fn what_one_account_does_not_see_is_said_in_vain_though_another_buys_it() {
    let bench = Bench::new(Does::Says("0.1"));
    assert!(bench.ask().await.is_some());
    let unused = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect::<Unused>();
    let shown = || bench.feed.ages().remove(0).unused_examples;
    let table = bench.feed.table(&bench.scope).expect("it was read");
    assert_eq!(shown(), [""; 0], "nobody asked a cloud what it sells");
    bench.feed.joined(&bench.scope, &table, &unused(&["private", "typo"]));
    assert_eq!(shown(), ["private", "typo"]);
    bench.feed.joined(&bench.scope, &table, &unused(&["typo", "of another"]));
    bench.feed.joined(&bench.scope, &table, &unused(&["private", "typo"]));
    assert_eq!(shown(), ["typo"], "somebody takes the rest");
    // What was worked out of a table that is gone says nothing of the one that came.
    let old = Arc::new(PriceTable::clone(&table));
    bench.feed.joined(&bench.scope, &old, &Unused::new());
    assert_eq!(shown(), ["typo"]);
}
