//! The order-by-order columns of a symbol: newest sample, means over five minutes, quality.
//!
//! Input: recorded L3 samples and losses of the book. Output: the `l3_*` columns of a row. Sums are of
//! integers and exact; a mean is rounded half-even to its column once. A symbol without samples has empty
//! columns and quality 0.

use super::symbol::Count;
use crate::units::{decimal_of, float, units};
use penstock_types::decimal::{from_feature, round_to, scale};
use penstock_types::raw::L3Row;
use penstock_types::state_row::StateRow;
use penstock_types::{Decimal, UtcMicros};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Seconds over which the averages are taken.
const AVERAGED_SECS: i64 = 300;
/// Samples kept: one per second is the most that an interval gives, twice over.
const SAMPLES_MAX: usize = 600;
/// Share of the due samples that counts as all of them.
const COVERAGE_MIN: f64 = 0.8;
/// Age at which a sample is worth nothing, and the seconds over which it loses its worth before.
const AGE_SECS_MAX: f64 = 15.0;
const AGING_SECS: f64 = 10.0;
/// What a resync within the window takes away.
const RESYNC_COST: f64 = 0.25;

/// Columns of the newest sample that the state repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Newest {
    queue_bid: Decimal,
    queue_ask: Decimal,
    orders_bid: i32,
    orders_ask: i32,
}

/// What the averages need of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sample {
    second: i64,
    est_bid: Option<i32>,
    est_ask: Option<i32>,
    /// In units of 1e-6, as the next one.
    refill: Option<i64>,
    cancel: Option<i64>,
    age_bid: Option<i32>,
    age_ask: Option<i32>,
}

/// The order-by-order book of a symbol as its rows tell it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub count: Count,
    newest: Option<Newest>,
    samples: VecDeque<Sample>,
}

/// What quality is measured by.
pub(crate) struct Expected {
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// Seconds of the epoch window that are covered.
    pub covered_secs: i64,
    /// Length of the window.
    pub window_secs: i64,
    /// Time between samples, milliseconds.
    pub interval_ms: i64,
    /// Losses of the book within the window.
    pub resyncs: u32,
}

/// Sum and number of what is there.
#[derive(Default)]
struct Mean {
    sum: i128,
    n: i64,
}

impl Mean {
    fn of(values: impl Iterator<Item = Option<i64>>) -> Self {
        values.flatten().fold(Self::default(), |mean, value| Self {
            sum: mean.sum + i128::from(value),
            n: mean.n + 1,
        })
    }

    /// The mean of values in units of 10^-scale, half-even at that scale.
    fn at(&self, scale: u32) -> Option<Decimal> {
        let mean = decimal_of(self.sum, scale)?.checked_div(Decimal::from(self.n))?;
        Some(round_to(mean, scale).normalize())
    }

    fn whole(&self) -> Option<i32> {
        i32::try_from(self.at(0)?.mantissa()).ok()
    }
}

