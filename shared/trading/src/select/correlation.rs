//! Correlation of two symbols in whole numbers.
//!
//! Purpose: how much two symbols move alike. Inputs: their returns of five minutes. Outputs: Pearson's coefficient
//! times 10,000, or that it is not known. Invariants: integers only, so every machine finds the same; a missing point is
//! 0; too many of them, or a symbol that did not move, is unknown, and unknown counts as alike unless the settings say
//! otherwise.

use penstock_types::Symbol;

use super::returns::ReturnSeries;
use crate::decide::config::{MissingAction, SelectionConfig};

/// Full correlation times 10,000.
pub const ALIKE_X10000: i64 = 10_000;

/// What is known of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation {
    /// Pearson's coefficient times 10,000.
    Known(i64),
    /// Too few points, or one of the two did not move.
    Unknown,
}

impl Correlation {
    /// The value that counts; none when the pair is not to be limited.
    #[must_use]
    pub const fn value(self, config: &SelectionConfig) -> Option<i64> {
        match (self, config.corr_missing_action) {
            (Self::Known(value), _) => Some(value),
            (Self::Unknown, MissingAction::Reject) => Some(ALIKE_X10000),
            (Self::Unknown, MissingAction::Allow) => None,
        }
    }
}

/// The series of a cycle, with how many points may be missing.
#[derive(Debug, Clone, Copy)]
pub struct Returns<'a> {
    series: &'a [ReturnSeries],
    missing_pct_max: i64,
}

impl<'a> Returns<'a> {
    /// Series of a cycle.
    #[must_use]
    pub const fn new(series: &'a [ReturnSeries], config: &SelectionConfig) -> Self {
        Self { series, missing_pct_max: config.corr_missing_max_pct }
    }

    /// The series of a symbol.
    #[must_use]
    pub fn of(&self, symbol: &Symbol) -> Option<&'a ReturnSeries> {
        self.series.iter().find(|s| &s.symbol == symbol)
    }

    /// Correlation of two symbols; a symbol is wholly like itself.
    #[must_use]
    pub fn between(&self, a: &Symbol, b: &Symbol) -> Correlation {
        if a == b {
            return Correlation::Known(ALIKE_X10000);
        }
        let (Some(a), Some(b)) = (self.whole(a), self.whole(b)) else {
            return Correlation::Unknown;
        };
        pearson_x10000(a, b).map_or(Correlation::Unknown, Correlation::Known)
    }

    /// The series of a symbol with few enough points missing.
    fn whole(&self, symbol: &Symbol) -> Option<&'a ReturnSeries> {
        let series = self.of(symbol)?;
        let points = i64::try_from(series.points.len()).ok()?;
        let enough = points > 0 && series.missing() * 100 <= self.missing_pct_max * points;
        enough.then_some(series)
    }
}

/// `num = n·Σxy − Σx·Σy`, `dx = n·Σx² − (Σx)²`, likewise `dy`; `10000·num / isqrt(dx·dy)` rounded half away from zero.
/// None when one of the two did not move or the lengths differ.
fn pearson_x10000(a: &ReturnSeries, b: &ReturnSeries) -> Option<i64> {
    if a.points.len() != b.points.len() {
        return None;
    }
    let n = i128::try_from(a.points.len()).ok()?;
    let (mut sx, mut sy, mut sxy, mut sxx, mut syy) = (0_i128, 0_i128, 0_i128, 0_i128, 0_i128);
    for (x, y) in a.filled().zip(b.filled()) {
        let (x, y) = (i128::from(x), i128::from(y));
        sx += x;
        sy += y;
        sxy += x * y;
        sxx += x * x;
        syy += y * y;
    }
    let (dx, dy) = (n * sxx - sx * sx, n * syy - sy * sy);
    let root = dx.checked_mul(dy)?.isqrt();
    if root == 0 {
        return None;
    }
    let scaled = i128::from(ALIKE_X10000) * (n * sxy - sx * sy);
    let half_away = (scaled.abs() * 2 + root) / (root * 2);
    let limit = i128::from(ALIKE_X10000);
    i64::try_from((half_away * scaled.signum()).clamp(-limit, limit)).ok()
}
