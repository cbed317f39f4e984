//! What the venue joins before it sends: trades of one price and side, changes of the book, and of
//! liquidations the newest of a second.
//!
//! Inputs: what happened to a contract, the true time. Outputs: aggregates that are finished. Invariants:
//! numbers of aggregate trades are contiguous; the first and last trade numbers of two aggregates
//! that follow each other do too; every change of the book is in exactly one diff of each speed.

use super::streams::Speed;
use crate::derivatives::{Liquidation, Print};
use crate::exchange::Side;
use std::collections::{BTreeMap, VecDeque};

/// Trades within so long are joined.
const JOIN_US: i64 = 100_000;
/// Aggregates that are kept for REST.
const KEPT_LIMIT: usize = 2_000;
/// One liquidation per contract and so long.
const LIQUIDATION_US: i64 = 1_000_000;

/// One aggregate trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AggTrade {
    pub(super) id: u64,
    pub(super) ticks: i64,
    pub(super) lots: i64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) ts_us: i64,
    pub(super) taker: Side,
}

/// Joins the trades of one contract.
#[derive(Debug, Default)]
pub(super) struct Trades {
    /// With the true time at which it was opened.
    open: Option<(AggTrade, i64)>,
    last_id: u64,
    pub(super) kept: VecDeque<AggTrade>,
}

impl Trades {
    /// Takes a trade; the aggregate that it ends.
    pub(super) fn add(&mut self, print: &Print, now_us: i64) -> Option<AggTrade> {
        if let Some((open, since_us)) = self.open.as_mut()
            && (open.ticks, open.taker) == (print.ticks, print.taker)
            && now_us - *since_us < JOIN_US
        {
            open.lots += print.lots;
            open.last = print.id;
            return None;
        }
        let ended = self.end();
        self.last_id += 1;
        let open = AggTrade {
            id: self.last_id,
            ticks: print.ticks,
            lots: print.lots,
            first: print.id,
            last: print.id,
            ts_us: print.ts_us,
            taker: print.taker,
        };
        self.open = Some((open, now_us));
        ended
    }

    /// The aggregate that nothing can join any more.
    pub(super) fn due(&mut self, now_us: i64) -> Option<AggTrade> {
        let over = self.open.as_ref().is_some_and(|(_, since_us)| now_us - since_us >= JOIN_US);
        if over { self.end() } else { None }
    }

    /// True when nothing waits.
    pub(super) fn idle(&self) -> bool {
        self.open.is_none()
    }

    fn end(&mut self) -> Option<AggTrade> {
        let (ended, _) = self.open.take()?;
        if self.kept.len() == KEPT_LIMIT {
            self.kept.pop_front();
        }
        self.kept.push_back(ended.clone());
        Some(ended)
    }
}

/// The changes of a book since the last diff.
#[derive(Debug)]
pub(super) struct Diff {
    speed: Speed,
    due_us: i64,
    /// Final number of the diff before.
    previous: u64,
    first: Option<u64>,
    last: u64,
    changes: BTreeMap<(Side, i64), i64>,
    pub(super) ts_us: i64,
}

/// One diff, finished.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) previous: u64,
    pub(super) ts_us: i64,
    pub(super) changes: BTreeMap<(Side, i64), i64>,
}

impl Diff {
    /// Collects from now on; `last` is the number of the newest change before.
    pub(super) fn new(speed: Speed, last: u64, now_us: i64) -> Diff {
        let due_us = now_us + speed.us();
        let changes = BTreeMap::new();
        Diff { speed, due_us, previous: last, first: None, last, changes, ts_us: now_us }
    }

    pub(super) fn add(&mut self, id: u64, ts_us: i64, side: Side, ticks: i64, lots: i64) {
        self.first.get_or_insert(id);
        self.last = id;
        self.ts_us = ts_us;
        self.changes.insert((side, ticks), lots);
    }

