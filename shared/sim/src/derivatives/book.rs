//! A book of levels that follows a fair price.
//!
//! Input: the fair price in ticks, a random source, takers. Output: levels with their totals, what
//! was taken, which levels changed. Invariants: bids are below the fair price of the last step and
//! asks above it, so the book is never crossed; a level's total is the sum of its slots and never
//! zero. It has no single orders.

use crate::exchange::Side;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use std::collections::{BTreeMap, BTreeSet};

/// Distances of the near slots from the fair price, basis points; the first is half the spread.
const NEAR_BPS: [f64; 10] = [0.5, 1.0, 1.6, 2.3, 3.1, 4.0, 5.0, 6.2, 7.6, 9.2];
/// Slots from 11 to 500 basis points.
const FAR_SLOTS: usize = 30;
/// Median value of a near slot, dollars.
const NEAR_QUOTE: f64 = 25_000.0;
/// Median value of a far slot, dollars.
const FAR_QUOTE: f64 = 40_000.0;
/// Nearer to the fair price than this, a level is pulled.
const NEAREST_BPS: f64 = 0.1;
/// Slots that a step may move because they were left behind.
const BUDGET: usize = 1;

/// Totals per price in ticks.
pub type Levels = BTreeMap<i64, i64>;

#[derive(Clone, Debug)]
struct Slot {
    target_bps: f64,
    quote: f64,
    ticks: i64,
    lots: i64,
}

/// What a step knows.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) fair_ticks: f64,
    pub(super) lots_per_quote: f64,
    pub(super) spread: f64,
    pub(super) rng: &'a mut ChaCha8Rng,
}

/// Both sides.
#[derive(Clone, Debug)]
pub struct LevelBook {
    bids: Vec<Slot>,
    asks: Vec<Slot>,
    bid_levels: Levels,
    ask_levels: Levels,
    touched: BTreeSet<(Side, i64)>,
    sizes: LogNormal<f64>,
}

impl LevelBook {
    pub(super) fn new() -> LevelBook {
        let slot = |target_bps: f64, quote: f64| Slot { target_bps, quote, ticks: 0, lots: 0 };
        let step = (500.0_f64 / 11.0).powf(1.0 / FAR_SLOTS as f64);
        let near = NEAR_BPS.iter().map(|bps| slot(*bps, NEAR_QUOTE));
        let far = (0..FAR_SLOTS).map(|no| slot(11.0 * step.powi(no as i32), FAR_QUOTE));
        let slots: Vec<Slot> = near.chain(far).collect();
        LevelBook {
            bids: slots.clone(),
            asks: slots,
            bid_levels: Levels::new(),
            ask_levels: Levels::new(),
            touched: BTreeSet::new(),
            sizes: LogNormal::new(0.0, 0.5).expect("the deviation is finite and positive"),
        }
    }

    /// Bids per price in ticks.
    #[must_use]
    pub fn bids(&self) -> &Levels {
        &self.bid_levels
    }

    /// Asks per price in ticks.
    #[must_use]
    pub fn asks(&self) -> &Levels {
        &self.ask_levels
    }

    /// Best bid and ask with their totals.
    #[must_use]
    pub fn top(&self) -> Option<((i64, i64), (i64, i64))> {
        let bid = self.bid_levels.last_key_value()?;
        let ask = self.ask_levels.first_key_value()?;
        Some(((*bid.0, *bid.1), (*ask.0, *ask.1)))
    }

    /// Levels that changed since the last call, with their totals now.
    pub(super) fn take_changes(&mut self) -> Vec<(Side, i64, i64)> {
        let touched = std::mem::take(&mut self.touched);
        let total = |(side, ticks): (Side, i64)| {
            let levels = match side {
                Side::Buy => &self.bid_levels,
                Side::Sell => &self.ask_levels,
            };
            (side, ticks, levels.get(&ticks).copied().unwrap_or(0))
        };
        touched.into_iter().map(total).collect()
    }

    /// The levels follow the fair price, and a size near the top changes.
    pub(super) fn step(&mut self, step: &mut Step<'_>) {
        for side in [Side::Buy, Side::Sell] {
            let mut left = BUDGET;
            for index in 0..self.slots(side).len() {
                let slot = &self.slots(side)[index];
                let near = index < NEAR_BPS.len();
                let target = if near { slot.target_bps * step.spread } else { slot.target_bps };
                let away = match side {
                    Side::Buy => 1.0 - slot.ticks as f64 / step.fair_ticks,
                    Side::Sell => slot.ticks as f64 / step.fair_ticks - 1.0,
                } * 10_000.0;
                let tick_bps = 10_000.0 / step.fair_ticks;
                let off = (away - target).abs() > 0.25 + 0.12 * target + tick_bps;
                let must = slot.lots == 0 || away < NEAREST_BPS || (index == 0 && off);
                if must || (off && left > 0) {
                    left -= usize::from(!must);
                    self.put(side, index, target, step);
                }
            }
        }
        let side = if step.rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        let index = step.rng.random_range(0..NEAR_BPS.len());
        let change = step.rng.random_range(0.6..1.6);
        let slot = &self.slots(side)[index];
        let lots = ((slot.lots as f64 * change).round() as i64).max(1);
        let (ticks, by) = (slot.ticks, lots - slot.lots);
        self.slots_mut(side)[index].lots = lots;
        self.add(side, ticks, by);
    }

