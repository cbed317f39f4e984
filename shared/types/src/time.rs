//! Time as a value: microseconds since the Unix epoch in UTC, and the 250 ms tick.
//!
//! Nothing here reads a clock. PostgreSQL's `timestamptz` has microseconds, so a value that was cut to
//! them once is the same in memory, in a row and in a hash.

use alloc::string::String;
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Length of a tick in milliseconds.
pub const TICK_MS: i64 = 250;
/// Ticks of a UTC day.
pub const TICKS_PER_DAY: i64 = 345_600;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcMicros(pub i64);

/// Text that is no RFC 3339 time in UTC or with an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time {text:?} is not RFC 3339, for example 2026-07-07T23:00:03.977459Z")]
pub struct TimeError {
    /// The refused text, cut to 64 characters.
    pub text: String,
}

impl UtcMicros {
    /// From milliseconds; saturates at the ends of the range.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// Milliseconds, rounded towards minus infinity.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds, rounded towards minus infinity.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time plus milliseconds; saturates.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }

    /// Milliseconds from `earlier` to this time, negative when it is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1_000)
    }

    /// Reads RFC 3339; digits beyond the microsecond are cut.
    ///
    /// # Errors
    /// [`TimeError`] when the text has another form.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_micros()))
            .map_err(|_| TimeError { text: text.chars().take(64).collect() })
    }

    /// RFC 3339 with six digits and `Z`; times outside chrono's range print as their number.
    #[must_use]
    pub fn rfc3339(self) -> String {
        match Utc.timestamp_micros(self.0) {
            chrono::LocalResult::Single(t) => t.to_rfc3339_opts(SecondsFormat::Micros, true),
            chrono::LocalResult::None | chrono::LocalResult::Ambiguous(_, _) => {
                alloc::format!("{}us", self.0)
            }
        }
    }

    /// The tick whose window contains this time.
    #[must_use]
    pub const fn tick(self) -> TickId {
        TickId(self.0.div_euclid(TICK_MS * 1_000))
    }

    /// As chrono's type; `None` outside its range.
    #[must_use]
    pub fn to_chrono(self) -> Option<DateTime<Utc>> {
        Utc.timestamp_micros(self.0).single()
    }
}

impl From<DateTime<Utc>> for UtcMicros {
    fn from(t: DateTime<Utc>) -> Self {
        Self(t.timestamp_micros())
    }
}

impl fmt::Debug for UtcMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Display for UtcMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Absolute number of a tick: `floor(unix_ms / 250)`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TickId(pub i64);

impl TickId {
    /// The tick of an unsigned count; beyond the greatest one, that.
    #[must_use]
    pub const fn from_unsigned(tick: u64) -> Self {
        if tick > i64::MAX.unsigned_abs() { Self(i64::MAX) } else { Self(tick.cast_signed()) }
    }

    /// First instant of the tick's window.
    #[must_use]
    pub const fn start(self) -> UtcMicros {
        UtcMicros(self.0 * TICK_MS * 1_000)
    }

    /// First instant after the tick's window.
    #[must_use]
    pub const fn end(self) -> UtcMicros {
        UtcMicros((self.0 + 1) * TICK_MS * 1_000)
    }

    /// The tick after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for TickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_text_goes_round_and_nanoseconds_are_cut() {
        let t = UtcMicros::parse("2026-07-07T23:00:03.977459Z").unwrap();
        assert_eq!(t.rfc3339(), "2026-07-07T23:00:03.977459Z");
        let ns = UtcMicros::parse("2026-07-07T23:00:03.977459999Z").unwrap();
        assert_eq!(ns, t);
        assert!(UtcMicros::parse("yesterday").is_err());
        assert_eq!(UtcMicros(i64::MAX).rfc3339(), "9223372036854775807us");
    }

    #[test]
    fn the_tick_of_a_known_instant_is_the_known_number() {
        let t = UtcMicros::parse("2026-02-16T12:00:00Z").unwrap();
        assert_eq!(t.tick(), TickId(7_084_972_800));
        assert_eq!(TickId(7_084_972_800).start(), t);
        assert_eq!(UtcMicros(t.0 - 1).tick(), TickId(7_084_972_799));
    }
}
