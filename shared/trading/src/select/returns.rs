//! Returns of five minutes from the closes of published candles.
//!
//! Purpose: what correlation is computed from. Inputs: the newest close before each five-minute boundary. Outputs: log
//! returns in whole basis points, oldest first. Invariants: pure; a boundary without a candle makes both returns that
//! touch it missing; the logarithm is a series over decimals, so every machine finds the same.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::decimal::round_to;
use penstock_types::{Decimal, Symbol, UtcMicros};
use rust_decimal::MathematicalOps as _;
use serde::{Deserialize, Serialize};

/// Length of a bar, microseconds.
const BAR_MICROS: i64 = 300_000_000;
/// A boundary counts from so long after it on: candles of its last minute have arrived by then.
const SETTLED_MICROS: i64 = 60_000_000;
/// One as basis points.
const BPS_PER_UNIT: i64 = 10_000;

/// Number of a five-minute boundary since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boundary(pub i64);

impl Boundary {
    /// The last full boundary at least a minute before a time.
    #[must_use]
    pub const fn settled(t0: UtcMicros) -> Self {
        Self(t0.0.saturating_sub(SETTLED_MICROS).div_euclid(BAR_MICROS))
    }

    /// Its time.
    #[must_use]
    pub const fn at(self) -> UtcMicros {
        UtcMicros(self.0.saturating_mul(BAR_MICROS))
    }

    /// The boundary that the bar of a minute ends at.
    #[must_use]
    pub const fn after(minute: UtcMicros) -> Self {
        Self(minute.0.div_euclid(BAR_MICROS).saturating_add(1))
    }

    /// So many bars earlier.
    #[must_use]
    pub const fn back(self, bars: i64) -> Self {
        Self(self.0.saturating_sub(bars))
    }
}

/// Returns of one symbol, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnSeries {
    /// Symbol.
    pub symbol: Symbol,
    /// Log returns in basis points; none where a close is missing.
    pub points: Vec<Option<i32>>,
}

impl ReturnSeries {
    /// Points that are missing.
    #[must_use]
    pub fn missing(&self) -> i64 {
        i64::try_from(self.points.iter().filter(|p| p.is_none()).count()).unwrap_or(i64::MAX)
    }

    /// The points with 0 for a missing one.
    pub fn filled(&self) -> impl Iterator<Item = i32> + '_ {
        self.points.iter().map(|p| p.unwrap_or(0))
    }
}

/// Closes that a session holds: the newest before each boundary.
#[derive(Debug, Clone, Default)]
pub struct Closes {
    symbols: BTreeMap<Symbol, BTreeMap<Boundary, Decimal>>,
    read_to: Option<Boundary>,
}

impl Closes {
    /// The boundaries that have not been read yet, first and last; none when all have. `points` returns need one more
    /// close than there are returns.
    #[must_use]
    pub fn due(&self, t0: UtcMicros, points: i64) -> Option<(Boundary, Boundary)> {
        let last = Boundary::settled(t0);
        let oldest = last.back(points);
        let first = self.read_to.map_or(oldest, |read| Boundary(read.0 + 1).max(oldest));
        (first <= last).then_some((first, last))
    }

    /// Takes the closes of boundaries up to and with `last` in; older ones than `points` returns need are dropped.
    pub fn take(
        &mut self,
        last: Boundary,
        points: i64,
        closes: impl IntoIterator<Item = (Symbol, Boundary, Decimal)>,
    ) {
        for (symbol, boundary, close) in closes {
            if close > Decimal::ZERO {
                self.symbols.entry(symbol).or_default().insert(boundary, close);
            }
        }
        let oldest = last.back(points);
        for bars in self.symbols.values_mut() {
            bars.retain(|boundary, _| *boundary >= oldest);
        }
        self.symbols.retain(|_, bars| !bars.is_empty());
        self.read_to = Some(last);
    }

    /// Series of the named symbols that end at the last boundary that was read, symbols ascending.
    #[must_use]
    pub fn series(&self, symbols: &BTreeSet<Symbol>, points: i64) -> Vec<ReturnSeries> {
        let Some(last) = self.read_to else { return Vec::new() };
        let held = |symbol: &Symbol| {
            let bars = self.symbols.get(symbol)?;
            let close = |boundary: Boundary| bars.get(&boundary).copied();
            let points = (0..points).rev().map(|back| {
                let end = last.back(back);
                log_return_bps(close(end.back(1))?, close(end)?)
            });
            Some(ReturnSeries { symbol: symbol.clone(), points: points.collect() })
        };
        symbols.iter().filter_map(held).collect()
    }
}

/// `10000·ln(after/before)`, rounded half-even; none when it cannot be computed.
fn log_return_bps(before: Decimal, after: Decimal) -> Option<i32> {
    let ln = after.checked_div(before)?.checked_ln()?;
    i32::try_from(round_to(ln.checked_mul(Decimal::from(BPS_PER_UNIT))?, 0)).ok()
}
