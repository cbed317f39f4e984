//! The resting orders of the generated market on one side of one book.
//!
//! Input: the fair price, the exchange. Output: cancels and limit orders on the exchange.
//! Invariants: a slot's orders share one price; a bid is below the fair price and an ask above it
//! whenever a step has ended, so the two ladders never trade with each other; within ten basis
//! points there is on average three times the promised 50,000. It takes no liquidity.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use super::calibration::SPREAD_BPS;
use crate::exchange::{Exchange, OrderNo, Price, Qty, Side, SymbolNo};

/// Distances of the near slots from the fair price, basis points; the first is half the spread.
const NEAR_BPS: [f64; 13] =
    [SPREAD_BPS / 2.0, 1.35, 2.0, 2.7, 3.4, 4.1, 4.9, 5.7, 6.5, 7.3, 8.1, 8.7, 9.2];
/// Slots from 11 to 400 basis points: what a pulse runs through.
const FAR_SLOTS: usize = 28;
/// Slots from 400 to 3,000 basis points: what the deep subscriptions show.
const DEEP_SLOTS: usize = 62;
/// Median value of a near slot, quote units: thirteen of them hold about 150,000.
const NEAR_QUOTE: f64 = 10_500.0;
/// Median value of a far slot, quote units.
const FAR_QUOTE: f64 = 14_000.0;
/// Orders per slot; more are not added.
const ORDERS_LIMIT: usize = 4;
/// Nearer to the fair price than this share of half the spread, an order is pulled.
const NEAREST_BPS: f64 = 0.3;
/// A slot with less than this share of what it was placed with is placed anew.
const REFILL_SHARE: f64 = 0.4;

/// The scale of one pair, for conversions between ticks and logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Ticks per quote unit.
    pub(super) price: f64,
    /// Lots per base unit.
    pub(super) qty: f64,
}

#[derive(Debug, Clone)]
struct Slot {
    target_bps: f64,
    tolerance_bps: f64,
    median_quote: f64,
    ln: f64,
    placed: i64,
    orders: Vec<OrderNo>,
}

/// One side of the generated book.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    side: Side,
    slots: Vec<Slot>,
    /// Orders whose slots have been placed anew nearer to the market: they go at the next look.
    left_behind: Vec<OrderNo>,
    sizes: LogNormal<f64>,
    jitter: LogNormal<f64>,
}

