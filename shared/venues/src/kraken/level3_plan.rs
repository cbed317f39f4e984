//! What subscriptions of the order-by-order channel cost, and when a symbol is given up.
//!
//! Input: what is wanted, what happened, and the time. Output: how much may be asked for now, or how
//! long to wait; whether a symbol is blocked. Invariants: within any second the cost of what was
//! admitted stays within the budget, which belongs to the account and not to one connection; a blocked
//! symbol begins anew when its time is over. Times are milliseconds of one monotonic clock.

use std::collections::VecDeque;

/// Symbols that one connection may carry.
pub const SYMBOLS_PER_CONNECTION_MAX: usize = 200;

/// A token that was fetched longer ago than this is fetched anew before a symbol is subscribed again.
pub const TOKEN_AGE_MS_MAX: i64 = 600_000;

/// Points that the venue takes per second from an account of the standard tier.
pub const POINTS_PER_SECOND_STANDARD: u32 = 200;
/// Points that the venue takes per second from an account of the highest tier.
pub const POINTS_PER_SECOND_PRO: u32 = 500;

/// Points that one symbol costs; `None` for a depth that the venue does not offer.
pub const fn subscription_points(depth: u32) -> Option<u32> {
    match depth {
        10 => Some(5),
        100 => Some(25),
        1_000 => Some(100),
        _ => None,
    }
}

/// The budget of subscriptions of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeBudget {
    points_per_s: u32,
    /// Points that were admitted within the last second, and when.
    spent: VecDeque<(i64, u32)>,
}

/// Length of the venue's window, milliseconds.
const WINDOW_MS: i64 = 1_000;

impl SubscribeBudget {
    /// A budget that nothing was taken from.
    pub const fn new(points_per_s: u32) -> Self {
        Self { points_per_s, spent: VecDeque::new() }
    }

    /// Admits as many of `wanted` symbols as fit now, and charges them.
    ///
    /// # Errors
    /// Not one fits: the wait in milliseconds; `i64::MAX` if one never does.
    pub fn admit(&mut self, depth: u32, wanted: usize, now_ms: i64) -> Result<usize, i64> {
        let points = subscription_points(depth).filter(|points| *points <= self.points_per_s);
        let Some(points) = points else { return Err(i64::MAX) };
        while self.spent.front().is_some_and(|(at, _)| now_ms - at >= WINDOW_MS) {
            self.spent.pop_front();
        }
        let used: u32 = self.spent.iter().map(|(_, points)| points).sum();
        let fit = (self.points_per_s.saturating_sub(used) / points) as usize;
        let admitted = wanted.min(fit);
        if admitted > 0 {
            // At most `points_per_s`, which fits.
            self.spent.push_back((now_ms, admitted as u32 * points));
            return Ok(admitted);
        }
        if wanted == 0 {
            return Ok(0);
        }
        Err(self.fits_in_ms(points, used, now_ms))
    }

    /// When enough of what was spent has left the window.
    fn fits_in_ms(&self, points: u32, used: u32, now_ms: i64) -> i64 {
        let mut used = used;
        for (at, spent) in &self.spent {
            used -= spent;
            if used + points <= self.points_per_s {
                return at + WINDOW_MS - now_ms;
            }
        }
        WINDOW_MS
    }
}

/// When a symbol that keeps losing its book is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncLimit {
    /// Resyncs within the window that block it.
    pub count_max: u32,
    /// Length of the window, milliseconds.
    pub window_ms: i64,
    /// Length of the block, milliseconds.
    pub block_ms: i64,
}

/// What a resync leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncVerdict {
    /// Subscribe again.
    Again {
        /// Resyncs within the window, this one included.
        count: u32,
    },
    /// Leave the symbol alone until then.
    Blocked {
        /// End of the block.
        until_ms: i64,
    },
}

/// Resyncs of one symbol; survives reconnects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResyncCounter {
    at_ms: VecDeque<i64>,
    blocked_until_ms: Option<i64>,
}

impl ResyncCounter {
    /// Counts a resync. One of a blocked symbol changes nothing.
    pub fn resynced(&mut self, limit: ResyncLimit, now_ms: i64) -> ResyncVerdict {
        if let Some(until_ms) = self.blocked(now_ms) {
            return ResyncVerdict::Blocked { until_ms };
        }
        self.at_ms.push_back(now_ms);
        let count = self.count(limit, now_ms);
        if count < limit.count_max {
            return ResyncVerdict::Again { count };
        }
        let until_ms = now_ms.saturating_add(limit.block_ms);
        self.blocked_until_ms = Some(until_ms);
        ResyncVerdict::Blocked { until_ms }
    }

