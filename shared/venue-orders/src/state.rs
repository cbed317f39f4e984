//! What the clients remember about the account: nonce, counters, back-offs.
//!
//! Input: calls to be admitted, judgements of answers, reported counts, the time. Output: admission or
//! the wait. Invariants: every call is charged before it is sent, and its counter does not decay until it was
//! answered or given up; cancels, protection and exits are never refused by a counter or by a lockout;
//! without a memory of what was sent before, counters start at their ceiling and for ten seconds only cancels and protection leave. Times are monotonic milliseconds of the process; the
//! file keeps wall times. Pure: no file, no clock.

mod counters;
mod refusals;
mod shares;

use std::collections::BTreeMap;

use penstock_venues::kraken::error_table::{ErrorAction, Judgement};
use penstock_venues::kraken::nonce::Nonce;
use penstock_venues::kraken::rates::{EngineBudget, EngineCall, RestBudget, RestUse, Tier};
use serde::{Deserialize, Serialize};

use crate::outcome::NotSent;
use penstock_venue_net::Stamp;

pub use counters::CounterLook;
use refusals::Refusals;
pub use shares::CounterShares;

/// What a back-off covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Private REST of the key, and with it every new connection; entries and better prices on an open one.
    Key,
    /// Private REST.
    Rest,
    /// Adds and amends of one pair.
    Pair(String),
}

impl core::fmt::Display for Scope {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Key => f.write_str("the key"),
            Self::Rest => f.write_str("private REST"),
            Self::Pair(symbol) => f.write_str(symbol),
        }
    }
}

/// Why an order request is sent; decides how much of the pair's counter it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineUse {
    /// A new position.
    Entry,
    /// A better price for a resting entry.
    Repeg,
    /// Protection and exits: without a limit.
    Protective,
}

/// Length of a lockout, milliseconds.
const LOCKOUT_MS: i64 = 15 * 60_000;
/// Pause after the REST counter was exceeded, milliseconds.
const REST_PAUSE_MS: i64 = 10_000;
/// How long private REST runs at half its rate afterwards, milliseconds.
const REST_HALF_RATE_MS: i64 = 10 * 60_000;
/// Share of a pair's counter below which its adds and amends resume after a refusal.
const PAIR_RESUME_SHARE: f64 = 0.5;
/// How much younger an order may be at the venue than here, milliseconds: it counts from when it carried out the last
/// change, which may be as late as the end of the ordinary wait for its answer.
const AGE_DOUBT_MS: i64 = 3_000;
/// Time without new orders after a start without memory, milliseconds.
const COLD_START_MS: i64 = 10_000;

/// The way of a request to the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Signed REST.
    Rest,
    /// The private socket.
    Socket,
}

/// How the venue treats the account now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Private REST is paused because a counter of the account was exceeded.
    pub throttled: bool,
    /// The key is locked out.
    pub locked_out: bool,
    /// Refusals in a row for a nonce or a deadline, on the worse of the two ways.
    pub timestamp_rejects: u32,
    /// The last answer refused the key or its permissions.
    pub key_refused: bool,
}

/// The account's memory.
#[derive(Clone, Debug)]
pub struct VenueState {
    nonce: Nonce,
    rest: RestBudget,
    engine: EngineBudget,
    not_before_ms: BTreeMap<Scope, i64>,
    half_rate_until_ms: i64,
    cold_until_ms: Option<i64>,
    shares: CounterShares,
    refusals: Refusals,
}

/// The same as it is kept in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) version: u32,
    pub(crate) host: String,
    pub(crate) wall_ms: i64,
    pub(crate) nonce: u64,
    pub(crate) rest: f64,
    pub(crate) pairs: BTreeMap<String, f64>,
    pub(crate) not_before: Vec<(Scope, i64)>,
    /// Until when private REST runs at half its rate, wall clock; a file of before has none.
    #[serde(default)]
    pub(crate) half_rate_until: Option<i64>,
}

/// Version of the file's form.
pub(crate) const KEPT_VERSION: u32 = 1;

impl VenueState {
    /// Without memory: nonce from the clock, counters at their ceiling.
    pub fn cold(tier: Tier, at: Stamp) -> Self {
        let now_ms = at.mono_ms();
        Self {
            nonce: Nonce::start(None, at.wall_ns()),
            rest: RestBudget::new(tier, tier.rest_ceiling(), now_ms),
            engine: EngineBudget::new(tier, true, now_ms),
            not_before_ms: BTreeMap::new(),
            half_rate_until_ms: i64::MIN,
            cold_until_ms: Some(now_ms + COLD_START_MS),
            shares: CounterShares::default(),
            refusals: Refusals::default(),
        }
    }

