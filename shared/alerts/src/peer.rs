//! The other service's sign of life.
//!
//! Input: what the decision cluster says of the holder of the other fence and of its heartbeat, by that cluster's clock.
//! Output: whether it is missing, and when to look again. Invariants: missing is a heartbeat older than
//! [`INTERVALS_MAX`] intervals, or none of the holder beside a living lease for as many looks, because a start takes a
//! moment until its first; a service that never ran or has ended cleanly is not missing; it is said once. While the
//! cluster cannot be read nobody is judged.

/// A heartbeat of this many intervals is too old.
pub const INTERVALS_MAX: i64 = 3;
/// Added to the look that comes right when a heartbeat becomes too old.
const LATE_MS: i64 = 20;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The lease of the fence has not ended.
    pub is_leased: bool,
    /// Age of the heartbeat of the fence's holder, if it has one.
    pub age_ms: Option<i64>,
}

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// It lives, or was never there, or has ended cleanly.
    Well,
    /// It is missing since just now: this old, or without a heartbeat.
    Lost(Option<i64>),
    /// It is still missing.
    Missing,
    /// It is back.
    Back,
}

/// Judges look after look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    every_ms: i64,
    without: i64,
    is_missing: bool,
}

impl Watch {
    /// Of a service that beats this often.
    #[must_use]
    pub const fn new(every_ms: i64) -> Self {
        Self { every_ms, without: 0, is_missing: false }
    }

    /// Judges a look; `None` is a fence that was never taken.
    pub fn judge(&mut self, look: Option<Look>) -> Peer {
        let limit_ms = self.every_ms.saturating_mul(INTERVALS_MAX);
        let (is_missing, age_ms) = match look {
            Some(Look { age_ms: Some(age_ms), .. }) => {
                self.without = 0;
                (age_ms > limit_ms, Some(age_ms))
            }
            Some(Look { age_ms: None, is_leased: true }) => {
                self.without = (self.without + 1).min(INTERVALS_MAX);
                (self.without >= INTERVALS_MAX, None)
            }
            Some(Look { age_ms: None, is_leased: false }) | None => {
                self.without = 0;
                (false, None)
            }
        };
        let was = std::mem::replace(&mut self.is_missing, is_missing);
        match (was, is_missing) {
            (false, false) => Peer::Well,
            (false, true) => Peer::Lost(age_ms),
            (true, true) => Peer::Missing,
            (true, false) => Peer::Back,
        }
    }

    /// Milliseconds until the next look: an interval, or less when a heartbeat becomes too old before.
    #[must_use]
    pub fn pause_ms(&self, look: Option<Look>) -> i64 {
        let left = match look {
            Some(Look { age_ms: Some(age_ms), .. }) if !self.is_missing => {
                self.every_ms.saturating_mul(INTERVALS_MAX) - age_ms + LATE_MS
            }
            Some(_) | None => self.every_ms,
        };
        left.clamp(LATE_MS, self.every_ms.max(LATE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_MS: i64 = 5_000;

    fn looks(look: Option<Look>) -> [bool; 4] {
        let mut watch = Watch::new(EVERY_MS);
        [0; 4].map(|_| matches!(watch.judge(look), Peer::Lost(_) | Peer::Missing))
    }

    #[test]
    fn one_too_old_is_missing_at_once_and_an_absent_one_beside_a_lease_after_three_looks() {
        let look = |is_leased, age_ms| Some(Look { is_leased, age_ms });
        for (look, want) in [
            (None, [false; 4]),
            (look(true, Some(15_000)), [false; 4]),
            (look(true, Some(15_001)), [true; 4]),
            // Killed: its lease has ended, its row was never removed.
            (look(false, Some(90_000)), [true; 4]),
            (look(true, None), [false, false, true, true]),
            // A clean stop removes the row and ends the lease.
            (look(false, None), [false; 4]),
        ] {
            assert_eq!(looks(look), want, "{look:?}");
        }
    }

    #[test]
    fn a_loss_and_a_return_are_said_once() {
        let mut watch = Watch::new(EVERY_MS);
        let said = [1_000, 15_001, 20_000, 25_000, 100, 200]
            .map(|age_ms| watch.judge(Some(Look { is_leased: true, age_ms: Some(age_ms) })));
        let lost = Peer::Lost(Some(15_001));
        assert_eq!(said, [Peer::Well, lost, Peer::Missing, Peer::Missing, Peer::Back, Peer::Well]);
    }

    /// A process that is killed right after a heartbeat is missed 15 s later, not at the look after that.
    #[test]
    fn the_next_look_comes_right_when_a_heartbeat_becomes_too_old() {
        let watch = Watch::new(EVERY_MS);
        let pause = |age_ms| watch.pause_ms(Some(Look { is_leased: true, age_ms: Some(age_ms) }));
        assert_eq!(pause(100), 5_000);
        assert_eq!(pause(10_100), 4_920);
        assert_eq!(pause(15_000), 20);
        assert_eq!(watch.pause_ms(None), 5_000);
    }
}
