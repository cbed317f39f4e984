//! Quotes: the only prices that this process knows, read from the blocks of sealed frames.
//!
//! Purpose: the newest applied frame, the quotes that stand in it, and their one age. Inputs: frames of
//! the decision cluster. Outputs: a table that every price path reads. Invariants: a quote stands until it
//! is withdrawn, replaced, or its frame cannot be trusted; its age is the age of the newest applied frame
//! by the decision clock, continued by the monotonic clock. It opens no market data socket.

mod reader;
mod table;

pub use reader::run_reader;
pub use table::{QuoteBoard, QuoteTable};
