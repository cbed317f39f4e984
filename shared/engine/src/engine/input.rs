//! Whether a frame is the next one: its tick, the order of its events, their bindings.
//!
//! Input: a frame. Output: a fault or none. Invariants: a frame is accepted or refused before anything of the
//! state changes; it reads the bindings, which lie side by side, and no token's memory.

use super::Engine;
use crate::config::INSTRUMENTS_MAX;
use crate::fault::EngineFault;
use crate::feature::Wiring;
use crate::frame_view::{FrameView, Source, order_key};
use crate::num::count;
use penstock_types::frame::{EVENTS_MAX, FrameEvent};

/// What an event has to name: token, instrument, venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding {
    id: u16,
    /// Venue number of each instrument.
    venues: [Option<u8>; INSTRUMENTS_MAX],
}

impl Binding {
    pub(super) fn new(id: u16, wiring: &Wiring) -> Self {
        Self { id, venues: wiring.venues() }
    }

    fn knows(&self, event: &FrameEvent) -> bool {
        let venue = self.venues.get(usize::from(event.instrument_id)).copied().flatten();
        venue == Some(event.venue)
    }
}

impl Engine {
    pub(super) fn judge_frame(&self, frame: &FrameView<'_>) -> Result<(), EngineFault> {
        let tick = frame.tick_id;
        if let Some(last) = self.last_tick {
            let want = last.saturating_add(1);
            if tick != want || last == u64::MAX {
                return Err(EngineFault::FrameTick { got: tick, want });
            }
        }
        let events = count(frame.events.len());
        if events > u64::from(EVENTS_MAX) {
            return Err(EngineFault::FrameOverflow { tick, events });
        }
        let mut from = 0_usize;
        for token in &self.bindings {
            let mut to = from;
            while let Some(event) = frame.events.get(to).filter(|event| event.token_id == token.id)
            {
                let before = to.checked_sub(1).filter(|at| *at >= from);
                let before = before.and_then(|at| frame.events.get(at));
                if before.is_some_and(|before| order_key(before) >= order_key(event)) {
                    return Err(EngineFault::FrameOrder { tick, index: count(to) });
                }
                let has_source = Source::from_code(event.source).is_some();
                if !has_source || !token.knows(event) {
                    return Err(unbound(tick, event));
                }
                to = to.saturating_add(1);
            }
            from = to;
        }
        match frame.events.get(from) {
            None => Ok(()),
            Some(event) => Err(self.refuse(tick, event, from)),
        }
    }

    /// Why the walk over the tokens stopped before this event.
    fn refuse(&self, tick: u64, event: &FrameEvent, index: usize) -> EngineFault {
        if self.tokens.iter().any(|token| token.id == event.token_id) {
            EngineFault::FrameOrder { tick, index: count(index) }
        } else {
            unbound(tick, event)
        }
    }
}

const fn unbound(tick: u64, event: &FrameEvent) -> EngineFault {
    EngineFault::FrameToken {
        tick,
        token: event.token_id,
        instrument: event.instrument_id,
        source_code: event.source,
    }
}
