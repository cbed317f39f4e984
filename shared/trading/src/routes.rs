//! Strategies, the routes that a regime offers, and the path of a route: direction, move, confidence.
//!
//! Purpose: which ways of entering exist for a symbol now, and how far each expects the price to go.
//! Inputs: a state row and the cross-section's volatility. Outputs: a path, or none when the route is
//! not active. Invariants: pure; `f64` inside, decimals rounded to the column's scale outside. It knows
//! no cost, no size and no account.

use penstock_types::decimal::{from_feature, scale, to_feature};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EntryMode, ExitPolicy, Horizon, Regime, RouteType, Strategy};
use penstock_types::{Decimal, Symbol};

/// What a strategy demands and how it is traded. Numbers: the product's table of strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrategyTerms {
    /// Entry modes, in order of preference at equal surplus.
    pub entry_modes: &'static [EntryMode],
    /// Exit policy.
    pub exit_policy: ExitPolicy,
    /// Greatest average spread, bps.
    pub spread_bps_max: Decimal,
    /// Least average spread, bps; zero is no limit.
    pub spread_bps_min: Decimal,
    /// Greatest estimated time to a maker fill.
    pub est_fill_ms_max: i64,
    /// Part of the sizing equity that one entry asks for.
    pub equity_ratio: Decimal,
    /// Part that one entry may reach.
    pub equity_ratio_max: Decimal,
    /// Positions and live entries at a time.
    pub slots: i64,
}

const MAKER: &[EntryMode] = &[EntryMode::Maker];
const BOTH: &[EntryMode] = &[EntryMode::Taker, EntryMode::Maker];

/// Terms of a strategy.
#[must_use]
pub const fn terms(strategy: Strategy) -> StrategyTerms {
    match strategy {
        Strategy::Liquidity => StrategyTerms {
            entry_modes: MAKER,
            exit_policy: ExitPolicy::MakerLadder,
            spread_bps_max: Decimal::from_parts(40, 0, 0, false, 0),
            spread_bps_min: Decimal::from_parts(2, 0, 0, false, 0),
            est_fill_ms_max: 40_000,
            equity_ratio: Decimal::from_parts(5, 0, 0, false, 2),
            equity_ratio_max: Decimal::from_parts(20, 0, 0, false, 2),
            slots: 2,
        },
        Strategy::Momentum => StrategyTerms {
            entry_modes: BOTH,
            exit_policy: ExitPolicy::TrailingStop,
            spread_bps_max: Decimal::from_parts(30, 0, 0, false, 0),
            spread_bps_min: Decimal::ZERO,
            est_fill_ms_max: 5_000,
            equity_ratio: Decimal::from_parts(10, 0, 0, false, 2),
            equity_ratio_max: Decimal::from_parts(25, 0, 0, false, 2),
            slots: 2,
        },
        Strategy::Volume => StrategyTerms {
            entry_modes: MAKER,
            exit_policy: ExitPolicy::TimeDecay,
            spread_bps_max: Decimal::from_parts(40, 0, 0, false, 0),
            spread_bps_min: Decimal::ONE,
            est_fill_ms_max: 60_000,
            equity_ratio: Decimal::from_parts(8, 0, 0, false, 2),
            equity_ratio_max: Decimal::from_parts(40, 0, 0, false, 2),
            slots: 1,
        },
    }
}

/// Strategies that a regime offers, in order.
#[must_use]
pub const fn strategies(regime: Regime) -> &'static [Strategy] {
    match regime {
        Regime::Range => &[Strategy::Liquidity, Strategy::Volume],
        Regime::Trend => &[Strategy::Momentum, Strategy::Volume],
        Regime::HighVolatility => &[Strategy::Momentum],
        Regime::LowLiquidity => &[Strategy::Liquidity],
        Regime::Chaos => &[],
    }
}