/// What a ladder works with during one step.
pub(super) struct Desk<'a> {
    /// The exchange.
    pub(super) exchange: &'a mut Exchange,
    /// The pair.
    pub(super) symbol: SymbolNo,
    /// Its scale.
    pub(super) scale: Scale,
    /// Time stamp of the step, microseconds since the Unix epoch.
    pub(super) now_us: i64,
    /// The symbol's random source.
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl Ladder {
    /// An empty ladder; the first [`Self::requote`] fills it.
    pub(super) fn new(side: Side) -> Self {
        let near = NEAR_BPS.iter().enumerate().map(|(index, &bps)| {
            let tolerance = if index == 0 { 0.3 } else { 0.3 + bps * 0.1 };
            slot(bps, tolerance, NEAR_QUOTE)
        });
        let ratio = |from: f64, to: f64, count: usize| (to / from).powf(1.0 / count as f64);
        let geometric = |from: f64, to: f64, count: usize, tolerance: f64| {
            let step = ratio(from, to, count);
            (0..count).map(move |index| {
                let bps = from * step.powi(index as i32);
                slot(bps, bps * tolerance, FAR_QUOTE)
            })
        };
        let far = geometric(11.0, 400.0, FAR_SLOTS, 0.1);
        let deep = geometric(400.0, 3_000.0, DEEP_SLOTS, 0.3);
        Self {
            side,
            slots: near.chain(far).chain(deep).collect(),
            left_behind: Vec::new(),
            sizes: LogNormal::new(0.0, 0.45).expect("the deviation is finite and positive"),
            jitter: LogNormal::new(0.0, 0.08).expect("the deviation is finite and positive"),
        }
    }

    /// Pulls the orders that the fair price has come too near to or left too far behind: all that
    /// are too near or empty and the first slot, and at most `budget` of the others, so that a
    /// fast market leaves its far side behind for a moment as real ones do. What was left behind
    /// goes only at the look after the one that placed it anew: a market that rises shows the better
    /// bid first and then loses the older one, as recorded books do. Returns the pulled
    /// slots, which [`Self::place`] puts back; both ladders pull before either places.
    pub(super) fn pull(
        &mut self,
        desk: &mut Desk<'_>,
        fair_ln: f64,
        spread: f64,
        budget: usize,
    ) -> Vec<usize> {
        for no in self.left_behind.drain(..) {
            desk.exchange.flow_cancel(desk.symbol, no, desk.now_us);
        }
        // Nobody quotes the same price anew because it cannot be met more closely.
        let step_bps = 10_000.0 / (fair_ln.exp() * desk.scale.price);
        let mut pulled = Vec::new();
        let mut left = budget;
        for index in 0..self.slots.len() {
            let offset = self.offset(index, fair_ln);
            let slot = &self.slots[index];
            let away = offset - target_bps(slot, index, spread);
            let off = away.abs() > slot.tolerance_bps.max(step_bps);
            let must = slot.orders.is_empty() || offset < NEAREST_BPS || (index == 0 && off);
            if must || (off && left > 0) {
                if !must {
                    left -= 1;
                }
                pulled.push((index, away));
            }
        }
        // The farthest goes first: what was never the best price does not become it on its way out.
        for &(index, away) in pulled.iter().rev() {
            if away > 0.0 {
                self.left_behind.append(&mut self.slots[index].orders);
            } else {
                self.cancel(desk, index);
            }
        }
        pulled.into_iter().map(|(index, _)| index).collect()
    }

    /// Places the pulled slots at their distance from the fair price.
    pub(super) fn place(
        &mut self,
        desk: &mut Desk<'_>,
        fair_ln: f64,
        spread: f64,
        pulled: &[usize],
    ) {
        for &index in pulled {
            let jitter = self.jitter.sample(desk.rng);
            let size = self.sizes.sample(desk.rng);
            let slot = &mut self.slots[index];
            let away = target_bps(slot, index, spread) * jitter;
            let Some(price) = price_at(self.side, fair_ln, away, desk.scale) else { continue };
            slot.ln = (price.0 as f64 / desk.scale.price).ln();
            let base = slot.median_quote * size / slot.ln.exp();
            let lots = (base * desk.scale.qty).round().max(1.0) as i64;
            slot.placed = lots;
            let parts = if index < NEAR_BPS.len() { desk.rng.random_range(1..=3) } else { 1 };
            for part in 0..parts {
                let qty = if part + 1 == parts { lots - lots / parts * part } else { lots / parts };
                let placed =
                    desk.exchange.flow_limit(desk.symbol, self.side, price, Qty(qty), desk.now_us);
                slot.orders.extend(placed.resting);
            }
        }
    }

    /// Changes the size of one random near slot.
    pub(super) fn stir(&mut self, desk: &mut Desk<'_>) {
        let index = desk.rng.random_range(0..NEAR_BPS.len());
        let share = desk.rng.random_range(0.1..0.5);
        let grow = desk.rng.random_bool(0.5);
        self.refresh(desk, index);
        let slot = &mut self.slots[index];
        let Some(&front) = slot.orders.first() else { return };
        let Some((_, price, qty)) = desk.exchange.flow_order(desk.symbol, front) else { return };
        let change = Qty((qty.0 as f64 * share) as i64);
        if change.0 <= 0 {
            return;
        }
        if !grow {
            desk.exchange.flow_reduce(desk.symbol, front, change, desk.now_us);
        } else if slot.orders.len() < ORDERS_LIMIT {
            let placed =
                desk.exchange.flow_limit(desk.symbol, self.side, price, change, desk.now_us);
            slot.orders.extend(placed.resting);
        }
    }

    /// Looks at the first `count` slots after trades: what has been taken is forgotten, and a slot
    /// with little left is emptied, so that the next step places it anew.
    pub(super) fn refresh_near(&mut self, desk: &mut Desk<'_>) {
        for index in 0..NEAR_BPS.len() {
            self.refresh(desk, index);
        }
    }

    fn refresh(&mut self, desk: &mut Desk<'_>, index: usize) {
        let (exchange, symbol) = (&*desk.exchange, desk.symbol);
        let slot = &mut self.slots[index];
        let mut left = 0;
        slot.orders.retain(|&no| {
            let found = exchange.flow_order(symbol, no);
            left += found.map_or(0, |(_, _, qty)| qty.0);
            found.is_some()
        });
        if (left as f64) < slot.placed as f64 * REFILL_SHARE {
            self.cancel(desk, index);
        }
    }

    fn cancel(&mut self, desk: &mut Desk<'_>, index: usize) {
        for no in self.slots[index].orders.drain(..) {
            desk.exchange.flow_cancel(desk.symbol, no, desk.now_us);
        }
    }

    /// Distance of a slot from the fair price, basis points; positive on its own side.
    fn offset(&self, index: usize, fair_ln: f64) -> f64 {
        let above = (self.slots[index].ln - fair_ln) * 10_000.0;
        match self.side {
            Side::Sell => above,
            Side::Buy => -above,
        }
    }
}

/// Where a slot belongs when spreads are so many times the usual ones: near slots go with them.
fn target_bps(slot: &Slot, index: usize, spread: f64) -> f64 {
    if index < NEAR_BPS.len() { slot.target_bps * spread } else { slot.target_bps }
}

fn slot(target_bps: f64, tolerance_bps: f64, median_quote: f64) -> Slot {
    Slot { target_bps, tolerance_bps, median_quote, ln: 0.0, placed: 0, orders: Vec::new() }
}

/// The tick nearest to a distance from the fair price that is still on its side of it. `None`
/// when that is not a positive price.
fn price_at(side: Side, fair_ln: f64, offset_bps: f64, scale: Scale) -> Option<Price> {
    let fair = fair_ln.exp() * scale.price;
    let away = offset_bps / 10_000.0;
    let ticks = match side {
        Side::Buy => (fair * (-away).exp()).round().min(fair.ceil() - 1.0),
        Side::Sell => (fair * away.exp()).round().max(fair.floor() + 1.0),
    };
    (ticks >= 1.0).then_some(Price(ticks as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_stays_on_its_side_of_the_fair_price() {
        let scale = Scale { price: 100.0, qty: 1e8 };
        for cents in [17_142.0_f64, 17_142.4, 17_142.6] {
            let fair_ln = (cents / 100.0).ln();
            for bps in [0.01, 0.3, 0.75, 5.0] {
                let bid = price_at(Side::Buy, fair_ln, bps, scale).expect("a bid");
                let ask = price_at(Side::Sell, fair_ln, bps, scale).expect("an ask");
                assert!(bid < ask, "{cents} {bps}: {bid:?} {ask:?}");
                assert!(bid.0 as f64 <= cents + 1e-6 && ask.0 as f64 >= cents - 1e-6);
            }
        }
        assert_eq!(price_at(Side::Buy, (0.001_f64).ln(), 5.0, scale), None);
    }
}
