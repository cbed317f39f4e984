//! The regime of a symbol: classes by order, hysteresis in event time, confidence.
//!
//! Input: the rounded figures of a cut and the state kept since the cut before. Output: the class, its
//! refinement, since when, which one before, and a confidence of 0.3 to 1. Computed once, at the cut.
//! Missing figures or a broken book keep the previous class: an integrity fault is no regime change.

use penstock_types::vocab::{Regime, RegimeSub};
use penstock_types::{Decimal, UtcMicros, decimal};
use serde::{Deserialize, Serialize};

/// How long another class must hold before it is adopted.
const HOLD_MS: i64 = 10_000;
/// How long another class must hold before it ends `CHAOS`.
const CHAOS_HOLD_MS: i64 = 60_000;
/// A class ends only when its condition fails by this much (10 %).
const LEAVE_MARGIN: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
/// Least confidence, also that of a kept class.
const CONFIDENCE_MIN: Decimal = Decimal::from_parts(3, 0, 0, false, 1);

/// Limits of the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegimeThresholds {
    /// Spread in bps from which on a market is chaotic.
    pub chaos_spread_bps: Decimal,
    /// Volatility in bps per √minute from which on it is.
    pub chaos_rv_bps: Decimal,
    /// Trend strength from which on the chaos has a direction.
    pub chaos_trend: Decimal,
    /// Trades of five minutes below which a market is illiquid.
    pub thin_trades: i32,
    /// Quote within 10 bps of the thinner side below which it is.
    pub thin_depth_quote: Decimal,
    /// Spread in bps from which on it is.
    pub thin_spread_bps: Decimal,
    /// Volatility from which on it is high.
    pub high_rv_bps: Decimal,
    /// Trend strength from which on there is a trend.
    pub trend_strength: Decimal,
    /// Trades of five minutes that a trend needs.
    pub trend_trades: i32,
}

impl Default for RegimeThresholds {
    fn default() -> Self {
        Self {
            chaos_spread_bps: Decimal::from(80),
            chaos_rv_bps: Decimal::from(40),
            chaos_trend: Decimal::ONE,
            thin_trades: 10,
            thin_depth_quote: Decimal::from(5_000),
            thin_spread_bps: Decimal::from(40),
            high_rv_bps: Decimal::from(20),
            trend_strength: Decimal::new(8, 1),
            trend_trades: 30,
        }
    }
}

/// Figures of a cut, as published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeInputs {
    /// Time-weighted spread of five minutes.
    pub spread_avg_bps: Option<Decimal>,
    /// Volatility of five minutes.
    pub rv_5m_bps: Option<Decimal>,
    /// Trend strength.
    pub trend_strength: Option<Decimal>,
    /// Bids within 10 bps, quote.
    pub depth_bid_quote: Option<Decimal>,
    /// Asks within 10 bps, quote.
    pub depth_ask_quote: Option<Decimal>,
    /// Trades of five minutes.
    pub trades_5m: i32,
    /// The book is live.
    pub book_ok: bool,
}

/// What is kept from cut to cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegimeState {
    current: Option<Adopted>,
    pending: Option<(Regime, UtcMicros)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Adopted {
    regime: Regime,
    sub: Option<RegimeSub>,
    since: UtcMicros,
    previous: Option<Regime>,
    placeholder: bool,
}

/// The class as the row carries it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeOutcome {
    /// Class.
    pub regime: Regime,
    /// Refinement of `CHAOS`.
    pub sub: Option<RegimeSub>,
    /// When it was adopted.
    pub since: UtcMicros,
    /// The class before.
    pub previous: Option<Regime>,
    /// 0.3 to 1, scale 6.
    pub confidence: Decimal,
}

#[derive(Debug, Clone, Copy)]
struct Figures {
    spread: Decimal,
    rv: Decimal,
    trend: Decimal,
    depth: Decimal,
    trades: Decimal,
}

impl RegimeInputs {
    fn figures(&self) -> Option<Figures> {
        if !self.book_ok {
            return None;
        }
        Some(Figures {
            spread: self.spread_avg_bps?,
            rv: self.rv_5m_bps?,
            trend: self.trend_strength?,
            depth: self.depth_bid_quote?.min(self.depth_ask_quote?),
            trades: Decimal::from(self.trades_5m),
        })
    }
}

impl RegimeState {
    /// Advances by one cut.
    pub fn step(
        &mut self,
        inputs: &RegimeInputs,
        as_of: UtcMicros,
        limits: &RegimeThresholds,
    ) -> RegimeOutcome {
        let Some(figures) = inputs.figures() else {
            return self.keep(as_of);
        };
        self.adopt(&figures, as_of, limits);
        let adopted = self.current.get_or_insert_with(|| placeholder(as_of));
        adopted.sub = sub_of(adopted.regime, &figures, limits);
        outcome(adopted, confidence(adopted.regime, &figures, limits))
    }

