//! Numbers of trades: what the venue sent is a row, once, or lies in a gap; no row has a number that was
//! never told.
//!
//! Inputs: numbers with the times at which they were sent, numbers of rows with the times at which they were
//! received, a question about gaps. Output: counts and findings. Pure.

use crate::invariants::Verdict;
use penstock_types::UtcMicros;
use std::collections::BTreeMap;

/// Sends that are looked through for the one behind a row.
const RECENT: usize = 4_096;

/// Numbers of one symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    /// Number and when it was sent, in the order of the sends.
    sent: Vec<(i64, UtcMicros)>,
    /// Ranges that images told again.
    told: Vec<(i64, i64)>,
    /// Number, when the row was received, and whether it was fetched afterwards.
    rows: Vec<(i64, UtcMicros, bool)>,
}

/// What was found about one symbol or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::soak) struct Counts {
    /// Numbers that were sent.
    pub sent: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that were fetched after a gap.
    pub fetched: u64,
    /// Numbers without a row, in a gap.
    pub in_gaps: u64,
    /// Numbers between the first and the last row without a row, sent or not.
    pub missing: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.rows += other.rows;
        self.fetched += other.fetched;
        self.in_gaps += other.in_gaps;
        self.missing += other.missing;
    }
}

impl Ids {
    /// A frame with prints.
    pub(super) fn sent(&mut self, first: i64, last: i64, at: UtcMicros) {
        self.sent.extend((first..=last).map(|id| (id, at)));
    }

    /// An image of prints that were sent before, or to somebody else.
    pub(super) fn told(&mut self, first: i64, last: i64) {
        self.told.push((first, last));
    }

    /// A row; when its number was sent last.
    pub(super) fn row(&mut self, id: i64, at: UtcMicros, is_fetched: bool) -> Option<UtcMicros> {
        self.rows.push((id, at, is_fetched));
        let recent = self.sent.iter().rev().take(RECENT);
        recent.filter(|(sent, _)| *sent == id).map(|(_, at)| *at).next()
    }

    /// Compares; `covered` says whether a gap meets a stretch of time.
    pub(super) fn judge(
        mut self,
        symbol: &str,
        covered: impl Fn(UtcMicros, UtcMicros) -> bool,
        verdict: &mut Verdict,
    ) -> Counts {
        let mut counts = Counts { rows: self.rows.len() as u64, ..Counts::default() };
        self.rows.sort_unstable();
        self.sent.sort_unstable();
        self.sent.dedup_by_key(|(id, _)| *id);
        counts.sent = self.sent.len() as u64;
        counts.fetched = self.rows.iter().filter(|(_, _, is_fetched)| *is_fetched).count() as u64;
        for pair in self.rows.windows(2) {
            if pair[0].0 == pair[1].0 {
                verdict.fail(format!("{symbol}: number {} has two rows", pair[0].0));
            }
            counts.missing += u64::try_from(pair[1].0 - pair[0].0 - 1).unwrap_or(0);
        }
        let sent: BTreeMap<i64, UtcMicros> = self.sent.iter().copied().collect();
        for (id, _, is_fetched) in &self.rows {
            let is_told = self.told.iter().any(|(first, last)| (*first..=*last).contains(id));
            if !is_fetched && !sent.contains_key(id) && !is_told {
                verdict.fail(format!("{symbol}: row {id} was never sent"));
            }
        }
        for (id, at) in &self.sent {
            let next = self.rows.partition_point(|(row, _, _)| row < id);
            if self.rows.get(next).is_some_and(|(row, _, _)| row == id) {
                verdict.saw();
                continue;
            }
            let before = next.checked_sub(1).and_then(|before| self.rows.get(before));
            // Rows that were fetched came later than what they fill.
            let since = before.map_or(*at, |(_, received, _)| (*received).min(*at));
            let until = self.rows.get(next).map_or(*at, |(_, received, _)| (*received).max(*at));
            let ok = covered(since, until);
            counts.in_gaps += u64::from(ok);
            verdict.check(ok, || {
                format!("{symbol}: {id} was sent at {at} and is neither row nor in a gap")
            });
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UtcMicros {
        UtcMicros(second * 1_000_000)
    }

    /// Ten numbers, one a second; 4 to 6 are missing and a gap says so, 5 came back.
    fn right() -> Ids {
        let mut ids = Ids::default();
        ids.told(90, 100);
        for id in 101..=110 {
            ids.sent(id, id, at(id));
        }
        for id in (101..=103).chain(107..=110) {
            assert_eq!(ids.row(id, at(id), false), Some(at(id)));
        }
        ids.row(105, at(120), true);
        ids
    }

    fn gap(from: UtcMicros, to: UtcMicros) -> bool {
        from <= at(107) && to >= at(103)
    }

    fn judged(ids: Ids, covered: impl Fn(UtcMicros, UtcMicros) -> bool) -> (Counts, Option<bool>) {
        let mut verdict = Verdict::default();
        let counts = ids.judge("A/B", covered, &mut verdict);
        (counts, verdict.holds())
    }

    #[test]
    fn what_was_sent_is_a_row_or_lies_in_a_gap() {
        let (counts, holds) = judged(right(), gap);
        assert_eq!(counts, Counts { sent: 10, rows: 8, fetched: 1, in_gaps: 2, missing: 2 });
        assert_eq!(holds, Some(true));
    }

    #[test]
    fn a_removed_row_a_double_and_an_invented_one_are_findings() {
        assert_eq!(judged(right(), |_, _| false).1, Some(false), "no gap");
        let mut ids = right();
        ids.rows.retain(|(id, _, _)| *id != 109);
        assert_eq!(judged(ids, gap).1, Some(false), "a row is missing outside the gap");
        let mut ids = right();
        ids.row(108, at(108), false);
        assert_eq!(judged(ids, gap).1, Some(false), "twice");
        let mut ids = right();
        ids.row(77, at(77), false);
        assert_eq!(judged(ids, gap).1, Some(false), "never sent");
        let mut ids = right();
        ids.row(95, at(100), false);
        assert_eq!(judged(ids, gap).1, Some(true), "an image told it");
    }
}