    /// Resyncs within the window.
    pub fn count(&mut self, limit: ResyncLimit, now_ms: i64) -> u32 {
        while self.at_ms.front().is_some_and(|at| now_ms - at >= limit.window_ms) {
            self.at_ms.pop_front();
        }
        u32::try_from(self.at_ms.len()).unwrap_or(u32::MAX)
    }

    /// End of the block, if the symbol is blocked; when it is over, counting begins anew.
    pub fn blocked(&mut self, now_ms: i64) -> Option<i64> {
        let until_ms = self.blocked_until_ms?;
        if now_ms < until_ms {
            return Some(until_ms);
        }
        self.blocked_until_ms = None;
        self.at_ms.clear();
        None
    }
}

/// Whether so many books are lost at once that it is no fault of single symbols: more than half.
pub const fn is_systemic(lost: usize, symbols: usize) -> bool {
    lost > symbols / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn symbols_are_admitted_as_the_second_allows() {
        let mut budget = SubscribeBudget::new(POINTS_PER_SECOND_STANDARD);
        assert_eq!(budget.admit(10, 30, 0), Ok(30));
        assert_eq!(budget.admit(10, 30, 400), Ok(10));
        assert_eq!(budget.admit(10, 1, 500), Err(500));
        assert_eq!(budget.admit(1_000, 1, 500), Err(500));
        assert_eq!(budget.admit(10, 0, 500), Ok(0));
        assert_eq!(budget.admit(10, 100, 1_000), Ok(30));
        assert_eq!(budget.admit(25, 1, 1_000), Err(i64::MAX));
        assert_eq!(SubscribeBudget::new(50).admit(1_000, 1, 0), Err(i64::MAX));
    }

    #[test]
    fn the_fifth_resync_within_ten_minutes_blocks_for_half_an_hour() {
        let limit = ResyncLimit { count_max: 5, window_ms: 600_000, block_ms: 1_800_000 };
        let mut counter = ResyncCounter::default();
        for (n, at) in (1..=4).zip([0, 1_000, 2_000, 3_000]) {
            assert_eq!(counter.resynced(limit, at), ResyncVerdict::Again { count: n });
        }
        // The first has left the window, so this is the fourth.
        assert_eq!(counter.resynced(limit, 600_500), ResyncVerdict::Again { count: 4 });
        let blocked = ResyncVerdict::Blocked { until_ms: 2_400_900 };
        assert_eq!(counter.resynced(limit, 600_900), blocked);
        assert_eq!(counter.resynced(limit, 700_000), blocked);
        assert_eq!(counter.blocked(2_400_899), Some(2_400_900));
        assert_eq!(counter.blocked(2_400_900), None);
        assert_eq!(counter.resynced(limit, 2_400_900), ResyncVerdict::Again { count: 1 });
    }

    #[test]
    fn more_than_half_is_systemic() {
        assert!(!is_systemic(0, 0) && !is_systemic(100, 200));
        assert!(is_systemic(101, 200) && is_systemic(1, 1));
    }

    proptest! {
        /// Whatever is asked for and whenever, no second holds more than the budget, and waiting as
        /// long as was said is enough.
        #[test]
        fn no_second_holds_more_than_its_budget(
            asks in proptest::collection::vec((0i64..700, 0usize..60, 0usize..3), 1..40),
        ) {
            let mut budget = SubscribeBudget::new(POINTS_PER_SECOND_STANDARD);
            let mut now_ms = 0;
            let mut admitted: Vec<(i64, u32)> = Vec::new();
            for (pause, wanted, depth) in asks {
                now_ms += pause;
                let depth = [10, 100, 1_000][depth];
                let points = subscription_points(depth).unwrap();
                match budget.admit(depth, wanted, now_ms) {
                    Ok(count) => admitted.push((now_ms, count as u32 * points)),
                    Err(wait_ms) => {
                        prop_assert!((1..=1_000).contains(&wait_ms));
                        now_ms += wait_ms;
                        let count = budget.admit(depth, 1, now_ms);
                        prop_assert_eq!(count, Ok(1));
                        admitted.push((now_ms, points));
                    }
                }
                let within = admitted.iter().filter(|(at, _)| now_ms - at < 1_000);
                prop_assert!(within.map(|(_, points)| points).sum::<u32>() <= 200);
            }
        }
    }
}
