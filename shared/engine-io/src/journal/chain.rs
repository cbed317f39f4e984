//! Whether a frame continues the ones before it.
//!
//! Input: a delivered frame. Output: the chain with it. Invariants: numbers ascend by one, each frame names the
//! hash of the one before, fences never fall. How many ticks are missing before it is not asked: the engine
//! executes them whatever the header says.

use crate::error::{Code, Fault};
use penstock_engine::snapshot::SnapshotContext;
use penstock_types::frame::{FrameHeader, sha256};

/// The last frame, as the next one needs it; number 0 says that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    /// Its number.
    pub frame_seq: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Run that sealed it.
    pub run_id: u64,
    /// Fence that it was sealed under.
    pub fencing_token: u64,
}

impl Chain {
    /// The chain of a snapshot.
    #[must_use]
    pub const fn of(context: &SnapshotContext) -> Self {
        Self {
            frame_seq: context.frame_seq,
            sha256: context.frame_sha256,
            run_id: context.run_id,
            fencing_token: context.fencing_token,
        }
    }

    /// The chain with a frame more; any frame may be the first.
    ///
    /// # Errors
    /// [`Code::JrnGap`] when frames are missing before it, [`Code::JrnChain`] when it does not continue them.
    pub fn with(&self, header: &FrameHeader, frame: &[u8]) -> Result<Self, Fault> {
        self.with_hash(header, sha256(frame))
    }

    /// As [`Chain::with`], for whoever has the frame's hash already.
    ///
    /// # Errors
    /// As [`Chain::with`].
    pub fn with_hash(&self, header: &FrameHeader, sha256: [u8; 32]) -> Result<Self, Fault> {
        let tick = header.tick_id.0.unsigned_abs();
        let number = header.frame_seq.unsigned_abs();
        let fence = header.fencing_token.0.unsigned_abs();
        let wrong = |code, what: &str| Fault::new(code, what).in_tick(tick);
        if self.frame_seq != 0 {
            let due = self.frame_seq + 1;
            if number != due {
                let code = if number > due { Code::JrnGap } else { Code::JrnChain };
                let what = "the number of the frame does not follow; \
                            next: look for the missing frames in the table of frames";
                return Err(wrong(code, what).differing(due, number));
            }
            if header.previous != self.sha256 {
                let what = "the frame does not carry the hash of the frame before it";
                let (want, got) = (hex::encode(self.sha256), hex::encode(header.previous));
                return Err(wrong(Code::JrnChain, what).differing(want, got));
            }
            if fence < self.fencing_token {
                let what = "the frame was sealed under an older fence than the one before it";
                return Err(wrong(Code::JrnChain, what).differing(self.fencing_token, fence));
            }
        }
        let run_id = header.run_id.0.unsigned_abs();
        Ok(Self { frame_seq: number, sha256, run_id, fencing_token: fence })
    }
}
