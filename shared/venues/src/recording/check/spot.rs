//! Kraken spot: every checksum of every book, aggregated and order by order, and the numbers of prints.
//!
//! A book's depth is that of its subscription's answer, else the smallest depth of the venue that holds
//! the longest side of any image in the file; its digits are those of an instrument frame, else those
//! of the symbol's first image. So the text is read twice: once for these ([`Hints`]), once for the
//! books.

use std::collections::BTreeMap;

use super::report::Tally;
use super::rest::RestLine;
use super::trades::Trades;
use crate::kraken::book::{Book, Precision, Verdict, depth_for};
use crate::kraken::level3::{DEPTHS as LEVEL3_DEPTHS, Level3Row};
use crate::kraken::level3_book::Level3Book;
use crate::kraken::public::BookRow;
use crate::kraken::rest::public::{
    AssetPairResult, AssetResult, Entries, SystemStatusResult, TickerResult, TimeResult,
    TradesResult,
};
use crate::kraken::rest::{self, Reply, UnknownReason};
use crate::kraken::{Frame, decode};
use crate::recording::{Cut, Line, lines};
use crate::wire::{DecodeError, Num};

/// Said of every recording with books of this venue.
const OUTSIDE_TOP: &str = "books: a checksum covers the ten best levels; a lost change that never reaches them leaves no trace";

/// What the whole file says about the books of one channel.
#[derive(Debug, Default)]
struct BookHints {
    depth_of_ack: BTreeMap<String, u32>,
    longest_side: usize,
    precision_of_snapshot: BTreeMap<String, Precision>,
}

impl BookHints {
    fn ack(&mut self, symbol: &str, depth: u32) {
        self.depth_of_ack.insert(symbol.to_owned(), depth);
    }

    fn image<'a>(
        &mut self,
        symbol: &str,
        side_len: usize,
        levels: impl Iterator<Item = (Num<'a>, Num<'a>)>,
    ) {
        self.longest_side = self.longest_side.max(side_len);
        if self.precision_of_snapshot.contains_key(symbol) {
            return;
        }
        let start = Precision { price: 0, qty: 0 };
        let digits = levels.fold(start, |most, (price, qty)| Precision {
            price: most.price.max(price.fraction_digits()),
            qty: most.qty.max(qty.fraction_digits()),
        });
        self.precision_of_snapshot.insert(symbol.to_owned(), digits);
    }

    fn depth(&self, symbol: &str, depth_for: impl Fn(usize) -> Option<u32>) -> u32 {
        let depth = self.depth_of_ack.get(symbol).copied().or(depth_for(self.longest_side));
        // An image longer than any depth of the venue is kept whole.
        depth.unwrap_or(u32::try_from(self.longest_side).unwrap_or(u32::MAX))
    }
}

/// What the whole file says about its books.
#[derive(Debug, Default)]
pub(super) struct Hints {
    book: BookHints,
    level3: BookHints,
    precision_of_instrument: BTreeMap<String, Precision>,
}

impl Hints {
    fn read(bytes: &[u8], cut: Option<&Cut>) -> Self {
        let mut hints = Self::default();
        for line in lines(bytes, cut).filter_map(Result::ok) {
            if let Ok(frame) = decode(line.frame) {
                hints.note(&frame);
            }
        }
        hints
    }

    fn note(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Response(response) => {
                let Ok(Some(ack)) = response.subscription() else { return };
                if let (Some(symbol), Some(depth)) = (&ack.symbol, ack.depth) {
                    match ack.channel.as_str() {
                        "book" => self.book.ack(symbol, depth),
                        "level3" => self.level3.ack(symbol, depth),
                        _ => {}
                    }
                }
            }
            Frame::Book(message) if message.is_snapshot() => {
                for row in &message.rows {
                    let levels = row.bids.iter().chain(&row.asks);
                    let longest = row.bids.len().max(row.asks.len());
                    let pairs = levels.map(|level| (level.price, level.qty));
                    self.book.image(&row.symbol, longest, pairs);
                }
            }
            Frame::Level3(message) if message.is_snapshot() => {
                for row in &message.rows {
                    let levels = |orders: &[crate::kraken::level3::OrderRow<'_>]| {
                        let mut prices: Vec<_> =
                            orders.iter().map(|order| order.limit_price.as_str()).collect();
                        prices.sort_unstable();
                        prices.dedup();
                        prices.len()
                    };
                    let longest = levels(&row.bids).max(levels(&row.asks));
                    let orders = row.bids.iter().chain(&row.asks);
                    let pairs = orders.map(|order| (order.limit_price, order.order_qty));
                    self.level3.image(&row.symbol, longest, pairs);
                }
            }
            Frame::Instrument(message) => {
                for pair in message.rows.pairs.iter().flatten() {
                    let precision =
                        Precision { price: pair.price_precision, qty: pair.qty_precision };
                    self.precision_of_instrument
                        .entry(pair.symbol.to_string())
                        .or_insert(precision);
                }
            }
            Frame::Book(_)
            | Frame::Level3(_)
            | Frame::Heartbeat
            | Frame::Status(_)
            | Frame::Ticker(_)
            | Frame::Trade(_)
            | Frame::Ohlc(_)
            | Frame::Executions(_)
            | Frame::Balances(_)
            | Frame::Request { .. }
            | Frame::Unknown { .. } => {}
        }
    }

    fn precision(&self, hints: &BookHints, symbol: &str) -> Option<Precision> {
        let of_instrument = self.precision_of_instrument.get(symbol);
        of_instrument.or_else(|| hints.precision_of_snapshot.get(symbol)).copied()
    }

    fn book(&self, symbol: &str) -> Option<Book> {
        let precision = self.precision(&self.book, symbol)?;
        Some(Book::new(self.book.depth(symbol, depth_for), precision))
    }

    fn level3(&self, symbol: &str) -> Option<Level3Book> {
        let precision = self.precision(&self.level3, symbol)?;
        let depth_for = |levels| LEVEL3_DEPTHS.into_iter().find(|depth| *depth as usize >= levels);
        Some(Level3Book::new(self.level3.depth(symbol, depth_for), precision))
    }
}

