//! Whether a venue's REST side numbers trades as its stream does, and what it brought meanwhile.
//!
//! Inputs: prints of the stream with unique id and number; rows that were fetched for a gap. Output: the
//! fetched rows of the gap, or why they may not be counted. A number that REST gives is taken for one of
//! the stream only while a unique id that the stream has delivered carries the same number there; one that
//! carries another number refutes all of them. Rows are held until the fetch has ended, so that a
//! contradiction on the last page still counts. Pure.

use super::derivatives::DerivTradeIn;
use core::hash::Hasher;
use rustc_hash::FxHasher;
use std::collections::VecDeque;

/// Prints of the stream that are remembered by their unique id: more than twice an image of 100.
const SEEN_LEN: usize = 256;
/// Fetched rows that are held: 20 pages of 100.
const ROWS_LEN_LIMIT: usize = 2_000;

/// A print's unique id, as 64 bits of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeUid(u64);

impl TradeUid {
    /// Of the venue's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write(text.as_bytes());
        Self(hasher.finish())
    }
}

/// Unique ids that the stream has delivered, with their numbers; the newest of them.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    seen: VecDeque<(TradeUid, i64)>,
}

impl Numbering {
    /// The stream, or an image of it, named a print.
    pub(super) fn note(&mut self, trade: &DerivTradeIn) {
        let Some(uid) = trade.uid else { return };
        if self.seen.len() >= SEEN_LEN {
            self.seen.pop_front();
        }
        self.seen.push_back((uid, trade.trade_id));
    }

    fn number_of(&self, uid: TradeUid) -> Option<i64> {
        self.seen.iter().rev().find(|(seen, _)| *seen == uid).map(|(_, id)| *id)
    }
}

/// Why fetched rows are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A print that the stream has delivered has another number there.
    Contradicted,
    /// None of the rows is one that the stream has delivered.
    Unproven,
}

impl Unusable {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Contradicted => {
                "fetched trades have other numbers than those of the stream; they stay missing"
            }
            Self::Unproven => {
                "none of the fetched trades is known from the stream; they stay missing"
            }
        }
    }
}

/// What is being fetched for one gap.
#[derive(Debug)]
pub(super) struct Fetch {
    /// First and last missing number.
    ids: (i64, i64),
    /// The print that showed the gap: it may leave the memory of the stream before REST answers.
    anchor: (Option<TradeUid>, i64),
    is_proven: bool,
    is_contradicted: bool,
    rows: Vec<DerivTradeIn>,
}

impl Fetch {
    /// Nothing has been fetched yet for the gap before `anchor`.
    pub(super) const fn new(ids: (i64, i64), anchor: (Option<TradeUid>, i64)) -> Self {
        Self { ids, anchor, is_proven: false, is_contradicted: false, rows: Vec::new() }
    }

    pub(super) const fn first_id(&self) -> i64 {
        self.ids.0
    }

    /// Takes a page.
    pub(super) fn page(&mut self, numbering: &Numbering, rows: Vec<DerivTradeIn>) {
        for row in rows {
            let own = row.uid.filter(|uid| self.anchor.0 == Some(*uid)).map(|_| self.anchor.1);
            let known = own.or_else(|| row.uid.and_then(|uid| numbering.number_of(uid)));
            match known {
                Some(id) if id == row.trade_id => self.is_proven = true,
                Some(_) => self.is_contradicted = true,
                None => {}
            }
            let is_missing = (self.ids.0..=self.ids.1).contains(&row.trade_id);
            if is_missing && self.rows.len() < ROWS_LEN_LIMIT {
                self.rows.push(row);
            }
        }
    }

    /// The rows in the order of their numbers.
    ///
    /// # Errors
    /// [`Unusable`] when their numbers are not known to be the stream's.
    pub(super) fn ended(mut self) -> Result<Vec<DerivTradeIn>, Unusable> {
        match (self.is_contradicted, self.is_proven) {
            (true, _) => Err(Unusable::Contradicted),
            (false, false) if self.rows.is_empty() => Ok(Vec::new()),
            (false, false) => Err(Unusable::Unproven),
            (false, true) => {
                self.rows.sort_by_key(|row| row.trade_id);
                Ok(self.rows)
            }
        }
    }
}
