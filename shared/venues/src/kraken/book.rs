//! One aggregated book of one symbol in integers of the instrument's own scale.
//!
//! Input: rows of the book channel. Output: the book and a [`Verdict`] per row. Order of work, all of
//! it mandatory: apply every level, cut both sides to the depth (the feed never deletes what falls
//! out of the window), then compare the checksum over the ten best levels. Invariants: both sides are
//! sorted best first, hold at most `depth` levels and no quantity of zero. A number that the scale
//! cannot hold exactly is an error and leaves the book unusable until the next image. It does not
//! decide what to do about a mismatch; `book_sync` does.

use std::collections::VecDeque;

use thiserror::Error;

use super::number::NumberError;
use super::public::{BookRow, LevelRow};

/// Digits of prices and quantities of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Precision {
    /// Digits after the point of prices.
    pub price: u8,
    /// Digits after the point of quantities.
    pub qty: u8,
}

/// One level in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price in units of 10^-`Precision::price`.
    pub price: i64,
    /// Quantity in units of 10^-`Precision::qty`, above zero.
    pub qty: i64,
}

/// Depths that the venue offers; any other is refused by it.
pub const DEPTHS: [u32; 5] = [10, 25, 100, 500, 1000];

/// Levels of each side that the checksum covers.
pub const CHECKSUM_LEVELS: usize = 10;

/// What a row did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The checksum agrees.
    Verified,
    /// The checksum does not agree: the book is not the venue's.
    Mismatch {
        /// What the venue sent.
        expected: u32,
        /// What this book gives.
        computed: u32,
    },
    /// The checksum agrees but the best bid is not below the best ask.
    Crossed,
}

/// Why a row could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{symbol} book: {field} of a {side}: {source}")]
pub struct BookError {
    /// The symbol.
    pub symbol: String,
    /// `bid` or `ask`.
    pub side: &'static str,
    /// `price` or `qty`.
    pub field: &'static str,
    /// What is wrong with the number.
    pub source: NumberError,
}

/// A book.
#[derive(Clone, Debug)]
pub struct Book {
    depth: usize,
    precision: Precision,
    bids: VecDeque<Level>,
    asks: VecDeque<Level>,
}

#[derive(Clone, Copy)]
enum BookSide {
    Bid,
    Ask,
}

impl BookSide {
    const fn name(self) -> &'static str {
        match self {
            Self::Bid => "bid",
            Self::Ask => "ask",
        }
    }
}

impl Book {
    /// An empty book of `depth` levels per side.
    pub fn new(depth: u32, precision: Precision) -> Self {
        let depth = depth as usize;
        // One level more than the depth is held between applying a row and cutting it.
        let room = depth.min(1_000) + 1;
        Self {
            depth,
            precision,
            bids: VecDeque::with_capacity(room),
            asks: VecDeque::with_capacity(room),
        }
    }

    /// Levels per side.
    pub fn depth(&self) -> u32 {
        u32::try_from(self.depth).unwrap_or(u32::MAX)
    }

