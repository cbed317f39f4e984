//! All contracts of one venue, run in the order of market time.
//!
//! Inputs: market time, the exchange for spot prices, the generator for moods. Output: the numbers
//! of the contracts to which something has happened. Invariants: one seed and one spot market give
//! one flow, however time is cut into calls; a contract's flow does not depend on how many others
//! are listed.

use super::contract::Contract;
use super::spec::Spec;
use crate::exchange::{Exchange, Side, SymbolNo};
use crate::generator::{Clock, Generator};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The contracts of one venue.
#[derive(Debug)]
pub struct Market {
    contracts: Vec<Contract>,
    due: BinaryHeap<Reverse<(i64, usize)>>,
    changed: BTreeSet<usize>,
    clock: Clock,
    rate: f64,
    /// Nothing happens until somebody wants the market.
    asleep: bool,
    wanted: bool,
}

impl Market {
    /// A market of these contracts. `stream` tells its random numbers from those of other venues;
    /// `id_stride` is by how much the numbers of book changes count up at most.
    #[must_use]
    pub fn new(specs: Vec<Spec>, seed: u64, stream: u64, id_stride: u64, clock: Clock) -> Market {
        let contract = |(index, spec): (usize, Spec)| {
            let stream = (stream << 32) | (index as u64 + 1);
            Contract::new(spec, seed, stream, id_stride, clock.start_us)
        };
        let contracts: Vec<Contract> = specs.into_iter().enumerate().map(contract).collect();
        let due = contracts.iter().enumerate().map(|(index, one)| Reverse((one.due_us(), index)));
        let (due, changed) = (due.collect(), BTreeSet::new());
        let (asleep, wanted) = (false, false);
        Market { contracts, due, changed, clock, rate: 1.0, asleep, wanted }
    }

    /// Everything comes so many times as often.
    #[must_use]
    pub fn with_rate(mut self, rate: f64) -> Market {
        self.rate = rate;
        self
    }

    /// From now on nothing happens until [`Market::want`]: a venue that nobody listens to should cost
    /// nothing.
    pub(crate) fn sleep(&mut self) {
        self.asleep = true;
    }

    /// Somebody listens, or has asked: the market goes on with the next step.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Wakes a wanted market at a market time: what was due while it slept is due from now on.
    pub(crate) fn wake(&mut self, market_us: i64) {
        if !(self.asleep && self.wanted) {
            return;
        }
        self.asleep = false;
        for contract in &mut self.contracts {
            contract.delay(market_us);
        }
        let due = self.contracts.iter().enumerate();
        self.due = due.map(|(index, one)| Reverse((one.due_us(), index))).collect();
    }

    /// What happens from now on is stamped so much later.
    pub(crate) fn shift_clock(&mut self, by_us: i64) {
        self.clock.start_us = self.clock.start_us.saturating_add(by_us);
    }

    /// The contracts.
    #[must_use]
    pub fn contracts(&self) -> &[Contract] {
        &self.contracts
    }

    pub(crate) fn contract_mut(&mut self, index: usize) -> Option<&mut Contract> {
        self.contracts.get_mut(index)
    }

    /// Number of a contract by its name, whatever the case.
    #[must_use]
    pub fn by_symbol(&self, symbol: &str) -> Option<usize> {
        self.contracts.iter().position(|one| one.spec.symbol.eq_ignore_ascii_case(symbol))
    }

    /// Contracts to which something has happened since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.changed)
    }

    /// Market time of the next thing that happens.
    #[must_use]
    pub fn next_due_us(&self) -> i64 {
        if self.asleep {
            return i64::MAX;
        }
        self.due.peek().map_or(i64::MAX, |Reverse((due_us, _))| *due_us)
    }

    /// Does the one thing that is due next. The spot market must have been run up to that time.
    pub fn run_next(&mut self, exchange: &Exchange, generator: &Generator) {
        let Some(Reverse((due_us, index))) = self.due.pop() else { return };
        let ts_us = self.clock.stamp(due_us);
        let Some(contract) = self.contracts.get_mut(index) else { return };
        let spot = contract.spec.spot;
        let price = spot_mid(exchange, spot).unwrap_or(contract.index);
        contract.run(due_us, ts_us, price, &generator.mood(spot, due_us), self.rate);
        self.due.push(Reverse((contract.due_us(), index)));
        self.changed.insert(index);
    }
}

/// Runs the spot market and the derivatives up to a market time, in the order of time.
pub(crate) fn run_until(
    market_us: i64,
    exchange: &mut Exchange,
    generator: &mut Generator,
    markets: &mut [&mut Market],
) {
    loop {
        let next = markets.iter_mut().min_by_key(|market| market.next_due_us());
        let Some(market) = next.filter(|market| market.next_due_us() <= market_us) else { break };
        generator.run_until(market.next_due_us(), exchange);
        market.run_next(exchange, generator);
    }
    generator.run_until(market_us, exchange);
}

fn spot_mid(exchange: &Exchange, symbol: SymbolNo) -> Option<f64> {
    let market = exchange.market(symbol);
    let (bid, ask) = (market.book.best(Side::Buy)?.0, market.book.best(Side::Sell)?.0);
    let scale = 10f64.powi(market.instrument.price_decimals.cast_signed());
    Some((bid.0 + ask.0) as f64 / 2.0 / scale)
}
