//! How hard the writer is pressed: a pure judgement of queue and lag.
//!
//! Input: how many events wait, how old the oldest one without a row is. Output: a level. Invariants: the
//! limits are shares of the capacity, judged at the limit itself; of the two signals the stricter counts.

use penstock_config::Config;

/// How hard the writer is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Nothing waits for long.
    Ok,
    /// No new entries; producers that can wait do.
    High,
    /// Only critical events are taken.
    Full,
}

impl Pressure {
    /// What is done about it, as the event says it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Ok => "NONE",
            Self::High => "DEGRADE",
            Self::Full => "PAUSE",
        }
    }
}

/// Limits of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressureLimits {
    /// Events that may wait.
    pub capacity: usize,
    /// Percent of the capacity that is high.
    pub high_pct: usize,
    /// Percent of the capacity that is full.
    pub full_pct: usize,
    /// Age of the oldest event without a row that is high, milliseconds.
    pub lag_ms_max: i64,
}

impl PressureLimits {
    /// As configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let audit = &config.areas.audit;
        let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            capacity: number(audit.audit_writer_queue_capacity),
            high_pct: number(audit.audit_writer_queue_hi_watermark_pct),
            full_pct: number(audit.audit_writer_queue_full_pct),
            lag_ms_max: i64::try_from(audit.audit_writer_max_lag_ms).unwrap_or(i64::MAX),
        }
    }

    /// The level of so many waiting events and such a lag in milliseconds.
    #[must_use]
    pub const fn judge(&self, queue_len: usize, lag_ms: i64) -> Pressure {
        if self.is_full(queue_len) {
            Pressure::Full
        } else if reaches(queue_len, self.capacity, self.high_pct) || lag_ms >= self.lag_ms_max {
            Pressure::High
        } else {
            Pressure::Ok
        }
    }

    /// So many waiting events leave room for critical ones only.
    #[must_use]
    pub const fn is_full(&self, queue_len: usize) -> bool {
        reaches(queue_len, self.capacity, self.full_pct)
    }

    /// Most events of the normal and the sample lane: a quarter of the capacity is kept for critical ones.
    #[must_use]
    pub const fn other_max(&self) -> usize {
        self.capacity - self.capacity / 4
    }

    /// Share of the capacity in hundredths of a percent of a percent: 80 % is 800,000.
    #[must_use]
    pub fn pct_x10000(&self, queue_len: usize) -> i64 {
        let share = queue_len.saturating_mul(1_000_000) / self.capacity.max(1);
        i64::try_from(share).unwrap_or(i64::MAX)
    }
}

const fn reaches(len: usize, capacity: usize, pct: usize) -> bool {
    len.saturating_mul(100) >= capacity.saturating_mul(pct)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PressureLimits =
        PressureLimits { capacity: 1_024, high_pct: 80, full_pct: 95, lag_ms_max: 5_000 };

    #[test]
    fn each_level_begins_at_its_limit() {
        // 80 % of 1,024 is 819.2 and 95 % is 972.8.
        for (len, lag, level) in [
            (819, 4_999, Pressure::Ok),
            (820, 0, Pressure::High),
            (0, 5_000, Pressure::High),
            (972, 60_000, Pressure::High),
            (973, 0, Pressure::Full),
            (2_000, 0, Pressure::Full),
        ] {
            assert_eq!(LIMITS.judge(len, lag), level, "{len} events, {lag} ms");
        }
        assert_eq!(LIMITS.other_max(), 768);
        assert_eq!(LIMITS.pct_x10000(512), 500_000);
    }
}