impl Queue {
    /// Becomes the same as another one, in the memory that is there.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self { count, newest, samples } = other;
        (self.count, self.newest) = (*count, *newest);
        self.samples.clone_from(samples);
    }

    /// Takes a sample that was folded in at a second.
    pub(crate) fn take(&mut self, at: UtcMicros, second: i64, row: &L3Row) {
        self.count.rows += 1;
        self.count.last_at = Some(at);
        self.newest = Some(Newest {
            queue_bid: row.queue_bid_quote,
            queue_ask: row.queue_ask_quote,
            orders_bid: row.orders_at_bid,
            orders_ask: row.orders_at_ask,
        });
        let ratio = |d: Option<Decimal>| d.and_then(|d| i64::try_from(units(d, scale::RATIO)).ok());
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            second,
            est_bid: row.est_fill_bid_ms,
            est_ask: row.est_fill_ask_ms,
            refill: ratio(row.refill_ratio),
            cancel: ratio(row.cancel_ratio),
            age_bid: row.avg_age_bid_ms,
            age_ask: row.avg_age_ask_ms,
        });
    }

    /// The symbol has no such book any more: only the number of its rows stays.
    pub(crate) fn end(&mut self) {
        *self = Self { count: Count { rows: self.count.rows, last_at: None }, ..Self::default() };
    }

    /// After a hole: what stood before it says nothing about the present.
    pub(crate) const fn forget_present(&mut self) {
        self.newest = None;
    }

    /// Fills the columns at a cut whose newest second is `second`.
    pub(crate) fn fill(&mut self, second: i64, expected: &Expected, row: &mut StateRow) {
        while self.samples.front().is_some_and(|s| s.second <= second - AVERAGED_SECS) {
            self.samples.pop_front();
        }
        let in_window = |s: &&Sample| s.second > second - expected.window_secs;
        let count_w = self.samples.iter().filter(in_window).count();
        row.last_l3_at = self.count.last_at;
        row.l3_count = self.count.rows;
        row.l3_count_w = count(count_w);
        row.l3_resync_w = i32::try_from(expected.resyncs).unwrap_or(i32::MAX);
        row.l3_queue_ahead_bid_quote = self.newest.map(|n| n.queue_bid);
        row.l3_queue_ahead_ask_quote = self.newest.map(|n| n.queue_ask);
        row.l3_orders_at_bid = self.newest.map(|n| n.orders_bid);
        row.l3_orders_at_ask = self.newest.map(|n| n.orders_ask);
        self.fill_means(row);
        row.l3_quality = quality(count_w, self.count.last_at, expected);
    }

    fn fill_means(&self, row: &mut StateRow) {
        let samples = || self.samples.iter();
        let wide = |value: Option<i32>| value.map(i64::from);
        row.l3_est_fill_bid_ms = Mean::of(samples().map(|s| wide(s.est_bid))).whole();
        row.l3_est_fill_ask_ms = Mean::of(samples().map(|s| wide(s.est_ask))).whole();
        let (refill, cancel) =
            (Mean::of(samples().map(|s| s.refill)), Mean::of(samples().map(|s| s.cancel)));
        row.l3_refill_ratio = refill.at(scale::RATIO);
        row.l3_cancel_ratio = cancel.at(scale::RATIO);
        let ages = samples().flat_map(|s| [wide(s.age_bid), wide(s.age_ask)]);
        row.l3_avg_age_ms = Mean::of(ages).whole();
        row.l3_n_efit = count(samples().filter(|s| s.est_bid.or(s.est_ask).is_some()).count());
        row.l3_n_refill = i32::try_from(refill.n).unwrap_or(i32::MAX);
        row.l3_n_cancel = i32::try_from(cancel.n).unwrap_or(i32::MAX);
        row.l3_n_qt = count(samples().filter(|s| s.age_bid.or(s.age_ask).is_some()).count());
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Coverage × freshness × health, 0 without a sample.
fn quality(count_w: usize, last_at: Option<UtcMicros>, expected: &Expected) -> Decimal {
    let Some(last_at) = last_at else { return Decimal::ZERO };
    // Samples that were due; a window that is shorter than the interval owes one.
    let due = (expected.covered_secs * 1_000 / expected.interval_ms.max(1)).max(1);
    let seen = float(i128::try_from(count_w).unwrap_or(i128::MAX));
    let coverage = (seen / (COVERAGE_MIN * float(i128::from(due)))).min(1.0);
    let age_secs = float(i128::from(expected.as_of.0 - last_at.0)) / 1_000_000.0;
    let freshness = ((AGE_SECS_MAX - age_secs) / AGING_SECS).clamp(0.0, 1.0);
    let health = (1.0 - RESYNC_COST * f64::from(expected.resyncs)).max(0.0);
    from_feature(coverage * freshness * health, scale::RATIO).unwrap_or(Decimal::ZERO)
}

#[cfg(test)]
mod tests;
