//! Why the engine stops: a frame that is not the next one, a number out of range, a broken invariant.
//!
//! Input: what was met. Output: a value with a stable code. Invariant: a fault is final; the state that is
//! kept is for reading only. It decides nothing about the process around the engine.

use crate::num::ArithError;

/// A fault; the engine takes no frame after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineFault {
    /// Not the tick that follows.
    #[error("tick {got} does not follow: {want} is next; next: check the frame chain")]
    FrameTick {
        /// Tick of the frame.
        got: u64,
        /// Tick that was due.
        want: u64,
    },
    /// Events out of canonical order.
    #[error("tick {tick}: event {index} is not above the one before it in the canonical order")]
    FrameOrder {
        /// Tick.
        tick: u64,
        /// Position in the frame.
        index: u64,
    },
    /// An event that no binding explains.
    #[error(
        "tick {tick}: no binding explains source {source_code} of token {token}, instrument \
         {instrument}; next: compare the bindings of ingest and execution"
    )]
    FrameToken {
        /// Tick.
        tick: u64,
        /// Token of the event.
        token: u16,
        /// Instrument of the event.
        instrument: u16,
        /// Source of the event.
        source_code: u8,
    },
    /// More events than a frame may carry.
    #[error("tick {tick} carries {events} events, at most 262144 are allowed")]
    FrameOverflow {
        /// Tick.
        tick: u64,
        /// Events.
        events: u64,
    },
    /// More missing ticks than are filled.
    #[error(
        "{missing} ticks are missing before tick {tick}, at most {max} are filled; next: start \
         with --cold-start"
    )]
    GapTooLong {
        /// Tick after the gap.
        tick: u64,
        /// Missing ticks.
        missing: u64,
        /// Limit.
        max: u64,
    },
    /// A number left its range.
    #[error("tick {tick}: a number of token {token} left its range")]
    Arith {
        /// Tick.
        tick: u64,
        /// Token; 0 for a cluster.
        token: u16,
    },
    /// What must hold does not.
    #[error("tick {tick}: {what} of {subject}")]
    Invariant {
        /// Tick.
        tick: u64,
        /// Token or cluster.
        subject: u16,
        /// What was broken.
        what: &'static str,
    },
}

impl EngineFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FrameTick { .. } => "E_FRAME_TICK",
            Self::FrameOrder { .. } => "E_FRAME_ORDER",
            Self::FrameToken { .. } => "E_FRAME_TOKEN",
            Self::FrameOverflow { .. } => "E_FRAME_OVERFLOW",
            Self::GapTooLong { .. } => "E_GAP_TOO_LONG",
            Self::Arith { .. } => "E_ARITH",
            Self::Invariant { .. } => "E_INVARIANT",
        }
    }
}

/// What a layer can say by itself; the engine adds tick and token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerFault {
    /// A number left its range.
    Arith,
    /// What must hold does not.
    Invariant(&'static str),
}

impl LayerFault {
    /// With tick and token or cluster.
    #[must_use]
    pub const fn at(self, tick: u64, subject: u16) -> EngineFault {
        match self {
            Self::Arith => EngineFault::Arith { tick, token: subject },
            Self::Invariant(what) => EngineFault::Invariant { tick, subject, what },
        }
    }
}

impl From<ArithError> for LayerFault {
    fn from(_: ArithError) -> Self {
        Self::Arith
    }
}
