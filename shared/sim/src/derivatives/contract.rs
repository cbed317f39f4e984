//! One contract: its book, its trades, and what the venue says about it every second.
//!
//! Inputs: the spot price, the mood, market time. Output: a list of what happened, in order, for
//! the sockets. Invariants: numbers of trades are contiguous; every change of a level has a number
//! above the one before; open interest falls by what is liquidated and is never negative. Sums of a
//! day begin with what the day before is said to have traded.

use super::book::{LevelBook, Step};
use super::spec::Spec;
use crate::exchange::Side;
use crate::generator::Mood;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, LogNormal, StandardNormal};
use std::collections::VecDeque;

/// Mean time between looks of a book at the fair price, seconds: twenty changes a second, the
/// recorded rate of Kraken Futures.
const STEP_MEAN_S: f64 = 0.08;
/// Shortest and longest time between two looks, µs.
const STEP_US: (i64, i64) = (4_000, 500_000);
/// Sweeps per second relative to the spot market.
const SWEEP_SHARE: f64 = 1.0;
/// Share of liquidations from which on it is kept and not left to chance.
const KEPT_SHARE_MIN: f64 = 0.01;
/// Least size of a sweep that makes up for the share, quote units: about one a second in a cascade, so that a stream
/// that shows one a second shows nearly all.
const FORCED_QUOTE_MIN: f64 = 2_500.0;
/// Median and dispersion of a sweep, dollars, and its largest value.
const SWEEP_QUOTE: (f64, f64, f64) = (800.0, 1.6, 60_000.0);
/// Trades that are kept for REST and snapshots.
pub(crate) const PRINTS_LIMIT: usize = 2_000;
/// Relative open interest per dollar of the day's volume.
const OI_SHARE: f64 = 0.2;

/// One trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Print {
    /// Contiguous per contract, from 1.
    pub id: u64,
    /// Number of the taker's order; prints of one sweep share it.
    pub sweep: u64,
    /// Time, µs since the Unix epoch.
    pub ts_us: i64,
    /// Side of the taker.
    pub taker: Side,
    /// Price in ticks.
    pub ticks: i64,
    /// Quantity in lots.
    pub lots: i64,
    /// The taker was liquidated.
    pub liquidation: bool,
}

/// One liquidation order.
#[derive(Clone, Debug, PartialEq)]
pub struct Liquidation {
    /// Time, µs since the Unix epoch.
    pub ts_us: i64,
    /// Side of the order: sell closes a long position.
    pub side: Side,
    /// Price of the order in ticks (where the position would have been bankrupt).
    pub order_ticks: i64,
    /// Volume-weighted price, dollars.
    pub average: f64,
    /// Quantity of the order in lots.
    pub lots: i64,
    /// What was filled of it.
    pub filled: i64,
}

/// What happened, for the sockets.
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    /// A level has a new total (0: it is gone).
    Level {
        /// Number of the change.
        id: u64,
        /// When, µs since the Unix epoch.
        ts_us: i64,
        /// Side.
        side: Side,
        /// Price.
        ticks: i64,
        /// Total.
        lots: i64,
        /// Best bid and ask after the whole step.
        top: [i64; 4],
    },
    /// A trade.
    Print(Print),
    /// A liquidation; its trades stand before it.
    Liquidation(Liquidation),
    /// A second has passed: mark, index, funding and open interest are new.
    Second {
        /// When, µs since the Unix epoch.
        ts_us: i64,
    },
}

/// One contract.
#[derive(Debug)]
pub struct Contract {
    /// What it is.
    pub spec: Spec,
    /// Its book.
    pub book: LevelBook,
    /// Newest trades, oldest first.
    pub prints: VecDeque<Print>,
    /// Number of the newest change of a level.
    pub update_id: u64,
    /// Number of the newest trade.
    pub last_trade_id: u64,
    /// Open interest in lots.
    pub open_interest: i64,
    /// Funding rate, fraction of the notional per eight hours.
    pub funding_8h: f64,
    /// Mark price, dollars.
    pub mark: f64,
    /// Index price, dollars.
    pub index: f64,
    /// First, highest, lowest and last price of the day, ticks.
    pub day: [i64; 4],
    /// Lots traded in a day.
    pub day_lots: i64,
    /// Dollars traded in a day.
    pub day_quote: f64,
    /// Time of the newest change, µs since the Unix epoch.
    pub ts_us: i64,
    pub(super) pending: Vec<Pending>,
    pub(super) step_due_us: i64,
    pub(super) trade_due_us: i64,
    pub(super) second_due_us: i64,
    /// Numbers of changes count up by up to this much: on a venue that numbers all its books
    /// together a single book sees jumps.
    id_stride: u64,
    basis_bps: f64,
    mark_over_mid: f64,
    liquidated: i64,
    sweeps: u64,
    last_side: Side,
    /// What forced sweeps are behind the script's share, quote units.
    owed_quote: f64,
    rng: ChaCha8Rng,
    gaps: Gamma<f64>,
    sizes: LogNormal<f64>,
}

