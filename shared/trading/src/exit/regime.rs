//! What a change of regime does to a held position: one total match over (then, now).
//!
//! Input: regime at entry, current regime with its refinement, which of the five-minute drift's
//! directions has lasted, profit. Output: close, tighten, or nothing. Whether a regime or a direction
//! has lasted long enough is the caller's, see [`RegimeWatch`].

use penstock_types::vocab::{Regime, RegimeSub};
use penstock_types::{Decimal, UtcMicros};

/// How long a change must last ...
pub const PERSIST_MS: i64 = 20_000;
/// ... and in how many publications it must have been seen.
pub const PERSIST_PUBLICATIONS: u32 = 10;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegimeAction {
    /// Nothing.
    Keep,
    /// Close.
    Close,
    /// Multiply the stop's distance from the price by this many hundredths.
    TightenPct(u8),
    /// Give up take-profit, trail at 70 basis points.
    TrailOnly,
    /// Take-profit falls to fees + 2.
    TakeProfitAtFees,
}

/// Judges a change.
#[must_use]
pub fn action(
    then: Regime,
    now: Regime,
    sub: Option<RegimeSub>,
    drift: Drift,
    g_bps: Decimal,
) -> RegimeAction {
    use Regime::{Chaos, HighVolatility, LowLiquidity, Range, Trend};
    match (then, now) {
        (Range, Range) | (Trend, Trend) | (HighVolatility, HighVolatility) => RegimeAction::Keep,
        (LowLiquidity, Range | LowLiquidity) => RegimeAction::Keep,
        (Range, Trend) if drift == Drift::Against => RegimeAction::Close,
        (Range, Trend) => RegimeAction::TrailOnly,
        (Range, HighVolatility) => RegimeAction::TightenPct(60),
        (Range, LowLiquidity) => RegimeAction::TakeProfitAtFees,
        (Trend | HighVolatility, Range | LowLiquidity) => RegimeAction::TightenPct(50),
        (Trend, HighVolatility) => RegimeAction::TightenPct(80),
        (HighVolatility, Trend) => RegimeAction::Keep,
        (LowLiquidity, Trend) => {
            if drift == Drift::Against {
                RegimeAction::Close
            } else {
                RegimeAction::Keep
            }
        }
        (LowLiquidity, HighVolatility) => {
            if g_bps < Decimal::ZERO {
                RegimeAction::Close
            } else {
                RegimeAction::Keep
            }
        }
        (Trend | HighVolatility, Chaos)
            if sub == Some(RegimeSub::ChaosDirectional) && drift == Drift::With =>
        {
            RegimeAction::TightenPct(60)
        }
        (Range | Trend | HighVolatility | LowLiquidity | Chaos, Chaos) => RegimeAction::Close,
        // Nothing enters in chaos; a position recovered from it follows its stop.
        (Chaos, Range | Trend | HighVolatility | LowLiquidity) => RegimeAction::Keep,
    }
}

/// Direction of the five-minute drift, for a long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drift {
    /// Rising.
    With,
    /// Falling, for as long as [`PERSIST_MS`] asks.
    Against,
    /// Neither has lasted.
    Unclear,
}

/// Remembers since when a regime and a direction have stood.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RegimeWatch {
    regime: Option<Regime>,
    since: UtcMicros,
    seen: u32,
    falling_since: Option<UtcMicros>,
    falling_seen: u32,
    drift_bps: Decimal,
}

impl RegimeWatch {
    /// A watch that has seen nothing.
    #[must_use]
    pub const fn new(now: UtcMicros) -> Self {
        Self {
            regime: None,
            since: now,
            seen: 0,
            falling_since: None,
            falling_seen: 0,
            drift_bps: Decimal::ZERO,
        }
    }

    /// One publication.
    pub fn observe(&mut self, regime: Regime, drift_bps: Decimal, now: UtcMicros) {
        if self.regime == Some(regime) {
            self.seen = self.seen.saturating_add(1);
        } else {
            (self.regime, self.since, self.seen) = (Some(regime), now, 1);
        }
        self.drift_bps = drift_bps;
        if drift_bps < Decimal::ZERO {
            self.falling_since.get_or_insert(now);
            self.falling_seen = self.falling_seen.saturating_add(1);
        } else {
            (self.falling_since, self.falling_seen) = (None, 0);
        }
    }

    /// The regime, when it has lasted; chaos counts at once.
    #[must_use]
    pub fn settled(&self, now: UtcMicros) -> Option<Regime> {
        let regime = self.regime?;
        let lasted =
            now.millis_since(self.since) >= PERSIST_MS && self.seen >= PERSIST_PUBLICATIONS;
        (regime == Regime::Chaos || lasted).then_some(regime)
    }

    /// The direction.
    #[must_use]
    pub fn drift(&self, now: UtcMicros) -> Drift {
        if self.drift_bps > Decimal::ZERO {
            return Drift::With;
        }
        let lasted = self.falling_since.is_some_and(|since| now.millis_since(since) >= PERSIST_MS);
        if lasted && self.falling_seen >= PERSIST_PUBLICATIONS {
            Drift::Against
        } else {
            Drift::Unclear
        }
    }
}