    /// Digits in use.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// Bids, best first.
    pub fn bids(&self) -> impl DoubleEndedIterator<Item = Level> + ExactSizeIterator + Clone + '_ {
        self.bids.iter().copied()
    }

    /// Asks, best first.
    pub fn asks(&self) -> impl DoubleEndedIterator<Item = Level> + ExactSizeIterator + Clone + '_ {
        self.asks.iter().copied()
    }

    /// Best bid.
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.front().copied()
    }

    /// Best ask.
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.front().copied()
    }

    /// Whether the best bid is at or above the best ask.
    pub fn is_crossed(&self) -> bool {
        match (self.bids.front(), self.asks.front()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Replaces the book by an image.
    ///
    /// # Errors
    /// A number has more digits than the precision, or does not fit.
    pub fn apply_snapshot(&mut self, row: &BookRow<'_>) -> Result<Verdict, BookError> {
        self.clear();
        self.apply(row)
    }

    /// Applies a change.
    ///
    /// # Errors
    /// A number has more digits than the precision, or does not fit. The book is then part old, part
    /// new, and must be discarded.
    pub fn apply_update(&mut self, row: &BookRow<'_>) -> Result<Verdict, BookError> {
        self.apply(row)
    }

    fn apply(&mut self, row: &BookRow<'_>) -> Result<Verdict, BookError> {
        for level in &row.bids {
            let level = self.level(row, BookSide::Bid, level)?;
            put(&mut self.bids, level, |held| held.price > level.price);
        }
        for level in &row.asks {
            let level = self.level(row, BookSide::Ask, level)?;
            put(&mut self.asks, level, |held| held.price < level.price);
        }
        self.bids.truncate(self.depth);
        self.asks.truncate(self.depth);
        let computed = self.checksum();
        Ok(if computed != row.checksum {
            Verdict::Mismatch { expected: row.checksum, computed }
        } else if self.is_crossed() {
            Verdict::Crossed
        } else {
            Verdict::Verified
        })
    }

    #[inline]
    fn level(
        &self,
        row: &BookRow<'_>,
        side: BookSide,
        level: &LevelRow<'_>,
    ) -> Result<Level, BookError> {
        let fail = |field| {
            move |source| BookError {
                symbol: row.symbol.to_string(),
                side: side.name(),
                field,
                source,
            }
        };
        Ok(Level {
            price: level.price.scaled(self.precision.price).map_err(fail("price"))?,
            qty: level.qty.scaled(self.precision.qty).map_err(fail("qty"))?,
        })
    }

    /// CRC-32 over the ten best levels of each side, asks first.
    pub fn checksum(&self) -> u32 {
        let mut text = [0u8; 2 * CHECKSUM_LEVELS * 2 * TOKEN_LEN_MAX];
        let mut len = 0;
        for level in self.asks.iter().take(CHECKSUM_LEVELS) {
            len = push_token(&mut text, len, level.price);
            len = push_token(&mut text, len, level.qty);
        }
        for level in self.bids.iter().take(CHECKSUM_LEVELS) {
            len = push_token(&mut text, len, level.price);
            len = push_token(&mut text, len, level.qty);
        }
        crc32fast::hash(&text[..len])
    }
}

/// Inserts, replaces or removes one level; `is_better` says whether a held level comes before it.
#[inline]
fn put(side: &mut VecDeque<Level>, level: Level, is_better: impl Fn(&Level) -> bool) {
    // Most changes are near the best price, so the walk from there beats a binary search until it
    // has gone this far.
    const NEAR: usize = 12;
    let near = side.iter().take(NEAR).position(|held| !is_better(held));
    let at = near.unwrap_or_else(|| side.partition_point(&is_better));
    let found = side.get(at).is_some_and(|held| held.price == level.price);
    match (found, level.qty > 0) {
        (true, true) => side[at].qty = level.qty,
        (true, false) => {
            side.remove(at);
        }
        (false, true) => side.insert(at, level),
        // Removing what fell out of the window long ago is normal.
        (false, false) => {}
    }
}

/// Longest token of a checksum: the digits of any 64-bit integer.
pub(super) const TOKEN_LEN_MAX: usize = 20;

/// Appends the digits of a scaled integer: that is the fixed-point text without its point and its
/// leading zeros.
#[inline]
pub(super) fn push_token(text: &mut [u8], at: usize, value: i64) -> usize {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = value.unsigned_abs();
    while rest >= 100 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        first -= 2;
        digits[first] = PAIRS[pair];
        digits[first + 1] = PAIRS[pair + 1];
    }
    if rest >= 10 {
        let pair = rest as usize * 2;
        first -= 2;
        digits[first] = PAIRS[pair];
        digits[first + 1] = PAIRS[pair + 1];
    } else if rest > 0 {
        first -= 1;
        digits[first] = b'0' + rest as u8;
    }
    let len = digits.len() - first;
    text[at..at + len].copy_from_slice(&digits[first..]);
    at + len
}

/// `00`, `01`, … `99`.
const PAIRS: [u8; 200] = {
    let mut table = [0u8; 200];
    let mut i = 0;
    while i < 100 {
        table[2 * i] = b'0' + (i / 10) as u8;
        table[2 * i + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    table
};

/// The smallest depth of the venue that holds `levels` levels.
pub fn depth_for(levels: usize) -> Option<u32> {
    DEPTHS.into_iter().find(|depth| *depth as usize >= levels)
}
