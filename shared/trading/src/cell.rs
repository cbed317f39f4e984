//! The score of a strategy cell: one result more, and whether the cell is to rest.
//!
//! Purpose: one fold for what was realised and for what a shadow trade came to, so that both writers agree.
//! Inputs: the cell as it stands, a result with its weight and time. Outputs: the cell after it, and the end of a
//! suspension that begins with it. Invariants: pure; every number is rounded to its column; a suspension lasts its
//! whole time and never longer by what is folded during it.
//!
//! The row has no room for single results, so "the last thirty days" are kept by fading: at the first result of a later
//! UTC day the weight of all older ones shrinks by a thirtieth for each day between. A steady stream of results then
//! has the weight of thirty days of it, as in a window. After thirty days without a result the cell begins anew.

use penstock_types::decimal::{round_to, scale};
use penstock_types::{Decimal, UtcMicros};

/// Days whose results count.
pub const CELL_DAYS: i64 = 30;
/// Weight of results from which a cell can be suspended.
pub const SUSPEND_N_MIN: i64 = 30;
/// Recent mean below which a cell is suspended, bps.
pub const SUSPEND_EWMA_BPS: i64 = -10;
/// How long a suspension lasts.
pub const SUSPEND_MS: i64 = 24 * 3_600 * 1_000;
/// Pull of a result of whole weight on the recent mean.
const EWMA_WEIGHT: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
/// Digits of the column of weights.
const N_SCALE: u32 = 2;
/// Digits of the column of squares, and the largest number that fits into it.
const M2_SCALE: u32 = 6;
const M2_MAX: i64 = 999_999_999_999_999;
/// Largest distance that a column of basis points holds.
const BPS_MAX: i64 = 99_999_999;
const DAY_US: i64 = 86_400_000_000;
const DAY_MS: i64 = 86_400_000;

/// A cell as its row keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Weight of the results.
    pub n: Decimal,
    /// Mean net result, bps.
    pub mean_net_bps: Decimal,
    /// Weighted sum of squared distances from the mean.
    pub m2: Decimal,
    /// Recent mean of what the cell traded or would have traded, bps.
    pub ewma_net_bps: Decimal,
    /// Mean of what was expected, bps.
    pub mean_expected_bps: Decimal,
    /// Share of results above zero.
    pub hit_rate: Decimal,
    /// Last change; in a suspension, its beginning.
    pub updated_at: UtcMicros,
}

/// Whose result it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A sale.
    Realised,
    /// A shadow trade that would have been made but for a limit, a lock or a gate.
    ShadowWanted,
    /// A shadow trade that its own edge, or its direction, had ruled out.
    ShadowUnwanted,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Realised, Self::ShadowWanted, Self::ShadowUnwanted];

    /// Weight of one result.
    #[must_use]
    pub const fn weight(self) -> Decimal {
        match self {
            Self::Realised => Decimal::ONE,
            Self::ShadowWanted | Self::ShadowUnwanted => Decimal::from_parts(25, 0, 0, false, 2),
        }
    }

    /// It says what the cell brings when it trades, so the recent mean takes it. A candidate that was refused because
    /// it would lose, and lost, proves its refusal right: it must not suspend the candidates that were not.
    #[must_use]
    pub const fn moves_recent_mean(self) -> bool {
        match self {
            Self::Realised | Self::ShadowWanted => true,
            Self::ShadowUnwanted => false,
        }
    }
}

/// One result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellResult {
    /// Net of all costs, bps.
    pub net_bps: Decimal,
    /// Edge that was expected, bps.
    pub expected_bps: Decimal,
    /// Whose it is.
    pub source: Source,
    /// When it came about.
    pub at: UtcMicros,
}

/// A cell after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// The cell.
    pub cell: Cell,
    /// End of the suspension that this result began; none when there is none or it had begun before.
    pub suspended_until: Option<UtcMicros>,
}

/// End of the suspension of a cell with these numbers, should it be over or not; none when it lost too little.
#[must_use]
pub fn suspended_until(
    n: Decimal,
    ewma_net_bps: Decimal,
    updated_at: UtcMicros,
) -> Option<UtcMicros> {
    let lost = n >= Decimal::from(SUSPEND_N_MIN) && ewma_net_bps < Decimal::from(SUSPEND_EWMA_BPS);
    lost.then(|| updated_at.plus_millis(SUSPEND_MS))
}

