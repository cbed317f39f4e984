//! Recorded frames of the spot socket, as far as a replay has to understand them.
//!
//! Input: one frame's text. Output: book levels and trades with their number texts. Invariants:
//! numbers are read from their text and never pass through a float; a frame of another channel is
//! [`Content::Other`]. It verifies no checksum: what was recorded is sent as it was.

use std::borrow::Cow;

use chrono::DateTime;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Body;
use crate::exchange::{Instrument, LevelChange, Print, Qty, Side};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ack {
    depth: Option<usize>,
}

#[derive(Deserialize)]
struct BookWire<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    bids: Vec<Level<'a>>,
    #[serde(borrow, default)]
    asks: Vec<Level<'a>>,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
}

/// One level as written.
#[derive(Debug, Deserialize)]
pub(super) struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

#[derive(Deserialize)]
struct TradeWire<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    #[serde(borrow)]
    ord_type: Option<Cow<'a, str>>,
    trade_id: u64,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
}

/// A book frame.
#[derive(Debug)]
pub(super) struct Book<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) bids: Vec<Level<'a>>,
    pub(super) asks: Vec<Level<'a>>,
    pub(super) snapshot: bool,
    pub(super) stamp_us: Option<i64>,
}

/// One trade of a trade frame.
#[derive(Debug)]
pub(super) struct Trade<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) stamp_us: Option<i64>,
    side: Side,
    price: &'a str,
    qty: &'a str,
    market_order: bool,
    trade_id: u64,
}

/// A symbol with one price and one quantity as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) symbol: &'a str,
    pub(super) price: &'a str,
    pub(super) qty: &'a str,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// A book.
    Book(Book<'a>),
    /// Trades.
    Trades(Vec<Trade<'a>>),
    /// The answer to a subscription.
    Ack {
        /// The depth that it repeats.
        depth: Option<usize>,
    },
    /// Anything else.
    Other,
}

/// Reads one frame.
pub(super) fn read(text: &str) -> Result<Content<'_>, String> {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| format!("not a frame: {error}"))?;
    let snapshot = envelope.kind.as_deref() == Some("snapshot");
    match (envelope.channel.as_deref(), envelope.data, envelope.result) {
        (Some("book"), Some(data), _) => book(data, snapshot),
        (Some("trade"), Some(data), _) => trade_rows(data),
        (None, _, Some(result)) => {
            let ack: Result<Ack, _> = serde_json::from_str(result.get());
            Ok(Content::Ack { depth: ack.ok().and_then(|ack| ack.depth) })
        }
        (Some(_), _, _) | (None, _, None) => Ok(Content::Other),
    }
}

fn book(data: &RawValue, snapshot: bool) -> Result<Content<'_>, String> {
    let mut rows: Vec<BookWire<'_>> =
        serde_json::from_str(data.get()).map_err(|error| format!("not a book: {error}"))?;
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(Content::Book(Book {
            symbol: row.symbol,
            bids: row.bids,
            asks: row.asks,
            snapshot,
            stamp_us: row.timestamp.as_deref().and_then(stamp_us),
        })),
        (Some(_), false) => Err("a book frame of several books cannot be replayed".to_owned()),
        (None, _) => Ok(Content::Other),
    }
}

fn trade_rows(data: &RawValue) -> Result<Content<'_>, String> {
    let rows: Vec<TradeWire<'_>> =
        serde_json::from_str(data.get()).map_err(|error| format!("not trades: {error}"))?;
    let trades = rows.into_iter().map(|row| {
        let side = match row.side.as_ref() {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => return Err(format!("side {other} is not buy or sell")),
        };
        Ok(Trade {
            stamp_us: row.timestamp.as_deref().and_then(stamp_us),
            symbol: row.symbol,
            side,
            price: row.price.get(),
            qty: row.qty.get(),
            market_order: row.ord_type.as_deref() == Some("market"),
            trade_id: row.trade_id,
        })
    });
    trades.collect::<Result<_, String>>().map(Content::Trades)
}

impl Book<'_> {
    /// The first level as written.
    pub(super) fn numbers(&self) -> Option<Numbers<'_>> {
        let level = self.bids.first().or_else(|| self.asks.first())?;
        Some(Numbers { symbol: &self.symbol, price: level.price.get(), qty: level.qty.get() })
    }

    /// The levels in scaled integers.
    pub(super) fn body(&self, one: &Instrument) -> Result<Body, String> {
        let mut levels = Vec::with_capacity(self.bids.len() + self.asks.len());
        for (side, rows) in [(Side::Buy, &self.bids), (Side::Sell, &self.asks)] {
            for row in rows {
                let (price, qty) = scaled(one, row.price.get(), row.qty.get())?;
                levels.push(LevelChange { side, price, qty });
            }
        }
        Ok(Body::Book { levels, snapshot: self.snapshot })
    }
}

impl Trade<'_> {
    /// Its numbers as written.
    pub(super) fn numbers(&self) -> Numbers<'_> {
        Numbers { symbol: &self.symbol, price: self.price, qty: self.qty }
    }
}

/// The trades in scaled integers.
pub(super) fn trades(trades: &[Trade<'_>], one: &Instrument) -> Result<Body, String> {
    let print = |trade: &Trade<'_>| {
        if trade.symbol != one.symbol {
            return Err("a trade frame of several symbols cannot be replayed".to_owned());
        }
        let (price, qty) = scaled(one, trade.price, trade.qty)?;
        Ok(Print {
            trade_id: trade.trade_id,
            taker: trade.side,
            price,
            qty,
            market_order: trade.market_order,
            ts_us: trade.stamp_us.unwrap_or_default(),
        })
    };
    trades.iter().map(print).collect::<Result<_, String>>().map(Body::Trades)
}

fn scaled(
    one: &Instrument,
    price: &str,
    qty: &str,
) -> Result<(crate::exchange::Price, Qty), String> {
    let price_units = decimal(price).and_then(|value| one.price_of(value));
    let qty_units = decimal(qty).and_then(|value| one.qty_of(value));
    match (price_units, qty_units) {
        (Some(price), Some(qty)) if price.0 > 0 && qty.0 >= 0 => Ok((price, qty)),
        (_, _) => Err(format!(
            "{price} × {qty} does not fit the digits of {} ({}, {})",
            one.symbol, one.price_decimals, one.qty_decimals
        )),
    }
}

/// A number as written, exponents included.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}

/// Digits after the point of a number as written.
pub(super) fn digits(text: &str) -> u32 {
    decimal(text).map_or(0, |value| value.scale())
}

fn stamp_us(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}
