//! The generated market: seeded, deterministic order flow on the exchange.
//!
//! Inputs: a seed, the listed pairs, market time (microseconds since the generator opened). Output:
//! orders and trades on the exchange. Invariants: one seed gives one flow, whatever the wall clock
//! and however the time is cut into calls; a symbol's flow does not depend on how many others are
//! listed; the account's orders change the book but not the fair price. It sends nothing to
//! sockets and reads no clock.

pub mod calibration;
mod fair;
mod ladder;
pub mod measure;
mod pulses;
mod shift;
mod story;
mod taker;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use pulses::{Phase, Pulse, Schedule};
pub use story::{Mood, Segment, Story};

use calibration::{QUOTE_STEP_BPS, STEP_MEAN_S, UPDATE_GAP_CV};
use fair::FairPrice;
use ladder::{Desk, Ladder, Scale};
use shift::Shifts;
use taker::Taker;

use crate::exchange::{Exchange, Side, SymbolNo};
use crate::instruments::{Catalog, SCENARIO_PAIRS};

/// Which script runs over the background market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scenario {
    /// None.
    Calm,
    /// Pulses, clocked from [`Generator::start_scenario`].
    Pulses,
    /// Pump, stacking, tension, cascade, clocked from the same call.
    Cascade(Story),
}

/// How time maps to the exchange's stamps.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Microseconds since the Unix epoch at market time 0.
    pub start_us: i64,
    /// Market seconds per second.
    pub speed: f64,
}

impl Clock {
    pub(crate) fn stamp(&self, market_us: i64) -> i64 {
        self.start_us + (market_us as f64 / self.speed) as i64
    }
}

/// Shortest time between two looks of a symbol, microseconds.
const STEP_MIN_US: i64 = 2_000;
/// Longest time between two looks: quotes older than this would not be quotes.
const STEP_MAX_US: i64 = 400_000;
/// Share of looks that also change a size near the top, per side.
const STIR_SHARE: f64 = 0.9;
/// Slots that a look may move because they were left behind, at rest and in a pulse.
const BUDGET: (usize, usize) = (2, 6);

#[derive(Debug)]
struct Flow {
    symbol: SymbolNo,
    scale: Scale,
    rng: ChaCha8Rng,
    fair: FairPrice,
    /// Logarithm of the price around which the quotes stand: they follow the fair price in steps.
    quoted_ln: f64,
    bids: Ladder,
    asks: Ladder,
    taker: Taker,
    phase: Phase,
    step_due_us: i64,
    trade_due_us: i64,
}

/// The generated market.
#[derive(Debug)]
pub struct Generator {
    flows: Vec<Flow>,
    schedule: Schedule,
    scenario: Scenario,
    scenario_from_us: Option<i64>,
    gaps: Gamma<f64>,
    clock: Clock,
    rate: f64,
    shifts: Shifts,
    split_share: f64,
    /// When each flow is due, earliest first.
    due: BinaryHeap<Reverse<(i64, usize)>>,
}

impl Generator {
    /// A generator for every pair of the catalog, whose numbers are those of the exchange.
    pub fn new(catalog: &Catalog, seed: u64, scenario: Scenario, clock: Clock) -> Self {
        let flows = catalog.listings().iter().enumerate().map(|(index, listing)| {
            let one = &listing.instrument;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(index as u64 + 1);
            let start = rust_decimal::prelude::ToPrimitive::to_f64(&listing.start_price);
            let fair = FairPrice::new(start.unwrap_or(1.0).max(f64::MIN_POSITIVE));
            Flow {
                symbol: SymbolNo(index),
                scale: Scale {
                    price: 10f64.powi(one.price_decimals as i32),
                    qty: 10f64.powi(one.qty_decimals as i32),
                },
                quoted_ln: fair.ln(0.0),
                fair,
                bids: Ladder::new(Side::Buy),
                asks: Ladder::new(Side::Sell),
                taker: Taker::new(),
                phase: Phase::Rest,
                step_due_us: 0,
                trade_due_us: 500_000 + 30_000 * index as i64,
                rng,
            }
        });
        let shape = 1.0 / (UPDATE_GAP_CV * UPDATE_GAP_CV);
        let flows: Vec<Flow> = flows.collect();
        let due = flows.iter().enumerate().map(|(index, flow)| Reverse((flow.due_us(), index)));
        Self {
            due: due.collect(),
            rate: 1.0,
            shifts: Shifts::new(flows.len()),
            split_share: 0.0,
            schedule: Schedule::new(seed, flows.len().min(SCENARIO_PAIRS)),
            flows,
            scenario,
            scenario_from_us: None,
            gaps: Gamma::new(shape, STEP_MEAN_S / shape).expect("shape and scale are positive"),
            clock,
        }
    }

