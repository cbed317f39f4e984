//! When an evaluation is due.
//!
//! Purpose: the four triggers as a pure scheduler. Inputs: what the newest generation looks like and
//! monotonic milliseconds. Outputs: a trigger, or none. Invariants: a generation is evaluated at most once,
//! a manual one excepted; a regime change comes sooner but never within two seconds of the last start; a
//! standstill of the state is evaluated once and then every fifteen seconds, so that it is on record.

use std::collections::BTreeMap;

use penstock_store_decision::glance::RowGlance;
use penstock_types::vocab::Trigger;
use penstock_types::{Decimal, GenerationId, Symbol};

/// Least time between a start and one for a regime change.
const REGIME_AFTER_MS: i64 = 2_000;
/// Time between two evaluations of a standstill.
const STALE_EVERY_MS: i64 = 15_000;
/// Volatility expansion whose crossing counts as a change, in tenths.
const EXPANSION_TENTHS: i64 = 15;

/// Decides when to evaluate.
#[derive(Debug, Clone)]
pub struct Scheduler {
    interval_ms: i64,
    stale_after_ms: i64,
    last_start_ms: Option<i64>,
    newest: Option<GenerationId>,
    newest_at_ms: i64,
    evaluated: Option<GenerationId>,
    stale_at_ms: Option<i64>,
    regimes: BTreeMap<Symbol, (String, bool)>,
    regime_changed: bool,
    manual: bool,
}

impl Scheduler {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new(interval_ms: i64, stale_after_ms: i64, now_ms: i64) -> Self {
        Self {
            interval_ms,
            stale_after_ms,
            last_start_ms: None,
            newest: None,
            newest_at_ms: now_ms,
            evaluated: None,
            stale_at_ms: None,
            regimes: BTreeMap::new(),
            regime_changed: false,
            manual: false,
        }
    }

    /// Takes what the newest generation shows.
    pub fn see(&mut self, now_ms: i64, generation: GenerationId, rows: &[RowGlance]) {
        if self.newest == Some(generation) {
            return;
        }
        self.newest = Some(generation);
        self.newest_at_ms = now_ms;
        self.stale_at_ms = None;
        let limit = Decimal::new(EXPANSION_TENTHS, 1);
        let seen: BTreeMap<Symbol, (String, bool)> = rows
            .iter()
            .map(|r| {
                let above = r.vol_expansion.is_some_and(|v| v >= limit);
                (r.symbol.clone(), (r.regime.clone(), above))
            })
            .collect();
        let changed = seen.iter().any(|(s, now)| self.regimes.get(s).is_some_and(|was| was != now));
        self.regime_changed |= changed;
        self.regimes = seen;
    }

    /// Asks for an evaluation now.
    pub const fn ask(&mut self) {
        self.manual = true;
    }

    /// The trigger that is due.
    #[must_use]
    pub fn due(&self, now_ms: i64) -> Option<Trigger> {
        if self.manual {
            return Some(Trigger::Manual);
        }
        let since_start = self.last_start_ms.map_or(i64::MAX, |at| now_ms - at);
        let fresh = self.newest.is_some() && self.newest != self.evaluated;
        if fresh && self.regime_changed && since_start >= REGIME_AFTER_MS {
            return Some(Trigger::Regime);
        }
        if fresh && since_start >= self.interval_ms {
            return Some(Trigger::Generation);
        }
        let still = now_ms - self.newest_at_ms >= self.stale_after_ms;
        let waited = self.stale_at_ms.is_none_or(|at| now_ms - at >= STALE_EVERY_MS);
        (!fresh && still && waited).then_some(Trigger::Stale)
    }

    /// An evaluation starts.
    pub fn started(&mut self, now_ms: i64, trigger: Trigger) {
        self.last_start_ms = Some(now_ms);
        self.evaluated = self.newest;
        self.regime_changed = false;
        self.manual = false;
        if trigger == Trigger::Stale {
            self.stale_at_ms = Some(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(regime: &str, tenths: i64) -> Vec<RowGlance> {
        vec![RowGlance {
            symbol: Symbol::new("AAA/USD").unwrap(),
            generation_id: GenerationId(1),
            regime: regime.to_owned(),
            vol_expansion: Some(Decimal::new(tenths, 1)),
            mid: None,
            book_ok: true,
            msg_age_ms: 0,
        }]
    }

    fn scheduler() -> Scheduler {
        Scheduler::new(5_000, 15_000, 0)
    }

    #[test]
    fn a_generation_is_evaluated_once_and_not_before_the_interval() {
        let mut s = scheduler();
        assert_eq!(s.due(0), None);
        s.see(100, GenerationId(1), &row("RANGE", 10));
        assert_eq!(s.due(100), Some(Trigger::Generation));
        s.started(100, Trigger::Generation);
        assert_eq!(s.due(9_000), None, "the same generation");
        s.see(1_100, GenerationId(2), &row("RANGE", 10));
        assert_eq!(s.due(5_099), None);
        assert_eq!(s.due(5_100), Some(Trigger::Generation));
    }

    #[test]
    fn a_regime_change_or_a_crossed_expansion_comes_after_two_seconds() {
        for (regime, tenths) in [("TREND", 10), ("RANGE", 15)] {
            let mut s = scheduler();
            s.see(0, GenerationId(1), &row("RANGE", 14));
            s.started(0, Trigger::Generation);
            s.see(1_000, GenerationId(2), &row(regime, tenths));
            assert_eq!(s.due(1_999), None);
            let due = s.due(2_000);
            assert_eq!(due.is_some(), regime == "TREND" || tenths == 15);
            assert_eq!(due, Some(Trigger::Regime));
        }
    }

    #[test]
    fn a_standstill_is_evaluated_once_and_then_every_fifteen_seconds() {
        let mut s = scheduler();
        s.see(0, GenerationId(1), &row("RANGE", 10));
        s.started(0, Trigger::Generation);
        assert_eq!(s.due(14_999), None);
        assert_eq!(s.due(15_000), Some(Trigger::Stale));
        s.started(15_000, Trigger::Stale);
        assert_eq!(s.due(29_999), None);
        assert_eq!(s.due(30_000), Some(Trigger::Stale));
    }

    #[test]
    fn asking_evaluates_at_once_and_the_same_generation_again() {
        let mut s = scheduler();
        s.see(0, GenerationId(1), &row("RANGE", 10));
        s.started(0, Trigger::Generation);
        s.ask();
        assert_eq!(s.due(1), Some(Trigger::Manual));
        s.started(1, Trigger::Manual);
        assert_eq!(s.due(2), None);
    }
}
