//! The feature frame: what a tick's events and the rolling memory say about a token, as plain numbers.
//!
//! Input: filled by [`super::Features::extract`]. Output: raw material for tier, cost and scores.
//! Invariants: `None` is an input that is absent, stale or warming up, and counts as no evidence downstream;
//! it knows no threshold.

use penstock_types::engine_view::{Direction, DivergenceLabel, TokenFlags};

/// Features of a token in a tick. Units: Px 1e-10 quote, Ntl 1e-4 quote, Ratio 1e-8, Mult 1e-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureFrame {
    /// Traded notional of the tick, Ntl.
    pub trade_volume: i64,
    /// Bought less sold notional of the tick, Ntl.
    pub trade_delta: i64,
    /// Trades of the tick.
    pub trade_count: u32,
    /// Trades whose taker bought.
    pub buy_count: u32,
    /// Trades whose taker sold.
    pub sell_count: u32,
    /// Mean price of the tick's reference trades, Px.
    pub vwap: Option<i64>,
    /// Range of the tick's reference trades, Ratio.
    pub micro_range: i64,
    /// Best bid, Px; 0 before the first book.
    pub bid: i64,
    /// Best ask, Px; 0 before the first book.
    pub ask: i64,
    /// Middle of both, Px; 0 before the first book.
    pub mid: i64,
    /// Spread over the middle, Ratio; held when the book is stale, 0 before the first one.
    pub spread_pct: i64,
    /// Last mark price, Px; 0 before the first.
    pub mark: i64,
    /// Mark price against the middle, Ratio, signed.
    pub mark_vs_mid: Option<i64>,
    /// Middle of the spot book, Px; 0 before the first.
    pub spot_mid: i64,
    /// Middle against spot, Ratio, signed.
    pub basis: Option<i64>,
    /// Forced buys of the tick, Ntl.
    pub liq_buy: i64,
    /// Forced sells of the tick, Ntl.
    pub liq_sell: i64,
    /// Liquidations of a minute, Ntl.
    pub liq_s: i64,
    /// Liquidations over the volume of a minute, Ratio.
    pub liq_share: i64,
    /// Forced buys less forced sells over both, 1e-4, signed.
    pub liq_imbalance: i64,
    /// Open interest, base units; 0 until every instrument has reported.
    pub oi_total: i64,
    /// Its change in the tick.
    pub oi_delta: i64,
    /// Its relative change per second over 15 to 20 seconds, 1e-8.
    pub oi_velocity: Option<i64>,
    /// Its relative change over a minute, Ratio.
    pub oi_chg_60s: Option<i64>,
    /// Funding per eight hours, 1e-12, signed.
    pub funding: Option<i64>,
    /// Magnitude of `funding`.
    pub funding_abs: Option<i64>,
    /// Volume of 5 to 10 seconds, Ntl.
    pub vol_f: i64,
    /// Bought less sold of 5 to 10 seconds, Ntl.
    pub delta_f: i64,
    /// Volume of a minute, Ntl.
    pub vol_s: i64,
    /// Bought less sold of a minute, Ntl.
    pub delta_s: i64,
    /// The same of the spot instrument.
    pub spot_delta_s: i64,
    /// One-sidedness of the volume of 5 to 10 seconds, Ratio.
    pub delta_abs_ratio: i64,
    /// One-sidedness of the count of trades of 5 to 10 seconds, Ratio.
    pub aggression: i64,
    /// The last seconds go against the rest of the minute.
    pub delta_flip: bool,
    /// Range of 5 to 10 seconds, Ratio.
    pub range_f: i64,
    /// Range of a minute, Ratio.
    pub range_s: i64,
    /// Mean volume of the closed minutes, Ntl.
    pub base_vol: i64,
    /// Mean range of the closed minutes, Ratio.
    pub base_range: i64,
    /// Mean spread of the closed minutes, Ratio.
    pub base_spread: i64,
    /// Pace of volume over its baseline, Mult.
    pub vol_ratio: Option<i64>,
    /// Range of a minute over its baseline, Mult.
    pub range_ratio: Option<i64>,
    /// Range of the last seconds over the baseline of a minute, Mult.
    pub range_f_ratio: Option<i64>,
    /// Spread over its baseline, Mult.
    pub spread_ratio: Option<i64>,
    /// Side on which the structure leans.
    pub direction: Direction,
    /// Spot against derivative; observed only.
    pub divergence_label: DivergenceLabel,
    /// Flags that this layer produces.
    pub flags: TokenFlags,
}

#[cfg(test)]
impl FeatureFrame {
    /// Nothing is known: what the tests of the layers below begin with.
    pub(crate) const fn blank() -> Self {
        Self {
            trade_volume: 0,
            trade_delta: 0,
            trade_count: 0,
            buy_count: 0,
            sell_count: 0,
            vwap: None,
            micro_range: 0,
            bid: 0,
            ask: 0,
            mid: 0,
            spread_pct: 0,
            mark: 0,
            mark_vs_mid: None,
            spot_mid: 0,
            basis: None,
            liq_buy: 0,
            liq_sell: 0,
            liq_s: 0,
            liq_share: 0,
            liq_imbalance: 0,
            oi_total: 0,
            oi_delta: 0,
            oi_velocity: None,
            oi_chg_60s: None,
            funding: None,
            funding_abs: None,
            vol_f: 0,
            delta_f: 0,
            vol_s: 0,
            delta_s: 0,
            spot_delta_s: 0,
            delta_abs_ratio: 0,
            aggression: 0,
            delta_flip: false,
            range_f: 0,
            range_s: 0,
            base_vol: 0,
            base_range: 0,
            base_spread: 0,
            vol_ratio: None,
            range_ratio: None,
            range_f_ratio: None,
            spread_ratio: None,
            direction: Direction::Neutral,
            divergence_label: DivergenceLabel::None,
            flags: TokenFlags(0),
        }
    }
}
