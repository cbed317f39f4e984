//! Pre-selection and competition: which symbols are looked at in depth, which candidate wins.
//!
//! Purpose: total orders, so that equal scores never depend on the order of rows. Inputs: state rows,
//! candidates, realised results of cells. Outputs: orders and scores. Invariants: pure; scores are
//! rounded to their column before they are compared.

use penstock_types::decimal::{from_feature, to_feature};
use penstock_types::rows::StrategyScoreRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EntryMode, Horizon, Regime, RouteType, Strategy};
use penstock_types::{Decimal, Symbol, UtcMicros};
use std::cmp::Ordering;

use crate::cell;
use crate::decide::config::DecideConfig;
use crate::routes::L3_QUALITY_MIN;

/// Scale of the ranking score's column.
pub const SCORE_SCALE: u32 = 8;

/// The best symbols by liquidity, momentum and spread: score in ten-thousandths, descending.
#[must_use]
pub fn top_n(rows: &[&StateRow], config: &DecideConfig) -> Vec<(Symbol, i64)> {
    let mut ranked = ranking(rows, config);
    ranked.truncate(usize::try_from(config.topn_size).unwrap_or(0));
    ranked
}

/// All symbols by liquidity, momentum and spread: score in ten-thousandths, descending.
#[must_use]
pub fn ranking(rows: &[&StateRow], config: &DecideConfig) -> Vec<(Symbol, i64)> {
    let depth = |r: &StateRow| match (r.depth_bid_10bps_quote, r.depth_ask_10bps_quote) {
        (Some(bid), Some(ask)) => Some(to_feature(bid.min(ask))),
        (None, _) | (_, None) => None,
    };
    let momentum = |r: &StateRow| r.drift_15m_bps.map(|d| to_feature(d).abs());
    let spread = |r: &StateRow| r.spread_avg_bps.map(to_feature);
    let most = |of: &dyn Fn(&StateRow) -> Option<f64>| {
        rows.iter().filter_map(|r| of(r)).fold(1.0_f64, f64::max)
    };
    let (depth_most, momentum_most, spread_most) = (most(&depth), most(&momentum), most(&spread));
    let weight = |w: i64| to_feature(Decimal::from(w));
    let mut scored: Vec<(Symbol, i64)> = rows
        .iter()
        .map(|r| {
            let liquidity = depth(r).map_or(0.0, |d| d / depth_most);
            let trend = momentum(r).map_or(0.0, |m| m / momentum_most);
            let tightness = spread(r).map_or(0.0, |s| (1.0 - s / spread_most).clamp(0.0, 1.0));
            let score_x10000 = weight(config.rank_weight_liquidity_x10000) * liquidity
                + weight(config.rank_weight_momentum_x10000) * trend
                + weight(config.rank_weight_spread_x10000) * tightness;
            let rounded = from_feature(score_x10000, 0).unwrap_or(Decimal::ZERO);
            (r.symbol.clone(), i64::try_from(rounded).unwrap_or(0))
        })
        .collect();
    scored.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scored
}

/// Bias of a cell by its results, bps: −20 to +5. Results that are too old to count give none.
#[must_use]
pub fn bias_bps(cell: Option<&StrategyScoreRow>, now: UtcMicros) -> Decimal {
    let Some(cell) = cell else { return Decimal::ZERO };
    if cell.n <= Decimal::ZERO || cell::is_outdated(cell.updated_at, now) {
        return Decimal::ZERO;
    }
    let trust = cell.n / (cell.n + Decimal::from(20));
    let bias = trust * (cell.mean_net_bps - cell.mean_expected_bps);
    penstock_types::decimal::round_to(bias, 4)
        .clamp(Decimal::from(-20), Decimal::from(5))
        .normalize()
}

/// The cell lost too much lately: it is recorded, not traded.
#[must_use]
pub fn is_suspended(cell: Option<&StrategyScoreRow>, now: UtcMicros) -> bool {
    let end = cell.and_then(|c| cell::suspended_until(c.n, c.ewma_net_bps, c.updated_at));
    end.is_some_and(|end| now < end)
}

/// The cell of a strategy, regime and route.
#[must_use]
pub fn cell(
    scores: &[StrategyScoreRow],
    strategy: Strategy,
    regime: Regime,
    route: RouteType,
) -> Option<&StrategyScoreRow> {
    scores.iter().find(|c| c.strategy == strategy && c.regime == regime && c.route_type == route)
}

/// (adjusted edge − floor) · confidence · quality / √minutes, at the column's scale.
#[must_use]
pub fn score(
    surplus_bps: Decimal,
    confidence: Decimal,
    mode: EntryMode,
    l3_quality: f64,
    horizon: Horizon,
) -> Option<Decimal> {
    let uses_l3 = mode == EntryMode::Maker && l3_quality >= L3_QUALITY_MIN;
    let quality = if uses_l3 { 0.5 + 0.5 * l3_quality } else { 0.75 };
    let minutes = to_feature(Decimal::from(horizon.minutes()));
    let value = to_feature(surplus_bps) * to_feature(confidence) * quality / minutes.sqrt();
    from_feature(value, SCORE_SCALE)
}

/// What the total order of candidates looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankKey {
    /// Score.
    pub score: Decimal,
    /// Adjusted edge, bps.
    pub edge_adj_bps: Decimal,
    /// Average spread, bps.
    pub spread_bps: Decimal,
    /// Symbol.
    pub symbol: Symbol,
    /// Number of the candidate within its symbol: the last word among equals.
    pub ordinal: i64,
}

impl RankKey {
    /// Better first: score and edge descending, spread, symbol and ordinal ascending.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        other
            .score
            .cmp(&self.score)
            .then_with(|| other.edge_adj_bps.cmp(&self.edge_adj_bps))
            .then_with(|| self.spread_bps.cmp(&other.spread_bps))
            .then_with(|| self.symbol.cmp(&other.symbol))
            .then_with(|| self.ordinal.cmp(&other.ordinal))
    }
}
