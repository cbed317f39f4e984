//! What the core hands out. The shell empties it after every call and carries the effects out.

use super::connections::Withdrawal;
use super::level3_guard::Level3Block;
use crate::aggregator::StateCut;
use crate::sealer::RunSymbol;
use penstock_types::raw::RawRow;
use penstock_types::vocab::Venue;
use penstock_types::{EpochId, FencingToken, RunId, Symbol, TickId, UtcMicros};

/// A sealed tick as it enters the frame spool; number and previous hash follow at delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTick {
    /// Tick.
    pub tick_id: TickId,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Fence that it was sealed under.
    pub fencing_token: FencingToken,
    /// Epoch whose window was open.
    pub epoch_id: Option<EpochId>,
    /// Entries of the quote block.
    pub n_quotes: usize,
    /// Header and events.
    pub frame: Vec<u8>,
    /// Quote block.
    pub quotes: Vec<u8>,
}

/// Something that happened inside and that a marker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Quotes were withdrawn; of one symbol, or of a connection.
    QuoteWithdrawn {
        /// Symbol, or none when it is the whole connection.
        symbol: Option<Symbol>,
        /// Connection.
        conn_id: i16,
        /// Why.
        reason: Withdrawal,
    },
    /// The connection's quotes stand again.
    QuotesReturned {
        /// Connection.
        conn_id: i16,
    },
    /// Trade numbers are missing.
    TradesMissing {
        /// Symbol.
        symbol: Symbol,
        /// First missing number.
        first_id: i64,
        /// Last missing number.
        last_id: i64,
        /// Receive time of the last trade before them.
        from: UtcMicros,
    },
    /// A gap of trade numbers is closed.
    TradesBackfilled {
        /// Symbol.
        symbol: Symbol,
        /// Last trade before it.
        from: UtcMicros,
        /// First trade after it.
        to: UtcMicros,
        /// Trades that were fetched.
        backfilled: i64,
        /// Trades that stay missing.
        missing: i64,
    },
    /// Trade numbers of a derivative are missing and can be asked for.
    DerivTradesMissing {
        /// Venue.
        venue: Venue,
        /// Symbol.
        symbol: Symbol,
        /// First missing number.
        first_id: i64,
        /// Last missing number.
        last_id: i64,
        /// Venue time of the first trade after them.
        until: UtcMicros,
    },
    /// A gap of trade numbers of a derivative is closed.
    DerivTradesBackfilled {
        /// Venue.
        venue: Venue,
        /// Symbol.
        symbol: Symbol,
        /// Last trade before it and first one after it.
        blind: (UtcMicros, UtcMicros),
        /// Trades that came back.
        backfilled: i64,
        /// Trades that stay missing.
        missing: i64,
    },
    /// The flag of a derivative venue changed with the tick that was sealed.
    DerivVenue {
        /// Venue.
        venue: Venue,
        /// It is degraded now, else whole again.
        is_degraded: bool,
        /// Streams whose gap is open.
        streams: Vec<String>,
    },
    /// An order-by-order book was lost and is asked for anew.
    Level3Resync {
        /// Symbol.
        symbol: Symbol,
        /// Counted resyncs of it within ten minutes.
        count: u32,
    },
    /// More than half of the order-by-order books were lost at once.
    Level3Systemic {
        /// Books that are lost.
        lost: usize,
        /// Books that are followed.
        tracked: usize,
    },
    /// A symbol is blocked because its order-by-order book was lost too often.
    Level3Blocked(Level3Block),
    /// The time of such a block is over.
    Level3Unblocked {
        /// Symbol.
        symbol: Symbol,
    },
    /// A message was refused; the reason is fixed text.
    Refused {
        /// Symbol.
        symbol: Symbol,
        /// Why.
        reason: &'static str,
    },
    /// Ticker and trades of the whole domain were away for longer than the limit.
    StreamGap {
        /// Last message before.
        from: UtcMicros,
        /// First message after.
        to: UtcMicros,
    },
}

/// Effects of a call, in order of their making within each list.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Numbered rows.
    pub rows: Vec<RawRow>,
    /// Symbol numbers to be published before the frame that uses them.
    pub run_symbols: Vec<RunSymbol>,
    /// Sealed ticks.
    pub sealed: Vec<SealedTick>,
    /// Versions of the state.
    pub cuts: Vec<StateCut>,
    /// What markers tell.
    pub notes: Vec<Note>,
}

impl Outputs {
    /// Nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.run_symbols.is_empty()
            && self.sealed.is_empty()
            && self.cuts.is_empty()
            && self.notes.is_empty()
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.run_symbols.clear();
        self.sealed.clear();
        self.cuts.clear();
        self.notes.clear();
    }
}
