//! A file that an operator keeps: CSV, JSON, or TOML.
//!
//! *CSV* has a first line with the names of its columns, in any order. `type`, `price_per_hour`, `currency` and `as_of`
//! must be there; `region`, `zone`, `market` (`on_demand` or `spot`) and `os` may be. An empty field is one that was not
//! said: any region, the whole region, `on_demand`, `linux`. A machine that boots what is sold (`os`: `windows`, `rhel`,
//! `suse`) is paid at its own row, and has no price without one.
//!
//! ```csv
//! type,price_per_hour,currency,as_of,region,market
//! m5.large,0.096,USD,2026-11-01,us-east-1,on_demand
//! ```
//!
//! *JSON* says date and currency once; a price may be a text or a number. *TOML* is for flavors alone, and may say what
//! they are (the module `sheet`):
//!
//! ```json
//! {"as_of": "2026-11-01", "currency": "EUR", "prices": [{"type": "m1.small", "price_per_hour": "0.021"}]}
//! ```
//! ```toml
//! as_of = "2026-11-01T00:00:00Z"
//! currency = "USD"
//! [per_hour]
//! "m1.small" = "0.021"
//! ```
//!
//! # Errors
//! What could be misread is refused with its line, and the last good file stays in use: an unknown or missing column, a
//! row that is longer or shorter, no type, an unknown market, system, currency or date, a date in the future, the same thing
//! twice. A price that is none leaves its row without one; the reason names the line. Each price is as old as its own row.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::{Clock, SystemClock, Timestamp, later};
use infra_core::words::ids::Region;
use serde::Deserialize;

use super::PriceSource;
use super::amount::{Amount, CurrencyCode};
use super::error::PriceError;
use super::sheet;
use super::table::{PriceOf, PriceTable};

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How far a date may lie ahead: it is tomorrow somewhere already.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Columns.
    Csv,
    /// One document.
    Json,
    /// A sheet of flavors.
    Toml,
}

impl Form {
    /// By the end of a file's name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// A price file, read anew at every refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    path: PathBuf,
    form: Form,
    region: Option<Region>,
}

impl FileSource {
    /// A file of any region.
    #[must_use]
    pub fn new(path: PathBuf, form: Form) -> Self {
        Self { path, form, region: None }
    }

    /// The same file, and only its rows of this region and of no region.
    #[must_use]
    pub fn in_region(self, region: Region) -> Self {
        Self { region: Some(region), ..self }
    }

    /// Reads it now, on this thread.
    ///
    /// # Errors
    /// [`PriceError::File`], [`PriceError::Malformed`].
    pub fn load(&self) -> Result<PriceTable, PriceError> {
        // Users see this as the prices' source: the file's name, not the operator's folders.
        let shown = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unread = |why: String| PriceError::File { file: shown.clone(), why };
        let size = std::fs::metadata(&self.path).map_err(|error| unread(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(unread(format!("it has {size} bytes, the limit is {FILE_BYTES_MAX}")));
        }
        let bytes = std::fs::read(&self.path).map_err(|error| unread(error.to_string()))?;
        let table = self.form.parse(&shown, &bytes, self.region.as_ref())?;
        let tomorrow = later(SystemClock.wall(), DAY);
        match table.newest() {
            Some(newest) if newest > tomorrow => {
                Err(malformed(&shown, None, format!("as_of {newest} is in the future")))
            }
            _ => Ok(table),
        }
    }
}

#[async_trait]
impl PriceSource for FileSource {
    async fn read(&self) -> Result<PriceTable, PriceError> {
        let source = self.clone();
        tokio::task::spawn_blocking(move || source.load()).await.unwrap_or_else(|broken| {
            Err(PriceError::File { file: "price file".to_owned(), why: broken.to_string() })
        })
    }
}

/// Texts as they stood, whatever the form.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CsvRow {
    pub(super) r#type: String,
    pub(super) price_per_hour: String,
    pub(super) currency: String,
    pub(super) as_of: String,
    #[serde(default)]
    pub(super) region: String,
    #[serde(default)]
    pub(super) zone: String,
    #[serde(default)]
    pub(super) market: String,
    #[serde(default)]
    pub(super) os: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    as_of: String,
    currency: String,
    prices: Vec<JsonRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    r#type: String,
    #[serde(default)]
    price_per_hour: Option<serde_json::Value>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    market: String,
    #[serde(default)]
    os: String,
}

