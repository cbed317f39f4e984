//! The least delay of a connection over the last five minutes.
//!
//! Input: delays with the time at which each was seen. Output: the least one of the last 300 seconds. Kept is
//! only what can still become the least: seconds ascending, each with a greater delay than the one before it,
//! so that taking one costs O(1) on average, and never more than 300 seconds are held.

use penstock_types::UtcMicros;
use std::collections::VecDeque;

/// Seconds over which the best delay is taken.
const DELAY_SECS: i64 = 300;

/// Delays of one connection.
#[derive(Debug)]
pub(super) struct Delays {
    second: i64,
    /// Second and least delay in it, microseconds.
    least: VecDeque<(i64, i64)>,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self { second: 0, least: VecDeque::new() }
    }

    /// Takes a delay and returns the least one of the last 300 s, this one included. A time that runs
    /// backwards counts as the newest one.
    pub(super) fn take(&mut self, at: UtcMicros, delay_us: i64) -> i64 {
        self.second = self.second.max(at.secs());
        while self.least.pop_front_if(|held| held.0 <= self.second - DELAY_SECS).is_some() {}
        while self.least.pop_back_if(|held| held.1 >= delay_us).is_some() {}
        if self.least.back().is_none_or(|held| held.0 < self.second) {
            self.least.push_back((self.second, delay_us));
        }
        self.least.front().map_or(delay_us, |held| held.1)
    }

    /// The least one that is known; none before the first.
    pub(super) fn least(&self) -> Option<i64> {
        self.least.front().map(|held| held.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every second by itself, as the definition says it.
    fn by_definition(seen: &[(i64, i64)]) -> i64 {
        let newest = seen.iter().map(|(second, _)| *second).max().unwrap();
        let within = seen.iter().filter(|(second, _)| *second > newest - DELAY_SECS);
        within.map(|(_, delay)| *delay).min().unwrap()
    }

    proptest! {
        #[test]
        fn the_least_is_that_of_all_delays_of_five_minutes(
            steps in proptest::collection::vec((-2_i64..90, -50_i64..1_000), 1..300),
        ) {
            let (mut delays, mut seen) = (Delays::new(), Vec::new());
            let (mut now, mut newest) = (1_800_000_000, 0);
            for (step, delay_us) in steps {
                // Most of them within the same second.
                now += if step > 70 { step * 3 } else { step / 30 };
                newest = now.max(newest);
                seen.push((newest, delay_us));
                let want = by_definition(&seen);
                prop_assert_eq!(delays.take(UtcMicros(now * 1_000_000), delay_us), want);
                prop_assert!(delays.least.len() <= 300);
            }
        }
    }

    #[test]
    fn the_best_delay_leaves_after_five_minutes() {
        let mut delays = Delays::new();
        assert_eq!(delays.least(), None);
        let at = |second: i64| UtcMicros(second * 1_000_000);
        assert_eq!(delays.take(at(1_000), 5), 5);
        assert_eq!(delays.take(at(1_299), 9), 5);
        assert_eq!(delays.least(), Some(5));
        assert_eq!(delays.take(at(1_300), 9), 9);
        assert_eq!(delays.take(at(1_200), 7), 7, "a time of before counts as now");
    }
}
