//! The two clocks of what is sent and received.
//!
//! Output: a [`Stamp`] of wall clock (a label) and monotonic clock (for ages). The clock is injected,
//! so that tests and replays bring their own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use penstock_types::UtcMicros;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Wall clock.
    pub wall: UtcMicros,
    /// Monotonic clock, nanoseconds since an origin that one process chose.
    pub mono_ns: i64,
}

impl Stamp {
    /// Wall clock, nanoseconds since the Unix epoch; never negative.
    pub fn wall_ns(self) -> u64 {
        u64::try_from(self.wall.0).unwrap_or(0).saturating_mul(1_000)
    }

    /// Monotonic milliseconds.
    pub const fn mono_ms(self) -> i64 {
        self.mono_ns / 1_000_000
    }
}

/// Source of stamps.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Stamp;
}

/// The host's clocks; the monotonic origin is the value's creation, so a process makes one and shares
/// it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        // A clock before 1970 is a broken host; zero makes every age check fail loudly.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Stamp {
            wall: UtcMicros(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)),
            mono_ns: i64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(i64::MAX),
        }
    }
}
