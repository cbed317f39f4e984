//! Quarantine: when a symbol's own requests fail so often that it takes a long rest.
//!
//! Purpose: judge rows of refused and unanswered orders. Inputs: when orders were refused for the pair's
//! rules, how the newest sends ended, the clock, settings. Outputs: whether the symbol goes into
//! quarantine, and for how long in which mode. Invariants: pure functions of rows, so a restart counts as
//! before. Positions of a symbol in quarantine are managed and closed as ever; only entries rest.

use penstock_types::UtcMicros;
use penstock_types::vocab::{ReasonCode, SafetyMode};

/// Span in which refusals are counted, milliseconds.
pub const REFUSALS_SPAN_MS: i64 = 3_600_000;

penstock_types::closed_vocabulary! {
    /// Why a symbol goes into quarantine. The texts are the causes of its safety rows.
    pub QuarantineCause {
        /// Orders were refused for the pair's rules.
        Refusals = "order_reject",
        /// Orders were not answered in time.
        Timeouts = "submit_error",
    }
}

impl QuarantineCause {
    /// Reason code of what happened.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Refusals => ReasonCode::OrderSubmitRejected,
            Self::Timeouts => ReasonCode::OrderSubmitTimeout,
        }
    }
}

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineSettings {
    /// Refusals for the pair's rules in an hour.
    pub refusals_max: i64,
    /// Orders in a row that were not answered in time.
    pub timeouts_max: i64,
    /// Length of a quarantine, seconds.
    pub ttl_secs: i64,
    /// It ends by itself; else the operator ends it.
    pub auto_release: bool,
}

impl Default for QuarantineSettings {
    fn default() -> Self {
        Self { refusals_max: 3, timeouts_max: 3, ttl_secs: 3_600, auto_release: true }
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl QuarantineSettings {
    /// Enough refusals lie within the hour.
    #[must_use]
    pub fn refused_too_often(&self, refused_at: &[UtcMicros], now: UtcMicros) -> bool {
        let recent = refused_at.iter().filter(|at| now.millis_since(**at) < REFUSALS_SPAN_MS);
        count(recent.count()) >= self.refusals_max
    }

    /// The newest sends, newest first, all ended without an answer in time, and there are enough.
    #[must_use]
    pub fn unanswered_too_often(&self, timed_out: &[bool]) -> bool {
        count(timed_out.iter().take_while(|late| **late).count()) >= self.timeouts_max
    }

    /// Mode of a quarantine that begins now, and its end.
    #[must_use]
    pub fn sentence(&self, now: UtcMicros) -> (SafetyMode, Option<UtcMicros>) {
        if self.auto_release {
            (SafetyMode::Quiet, Some(now.plus_millis(self.ttl_secs.saturating_mul(1_000))))
        } else {
            (SafetyMode::ExitOnly, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros(1_771_243_200_000_000 + ms * 1_000)
    }

    #[test]
    fn the_third_refusal_within_the_hour_is_too_many() {
        let rule = QuarantineSettings::default();
        let refused = |ms: &[i64], now| {
            rule.refused_too_often(&ms.iter().map(|ms| at(*ms)).collect::<Vec<_>>(), at(now))
        };
        assert!(!refused(&[0, 1], 1));
        assert!(refused(&[0, 1, 3_599_999], 3_599_999));
        assert!(!refused(&[0, 1, 3_600_000], 3_600_000), "the first is an hour old");
    }

    #[test]
    fn only_timeouts_without_an_answer_between_them_count() {
        let rule = QuarantineSettings::default();
        assert!(rule.unanswered_too_often(&[true, true, true]));
        assert!(!rule.unanswered_too_often(&[true, true]));
        assert!(!rule.unanswered_too_often(&[true, true, false, true]));
        assert!(!rule.unanswered_too_often(&[false, true, true, true]), "the newest was answered");
    }

    #[test]
    fn a_quarantine_ends_by_itself_only_where_the_settings_say_so() {
        let rule = QuarantineSettings::default();
        assert_eq!(rule.sentence(at(0)), (SafetyMode::Quiet, Some(at(3_600_000))));
        let by_hand = QuarantineSettings { auto_release: false, ..rule };
        assert_eq!(by_hand.sentence(at(0)), (SafetyMode::ExitOnly, None));
    }
}
