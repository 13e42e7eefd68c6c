//! Sets of rows as bits, and columns that answer "at least so much" with one of them.
//!
//! # Guarantees
//! * A column takes a bounded number of sets whatever stands in it: between two of them rows are walked.
//! * Rows have the same number everywhere: bit 5 of every set is row 5.

/// Sets that a column keeps at most. Real columns (processors, memory) have fewer distinct values than that.
const MARKS_MAX: usize = 64;

/// Rows of one word.
pub(super) const WORD: usize = u64::BITS as usize;

/// A set of rows. Bits beyond the last row are never set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(pub(super) Vec<u64>);

impl Bits {
    /// No row of so many.
    pub(super) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(WORD)])
    }

    /// Every row of so many.
    pub(super) fn all(rows: usize) -> Self {
        let mut all = Self(vec![u64::MAX; rows.div_ceil(WORD)]);
        if let (Some(last), over) = (all.0.last_mut(), rows % WORD)
            && over > 0
        {
            *last = (1 << over) - 1;
        }
        all
    }

    /// The rows of which it is true.
    pub(super) fn of(is: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0; is.len().div_ceil(WORD)];
        is.enumerate().for_each(|(row, is)| words[row / WORD] |= u64::from(is) << (row % WORD));
        Self(words)
    }

    /// Adds a row.
    pub(super) fn set(&mut self, row: u32) {
        self.0[row as usize / WORD] |= 1 << (row as usize % WORD);
    }

    /// Takes a row away.
    pub(super) fn clear(&mut self, row: u32) {
        self.0[row as usize / WORD] &= !(1 << (row as usize % WORD));
    }

    /// Keeps what is in both.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// Takes away what is in the other.
    pub(super) fn drop_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
    }

    /// The rows, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(nth, word)| rows_of(nth, *word))
    }
}

/// The rows of one word, in order.
pub(super) fn rows_of(nth: usize, word: u64) -> impl Iterator<Item = usize> {
    let mut left = word;
    std::iter::from_fn(move || {
        let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(nth * WORD + bit)
    })
}

/// One number of every row.
#[derive(Debug)]
pub(super) struct Column {
    /// The distinct numbers, rising.
    values: Vec<u64>,
    /// Where the rows of each begin in `order`; one more than there are values.
    starts: Vec<usize>,
    /// The rows by their number.
    order: Vec<u32>,
    /// Of some values, all rows with at least as much; by the value's place, from 0.
    marks: Vec<(usize, Bits)>,
}

impl Column {
    /// A column of what every row has.
    pub(super) fn new(of: &[u64]) -> Self {
        let mut values = of.to_vec();
        values.sort_unstable();
        values.dedup();
        // Few values, many rows: counted into place instead of sorted.
        let places: Vec<usize> = of.iter().map(|it| values.partition_point(|value| value < it)).collect();
        let mut starts = vec![0; values.len() + 1];
        places.iter().for_each(|place| starts[*place + 1] += 1);
        (0..values.len()).for_each(|place| starts[place + 1] += starts[place]);
        let mut next = starts.clone();
        let mut order = vec![0; of.len()];
        for (row, place) in (0..).zip(&places) {
            let next = &mut next[*place];
            order[*next] = row;
            *next += 1;
        }
        let step = values.len().div_ceil(MARKS_MAX).max(1);
        let mut left = Bits::all(of.len());
        let mut marks = Vec::new();
        for value in 0..values.len() {
            if value % step == 0 {
                marks.push((value, left.clone()));
            }
            order[starts[value]..starts[value + 1]].iter().for_each(|row| left.clear(*row));
        }
        Self { values, starts, order, marks }
    }

    /// The largest number.
    pub(super) fn most(&self) -> Option<u64> {
        self.values.last().copied()
    }

    /// The smallest number.
    pub(super) fn least(&self) -> Option<u64> {
        self.values.first().copied()
    }

    /// Keeps of a set the rows with at least so much.
    pub(super) fn keep_at_least(&self, least: u64, of: &mut Bits) {
        let first = self.values.partition_point(|value| *value < least);
        if first == 0 {
            return;
        }
        if first == self.values.len() {
            of.0.fill(0);
            return;
        }
        let mark = self.marks.partition_point(|(value, _)| *value <= first) - 1;
        let (value, rows) = &self.marks[mark];
        of.keep(rows);
        self.order[self.starts[*value]..self.starts[first]].iter().for_each(|row| of.clear(*row));
    }
}

/// Rows by a name.
#[derive(Debug)]
pub(super) struct Names {
    /// The distinct names in lower case, by alphabet, each with its rows.
    by_name: Vec<(String, Vec<u32>)>,
}

impl Names {
    /// Names in lower case, by alphabet, each once, with their rows.
    pub(super) const fn new(by_name: Vec<(String, Vec<u32>)>) -> Self {
        Self { by_name }
    }

    /// The rows of the names listed, whatever their case.
    pub(super) fn listed<'l>(&self, rows: usize, list: impl IntoIterator<Item = &'l str>) -> Bits {
        let mut all = Bits::none(rows);
        for name in list {
            let lower = || name.bytes().map(|byte| byte.to_ascii_lowercase());
            if let Ok(at) = self.by_name.binary_search_by(|(known, _)| known.bytes().cmp(lower())) {
                self.by_name[at].1.iter().for_each(|row| all.set(*row));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_many_values_loses_no_row_between_its_marks() {
        for (rows, step) in [(0_u64, 1), (1, 7), (63, 1), (64, 1), (65, 1), (1000, 3), (1000, 0)] {
            let of: Vec<u64> = (0..rows).map(|row| (row * 7919) % rows.max(1) * step).collect();
            let column = Column::new(&of);
            assert!(column.marks.len() <= MARKS_MAX);
            for least in (0..=rows * step + 1).step_by(5).chain([u64::MAX]) {
                let mut kept = Bits::all(of.len());
                column.keep_at_least(least, &mut kept);
                let right: Vec<usize> = (0..of.len()).filter(|row| of[*row] >= least).collect();
                assert_eq!(kept.rows().collect::<Vec<_>>(), right, "{rows} rows, at least {least}");
            }
        }
    }

    #[test]
    fn a_name_is_found_whatever_its_case_and_no_name_is_in_no_group() {
        let names = Names::new(vec![("c5".to_owned(), vec![3]), ("m5".to_owned(), vec![0, 2])]);
        let rows = |name: &str| names.listed(4, [name]).rows().collect::<Vec<_>>();
        assert_eq!((rows("m5"), rows("C5"), rows("")), (vec![0, 2], vec![3], vec![]));
    }
}
