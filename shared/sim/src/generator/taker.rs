//! Takers of the generated market: when they come, on which side, how much they take.
//!
//! Input: the phase of the symbol, its rates, its book. Output: market orders and limit orders that cross.
//! Invariants: in a pulse everybody trades with it; at rest the side repeats with the recorded
//! probability; a taker never leaves an order behind. It does not quote.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, LogNormal};

use super::calibration::{
    MARKET_ORDER_SHARE, SAME_SIDE, SWEEP_GAP_CV, TRADE_LN_SD, TRADE_MAX_QUOTE, TRADE_MEDIAN_QUOTE,
};
use super::ladder::Desk;
use super::pulses::Phase;
use crate::exchange::{Price, Qty, Side};

/// Smallest sweep, quote units: below the venue's order minimum nobody can trade.
const TRADE_MIN_QUOTE: f64 = 10.0;
/// Longest gap between sweeps, in mean gaps.
const GAP_MAX: f64 = 6.0;
/// A crossing limit order reaches this far beyond the best price, basis points.
const REACH_BPS: f64 = 8.0;

/// How much of the account's order such a taker takes.
const PART_SHARE: std::ops::Range<f64> = 0.2..0.8;

/// The takers of one symbol.
#[derive(Debug)]
pub(super) struct Taker {
    last: Side,
    gaps: Gamma<f64>,
    sizes: LogNormal<f64>,
}

impl Taker {
    /// Takers with the shapes of the calibration.
    pub(super) fn new() -> Self {
        let shape = 1.0 / (SWEEP_GAP_CV * SWEEP_GAP_CV);
        let sizes = LogNormal::new(TRADE_MEDIAN_QUOTE.ln(), TRADE_LN_SD);
        Self {
            last: Side::Buy,
            gaps: Gamma::new(shape, 1.0 / shape).expect("shape and scale are positive"),
            sizes: sizes.expect("the deviation is finite and positive"),
        }
    }

    /// Time to the next sweep, microseconds of market time.
    pub(super) fn gap_us(&self, sweeps_per_s: f64, rng: &mut ChaCha8Rng) -> i64 {
        let gap = self.gaps.sample(rng).min(GAP_MAX) / sweeps_per_s;
        ((gap * 1e6) as i64).max(1_000)
    }

    /// One sweep; its side, `None` when nothing traded.
    pub(super) fn take(
        &mut self,
        phase: Phase,
        buy_share: Option<f64>,
        split_share: f64,
        desk: &mut Desk<'_>,
    ) -> Option<Side> {
        let again = desk.rng.random_bool(SAME_SIDE);
        let quote = self.sizes.sample(desk.rng).clamp(TRADE_MIN_QUOTE, TRADE_MAX_QUOTE);
        let market_order = desk.rng.random_bool(MARKET_ORDER_SHARE);
        let side = match phase {
            Phase::Rise => Side::Buy,
            Phase::Fall => Side::Sell,
            Phase::Story(_) if buy_share.is_some_and(|share| !desk.rng.random_bool(share)) => {
                Side::Sell
            }
            Phase::Story(_) if buy_share.is_some() => Side::Buy,
            Phase::Rest | Phase::Story(_) if again => self.last,
            Phase::Rest | Phase::Story(_) => self.last.opposite(),
        };
        self.last = side;
        let best = desk.exchange.market(desk.symbol).book.best(side.opposite())?.0;
        let price = best.0 as f64 / desk.scale.price;
        let qty = Qty((quote / price * desk.scale.qty).round().max(1.0) as i64);
        let qty = split(qty, side, split_share, desk);
        let filled = if market_order {
            desk.exchange.flow_market(desk.symbol, side, qty, desk.now_us)
        } else {
            let reach = 1.0 + REACH_BPS / 10_000.0;
            let limit = match side {
                Side::Buy => Price((best.0 as f64 * reach).ceil() as i64),
                Side::Sell => Price(((best.0 as f64 / reach).floor() as i64).max(1)),
            };
            let placed = desk.exchange.flow_limit(desk.symbol, side, limit, qty, desk.now_us);
            if let Some(rest) = placed.resting {
                desk.exchange.flow_cancel(desk.symbol, rest, desk.now_us);
            }
            placed.filled
        };
        (!filled.is_zero()).then_some(side)
    }
}

/// What a taker wants when a share of them stops within the account's order. The dice fall whether there
/// is such an order or not, so that the flow does not depend on the account.
fn split(qty: Qty, side: Side, share: f64, desk: &mut Desk<'_>) -> Qty {
    if share <= 0.0 {
        return qty;
    }
    let stops = desk.rng.random_bool(share);
    let part = desk.rng.random_range(PART_SHARE);
    if stops { desk.exchange.up_to_account(desk.symbol, side, qty, part) } else { qty }
}
