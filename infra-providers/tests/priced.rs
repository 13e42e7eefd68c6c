//! A price file over a cloud: what it names is the price, what it does not name has none, and it is read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use infra_core::contracts::provider::CloudDriver;
use infra_core::nouns::credential::Credential;
use infra_core::nouns::offering::{Catalogue, Price};
use infra_core::nouns::system::System;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::clock::Clock;
use infra_core::words::ids::InstallationId;
use infra_core::words::lane::Lane;
use infra_core::words::secret::Secret;
use infra_providers::prices::{FileSource, Form, PriceBook, PricedDriver, Rate, Rates};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

struct Bench {
    clock: VirtualClock,
    book: PriceBook,
    file: PathBuf,
    sim: SimDriver,
    region: String,
}

impl Bench {
    fn new(name: &str, text: &str) -> Self {
        let clock = VirtualClock::default().manual();
        let world = SimWorld::new(SimConfig::small(1), Arc::new(clock.clone()));
        let region = world.config().regions[0].name.to_string();
        let file = std::env::temp_dir().join(format!("infra-priced-{name}-{}.csv", std::process::id()));
        std::fs::write(&file, text).expect("the temporary folder takes a file");
        let euro = Rate { usd: "1.10".to_owned(), as_of: jiff::civil::date(2026, 11, 1) };
        let rates = Rates::new([("EUR", &euro)]).expect("a rate");
        let book = PriceBook::new(Arc::new(clock.clone()), Arc::new(SeededEntropy::new(1))).with_rates(rates);
        Self { clock, book, file, sim: SimDriver::new(world), region }
    }

    fn driver(&self) -> PricedDriver {
        let feed = self.book.list_feed(&self.sim.name(), "file");
        let source = FileSource::new(self.file.clone(), Form::Csv);
        PricedDriver::new(Arc::new(self.sim.clone()), feed, source, self.book.rates())
    }

    async fn catalogue(&self, driver: &PricedDriver) -> Catalogue {
        let field = ("token".to_owned(), Secret::new("sim-acct".to_owned()));
        let key = Credential { provider: driver.name(), kind: "static".to_owned(), fields: [field].into() };
        let identity = driver.identify(&key).await.expect("the sim knows its keys");
        let lane = Lane {
            cloud: driver.name(),
            endpoint: driver.endpoint(),
            account: identity.account,
            region: self.region.parse().expect("a name"),
        };
        let installation = InstallationId::draw(self.clock.wall(), &SeededEntropy::new(2));
        let provider = driver.connect(&key, &lane, installation).await.expect("connects");
        provider.catalogue().await.expect("a catalogue")
    }
}

fn nanos(catalogue: &Catalogue, name: &str) -> Vec<Option<i64>> {
    let ours = catalogue.offerings.iter().filter(|one| one.type_name.as_str() == name);
    ours.map(|one| one.price.per_hour().map(|price| price.nanos)).collect()
}

const HEAD: &str = "type,price_per_hour,currency,as_of\n";

#[tokio::test]
async fn the_operators_file_is_the_price_and_what_it_leaves_out_is_never_chosen() {
    let text = format!(
        "{HEAD}t3.micro,0.5,USD,2026-11-01\nt3.small,0.5,EUR,2026-11-01\nm5.xlarge,0.5,CNY,2026-11-01\nm5.large,0,USD,2026-11-01\n"
    );
    let bench = Bench::new("names", &text);
    let driver = bench.driver();
    let catalogue = bench.catalogue(&driver).await;
    assert!(catalogue.offerings.len() > 5, "{}", catalogue.offerings.len());
    assert_eq!(nanos(&catalogue, "t3.micro"), [Some(500_000_000)]);
    assert_eq!(nanos(&catalogue, "t3.small"), [Some(550_000_000)], "by the rate");
    for (name, why) in [("m5.xlarge", "no rate is configured"), ("m5.large", "line 5: 0 is not above zero")] {
        let one = catalogue.offerings.iter().find(|one| one.type_name.as_str() == name).expect(name);
        assert!(matches!(&one.price, Price::Unknown { reason } if reason.contains(why)), "{:?}", one.price);
    }
    let known = catalogue.offerings.iter().filter(|one| one.price.per_hour().is_some()).count();
    assert_eq!(known, 2, "the sim's own prices are not mixed in");
    std::fs::remove_file(&bench.file).expect("it is there");
}

