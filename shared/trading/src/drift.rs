//! Differences between the venue and our rows: when one counts, and how much all of them weigh.
//!
//! Input: what a pass found. Output: which differences are settled, and the score. A difference counts
//! when two passes far enough apart have seen it; missing protection counts at once. It
//! deliberately does not know how a difference is found or mended.

use std::collections::BTreeMap;

use penstock_types::OrderId;

/// Score from which entries stop.
pub const SCORE_DEGRADE_X10000: i32 = 20_000;
/// Score from which a person must look.
pub const SCORE_PAUSE_X10000: i32 = 50_000;

penstock_types::closed_vocabulary! {
    /// Kind of a difference.
    pub DiffKind {
        /// Our live order does not rest at the venue.
        OrderMissing = "ORDER_MISSING",
        /// An order of ours rests that is not in our rows.
        OrderExtra = "ORDER_EXTRA",
        /// Quantity, executed part or trigger differ.
        OrderStatus = "ORDER_STATUS",
        /// The base differs.
        PositionQty = "POSITION_QTY",
        /// The venue holds a position of the other side.
        PositionSide = "POSITION_SIDE",
        /// A balance differs.
        Balance = "BALANCE",
        /// A position's stop does not rest.
        Protection = "PROTECTION",
    }
}

impl DiffKind {
    /// Points of one difference.
    #[must_use]
    pub const fn points(self) -> i32 {
        match self {
            Self::OrderMissing | Self::OrderExtra | Self::OrderStatus | Self::Balance => 4,
            Self::PositionQty | Self::PositionSide => 6,
            Self::Protection => 2,
        }
    }

    /// Its group, and the most points that the group can have.
    const fn group(self) -> (usize, i32) {
        match self {
            Self::OrderMissing | Self::OrderExtra | Self::OrderStatus => (0, 40),
            Self::PositionQty | Self::PositionSide => (1, 30),
            Self::Balance => (2, 20),
            Self::Protection => (3, 10),
        }
    }
}

/// Weight of settled differences, times 10 000; each group is capped.
#[must_use]
pub fn score_x10000(settled: impl IntoIterator<Item = DiffKind>) -> i32 {
    let mut groups = [0_i32; 4];
    for kind in settled {
        let (group, cap) = kind.group();
        groups[group] = (groups[group] + kind.points()).min(cap);
    }
    groups.iter().sum::<i32>() * 10_000
}

/// What makes a difference the same in two passes.
pub type DiffKey = (DiffKind, String, Option<OrderId>);

/// Differences that earlier passes saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settling {
    seen: BTreeMap<DiffKey, i64>,
}

impl Settling {
    /// One pass: for each difference whether it counts, because an earlier pass at least `settle_ms` before
    /// saw it. What the pass did not see is forgotten.
    pub fn pass(&mut self, now_mono_ms: i64, settle_ms: i64, found: &[DiffKey]) -> Vec<bool> {
        let before = std::mem::take(&mut self.seen);
        found
            .iter()
            .map(|key| {
                let since = before.get(key).copied().unwrap_or(now_mono_ms);
                self.seen.insert(key.clone(), since);
                let again = before.contains_key(key) && now_mono_ms - since >= settle_ms;
                again || key.0 == DiffKind::Protection
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: DiffKind, order: i64) -> DiffKey {
        (kind, "BTC/USD".to_owned(), Some(OrderId(order)))
    }

    #[test]
    fn one_difference_degrades_a_position_pauses_and_groups_are_capped() {
        assert_eq!(score_x10000([]), 0);
        assert_eq!(score_x10000([DiffKind::OrderMissing]), 40_000);
        assert_eq!(score_x10000([DiffKind::PositionQty]), 60_000);
        assert_eq!(score_x10000([DiffKind::Protection]), SCORE_DEGRADE_X10000);
        assert_eq!(score_x10000([DiffKind::OrderExtra; 50]), 400_000);
        assert_eq!(score_x10000(DiffKind::ALL.iter().copied()), 300_000);
    }

    #[test]
    fn a_difference_counts_when_it_is_seen_again_two_seconds_later() {
        let mut settling = Settling::default();
        let missing = [key(DiffKind::OrderMissing, 1)];
        assert_eq!(settling.pass(0, 2_000, &missing), [false]);
        assert_eq!(settling.pass(1_999, 2_000, &missing), [false]);
        assert_eq!(settling.pass(2_000, 2_000, &missing), [true]);
        assert!(settling.pass(3_000, 2_000, &[]).is_empty());
        assert_eq!(settling.pass(9_000, 2_000, &missing), [false], "a pass without it forgets it");
    }

    #[test]
    fn missing_protection_counts_at_once() {
        let found = [key(DiffKind::Protection, 1)];
        assert_eq!(Settling::default().pass(0, 2_000, &found), [true]);
    }
}
