//! Which sealed frames go out, in which order, under which link: what is kept, discarded, repeated.
//!
//! Purpose: everything that is decided between the sealer and the table of frames, without a cluster.
//! Inputs: sealed ticks, those that earlier processes left, the newest frame that stands, the fate of each
//! transaction. Outputs: the next batch with its chain filled in, and what was given up.
//! Invariants: frames ascend by tick and their fences never go back; inherited frames come before own
//! ones; while the outcome of a transaction is not known nothing follows it and none of its frames is
//! dropped. It reads no clock and writes no row; the waiting limit is the caller's.

use crate::core::SealedTick;
use penstock_types::frame::{ChainError, FrameFlags, Link, decode_header, deliver};
use penstock_types::{FencingToken, RunId, TickId};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, VecDeque};

/// What becomes of a frame, given the newest one that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It follows.
    Deliver,
    /// Its tick stands already or has been passed.
    Behind,
    /// It was sealed under a fence that has been taken over since.
    Older,
}

/// Judges a frame: above the newest tick, and under a fence that is not older.
#[must_use]
pub fn fate(tick_id: TickId, token: FencingToken, newest: Option<&Link>) -> Fate {
    let Some(newest) = newest else { return Fate::Deliver };
    match (tick_id.cmp(&newest.tick_id), token.cmp(&newest.fencing_token)) {
        (Ordering::Less | Ordering::Equal, _) => Fate::Behind,
        (Ordering::Greater, Ordering::Less) => Fate::Older,
        (Ordering::Greater, Ordering::Equal | Ordering::Greater) => Fate::Deliver,
    }
}

/// What happens to a transaction that delivers frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// So many frames at the front are being sent.
    Send(usize),
    /// The commit was confirmed.
    Committed,
    /// The newest row was read behind every unfinished transaction.
    Settled,
}

/// Where the delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeliveryState {
    /// What stands is known: the next batch may go.
    #[default]
    Known,
    /// So many frames at the front may stand or not, until a confirmation or a look.
    InDoubt(usize),
}

impl DeliveryState {
    /// The state after an event; `None` when the event cannot happen here.
    #[must_use]
    pub const fn on(self, event: DeliveryEvent) -> Option<Self> {
        match (self, event) {
            (Self::Known, DeliveryEvent::Send(frames)) => Some(Self::InDoubt(frames)),
            (Self::InDoubt(_), DeliveryEvent::Committed)
            | (Self::InDoubt(_) | Self::Known, DeliveryEvent::Settled) => Some(Self::Known),
            (Self::InDoubt(_), DeliveryEvent::Send(_))
            | (Self::Known, DeliveryEvent::Committed) => None,
        }
    }

    const fn in_doubt(self) -> usize {
        match self {
            Self::Known => 0,
            Self::InDoubt(frames) => frames,
        }
    }
}

/// A sealed frame that waits, with what the caller notes beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<N> {
    /// The frame as it was sealed.
    pub sealed: SealedTick,
    /// The caller's note.
    pub note: N,
}

/// A frame with its chain filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Header and events.
    pub frame: Vec<u8>,
    /// Its link, the next frame's predecessor.
    pub link: Link,
    /// Flags as delivered.
    pub flags: FrameFlags,
    /// Events.
    pub n_events: u32,
}

/// Frames that are not known to stand.
#[derive(Debug, Clone)]
pub struct FrameQueue<N> {
    waiting: VecDeque<Waiting<N>>,
    /// The newest frame that is known to stand.
    newest: Option<Link>,
    /// The last frame of the batch in doubt.
    sent: Option<Link>,
    state: DeliveryState,
}

impl<N> FrameQueue<N> {
    /// An empty queue behind the newest frame, which was read under the own fence.
    #[must_use]
    pub const fn new(newest: Option<Link>) -> Self {
        Self { waiting: VecDeque::new(), newest, sent: None, state: DeliveryState::Known }
    }

    /// Takes over what earlier processes left, in any order, before anything of the own process; `stands` has
    /// the newest tick of each of their runs that stands. Returns the ticks that never stood and are given
    /// up, because a later fence has sealed past them.
    pub fn inherit(
        &mut self,
        left: impl IntoIterator<Item = Waiting<N>>,
        stands: &BTreeMap<RunId, TickId>,
    ) -> Vec<TickId> {
        let mut left: Vec<Waiting<N>> = left.into_iter().collect();
        left.sort_by_key(|w| (w.sealed.tick_id, Reverse(w.sealed.fencing_token)));
        let mut given_up = Vec::new();
        for waiting in left {
            let (tick_id, token) = (waiting.sealed.tick_id, waiting.sealed.fencing_token);
            if fate(tick_id, token, self.newest.as_ref()) == Fate::Behind {
                // Frames of a run are delivered in order: behind its newest one none is missing.
                let newest_of_run = stands.get(&waiting.sealed.run_id);
                if newest_of_run.is_none_or(|newest| tick_id > *newest) {
                    given_up.push(tick_id);
                }
                continue;
            }
            let behind_others = self.waiting.back().is_some_and(|last| {
                tick_id <= last.sealed.tick_id || token < last.sealed.fencing_token
            });
            if behind_others || fate(tick_id, token, self.newest.as_ref()) == Fate::Older {
                given_up.push(tick_id);
            } else {
                self.waiting.push_back(waiting);
            }
        }
        given_up
    }