/// The check of this protocol.
#[derive(Debug)]
pub(super) struct SpotCheck {
    hints: Hints,
    /// `None` after a message that does not fit: nothing can be verified until the next image.
    books: BTreeMap<String, Option<Book>>,
    level3: BTreeMap<String, Option<Level3Book>>,
    trades: Trades,
}

impl SpotCheck {
    pub(super) fn new(bytes: &[u8], cut: Option<&Cut>) -> Self {
        Self {
            hints: Hints::read(bytes, cut),
            books: BTreeMap::new(),
            level3: BTreeMap::new(),
            trades: Trades::default(),
        }
    }

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
        match rest_body(&row.path, row.body) {
            None => tally.unknown(),
            Some(Ok(())) => tally.decoded(),
            Some(Err(error)) => row.undecodable(tally, line, error),
        }
    }

    fn frame(&mut self, tally: &mut Tally, line: &Line<'_>, frame: &Frame<'_>) {
        match frame {
            Frame::Trade(message) => {
                for row in &message.rows {
                    tally.symbol(&row.symbol);
                    let is_image = message.is_snapshot();
                    self.trades.print(tally, line, &row.symbol, row.trade_id, is_image);
                }
            }
            Frame::Ticker(message) => message.rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Frame::Ohlc(message) => message.rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Frame::Book(message) => {
                tally.note(OUTSIDE_TOP);
                for row in &message.rows {
                    tally.symbol(&row.symbol);
                    self.book_row(tally, line, message.is_snapshot(), row);
                }
            }
            Frame::Level3(message) => {
                tally.note(OUTSIDE_TOP);
                for row in &message.rows {
                    tally.symbol(&row.symbol);
                    self.level3_row(tally, line, message.is_snapshot(), row);
                }
            }
            Frame::Heartbeat
            | Frame::Status(_)
            | Frame::Instrument(_)
            | Frame::Executions(_)
            | Frame::Balances(_)
            | Frame::Response(_)
            | Frame::Request { .. }
            | Frame::Unknown { .. } => {}
        }
    }

    fn book_row(
        &mut self,
        tally: &mut Tally,
        line: &Line<'_>,
        is_snapshot: bool,
        row: &BookRow<'_>,
    ) {
        if is_snapshot {
            let book = self.hints.book(&row.symbol);
            self.books.insert(row.symbol.to_string(), book);
        }
        // A change before the first image, or after unusable numbers, proves nothing either way.
        let Some(Some(book)) = self.books.get_mut(row.symbol.as_str()) else { return };
        match book.apply_update(row) {
            Ok(verdict) => judged(tally, line, &row.symbol, verdict),
            Err(error) => {
                self.books.insert(row.symbol.to_string(), None);
                tally.book_unusable(line, &row.symbol, error.to_string());
            }
        }
    }

    fn level3_row(
        &mut self,
        tally: &mut Tally,
        line: &Line<'_>,
        is_snapshot: bool,
        row: &Level3Row<'_>,
    ) {
        if is_snapshot {
            let book = self.hints.level3(&row.symbol);
            self.level3.insert(row.symbol.to_string(), book);
        }
        let Some(Some(book)) = self.level3.get_mut(row.symbol.as_str()) else { return };
        let verdict =
            if is_snapshot { book.apply_snapshot(row) } else { book.apply_update(row, |_| {}) };
        match verdict {
            Ok(verdict) => judged(tally, line, &row.symbol, verdict),
            Err(error) => {
                self.level3.insert(row.symbol.to_string(), None);
                tally.book_unusable(line, &row.symbol, error.to_string());
            }
        }
    }
}

/// Decodes a REST body; `None` for a path without a decoder.
fn rest_body(path: &str, body: &str) -> Option<Result<(), DecodeError>> {
    let method = path.split('?').next().unwrap_or_default().strip_prefix("/0/public/")?;
    Some(match method {
        "Time" => typed::<TimeResult<'_>>(body),
        "SystemStatus" => typed::<SystemStatusResult<'_>>(body),
        "Assets" => typed::<Entries<'_, AssetResult<'_>>>(body),
        "AssetPairs" => typed::<Entries<'_, AssetPairResult<'_>>>(body),
        "Ticker" => typed::<Entries<'_, TickerResult<'_>>>(body),
        "Trades" => typed::<TradesResult<'_>>(body),
        _ => return None,
    })
}

fn typed<'a, T: serde::Deserialize<'a>>(body: &'a str) -> Result<(), DecodeError> {
    match rest::decode::<T>(200, body) {
        Reply::Done { .. } | Reply::Refused { .. } => Ok(()),
        Reply::Unknown { reason: UnknownReason::Text(_), .. } => Ok(()),
        Reply::Unknown { reason, .. } => {
            Err(DecodeError { what: "REST body", reason: reason.to_string(), byte: 0 })
        }
    }
}

fn judged(tally: &mut Tally, line: &Line<'_>, symbol: &str, verdict: Verdict) {
    match verdict {
        Verdict::Verified | Verdict::Crossed => tally.checksum_ok(),
        Verdict::Mismatch { expected, computed } => {
            tally.checksum_bad(line, symbol, expected, computed);
        }
    }
}
