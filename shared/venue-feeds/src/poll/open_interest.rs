//! When which symbol's open interest is asked for: one request per symbol, evenly spread, in a budget.
//!
//! Input: the time, what the venue says about the used weight. Output: the symbol that is due, and each
//! change of the interval. Bound symbols come every few seconds; more of them than the budget carries
//! stretch the interval of all; a high used weight doubles it until it has been low for a minute. Others
//! come once per minute from what the budget has left.

/// Distance for symbols that nothing needs at once, and the longest doubled distance, seconds.
const RELAXED_S: i64 = 60;
/// Used weight above which the distance is doubled, and below which it recovers, percent of the limit.
const HEAVY_PCT: u64 = 50;
const LIGHT_PCT: u64 = 40;
/// How long the weight has to be low, milliseconds.
const LIGHT_FOR_MS: i64 = 60_000;

/// Numbers of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OiRule {
    /// Seconds between two requests of one bound symbol.
    pub interval_s: i64,
    /// Requests per second of all symbols together.
    pub requests_per_s: i64,
    /// The venue's limit of used weight per minute.
    pub weight_max: u64,
}

impl OiRule {
    /// Seconds between two requests of one bound symbol when so many are bound: more of them than the requests
    /// carry stretch it.
    #[must_use]
    pub fn interval_s_of(&self, bound: usize) -> i64 {
        let (symbols, per_s) = (len(bound), self.requests_per_s.max(1));
        self.interval_s.max((symbols + per_s - 1) / per_s)
    }
}

/// Why the interval changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StretchCause {
    /// More symbols than the budget carries.
    Budget,
    /// The used weight is high.
    UsedWeight,
    /// The venue said to stop.
    RateLimited,
    /// Back to what the number of symbols asks for.
    Restored,
}

impl StretchCause {
    /// Word of the marker.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::UsedWeight => "used_weight",
            Self::RateLimited => "rate_limited",
            Self::Restored => "restored",
        }
    }
}

/// The interval is another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalChange {
    /// Bound symbols.
    pub symbols: usize,
    /// Seconds between two requests of each, from now on.
    pub interval_s: i64,
    /// Why.
    pub cause: StretchCause,
}

#[derive(Clone, Debug)]
struct Entry {
    due_ms: i64,
    is_bound: bool,
}

/// Requests of all symbols, by their position.
#[derive(Clone, Debug)]
pub(super) struct OiSchedule {
    rule: OiRule,
    entries: Vec<Entry>,
    bound: usize,
    /// Thousandths of requests that may leave.
    tokens_milli: i64,
    refilled_ms: i64,
    is_heavy: bool,
    light_since_ms: Option<i64>,
}

impl OiSchedule {
    /// `is_bound` per symbol; phases are spread evenly from `now_ms` on.
    pub(super) fn new(rule: OiRule, is_bound: &[bool], now_ms: i64) -> Self {
        let bound = is_bound.iter().filter(|is| **is).count();
        let mut schedule = Self {
            rule,
            entries: Vec::new(),
            bound,
            tokens_milli: 1_000,
            refilled_ms: now_ms,
            is_heavy: false,
            light_since_ms: None,
        };
        let intervals_ms = [schedule.interval_s() * 1_000, RELAXED_S * 1_000];
        let counts = [len(bound).max(1), len(is_bound.len() - bound).max(1)];
        let mut positions = [0, 0];
        for is_bound in is_bound {
            let group = usize::from(!is_bound);
            let share_ms = intervals_ms[group] * positions[group] / counts[group];
            positions[group] += 1;
            schedule.entries.push(Entry { due_ms: now_ms + share_ms, is_bound: *is_bound });
        }
        schedule
    }

    /// The interval that the number of symbols asks for, seconds.
    fn budget_interval_s(&self) -> i64 {
        self.rule.interval_s_of(self.bound)
    }

    /// The interval now, seconds.
    pub(super) fn interval_s(&self) -> i64 {
        let base_s = self.budget_interval_s();
        if self.is_heavy { (2 * base_s).min(RELAXED_S.max(base_s)) } else { base_s }
    }

    /// What is told at the start: a stretched interval.
    pub(super) fn first_change(&self) -> Option<IntervalChange> {
        let is_stretched = self.budget_interval_s() > self.rule.interval_s;
        is_stretched.then(|| self.change(StretchCause::Budget))
    }

    pub(super) fn change(&self, cause: StretchCause) -> IntervalChange {
        IntervalChange { symbols: self.bound, interval_s: self.interval_s(), cause }
    }

    /// The symbol whose request is due; it is due again an interval later.
    pub(super) fn next(&mut self, now_ms: i64) -> Option<usize> {
        let rate = self.rule.requests_per_s.max(1);
        let gained_milli = (now_ms - self.refilled_ms).max(0).saturating_mul(rate);
        // A tenth of a second of burst: requests of many symbols stay spread.
        let tokens_max = 1_000.max(rate * 100);
        self.tokens_milli = self.tokens_milli.saturating_add(gained_milli).min(tokens_max);
        self.refilled_ms = self.refilled_ms.max(now_ms);
        if self.tokens_milli < 1_000 {
            return None;
        }
        let due = self.entries.iter().enumerate().filter(|(_, entry)| entry.due_ms <= now_ms);
        let (position, _) = due.min_by_key(|(_, entry)| (!entry.is_bound, entry.due_ms))?;
        self.tokens_milli -= 1_000;
        let interval_s = if self.entries[position].is_bound {
            self.interval_s()
        } else {
            RELAXED_S.max(self.interval_s())
        };
        let entry = &mut self.entries[position];
        // A late one keeps its phase unless it is late by more than an interval.
        entry.due_ms = (entry.due_ms + interval_s * 1_000).max(now_ms);
        Some(position)
    }

    /// The stream is connected again: every bound symbol is due at once.
    pub(super) fn reconnected(&mut self, now_ms: i64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_bound) {
            entry.due_ms = entry.due_ms.min(now_ms);
        }
    }

    /// Takes the used weight of an answer.
    pub(super) fn weight(&mut self, used: u64, now_ms: i64) -> Option<IntervalChange> {
        let pct = used.saturating_mul(100) / self.rule.weight_max.max(1);
        if pct >= LIGHT_PCT {
            self.light_since_ms = None;
        } else if self.light_since_ms.is_none() {
            self.light_since_ms = Some(now_ms);
        }
        if !self.is_heavy && pct > HEAVY_PCT {
            self.is_heavy = true;
            return Some(self.change(StretchCause::UsedWeight));
        }
        let is_light = self.light_since_ms.is_some_and(|since| now_ms - since >= LIGHT_FOR_MS);
        if self.is_heavy && is_light {
            self.is_heavy = false;
            return Some(self.change(StretchCause::Restored));
        }
        None
    }
}

fn len(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
