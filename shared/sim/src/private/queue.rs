//! Frames on their way out, each with the time before which it must not leave.
//!
//! Inputs: frames with a delay. Outputs: frames that are due. Invariant: frames leave in the order
//! in which they came; one that waits holds back those behind it.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A first-in, first-out queue with delays.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    frames: VecDeque<(Instant, &'static str, String)>,
}

impl Delayed {
    /// Adds a frame of a channel.
    pub(crate) fn push(&mut self, channel: &'static str, frame: String, delay_ms: u32) {
        let due = Instant::now() + Duration::from_millis(u64::from(delay_ms));
        let due = self.frames.back().map_or(due, |(before, _, _)| due.max(*before));
        self.frames.push_back((due, channel, frame));
    }

    /// When the first frame is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.frames.front().map(|(due, _, _)| *due)
    }

    /// The first frame, when it is due.
    pub(crate) fn take(&mut self) -> Option<(&'static str, String)> {
        let due = self.due()?;
        if due > Instant::now() {
            return None;
        }
        self.frames.pop_front().map(|(_, channel, frame)| (channel, frame))
    }
}