/// A row, wherever it stood.
pub(super) struct Said {
    /// `line 3` or `entry 3`.
    pub(super) place: String,
    pub(super) row: CsvRow,
}

impl Form {
    /// Reads a file's bytes. `shown` is what it is called in errors and as the prices' source.
    ///
    /// # Errors
    /// [`PriceError::Malformed`].
    pub fn parse(self, shown: &str, bytes: &[u8], region: Option<&Region>) -> Result<PriceTable, PriceError> {
        // Some editors begin a file with a mark that says how it is encoded.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let (said, words) = match self {
            Self::Csv => (csv_rows(shown, bytes)?, BTreeMap::new()),
            Self::Json => (json_rows(shown, bytes)?, BTreeMap::new()),
            Self::Toml => sheet::read(shown, bytes)?,
        };
        table(shown, said, region).map(|table| table.with_words(words))
    }
}

pub(super) fn malformed(what: &str, line: Option<u64>, why: impl Display) -> PriceError {
    PriceError::Malformed { what: what.to_owned(), line, why: why.to_string() }
}

fn csv_rows(shown: &str, bytes: &[u8]) -> Result<Vec<(Option<u64>, Said)>, PriceError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headers = reader.headers().map_err(|error| malformed(shown, Some(1), csv_why(&error)))?.clone();
    check_columns(&headers).map_err(|why| malformed(shown, Some(1), why))?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(rows),
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                let row: CsvRow = record
                    .deserialize(Some(&headers))
                    .map_err(|error| malformed(shown, Some(line), csv_why(&error)))?;
                rows.push((Some(line), Said { place: format!("line {line}"), row }));
            }
            Err(error) => {
                let at = error.position().map_or(line, csv::Position::line);
                return Err(malformed(shown, Some(at), csv_why(&error)));
            }
        }
    }
}

/// Columns that a file may have, those that it must have first.
const COLUMNS: [&str; 8] = ["type", "price_per_hour", "currency", "as_of", "region", "zone", "market", "os"];

fn check_columns(headers: &csv::StringRecord) -> Result<(), String> {
    let count = |name: &str| headers.iter().filter(|column| *column == name).count();
    if let Some(unknown) = headers.iter().find(|column| !COLUMNS.contains(column)) {
        return Err(format!("unknown column {unknown:?}; there are {}", COLUMNS.join(", ")));
    }
    if let Some(missing) = COLUMNS[..4].iter().find(|column| count(column) == 0) {
        return Err(format!("column {missing} is missing"));
    }
    COLUMNS
        .iter()
        .find(|column| count(column) > 1)
        .map_or(Ok(()), |twice| Err(format!("column {twice} stands there twice")))
}

/// What is wrong, without the place: that is said once, by us.
fn csv_why(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        _ => error.to_string(),
    }
}

