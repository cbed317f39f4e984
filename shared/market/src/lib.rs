//! The market core: everything of ingest that is decided, as plain values.
//!
//! Purpose: numbered rows, state cuts, sealed ticks with their quotes, epoch judgements and the universe,
//! from decoded venue messages and times that are passed in. No clock, no socket, no database.
//! The aggregator and the sealer consume recorded rows only, hence a replay of the rows gives the same
//! generations and the same quotes.

pub mod aggregator;
pub mod canonical;
pub mod checkpoint;
pub mod config;
pub mod core;
pub mod delivery;
pub mod epoch;
#[cfg(test)]
mod fixtures;
pub mod frame_replay;
pub mod regime;
pub mod replay;
pub mod sample;
pub mod sealer;
mod text;
mod units;
pub mod universe;

pub use crate::core::{
    BookUpdate, Books, CoreError, DerivQuoteIn, DerivStateIn, DerivTradeIn, DerivTradeKind,
    ForcedOrderIn, Level3Block, Level3Health, Level3Sample, LostBook, MarketCore, Note, Outputs,
    Recording, SealedTick, TakerQuotes, TickerIn, TradeIn, TradeUid, Withdrawal,
};
pub use aggregator::{Aggregator, CutDeltas, Gaps, STREAM_UNIVERSE, StateCut, Watermark};
pub use config::{CoreConfig, FoldConfig};
pub use sample::{BookSample, Scales, sample_book};
pub use sealer::{RunSymbol, Sealer};