    /// The diff, when its time has come and something has changed.
    pub(super) fn due(&mut self, now_us: i64) -> Option<Finished> {
        if now_us < self.due_us {
            return None;
        }
        self.due_us = now_us + self.speed.us();
        let first = self.first.take()?;
        let (last, previous) = (self.last, self.previous);
        self.previous = last;
        let changes = std::mem::take(&mut self.changes);
        Some(Finished { first, last, previous, ts_us: self.ts_us, changes })
    }
}

/// Liquidations of one contract: at most one a second, the newest.
#[derive(Debug, Default)]
pub(super) struct Liquidations {
    waiting: Option<Liquidation>,
    sent_us: Option<i64>,
}

impl Liquidations {
    pub(super) fn add(&mut self, liquidation: &Liquidation) {
        self.waiting = Some(liquidation.clone());
    }

    /// True when nothing waits.
    pub(super) fn idle(&self) -> bool {
        self.waiting.is_none()
    }

    /// The one that may be sent now.
    pub(super) fn due(&mut self, now_us: i64) -> Option<Liquidation> {
        if self.sent_us.is_some_and(|sent_us| now_us - sent_us < LIQUIDATION_US) {
            return None;
        }
        let one = self.waiting.take()?;
        self.sent_us = Some(now_us);
        Some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(id: u64, ts_us: i64, ticks: i64, taker: Side) -> Print {
        Print { id, sweep: id, ts_us, taker, ticks, lots: 2, liquidation: false }
    }

    #[test]
    fn trades_of_one_price_side_and_moment_are_joined() {
        let mut trades = Trades::default();
        assert_eq!(trades.add(&print(1, 0, 10, Side::Buy), 0), None);
        assert_eq!(trades.add(&print(2, 50_000, 10, Side::Buy), 50_000), None);
        let first = trades.add(&print(3, 60_000, 11, Side::Buy), 60_000).expect("another price");
        assert_eq!((first.id, first.first, first.last, first.lots), (1, 1, 2, 4));
        assert_eq!(trades.due(100_000), None);
        let second = trades.due(160_000).expect("its time is over");
        assert_eq!((second.id, second.first, second.last), (2, 3, 3));
        trades.add(&print(4, 200_000, 11, Side::Buy), 200_000);
        let third = trades.add(&print(5, 200_000, 11, Side::Sell), 200_000).expect("another side");
        assert_eq!(third.id, 3);
        assert_eq!(trades.kept.len(), 3);
    }

    #[test]
    fn diffs_chain_and_hold_the_newest_total() {
        let mut diff = Diff::new(Speed::Ms100, 40, 0);
        assert_eq!(diff.due(100_000), None, "nothing has changed");
        diff.add(45, 110_000, Side::Buy, 9, 3);
        diff.add(50, 120_000, Side::Buy, 9, 0);
        assert_eq!(diff.due(150_000), None, "too soon");
        let one = diff.due(200_000).expect("a diff");
        assert_eq!((one.first, one.last, one.previous), (45, 50, 40));
        assert_eq!(one.changes, BTreeMap::from([((Side::Buy, 9), 0)]));
        diff.add(61, 210_000, Side::Sell, 12, 1);
        let two = diff.due(300_000).expect("a diff");
        assert_eq!((two.first, two.last, two.previous), (61, 61, 50));
    }

    #[test]
    fn of_the_liquidations_of_a_second_only_the_newest_is_told() {
        let one = |lots| Liquidation {
            ts_us: 0,
            side: Side::Sell,
            order_ticks: 1,
            average: 1.0,
            lots,
            filled: lots,
        };
        let mut all = Liquidations::default();
        all.add(&one(1));
        assert_eq!(all.due(0).map(|one| one.lots), Some(1));
        all.add(&one(2));
        all.add(&one(3));
        assert_eq!(all.due(500_000), None);
        assert_eq!(all.due(1_000_000).map(|one| one.lots), Some(3));
        assert_eq!(all.due(3_000_000), None);
    }
}
