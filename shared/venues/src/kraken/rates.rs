//! Models of the venue's two rate counters.
//!
//! Input: what is about to be sent, the time, and what the venue reports. Output: whether it may be
//! sent, and the modelled counter. Invariants: every call is charged before it is sent, failed ones
//! included; cancels are never refused; a counter never goes below zero or above its ceiling. Times
//! are milliseconds of one monotonic clock that the caller chose. It keeps no queue.

use std::collections::BTreeMap;

/// Account tier; decides ceilings and decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Lowest.
    Starter,
    /// Middle.
    Intermediate,
    /// Highest.
    Pro,
}

impl Tier {
    /// REST ceiling, points.
    pub const fn rest_ceiling(self) -> f64 {
        match self {
            Self::Starter => 15.0,
            Self::Intermediate | Self::Pro => 20.0,
        }
    }

    /// REST decay, points per second.
    pub const fn rest_decay(self) -> f64 {
        match self {
            Self::Starter => 0.33,
            Self::Intermediate => 0.5,
            Self::Pro => 1.0,
        }
    }

    /// Engine ceiling per pair, points.
    pub const fn engine_ceiling(self) -> f64 {
        match self {
            Self::Starter => 60.0,
            Self::Intermediate => 125.0,
            Self::Pro => 180.0,
        }
    }

    /// Engine decay, points per second.
    pub const fn engine_decay(self) -> f64 {
        match self {
            Self::Starter => 1.0,
            Self::Intermediate => 2.34,
            Self::Pro => 3.75,
        }
    }

    /// Open orders per pair.
    pub const fn open_orders_max(self) -> u32 {
        match self {
            Self::Starter => 60,
            Self::Intermediate => 80,
            Self::Pro => 225,
        }
    }

    /// The tier whose engine ceiling the venue reported (`maxratecount`).
    pub fn from_max_rate_count(max: f64) -> Self {
        if max >= 180.0 {
            Self::Pro
        } else if max >= 125.0 {
            Self::Intermediate
        } else {
            Self::Starter
        }
    }
}

/// A counter that decays continuously. Scores, not money: floating point is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter {
    value: f64,
    at_ms: i64,
    ceiling: f64,
    decay_per_s: f64,
}

impl Counter {
    /// A counter with a known value.
    pub fn new(ceiling: f64, decay_per_s: f64, value: f64, now_ms: i64) -> Self {
        Self { value: value.clamp(0.0, ceiling), at_ms: now_ms, ceiling, decay_per_s }
    }

    /// Its value now.
    pub fn value(&self, now_ms: i64) -> f64 {
        let elapsed_s = (now_ms.saturating_sub(self.at_ms)).max(0) as f64 / 1_000.0;
        (self.value - self.decay_per_s * elapsed_s).max(0.0)
    }

    /// Its share of the ceiling now, 0 to 1.
    pub fn share(&self, now_ms: i64) -> f64 {
        self.value(now_ms) / self.ceiling
    }

    /// Its ceiling.
    pub const fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// Whether `cost` more stays within `share_max` of the ceiling.
    pub fn admits(&self, cost: f64, share_max: f64, now_ms: i64) -> bool {
        self.value(now_ms) + cost <= self.ceiling * share_max
    }

    /// Adds a cost.
    pub fn charge(&mut self, cost: f64, now_ms: i64) {
        self.set(self.value(now_ms) + cost, now_ms);
    }

    /// Takes over a value that the venue reported, or the ceiling after a refusal.
    pub fn set(&mut self, value: f64, now_ms: i64) {
        self.value = value.clamp(0.0, self.ceiling);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Milliseconds until `cost` more would stay within `share_max`; `None` if it never does.
    pub fn admits_in_ms(&self, cost: f64, share_max: f64, now_ms: i64) -> Option<i64> {
        let room = self.ceiling * share_max - cost;
        if room < 0.0 || self.decay_per_s <= 0.0 {
            return None;
        }
        let excess = (self.value(now_ms) - room).max(0.0);
        Some((excess / self.decay_per_s * 1_000.0).ceil() as i64)
    }
}

/// Who asks for private REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestUse {
    /// Periodic reads: they keep the counter at or below 60 %.
    Steady,
    /// Looks, reconcile after a loss, cancel paths: the rest.
    Reserved,
}

