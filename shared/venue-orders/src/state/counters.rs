//! Every counter of the account as it stands, for the record.
//!
//! Input: the memory, a time. Output: one look for each scope that is not empty or held back. Invariant: nothing is
//! changed by looking.

use super::{PAIR_RESUME_SHARE, Scope, VenueState};
use penstock_venues::kraken::rates::Counter;

/// A counter that is not empty, or a scope that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterLook {
    /// `the key`, `private REST`, or the pair.
    pub scope: String,
    /// Points times 100, rounded up.
    pub counter_x100: i64,
    /// Its ceiling likewise; 0 when the scope has no counter of its own.
    pub max_x100: i64,
    /// Share of the ceiling times 10,000, rounded up.
    pub share_x10000: i64,
    /// How long the scope is held back from now on, milliseconds; 0: it is not.
    pub backoff_ms: i64,
}

impl VenueState {
    /// Every counter that is not empty, and the scopes that are held back.
    #[must_use]
    pub fn counter_looks(&self, now_ms: i64) -> Vec<CounterLook> {
        let mut looks = vec![look(
            Scope::Rest,
            self.rest.counter(),
            self.held_back(&Scope::Rest, now_ms),
            now_ms,
        )];
        for (symbol, counter) in self.engine.counters() {
            let scope = Scope::Pair(symbol.to_owned());
            let is_paused = self.not_before_ms.contains_key(&scope)
                && counter.share(now_ms) >= PAIR_RESUME_SHARE;
            let wait = counter.admits_in_ms(0.0, PAIR_RESUME_SHARE, now_ms).unwrap_or(0).max(1);
            looks.push(look(scope, counter, if is_paused { wait } else { 0 }, now_ms));
        }
        let key = self.held_back(&Scope::Key, now_ms);
        looks.push(CounterLook {
            scope: Scope::Key.to_string(),
            counter_x100: 0,
            max_x100: 0,
            share_x10000: 0,
            backoff_ms: key,
        });
        looks.retain(|look| look.counter_x100 > 0 || look.backoff_ms > 0);
        looks
    }

    fn held_back(&self, scope: &Scope, now_ms: i64) -> i64 {
        self.not_before_ms.get(scope).map_or(0, |until| (until - now_ms).max(0))
    }
}

fn look(scope: Scope, counter: &Counter, backoff_ms: i64, now_ms: i64) -> CounterLook {
    // Between zero and a few hundred points.
    let x100 = |points: f64| (points * 100.0).ceil() as i64;
    CounterLook {
        scope: scope.to_string(),
        counter_x100: x100(counter.value(now_ms)),
        max_x100: x100(counter.ceiling()),
        share_x10000: (counter.share(now_ms) * 10_000.0).ceil() as i64,
        backoff_ms,
    }
}
