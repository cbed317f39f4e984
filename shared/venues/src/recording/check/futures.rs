//! Kraken Futures: the numbers of book changes and prints, and every number of every book.

use std::collections::BTreeMap;

use super::report::{FindingKind, Tally};
use super::rest::RestLine;
use super::trades::Trades;
use crate::kraken_futures::book::Book;
use crate::kraken_futures::rest::{Body, decode as decode_rest};
use crate::kraken_futures::rows::{BookRow, BookSnapshotRow, TradeRow};
use crate::kraken_futures::{Frame, decode};
use crate::recording::Line;
use crate::sequence::{Contiguous, Seen};

/// Said of every recording with books of this venue.
const LAST_CHANGES: &str =
    "books: a lost change shows at the product's next one; one after the last leaves no trace";

/// The check of this protocol.
#[derive(Debug, Default)]
pub(super) struct FuturesCheck {
    books: BTreeMap<String, (Contiguous, Book)>,
    trades: Trades,
}

impl FuturesCheck {
    pub(super) fn line(&mut self, tally: &mut Tally, line: &Line<'_>) {
        match decode(line.frame) {
            Ok(Frame::Unknown { .. }) => tally.unknown(),
            Ok(frame) => {
                tally.decoded();
                self.frame(tally, line, &frame);
            }
            Err(error) => tally.undecodable(line, &error),
        }
    }

    pub(super) fn rest_line(tally: &mut Tally, line: &Line<'_>, row: &RestLine<'_>) {
        match decode_rest(&row.path, row.body) {
            Ok(Body::Unknown) => tally.unknown(),
            Ok(body) => {
                tally.decoded();
                Self::rest(tally, &body);
            }
            Err(error) => row.undecodable(tally, line, error),
        }
    }

    fn rest(tally: &mut Tally, body: &Body<'_>) {
        match body {
            Body::Instruments(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::Statuses(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::Tickers(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::OrderBook(_)
            | Body::History(_)
            | Body::FundingRates(_)
            | Body::Error { .. }
            | Body::Unknown => {}
        }
    }

    fn frame(&mut self, tally: &mut Tally, line: &Line<'_>, frame: &Frame<'_>) {
        match frame {
            Frame::Ticker(row) => tally.symbol(&row.product_id),
            Frame::TickerLite(row) => tally.symbol(&row.product_id),
            Frame::Trade(row) => self.print(tally, line, row, false),
            Frame::TradeSnapshot(row) => {
                tally.symbol(&row.product_id);
                // Newest first on the wire.
                row.trades.iter().rev().for_each(|trade| self.print(tally, line, trade, true));
            }
            Frame::BookSnapshot(row) => self.image(tally, line, row),
            Frame::Book(row) => self.change(tally, line, row),
            Frame::Event { .. } | Frame::Heartbeat(_) | Frame::Unknown { .. } => {}
        }
    }

    fn print(&mut self, tally: &mut Tally, line: &Line<'_>, row: &TradeRow<'_>, is_image: bool) {
        tally.symbol(&row.product_id);
        // A number below zero is no number of a print; the row itself decoded.
        let Some(seq) = row.seq.sequence() else { return };
        self.trades.print(tally, line, &row.product_id, seq, is_image);
    }

    fn image(&mut self, tally: &mut Tally, line: &Line<'_>, row: &BookSnapshotRow<'_>) {
        tally.symbol(&row.product_id);
        tally.note(LAST_CHANGES);
        let (sequence, book) = self.books.entry(row.product_id.to_string()).or_default();
        if let Some(seq) = row.seq.sequence() {
            sequence.restart_at(seq);
        }
        if let Err(error) = book.image(row) {
            tally.book_unusable(line, &row.product_id, error.to_string());
        }
    }

    fn change(&mut self, tally: &mut Tally, line: &Line<'_>, row: &BookRow<'_>) {
        tally.symbol(&row.product_id);
        // A change before the first image continues nothing.
        let Some((sequence, book)) = self.books.get_mut(row.product_id.as_str()) else { return };
        if let Err(error) = book.change(row) {
            tally.book_unusable(line, &row.product_id, error.to_string());
        }
        let Some(seq) = row.seq.sequence() else { return };
        let next = sequence.mark().and_then(|mark| mark.checked_add(1));
        match sequence.see(seq) {
            Seen::First | Seen::Next => {}
            Seen::Gap { expected } => {
                tally.gap(line, FindingKind::BookGap, &row.product_id, expected, seq);
            }
            // A change that comes after its successors is of no more use than one that came twice.
            Seen::Late | Seen::Duplicate => {
                tally.duplicate(line, FindingKind::BookDuplicate, &row.product_id, next, seq);
            }
        }
    }
}