    fn keep(&mut self, as_of: UtcMicros) -> RegimeOutcome {
        self.pending = None;
        let adopted = self.current.get_or_insert_with(|| placeholder(as_of));
        outcome(adopted, CONFIDENCE_MIN)
    }

    fn adopt(&mut self, figures: &Figures, as_of: UtcMicros, limits: &RegimeThresholds) {
        let held = self.current.as_ref().filter(|a| !a.placeholder).map(|a| a.regime);
        let wanted = classify(figures, limits, held);
        let Some(current) = held else {
            self.enter(wanted, as_of, None);
            return;
        };
        if wanted == current {
            self.pending = None;
            return;
        }
        if wanted == Regime::Chaos {
            self.enter(wanted, as_of, Some(current));
            return;
        }
        let since = match self.pending {
            Some((class, since)) if class == wanted => since,
            Some(_) | None => as_of,
        };
        let hold_ms = if current == Regime::Chaos { CHAOS_HOLD_MS } else { HOLD_MS };
        if as_of.millis_since(since) >= hold_ms {
            self.enter(wanted, as_of, Some(current));
        } else {
            self.pending = Some((wanted, since));
        }
    }

    fn enter(&mut self, regime: Regime, since: UtcMicros, previous: Option<Regime>) {
        self.pending = None;
        self.current = Some(Adopted { regime, sub: None, since, previous, placeholder: false });
    }
}

const fn placeholder(since: UtcMicros) -> Adopted {
    Adopted { regime: Regime::LowLiquidity, sub: None, since, previous: None, placeholder: true }
}

const fn outcome(adopted: &Adopted, confidence: Decimal) -> RegimeOutcome {
    RegimeOutcome {
        regime: adopted.regime,
        sub: adopted.sub,
        since: adopted.since,
        previous: adopted.previous,
        confidence,
    }
}

/// First class in order whose condition holds; the held class's own limits are eased by 10 %, so that
/// it ends only when its condition fails clearly.
fn classify(f: &Figures, limits: &RegimeThresholds, held: Option<Regime>) -> Regime {
    let floor = |class: Regime, limit: Decimal| {
        if held == Some(class) { limit * (Decimal::ONE - LEAVE_MARGIN) } else { limit }
    };
    let ceiling = |class: Regime, limit: Decimal| {
        if held == Some(class) { limit * (Decimal::ONE + LEAVE_MARGIN) } else { limit }
    };
    let chaos = Regime::Chaos;
    if f.spread >= floor(chaos, limits.chaos_spread_bps)
        || f.rv >= floor(chaos, limits.chaos_rv_bps)
    {
        return chaos;
    }
    let thin = Regime::LowLiquidity;
    if f.trades < ceiling(thin, Decimal::from(limits.thin_trades))
        || f.depth < ceiling(thin, limits.thin_depth_quote)
        || f.spread >= floor(thin, limits.thin_spread_bps)
    {
        return thin;
    }
    let high = Regime::HighVolatility;
    if f.rv >= floor(high, limits.high_rv_bps) {
        return high;
    }
    let trend = Regime::Trend;
    if f.trend >= floor(trend, limits.trend_strength)
        && f.trades >= floor(trend, Decimal::from(limits.trend_trades))
    {
        return trend;
    }
    Regime::Range
}

fn sub_of(regime: Regime, f: &Figures, limits: &RegimeThresholds) -> Option<RegimeSub> {
    match regime {
        Regime::Chaos if f.trend >= limits.chaos_trend => Some(RegimeSub::ChaosDirectional),
        Regime::Chaos => Some(RegimeSub::ChaosNoise),
        Regime::Range | Regime::Trend | Regime::HighVolatility | Regime::LowLiquidity => None,
    }
}

/// Margin by which the class's own condition holds, 0.3 to 1, scale 6.
fn confidence(regime: Regime, f: &Figures, limits: &RegimeThresholds) -> Decimal {
    let above = |value: Decimal, limit: Decimal| (value - limit) / limit;
    let below = |value: Decimal, limit: Decimal| (limit - value) / limit;
    let (thin, trend) = (Decimal::from(limits.thin_trades), Decimal::from(limits.trend_trades));
    let margin = match regime {
        Regime::Chaos => Decimal::ONE,
        Regime::LowLiquidity => below(f.trades, thin)
            .max(below(f.depth, limits.thin_depth_quote))
            .max(above(f.spread, limits.thin_spread_bps)),
        Regime::HighVolatility => above(f.rv, limits.high_rv_bps),
        Regime::Trend => above(f.trend, limits.trend_strength).min(above(f.trades, trend)),
        Regime::Range => below(f.trend, limits.trend_strength).max(below(f.trades, trend)),
    };
    decimal::round_to(margin.clamp(CONFIDENCE_MIN, Decimal::ONE), decimal::scale::RATIO)
}

#[cfg(test)]
mod tests;
