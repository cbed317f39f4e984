//! Models of the venue's two rate counters.
//!
//! Input: what is about to be sent, the time, and what the venue reports. Output: whether it may be
//! sent, and the modelled counter. Invariants: every call is charged before it is sent, failed ones
//! included; cancels are never refused and may lift a counter above its ceiling, as they do at the venue; a
//! modelled counter is never below the venue's own, which is why it does not decay while a call of it is under
//! way: when within that time the venue charges is not known. Times are milliseconds of one monotonic clock
//! that the caller chose. It keeps no queue.

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
    /// Calls that were charged and may not have reached the venue.
    under_way: u32,
}

impl Counter {
    /// A counter with a known value.
    pub fn new(ceiling: f64, decay_per_s: f64, value: f64, now_ms: i64) -> Self {
        Self { value: value.max(0.0), at_ms: now_ms, ceiling, decay_per_s, under_way: 0 }
    }

    /// Its value now.
    pub fn value(&self, now_ms: i64) -> f64 {
        if self.under_way > 0 {
            return self.value;
        }
        let elapsed_s = (now_ms.saturating_sub(self.at_ms)).max(0) as f64 / 1_000.0;
        (self.value - self.decay_per_s * elapsed_s).max(0.0)
    }

    /// Its share of the ceiling now; above 1 when cancels went beyond it.
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

    /// Adds the cost of a call that leaves now; it is under way until it is [settled](Self::settle).
    pub fn charge(&mut self, cost: f64, now_ms: i64) {
        self.set(self.value(now_ms) + cost, now_ms);
        self.under_way += 1;
    }

    /// A call was answered or given up: without others under way the counter decays from here on.
    pub fn settle(&mut self, now_ms: i64) {
        if self.under_way > 0 {
            self.under_way -= 1;
            // A millisecond that has begun is not over.
            self.at_ms = self.at_ms.max(now_ms + 1);
        }
    }

    /// Whether a call is under way, or was within the last `quiet_ms`.
    pub const fn is_busy(&self, quiet_ms: i64, now_ms: i64) -> bool {
        self.under_way > 0 || now_ms - self.at_ms < quiet_ms
    }

    /// Takes over a value that the venue reported, or the ceiling after a refusal.
    pub fn set(&mut self, value: f64, now_ms: i64) {
        self.value = value.max(0.0);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Other limits; what is on it stays.
    fn change(&mut self, ceiling: f64, decay_per_s: f64, now_ms: i64) {
        self.set(self.value(now_ms), now_ms);
        (self.ceiling, self.decay_per_s) = (ceiling, decay_per_s);
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

    /// A call was answered or given up.
    pub fn settle(&mut self, now_ms: i64) {
        self.counter.settle(now_ms);
    }

    /// The venue refused for its counter: it is at the ceiling, or above it if more was charged.
    pub fn refused(&mut self, now_ms: i64) {
        self.counter.set(self.counter.value(now_ms).max(self.counter.ceiling), now_ms);
    }

    /// Takes over the tier that the venue reported.
    pub fn set_tier(&mut self, tier: Tier, now_ms: i64) {
        if (tier.rest_ceiling(), tier.rest_decay())
            != (self.counter.ceiling, self.counter.decay_per_s)
        {
            self.counter.change(tier.rest_ceiling(), tier.rest_decay(), now_ms);
        }
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
    /// The same call for an order that may be so much younger, milliseconds.
    #[must_use]
    pub const fn younger_by(self, doubt_ms: i64) -> Self {
        match self {
            Self::Add => Self::Add,
            Self::Amend { age_ms } => Self::Amend { age_ms: age_ms - doubt_ms },
            Self::Cancel { age_ms } => Self::Cancel { age_ms: age_ms - doubt_ms },
        }
    }

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

/// Time without a call after which a lower number of the venue is believed, milliseconds: the longest wait for an
/// answer, so that no call is missing in it.
const REPORT_QUIET_MS: i64 = 3_000;

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
            counter.change(tier.engine_ceiling(), tier.engine_decay(), now_ms);
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

    /// Charges the call and admits it, and it is under way; adds and amends above `share_max` are refused,
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

    /// A call of a pair was answered or given up.
    pub fn settle(&mut self, symbol: &str, now_ms: i64) {
        if let Some(counter) = self.pairs.get_mut(symbol) {
            counter.settle(now_ms);
        }
    }

    /// What the venue says that its counter of a pair was at some moment before now (`ratecount`). More than the
    /// model has is believed at once; less only when no call was charged lately that the number may not know.
    pub fn reported(&mut self, symbol: &str, value: f64, now_ms: i64) {
        let counter = self.counter(symbol);
        if value > counter.value(now_ms) || !counter.is_busy(REPORT_QUIET_MS, now_ms) {
            self.set(symbol, value, now_ms);
        }
    }

    /// Takes over a value, for example the ceiling after a refusal.
    pub fn set(&mut self, symbol: &str, value: f64, now_ms: i64) {
        let mut counter = self.counter(symbol);
        counter.set(value, now_ms);
        self.pairs.insert(symbol.to_owned(), counter);
    }
}

#[cfg(test)]
mod tests;
