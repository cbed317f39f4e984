//! Time that base stood without a stop of its size, from the timeline alone.
//!
//! Inputs: exposure samples of one symbol or all. Outputs: intervals, and the longest of each
//! kind in milliseconds. An interval begins when the base is above dust and live sell stops cover
//! less than it, and ends when they cover it or the base is dust. It counts as closing from the
//! cancel of a stop, or from a live sell order that is no stop, until the base is flat or a stop
//! covers it again; else as holding.

use super::timeline::ExposureSample;
use crate::exchange::SymbolNo;
use std::collections::BTreeMap;

/// In which part of a position's life an interval falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The position is held.
    Holding,
    /// The position is being closed.
    Closing,
}

/// One unprotected interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The symbol.
    pub symbol: SymbolNo,
    /// Its kind.
    pub phase: Phase,
    /// Beginning, µs.
    pub from_us: i64,
    /// End, µs; `None` while it lasts.
    pub to_us: Option<i64>,
}

impl Interval {
    /// Length at a time, in milliseconds, rounded up.
    #[must_use]
    pub fn ms(&self, now_us: i64) -> i64 {
        let length_us = self.to_us.unwrap_or(now_us).saturating_sub(self.from_us).max(0);
        length_us.saturating_add(999) / 1_000
    }
}

#[derive(Clone, Copy, Default)]
struct SymbolState {
    closing: bool,
    stops_cancelled: u64,
    open: Option<(Phase, i64)>,
}

/// All unprotected intervals of non-zero length, in the order of their ends; the lasting ones
/// last.
#[must_use]
pub fn intervals(samples: &[ExposureSample]) -> Vec<Interval> {
    let mut states: BTreeMap<SymbolNo, SymbolState> = BTreeMap::new();
    let mut found = Vec::new();
    for sample in samples {
        let state = states.entry(sample.symbol).or_default();
        let naked = !sample.dust && sample.stops < sample.base;
        if naked {
            let stop_cancelled = sample.stops_cancelled > state.stops_cancelled;
            state.closing = state.closing || stop_cancelled || sample.selling;
        } else {
            state.closing = false;
        }
        state.stops_cancelled = sample.stops_cancelled;
        let phase = if state.closing { Phase::Closing } else { Phase::Holding };
        let next = naked.then_some(phase);
        if state.open.map(|(phase, _)| phase) == next {
            continue;
        }
        if let Some((phase, from_us)) = state.open
            && sample.ts_us > from_us
        {
            let symbol = sample.symbol;
            found.push(Interval { symbol, phase, from_us, to_us: Some(sample.ts_us) });
        }
        state.open = next.map(|phase| (phase, sample.ts_us));
    }
    for (symbol, state) in states {
        if let Some((phase, from_us)) = state.open {
            found.push(Interval { symbol, phase, from_us, to_us: None });
        }
    }
    found
}

/// The longest interval of a kind, in milliseconds; 0 without one.
#[must_use]
pub fn ms_max(intervals: &[Interval], phase: Phase, now_us: i64) -> i64 {
    let of_phase = intervals.iter().filter(|interval| interval.phase == phase);
    of_phase.map(|interval| interval.ms(now_us)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn sample(ts_ms: i64, base: i64, stops: i64, selling: bool, cancelled: u64) -> ExposureSample {
        ExposureSample {
            ts_us: ts_ms * 1_000,
            symbol: SymbolNo(0),
            base: Decimal::from(base),
            dust: base == 0,
            stops: Decimal::from(stops),
            selling,
            stops_cancelled: cancelled,
        }
    }

    #[test]
    fn a_position_is_naked_until_its_stop_and_while_it_closes() {
        let timeline = [
            sample(0, 5, 0, false, 0),
            sample(40, 5, 5, false, 0),
            sample(900, 5, 0, false, 1),
            sample(950, 5, 0, true, 1),
            sample(1_000, 0, 0, false, 1),
        ];
        let found = intervals(&timeline);
        let phases: Vec<(Phase, i64)> = found.iter().map(|i| (i.phase, i.ms(0))).collect();
        assert_eq!(phases, [(Phase::Holding, 40), (Phase::Closing, 100)]);
        assert_eq!(ms_max(&found, Phase::Holding, 0), 40);
        assert_eq!(ms_max(&found, Phase::Closing, 0), 100);
    }

    #[test]
    fn a_fill_beyond_the_stop_is_naked_and_a_lasting_interval_grows() {
        let timeline = [sample(0, 5, 5, false, 0), sample(10, 7, 5, false, 0)];
        let found = intervals(&timeline);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_us, None);
        assert_eq!(found[0].ms(35_000), 25);
    }

    #[test]
    fn a_stop_that_covers_again_ends_the_closing() {
        let timeline = [
            sample(0, 5, 5, false, 0),
            sample(10, 5, 0, false, 1),
            sample(20, 5, 5, false, 1),
            sample(30, 6, 5, false, 1),
            sample(50, 6, 6, false, 1),
        ];
        let phases: Vec<Phase> = intervals(&timeline).iter().map(|i| i.phase).collect();
        assert_eq!(phases, [Phase::Closing, Phase::Holding]);
    }
}
