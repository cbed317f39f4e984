//! The input journal: per hour one file of frames and one of their quote blocks.
//!
//! Purpose: the only data that cannot be derived again, from which everything else can. Invariants: a frame and
//! its block are written before the engine executes them; they continue the chain of frame numbers, hashes
//! and fences; what a torn write left at the end is cut and kept, what is wrong before a whole frame is not.

mod chain;
mod reader;
mod writer;

pub use chain::Chain;
pub use reader::{Entry, JournalReader, Place, hours};
pub(crate) use writer::recover_tail_seeing;
pub use writer::{JournalWriter, recover_tail};
