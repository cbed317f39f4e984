//! What the present regime does to a held position: one total match over (then, now).
//!
//! Input: regime at entry, current regime with its refinement, the direction of the five-minute drift,
//! profit. Output: close, tighten, or nothing. The pair is judged for as long as it stands, because its
//! refinement, drift and profit go on: [`due`] says what of it is still to be done. Whether a regime or
//! a direction has lasted long enough is [`RegimeWatch`]'s.

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

/// What is still to be done of what the present pair asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// It is asked for the first time.
    First,
    /// A close that was asked for before and has not been taken.
    Again,
}

/// Compares what is asked for with what was done last. Everything is done once while the regime
/// stands, since tightening again and again would end at the price; a close is asked for until it is
/// taken, also in a regime that was met by tightening before.
#[must_use]
pub fn due(acted: Option<(Regime, RegimeAction)>, now: Regime, asked: RegimeAction) -> Due {
    match (asked, acted == Some((now, asked))) {
        (RegimeAction::Keep, true | false) => Due::Nothing,
        (RegimeAction::Close, true) => Due::Again,
        (RegimeAction::TightenPct(_) | RegimeAction::TrailOnly, true)
        | (RegimeAction::TakeProfitAtFees, true) => Due::Nothing,
        (RegimeAction::Close | RegimeAction::TightenPct(_), false)
        | (RegimeAction::TrailOnly | RegimeAction::TakeProfitAtFees, false) => Due::First,
    }
}

/// Judges the present pair.
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
        (Range, Range) | (HighVolatility, HighVolatility) => RegimeAction::Keep,
        (LowLiquidity, Range | LowLiquidity) => RegimeAction::Keep,
        (Trend, Trend) if drift == Drift::Against => RegimeAction::Close,
        (Trend, Trend) => RegimeAction::Keep,
        (Range, Trend) if drift.falls() => RegimeAction::Close,
        (Range, Trend) => RegimeAction::TrailOnly,
        (Range, HighVolatility) => RegimeAction::TightenPct(60),
        (Range, LowLiquidity) => RegimeAction::TakeProfitAtFees,
        (Trend | HighVolatility, Range | LowLiquidity) => RegimeAction::TightenPct(50),
        (Trend, HighVolatility) => RegimeAction::TightenPct(80),
        (HighVolatility, Trend) => RegimeAction::Keep,
        (LowLiquidity, Trend) => {
            if drift.falls() {
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
    /// Neither.
    Still,
    /// Falling, not yet for long.
    Falling,
    /// Falling, for as long as [`PERSIST_MS`] asks.
    Against,
}

impl Drift {
    /// Negative, however long.
    #[must_use]
    pub const fn falls(self) -> bool {
        match self {
            Self::With | Self::Still => false,
            Self::Falling | Self::Against => true,
        }
    }
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
        let Some(since) = self.falling_since else { return Drift::Still };
        if now.millis_since(since) >= PERSIST_MS && self.falling_seen >= PERSIST_PUBLICATIONS {
            Drift::Against
        } else {
            Drift::Falling
        }
    }
}
