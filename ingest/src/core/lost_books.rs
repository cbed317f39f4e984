//! Books of levels that are lost too often: which symbols are to take a long rest.
//!
//! Input: each book that is not the venue's any more, a checksum that failed or a gap in its updates. Output: a
//! [`BookQuarantine`] for each symbol that lost its book so often within ten minutes. Invariants: a loss counts towards
//! one quarantine; memory of a symbol is as long as the limit; it knows no clock but the times that it is told. What the
//! process has counted ends with it; the row that came of it stands by its own time.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::{Symbol, UtcMicros};

/// Time over which losses count, milliseconds.
const WINDOW_MS: i64 = 600_000;

/// A symbol whose book was lost too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BookQuarantine {
    /// Symbol.
    pub symbol: Symbol,
    /// Losses that it is for.
    pub losses: usize,
    /// The last of them.
    pub at: UtcMicros,
}

/// Counts losses.
#[derive(Debug, Clone)]
pub(crate) struct LostBooks {
    most: usize,
    losses: BTreeMap<Symbol, VecDeque<UtcMicros>>,
    found: BTreeMap<Symbol, BookQuarantine>,
}

/// Losses that are too many until the settings are known: their own default.
const LOSSES_MAX: u32 = 5;

impl Default for LostBooks {
    fn default() -> Self {
        Self::new(LOSSES_MAX)
    }
}

impl LostBooks {
    /// So many losses within ten minutes are too many.
    pub(crate) fn new(most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        Self { most, losses: BTreeMap::new(), found: BTreeMap::new() }
    }

    /// A book was lost.
    pub(crate) fn lost(&mut self, symbol: &Symbol, at: UtcMicros) {
        let losses = self.losses.entry(symbol.clone()).or_default();
        losses.push_back(at);
        while losses.front().is_some_and(|first| at.millis_since(*first) >= WINDOW_MS) {
            losses.pop_front();
        }
        if losses.len() >= self.most {
            let quarantine = BookQuarantine { symbol: symbol.clone(), losses: losses.len(), at };
            losses.clear();
            self.found.insert(symbol.clone(), quarantine);
        }
    }

    /// The newest quarantine of each symbol that had one.
    pub(crate) fn quarantines(&self) -> Vec<BookQuarantine> {
        self.found.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros(1_771_243_200_000_000 + ms * 1_000)
    }

    #[test]
    fn the_fifth_loss_within_ten_minutes_is_a_quarantine_and_the_next_needs_five_more() {
        let (a, b) = (Symbol::new("A/USD").unwrap(), Symbol::new("B/USD").unwrap());
        let mut books = LostBooks::new(5);
        for ms in [0, 1, 2, 3] {
            books.lost(&a, at(ms));
            books.lost(&b, at(ms));
        }
        assert_eq!(books.quarantines(), [], "four each");
        books.lost(&a, at(599_999));
        let first = BookQuarantine { symbol: a.clone(), losses: 5, at: at(599_999) };
        assert_eq!(books.quarantines(), std::slice::from_ref(&first));
        // Ten minutes after the first the fifth of the other symbol is one of four.
        books.lost(&b, at(600_000));
        for ms in [600_000, 600_001, 600_002, 600_003] {
            books.lost(&a, at(ms));
        }
        assert_eq!(books.quarantines(), [first], "its losses have counted once");
        books.lost(&a, at(600_004));
        let second = BookQuarantine { symbol: a, losses: 5, at: at(600_004) };
        assert_eq!(books.quarantines(), [second]);
    }
}
