//! The clock of the recording: the wall clock taken once at the start, plus monotonic time.
//!
//! Ticks and receive times never run backwards and never jump with the wall clock; a step of the wall
//! clock against it is seen here and told.

use penstock_types::UtcMicros;
use penstock_venue_feeds::{Clock, Stamp, SystemClock};
use std::sync::Arc;
use std::time::Instant;

/// A step of the wall clock beyond this breaks the lineage.
pub(crate) const CLOCK_STEP_MS: i64 = 2_000;

/// Wall time of the start plus monotonic time since then.
#[derive(Debug, Clone)]
pub(crate) struct RecordingClock {
    clock: SystemClock,
    offset_us: i64,
    origin: Instant,
    origin_us: i64,
}

impl RecordingClock {
    /// Takes the wall clock's offset once.
    pub(crate) fn start() -> Self {
        let clock = SystemClock::new();
        let (first, origin) = (clock.now(), Instant::now());
        let offset_us = first.wall.0 - first.mono_ns / 1_000;
        Self { clock, offset_us, origin, origin_us: first.mono_ns / 1_000 }
    }

    /// The clock for connectors: its stamps are translated by [`Self::at`].
    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock)
    }

    /// Time of the recording at a stamp.
    pub(crate) const fn at(&self, stamp: Stamp) -> UtcMicros {
        UtcMicros(self.offset_us + stamp.mono_ns / 1_000)
    }

    /// Time of the recording now.
    pub(crate) fn now(&self) -> UtcMicros {
        self.at(self.clock.now())
    }

    /// How far the wall clock has moved away, in milliseconds.
    pub(crate) fn step_ms(&self) -> i64 {
        let now = self.clock.now();
        now.wall.millis_since(self.at(now))
    }

    /// Monotonic instant of a time of the recording; the past is never before the start.
    pub(crate) fn instant(&self, at: UtcMicros) -> Instant {
        let since_us = at.0 - self.offset_us - self.origin_us;
        self.origin + std::time::Duration::from_micros(u64::try_from(since_us).unwrap_or(0))
    }
}
