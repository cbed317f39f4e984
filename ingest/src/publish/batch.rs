//! How many frames go into one transaction: fewer after a failure, more after a success. Pure.
//!
//! A backlog of big frames that one transaction cannot take within its time limit would otherwise be tried
//! whole, fail, and be longer at the next try: it must shrink until it passes.

use penstock_store_decision::frames::FRAMES_PER_TX_MAX;

/// Frames of the next transaction: 1 to [`FRAMES_PER_TX_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchSize(usize);

impl BatchSize {
    /// As many as a transaction may have.
    pub(super) const fn new() -> Self {
        Self(FRAMES_PER_TX_MAX)
    }

    /// Frames of the next transaction at most.
    pub(super) const fn frames_max(self) -> usize {
        self.0
    }

    /// A transaction with `frames` failed: half of them next, one at least.
    pub(super) fn failed(&mut self, frames: usize) {
        self.0 = (frames / 2).clamp(1, self.0);
    }

    /// A transaction passed.
    pub(super) fn passed(&mut self) {
        self.0 = (self.0 * 2).min(FRAMES_PER_TX_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever number of frames a cluster takes at a time, a backlog that grows with every try drains.
        #[test]
        fn a_backlog_drains_when_the_cluster_takes_as_little_as_one_frame_at_a_time(
            takes in 1_usize..300,
            backlog in 1_usize..5_000,
        ) {
            let (mut size, mut waiting, mut tries) = (BatchSize::new(), backlog, 0);
            while waiting > 0 {
                let frames = waiting.min(size.frames_max());
                prop_assert!((1..=FRAMES_PER_TX_MAX).contains(&frames));
                if frames <= takes {
                    waiting -= frames;
                    size.passed();
                } else {
                    size.failed(frames);
                }
                tries += 1;
                prop_assert!(tries <= 8 + 2 * backlog, "it makes way at least every second time");
            }
        }
    }

    #[test]
    fn one_failure_of_few_frames_does_not_make_room_for_more() {
        let mut size = BatchSize::new();
        size.failed(8);
        assert_eq!(size.frames_max(), 4);
        size.failed(1);
        assert_eq!(size.frames_max(), 1);
        size.failed(0);
        assert_eq!(size.frames_max(), 1);
        size.passed();
        assert_eq!(size.frames_max(), 2);
    }
}
