//! Trade numbers that a gap left, and which of them have come back.
//!
//! Input: the first and last number of a jump, numbers that arrive afterwards. Output: whether a number
//! is one of them, once; and, when a gap is closed, how many came back and how many are missing. Pure;
//! it keeps ranges, so a long gap costs no more than a short one.

use penstock_types::UtcMicros;

/// Gaps of a symbol that may be open; beyond it a further one is closed as it is opened.
const OPEN_MAX: usize = 64;

/// An open gap.
#[derive(Debug, Clone, PartialEq, Eq)]
struct IdGap {
    first_id: i64,
    /// Numbers that have not come back: disjoint, ascending, both ends included.
    missing: Vec<(i64, i64)>,
    backfilled: i64,
    blind: (UtcMicros, UtcMicros),
}

impl IdGap {
    /// Takes a number out; false when it is not missing.
    fn take(&mut self, id: i64) -> bool {
        let Some(i) = self.missing.iter().position(|(a, b)| *a <= id && id <= *b) else {
            return false;
        };
        let (a, b) = self.missing.remove(i);
        if id < b {
            self.missing.insert(i, (id + 1, b));
        }
        if a < id {
            self.missing.insert(i, (a, id - 1));
        }
        true
    }

    fn close(self) -> ClosedGap {
        let missing = self.missing.iter().map(|(a, b)| b - a + 1).sum();
        ClosedGap { blind: self.blind, backfilled: self.backfilled, missing }
    }
}

/// A gap that nothing is fetched for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedGap {
    /// From the last trade before to the first after it.
    pub blind: (UtcMicros, UtcMicros),
    /// Trades that came back by request.
    pub backfilled: i64,
    /// Trades that did not come back.
    pub missing: i64,
}

/// The open gaps of a symbol, in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IdGaps {
    open: Vec<IdGap>,
}

impl IdGaps {
    /// Opens a gap; false when it must be closed at once, because too many are open.
    pub(super) fn open(&mut self, ids: (i64, i64), blind: (UtcMicros, UtcMicros)) -> bool {
        let (first_id, missing) = (ids.0, vec![ids]);
        self.open.push(IdGap { first_id, missing, backfilled: 0, blind });
        self.open.len() <= OPEN_MAX
    }

    /// A number that was fetched; true when it was missing.
    pub(super) fn backfill(&mut self, id: i64) -> bool {
        let gap = self.open.iter_mut().find_map(|gap| gap.take(id).then_some(gap));
        gap.map(|gap| gap.backfilled += 1).is_some()
    }

    /// A number that the stream delivers late; true when it was missing.
    pub(super) fn late(&mut self, id: i64) -> bool {
        self.open.iter_mut().any(|gap| gap.take(id))
    }

    /// All numbers of the gap that began with a number have come back, or there is no such gap.
    pub(super) fn is_filled(&self, first_id: i64) -> bool {
        self.open.iter().all(|gap| gap.first_id != first_id || gap.missing.is_empty())
    }

    /// First numbers of the gaps whose return was before a time.
    pub(super) fn returned_before(&self, limit: UtcMicros) -> impl Iterator<Item = i64> {
        self.open.iter().filter(move |gap| gap.blind.1 < limit).map(|gap| gap.first_id)
    }

    /// Closes the gap that began with a number.
    pub(super) fn close(&mut self, first_id: i64) -> Option<ClosedGap> {
        let i = self.open.iter().position(|gap| gap.first_id == first_id)?;
        Some(self.open.remove(i).close())
    }

    /// Closes the gaps whose return was before a time.
    pub(super) fn close_returned_before(&mut self, limit: UtcMicros) -> Vec<ClosedGap> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let (old, open) =
            core::mem::take(&mut self.open).into_iter().partition(|gap| gap.blind.1 < limit);
        self.open = open;
        let old: Vec<IdGap> = old;
        old.into_iter().map(IdGap::close).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLIND: (UtcMicros, UtcMicros) = (UtcMicros(10), UtcMicros(20));

    #[test]
    fn each_number_comes_back_once_and_the_rest_is_missing() {
        let mut gaps = IdGaps::default();
        assert!(gaps.open((5, 9), BLIND));
        assert!(gaps.backfill(7));
        assert!(!gaps.backfill(7), "once");
        assert!(gaps.backfill(5));
        assert!(!gaps.backfill(4) && !gaps.backfill(10), "outside");
        assert!(gaps.late(9), "the stream was late");
        let closed = gaps.close(5).unwrap();
        assert_eq!(closed, ClosedGap { blind: BLIND, backfilled: 2, missing: 2 });
        assert!(!gaps.backfill(6), "a closed gap takes nothing");
        assert_eq!(gaps.close(5), None);
    }

    #[test]
    fn a_gap_is_closed_by_its_age_and_another_stays_open() {
        let mut gaps = IdGaps::default();
        assert!(gaps.open((5, 9), BLIND));
        assert!(gaps.open((20, 21), (UtcMicros(30), UtcMicros(40))));
        let closed = gaps.close_returned_before(UtcMicros(21));
        assert_eq!(closed, [ClosedGap { blind: BLIND, backfilled: 0, missing: 5 }]);
        assert!(gaps.backfill(20));
    }

    #[test]
    fn whatever_the_order_taken_and_missing_add_up() {
        for order in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2]] {
            let mut gaps = IdGaps::default();
            assert!(gaps.open((1, 4), BLIND));
            for (taken, id) in order.into_iter().enumerate() {
                let mut now = gaps.clone();
                let closed = now.close(1).unwrap();
                assert_eq!(closed.backfilled + closed.missing, 4, "{order:?} after {taken}");
                assert!(gaps.backfill(id));
            }
            assert_eq!(gaps.close(1).unwrap().missing, 0, "{order:?}");
        }
    }

    #[test]
    fn too_many_open_gaps_are_told() {
        let mut gaps = IdGaps::default();
        let opened = (0..=OPEN_MAX as i64).map(|i| gaps.open((10 * i, 10 * i + 1), BLIND));
        let opened: Vec<bool> = opened.collect();
        assert_eq!(opened.iter().filter(|is_kept| !**is_kept).count(), 1);
    }
}
