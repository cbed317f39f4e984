//! When to connect again.
//!
//! Input: losses, health, the venue's maintenance, a random number, the time. Output: the delay of
//! the next attempt. The first attempt after a loss is immediate; further ones wait a random part of a
//! doubling interval (full jitter), so that many clients do not come back in step. A process-wide
//! budget keeps below the limit at which the venue bans an address. Times are milliseconds of one
//! monotonic clock. It opens nothing.

use std::collections::VecDeque;

/// A random number in [0, 1), as its numerator over 2^32; the caller draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(pub u32);

impl Chance {
    /// A random part of `span_ms`.
    fn of(self, span_ms: i64) -> i64 {
        ((i128::from(span_ms) * i128::from(self.0)) >> 32) as i64
    }
}

/// Numbers of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectRule {
    /// Interval of the second attempt, milliseconds.
    pub base_ms: i64,
    /// Largest interval, milliseconds.
    pub cap_ms: i64,
    /// Health after which the count starts anew, milliseconds.
    pub healthy_ms: i64,
    /// Whether the first attempt is immediate.
    pub first_at_once: bool,
}

/// Public sockets: 1 s doubling to 30 s, the first attempt at once.
pub const PUBLIC: ReconnectRule =
    ReconnectRule { base_ms: 1_000, cap_ms: 30_000, healthy_ms: 60_000, first_at_once: true };
/// Private socket: 0.5 s doubling to 30 s.
pub const PRIVATE: ReconnectRule =
    ReconnectRule { base_ms: 500, cap_ms: 30_000, healthy_ms: 60_000, first_at_once: false };
/// Delay while the venue is in maintenance; it allows one attempt per 5 s. Jitter of up to a second
/// comes on top.
pub const MAINTENANCE_MS: i64 = 5_000;
const MAINTENANCE_JITTER_MS: i64 = 1_000;

/// State of one socket's reconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    rule: ReconnectRule,
    attempt: u32,
    connected_ms: Option<i64>,
    maintenance: bool,
}

impl Reconnect {
    /// Nothing happened yet.
    pub const fn new(rule: ReconnectRule) -> Self {
        Self { rule, attempt: 0, connected_ms: None, maintenance: false }
    }

    /// The socket is open.
    pub fn connected(&mut self, now_ms: i64) {
        self.connected_ms = Some(now_ms);
    }

    /// The venue said whether it is in maintenance.
    pub fn maintenance(&mut self, on: bool) {
        self.maintenance = on;
    }

    /// The socket is lost or could not be opened: delay until the next attempt, milliseconds.
    pub fn lost(&mut self, now_ms: i64, chance: Chance) -> i64 {
        let healthy =
            self.connected_ms.take().is_some_and(|since| now_ms - since >= self.rule.healthy_ms);
        if healthy {
            self.attempt = 0;
        }
        let attempt = self.attempt;
        self.attempt = self.attempt.saturating_add(1);
        if self.maintenance {
            return MAINTENANCE_MS + chance.of(MAINTENANCE_JITTER_MS);
        }
        let exponent = match (self.rule.first_at_once, attempt) {
            (true, 0) => return 0,
            (true, attempt) => attempt - 1,
            (false, attempt) => attempt,
        };
        let interval =
            self.rule.base_ms.saturating_mul(1 << exponent.min(20)).min(self.rule.cap_ms);
        chance.of(interval)
    }
}

/// Connects of the whole process within a rolling window.
#[derive(Clone, Debug)]
pub struct ConnectBudget {
    window_ms: i64,
    max: usize,
    times_ms: VecDeque<i64>,
}

/// Connects per window: the venue bans an address at about 150 per 10 min.
pub const CONNECTS_MAX: usize = 100;
/// The window, milliseconds.
pub const CONNECTS_WINDOW_MS: i64 = 600_000;

impl Default for ConnectBudget {
    fn default() -> Self {
        Self::new(CONNECTS_MAX, CONNECTS_WINDOW_MS)
    }
}

impl ConnectBudget {
    /// A budget of `max` connects per window.
    pub const fn new(max: usize, window_ms: i64) -> Self {
        Self { window_ms, max, times_ms: VecDeque::new() }
    }

    /// Takes one connect.
    ///
    /// # Errors
    /// The wait in milliseconds when the budget is used up.
    pub fn take(&mut self, now_ms: i64) -> Result<(), i64> {
        while self.times_ms.front().is_some_and(|at| now_ms - at >= self.window_ms) {
            self.times_ms.pop_front();
        }
        match self.times_ms.front() {
            Some(first) if self.times_ms.len() >= self.max => {
                Err(self.window_ms - (now_ms - first))
            }
            _ => {
                self.times_ms.push_back(now_ms);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Chance = Chance(u32::MAX);
    const LEAST: Chance = Chance(0);

    #[test]
    fn the_first_attempt_is_immediate_and_the_others_double() {
        let mut reconnect = Reconnect::new(PUBLIC);
        let waits: Vec<i64> = (0..8).map(|_| reconnect.lost(0, MOST)).collect();
        assert_eq!(waits, [0, 999, 1_999, 3_999, 7_999, 15_999, 29_999, 29_999]);
        assert_eq!(reconnect.lost(0, LEAST), 0);
    }

    #[test]
    fn the_private_socket_waits_before_its_first_attempt_too() {
        let mut reconnect = Reconnect::new(PRIVATE);
        let waits: Vec<i64> = (0..3).map(|_| reconnect.lost(0, MOST)).collect();
        assert_eq!(waits, [499, 999, 1_999]);
    }

    #[test]
    fn a_minute_of_health_starts_anew_and_less_does_not() {
        let mut reconnect = Reconnect::new(PUBLIC);
        for _ in 0..5 {
            reconnect.lost(0, MOST);
        }
        reconnect.connected(0);
        assert_eq!(reconnect.lost(59_999, MOST), 15_999);
        reconnect.connected(60_000);
        assert_eq!(reconnect.lost(120_000, MOST), 0);
    }

    #[test]
    fn maintenance_is_a_fixed_delay_with_jitter() {
        let mut reconnect = Reconnect::new(PUBLIC);
        reconnect.maintenance(true);
        assert_eq!(reconnect.lost(0, LEAST), 5_000);
        assert_eq!(reconnect.lost(0, MOST), 5_999);
        reconnect.maintenance(false);
        assert!(reconnect.lost(0, MOST) < 4_000);
    }

    #[test]
    fn the_budget_says_how_long_to_wait() {
        let mut budget = ConnectBudget::new(2, 1_000);
        assert_eq!(budget.take(0), Ok(()));
        assert_eq!(budget.take(100), Ok(()));
        assert_eq!(budget.take(200), Err(800));
        assert_eq!(budget.take(1_000), Ok(()));
    }
}
