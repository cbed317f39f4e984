//! Features: from a tick's events and the token's own rolling memory to plain numbers.
//!
//! Input: one token's events of a tick in canonical order, the frame's flags. Output: a [`FeatureFrame`].
//! Invariants: state is private and changes in [`Features::extract`] alone, once per tick; a window depends
//! on the tick id and nothing else; with no event at all everything still ages. It knows no tier, state,
//! cluster or threshold. Divisions saturate where the result is dimensionless; a sum that leaves 64 bits is a
//! fault.

mod derive;
mod events;
mod frame;
mod memory;
mod ohlc;
mod state;
mod wiring;

pub use frame::FeatureFrame;
pub(crate) use state::FEATURES_LEN;
pub use wiring::Wiring;

use crate::config::{EngineConfig, INSTRUMENTS_MAX};
use crate::fault::LayerFault;
use crate::num::streak;
use core::num::NonZeroU64;
use events::Tick;
pub(crate) use memory::Clock;
use memory::Memory;
use penstock_types::engine_view::Candles;
use penstock_types::frame::{FrameEvent, FrameFlags};

/// Events of a token in one tick beyond which the record says so.
const BURST: usize = 1_000;
/// Ticks without an event after which a token is inactive.
const INACTIVE_TICKS: u32 = 1_200;
/// Degraded ticks after which alerts are held back.
const SUPPRESS_TICKS: u32 = 240;

/// The tick that brought a value; tick 0, the first quarter of a second of 1970, is "never", as in a snapshot.
type Brought = Option<NonZeroU64>;

/// A price pair with the tick that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Book {
    bid: i64,
    ask: i64,
    tick: Brought,
}

/// A value with the tick that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Held {
    value: i64,
    tick: Brought,
}

/// Open interest per instrument and in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct OpenInterest {
    by_instrument: [Held; INSTRUMENTS_MAX],
    /// Exists once every instrument has reported.
    total: Option<i64>,
}

impl OpenInterest {
    /// Tick of the last event of any instrument.
    fn tick(&self) -> Brought {
        self.by_instrument.iter().filter_map(|held| held.tick).max()
    }

    fn reported(&self) -> [bool; INSTRUMENTS_MAX] {
        self.by_instrument.map(|held| held.tick.is_some())
    }
}

/// Layer 2 of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    memory: Memory,
    book: Book,
    spot: Book,
    mark: Held,
    funding: Held,
    oi: OpenInterest,
    idle_ticks: u32,
    degraded_ticks: u32,
    ohlc_1m: Candles,
    ohlc_5m: Candles,
}

impl Features {
    /// A token of which nothing is known.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        Self {
            memory: Memory::new(&config.base),
            book: Book::default(),
            spot: Book::default(),
            mark: Held::default(),
            funding: Held::default(),
            oi: OpenInterest::default(),
            idle_ticks: 0,
            degraded_ticks: 0,
            ohlc_1m: Candles::default(),
            ohlc_5m: Candles::default(),
        }
    }

    /// Executes one tick.
    ///
    /// # Errors
    /// [`LayerFault`] when a sum leaves its range or an event breaks the contract of its source.
    pub(crate) fn extract(
        &mut self,
        config: &EngineConfig,
        wiring: &Wiring,
        (clock, flags): (&Clock, FrameFlags),
        events: &[FrameEvent],
    ) -> Result<FeatureFrame, LayerFault> {
        let oi_before = self.oi.total;
        self.memory.begin(clock, oi_before.unwrap_or(0), &config.base)?;
        let mut tick = Tick::new(clock, events.len() > BURST);
        for event in events {
            self.apply(wiring, &mut tick, event)?;
        }
        self.idle_ticks = streak(self.idle_ticks, events.is_empty());
        self.degraded_ticks = streak(self.degraded_ticks, wiring.is_degraded(flags));
        self.derive(config, wiring, &tick, oi_before)
    }

    /// One-minute and five-minute candles.
    #[must_use]
    pub const fn candles(&self) -> (&Candles, &Candles) {
        (&self.ohlc_1m, &self.ohlc_5m)
    }
}

/// Older than `limit` ticks, or never there.
fn is_stale(brought: Brought, tick: u64, limit: i64) -> bool {
    let Some(brought) = brought else { return true };
    i64::try_from(tick.saturating_sub(brought.get())).map_or(true, |age| age >= limit)
}

#[cfg(test)]
mod tests;