/// The cell's results are all too old to count.
#[must_use]
pub const fn is_outdated(updated_at: UtcMicros, now: UtcMicros) -> bool {
    now.millis_since(updated_at) >= CELL_DAYS * DAY_MS
}

impl Cell {
    /// The cell rests at this time.
    #[must_use]
    pub fn is_suspended(&self, now: UtcMicros) -> bool {
        suspended_until(self.n, self.ewma_net_bps, self.updated_at).is_some_and(|end| now < end)
    }

    /// What is left of its weight at a time: a thirtieth less for each UTC day that has begun since.
    fn faded(self, at: UtcMicros) -> Option<Self> {
        if is_outdated(self.updated_at, at) {
            return None;
        }
        let days = (at.0.div_euclid(DAY_US) - self.updated_at.0.div_euclid(DAY_US)).max(0);
        let mut left = self;
        for _ in 0..days {
            left.n = left.n * Decimal::from(CELL_DAYS - 1) / Decimal::from(CELL_DAYS);
            left.m2 = left.m2 * Decimal::from(CELL_DAYS - 1) / Decimal::from(CELL_DAYS);
        }
        left.n = round_to(left.n, N_SCALE);
        left.m2 = round_to(left.m2, M2_SCALE);
        (left.n > Decimal::ZERO).then_some(left)
    }
}

/// Folds a result into a cell, or begins one.
#[must_use]
pub fn fold(old: Option<&Cell>, result: &CellResult) -> Folded {
    let limit = Decimal::from(BPS_MAX);
    let x = round_to(result.net_bps.clamp(-limit, limit), scale::BPS);
    let expected = round_to(result.expected_bps.clamp(-limit, limit), scale::BPS);
    let rests = old.is_some_and(|cell| cell.is_suspended(result.at));
    // A suspended cell is not faded: its weight must not end what its recent mean began.
    let before =
        old.copied().and_then(|cell| if rests { Some(cell) } else { cell.faded(result.at) });
    let Some(cell) = before else { return begun(x, expected, result) };
    let weight = result.source.weight();
    let n = cell.n + weight;
    let toward = |old: Decimal, new: Decimal| old + (new - old) * weight / n;
    let mean = round_to(toward(cell.mean_net_bps, x), scale::BPS);
    let squares = weight * (x - cell.mean_net_bps) * (x - mean);
    let hit = if x > Decimal::ZERO { Decimal::ONE } else { Decimal::ZERO };
    let mut ewma = cell.ewma_net_bps;
    if result.source.moves_recent_mean() {
        ewma = round_to(ewma + (x - ewma) * EWMA_WEIGHT * weight, scale::BPS);
    }
    if rests {
        // It may rise to just below the limit and not over it, so that the suspension is served in full.
        ewma = ewma.min(Decimal::from(SUSPEND_EWMA_BPS) - Decimal::new(1, scale::BPS));
    }
    let cell = Cell {
        n,
        mean_net_bps: mean,
        m2: round_to(cell.m2 + squares, M2_SCALE).clamp(Decimal::ZERO, Decimal::from(M2_MAX)),
        ewma_net_bps: ewma,
        mean_expected_bps: round_to(toward(cell.mean_expected_bps, expected), scale::BPS),
        hit_rate: round_to(toward(cell.hit_rate, hit), scale::RATIO),
        updated_at: if rests { cell.updated_at } else { cell.updated_at.max(result.at) },
    };
    let ends = suspended_until(cell.n, cell.ewma_net_bps, cell.updated_at);
    Folded { cell, suspended_until: ends.filter(|_| !rests) }
}

/// The first result of a cell. The recent mean of one that has traded nothing yet starts at zero.
fn begun(x: Decimal, expected: Decimal, result: &CellResult) -> Folded {
    let cell = Cell {
        n: result.source.weight(),
        mean_net_bps: x,
        m2: Decimal::ZERO,
        ewma_net_bps: if result.source.moves_recent_mean() { x } else { Decimal::ZERO },
        mean_expected_bps: expected,
        hit_rate: if x > Decimal::ZERO { Decimal::ONE } else { Decimal::ZERO },
        updated_at: result.at,
    };
    Folded { cell, suspended_until: None }
}

#[cfg(test)]
mod tests;
