//! Everything that one finalist is judged with, and the prices of its order.
//!
//! Purpose: one borrowed view for proposal, size, risk and plan. Inputs: the cycle and the finalist's candidate.
//! Outputs: a [`Case`], [`Prices`]. Invariants: pure; without a sound quote nothing can be priced for an order.

use penstock_types::decimal::floor_to_step;
use penstock_types::rows::InstrumentRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EntryMode, QueueDecision, SafetyMode};
use penstock_types::{Decimal, Symbol};

use super::assess::Index;
use super::config::DecideConfig;
use super::outcome::{Assessment, Candidate};
use super::queue::{self, QueueLook};
use crate::capital::CapitalState;
use crate::costs::{CostTerms, StopTerms};
use crate::cycle::{CycleInput, Quote};
use crate::engine_gate::{self, EngineGates, Verdict};

/// How far above the best ask a taking limit stands, in ten-thousandths.
pub(super) const TAKER_LIMIT_BPS: i64 = 5;

/// What holds for every finalist of a cycle.
#[derive(Clone, Copy)]
pub(super) struct Cycle<'a> {
    pub(super) input: &'a CycleInput,
    pub(super) config: &'a DecideConfig,
    pub(super) index: &'a Index<'a>,
    pub(super) assessment: &'a Assessment,
    pub(super) capital: &'a CapitalState,
}

/// Everything that one finalist is judged with.
pub(super) struct Case<'a> {
    pub(super) cycle: Cycle<'a>,
    pub(super) candidate: &'a Candidate,
    pub(super) state: &'a StateRow,
    pub(super) instrument: &'a InstrumentRow,
    pub(super) safety: SafetyMode,
    pub(super) quote: Option<&'a Quote>,
    pub(super) terms: CostTerms,
    pub(super) stop: StopTerms,
    pub(super) mode: EntryMode,
    pub(super) engine: Verdict,
}

impl<'a> Case<'a> {
    /// The case of a candidate; none when rows or terms are missing.
    pub(super) fn of(cycle: Cycle<'a>, candidate: &'a Candidate) -> Option<Self> {
        let symbol = &candidate.symbol;
        let input = cycle.input;
        Some(Self {
            cycle,
            candidate,
            state: cycle.index.states.get(symbol).copied()?,
            instrument: input.instruments.iter().find(|i| &i.symbol == symbol)?,
            safety: cycle.index.safety.get(symbol).map_or(SafetyMode::Normal, |row| row.mode),
            quote: quote_of(input, symbol),
            terms: candidate.terms?,
            stop: candidate.stop?,
            mode: candidate.entry_mode?,
            engine: match cycle.config.engine_gates {
                EngineGates::Enforce => {
                    engine_gate::verdict(input.engine.as_ref(), symbol, candidate.strategy)
                }
                EngineGates::Shadow | EngineGates::Off => Verdict::NEUTRAL,
            },
        })
    }

    /// Step of a price, with the digits that it has and no more.
    pub(super) fn tick(&self) -> Decimal {
        self.instrument.price_increment.normalize()
    }

    /// Step of a quantity, likewise.
    pub(super) fn step(&self) -> Decimal {
        self.instrument.qty_increment.normalize()
    }

    /// Prices of the order; without a sound quote those of the state, for the record only.
    pub(super) fn prices(&self) -> Option<Prices> {
        if let Some(quote) = self.quote
            && let Some(prices) = of_quote(self.mode, quote, self.instrument.price_increment)
        {
            return Some(prices);
        }
        let price = match self.mode {
            EntryMode::Taker => self.state.ask,
            EntryMode::Maker => self.state.bid,
        }?;
        let queue = (self.mode == EntryMode::Maker).then_some(QueueDecision::Join);
        Some(Prices { divides: price, desired: price, limit: price, queue })
    }

    /// Prices one tick before the queue, when that is worth it for this size; none to join it.
    pub(super) fn improved(&self, joined: Prices, size_quote: Decimal) -> Option<Prices> {
        let quote = self.quote.filter(|_| joined.queue == Some(QueueDecision::Join))?;
        let tick = self.instrument.price_increment;
        let look = QueueLook {
            bid: joined.limit,
            ask: quote.ask,
            tick,
            quality: Some(self.state.l3_quality),
            ahead_quote: self.state.l3_queue_ahead_bid_quote,
            est_fill_ms: self.state.l3_est_fill_bid_ms.map(i64::from),
            size_quote,
            surplus_bps: self.candidate.surplus_bps?,
        };
        match queue::decide(&look) {
            QueueDecision::Join => None,
            QueueDecision::Improve => {
                let price = joined.limit + tick;
                let queue = Some(QueueDecision::Improve);
                Some(Prices { divides: price, desired: price, limit: price, queue })
            }
        }
    }
}

/// Prices of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prices {
    /// Divides the size into a quantity.
    pub(super) divides: Decimal,
    /// Wanted, before rounding to the tick.
    pub(super) desired: Decimal,
    /// Worst price, on the tick.
    pub(super) limit: Decimal,
    /// Where a resting order stands.
    pub(super) queue: Option<QueueDecision>,
}

fn of_quote(mode: EntryMode, quote: &Quote, tick: Decimal) -> Option<Prices> {
    match mode {
        EntryMode::Maker => {
            let price = floor_to_step(quote.bid, tick);
            let rests = price > Decimal::ZERO && price < quote.ask;
            let queue = Some(QueueDecision::Join);
            rests.then_some(Prices { divides: price, desired: quote.bid, limit: price, queue })
        }
        EntryMode::Taker => {
            let factor = Decimal::ONE + Decimal::new(TAKER_LIMIT_BPS, 4);
            let desired = quote.ask.checked_mul(factor)?;
            let limit = floor_to_step(desired, tick).max(quote.ask);
            Some(Prices { divides: quote.ask, desired, limit, queue: None })
        }
    }
}

fn quote_of<'a>(input: &'a CycleInput, symbol: &Symbol) -> Option<&'a Quote> {
    input.quotes.iter().find(|q| &q.symbol == symbol).filter(|q| q.is_sound())
}