impl Contract {
    /// A contract of a venue; `stream` tells its random numbers from all others.
    pub(super) fn new(spec: Spec, seed: u64, stream: u64, id_stride: u64, ts_us: i64) -> Contract {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let price = spec.start_price;
        let open = (price * spec.price_scale()).round() as i64;
        let lots = |quote: f64| (quote * spec.lots_per_quote(price)).round() as i64;
        let shape = 0.35;
        Contract {
            book: LevelBook::new(),
            prints: VecDeque::new(),
            // Books and trades of a venue that has run for years.
            update_id: 1_000_000 + rng.random_range(0..1_000_000),
            last_trade_id: 0,
            open_interest: lots(spec.day_volume_quote * OI_SHARE).max(1_000),
            funding_8h: 0.0001,
            mark: price,
            index: price,
            day: [open, open, open, open],
            day_lots: lots(spec.day_volume_quote),
            day_quote: spec.day_volume_quote,
            ts_us,
            pending: Vec::new(),
            step_due_us: 0,
            trade_due_us: rng.random_range(200_000..2_000_000),
            second_due_us: rng.random_range(0..1_000_000),
            id_stride,
            basis_bps: rng.random_range(-1.0..3.0),
            mark_over_mid: 0.0,
            liquidated: 0,
            sweeps: 0,
            last_side: Side::Buy,
            owed_quote: 0.0,
            gaps: Gamma::new(shape, 1.0 / shape).expect("shape and scale are positive"),
            sizes: LogNormal::new(SWEEP_QUOTE.0.ln(), SWEEP_QUOTE.1)
                .expect("the deviation is finite and positive"),
            rng,
            spec,
        }
    }

    /// Market time of the next thing that happens.
    pub(super) fn due_us(&self) -> i64 {
        self.step_due_us.min(self.trade_due_us).min(self.second_due_us)
    }

    /// Everything that is due comes so much later.
    pub(super) fn delay(&mut self, by_us: i64) {
        for due_us in [&mut self.step_due_us, &mut self.trade_due_us, &mut self.second_due_us] {
            *due_us = due_us.saturating_add(by_us);
        }
    }

    /// What has happened since the last call.
    pub(crate) fn take_pending(&mut self) -> Vec<Pending> {
        std::mem::take(&mut self.pending)
    }

    /// Middle of the book, dollars.
    #[must_use]
    pub fn mid(&self) -> Option<f64> {
        let ((bid, _), (ask, _)) = self.book.top()?;
        Some((bid + ask) as f64 / 2.0 / self.spec.price_scale())
    }

    /// Does the one thing that is due. `spot` is the middle of the spot book.
    pub(super) fn run(&mut self, due_us: i64, ts_us: i64, spot: f64, mood: &Mood, rate: f64) {
        self.ts_us = ts_us;
        self.index = spot;
        if self.step_due_us <= due_us {
            let gap_us = self.gaps.sample(&mut self.rng) * STEP_MEAN_S * 1e6 / rate;
            self.step_due_us = due_us + (gap_us as i64).clamp(STEP_US.0, STEP_US.1);
            self.step(spot, mood);
        } else if self.trade_due_us <= due_us {
            let per_s = (mood.sweeps_per_s * SWEEP_SHARE * rate).max(1e-3);
            let gap_us = self.gaps.sample(&mut self.rng).min(8.0) / per_s * 1e6;
            self.trade_due_us = due_us + (gap_us as i64).max(1_000);
            self.trade(mood);
        } else {
            self.second_due_us = due_us + 1_000_000;
            self.second(mood);
        }
    }

    fn step(&mut self, spot: f64, mood: &Mood) {
        let noise: f64 = StandardNormal.sample(&mut self.rng);
        // Longs that pay much funding hold the price above the index.
        let towards = 1.0 + mood.funding_8h * 6_000.0;
        self.basis_bps += 0.02 * (towards - self.basis_bps) + 0.08 * noise;
        let fair = spot * (1.0 + self.basis_bps / 10_000.0);
        let mut step = Step {
            fair_ticks: fair * self.spec.price_scale(),
            lots_per_quote: self.spec.lots_per_quote(fair),
            spread: mood.spread,
            rng: &mut self.rng,
        };
        self.book.step(&mut step);
        self.note_levels();
    }

