//! The pending shadow trades that this process holds, and those that have ended and are not written yet.
//!
//! Purpose: one look at a published state without any input or output. Inputs: rows, mids with their time. Outputs: what
//! is to be written next, one cell at a time. Invariants: an end is decided once and kept until it is written; at most
//! [`HELD_MAX`] are held, the rest stays in its rows until there is room.

use std::collections::BTreeMap;

use penstock_store_orders::cells::CellKey;
use penstock_store_orders::shadow::{EndedShadow, PendingShadow};
use penstock_trading::shadow::{Excursion, Step, step};
use penstock_types::{Decimal, Symbol, UtcMicros};

/// Shadow trades held at a time: some twenty symbols have a few dozen ways each, and of a way one is pending.
pub(super) const HELD_MAX: usize = 4_096;
/// Ends of one transaction, which holds the row of a cell.
const ENDS_MAX: usize = 64;

/// Mids of one published state.
#[derive(Debug, Clone, Default)]
pub(super) struct Mids {
    /// When it was published, decision clock.
    pub(super) at: UtcMicros,
    /// Of the symbols that have a valid one.
    pub(super) by_symbol: BTreeMap<Symbol, Decimal>,
}

#[derive(Debug)]
struct Held {
    row: PendingShadow,
    seen: Excursion,
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    pending: BTreeMap<i64, Held>,
    ended: BTreeMap<(Option<CellKey>, i64), EndedShadow>,
    last_id: i64,
    mids: Option<Mids>,
}

impl Book {
    /// Number behind which rows are to be read, and for how many there is room.
    pub(super) fn wants(&self) -> (i64, usize) {
        (self.last_id, HELD_MAX.saturating_sub(self.pending.len() + self.ended.len()))
    }

    /// Takes rows that were read, and looks at the newest state for them.
    pub(super) fn add(&mut self, rows: Vec<PendingShadow>) {
        for row in rows {
            self.last_id = self.last_id.max(row.shadow_id);
            self.pending.insert(row.shadow_id, Held { row, seen: Excursion::default() });
        }
        self.look();
    }

    /// Takes a published state.
    pub(super) fn see(&mut self, mids: Mids) {
        self.mids = Some(mids);
        self.look();
    }

    fn look(&mut self) {
        let Some(mids) = &self.mids else { return };
        let ended = &mut self.ended;
        self.pending.retain(|id, held| {
            let mid = mids.by_symbol.get(&held.row.way.symbol).copied();
            match step(&held.row.trade, held.seen, mid, mids.at) {
                Step::Pending(seen) => {
                    held.seen = seen;
                    true
                }
                Step::Ended(end) => {
                    let (expected_bps, source) = (held.row.expected_bps, held.row.source);
                    let end = EndedShadow { shadow_id: *id, expected_bps, source, end };
                    ended.insert((held.row.cell, *id), end);
                    false
                }
            }
        });
    }

    /// Ends of one cell that are to be written.
    pub(super) fn due(&self) -> Option<(Option<CellKey>, Vec<EndedShadow>)> {
        let ((cell, _), _) = self.ended.first_key_value()?;
        let of_cell = self.ended.iter().take_while(|((key, _), _)| key == cell);
        Some((*cell, of_cell.take(ENDS_MAX).map(|(_, end)| *end).collect()))
    }