    /// From the file; the time since then has decayed the counters.
    pub(crate) fn restored(kept: &Kept, tier: Tier, at: Stamp) -> Self {
        let now_ms = at.mono_ms();
        let gone_ms = (at.wall.millis() - kept.wall_ms).max(0);
        let then_ms = now_ms - gone_ms;
        let mut engine = EngineBudget::new(tier, false, then_ms);
        for (symbol, value) in &kept.pairs {
            engine.set(symbol, *value, then_ms);
        }
        let left_ms = |until: i64, most_ms: i64| (until - at.wall.millis()).min(most_ms);
        let until = |(scope, until): &(Scope, i64)| {
            // A clock that was set back must not make a wait longer than any is. That of a pair ends with its counter.
            let most_ms = if matches!(scope, Scope::Pair(_)) { i64::MAX / 2 } else { LOCKOUT_MS };
            (scope.clone(), now_ms + left_ms(*until, most_ms))
        };
        let not_before_ms = kept.not_before.iter().map(until).collect();
        let half_ms = kept.half_rate_until.map(|at| left_ms(at, REST_PAUSE_MS + REST_HALF_RATE_MS));
        Self {
            nonce: Nonce::start(Some(kept.nonce), at.wall_ns()),
            rest: RestBudget::new(tier, kept.rest, then_ms),
            engine,
            not_before_ms,
            half_rate_until_ms: half_ms.map_or(i64::MIN, |left_ms| now_ms + left_ms),
            cold_until_ms: None,
            shares: CounterShares::default(),
            refusals: Refusals::default(),
        }
    }

    /// For the file.
    pub(crate) fn kept(&self, host: &str, at: Stamp) -> Kept {
        let now_ms = at.mono_ms();
        let wall_ms = at.wall.millis();
        Kept {
            version: KEPT_VERSION,
            host: host.to_owned(),
            wall_ms,
            nonce: self.nonce.last(),
            rest: self.rest.counter().value(now_ms),
            pairs: self
                .engine
                .counters()
                .map(|(symbol, counter)| (symbol.to_owned(), counter.value(now_ms)))
                .filter(|(_, value)| *value > 0.0)
                .collect(),
            not_before: self
                .not_before_ms
                .iter()
                .filter(|(_, until)| **until > now_ms)
                .map(|(scope, until)| (scope.clone(), wall_ms + (until - now_ms)))
                .collect(),
            half_rate_until: (self.half_rate_until_ms > now_ms)
                .then(|| wall_ms + (self.half_rate_until_ms - now_ms)),
        }
    }

    /// Whether it started without memory and still holds back.
    pub fn is_cold(&self, now_ms: i64) -> bool {
        self.cold_until_ms.is_some_and(|until| now_ms < until)
    }

    /// Takes the shares of the configuration.
    pub const fn set_shares(&mut self, shares: CounterShares) {
        self.shares = shares;
    }

    /// Share of a pair's counter that is used, times 10,000, rounded up.
    pub fn counter_share_x10000(&self, symbol: &str, now_ms: i64) -> i64 {
        // Never below zero, and at most a few times its ceiling, which only cancels pass.
        (self.engine.counter(symbol).share(now_ms) * 10_000.0).ceil() as i64
    }

    /// The engine counters.
    pub const fn engine(&self) -> &EngineBudget {
        &self.engine
    }

    /// The REST counter.
    pub const fn rest(&self) -> &RestBudget {
        &self.rest
    }

    /// Takes over the tier that the venue reported (`maxratecount`).
    pub fn set_tier(&mut self, max_rate_count: f64, now_ms: i64) {
        let tier = Tier::from_max_rate_count(max_rate_count);
        self.engine.set_tier(tier, now_ms);
        self.rest.set_tier(tier, now_ms);
    }

    /// Takes over the venue's own count of a pair (`ratecount`).
    pub fn pair_count_reported(&mut self, symbol: &str, value: f64, now_ms: i64) {
        self.engine.reported(symbol, value, now_ms);
    }

    /// An admitted order request of a pair was answered or given up.
    pub fn order_settled(&mut self, symbol: &str, now_ms: i64) {
        self.engine.settle(symbol, now_ms);
    }

    /// An admitted REST call was answered or given up.
    pub fn rest_settled(&mut self, now_ms: i64) {
        self.rest.settle(now_ms);
    }

