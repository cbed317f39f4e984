//! The nonce of one API key: strictly rising, in nanoseconds.
//!
//! Input: the last persisted nonce and the wall clock. Output: the next nonce, and its persisted text. Invariant: no value is
//! given twice by one instance, and a new instance starts above everything that an old one can have
//! used, because it adds a second to what was persisted (at least once per second). One key belongs
//! to one process; the lock that holds a nonce until its request is on the wire is the caller's.

/// Added to the persisted nonce at start: the persisted value may be up to a second old.
pub const START_MARGIN_NS: u64 = 1_000_000_000;

/// Largest nonce that a clock in nanoseconds gives before the year 2262.
const NONCE_MAX: u64 = i64::MAX as u64;
/// Bytes of a persisted nonce that are looked at: it has at most 19 digits and an end of line.
const TEXT_BYTES_MAX: usize = 32;

/// A nonce as it is persisted: its digits and an end of line, which a torn write lacks.
pub fn nonce_text(nonce: u64) -> String {
    format!("{nonce}\n")
}

/// The nonce of a persisted text; none when the bytes hold none.
pub fn parse_nonce(bytes: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(bytes.get(..bytes.len().min(TEXT_BYTES_MAX))?).ok()?;
    let digits = text.strip_suffix('\n')?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|nonce| is_plain && *nonce <= NONCE_MAX)
}

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
        fn any_bytes_are_a_nonce_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(nonce) = parse_nonce(&bytes) {
                prop_assert!(nonce <= NONCE_MAX);
            }
        }

        #[test]
        fn every_nonce_comes_back(nonce in 0..=NONCE_MAX) {
            prop_assert_eq!(parse_nonce(nonce_text(nonce).as_bytes()), Some(nonce));
        }

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
