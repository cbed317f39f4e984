//! What a venue is asked when: funding of all symbols, open interest of each, and how a refusal stops
//! both.
//!
//! Input: the time, outcomes. Output: the request that is due and changes of the open interest's interval.
//! Funding is due at a fixed distance and at once after a reconnect of the stream. A request that fails is
//! due again after a doubling pause; 429 and 418 stop everything for as long as the venue says.

use super::open_interest::{IntervalChange, OiRule, OiSchedule, StretchCause};

/// Pause after a failed funding request, milliseconds: doubles to the cap.
const RETRY_FIRST_MS: i64 = 200;
const RETRY_MAX_MS: i64 = 30_000;
/// Stops without a word of the venue, seconds: over the limit, banned, walled off or of a region that
/// the venue does not serve.
const STOP_LIMIT_S: i64 = 60;
const STOP_BANNED_S: i64 = 120;
const STOP_REGION_S: i64 = 3_600;
/// Longest stop that the venue may ask for, seconds: three days.
const STOP_MAX_S: i64 = 259_200;

/// Numbers of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollRule {
    /// Seconds between two funding requests.
    pub funding_s: i64,
    /// Open interest, where each symbol is asked for by itself.
    pub open_interest: Option<OiRule>,
    /// Seconds between two requests for the lengths of funding periods, where the venue tells them.
    pub periods_s: Option<i64>,
    /// Seconds between two looks at the venue's clock, where a request gives nothing else.
    pub clock_s: Option<i64>,
}

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Mark, index and funding of all symbols.
    Funding,
    /// Lengths of funding periods.
    Periods,
    /// The venue's clock.
    Clock,
    /// Open interest of the symbol at this position.
    OpenInterest(usize),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a body.
    Answered {
        /// Used weight of this minute, where the venue tells it.
        used_weight: Option<u64>,
    },
    /// Without one, or with an error that passes.
    Failed,
    /// Refused; the venue wants to be left alone.
    Refused {
        /// HTTP status: 429, 418, 403 or 451.
        status: u16,
        /// Seconds that the venue named.
        retry_after_s: Option<i64>,
    },
}

/// The schedule of one venue.
#[derive(Clone, Debug)]
pub struct PollPlan {
    rule: PollRule,
    funding_due_ms: i64,
    periods_due_ms: i64,
    clock_due_ms: i64,
    failures: u32,
    open_interest: Option<OiSchedule>,
    stopped_until_ms: Option<i64>,
}

impl PollPlan {
    /// A plan in which funding is due at once; `is_bound` per symbol of the open interest.
    pub fn new(rule: PollRule, is_bound: &[bool], now_ms: i64) -> Self {
        let open_interest = rule.open_interest.map(|oi| OiSchedule::new(oi, is_bound, now_ms));
        Self {
            rule,
            funding_due_ms: now_ms,
            periods_due_ms: now_ms,
            clock_due_ms: now_ms,
            failures: 0,
            open_interest,
            stopped_until_ms: None,
        }
    }

    /// A stretched interval at the start.
    pub fn first_change(&self) -> Option<IntervalChange> {
        self.open_interest.as_ref().and_then(OiSchedule::first_change)
    }

    /// The request that is due, if any; it counts as sent.
    pub fn next(&mut self, now_ms: i64) -> Option<Ask> {
        if self.stopped_until_ms.is_some_and(|until| now_ms < until) {
            return None;
        }
        if now_ms >= self.funding_due_ms {
            self.funding_due_ms = now_ms + self.rule.funding_s * 1_000;
            return Some(Ask::Funding);
        }
        if let Some(periods_s) = self.rule.periods_s
            && now_ms >= self.periods_due_ms
        {
            self.periods_due_ms = now_ms + periods_s * 1_000;
            return Some(Ask::Periods);
        }
        if let Some(clock_s) = self.rule.clock_s
            && now_ms >= self.clock_due_ms
        {
            self.clock_due_ms = now_ms + clock_s * 1_000;
            return Some(Ask::Clock);
        }
        self.open_interest.as_mut()?.next(now_ms).map(Ask::OpenInterest)
    }

    /// The stream is connected again.
    pub fn reconnected(&mut self, now_ms: i64) {
        self.funding_due_ms = self.funding_due_ms.min(now_ms);
        if let Some(open_interest) = &mut self.open_interest {
            open_interest.reconnected(now_ms);
        }
    }

    /// Takes the outcome of a request.
    pub fn ended(&mut self, ask: Ask, outcome: Outcome, now_ms: i64) -> Option<IntervalChange> {
        match outcome {
            Outcome::Answered { used_weight } => {
                if ask == Ask::Funding {
                    self.failures = 0;
                }
                let is_over = self.stopped_until_ms.is_some_and(|until| now_ms >= until);
                if is_over {
                    self.stopped_until_ms = None;
                }
                let open_interest = self.open_interest.as_mut()?;
                let change = used_weight.and_then(|used| open_interest.weight(used, now_ms));
                if is_over {
                    return change.or_else(|| Some(open_interest.change(StretchCause::Restored)));
                }
                change
            }
            Outcome::Failed => {
                if ask == Ask::Funding {
                    let pause_ms = RETRY_FIRST_MS << self.failures.min(16);
                    self.failures = self.failures.saturating_add(1);
                    let due_ms = now_ms + pause_ms.min(RETRY_MAX_MS);
                    self.funding_due_ms = self.funding_due_ms.min(due_ms);
                }
                None
            }
            Outcome::Refused { status, retry_after_s } => {
                let own_s = match status {
                    418 => STOP_BANNED_S,
                    451 | 403 => STOP_REGION_S,
                    _ => STOP_LIMIT_S,
                };
                let stop_s = retry_after_s.unwrap_or(own_s).clamp(1, STOP_MAX_S);
                let until_ms = now_ms + stop_s * 1_000;
                let was_stopped = self
                    .stopped_until_ms
                    .replace(self.stopped_until_ms.map_or(until_ms, |before| before.max(until_ms)));
                // Funding that was refused is due when the stop ends, not a whole distance later.
                self.funding_due_ms = self.funding_due_ms.min(until_ms);
                let open_interest = self.open_interest.as_ref()?;
                let is_new = was_stopped.is_none();
                is_new.then(|| IntervalChange {
                    interval_s: open_interest.interval_s().max(stop_s),
                    ..open_interest.change(StretchCause::RateLimited)
                })
            }
        }
    }
}
