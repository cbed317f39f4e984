//! How long the gate may take, and when it may ask a second time.
//!
//! Input: the budget of an evaluation, what has been used of it, how an attempt ended. Output: asked again or not, and
//! for how long. Invariants: all attempts share one budget; only what a second attempt can mend is tried again; a late
//! answer could not pass the gate of the generation, so a budget that allows one is refused at the start.

use penstock_types::closed_vocabulary;

/// Longest that a decision needs from the answer to the gate of the generation, in milliseconds.
pub const AFTER_ANSWER_MS: u64 = 1_000;

closed_vocabulary! {
    /// How an attempt failed.
    pub AttemptFailure {
        /// No connection was made.
        Connect = "connect",
        /// The connection was lost, or the exchange broke off, after it was made.
        Transport = "transport",
        /// The endpoint asked for fewer requests (429).
        Throttled = "throttled",
        /// The endpoint failed (5xx).
        Server = "server",
        /// Any other status that is no success, a redirect included.
        Status = "status",
        /// The time was used up.
        Timeout = "timeout",
        /// There was an answer, but none that can be used.
        Answer = "answer",
    }
}

/// The budget of one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// All attempts together, in milliseconds.
    pub total_ms: u64,
    /// Second attempts, 0 or 1.
    pub retries_max: u32,
}

impl Budget {
    /// An answer at its end can still be used: a generation is out of date `generations_lag_max` intervals later.
    #[must_use]
    pub const fn leaves_time(&self, generations_lag_max: u64, refresh_interval_ms: u64) -> bool {
        let needed = self.total_ms.saturating_add(AFTER_ANSWER_MS);
        needed <= generations_lag_max.saturating_mul(refresh_interval_ms)
    }

    /// What is left, `None` when nothing is.
    #[must_use]
    pub const fn left_ms(&self, used_ms: u64) -> Option<u64> {
        match self.total_ms.checked_sub(used_ms) {
            Some(0) | None => None,
            Some(left) => Some(left),
        }
    }

    /// Milliseconds for another attempt after `attempts` of them, the last of which failed like this; `None` when there
    /// is none.
    #[must_use]
    pub const fn again_ms(
        &self,
        attempts: u32,
        failure: AttemptFailure,
        used_ms: u64,
    ) -> Option<u64> {
        let mendable = match failure {
            AttemptFailure::Connect | AttemptFailure::Throttled | AttemptFailure::Server => true,
            AttemptFailure::Transport
            | AttemptFailure::Status
            | AttemptFailure::Timeout
            | AttemptFailure::Answer => false,
        };
        match self.left_ms(used_ms) {
            Some(left)
                if mendable
                    && attempts <= self.retries_max
                    && left >= self.total_ms.div_ceil(2) =>
            {
                Some(left)
            }
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_before_the_generation_is_out_of_date() {
        let of = |total_ms| Budget { total_ms, retries_max: 0 }.leaves_time(5, 1_000);
        assert!(of(4_000));
        assert!(!of(4_001));
        assert!(!Budget { total_ms: u64::MAX, retries_max: 0 }.leaves_time(5, 1_000));
    }

    #[test]
    fn only_what_can_be_mended_is_tried_again() {
        let budget = Budget { total_ms: 4_000, retries_max: 1 };
        for failure in AttemptFailure::ALL {
            let mendable = ["connect", "throttled", "server"].contains(&failure.as_str());
            assert_eq!(budget.again_ms(1, *failure, 100).is_some(), mendable, "{failure}");
            assert_eq!(Budget { retries_max: 0, ..budget }.again_ms(1, *failure, 100), None);
            assert_eq!(budget.again_ms(2, *failure, 100), None, "one call and one more");
        }
    }

    #[test]
    fn half_of_the_budget_has_to_be_left() {
        let budget = Budget { total_ms: 4_001, retries_max: 1 };
        let again = |used| budget.again_ms(1, AttemptFailure::Server, used);
        assert_eq!(again(0), Some(4_001));
        assert_eq!(again(2_000), Some(2_001));
        assert_eq!(again(2_001), None);
        assert_eq!(again(9_000), None);
        assert_eq!(budget.left_ms(4_000), Some(1));
        assert_eq!(budget.left_ms(4_001), None);
    }
}
