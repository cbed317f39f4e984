//! The two rate counters: the engine's, per pair, and the one of private REST calls.
//!
//! Inputs: costs with their times. Outputs: admitted or not, and the counter. Numbers are the
//! venue's published ones of the account's tier; counters decay continuously and never go
//! below zero. It does not know orders: the caller says how old the order was.

use super::error::VenueError;
use crate::exchange::SymbolNo;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

const US_PER_S: i64 = 1_000_000;

/// Limits of one account tier: engine transactions per pair, private REST calls of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineTier {
    /// Counter above which adds and amends are refused.
    pub threshold: i64,
    /// Decay per second, hundredths.
    pub decay_centi: i64,
    /// Open orders per pair.
    pub open_orders_limit: usize,
    /// REST counter above which calls are refused.
    pub rest_ceiling: i64,
    /// Decay of the REST counter per second, hundredths.
    pub rest_decay_centi: i64,
}

impl EngineTier {
    /// The lowest tier.
    pub const STARTER: EngineTier = EngineTier {
        threshold: 60,
        decay_centi: 100,
        open_orders_limit: 60,
        rest_ceiling: 15,
        rest_decay_centi: 33,
    };
    /// The middle tier, which the simulated account has unless it is given another.
    pub const INTERMEDIATE: EngineTier = EngineTier {
        threshold: 125,
        decay_centi: 234,
        open_orders_limit: 80,
        rest_ceiling: 20,
        rest_decay_centi: 50,
    };
    /// The highest tier.
    pub const PRO: EngineTier = EngineTier {
        threshold: 180,
        decay_centi: 375,
        open_orders_limit: 225,
        rest_ceiling: 20,
        rest_decay_centi: 100,
    };
}

impl EngineTier {
    /// The tier of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<EngineTier> {
        EngineTier::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, tier)| tier)
    }

    /// Its name; limits that are no tier's have none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        EngineTier::NAMED.into_iter().find(|(_, tier)| *tier == self).map(|(name, _)| name)
    }

    const NAMED: [(&'static str, EngineTier); 3] = [
        ("starter", EngineTier::STARTER),
        ("intermediate", EngineTier::INTERMEDIATE),
        ("pro", EngineTier::PRO),
    ];
}

impl Default for EngineTier {
    fn default() -> EngineTier {
        EngineTier::INTERMEDIATE
    }
}

/// Kinds of engine transactions with a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transaction {
    Add,
    Amend,
    Cancel,
}

/// A counter that decays.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    value: Decimal,
    at_us: i64,
}

impl Counter {
    fn decay(&mut self, now_us: i64, decay_centi: i64) {
        let elapsed_us = now_us.saturating_sub(self.at_us).max(0);
        let decayed = Decimal::new(decay_centi, 2) * Decimal::new(elapsed_us, 6);
        self.value = (self.value - decayed).max(Decimal::ZERO);
        self.at_us = self.at_us.max(now_us);
    }
}

/// Price of a transaction on an order of that age.
pub(crate) fn cost(transaction: Transaction, age_us: i64) -> i64 {
    let steps: &[(i64, i64)] = match transaction {
        Transaction::Add => return 1,
        Transaction::Amend => &[(5, 4), (10, 3), (15, 2), (i64::MAX, 1)],
        Transaction::Cancel => {
            &[(5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1), (i64::MAX, 0)]
        }
    };
    let young = |(limit_s, _): &&(i64, i64)| age_us < limit_s.saturating_mul(US_PER_S);
    steps.iter().find(young).map_or(0, |(_, price)| *price)
}

/// Engine counters of all pairs.
#[derive(Debug, Default)]
pub(crate) struct EngineCounters {
    /// The account's tier.
    pub(super) tier: EngineTier,
    pairs: BTreeMap<SymbolNo, Counter>,
}

impl EngineCounters {
    /// The counter of a pair now.
    pub(crate) fn value(&self, symbol: SymbolNo, now_us: i64) -> Decimal {
        let mut counter = self.pairs.get(&symbol).copied().unwrap_or_default();
        counter.decay(now_us, self.tier.decay_centi);
        counter.value.round_dp(2)
    }