impl RestUse {
    /// The share of the ceiling that this use may reach.
    pub const fn share_max(self) -> f64 {
        match self {
            Self::Steady => 0.6,
            Self::Reserved => 1.0,
        }
    }
}

/// The private REST counter of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RestBudget {
    counter: Counter,
}

impl RestBudget {
    /// A budget of this tier with a known value.
    pub fn new(tier: Tier, value: f64, now_ms: i64) -> Self {
        Self { counter: Counter::new(tier.rest_ceiling(), tier.rest_decay(), value, now_ms) }
    }

    /// The counter.
    pub const fn counter(&self) -> &Counter {
        &self.counter
    }

    /// Charges the call and admits it, or says in how many milliseconds it would fit.
    ///
    /// # Errors
    /// The wait in milliseconds.
    pub fn admit(&mut self, cost: u32, usage: RestUse, now_ms: i64) -> Result<(), i64> {
        let (cost, share) = (f64::from(cost), usage.share_max());
        if self.counter.admits(cost, share, now_ms) {
            self.counter.charge(cost, now_ms);
            return Ok(());
        }
        Err(self.counter.admits_in_ms(cost, share, now_ms).unwrap_or(i64::MAX))
    }

    /// The venue refused for its counter: it is at the ceiling.
    pub fn refused(&mut self, now_ms: i64) {
        self.counter.set(self.counter.ceiling, now_ms);
    }
}

/// What an order request does to the engine counter of its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineCall {
    /// A new order.
    Add,
    /// An amend of an order of this age (since creation or its last amend).
    Amend {
        /// Age in milliseconds.
        age_ms: i64,
    },
    /// A cancel of an order of this age.
    Cancel {
        /// Age in milliseconds.
        age_ms: i64,
    },
}

/// Upper ends of the age classes, milliseconds.
const AGES_MS: [i64; 6] = [5_000, 10_000, 15_000, 45_000, 90_000, 300_000];
const AMEND_EXTRA: [f64; 6] = [3.0, 2.0, 1.0, 0.0, 0.0, 0.0];
const CANCEL_EXTRA: [f64; 6] = [8.0, 6.0, 5.0, 4.0, 2.0, 1.0];

impl EngineCall {
    /// Points that it costs.
    pub fn cost(self) -> f64 {
        let extra = |table: [f64; 6], age_ms: i64| {
            AGES_MS.iter().position(|end| age_ms < *end).map_or(0.0, |class| table[class])
        };
        match self {
            Self::Add => 1.0,
            Self::Amend { age_ms } => 1.0 + extra(AMEND_EXTRA, age_ms),
            Self::Cancel { age_ms } => extra(CANCEL_EXTRA, age_ms),
        }
    }
}

/// Share of the engine ceiling up to which adds and amends are sent.
pub const ENGINE_SHARE_MAX: f64 = 0.8;

/// The engine counters of all pairs of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineBudget {
    tier: Tier,
    /// Value that a pair without an entry starts with: 0, or the ceiling when nothing is known.
    initial: f64,
    started_ms: i64,
    pairs: BTreeMap<String, Counter>,
}

impl EngineBudget {
    /// Counters at zero, or all at the ceiling when nothing is known about them.
    pub fn new(tier: Tier, unknown_history: bool, now_ms: i64) -> Self {
        let initial = if unknown_history { tier.engine_ceiling() } else { 0.0 };
        Self { tier, initial, started_ms: now_ms, pairs: BTreeMap::new() }
    }

    /// The tier in use.
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// Takes over the tier that the venue reported.
    pub fn set_tier(&mut self, tier: Tier, now_ms: i64) {
        if tier == self.tier {
            return;
        }
        self.tier = tier;
        for counter in self.pairs.values_mut() {
            *counter = Counter::new(
                tier.engine_ceiling(),
                tier.engine_decay(),
                counter.value(now_ms),
                now_ms,
            );
        }
    }

    /// The counter of a pair.
    pub fn counter(&self, symbol: &str) -> Counter {
        self.pairs.get(symbol).copied().unwrap_or_else(|| {
            Counter::new(
                self.tier.engine_ceiling(),
                self.tier.engine_decay(),
                self.initial,
                self.started_ms,
            )
        })
    }