    fn paused(&self, scope: &Scope, now_ms: i64) -> Result<(), NotSent> {
        match self.not_before_ms.get(scope) {
            Some(until) if now_ms < *until => {
                Err(NotSent::Paused { scope: scope.to_string(), wait_ms: until - now_ms })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Admits and charges a REST call, and gives its nonce.
    ///
    /// # Errors
    /// Why it may not leave now.
    pub fn admit_rest(&mut self, cost: u32, usage: RestUse, at: Stamp) -> Result<u64, NotSent> {
        let now_ms = at.mono_ms();
        self.paused(&Scope::Key, now_ms)?;
        self.paused(&Scope::Rest, now_ms)?;
        self.rest
            .admit(cost * self.rest_factor(now_ms), usage, now_ms)
            .map_err(|wait_ms| NotSent::Budget { scope: Scope::Rest.to_string(), wait_ms })?;
        Ok(self.nonce.next(at.wall_ns()))
    }

    /// Milliseconds until REST calls of `cost` points together would be admitted, 0 when they would be now. Charges
    /// nothing: who makes several calls that are worth something only together asks first.
    pub fn rest_room_in_ms(&self, cost: u32, usage: RestUse, now_ms: i64) -> i64 {
        let paused = [Scope::Key, Scope::Rest].map(|s| match self.paused(&s, now_ms) {
            Err(NotSent::Paused { wait_ms, .. }) => wait_ms,
            Err(_) | Ok(()) => 0,
        });
        let cost = f64::from(cost * self.rest_factor(now_ms));
        let room = self.rest.counter().admits_in_ms(cost, usage.share_max(), now_ms);
        room.unwrap_or(i64::MAX).max(paused[0]).max(paused[1])
    }

    /// What a point costs now: double for a while after a refusal.
    const fn rest_factor(&self, now_ms: i64) -> u32 {
        if now_ms < self.half_rate_until_ms { 2 } else { 1 }
    }

    /// Admits and charges an order request.
    ///
    /// # Errors
    /// Why it may not leave now.
    pub fn admit_order(
        &mut self,
        symbol: &str,
        call: EngineCall,
        usage: EngineUse,
        now_ms: i64,
    ) -> Result<(), NotSent> {
        let is_cancel = matches!(call, EngineCall::Cancel { .. });
        let protective = is_cancel || usage == EngineUse::Protective;
        // A lockout is one of calls that are signed; a socket that is open stays what it was. What protects a
        // position is sent there, and refused by the venue if anybody refuses it.
        if !protective {
            self.paused(&Scope::Key, now_ms)?;
        }
        if let (Some(until), false) = (self.cold_until_ms, protective)
            && now_ms < until
        {
            return Err(NotSent::ColdStart { wait_ms: until - now_ms });
        }
        let pair = Scope::Pair(symbol.to_owned());
        if !protective && self.not_before_ms.contains_key(&pair) {
            let counter = self.engine.counter(symbol);
            if counter.share(now_ms) >= PAIR_RESUME_SHARE {
                let wait_ms = counter.admits_in_ms(0.0, PAIR_RESUME_SHARE, now_ms).unwrap_or(0);
                return Err(NotSent::Paused { scope: pair.to_string(), wait_ms: wait_ms.max(1) });
            }
            self.not_before_ms.remove(&pair);
        }
        self.engine
            .admit(symbol, call.younger_by(AGE_DOUBT_MS), self.shares.of(usage), now_ms)
            .map_err(|wait_ms| NotSent::Budget { scope: pair.to_string(), wait_ms })
    }

    /// How the venue treats the account; refusals for a time that were settled since the last look are seen once.
    pub fn standing(&mut self, now_ms: i64) -> Standing {
        Standing {
            throttled: self.paused(&Scope::Rest, now_ms).is_err(),
            locked_out: self.paused(&Scope::Key, now_ms).is_err(),
            timestamp_rejects: self.refusals.look(),
            key_refused: self.refusals.key,
        }
    }

    /// A signed request was answered without an error.
    pub const fn accepted(&mut self, way: Way) {
        self.refusals.accepted(way);
    }

    /// Learns from an answer; returns whether a back-off began (it is then saved at once).
    pub fn learn(&mut self, judgement: Judgement, symbol: Option<&str>, at: Stamp) -> bool {
        let now_ms = at.mono_ms();
        self.refusals.learn(judgement.class);
        match judgement.action {
            ErrorAction::RaiseNonce => {
                self.nonce.raise(at.wall_ns());
                false
            }
            ErrorAction::LockOut => {
                self.not_before_ms.insert(Scope::Key, now_ms + LOCKOUT_MS);
                true
            }
            ErrorAction::PauseRest => {
                self.rest.refused(now_ms);
                self.not_before_ms.insert(Scope::Rest, now_ms + REST_PAUSE_MS);
                self.half_rate_until_ms = now_ms + REST_PAUSE_MS + REST_HALF_RATE_MS;
                true
            }
            ErrorAction::WaitUntil(unix_s) => {
                let wait_ms = unix_s.saturating_mul(1_000).saturating_sub(at.wall.millis());
                // A time far ahead would be a mistake of one side; it is not waited for blindly.
                let wait_ms = wait_ms.clamp(0, LOCKOUT_MS);
                self.not_before_ms.insert(Scope::Rest, now_ms + wait_ms);
                true
            }
            ErrorAction::PausePair => {
                let Some(symbol) = symbol else { return false };
                let counter = self.engine.counter(symbol);
                self.engine.set(symbol, counter.value(now_ms).max(counter.ceiling()), now_ms);
                // Its end is a matter of the counter; the entry says that the pause is on.
                self.not_before_ms.insert(Scope::Pair(symbol.to_owned()), i64::MAX / 2);
                true
            }
            ErrorAction::StopTrading
            | ErrorAction::DropIntent
            | ErrorAction::RetryReads
            | ErrorAction::NewOrderAllowed
            | ErrorAction::SetMode(_)
            | ErrorAction::RefreshBalances
            | ErrorAction::RefreshInstruments
            | ErrorAction::LookUp
            | ErrorAction::Reprice
            | ErrorAction::Reconcile
            | ErrorAction::DisableSymbol
            | ErrorAction::Alert
            | ErrorAction::NewToken
            | ErrorAction::Log
            | ErrorAction::MarkUnhandled => false,
        }
    }
}

#[cfg(test)]
mod tests;