fn json_rows(shown: &str, bytes: &[u8]) -> Result<Vec<(Option<u64>, Said)>, PriceError> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        malformed(shown, u64::try_from(error.line()).ok(), why)
    })?;
    let Document { as_of, currency, prices } = document;
    let rows = prices.into_iter().enumerate().map(|(at, row)| {
        let price_per_hour = match row.price_per_hour {
            Some(serde_json::Value::String(text)) => text,
            Some(serde_json::Value::Number(number)) => number.to_string(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let (as_of, currency) = (as_of.clone(), currency.clone());
        let JsonRow { r#type, region, zone, market, os, .. } = row;
        let row = CsvRow { r#type, price_per_hour, currency, as_of, region, zone, market, os };
        (None, Said { place: format!("entry {}", at + 1), row })
    });
    Ok(rows.collect())
}

fn table(
    shown: &str,
    said: Vec<(Option<u64>, Said)>,
    region: Option<&Region>,
) -> Result<PriceTable, PriceError> {
    let mut rows = Vec::new();
    let mut seen = BTreeMap::new();
    let mut oldest: Option<Timestamp> = None;
    let mut regions = Vec::new();
    for (line, Said { place, row }) in said {
        let wrong = |why: String| {
            let why = if line.is_none() { format!("{place}: {why}") } else { why };
            malformed(shown, line, why)
        };
        if row.r#type.is_empty() {
            return Err(wrong("no type".to_owned()));
        }
        let market = market(&row.market).map_err(&wrong)?;
        let currency: CurrencyCode = row.currency.parse().map_err(&wrong)?;
        let as_of = moment(&row.as_of).map_err(&wrong)?;
        let system: System = match row.os.as_str() {
            "" => System::default(),
            word => word.parse().map_err(&wrong)?,
        };
        let key = (row.r#type.clone(), row.region.clone(), row.zone.clone(), market, system);
        if let Some(before) = seen.insert(key, place.clone()) {
            return Err(wrong(format!("{} stands there twice, first in {before}", row.r#type)));
        }
        oldest = Some(oldest.map_or(as_of, |oldest| oldest.min(as_of)));
        regions.extend(Some(row.region.clone()).filter(|region| !region.is_empty()));
        let here = region.is_none_or(|region| row.region.is_empty() || row.region == region.as_str());
        if here {
            let amount = match row.price_per_hour.as_str() {
                "" => Err(format!("{place}: no price")),
                text => Amount::read(text, currency).map_err(|why| format!("{place}: {why}")),
            };
            rows.push((row, market, system, as_of, amount));
        }
    }
    // A row of this very region goes before one of any.
    rows.sort_by_key(|(row, ..)| row.region.is_empty());
    let mut table = PriceTable::new(shown, oldest.unwrap_or(Timestamp::UNIX_EPOCH), false);
    table.name_regions(regions.iter().map(String::as_str));
    let mut own = std::collections::BTreeSet::new();
    for (row, market, system, as_of, amount) in &rows {
        // One region's table needs no word of it. In a table of all a region stands before the zone: two regions' prices of
        // one type are no contradiction.
        let of_all = if region.is_none() { row.region.as_str() } else { "" };
        let place = format!("{of_all} {}", row.zone);
        let zone = Some(place.trim()).filter(|zone| !zone.is_empty());
        let of = PriceOf { type_name: &row.r#type, market: *market, os: system.word(), zone };
        let key = (row.r#type.clone(), *market, *system, zone.map(str::to_owned));
        if row.region.is_empty() && own.contains(&key) {
            continue;
        }
        own.insert(key);
        table.add_at(of, *as_of, amount.clone());
    }
    Ok(table)
}

fn market(word: &str) -> Result<Market, String> {
    match word {
        "" | "on_demand" => Ok(Market::OnDemand),
        "spot" => Ok(Market::Spot),
        other => Err(format!("{other:?} is no market; on_demand and spot are")),
    }
}

/// A day or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse()
        .ok()
        .or_else(|| day().map(|day| day.timestamp()))
        .ok_or_else(|| format!("as_of {text:?} is no date like 2026-11-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "type,price_per_hour,currency,as_of,region,zone,market,os\n\
        m5.large,0.096,USD,2026-11-01,us-east-1,,on_demand,\n\
        m5.large,0.04,USD,2026-11-01,us-east-1,us-east-1a,spot,\n\
        c5.large,0,USD,2026-10-01,,,,\n";

    fn read(text: &str, form: Form) -> Result<PriceTable, PriceError> {
        let region = Region::new("us-east-1").expect("a name");
        form.parse("prices.csv", text.as_bytes(), Some(&region))
    }

    #[test]
    fn a_files_rows_are_prices_of_what_they_name_and_of_nothing_else() {
        let table = read(CSV, Form::Csv).expect("well written");
        let nanos = |of| table.amount(of).map(Amount::nanos);
        assert_eq!(nanos(PriceOf::on_demand("m5.large")), Some(96_000_000));
        assert_eq!(nanos(PriceOf::spot("m5.large", "us-east-1a")), Some(40_000_000));
        assert_eq!(nanos(PriceOf::spot("m5.large", "us-east-1b")), None);
        assert_eq!(nanos(PriceOf::on_demand("c5.large")), None);
        assert_eq!(table.as_of().to_string(), "2026-10-01T00:00:00Z", "the oldest row's");
        let elsewhere = Region::new("eu-west-1").expect("a name");
        let other = Form::Csv.parse("p", CSV.as_bytes(), Some(&elsewhere)).expect("well written");
        assert!(!other.has(PriceOf::on_demand("m5.large")));
        let why = table.price(PriceOf::on_demand("c5.large"), &super::super::Rates::default());
        assert!(format!("{why:?}").contains("line 4"), "{why:?}");
    }

    #[test]
    fn two_regions_with_prices_of_their_own_are_taken_for_a_contradiction() {
        let text = "type,price_per_hour,currency,as_of,region\n\
            t,1,USD,2026-11-01,us-east-1\nt,2,USD,2026-11-01,us-esat-1\nu,3,USD,2026-11-01,\n";
        let all = Form::Csv.parse("p", text.as_bytes(), None).expect("well written");
        assert_eq!(all.counts(), (3, 0), "{:?}", all.without_price(&super::super::Rates::default()));
        assert_eq!(all.regions().collect::<Vec<_>>(), ["us-east-1", "us-esat-1"]);
        let here = read(text, Form::Csv).expect("well written");
        assert_eq!(here.counts(), (2, 0));
        assert_eq!(here.amount(PriceOf::on_demand("t")).map(Amount::nanos), Some(1_000_000_000));
    }

    #[test]
    fn one_old_row_makes_all_prices_old() {
        let table = read(CSV, Form::Csv).expect("well written");
        let as_of = |of| match table.price(of, &super::super::Rates::default()) {
            infra_core::nouns::offering::Price::Known { as_of, .. } => as_of.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(as_of(PriceOf::on_demand("m5.large")), "2026-11-01T00:00:00Z", "its own row's");
        assert_eq!(as_of(PriceOf::spot("m5.large", "us-east-1a")), "2026-11-01T00:00:00Z");
    }

    #[test]
    fn what_an_editor_or_toml_itself_writes_is_refused() {
        let json = "\u{feff}{\"as_of\": \"2026-11-01\", \"currency\": \"USD\", \"prices\": [{\"type\": \"a\", \"price_per_hour\": 1}]}";
        assert_eq!(read(json, Form::Json).expect("a mark is no character").counts(), (1, 0));
        assert_eq!(read(&format!("\u{feff}{CSV}"), Form::Csv).expect("nor here").counts(), (2, 1));
        for date in ["2026-11-01", "2026-11-01T00:00:00Z", "\"2026-11-01\""] {
            let sheet = format!("as_of = {date}\ncurrency = \"USD\"\n[per_hour]\n\"m1.small\" = \"0.021\"\n");
            let table = read(&sheet, Form::Toml).unwrap_or_else(|error| panic!("{date}: {error}"));
            assert_eq!(table.as_of().to_string(), "2026-11-01T00:00:00Z", "{date}");
        }
        let wrong = read("as_of = 5\ncurrency = \"USD\"\n[per_hour]\na = 1\n", Form::Toml);
        assert!(wrong.expect_err("a number").to_string().contains("is no date like 2026-11-01"));
    }

    #[test]
    fn a_price_of_a_day_to_come_is_believed() {
        let file = std::env::temp_dir().join(format!("infra-price-future-{}.csv", std::process::id()));
        let source = FileSource::new(file.clone(), Form::Csv);
        for (date, fine) in [("2026-11-01", true), ("2999-01-01", false)] {
            let text = format!("type,price_per_hour,currency,as_of\na,1,USD,{date}\n");
            std::fs::write(&file, text).expect("the folder can be written");
            let read = source.load();
            assert_eq!(read.is_ok(), fine, "{date}: {read:?}");
            assert!(
                fine || read.is_err_and(|error| error.to_string().contains("is in the future")),
                "{date}"
            );
        }
        std::fs::remove_file(&file).expect("it is there");
    }

    #[test]
    fn a_row_of_the_region_goes_before_one_of_any() {
        let text =
            "type,price_per_hour,currency,as_of,region\nt,1,USD,2026-11-01,\nt,2,USD,2026-11-01,us-east-1\n";
        let table = read(text, Form::Csv).expect("well written");
        assert_eq!(table.amount(PriceOf::on_demand("t")).map(Amount::nanos), Some(2_000_000_000));
    }

    #[test]
    fn what_could_be_misread_is_refused_with_its_line() {
        for (from, to, says) in [
            ("price_per_hour", "price_per_month", "line 1: unknown column \"price_per_month\""),
            ("currency,", "", "line 1: column currency is missing"),
            ("market,os", "market,market", "line 1: column market stands there twice"),
            ("m5.large,0.096,USD", "m5.large,USD,0.096", "line 2: \"0.096\" is no currency"),
            ("m5.large,0.096", ",0.096", "line 2: no type"),
            ("on_demand", "reserved", "line 2: \"reserved\" is no market"),
            ("2026-11-01,us-east-1,us-east-1a", "last week,us-east-1,us-east-1a", "line 3: as_of"),
            ("us-east-1a,spot", ",on_demand", "line 3: m5.large stands there twice, first in line 2"),
            ("c5.large,0,USD,2026-10-01,,,,", "c5.large,0,USD", "line 4: 3 fields"),
        ] {
            let error = read(&CSV.replacen(from, to, 1), Form::Csv).expect_err(to);
            assert!(error.to_string().contains(says), "{to}: {error}");
        }
        let json =
            r#"{"as_of": "2026-11-01", "currency": "EUR", "prices": [{"type": "a", "price_per_hour": 0.5}]}"#;
        let table = read(json, Form::Json).expect("well written");
        let amount = table.amount(PriceOf::on_demand("a")).expect("a price");
        assert_eq!(amount.to_string(), "0.50 EUR");
        for (from, to, says) in [
            ("\"EUR\"", "\"euro\"", "entry 1: \"euro\" is no currency"),
            ("\"type\": \"a\"", "\"typ\": \"a\"", "line 1: unknown field `typ`"),
            ("}]}", "}", "line 1: EOF"),
        ] {
            let error = read(&json.replacen(from, to, 1), Form::Json).expect_err(to);
            assert!(error.to_string().contains(says), "{to}: {error}");
        }
        for price in ["0", "-1", "null", "\"NaN\"", "1e-7", "true", "{}", "[1]"] {
            let table = read(&json.replacen("0.5", price, 1), Form::Json).expect("the rest is right");
            assert_eq!(table.counts(), (0, 1), "{price}");
        }
        let sheet =
            "as_of = \"2026-11-01\"\ncurrency = \"USD\"\n[per_hour]\n\"m1.small\" = \"0.021\"\nbad = 0\n";
        let table = read(sheet, Form::Toml).expect("well written");
        assert_eq!(table.counts(), (1, 1));
        let error = read(&sheet.replace("[per_hour]", "[per_day]"), Form::Toml).expect_err("unknown");
        assert!(error.to_string().contains("line 3: unknown field"), "{error}");
    }
}
