//! A sketch of a set of numbers: from it and from another set that differs in little, the first set is found again.
//!
//! An invertible Bloom lookup table (Goodrich and Mitzenmacher, 2011): each number is in one cell of each third, a cell
//! adds up its numbers, and where two sets differ in one number of a cell, it stands there.

use super::places::mixed;

/// In how many cells a number is, one of each part.
const PARTS: usize = 3;

/// What tells whether a cell has one number.
const CHECK_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many bytes a cell takes.
const CELL_BYTES: usize = 13;

/// What is added up in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    numbers: u64,
    checks: u32,
    /// Modulo 256: only differences are looked at.
    count: u8,
}

/// A sketch of a set of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch(Vec<Cell>);

impl Sketch {
    /// The sketch of different numbers. It tells about half as many differences as it has cells.
    pub(super) fn of(numbers: impl Iterator<Item = u64>, cells: usize) -> Self {
        let mut sketch = Self(vec![Cell::default(); cells.next_multiple_of(PARTS).max(PARTS)]);
        for number in numbers {
            sketch.add(number, 1);
        }
        sketch
    }

    /// The bytes that [`Sketch::read`] reads.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().flat_map(|cell| {
            let numbers = cell.numbers.to_le_bytes().into_iter();
            numbers.chain(cell.checks.to_le_bytes()).chain([cell.count])
        })
    }

    /// Reads so many cells; returns the bytes behind them too.
    pub(super) fn read(bytes: &[u8], cells: usize) -> Option<(Self, &[u8])> {
        let (own, rest) = bytes.split_at_checked(cells.checked_mul(CELL_BYTES)?)?;
        let cell = |bytes: &[u8]| {
            let (numbers, bytes) = bytes.split_first_chunk()?;
            let (checks, bytes) = bytes.split_first_chunk()?;
            let count = *bytes.first()?;
            Some(Cell { numbers: u64::from_le_bytes(*numbers), checks: u32::from_le_bytes(*checks), count })
        };
        let whole = cells > 0 && cells.is_multiple_of(PARTS);
        let cells = whole.then(|| own.chunks_exact(CELL_BYTES).map(cell).collect::<Option<Vec<_>>>())??;
        Some((Self(cells), rest))
    }

    /// How many cells there are.
    pub(super) fn cells(&self) -> usize {
        self.0.len()
    }

    /// The set of which this is the sketch, sorted, as found from another one. None when they differ in too much.
    pub(super) fn set_near(mut self, others: &[u64]) -> Option<Vec<u64>> {
        for number in others {
            self.add(*number, u8::MAX);
        }
        let (mut own, mut foreign) = (Vec::new(), Vec::new());
        let mut waiting: Vec<usize> = (0..self.0.len()).collect();
        while let Some(at) = waiting.pop() {
            let cell = self.0[at];
            let alone = matches!(cell.count, 1 | u8::MAX) && check(cell.numbers) == cell.checks;
            if !alone || !self.places(cell.numbers).contains(&at) {
                continue;
            }
            if own.len() + foreign.len() >= self.0.len() {
                return None;
            }
            let found = if cell.count == 1 { &mut own } else { &mut foreign };
            found.push(cell.numbers);
            self.add(cell.numbers, cell.count.wrapping_neg());
            waiting.extend(self.places(cell.numbers));
        }
        if self.0.iter().any(|cell| *cell != Cell::default()) {
            return None;
        }
        foreign.sort_unstable();
        own.extend(others.iter().filter(|number| foreign.binary_search(number).is_err()));
        own.sort_unstable();
        Some(own)
    }

    /// Adds a number `times` times, modulo 256: once, or once the other way round.
    fn add(&mut self, number: u64, times: u8) {
        for at in self.places(number) {
            let cell = &mut self.0[at];
            cell.numbers ^= number;
            cell.checks ^= check(number);
            cell.count = cell.count.wrapping_add(times);
        }
    }

    fn places(&self, number: u64) -> [usize; PARTS] {
        let part = self.0.len() / PARTS;
        let mut seed = number;
        std::array::from_fn(|at| {
            seed = mixed(seed.wrapping_add(CHECK_SEED));
            let within = seed % u64::try_from(part).unwrap_or(1).max(1);
            at * part + usize::try_from(within).unwrap_or_default()
        })
    }
}

fn check(number: u64) -> u32 {
    u32::try_from(mixed(number ^ CHECK_SEED) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_found_from_one_that_differs_in_little(
            both in prop::collection::btree_set(any::<u64>(), 0..500),
            own in prop::collection::btree_set(any::<u64>(), 0..12),
            foreign in prop::collection::btree_set(any::<u64>(), 0..12),
        ) {
            let own: std::collections::BTreeSet<u64> = own.union(&both).copied().collect();
            let others: Vec<u64> = foreign.union(&both).copied().collect();
            let found = Sketch::of(own.iter().copied(), 60).set_near(&others);
            // It may say that it cannot tell, seldom, and never tells another set.
            if let Some(found) = found {
                prop_assert_eq!(found, own.into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_bytes_are_read_in_bounded_time(bytes in prop::collection::vec(any::<u8>(), 39 * 4), others in prop::collection::vec(any::<u64>(), 0..20)) {
            let (sketch, rest) = Sketch::read(&bytes, 12).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(sketch.bytes().collect::<Vec<_>>(), bytes);
            drop(sketch.set_near(&others));
        }
    }

    #[test]
    fn twenty_differences_are_told_by_sixty_cells() {
        let told = (0..200_u64).filter(|round| {
            let number = |at: u64| mixed(round * 1_000_003 + at);
            let own: Vec<u64> = (0..1000).map(number).collect();
            let mut others: Vec<u64> = (10..1010).map(number).collect();
            others.sort_unstable();
            Sketch::of(own.into_iter(), 60).set_near(&others).is_some()
        });
        assert!(told.count() >= 190);
    }
}