    fn put(&mut self, side: Side, index: usize, target_bps: f64, step: &mut Step<'_>) {
        let jitter = step.rng.random_range(0.9..1.1);
        let size = self.sizes.sample(step.rng);
        let fair = step.fair_ticks;
        let away = target_bps * jitter / 10_000.0;
        let ticks = match side {
            Side::Buy => (fair * (-away).exp()).round().min(fair.ceil() - 1.0),
            Side::Sell => (fair * away.exp()).round().max(fair.floor() + 1.0),
        };
        let slot = &self.slots(side)[index];
        let (old_ticks, old_lots) = (slot.ticks, slot.lots);
        let lots = ((slot.quote * size * step.lots_per_quote).round() as i64).max(1);
        let ticks = (ticks as i64).max(1);
        self.add(side, old_ticks, -old_lots);
        self.add(side, ticks, lots);
        let slot = &mut self.slots_mut(side)[index];
        (slot.ticks, slot.lots) = (ticks, lots);
    }

    /// Takes up to `lots` from the best opposite levels, as far as they are no more than
    /// `reach_bps` beyond the best; what was taken at which price, best first.
    pub(super) fn take(&mut self, taker: Side, lots: i64, reach_bps: f64) -> Vec<(i64, i64)> {
        let maker = taker.opposite();
        let mut left = lots;
        let mut taken = Vec::new();
        let mut limit = None;
        while left > 0 {
            let best = match maker {
                Side::Buy => self.bid_levels.last_key_value(),
                Side::Sell => self.ask_levels.first_key_value(),
            };
            let Some((&ticks, &total)) = best else { break };
            let reach = *limit.get_or_insert(ticks as f64 * reach_bps / 10_000.0);
            let first = taken.first().map_or(ticks, |(first, _)| *first);
            if (ticks - first).abs() as f64 > reach {
                break;
            }
            let part = left.min(total);
            left -= part;
            taken.push((ticks, part));
            self.reduce(maker, ticks, part);
        }
        taken
    }

    fn reduce(&mut self, side: Side, ticks: i64, lots: i64) {
        let mut left = lots;
        for slot in self.slots_mut(side).iter_mut().filter(|slot| slot.ticks == ticks) {
            let part = left.min(slot.lots);
            slot.lots -= part;
            left -= part;
        }
        self.add(side, ticks, -lots);
    }

    fn add(&mut self, side: Side, ticks: i64, lots: i64) {
        if lots == 0 {
            return;
        }
        let levels = match side {
            Side::Buy => &mut self.bid_levels,
            Side::Sell => &mut self.ask_levels,
        };
        let total = levels.entry(ticks).or_default();
        *total += lots;
        if *total <= 0 {
            levels.remove(&ticks);
        }
        self.touched.insert((side, ticks));
    }

    fn slots(&self, side: Side) -> &[Slot] {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn slots_mut(&mut self, side: Side) -> &mut [Slot] {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_book_is_never_crossed_and_totals_are_sums_of_slots() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut book = LevelBook::new();
        let mut fair = 100_000.0;
        for round in 0..3_000 {
            fair *= 1.0 + rng.random_range(-0.0004..0.0004);
            let spread = if round % 50 > 40 { 5.0 } else { 1.0 };
            let mut step = Step { fair_ticks: fair, lots_per_quote: 0.1, spread, rng: &mut rng };
            book.step(&mut step);
            let ((bid, _), (ask, _)) = book.top().expect("both sides");
            assert!(bid < ask, "{round}: {bid} {ask}");
            let taken = book.take(Side::Sell, 4_000, 50.0);
            assert!(taken.windows(2).all(|pair| pair[0].0 > pair[1].0));
            for (side, levels) in [(Side::Buy, book.bids()), (Side::Sell, book.asks())] {
                for (ticks, total) in levels {
                    let of_level = book.slots(side).iter().filter(|slot| slot.ticks == *ticks);
                    assert_eq!(of_level.map(|slot| slot.lots).sum::<i64>(), *total);
                }
            }
        }
    }
}
