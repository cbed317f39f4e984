//! What one tick reads: a sealed frame's tick, flags and events, or an empty tick that stands for a gap.
//!
//! Input: a decoded frame, borrowed. Output: the same as the engine reads it, the canonical order of events,
//! and the empty ticks of a gap. Invariants: the order is total and strict, and payload takes no part in it;
//! live, catch-up and replay expand a gap with this code. It checks no CRC and no chain.

use crate::fault::EngineFault;
use penstock_types::frame::{FrameEvent, FrameFlags, FrameHeader};

/// Source type of an event; the order of the codes is part of the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `a` price, `b` quantity; flag bit 0: the taker bought.
    Trade,
    /// `a` best bid, `b` best ask.
    Book,
    /// `a` mark price.
    Mark,
    /// `a` price, `b` quantity; flag bit 0: a forced buy.
    Liquidation,
    /// `a` open interest.
    OpenInterest,
    /// `a` rate per eight hours.
    Funding,
}

impl Source {
    /// The source of a code; `None` for a code without a meaning.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Trade),
            1 => Some(Self::Book),
            2 => Some(Self::Mark),
            3 => Some(Self::Liquidation),
            4 => Some(Self::OpenInterest),
            5 => Some(Self::Funding),
            _ => None,
        }
    }
}

/// Flag of a trade whose taker bought, and of a forced buy.
pub const EVENT_BUY: u16 = 1;

/// One tick's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameView<'a> {
    /// Tick.
    pub tick_id: u64,
    /// Flags of the frame.
    pub flags: FrameFlags,
    /// It stands for a tick that nobody sealed.
    pub is_gap_fill: bool,
    /// Events: tokens ascending, within a token in canonical order.
    pub events: &'a [FrameEvent],
}

impl<'a> FrameView<'a> {
    /// A sealed frame.
    ///
    /// # Errors
    /// [`EngineFault::FrameTick`] for a tick before the epoch, which no header that decodes carries.
    pub fn new(header: &FrameHeader, events: &'a [FrameEvent]) -> Result<Self, EngineFault> {
        let tick_id = u64::try_from(header.tick_id.0)
            .map_err(|_| EngineFault::FrameTick { got: 0, want: 0 })?;
        Ok(Self { tick_id, flags: header.flags, is_gap_fill: false, events })
    }

    /// An empty tick of a gap: every venue is degraded.
    #[must_use]
    pub const fn gap(tick_id: u64) -> FrameView<'static> {
        let flags = FrameFlags::EMPTY
            .with(FrameFlags::DEGRADED_KRAKEN_SPOT)
            .with(FrameFlags::DEGRADED_KRAKEN_FUTURES)
            .with(FrameFlags::DEGRADED_BINANCE_UM);
        FrameView { tick_id, flags, is_gap_fill: true, events: &[] }
    }
}

/// Key of the canonical order within a token: venue time first, our own number only between events that the
/// venue does not number.
#[must_use]
pub const fn order_key(event: &FrameEvent) -> (i64, u8, u8, u16, u64, u64) {
    let FrameEvent { exchange_ts, source, venue, instrument_id, venue_seq, local_seq, .. } = *event;
    (exchange_ts, source, venue, instrument_id, venue_seq, local_seq)
}

/// The empty ticks between two frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapTicks {
    next: u64,
    end: u64,
}

/// The ticks after `last` and before `tick` as empty ones, whatever the frame's header says about them.
///
/// # Errors
/// [`EngineFault::FrameTick`] when `tick` is not above `last`; [`EngineFault::GapTooLong`] when more than
/// `max` ticks are missing.
pub const fn expand_gap(last: u64, tick: u64, max: u64) -> Result<GapTicks, EngineFault> {
    let next = last.saturating_add(1);
    if tick < next || last == u64::MAX {
        return Err(EngineFault::FrameTick { got: tick, want: next });
    }
    let missing = tick.saturating_sub(next);
    if missing > max {
        return Err(EngineFault::GapTooLong { tick, missing, max });
    }
    Ok(GapTicks { next, end: tick })
}

impl Iterator for GapTicks {
    type Item = FrameView<'static>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let view = FrameView::gap(self.next);
        self.next = self.next.saturating_add(1);
        Some(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_gap_is_every_missing_tick_once_and_degraded() {
        let ticks: Vec<_> = expand_gap(10, 14, 3).unwrap().collect();
        assert_eq!(ticks.iter().map(|view| view.tick_id).collect::<Vec<_>>(), [11, 12, 13]);
        assert!(ticks.iter().all(|view| view.is_gap_fill && view.events.is_empty()));
        assert_eq!(expand_gap(10, 11, 0).unwrap().count(), 0);
        assert_eq!(expand_gap(10, 14, 2).unwrap_err().code(), "E_GAP_TOO_LONG");
        assert_eq!(expand_gap(10, 10, 2).unwrap_err().code(), "E_FRAME_TICK");
        assert_eq!(expand_gap(u64::MAX, u64::MAX, 2).unwrap_err().code(), "E_FRAME_TICK");
    }

    #[test]
    fn codes_of_sources_are_those_of_the_order() {
        let known: Vec<_> = (0..=6).map_while(Source::from_code).collect();
        assert_eq!(known.len(), 6);
        assert!(known.is_sorted());
    }
}