    /// Looks and takers of every symbol come so many times as often as the calibration says.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// So large a share of the takers stops within the account's order when it reaches one, so that the order
    /// is filled in parts. With 0 the flow is that of a market that knows no accounts.
    #[must_use]
    pub fn with_split_share(mut self, share: f64) -> Self {
        self.split_share = share.clamp(0.0, 1.0);
        self
    }

    /// Moves the fair price of a pair, of all pairs when `symbol` is missing, by so many basis points of
    /// itself, evenly over so many microseconds of market time, and leaves it there.
    pub fn move_price(&mut self, symbol: Option<SymbolNo>, bps: f64, over_us: i64, market_us: i64) {
        let range = symbol.map_or(0..self.flows.len(), |symbol| symbol.0..symbol.0 + 1);
        for index in range {
            self.shifts.add(index, bps, over_us, market_us);
        }
    }

    /// What happens from now on is stamped so much later.
    pub fn shift_clock(&mut self, by_us: i64) {
        self.clock.start_us = self.clock.start_us.saturating_add(by_us);
    }

    /// Number of pairs that the scenario moves: their subscriptions start it.
    pub fn scenario_symbols(&self) -> usize {
        self.flows.len().min(SCENARIO_PAIRS)
    }

    /// Starts the scenario's clock at a market time. A second call changes nothing.
    pub fn start_scenario(&mut self, market_us: i64) {
        self.scenario_from_us.get_or_insert(market_us);
    }

    /// Market time at which the scenario started.
    pub fn scenario_from_us(&self) -> Option<i64> {
        self.scenario_from_us
    }

    /// Phase and displacement (basis points) of a symbol at a market time not before the last run.
    pub fn phase(&self, symbol: SymbolNo, market_us: i64) -> (Phase, f64) {
        match (self.scenario, self.scenario_from_us) {
            (Scenario::Pulses, Some(from_us)) => self.schedule.at(symbol.0, market_us - from_us),
            (Scenario::Cascade(story), Some(from_us)) => {
                let since_us = market_us - from_us;
                match story.at(symbol.0, since_us).0 {
                    Segment::Calm => (Phase::Rest, 0.0),
                    segment => {
                        (Phase::Story(segment), story.mood(symbol.0, since_us).displacement_bps)
                    }
                }
            }
            (Scenario::Pulses | Scenario::Cascade(_), None) | (Scenario::Calm, _) => {
                (Phase::Rest, 0.0)
            }
        }
    }

    /// How all markets of a symbol behave at a market time not before the last run.
    pub fn mood(&self, symbol: SymbolNo, market_us: i64) -> Mood {
        let scripted = self.scripted_mood(symbol, market_us);
        let shifted = self.shifts.at(symbol.0, market_us);
        Mood { displacement_bps: scripted.displacement_bps + shifted, ..scripted }
    }

    fn scripted_mood(&self, symbol: SymbolNo, market_us: i64) -> Mood {
        let (phase, displacement_bps) = self.phase(symbol, market_us);
        let calm = Mood { displacement_bps, ..Mood::calm(calibration::SWEEPS_PER_S) };
        let pulse = Mood { sweeps_per_s: calibration::SWEEPS_PER_S_PULSE, ..calm };
        match (phase, self.scenario, self.scenario_from_us) {
            (Phase::Rise, _, _) => Mood { buy_share: Some(0.9), oi_per_min: 0.004, ..pulse },
            (Phase::Fall, _, _) => {
                Mood { buy_share: Some(0.1), oi_per_min: -0.006, liquidation_share: 0.03, ..pulse }
            }
            (Phase::Story(_), Scenario::Cascade(story), Some(from_us)) => {
                story.mood(symbol.0, market_us - from_us)
            }
            (Phase::Rest | Phase::Story(_), _, _) => calm,
        }
    }

    /// The newest pulse of a symbol, in scenario time.
    pub fn pulse(&self, symbol: SymbolNo) -> Option<Pulse> {
        self.schedule.pulse(symbol.0)
    }