/// Routes that a regime offers to an entry. Those of the other direction: [`short_routes`].
#[must_use]
pub const fn routes(regime: Regime) -> &'static [RouteType] {
    match regime {
        Regime::Range => &[RouteType::PassiveSpreadCapture, RouteType::MakerUnwindMeanReversion],
        Regime::Trend => &[RouteType::BreakoutContinuation, RouteType::PullbackContinuation],
        Regime::HighVolatility => &[RouteType::BreakoutContinuation, RouteType::DumpReversal],
        Regime::LowLiquidity => &[RouteType::PassiveSpreadCapture],
        Regime::Chaos => &[],
    }
}

/// Routes of a regime that sell first, which a spot account without margin cannot: they are measured, never traded.
#[must_use]
pub const fn short_routes(regime: Regime) -> &'static [RouteType] {
    match regime {
        Regime::Trend => &[RouteType::BreakoutContinuation, RouteType::PullbackContinuation],
        Regime::HighVolatility => &[RouteType::BreakoutContinuation, RouteType::PumpFadeExhaustion],
        Regime::Chaos => &[
            RouteType::BreakoutContinuation,
            RouteType::PullbackContinuation,
            RouteType::PumpFadeExhaustion,
        ],
        Regime::Range | Regime::LowLiquidity => &[],
    }
}

/// Every route that an entry can take, for a regime in which none is offered and all are measured.
pub const LONG_ROUTES: &[RouteType] = &[
    RouteType::BreakoutContinuation,
    RouteType::DumpReversal,
    RouteType::PullbackContinuation,
    RouteType::PassiveSpreadCapture,
    RouteType::MakerUnwindMeanReversion,
];

/// Horizons that a regime offers.
#[must_use]
pub const fn horizons(regime: Regime) -> &'static [Horizon] {
    match regime {
        Regime::LowLiquidity => &[Horizon::Short, Horizon::Medium],
        Regime::Range | Regime::Trend | Regime::HighVolatility | Regime::Chaos => Horizon::ALL,
    }
}

/// The regime offers the pair of strategy and route.
#[must_use]
pub fn is_offered(regime: Regime, strategy: Strategy, route: RouteType) -> bool {
    strategies(regime).contains(&strategy) && routes(regime).contains(&route)
}

/// The route follows a move that is under way.
#[must_use]
pub const fn is_continuation(route: RouteType) -> bool {
    matches!(route, RouteType::BreakoutContinuation | RouteType::PullbackContinuation)
}

/// State age at which a route is stale, in seconds.
#[must_use]
pub const fn freshness_limit_secs(route: RouteType, fast_secs: i64, slow_secs: i64) -> i64 {
    match route {
        RouteType::BreakoutContinuation
        | RouteType::PumpFadeExhaustion
        | RouteType::DumpReversal => fast_secs,
        RouteType::PullbackContinuation
        | RouteType::PassiveSpreadCapture
        | RouteType::MakerUnwindMeanReversion => slow_secs,
    }
}

/// Features of a symbol as numbers; undefined ones are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Symbol.
    pub symbol: Symbol,
    /// Realised volatility of 5 minutes, bps per √minute.
    pub v: f64,
    /// Average spread, bps.
    pub s: f64,
    /// Standard deviation of the spread, bps.
    pub spread_std: f64,
    /// Microprice against mid, bps.
    pub mu: Option<f64>,
    /// Drift of 1 minute, bps.
    pub drift_1m: Option<f64>,
    /// Drift of 5 minutes, bps.
    pub drift_5m: Option<f64>,
    /// Drift of 15 minutes, bps.
    pub drift_15m: Option<f64>,
    /// Strength of the trend, 0 to 3.
    pub trend_strength: Option<f64>,
    /// Volatility against its half hour.
    pub vol_expansion: Option<f64>,
    /// Order flow imbalance of 1 minute.
    pub ofi_1m: Option<f64>,
    /// Mid against the volume-weighted price, bps.
    pub vwap_dev: Option<f64>,
    /// Bids within 10 bps, quote.
    pub depth_bid: f64,
    /// Asks within 10 bps, quote.
    pub depth_ask: f64,
    /// Trades per second over 5 minutes.
    pub trades_per_s: f64,
    /// Mean true range of 15 minutes, bps.
    pub atr: Option<f64>,
    /// Confidence of the regime.
    pub regime_confidence: f64,
    /// Estimated time to a fill at the bid, from the order-by-order book.
    pub est_fill_bid_ms: Option<i64>,
    /// Quality of the order-by-order book.
    pub l3_quality: f64,
}

