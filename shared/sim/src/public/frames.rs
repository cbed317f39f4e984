//! The channel messages of the public socket as text.
//!
//! Input: exchange values. Output: one JSON text per message, field order and number digits as the
//! venue writes them. Invariant: prices carry the pair's price digits, quantities its quantity
//! digits. It decides nothing about who gets a message.

use std::fmt::Write;

use super::checksum::checksum;
use super::mirror::{Changes, DepthView};
use super::tape::{Candle, Tape};
use super::text::{push_fixed, time_ns, time_us};
use crate::exchange::{Instrument, Price, Print, Qty, SystemStatus, Top};
use crate::instruments::{Asset, Catalog};

/// The heartbeat.
pub(crate) const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

/// The first message of a connection, and the one on every change of status.
pub(super) fn status(status: SystemStatus, connection_id: Option<u64>) -> String {
    let system = status.text();
    let id = connection_id.map_or_else(String::new, |id| format!(r#","connection_id":{id}"#));
    format!(
        r#"{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}","api_version":"v2"{id}}}]}}"#
    )
}

/// [`status`] with the id that a connection is told.
pub(crate) fn greeting(of: SystemStatus, connection: u64) -> String {
    // Beyond 2^53, so that a client that reads numbers as floats shows.
    status(of, Some(connection.wrapping_mul(0x9E37_79B9_7F4A_7C15) | (1 << 60)))
}

/// The whole window of a book.
pub(super) fn book_snapshot(one: &Instrument, view: &DepthView, ts_us: i64) -> String {
    book(one, "snapshot", view.bids(), view.asks(), view, ts_us)
}

/// What changed in the window of a book; the checksum is that of the window afterwards.
pub(super) fn book_update(
    one: &Instrument,
    changes: &Changes,
    view: &DepthView,
    ts_us: i64,
) -> String {
    book(one, "update", &changes.bids, &changes.asks, view, ts_us)
}

fn book(
    one: &Instrument,
    kind: &str,
    bids: &[(Price, Qty)],
    asks: &[(Price, Qty)],
    view: &DepthView,
    ts_us: i64,
) -> String {
    let mut out = String::with_capacity(180 + 48 * (bids.len() + asks.len()));
    let symbol = &one.symbol;
    push(
        &mut out,
        format_args!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":["#
        ),
    );
    levels(&mut out, one, bids);
    out.push_str(r#"],"asks":["#);
    levels(&mut out, one, asks);
    let sum = checksum(view.asks(), view.bids());
    let time = time_us(ts_us);
    push(&mut out, format_args!(r#"],"checksum":{sum},"timestamp":"{time}"}}]}}"#));
    out
}

fn levels(out: &mut String, one: &Instrument, levels: &[(Price, Qty)]) {
    for (index, (price, qty)) in levels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(r#"{"price":"#);
        push_fixed(out, price.0, one.price_decimals);
        out.push_str(r#","qty":"#);
        push_fixed(out, qty.0, one.qty_decimals);
        out.push('}');
    }
}

/// Trades, oldest first.
pub(super) fn trades<'a>(
    one: &Instrument,
    kind: &str,
    prints: impl IntoIterator<Item = &'a Print>,
) -> String {
    let mut out = String::with_capacity(256);
    push(&mut out, format_args!(r#"{{"channel":"trade","type":"{kind}","data":["#));
    for (index, print) in prints.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let (symbol, side) = (&one.symbol, print.taker.text());
        push(&mut out, format_args!(r#"{comma}{{"symbol":"{symbol}","side":"{side}","price":"#));
        push_fixed(&mut out, print.price.0, one.price_decimals);
        out.push_str(r#","qty":"#);
        push_fixed(&mut out, print.qty.0, one.qty_decimals);
        let kind = if print.market_order { "market" } else { "limit" };
        let (id, time) = (print.trade_id, time_us(print.ts_us));
        push(
            &mut out,
            format_args!(r#","ord_type":"{kind}","trade_id":{id},"timestamp":"{time}"}}"#),
        );
    }
    out.push_str("]}");
    out
}

/// One ticker; a side without orders shows zeros.
pub(super) fn ticker(one: &Instrument, kind: &str, top: &Top, tape: &Tape, ts_us: i64) -> String {
    let mut out = String::with_capacity(320);
    let symbol = &one.symbol;
    push(
        &mut out,
        format_args!(r#"{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}""#),
    );
    let day = tape.day();
    let last = tape.last().unwrap_or(day.open);
    let none = (Price(0), Qty::ZERO);
    let (bid, ask) = (top.bid.unwrap_or(none), top.ask.unwrap_or(none));
    let vwap = Price(day.vwap_units());
    for (name, units, decimals) in [
        ("bid", bid.0.0, one.price_decimals),
        ("bid_qty", bid.1.0, one.qty_decimals),
        ("ask", ask.0.0, one.price_decimals),
        ("ask_qty", ask.1.0, one.qty_decimals),
        ("last", last.0, one.price_decimals),
        ("volume", day.volume_units(), one.qty_decimals),
        ("vwap", vwap.0, one.price_decimals),
        ("low", day.low.0, one.price_decimals),
        ("high", day.high.0, one.price_decimals),
        ("change", last.0 - day.open.0, one.price_decimals),
        ("change_pct", change_percent_hundredths(day.open, last), 2),
    ] {
        push(&mut out, format_args!(r#","{name}":"#));
        push_fixed(&mut out, units, decimals);
    }
    push(&mut out, format_args!(r#","timestamp":"{}"}}]}}"#, time_us(ts_us)));
    out
}

/// Change since the day's open in hundredths of a percent.
fn change_percent_hundredths(open: Price, last: Price) -> i64 {
    let change = (i128::from(last.0) - i128::from(open.0)) * 10_000 / i128::from(open.0.max(1));
    i64::try_from(change).unwrap_or(i64::MAX)
}

/// Candles of one interval, oldest first.
pub(super) fn ohlc(
    one: &Instrument,
    kind: &str,
    interval_min: i64,
    candles: &[Candle],
    now: i64,
) -> String {
    let mut out = String::with_capacity(256 + 256 * candles.len());
    let time = time_us(now);
    push(
        &mut out,
        format_args!(r#"{{"channel":"ohlc","type":"{kind}","timestamp":"{time}","data":["#),
    );
    for (index, candle) in candles.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        push(&mut out, format_args!(r#"{comma}{{"symbol":"{}""#, one.symbol));
        for (name, price) in [
            ("open", candle.open),
            ("high", candle.high),
            ("low", candle.low),
            ("close", candle.close),
            ("vwap", Price(candle.vwap_units())),
        ] {
            push(&mut out, format_args!(r#","{name}":"#));
            push_fixed(&mut out, price.0, one.price_decimals);
        }
        out.push_str(r#","volume":"#);
        push_fixed(&mut out, candle.volume_units(), one.qty_decimals);
        let begin_us = candle.begin_us;
        let end = time_us(begin_us + interval_min * 60_000_000);
        let (trades, begin) = (candle.trades, time_ns(begin_us));
        push(
            &mut out,
            format_args!(
                r#","trades":{trades},"interval_begin":"{begin}","interval":{interval_min},"timestamp":"{end}"}}"#
            ),
        );
    }
    out.push_str("]}");
    out
}

/// All pairs and assets (`snapshot`), or one changed pair (`update`).
pub(super) fn instruments<'a>(
    catalog: &Catalog,
    kind: &str,
    pairs: impl IntoIterator<Item = &'a Instrument>,
) -> String {
    let mut out = String::with_capacity(16_384);
    push(&mut out, format_args!(r#"{{"channel":"instrument","type":"{kind}","data":{{"assets":["#));
    if kind == "snapshot" {
        let assets: Vec<String> = catalog.assets().iter().map(asset).collect();
        out.push_str(&assets.join(","));
    }
    out.push_str(r#"],"pairs":["#);
    let pairs: Vec<String> = pairs.into_iter().map(pair).collect();
    out.push_str(&pairs.join(","));
    out.push_str("]}}");
    out
}

fn asset(one: &Asset) -> String {
    format!(
        r#"{{"id":"{}","status":"enabled","precision":{},"precision_display":{},"borrowable":false,"collateral_value":1.00}}"#,
        one.id, one.decimals, one.display_decimals
    )
}

/// The increments carry no exponent here although the venue may write one.
fn pair(one: &Instrument) -> String {
    let price_increment = one.price_text(one.tick);
    format!(
        r#"{{"symbol":"{}","base":"{}","quote":"{}","status":"{}","qty_precision":{},"qty_increment":{},"price_precision":{},"price_increment":{price_increment},"cost_precision":{},"marginable":false,"has_index":true,"cost_min":{},"qty_min":{},"tick_size":{price_increment}}}"#,
        one.symbol,
        one.base,
        one.quote,
        one.status.text(),
        one.qty_decimals,
        one.qty_text(Qty(1)),
        one.price_decimals,
        one.cost_decimals,
        one.cost_min,
        one.qty_text(one.qty_min),
    )
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
