//! How an index is made of a catalogue.
//!
//! # Flow
//! One pass over the list takes from each offering what is asked about later, as numbers in one small [`Row`]; names
//! become numbers there, so no text is compared twice. Prices are sorted apart, the rows are put in their order, and
//! everything else is counted off those rows: no later pass looks at an offering, but for what a skyline must know of
//! equals.
//!
//! # Guarantees
//! * The same catalogue gives the same index: rows of one price stand as in the list, and nothing hangs on chance.
//! * The time grows as n log n, however many different sizes and names there are.
//!
//! # Assumptions
//! A catalogue has fewer offerings than a `u32` counts; those beyond would not be found.
//!
//! # Caveats
//! What costs nothing, costs less than nothing or has no known price is in no index, and neither is the price of another
//! system than Linux: whoever boots one has the lane looked through whole.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use super::bits::{Bits, Column, Names};
use super::sky::skylines;
use super::{ARCHES, LaneIndex, MARKETS, default_disk};
use crate::nouns::offering::{Catalogue, Offering, Price};
use crate::nouns::request::{Arch, Market};

/// What an index needs to know of one offering that can be chosen at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// What it costs at least, billionths per hour.
    pub(super) plain: i64,
    /// Its place in the list.
    pub(super) nth: u32,
    pub(super) vcpus_milli: u32,
    pub(super) memory_mib: u64,
    gpus: u32,
    own_disk: u32,
    /// One more than the generation; 0 for none.
    generation: u64,
    family: Name,
    model: Name,
    pub(super) arch: Arch,
    pub(super) market: Market,
    burstable: bool,
}

/// A name as a number: its place among the names in order of appearance; `None` for no name.
type Name = Option<u32>;

/// Gives names their numbers.
#[derive(Debug, Default)]
struct Numbers<'n> {
    /// With fixed keys: what is counted or printed must not hang on chance, and a cloud's names attack nobody.
    known: HashMap<&'n str, u32, BuildHasherDefault<DefaultHasher>>,
    /// Lists name their types by family: mostly it is the one before.
    last: Option<(&'n str, u32)>,
}

impl<'n> Numbers<'n> {
    fn of(&mut self, name: &'n str) -> u32 {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == name) {
            return number;
        }
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let number = *self.known.entry(name).or_insert(next);
        self.last = Some((name, number));
        number
    }

    /// Groups rows by their names, which differ by more than their case; those without a name are in no group.
    fn groups(self, of: impl Iterator<Item = Name>) -> Names {
        let mut places = vec![0; self.known.len()];
        let mut names = BTreeMap::<String, Vec<u32>>::new();
        for (name, number) in self.known {
            names.entry(name.to_ascii_lowercase()).or_default().push(number);
        }
        for (place, numbers) in names.values().enumerate() {
            numbers.iter().for_each(|number| places[*number as usize] = place);
        }
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); names.len()];
        for (row, name) in (0..).zip(of) {
            if let Some(number) = name {
                groups[places[number as usize]].push(row);
            }
        }
        Names::new(names.into_keys().zip(groups).collect())
    }
}

impl LaneIndex {
    /// The index of a catalogue. Rows without a price above zero are not in it: they are never chosen, nor near.
    pub(in crate::price) fn new(catalogue: &Catalogue) -> Self {
        let (mut families, mut models) = (Numbers::default(), Numbers::default());
        let list = (0..).zip(&catalogue.offerings);
        let gib_hour = catalogue.disk_gib_hour.nanos;
        let found: Vec<Row> =
            list.filter_map(|(nth, it)| row(nth, it, gib_hour, (&mut families, &mut models))).collect();
        // Prices with their places alone are sorted: rows are put in place once.
        let mut by_price: Vec<(i64, u32)> = (0..).zip(&found).map(|(at, it)| (it.plain, at)).collect();
        by_price.sort_unstable();
        let rows: Vec<Row> = by_price.into_iter().map(|(_, at)| found[at as usize]).collect();
        let column = |of: fn(&Row) -> u64| Column::new(&rows.iter().map(of).collect::<Vec<_>>());
        let set = |of: &dyn Fn(&Row) -> bool| Bits::of(rows.iter().map(of));
        Self {
            list_len: catalogue.offerings.len(),
            offerings: rows.iter().map(|it| it.nth).collect(),
            plain: rows.iter().map(|it| it.plain).collect(),
            vcpus: column(|it| it.vcpus_milli.into()),
            memory: column(|it| it.memory_mib),
            gpus: column(|it| it.gpus.into()),
            own_disk: column(|it| it.own_disk.into()),
            generation: column(|it| it.generation),
            arches: ARCHES.map(|arch| set(&|it| it.arch == arch)),
            markets: MARKETS.map(|market| set(&|it| it.market == market)),
            burstable: set(&|it| it.burstable),
            models: models.groups(rows.iter().map(|it| it.model)),
            families: families.groups(rows.iter().map(|it| it.family)),
            by_type: std::sync::OnceLock::new(),
            skylines: skylines(&rows, |it| tie(&catalogue.offerings[it.nth as usize])),
        }
    }
}

/// An offering as a row; `None` without a price, and for the price of another system: who boots that is answered
/// without an index.
fn row<'n>(
    nth: u32,
    offering: &'n Offering,
    gib_hour: i64,
    (families, models): (&mut Numbers<'n>, &mut Numbers<'n>),
) -> Option<Row> {
    let Price::Known { per_hour, .. } = &offering.price else { return None };
    let (compute, fee) = (per_hour.nanos, offering.fee_per_hour.nanos);
    if compute <= 0 || fee < 0 || !offering.system.is_linux() {
        return None;
    }
    let family = Some(offering.family.as_str()).filter(|it| !it.is_empty());
    let model = offering.gpu_model.as_deref().filter(|_| offering.gpus > 0);
    Some(Row {
        plain: compute.saturating_add(fee).saturating_add(default_disk(offering.disk_gib, gib_hour)),
        nth,
        vcpus_milli: offering.vcpus_milli,
        memory_mib: offering.memory_mib,
        gpus: offering.gpus,
        own_disk: offering.disk_gib,
        generation: offering.generation.map_or(0, |it| u64::from(it) + 1),
        family: family.map(|it| families.of(it)),
        model: model.map(|it| models.of(it)),
        arch: offering.arch,
        market: offering.market,
        burstable: offering.burstable,
    })
}

/// What decides between rows of one price and size: the name, and until when the price is fresh (in whatever unit;
/// greater is longer).
fn tie(offering: &Offering) -> (&str, i128) {
    let fresh = match &offering.price {
        Price::Known { as_of, live: true, .. } => as_of.as_nanosecond(),
        _ => i128::MAX,
    };
    (offering.type_name.as_str(), fresh)
}