impl Features {
    /// Reads a state row; none when volatility, spread or a depth is undefined.
    #[must_use]
    pub fn of(row: &StateRow) -> Option<Self> {
        let depth_bid = to_feature(row.depth_bid_10bps_quote?);
        let depth_ask = to_feature(row.depth_ask_10bps_quote?);
        if depth_bid <= 0.0 || depth_ask <= 0.0 {
            return None;
        }
        let l3_quality = to_feature(row.l3_quality);
        let l3_usable = l3_quality >= L3_QUALITY_MIN;
        Some(Self {
            symbol: row.symbol.clone(),
            v: to_feature(row.rv_5m_bps?),
            s: to_feature(row.spread_avg_bps?),
            spread_std: row.spread_std_bps.map_or(0.0, to_feature),
            mu: row.microprice_dev_bps.map(to_feature),
            drift_1m: row.drift_1m_bps.map(to_feature),
            drift_5m: row.drift_5m_bps.map(to_feature),
            drift_15m: row.drift_15m_bps.map(to_feature),
            trend_strength: row.trend_strength.map(to_feature),
            vol_expansion: row.vol_expansion.map(to_feature),
            ofi_1m: row.ofi_1m.map(to_feature),
            vwap_dev: row.vwap_dev_bps.map(to_feature),
            depth_bid,
            depth_ask,
            trades_per_s: f64::from(row.trades_5m) / 300.0,
            atr: row.atr_15m_bps.map(to_feature),
            regime_confidence: to_feature(row.regime_confidence),
            est_fill_bid_ms: row.l3_est_fill_bid_ms.filter(|_| l3_usable).map(i64::from),
            l3_quality,
        })
    }
}

/// Quality of the order-by-order book from which on its estimates are used.
pub const L3_QUALITY_MIN: f64 = 0.5;

/// Where a route expects the price to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Expected gross move, bps.
    pub move_bps: Decimal,
    /// Part of a continuation that has already happened, bps.
    pub spent_bps: Decimal,
    /// Confidence, 0 to 1.
    pub confidence: Decimal,
    /// The microprice was missing: move and confidence are cut.
    pub fallback: bool,
}

/// Cut of the move when the microprice is missing.
const FALLBACK_MOVE: f64 = 0.5;
/// Cut of the confidence when the microprice is missing.
const FALLBACK_CONFIDENCE: f64 = 0.6;

/// Path of a route over a horizon; none when the route is not active or cannot be computed.
#[must_use]
pub fn path(f: &Features, route: RouteType, horizon: Horizon, v_p75: f64) -> Option<Path> {
    let gross = gross_move(f, route, horizon, v_p75)?;
    let fallback = f.mu.is_none();
    let (cut_move, cut_confidence) =
        if fallback { (FALLBACK_MOVE, FALLBACK_CONFIDENCE) } else { (1.0, 1.0) };
    let spent = if is_continuation(route) { 0.5 * f.drift_1m.unwrap_or(0.0).max(0.0) } else { 0.0 };
    Some(Path {
        move_bps: from_feature(gross * cut_move, scale::BPS)?,
        spent_bps: from_feature(spent, scale::BPS)?,
        confidence: from_feature(
            base_confidence(f, route) * f.regime_confidence * cut_confidence,
            scale::RATIO,
        )?,
        fallback,
    })
}