#[tokio::test]
async fn a_licence_that_a_file_names_is_paid_and_one_that_it_does_not_has_no_price() {
    let head = "type,price_per_hour,currency,as_of,os\n";
    let rows = "t3.micro,0.5,USD,2026-11-01,\nt3.micro,0.9,USD,2026-11-01,Windows\nt3.small,0.5,USD,2026-11-01,linux\n";
    let bench = Bench::new("systems", &format!("{head}{rows}"));
    let catalogue = bench.catalogue(&bench.driver()).await;
    let of = |name: &str| -> Vec<(System, Option<i64>)> {
        let ours = catalogue.offerings.iter().filter(|one| one.type_name.as_str() == name);
        ours.map(|one| (one.system, one.price.per_hour().map(|price| price.nanos))).collect()
    };
    assert_eq!(of("t3.micro"), [(System::Linux, Some(500_000_000)), (System::Windows, Some(900_000_000))]);
    assert_eq!(of("t3.small"), [(System::Linux, Some(500_000_000))]);
    std::fs::remove_file(&bench.file).expect("it is there");
    let wrong = Form::Csv.parse("p.csv", format!("{head}a,1,USD,2026-11-01,windoze\n").as_bytes(), None);
    let why = wrong.expect_err("no such system").to_string();
    assert!(why.contains("p.csv line 2: unknown system \"windoze\""), "{why}");
}

#[tokio::test]
async fn a_file_is_read_again_and_a_broken_one_leaves_the_last_good_prices() {
    let bench = Bench::new("again", &format!("{HEAD}t3.micro,0.5,USD,2026-11-01\n"));
    let driver = bench.driver();
    for (text, wanted) in [
        (format!("{HEAD}t3.micro,0.7,USD,2026-11-02\n"), 700_000_000),
        (format!("{HEAD}t3.micro,0.9\n"), 700_000_000),
        (String::new(), 700_000_000),
        (format!("{HEAD}t3.micro,0,USD,2026-11-02\n"), 700_000_000),
        (format!("{HEAD}t3.micro,0.8,USD,2026-11-02\n"), 800_000_000),
    ] {
        bench.catalogue(&driver).await;
        std::fs::write(&bench.file, &text).expect("the temporary folder takes a file");
        bench.clock.advance(Duration::from_secs(8 * 3600));
        bench.catalogue(&driver).await;
        // Reading a file takes real time, on another thread.
        let mut seen = Vec::new();
        for _ in 0..200 {
            seen = nanos(&bench.catalogue(&driver).await, "t3.micro");
            if seen == [Some(wanted)] && bench.book.ages()[0].failures == u32::from(wanted != 800_000_000) {
                break;
            }
            tokio::task::yield_now().await;
            SystemWait::a_little().await;
        }
        assert_eq!(seen, [Some(wanted)], "{text:?}");
    }
    std::fs::remove_file(&bench.file).expect("it is there");
}

/// Counts warnings on this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_mistyped_row_of_a_price_file_is_without_effect_and_nobody_is_told() {
    let head = "type,price_per_hour,currency,as_of,region,zone,market\n";
    let mistyped = "t3.mikro,0.5,USD,2026-11-01,,,\nt3.micro,0.1,USD,2026-11-01,,no-zone,spot\n\
        t3.micro,0.5,USD,2026-11-01,sim-esat,,\nt3.small,0.5,USD,2026-11-01,sim-esat,,\n";
    let text = format!("{head}t3.micro,0.5,USD,2026-11-01,,,\n{mistyped}");
    let bench = Bench::new("unused", &text);
    let driver = bench.driver();
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let told = || warnings.0.load(Ordering::Relaxed);
    bench.catalogue(&driver).await;
    let age = bench.book.ages().remove(0);
    assert_eq!(age.unused, 4, "{age:?}");
    assert_eq!(age.unused_examples, ["region sim-esat", "spot t3.micro in no-zone", "t3.mikro"]);
    assert_eq!(told(), 1);
    // Neither for the next catalogue, nor when the same text was read again.
    bench.catalogue(&driver).await;
    bench.clock.advance(Duration::from_secs(8 * 3600));
    bench.catalogue(&driver).await;
    for _ in 0..20 {
        SystemWait::a_little().await;
        bench.catalogue(&driver).await;
    }
    assert_eq!((told(), bench.book.ages()[0].unused), (1, 4));
    // Another file is told of anew, and one without a slip of the pen not at all.
    for (text, unused, times) in [
        (text.replace("t3.mikro", "t3.makro"), 4, 2),
        (format!("{head}t3.micro,0.5,USD,2026-11-01,,,\nt3.small,0.5,USD,2026-11-02,,,\n"), 0, 2),
    ] {
        std::fs::write(&bench.file, &text).expect("the temporary folder takes a file");
        bench.clock.advance(Duration::from_secs(8 * 3600));
        for _ in 0..200 {
            bench.catalogue(&driver).await;
            if (told(), bench.book.ages()[0].unused) == (times, unused) {
                break;
            }
            SystemWait::a_little().await;
        }
        assert_eq!((told(), bench.book.ages()[0].unused), (times, unused), "{text}");
    }
    std::fs::remove_file(&bench.file).expect("it is there");
}

/// Waits for real: a file is read on a thread that knows no virtual time.
struct SystemWait;

impl SystemWait {
    async fn a_little() {
        infra_core::SystemClock.sleep(Duration::from_millis(5)).await;
    }
}
