//! Whether a frame is the next one: its tick, the order of its events, their bindings.
//!
//! Input: a frame. Output: where each token's events stand. Invariant: a frame is accepted or refused before
//! anything of the state changes.

use super::Engine;
use crate::fault::EngineFault;
use crate::frame_view::{FrameView, Source, order_key};
use crate::num::count;
use penstock_types::frame::{EVENTS_MAX, FrameEvent};

impl Engine {
    pub(super) fn judge_frame(&mut self, frame: &FrameView<'_>) -> Result<(), EngineFault> {
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
        self.spans.clear();
        let mut from = 0_usize;
        for token in &self.tokens {
            let mut to = from;
            while let Some(event) = frame.events.get(to).filter(|event| event.token_id == token.id)
            {
                let before = to.checked_sub(1).filter(|at| *at >= from);
                let before = before.and_then(|at| frame.events.get(at));
                if before.is_some_and(|before| order_key(before) >= order_key(event)) {
                    return Err(EngineFault::FrameOrder { tick, index: count(to) });
                }
                let has_source = Source::from_code(event.source).is_some();
                if !has_source || !token.wiring.knows(event.instrument_id, event.venue) {
                    return Err(unbound(tick, event));
                }
                to = to.saturating_add(1);
            }
            self.spans.push((from, to));
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