    /// Charges a batch of adds: half a point each.
    ///
    /// # Errors
    /// The batch would pass the threshold.
    pub(crate) fn charge_batch(
        &mut self,
        symbol: SymbolNo,
        orders: usize,
        now_us: i64,
    ) -> Result<(), VenueError> {
        let tier = self.tier;
        let counter = self.pairs.entry(symbol).or_default();
        counter.decay(now_us, tier.decay_centi);
        let price =
            Decimal::new(i64::try_from(orders).unwrap_or(i64::MAX / 5).saturating_mul(5), 1);
        if counter.value + price > Decimal::from(tier.threshold) {
            return Err(VenueError::OrderRateLimit);
        }
        counter.value += price;
        Ok(())
    }

    /// Charges a transaction. The price is charged even when the request is then refused.
    ///
    /// # Errors
    /// An add or amend would pass the threshold; cancels are always admitted.
    pub(crate) fn charge(
        &mut self,
        symbol: SymbolNo,
        transaction: Transaction,
        age_us: i64,
        now_us: i64,
    ) -> Result<(), VenueError> {
        let tier = self.tier;
        let counter = self.pairs.entry(symbol).or_default();
        counter.decay(now_us, tier.decay_centi);
        let price = Decimal::from(cost(transaction, age_us));
        let over = counter.value + price > Decimal::from(tier.threshold);
        if over && transaction != Transaction::Cancel {
            return Err(VenueError::OrderRateLimit);
        }
        counter.value += price;
        Ok(())
    }
}

/// The counter of private REST calls of one key.
#[derive(Debug, Default)]
pub struct RestCounter {
    counter: Counter,
    tier: EngineTier,
}

impl RestCounter {
    /// An empty counter of a tier.
    #[must_use]
    pub fn of(tier: EngineTier) -> RestCounter {
        RestCounter { counter: Counter::default(), tier }
    }

    /// Charges a call.
    ///
    /// # Errors
    /// The counter is above its ceiling; the call is charged all the same.
    pub fn charge(&mut self, points: i64, now_us: i64) -> Result<(), VenueError> {
        self.counter.decay(now_us, self.tier.rest_decay_centi);
        self.counter.value += Decimal::from(points);
        let ceiling = self.tier.rest_ceiling;
        if self.counter.value > Decimal::from(ceiling) {
            // The counter saturates: a client that goes on calling waits for the decay, not for
            // ever.
            self.counter.value = self.counter.value.min(Decimal::from(ceiling + 4));
            return Err(VenueError::RestRateLimit);
        }
        Ok(())
    }

    /// The counter as of the last call.
    #[must_use]
    pub fn value(&self) -> Decimal {
        self.counter.value
    }

    /// The counter at a time after the last call.
    #[must_use]
    pub fn value_at(&self, now_us: i64) -> Decimal {
        let mut counter = self.counter;
        counter.decay(now_us, self.tier.rest_decay_centi);
        counter.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_costs_eight() {
        let mut counters = EngineCounters::default();
        let symbol = SymbolNo(0);
        let total = cost(Transaction::Add, 0)
            + cost(Transaction::Amend, 7 * US_PER_S)
            + cost(Transaction::Cancel, 36 * US_PER_S);
        assert_eq!(total, 8);
        counters.charge(symbol, Transaction::Add, 0, 0).expect("admitted");
        assert_eq!(counters.value(symbol, 0), Decimal::ONE);
        assert_eq!(counters.value(symbol, US_PER_S), Decimal::ZERO);
    }

    #[test]
    fn adds_are_refused_above_the_threshold_and_cancels_never() {
        let mut counters = EngineCounters::default();
        let symbol = SymbolNo(0);
        for _ in 0..125 {
            counters.charge(symbol, Transaction::Add, 0, 0).expect("below the threshold");
        }
        let refused = counters.charge(symbol, Transaction::Add, 0, 0);
        assert_eq!(refused, Err(VenueError::OrderRateLimit));
        assert_eq!(counters.charge(symbol, Transaction::Cancel, 0, 0), Ok(()));
        assert_eq!(counters.value(symbol, 0), Decimal::from(133));
        assert_eq!(counters.charge(SymbolNo(1), Transaction::Add, 0, 0), Ok(()));
    }

    #[test]
    fn the_rest_counter_refuses_above_its_ceiling_and_recovers() {
        let mut counter = RestCounter::default();
        for _ in 0..5 {
            counter.charge(4, 0).expect("below the ceiling");
        }
        assert_eq!(counter.charge(1, 0), Err(VenueError::RestRateLimit));
        assert_eq!(counter.charge(1, 10 * US_PER_S), Ok(()));
    }
}