    /// All counters that were used, for persistence.
    pub fn counters(&self) -> impl Iterator<Item = (&str, &Counter)> {
        self.pairs.iter().map(|(symbol, counter)| (symbol.as_str(), counter))
    }

    /// Charges the call and admits it; adds and amends above `share_max` (at most 0.8) are refused,
    /// cancels never.
    ///
    /// # Errors
    /// The wait in milliseconds until it would fit.
    pub fn admit(
        &mut self,
        symbol: &str,
        call: EngineCall,
        share_max: f64,
        now_ms: i64,
    ) -> Result<(), i64> {
        let mut counter = self.counter(symbol);
        let cost = call.cost();
        let limited = !matches!(call, EngineCall::Cancel { .. });
        if limited && !counter.admits(cost, share_max, now_ms) {
            return Err(counter.admits_in_ms(cost, share_max, now_ms).unwrap_or(i64::MAX));
        }
        counter.charge(cost, now_ms);
        self.pairs.insert(symbol.to_owned(), counter);
        Ok(())
    }

    /// Takes over the venue's own value (`ratecount`), or the ceiling after a refusal.
    pub fn set(&mut self, symbol: &str, value: f64, now_ms: i64) {
        let mut counter = self.counter(symbol);
        counter.set(value, now_ms);
        self.pairs.insert(symbol.to_owned(), counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_amend_cancel_of_the_documented_example_cost_eight() {
        let total = EngineCall::Add.cost()
            + EngineCall::Amend { age_ms: 7_000 }.cost()
            + EngineCall::Cancel { age_ms: 36_000 }.cost();
        assert!((total - 8.0).abs() < 1e-9);
    }

    #[test]
    fn ages_fall_into_their_classes() {
        let cancel = |age_ms| EngineCall::Cancel { age_ms }.cost();
        let amend = |age_ms| EngineCall::Amend { age_ms }.cost();
        for (age_ms, want) in [
            (0, 8.0),
            (4_999, 8.0),
            (5_000, 6.0),
            (10_000, 5.0),
            (15_000, 4.0),
            (45_000, 2.0),
            (90_000, 1.0),
            (300_000, 0.0),
        ] {
            assert!((cancel(age_ms) - want).abs() < 1e-9, "{age_ms}");
        }
        assert!((amend(0) - 4.0).abs() < 1e-9);
        assert!((amend(15_000) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn steady_reads_leave_the_reserve_to_looks() {
        let mut budget = RestBudget::new(Tier::Intermediate, 0.0, 0);
        for _ in 0..12 {
            assert_eq!(budget.admit(1, RestUse::Steady, 0), Ok(()));
        }
        assert_eq!(budget.admit(1, RestUse::Steady, 0), Err(2_000));
        for _ in 0..8 {
            assert_eq!(budget.admit(1, RestUse::Reserved, 0), Ok(()));
        }
        assert_eq!(budget.admit(1, RestUse::Reserved, 0), Err(2_000));
        assert_eq!(budget.admit(1, RestUse::Reserved, 2_000), Ok(()));
    }

    #[test]
    fn a_refusal_sets_the_model_to_the_ceiling() {
        let mut budget = RestBudget::new(Tier::Pro, 0.0, 0);
        budget.refused(0);
        assert!((budget.counter().value(0) - 20.0).abs() < 1e-9);
        assert!((budget.counter().value(5_000) - 15.0).abs() < 1e-9);
    }

    #[test]
    fn cancels_pass_at_the_ceiling_and_adds_do_not() {
        let mut budget = EngineBudget::new(Tier::Starter, true, 0);
        assert!(budget.admit("BTC/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_err());
        let cancel = EngineCall::Cancel { age_ms: 1 };
        assert_eq!(budget.admit("BTC/USD", cancel, ENGINE_SHARE_MAX, 0), Ok(()));
        assert_eq!(budget.admit("BTC/USD", EngineCall::Add, ENGINE_SHARE_MAX, 13_000), Ok(()));
    }

    #[test]
    fn the_venue_s_own_count_replaces_the_model() {
        let mut budget = EngineBudget::new(Tier::Intermediate, false, 0);
        budget.set("ETH/USD", 99.0, 0);
        assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_ok());
        assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_err());
        budget.set_tier(Tier::Pro, 0);
        assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_ok());
        assert_eq!(Tier::from_max_rate_count(125.0), Tier::Intermediate);
    }
}