    fn note_levels(&mut self) {
        let changes = self.book.take_changes();
        let Some((bid, ask)) = self.book.top() else { return };
        let top = [bid.0, bid.1, ask.0, ask.1];
        for (side, ticks, lots) in changes {
            self.update_id += self.rng.random_range(1..=self.id_stride);
            let (id, ts_us) = (self.update_id, self.ts_us);
            self.pending.push(Pending::Level { id, ts_us, side, ticks, lots, top });
        }
    }

    /// Whether a sweep of this size is a forced one. A share that the script names is kept: with sizes whose tail is
    /// so heavy, chance leaves half of it in one minute and twice of it in the next.
    fn is_liquidation(&mut self, share: f64, quote: f64, chance: bool) -> bool {
        if share < KEPT_SHARE_MIN {
            self.owed_quote = 0.0;
            return chance;
        }
        self.owed_quote += share * quote;
        let fits = (FORCED_QUOTE_MIN..=self.owed_quote).contains(&quote);
        if fits {
            self.owed_quote -= quote;
        }
        fits
    }

    fn trade(&mut self, mood: &Mood) {
        let chance = self.rng.random_bool(mood.liquidation_share.clamp(0.0, 1.0));
        let quote = self.sizes.sample(&mut self.rng).clamp(20.0, SWEEP_QUOTE.2);
        let liquidation = self.is_liquidation(mood.liquidation_share, quote, chance);
        let again = self.rng.random_bool(crate::generator::calibration::SAME_SIDE);
        let falling = mood.buy_share.is_none_or(|share| share <= 0.5);
        let side = match mood.buy_share {
            _ if liquidation && falling => Side::Sell,
            Some(share) if self.rng.random_bool(share) => Side::Buy,
            Some(_) => Side::Sell,
            None if again => self.last_side,
            None => self.last_side.opposite(),
        };
        self.last_side = side;
        let Some(mid) = self.mid() else { return };
        let lots = ((quote * self.spec.lots_per_quote(mid)).round() as i64).max(1);
        let taken = self.book.take(side, lots, 30.0);
        let filled: i64 = taken.iter().map(|(_, lots)| lots).sum();
        if filled == 0 {
            return;
        }
        self.sweeps += 1;
        let mut value = 0.0;
        for (ticks, lots) in taken {
            value += ticks as f64 / self.spec.price_scale() * lots as f64;
            self.print(side, ticks, lots, liquidation);
        }
        if liquidation {
            self.open_interest = (self.open_interest - filled).max(0);
            self.liquidated += filled;
            // The order stands where the position would be bankrupt, some way beyond the market.
            let beyond = match side {
                Side::Sell => 0.995,
                Side::Buy => 1.005,
            };
            self.pending.push(Pending::Liquidation(Liquidation {
                ts_us: self.ts_us,
                side,
                order_ticks: (mid * beyond * self.spec.price_scale()).round() as i64,
                average: value / filled as f64,
                lots,
                filled,
            }));
        }
        self.note_levels();
    }

    fn print(&mut self, taker: Side, ticks: i64, lots: i64, liquidation: bool) {
        self.last_trade_id += 1;
        let (id, sweep, ts_us) = (self.last_trade_id, self.sweeps, self.ts_us);
        let print = Print { id, sweep, ts_us, taker, ticks, lots, liquidation };
        self.day[1] = self.day[1].max(ticks);
        self.day[2] = self.day[2].min(ticks);
        self.day[3] = ticks;
        self.day_lots += lots;
        let price = ticks as f64 / self.spec.price_scale();
        self.day_quote += lots as f64 / self.spec.lots_per_quote(price);
        if self.prints.len() == PRINTS_LIMIT {
            self.prints.pop_front();
        }
        self.prints.push_back(print.clone());
        self.pending.push(Pending::Print(print));
    }

    fn second(&mut self, mood: &Mood) {
        let noise: f64 = StandardNormal.sample(&mut self.rng);
        // What was liquidated is part of the script's change and not added to it.
        let before = (self.open_interest + self.liquidated) as f64;
        let wanted = (before * (1.0 + mood.oi_per_min / 60.0 + 5e-6 * noise)).round() as i64;
        let closing = mood.oi_per_min < 0.0;
        let limit = if closing { self.open_interest } else { i64::MAX };
        self.open_interest = wanted.clamp(0, limit);
        self.liquidated = 0;
        let noise: f64 = StandardNormal.sample(&mut self.rng);
        self.funding_8h += 0.2 * (mood.funding_8h - self.funding_8h) + 4e-7 * noise;
        let noise: f64 = StandardNormal.sample(&mut self.rng);
        self.mark_over_mid += 0.4 * (mood.mark_over_mid - self.mark_over_mid) + 2e-6 * noise;
        let mid = self.mid().unwrap_or(self.index);
        self.mark = mid * (1.0 + self.mark_over_mid);
        self.pending.push(Pending::Second { ts_us: self.ts_us });
    }
}
