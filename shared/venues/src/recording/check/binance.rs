//! Binance USD-M: the chains of book changes, the numbers of prints, and every number of every book.
//!
//! Single prints are not checked for gaps: their numbers are spent without a print now and then. A book
//! is kept where the recording holds the image of REST that it needs.

use std::collections::BTreeMap;

use super::report::{FindingKind, Tally};
use super::rest::RestLine;
use super::trades::Trades;
use crate::binance::book::Book;
use crate::binance::rest::{Body, decode as decode_rest};
use crate::binance::rows::DepthRow;
use crate::binance::stream::StreamKind;
use crate::binance::{Event, Frame, decode};
use crate::recording::Line;
use crate::recording::rest_row::query_value;
use crate::sequence::{Chain, Link};
use crate::wire::Num;

/// Said of every recording with books of this venue.
const LAST_CHANGES: &str = "books: a lost change shows at the symbol's next one; one after the last, or before the first, leaves no trace";
/// Said of every recording with best prices.
const QUOTES: &str =
    "bookTicker: its numbers do not follow each other, so a lost quote leaves no trace";

/// The check of this protocol.
#[derive(Debug, Default)]
pub(super) struct BinanceCheck {
    /// By stream, or by symbol where the recording has no envelopes.
    chains: BTreeMap<String, Chain>,
    books: BTreeMap<String, Book>,
    trades: Trades,
}

impl BinanceCheck {
    pub(super) fn line(&mut self, tally: &mut Tally, line: &Line<'_>) {
        match decode(line.frame) {
            Ok(Frame::Unknown) => tally.unknown(),
            Ok(Frame::Data { events, .. })
                if events.iter().any(|event| matches!(event, Event::Unknown { .. })) =>
            {
                tally.unknown();
            }
            Ok(frame) => {
                tally.decoded();
                self.frame(tally, line, &frame);
            }
            Err(error) => tally.undecodable(line, &error),
        }
    }

    pub(super) fn rest_line(&mut self, tally: &mut Tally, line: &Line<'_>, row: &RestLine<'_>) {
        match decode_rest(&row.path, row.body) {
            Ok(Body::Unknown) => tally.unknown(),
            Ok(body) => {
                tally.decoded();
                self.rest(tally, line, &row.path, &body);
            }
            Err(error) => row.undecodable(tally, line, error),
        }
    }

    fn frame(&mut self, tally: &mut Tally, line: &Line<'_>, frame: &Frame<'_>) {
        let Frame::Data { stream, events } = frame else { return };
        for event in events {
            match event {
                Event::AggTrade(row) => {
                    tally.symbol(&row.symbol);
                    self.trades.print(tally, line, &row.symbol, row.agg_id, false);
                }
                Event::Trade(row) => {
                    tally.symbol(&row.symbol);
                    tally.trade();
                }
                Event::BookTicker(row) => {
                    tally.symbol(&row.symbol);
                    tally.note(QUOTES);
                }
                Event::Depth(row) => self.depth(tally, line, stream.as_deref(), row),
                Event::MarkPrice(row) => tally.symbol(&row.symbol),
                Event::ForceOrder(row) => tally.symbol(&row.order.symbol),
                Event::Kline(row) => tally.symbol(&row.symbol),
                Event::ContractInfo(row) => tally.symbol(&row.symbol),
                Event::Unknown { .. } => {}
            }
        }
    }

    fn depth(
        &mut self,
        tally: &mut Tally,
        line: &Line<'_>,
        stream: Option<&str>,
        row: &DepthRow<'_>,
    ) {
        tally.symbol(&row.symbol);
        // An image of the best levels replaces the one before it; nothing is lost with one.
        if stream.and_then(StreamKind::of) == Some(StreamKind::PartialDepth) {
            return;
        }
        tally.note(LAST_CHANGES);
        let key = stream.unwrap_or(&row.symbol);
        if !self.chains.contains_key(key) {
            self.chains.insert(key.to_owned(), Chain::default());
        }
        let Some(chain) = self.chains.get_mut(key) else { return };
        match chain.see(row.previous_id, row.final_id) {
            Link::First | Link::Linked => {}
            Link::Broken { expected } => {
                tally.gap(line, FindingKind::BookGap, &row.symbol, expected, row.previous_id);
            }
            Link::Duplicate => {
                let expected = None::<i64>;
                let got = row.final_id;
                tally.duplicate(line, FindingKind::BookDuplicate, &row.symbol, expected, got);
            }
        }
        let book = self.books.entry(row.symbol.to_string()).or_default();
        if let Err(error) = book.change(row) {
            tally.book_unusable(line, &row.symbol, error.to_string());
        }
    }

    fn rest(&mut self, tally: &mut Tally, line: &Line<'_>, path: &str, body: &Body<'_>) {
        match body {
            Body::Depth(image) => {
                // The body of this market does not repeat its symbol; the query has it.
                let Some(symbol) = query_value(path, "symbol").or(image.symbol.as_deref()) else {
                    return;
                };
                let symbol = symbol.to_ascii_uppercase();
                tally.symbol(&symbol);
                self.image(tally, line, &symbol, image.last_update_id, &image.bids, &image.asks);
            }
            Body::ExchangeInfo(info) => {
                info.symbols.iter().for_each(|row| tally.symbol(&row.symbol));
            }
            Body::OpenInterest(row) => tally.symbol(&row.symbol),
            Body::PremiumIndex(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::FundingRates(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::FundingInfo(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::Tickers24h(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::Prices(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::BookTickers(rows) => rows.iter().for_each(|row| tally.symbol(&row.symbol)),
            Body::Time(_)
            | Body::OpenInterestHist(_)
            | Body::AggTrades(_)
            | Body::Trades(_)
            | Body::Klines(_)
            | Body::Ratios(_)
            | Body::TakerRatios(_)
            | Body::Error(_)
            | Body::Unknown => {}
        }
    }

    fn image(
        &mut self,
        tally: &mut Tally,
        line: &Line<'_>,
        symbol: &str,
        last_id: i64,
        bids: &[(Num<'_>, Num<'_>)],
        asks: &[(Num<'_>, Num<'_>)],
    ) {
        let book = self.books.entry(symbol.to_owned()).or_default();
        if let Err(error) = book.image(last_id, bids, asks) {
            tally.book_unusable(line, symbol, error.to_string());
        }
    }
}
