//! The nonce of one API key: strictly rising, in nanoseconds.
//!
//! Input: the last persisted nonce and the wall clock. Output: the next nonce. Invariant: no value is
//! given twice by one instance, and a new instance starts above everything that an old one can have
//! used, because it adds a second to what was persisted (at least once per second). One key belongs
//! to one process; the lock that holds a nonce until its request is on the wire is the caller's.

/// Added to the persisted nonce at start: the persisted value may be up to a second old.
pub const START_MARGIN_NS: u64 = 1_000_000_000;

/// Generator of nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    last: u64,
}

impl Nonce {
    /// Starts from what was persisted, if anything was, and the wall clock.
    pub fn start(persisted: Option<u64>, now_ns: u64) -> Self {
        let floor = persisted.map_or(0, |last| last.saturating_add(START_MARGIN_NS));
        Self { last: floor.max(now_ns) }
    }

    /// The next nonce.
    pub fn next(&mut self, now_ns: u64) -> u64 {
        self.last = now_ns.max(self.last.saturating_add(1));
        self.last
    }

    /// After the venue called a nonce invalid: nothing below the clock any more.
    pub fn raise(&mut self, now_ns: u64) {
        self.last = self.last.max(now_ns);
    }

    /// The last nonce given; to be persisted.
    pub const fn last(self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_stands_or_falls_does_not_repeat_a_nonce() {
        let mut nonce = Nonce::start(None, 1_000);
        assert_eq!(nonce.next(1_000), 1_001);
        assert_eq!(nonce.next(900), 1_002);
        assert_eq!(nonce.next(5_000), 5_000);
    }

    #[test]
    fn a_start_is_above_what_was_persisted_a_second_ago() {
        let mut nonce = Nonce::start(Some(7_000_000_000), 1);
        assert!(nonce.next(1) > 7_000_000_000 + START_MARGIN_NS);
    }

    proptest! {
        #[test]
        fn nonces_rise_under_any_clock(clock in proptest::collection::vec(0..u64::MAX / 2, 1..50)) {
            let mut nonce = Nonce::start(Some(3), clock[0]);
            let mut last = 0;
            for now in clock {
                let next = nonce.next(now);
                prop_assert!(next > last);
                last = next;
            }
        }
    }
}