    /// Market time of the next thing that happens.
    pub fn next_due_us(&self) -> i64 {
        self.due.peek().map_or(i64::MAX, |Reverse((due_us, _))| *due_us)
    }

    /// Does everything that is due up to `market_us`, in order of time; how many things it did.
    pub fn run_until(&mut self, market_us: i64, exchange: &mut Exchange) -> usize {
        let mut done = 0;
        while let Some(&Reverse((due_us, index))) = self.due.peek() {
            if due_us > market_us {
                break;
            }
            self.due.pop();
            self.run_one(due_us, index, exchange);
            self.due.push(Reverse((self.flows[index].due_us(), index)));
            done += 1;
        }
        done
    }

    fn run_one(&mut self, due_us: i64, index: usize, exchange: &mut Exchange) {
        if let (Scenario::Pulses, Some(from_us)) = (self.scenario, self.scenario_from_us) {
            self.schedule.advance(due_us - from_us);
        }
        let (phase, _) = self.phase(SymbolNo(index), due_us);
        let mood = self.mood(SymbolNo(index), due_us);
        let is_moved = self.shifts.moves(index, due_us);
        let flow = &mut self.flows[index];
        let now_us = self.clock.stamp(due_us);
        if flow.step_due_us <= due_us {
            let fast = if phase == Phase::Rest { 1.0 } else { 0.5 };
            let gap_us = self.gaps.sample(&mut flow.rng) * fast * 1e6 / self.rate;
            flow.step_due_us = due_us + (gap_us as i64).clamp(STEP_MIN_US, STEP_MAX_US);
            if phase != flow.phase {
                flow.phase = phase;
                flow.trade_due_us = due_us + flow.taker_gap_us(mood.sweeps_per_s, self.rate);
            }
            let budget = if phase == Phase::Rest && !is_moved { BUDGET.0 } else { BUDGET.1 };
            flow.step(due_us, (&mood, budget), exchange, now_us);
        } else {
            flow.trade_due_us = due_us + flow.taker_gap_us(mood.sweeps_per_s, self.rate);
            let taker = (phase, mood.buy_share, self.split_share);
            flow.trade(taker, exchange, now_us);
        }
    }
}

impl Flow {
    fn due_us(&self) -> i64 {
        self.step_due_us.min(self.trade_due_us)
    }

    fn taker_gap_us(&mut self, sweeps_per_s: f64, rate: f64) -> i64 {
        (self.taker.gap_us(sweeps_per_s, &mut self.rng) as f64 / rate) as i64
    }

    /// The quotes follow the fair price, and sizes near the top change.
    fn step(
        &mut self,
        due_us: i64,
        (mood, budget): (&Mood, usize),
        exchange: &mut Exchange,
        now_us: i64,
    ) {
        self.fair.advance(due_us, mood.volatility, &mut self.rng);
        let fair_ln = self.fair.ln(mood.displacement_bps);
        if (fair_ln - self.quoted_ln).abs() * 10_000.0 > QUOTE_STEP_BPS {
            self.quoted_ln = fair_ln;
        }
        let quoted_ln = self.quoted_ln;
        let (symbol, scale) = (self.symbol, self.scale);
        let mut desk = Desk { exchange, symbol, scale, now_us, rng: &mut self.rng };
        let bids = self.bids.pull(&mut desk, quoted_ln, mood.spread, budget);
        let asks = self.asks.pull(&mut desk, quoted_ln, mood.spread, budget);
        self.bids.place(&mut desk, quoted_ln, mood.spread, &bids);
        self.asks.place(&mut desk, quoted_ln, mood.spread, &asks);
        for ladder in [&mut self.bids, &mut self.asks] {
            if rand::Rng::random_bool(desk.rng, STIR_SHARE) {
                ladder.stir(&mut desk);
            }
        }
    }

    /// One taker arrives.
    fn trade(
        &mut self,
        (phase, buy_share, split_share): (Phase, Option<f64>, f64),
        exchange: &mut Exchange,
        now_us: i64,
    ) {
        let (symbol, scale) = (self.symbol, self.scale);
        let mut desk = Desk { exchange, symbol, scale, now_us, rng: &mut self.rng };
        match self.taker.take(phase, buy_share, split_share, &mut desk) {
            Some(Side::Buy) => self.asks.refresh_near(&mut desk),
            Some(Side::Sell) => self.bids.refresh_near(&mut desk),
            None => {}
        }
    }
}