    /// These ends are written.
    pub(super) fn written(&mut self, cell: Option<CellKey>, ends: &[EndedShadow]) {
        for end in ends {
            self.ended.remove(&(cell, end.shadow_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_trading::cell::Source;
    use penstock_trading::shadow::{Direction, ShadowOutcome, ShadowTrade, WayKey};
    use penstock_types::vocab::{ExitPolicy, Horizon, Regime, RouteType, Strategy};

    const NOW: UtcMicros = UtcMicros(1_771_243_200_000_000);

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn pending(id: i64, symbol: &str, regime: Regime) -> PendingShadow {
        let (strategy, route_type) = (Strategy::Momentum, RouteType::BreakoutContinuation);
        PendingShadow {
            shadow_id: id,
            way: WayKey {
                symbol: Symbol::new(symbol).unwrap(),
                direction: Direction::Long,
                strategy,
                route_type,
                horizon: Horizon::Short,
            },
            trade: ShadowTrade {
                direction: Direction::Long,
                policy: ExitPolicy::TrailingStop,
                ref_price: d("100"),
                tp_price: Some(d("110")),
                sl_price: Some(d("99")),
                opened_at: NOW,
                expires_at: NOW.plus_millis(900_000),
                fees_bps: d("40"),
                cost_bps: Some(d("50")),
            },
            cell: Some(CellKey { strategy, regime, route_type }),
            expected_bps: d("12"),
            source: Source::ShadowWanted,
        }
    }

    fn mids(ms: i64, of: &[(&str, &str)]) -> Mids {
        let by_symbol = of.iter().map(|(s, m)| (Symbol::new(s).unwrap(), d(m))).collect();
        Mids { at: NOW.plus_millis(ms), by_symbol }
    }

    #[test]
    fn ends_are_kept_until_they_are_written_one_cell_at_a_time() {
        let mut book = Book::default();
        book.add(vec![
            pending(1, "AAA/USD", Regime::Trend),
            pending(2, "BBB/USD", Regime::HighVolatility),
            pending(3, "AAA/USD", Regime::Trend),
            pending(4, "CCC/USD", Regime::Trend),
        ]);
        assert_eq!(book.wants(), (4, HELD_MAX - 4));
        book.see(mids(1_000, &[("AAA/USD", "101"), ("BBB/USD", "100"), ("CCC/USD", "100")]));
        assert_eq!(book.due(), None);
        book.see(mids(2_000, &[("AAA/USD", "98.5"), ("BBB/USD", "98.5"), ("CCC/USD", "100")]));
        // A later state does not change an end that was decided.
        book.see(mids(3_000, &[("AAA/USD", "120"), ("BBB/USD", "120"), ("CCC/USD", "100")]));
        let mut written = Vec::new();
        while let Some((cell, ends)) = book.due() {
            let again = book.due();
            assert_eq!(again, Some((cell, ends.clone())), "a write that failed comes again");
            book.written(cell, &ends);
            written.push((cell.unwrap().regime, ends));
        }
        let ids = |ends: &[EndedShadow]| ends.iter().map(|e| e.shadow_id).collect::<Vec<_>>();
        assert_eq!(written.len(), 2);
        for (regime, ends) in &written {
            let want = if *regime == Regime::Trend { vec![1, 3] } else { vec![2] };
            assert_eq!(ids(ends), want);
            for end in ends {
                assert_eq!(end.end.outcome, ShadowOutcome::Sl);
                assert_eq!(end.end.result_bps, Some(d("-150")));
                assert_eq!(end.end.at, NOW.plus_millis(2_000));
            }
        }
        let first = &written.iter().find(|(r, _)| *r == Regime::Trend).unwrap().1[0];
        assert_eq!((first.end.seen.mfe_bps, first.end.seen.mae_bps), (d("100"), d("-150")));
        assert_eq!(book.wants(), (4, HELD_MAX - 1), "one is still pending");
    }

    #[test]
    fn a_row_that_comes_late_is_looked_at_with_the_newest_state() {
        let mut book = Book::default();
        book.see(mids(1_000, &[("AAA/USD", "98")]));
        book.add(vec![pending(1, "AAA/USD", Regime::Trend)]);
        assert!(book.due().is_some());
        // One that opened after that state waits for the next.
        let mut book = Book::default();
        book.see(mids(0, &[("AAA/USD", "98")]));
        book.add(vec![pending(1, "AAA/USD", Regime::Trend)]);
        assert_eq!(book.due(), None);
    }

    #[test]
    fn more_ends_than_a_transaction_takes_come_in_turns() {
        let mut book = Book::default();
        let rows = (1..=150).map(|id| pending(id, "AAA/USD", Regime::Trend)).collect();
        book.add(rows);
        book.see(mids(1_000, &[("AAA/USD", "98")]));
        let mut sizes = Vec::new();
        while let Some((cell, ends)) = book.due() {
            book.written(cell, &ends);
            sizes.push(ends.len());
        }
        assert_eq!(sizes, [ENDS_MAX, ENDS_MAX, 22]);
    }
}