fn gross_move(f: &Features, route: RouteType, horizon: Horizon, v_p75: f64) -> Option<f64> {
    let minutes = f64::from(u16::try_from(horizon.minutes()).unwrap_or(u16::MAX));
    let mu = f.mu.unwrap_or(0.0);
    let scaled = f.v * minutes.sqrt() * volatility_scale(f.v, v_p75);
    match route {
        RouteType::BreakoutContinuation => {
            let expansion = f.vol_expansion?;
            let strong = expansion > 0.35;
            let trending = expansion > 0.20 && f.trend_strength? > 0.20;
            let active = (strong || trending) && f.drift_1m? > 0.0 && f.ofi_1m? > 0.0;
            let early = if strong && expansion <= 0.5 { 1.2 } else { 1.0 };
            active.then(|| scaled * early + mu.max(0.0))
        }
        RouteType::PullbackContinuation => {
            let active = f.drift_15m? > 0.0 && f.drift_1m? < 0.0 && f.trend_strength? >= 0.5;
            active.then_some(scaled * 0.8)
        }
        RouteType::PassiveSpreadCapture => {
            let active = mu.abs() <= f.s / 2.0 && f.drift_1m?.abs() <= f.v;
            let k = match horizon {
                Horizon::Short => 0.4,
                Horizon::Medium => 1.0,
                Horizon::Long => 2.2,
            };
            active.then_some((0.8 * f.s + 0.4 * f.v + 0.6 * mu.abs()) * k)
        }
        RouteType::MakerUnwindMeanReversion => {
            let deviation = f.vwap_dev?;
            let active = deviation <= -f.v.max(f.s) && f.trend_strength? < 0.8;
            active.then_some(0.6 * deviation.abs())
        }
        // The fade of a rise is the reversal of a fall in a symbol that is seen from the other side.
        RouteType::DumpReversal | RouteType::PumpFadeExhaustion => {
            let fall = f.drift_5m?;
            let active = fall <= -2.0 * f.v * 5.0_f64.sqrt() && f.ofi_1m? > -0.2;
            active.then(|| (0.5 * fall.abs()).min(f.v * minutes.sqrt() * 0.7))
        }
    }
}

/// Volatility of the symbol against the 75th percentile of the cross-section, 0.7 to 2.5.
fn volatility_scale(v: f64, v_p75: f64) -> f64 {
    if v_p75 <= 0.0 {
        return if v > 0.0 { 2.5 } else { 0.7 };
    }
    (v / v_p75).clamp(0.7, 2.5)
}

fn base_confidence(f: &Features, route: RouteType) -> f64 {
    let trend = f.trend_strength.unwrap_or(0.0).min(1.0);
    let value = match route {
        RouteType::BreakoutContinuation
        | RouteType::PullbackContinuation
        | RouteType::DumpReversal
        | RouteType::PumpFadeExhaustion => {
            0.4 + 0.3 * trend
                + 0.2 * f.vol_expansion.unwrap_or(0.0).min(1.0)
                + 0.1 * f.ofi_1m.unwrap_or(0.0).abs()
        }
        RouteType::PassiveSpreadCapture | RouteType::MakerUnwindMeanReversion => {
            let unrest = if f.s > 0.0 { (f.spread_std / f.s).min(1.0) } else { 1.0 };
            0.5 + 0.3 * (1.0 - unrest) + 0.2 * (1.0 - trend)
        }
    };
    value.clamp(0.0, 1.0)
}

/// 75th percentile by nearest rank; zero of nothing.
#[must_use]
pub fn percentile_75(values: &mut [Decimal]) -> Decimal {
    if values.is_empty() {
        return Decimal::ZERO;
    }
    values.sort_unstable();
    let rank = (values.len() * 3).div_ceil(4);
    values[rank - 1]
}
