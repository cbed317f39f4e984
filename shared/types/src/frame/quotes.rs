//! The quote block of a tick: top of book of each symbol whose best price or size changed in it.
//!
//! ```text
//! header 24: 0 "EQB1" · 4 version u16 · 6 flags u16 (bit 0 FULL) · 8 tick_id u64 · 16 n u32 · 20 CRC-32C u32
//! entry 50: symbol_no u16 · bid · ask · bid_qty · ask_qty · exchange_ts i64 · seq u64
//! ```
//! The CRC covers bytes 0..20 and the entries. Prices and quantities are integers in the scale that
//! `run_symbols` gives to the number; `bid = ask = 0` withdraws the quote.

use super::{FrameError, crc32c_of, id_of, take};
use crate::{Seq, TickId};
use alloc::vec::Vec;

/// Bytes of the block's header.
pub const QUOTE_HEADER_LEN: usize = 24;
/// Bytes of an entry.
pub const QUOTE_ENTRY_LEN: usize = 50;
/// Greatest symbol number, hence most entries of a block.
pub const SYMBOL_NO_MAX: u32 = 65_535;
const MAGIC: [u8; 4] = *b"EQB1";
const VERSION: u16 = 1;
const FULL: u16 = 1;
const WHAT: &str = "quote block";

/// Top of book of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QuoteEntry {
    /// Number of symbol and scale within the run, from 1.
    pub symbol_no: u16,
    /// Best bid in price units; 0 with `ask` 0 withdraws.
    pub bid: i64,
    /// Best ask in price units.
    pub ask: i64,
    /// Quantity at the best bid in quantity units.
    pub bid_qty: i64,
    /// Quantity at the best ask in quantity units.
    pub ask_qty: i64,
    /// Venue time, microseconds; 0 when the venue sent none.
    pub exchange_ts: i64,
    /// Number of the raw row behind it.
    pub seq: Seq,
}

impl QuoteEntry {
    /// An entry that takes the symbol's quote back.
    #[must_use]
    pub const fn withdrawn(symbol_no: u16, exchange_ts: i64, seq: Seq) -> Self {
        Self { symbol_no, bid: 0, ask: 0, bid_qty: 0, ask_qty: 0, exchange_ts, seq }
    }

    /// The entry takes the quote back.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.bid == 0 && self.ask == 0
    }
}

/// The quotes that changed in one tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteBlock {
    /// Tick.
    pub tick_id: TickId,
    /// Every tracked symbol is present.
    pub full: bool,
    /// Entries, strictly ascending by `symbol_no`.
    pub entries: Vec<QuoteEntry>,
}

/// The block as bytes.
///
/// # Errors
/// [`FrameError::Order`] when the entries do not ascend strictly, [`FrameError::Range`] for a symbol
/// number 0 or a negative tick or number.
pub fn encode_quotes(block: &QuoteBlock) -> Result<Vec<u8>, FrameError> {
    check_entries(&block.entries)?;
    if block.tick_id.0 < 0 {
        return Err(FrameError::Range { what: WHAT, field: "tick_id" });
    }
    let n = u32::try_from(block.entries.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(QUOTE_HEADER_LEN + block.entries.len() * QUOTE_ENTRY_LEN);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(if block.full { FULL } else { 0 }).to_le_bytes());
    out.extend_from_slice(&block.tick_id.0.to_le_bytes());
    out.extend_from_slice(&n.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for entry in &block.entries {
        out.extend_from_slice(&entry.symbol_no.to_le_bytes());
        for value in [entry.bid, entry.ask, entry.bid_qty, entry.ask_qty, entry.exchange_ts] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&entry.seq.0.to_le_bytes());
    }
    let crc = crc32c_of(&out[..20], &out[QUOTE_HEADER_LEN..]);
    out[20..24].copy_from_slice(&crc.to_le_bytes());
    Ok(out)
}

/// Reads and checks a block.
///
/// # Errors
/// [`FrameError`] naming the first thing that is wrong; a reader then withdraws every quote.
pub fn decode_quotes(bytes: &[u8]) -> Result<QuoteBlock, FrameError> {
    if bytes.len() < QUOTE_HEADER_LEN {
        let (got, want) = (bytes.len(), QUOTE_HEADER_LEN);
        return Err(FrameError::Length { what: WHAT, got, want });
    }
    if bytes[..4] != MAGIC {
        return Err(FrameError::Magic { what: WHAT });
    }
    let version = u16::from_le_bytes(take(bytes, 4));
    if version != VERSION {
        return Err(FrameError::Version { what: WHAT, got: version });
    }
    let n = u32::from_le_bytes(take(bytes, 16));
    if n > SYMBOL_NO_MAX {
        return Err(FrameError::TooMany { what: WHAT, got: n, max: SYMBOL_NO_MAX });
    }
    let want = QUOTE_HEADER_LEN + n as usize * QUOTE_ENTRY_LEN;
    if bytes.len() != want {
        return Err(FrameError::Length { what: WHAT, got: bytes.len(), want });
    }
    let got = u32::from_le_bytes(take(bytes, 20));
    let want = crc32c_of(&bytes[..20], &bytes[QUOTE_HEADER_LEN..]);
    if got != want {
        return Err(FrameError::Crc { what: WHAT, got, want });
    }
    let flags = u16::from_le_bytes(take(bytes, 6));
    if flags & !FULL != 0 {
        return Err(FrameError::Flags { what: WHAT, got: flags });
    }
    let entries = bytes[QUOTE_HEADER_LEN..].chunks_exact(QUOTE_ENTRY_LEN).map(decode_entry);
    let block = QuoteBlock {
        tick_id: TickId(id_of(WHAT, "tick_id", take(bytes, 8))?),
        full: flags & FULL != 0,
        entries: entries.collect::<Result<_, _>>()?,
    };
    check_entries(&block.entries)?;
    Ok(block)
}

fn decode_entry(bytes: &[u8]) -> Result<QuoteEntry, FrameError> {
    let number = |slot: usize| i64::from_le_bytes(take(bytes, 2 + slot * 8));
    Ok(QuoteEntry {
        symbol_no: u16::from_le_bytes(take(bytes, 0)),
        bid: number(0),
        ask: number(1),
        bid_qty: number(2),
        ask_qty: number(3),
        exchange_ts: number(4),
        seq: Seq(id_of(WHAT, "seq", take(bytes, 42))?),
    })
}

fn check_entries(entries: &[QuoteEntry]) -> Result<(), FrameError> {
    if entries.first().is_some_and(|e| e.symbol_no == 0) {
        return Err(FrameError::Range { what: WHAT, field: "symbol_no" });
    }
    if entries.iter().any(|e| e.seq.0 < 0) {
        return Err(FrameError::Range { what: WHAT, field: "seq" });
    }
    match entries.windows(2).find(|w| w[0].symbol_no >= w[1].symbol_no) {
        Some(pair) => Err(FrameError::Order(pair[1].symbol_no)),
        None => Ok(()),
    }
}
