//! The messages of the futures socket as text.
//!
//! Input: contracts and what happened to them. Output: one JSON text per message, fields in the
//! venue's order. It decides nothing about who gets a message.

use super::number::{computed, exact, rounded};
use crate::derivatives::{Contract, Kind, Levels, Print};
use crate::exchange::Side;
use std::fmt::Write;

/// Milliseconds of an hour: the funding period.
const HOUR_MS: i64 = 3_600_000;
/// Trades of a snapshot.
const SNAPSHOT_PRINTS: usize = 100;

/// The first message of a connection.
pub(super) const INFO: &str = r#"{"event":"info","version":1}"#;

/// The heartbeat.
pub(super) fn heartbeat(now_us: i64) -> String {
    format!(r#"{{"feed":"heartbeat","time":{}}}"#, now_us / 1_000)
}

/// An event about a product of a feed (`subscribed`, `unsubscribed`, `subscribed_failed`).
pub(super) fn event(event: &str, feed: &str, product: &str) -> String {
    format!(r#"{{"event":"{event}","feed":"{feed}","product_ids":["{product}"]}}"#)
}

/// An event about a feed without products.
pub(super) fn event_alone(event: &str, feed: &str) -> String {
    format!(r#"{{"event":"{event}","feed":"{feed}"}}"#)
}

/// A refusal (`error`) or a remark (`alert`).
pub(super) fn message(event: &str, text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(r#"{{"event":"{event}","message":{text}}}"#)
}

/// The whole book.
pub(super) fn book_snapshot(one: &Contract) -> String {
    let symbol = &one.spec.symbol;
    let (ms, seq) = (one.ts_us / 1_000, one.update_id);
    let mut out = String::with_capacity(4_096);
    push(
        &mut out,
        format_args!(
            r#"{{"feed":"book_snapshot","product_id":"{symbol}","timestamp":{ms},"seq":{seq},"tickSize":null,"bids":["#
        ),
    );
    levels(&mut out, one, one.book.bids(), true);
    out.push_str(r#"],"asks":["#);
    levels(&mut out, one, one.book.asks(), false);
    out.push_str("]}");
    out
}

fn levels(out: &mut String, one: &Contract, levels: &Levels, descending: bool) {
    let mut first = true;
    let mut level = |(ticks, lots): (&i64, &i64)| {
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        let price = exact(*ticks, one.spec.price_decimals);
        let qty = exact(*lots, one.spec.qty_decimals);
        push(out, format_args!(r#"{comma}{{"price":{price},"qty":{qty}}}"#));
    };
    if descending {
        levels.iter().rev().for_each(&mut level);
    } else {
        levels.iter().for_each(&mut level);
    }
}

/// One changed level.
pub(super) fn book_delta(
    one: &Contract,
    seq: u64,
    ts_us: i64,
    side: Side,
    ticks: i64,
    lots: i64,
) -> String {
    let (symbol, side, ms) = (&one.spec.symbol, side.text(), ts_us / 1_000);
    let price = exact(ticks, one.spec.price_decimals);
    let qty = exact(lots, one.spec.qty_decimals);
    format!(
        r#"{{"feed":"book","product_id":"{symbol}","side":"{side}","seq":{seq},"price":{price},"qty":{qty},"timestamp":{ms}}}"#
    )
}

/// The id of a trade: a picture of its number that looks like a random one.
pub(super) fn uid(symbol: &str, id: u64) -> String {
    let name = symbol.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    // The number itself is in it, so that two trades of a product never share one.
    let low = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    uuid::Builder::from_random_bytes(((u128::from(name) << 64) | u128::from(low)).to_be_bytes())
        .into_uuid()
        .to_string()
}

/// One trade.
pub(super) fn trade(one: &Contract, print: &Print) -> String {
    let symbol = &one.spec.symbol;
    let (uid, side) = (uid(symbol, print.id), print.taker.text());
    let kind = if print.liquidation { "liquidation" } else { "fill" };
    let (seq, ms) = (print.id, print.ts_us / 1_000);
    let price = exact(print.ticks, one.spec.price_decimals);
    let qty = exact(print.lots, one.spec.qty_decimals);
    format!(
        r#"{{"feed":"trade","product_id":"{symbol}","uid":"{uid}","side":"{side}","type":"{kind}","seq":{seq},"time":{ms},"qty":{qty},"price":{price}}}"#
    )
}

/// The newest trades, newest first.
pub(super) fn trade_snapshot(one: &Contract) -> String {
    let newest = one.prints.iter().rev().take(SNAPSHOT_PRINTS);
    let trades: Vec<String> = newest.map(|print| trade(one, print)).collect();
    format!(
        r#"{{"feed":"trade_snapshot","product_id":"{}","trades":[{}]}}"#,
        one.spec.symbol,
        trades.join(",")
    )
}

/// The figures that ticker and REST share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Relative funding rate per hour.
    pub(super) relative: f64,
    /// Absolute funding rate.
    pub(super) absolute: f64,
    /// The next period's, absolute and relative.
    pub(super) prediction: (f64, f64),
    /// Traded in a day: dollars.
    pub(super) volume_quote: f64,
    /// Change in a day, percent.
    pub(super) change: f64,
    /// Over the index, percent.
    pub(super) premium: f64,
}

/// Computes them.
pub(super) fn figures(one: &Contract) -> Figures {
    let relative = rounded(one.funding_8h / 8.0, 15);
    let absolute = |relative: f64| match one.spec.kind {
        Kind::Linear => rounded(relative * one.index, 15),
        Kind::Inverse => rounded(relative / one.index, 18),
    };
    // The next period is where the mark price over the index leads.
    let next = rounded((one.mark / one.index - 1.0) / 24.0 * 0.1 + relative * 0.9, 15);
    let open = one.day[0] as f64;
    Figures {
        relative,
        absolute: absolute(relative),
        prediction: (absolute(next), next),
        volume_quote: rounded(one.day_quote, 4),
        change: rounded((one.day[3] as f64 / open - 1.0) * 100.0, 2),
        premium: rounded((one.mark / one.index - 1.0) * 100.0, 1),
    }
}

/// `XBT:USD`.
pub(super) fn pair(one: &Contract) -> String {
    format!("{}:USD", one.spec.base)
}

/// The ticker: always a whole image. Funding is absent when it is zero.
pub(super) fn ticker(one: &Contract) -> Option<String> {
    let ((bid, bid_lots), (ask, ask_lots)) = one.book.top()?;
    let (price, qty) = (one.spec.price_decimals, one.spec.qty_decimals);
    let figures = figures(one);
    let ms = one.ts_us / 1_000;
    let mut out = String::with_capacity(800);
    push(&mut out, format_args!(r#"{{"time":{ms},"product_id":"{}""#, one.spec.symbol));
    for (name, value) in [
        ("funding_rate", figures.absolute),
        ("funding_rate_prediction", figures.prediction.0),
        ("relative_funding_rate", figures.relative),
        ("relative_funding_rate_prediction", figures.prediction.1),
    ] {
        if value != 0.0 {
            push(&mut out, format_args!(r#","{name}":{}"#, computed(value)));
        }
    }
    let next_ms = (ms / HOUR_MS + 1) * HOUR_MS;
    push(&mut out, format_args!(r#","next_funding_rate_time":{next_ms},"feed":"ticker""#));
    let [open, high, low, last] = one.day.map(|ticks| exact(ticks, price));
    for (name, value) in [
        ("bid", exact(bid, price)),
        ("ask", exact(ask, price)),
        ("bid_size", exact(bid_lots, qty)),
        ("ask_size", exact(ask_lots, qty)),
        ("volume", exact(one.day_lots, qty)),
        ("dtm", "0".to_owned()),
        ("leverage", r#""50x""#.to_owned()),
        ("index", computed(rounded(one.index, 2.max(price.cast_signed())))),
        ("premium", computed(figures.premium)),
        ("last", last),
        ("change", computed(figures.change)),
        ("suspended", "false".to_owned()),
        ("tag", r#""perpetual""#.to_owned()),
        ("pair", format!(r#""{}""#, pair(one))),
        ("openInterest", exact(one.open_interest, qty)),
        ("markPrice", computed(rounded(one.mark, 12))),
        ("maturityTime", "0".to_owned()),
        ("post_only", "false".to_owned()),
        ("volumeQuote", computed(figures.volume_quote)),
        ("open", open),
        ("high", high),
        ("low", low),
    ] {
        push(&mut out, format_args!(r#","{name}":{value}"#));
    }
    out.push('}');
    Some(out)
}

/// The short ticker.
pub(super) fn ticker_lite(one: &Contract) -> Option<String> {
    let ((bid, _), (ask, _)) = one.book.top()?;
    let figures = figures(one);
    let decimals = one.spec.price_decimals;
    Some(format!(
        r#"{{"feed":"ticker_lite","product_id":"{}","bid":{},"ask":{},"change":{},"premium":{},"volume":{},"volumeQuote":{},"tag":"perpetual","pair":"{}","dtm":0,"maturityTime":0}}"#,
        one.spec.symbol,
        exact(bid, decimals),
        exact(ask, decimals),
        computed(figures.change),
        computed(figures.premium),
        exact(one.day_lots, one.spec.qty_decimals),
        computed(figures.volume_quote),
        pair(one),
    ))
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