    /// Takes an own frame. With `waiting_max` frames waiting the oldest that is not in doubt goes, which
    /// the next delivered frame declares as its gap; its tick is returned.
    pub fn push(&mut self, sealed: SealedTick, note: N, waiting_max: usize) -> Option<TickId> {
        let in_doubt = self.state.in_doubt();
        let dropped = (self.waiting.len() >= waiting_max.max(in_doubt + 1))
            .then(|| self.waiting.remove(in_doubt))
            .flatten();
        self.waiting.push_back(Waiting { sealed, note });
        dropped.map(|w| w.sealed.tick_id)
    }

    /// Gives the oldest frames up for which `is_old` holds, those in doubt excepted; the next delivered frame
    /// declares the gap. Returns their ticks.
    pub fn give_up(&mut self, is_old: impl Fn(TickId) -> bool) -> Vec<TickId> {
        let from = self.state.in_doubt();
        let behind = self.waiting.iter().skip(from);
        let count = behind.take_while(|w| is_old(w.sealed.tick_id)).count();
        self.waiting.drain(from..from + count).map(|w| w.sealed.tick_id).collect()
    }

    /// Begins the delivery of the next frames of one run, at most `frames_max`; from here on they are in
    /// doubt. Empty while a batch is in doubt or nothing waits.
    ///
    /// # Errors
    /// [`ChainError`] when a waiting frame cannot follow; nothing is in doubt then.
    pub fn send(&mut self, frames_max: usize) -> Result<Vec<Linked>, ChainError> {
        let Some(run_id) = self.next_run().filter(|_| !self.is_in_doubt()) else {
            return Ok(Vec::new());
        };
        let mut newest = self.newest;
        let mut batch = Vec::new();
        let of_run = |w: &&Waiting<N>| w.sealed.run_id == run_id;
        for waiting in self.waiting.iter().take_while(of_run).take(frames_max) {
            let mut frame = waiting.sealed.frame.clone();
            let link = deliver(&mut frame, newest.as_ref())?;
            let header = decode_header(&frame)?;
            batch.push(Linked { frame, link, flags: header.flags, n_events: header.n_events });
            newest = Some(link);
        }
        if let Some(state) = self.state.on(DeliveryEvent::Send(batch.len())) {
            (self.state, self.sent) = (state, newest);
        }
        Ok(batch)
    }

    /// The batch in doubt is confirmed: its frames are returned. Empty when nothing is in doubt.
    pub fn committed(&mut self) -> Vec<Waiting<N>> {
        let Some(state) = self.state.on(DeliveryEvent::Committed) else { return Vec::new() };
        let frames = self.state.in_doubt();
        (self.state, self.newest) = (state, self.sent.take());
        self.waiting.drain(..frames).collect()
    }

    /// What stands was read behind every unfinished transaction: the frames at or below it are done, the
    /// others follow it. Returns the ticks that can no longer follow although they were never sent.
    pub fn settled(&mut self, newest: Option<Link>) -> Vec<TickId> {
        let in_doubt = self.state.in_doubt();
        if let Some(state) = self.state.on(DeliveryEvent::Settled) {
            self.state = state;
        }
        (self.newest, self.sent) = (newest, None);
        let mut given_up = Vec::new();
        let mut place = 0;
        self.waiting.retain(|w| {
            let was_sent = place < in_doubt;
            place += 1;
            let (tick_id, token) = (w.sealed.tick_id, w.sealed.fencing_token);
            match (fate(tick_id, token, newest.as_ref()), was_sent) {
                (Fate::Deliver, _) => true,
                (Fate::Behind, true) => false,
                (Fate::Behind, false) | (Fate::Older, _) => {
                    given_up.push(tick_id);
                    false
                }
            }
        });
        given_up
    }

    /// Whether a batch may stand or not: nothing follows before [`Self::settled`].
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self.state, DeliveryState::InDoubt(_))
    }

    /// The newest frame that is known to stand.
    #[must_use]
    pub const fn newest(&self) -> Option<&Link> {
        self.newest.as_ref()
    }

    /// Run of the oldest frame that waits.
    #[must_use]
    pub fn next_run(&self) -> Option<RunId> {
        self.waiting.front().map(|w| w.sealed.run_id)
    }

    /// The frames, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting<N>> {
        self.waiting.iter()
    }

    /// Frames that wait, those in doubt included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_event_has_its_successor() {
        use DeliveryEvent::{Committed, Send, Settled};
        use DeliveryState::{InDoubt, Known};
        for (state, event, want) in [
            (Known, Send(3), Some(InDoubt(3))),
            (Known, Committed, None),
            (Known, Settled, Some(Known)),
            (InDoubt(2), Send(3), None),
            (InDoubt(2), Committed, Some(Known)),
            (InDoubt(2), Settled, Some(Known)),
        ] {
            assert_eq!(state.on(event), want, "{state:?} on {event:?}");
        }
    }

    #[test]
    fn a_frame_follows_only_above_the_newest_tick_and_never_under_an_older_fence() {
        let newest = Link {
            tick_id: TickId(10),
            frame_seq: 1,
            fencing_token: FencingToken(5),
            sha256: [0; 32],
        };
        for (tick, token, want) in [
            (9, 6, Fate::Behind),
            (10, 5, Fate::Behind),
            (10, 4, Fate::Behind),
            (11, 4, Fate::Older),
            (11, 5, Fate::Deliver),
            (11, 6, Fate::Deliver),
        ] {
            assert_eq!(fate(TickId(tick), FencingToken(token), Some(&newest)), want);
        }
        assert_eq!(fate(TickId(1), FencingToken(1), None), Fate::Deliver);
    }
}
