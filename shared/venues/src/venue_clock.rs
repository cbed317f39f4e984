//! How far a venue's clock is from ours, and when that is too far.
//!
//! Input: answers that carry the venue's time, with the times at which they were asked for and received.
//! Output: the offset of the newest answer that came quickly enough to mean something, and whether it has
//! just gone beyond the limit or come back. Nothing is corrected by it: times of the venue and of the
//! receipt are kept apart, and ages are taken from one clock. Pure.

use std::collections::VecDeque;

use penstock_types::UtcMicros;

/// Offset above which somebody has to look, microseconds: 250 ms, five times what an ordinary way over the
/// internet costs.
pub const OFFSET_US_MAX: i64 = 250_000;
/// Answers of which the quickest is the measure for the others.
const SAMPLES_LEN: usize = 8;
/// An answer that took longer than twice the quickest and this says little about the clock, microseconds.
const ROUND_TRIP_SLACK_US: i64 = 20_000;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSample {
    /// The venue's clock minus ours, microseconds.
    pub offset_us: i64,
    /// Time on the way, both directions, microseconds; half of it is how wrong the offset may be.
    pub round_trip_us: i64,
}

impl ClockSample {
    /// From an answer with one venue time: it is taken for the middle of the way.
    pub fn of(sent: UtcMicros, venue: UtcMicros, received: UtcMicros) -> Self {
        Self {
            offset_us: venue.0.saturating_sub(i64::midpoint(sent.0, received.0)),
            round_trip_us: received.0.saturating_sub(sent.0).max(0),
        }
    }
}

/// Where the clocks stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Near enough, or nothing known.
    #[default]
    Near,
    /// Too far apart.
    Far,
}

/// What an estimate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// Within the limit.
    Within,
    /// Beyond it.
    Beyond,
}

/// A change that somebody has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// The clocks are too far apart now; the offset in microseconds.
    Drifted(i64),
    /// They are near again; the offset in microseconds.
    Returned(i64),
}

/// The whole table: the next state, and whether the change is told.
const fn step(state: State, event: Event) -> (State, bool) {
    match (state, event) {
        (State::Near, Event::Within) => (State::Near, false),
        (State::Near, Event::Beyond) => (State::Far, true),
        (State::Far, Event::Within) => (State::Near, true),
        (State::Far, Event::Beyond) => (State::Far, false),
    }
}

/// The clock of one venue.
#[derive(Clone, Debug, Default)]
pub struct VenueClock {
    samples: VecDeque<i64>,
    offset_us: Option<i64>,
    state: State,
}

impl VenueClock {
    /// Takes an answer; a change is told once.
    pub fn take(&mut self, sample: ClockSample) -> Option<ClockChange> {
        if self.samples.len() >= SAMPLES_LEN {
            self.samples.pop_front();
        }
        self.samples.push_back(sample.round_trip_us);
        let quickest = self.samples.iter().copied().min().unwrap_or(sample.round_trip_us);
        let longest = quickest.saturating_mul(2).saturating_add(ROUND_TRIP_SLACK_US);
        if sample.round_trip_us > longest {
            return None;
        }
        let offset_us = sample.offset_us;
        self.offset_us = Some(offset_us);
        let is_far = offset_us.saturating_abs() > OFFSET_US_MAX;
        let event = if is_far { Event::Beyond } else { Event::Within };
        let (state, is_told) = step(self.state, event);
        self.state = state;
        match (is_told, state) {
            (false, State::Near | State::Far) => None,
            (true, State::Far) => Some(ClockChange::Drifted(offset_us)),
            (true, State::Near) => Some(ClockChange::Returned(offset_us)),
        }
    }

    /// The venue's clock minus ours, microseconds; none before the first answer.
    pub const fn offset_us(&self) -> Option<i64> {
        self.offset_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(offset_us: i64, round_trip_us: i64) -> ClockSample {
        ClockSample { offset_us, round_trip_us }
    }

    #[test]
    fn an_answer_is_taken_for_the_middle_of_its_way() {
        let of = ClockSample::of(UtcMicros(1_000), UtcMicros(501_500), UtcMicros(2_000));
        assert_eq!(of, sample(500_000, 1_000));
        let broken = ClockSample::of(UtcMicros(i64::MAX), UtcMicros(i64::MIN), UtcMicros(0));
        assert_eq!((broken.offset_us, broken.round_trip_us), (i64::MIN, 0));
    }

    #[test]
    fn every_pair_of_state_and_event_has_its_successor() {
        for (state, event, want) in [
            (State::Near, Event::Within, (State::Near, false)),
            (State::Near, Event::Beyond, (State::Far, true)),
            (State::Far, Event::Within, (State::Near, true)),
            (State::Far, Event::Beyond, (State::Far, false)),
        ] {
            assert_eq!(step(state, event), want, "{state:?} on {event:?}");
        }
    }

    #[test]
    fn a_drift_is_told_once_and_so_is_its_end() {
        let mut clock = VenueClock::default();
        assert_eq!(clock.take(sample(250_000, 40_000)), None, "the limit itself is near");
        assert_eq!(clock.take(sample(-250_001, 40_000)), Some(ClockChange::Drifted(-250_001)));
        assert_eq!(clock.take(sample(-300_000, 40_000)), None);
        assert_eq!(clock.take(sample(9, 40_000)), Some(ClockChange::Returned(9)));
        assert_eq!(clock.offset_us(), Some(9));
    }

    #[test]
    fn a_slow_answer_says_nothing_until_slowness_is_usual() {
        let mut clock = VenueClock::default();
        assert_eq!(clock.take(sample(1_000, 30_000)), None);
        for _ in 1..SAMPLES_LEN {
            assert_eq!(clock.take(sample(900_000, 1_800_000)), None);
            assert_eq!(clock.offset_us(), Some(1_000));
        }
        // The quick one is forgotten: this is how the way is now.
        let told = clock.take(sample(900_000, 1_800_000));
        assert_eq!(told, Some(ClockChange::Drifted(900_000)));
    }

    proptest! {
        /// Changes alternate, and the last one says how it stands.
        #[test]
        fn changes_alternate(samples in proptest::collection::vec((any::<i64>(), 0i64..i64::MAX), 0..60)) {
            let mut clock = VenueClock::default();
            let mut is_far = false;
            for (offset_us, round_trip_us) in samples {
                match clock.take(sample(offset_us, round_trip_us)) {
                    Some(ClockChange::Drifted(_)) => {
                        prop_assert!(!is_far);
                        is_far = true;
                    }
                    Some(ClockChange::Returned(_)) => {
                        prop_assert!(is_far);
                        is_far = false;
                    }
                    None => {}
                }
                let now_far = clock.offset_us().is_some_and(|o| o.saturating_abs() > OFFSET_US_MAX);
                prop_assert_eq!(now_far, is_far);
            }
        }
    }
}
