//! The messages of the Binance streams as text.
//!
//! Input: contracts and what happened to them. Output: the JSON of `data`, fields in the venue's
//! order; numbers are strings, ids and times are not. It decides nothing about who gets a message.

use super::aggregate::{AggTrade, Finished};
use crate::derivatives::{Contract, Liquidation, Print};
use crate::exchange::Side;
use crate::public::{fixed, push_json_text};
use std::fmt::Write;

/// Milliseconds between two fundings.
const FUNDING_MS: i64 = 8 * 3_600_000;
/// Delay of the gateway on best prices, ms: the recorded median.
const QUOTE_DELAY_MS: i64 = 4;

pub(super) fn price(one: &Contract, ticks: i64) -> String {
    fixed(ticks, one.spec.price_decimals)
}

pub(super) fn qty(one: &Contract, lots: i64) -> String {
    fixed(lots, one.spec.qty_decimals)
}

/// When the next funding is, ms.
pub(super) fn next_funding_ms(ms: i64) -> i64 {
    (ms / FUNDING_MS + 1) * FUNDING_MS
}

/// A frame of the combined form.
pub(super) fn combined(stream: &str, data: &str) -> String {
    let mut out = String::with_capacity(data.len() + stream.len() + 24);
    out.push_str(r#"{"stream":"#);
    push_json_text(&mut out, stream);
    out.push_str(r#","data":"#);
    out.push_str(data);
    out.push('}');
    out
}

pub(super) fn agg_trade(one: &Contract, trade: &AggTrade, now_us: i64) -> String {
    let maker = trade.taker == Side::Sell;
    format!(
        r#"{{"e":"aggTrade","E":{},"a":{},"s":"{}","p":"{}","q":"{}","f":{},"l":{},"T":{},"m":{maker}}}"#,
        now_us / 1_000,
        trade.id,
        one.spec.symbol,
        price(one, trade.ticks),
        qty(one, trade.lots),
        trade.first,
        trade.last,
        trade.ts_us / 1_000,
    )
}

pub(super) fn trade(one: &Contract, print: &Print) -> String {
    let (ms, maker) = (print.ts_us / 1_000, print.taker == Side::Sell);
    format!(
        r#"{{"e":"trade","E":{},"T":{ms},"s":"{}","t":{},"p":"{}","q":"{}","X":"MARKET","m":{maker}}}"#,
        ms + QUOTE_DELAY_MS,
        one.spec.symbol,
        print.id,
        price(one, print.ticks),
        qty(one, print.lots),
    )
}

pub(super) fn book_ticker(one: &Contract, id: u64, ts_us: i64, top: [i64; 4]) -> String {
    let ms = ts_us / 1_000;
    let [bid, bid_lots, ask, ask_lots] = top;
    format!(
        r#"{{"e":"bookTicker","u":{id},"s":"{}","b":"{}","B":"{}","a":"{}","A":"{}","T":{ms},"E":{}}}"#,
        one.spec.symbol,
        price(one, bid),
        qty(one, bid_lots),
        price(one, ask),
        qty(one, ask_lots),
        ms + QUOTE_DELAY_MS,
    )
}

pub(super) fn mark_price(one: &Contract, ts_us: i64) -> String {
    let ms = ts_us / 1_000;
    // The venue stamps whole seconds and a few milliseconds.
    format!(
        r#"{{"e":"markPriceUpdate","E":{ms},"s":"{}","p":"{:.8}","P":"{:.8}","i":"{:.8}","r":"{:.8}","T":{}}}"#,
        one.spec.symbol,
        one.mark,
        one.index,
        one.index,
        one.funding_8h,
        next_funding_ms(ms),
    )
}

pub(super) fn force_order(one: &Contract, of: &Liquidation, now_us: i64) -> String {
    let side = match of.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let decimals = usize::try_from(one.spec.price_decimals).unwrap_or_default();
    let filled = qty(one, of.filled);
    format!(
        r#"{{"e":"forceOrder","E":{},"o":{{"s":"{}","S":"{side}","o":"LIMIT","f":"IOC","q":"{}","p":"{}","ap":"{:.decimals$}","X":"FILLED","l":"{filled}","z":"{filled}","T":{}}}}}"#,
        now_us / 1_000,
        one.spec.symbol,
        qty(one, of.lots),
        price(one, of.order_ticks),
        of.average,
        of.ts_us / 1_000,
    )
}

pub(super) fn depth(one: &Contract, diff: &Finished, now_us: i64) -> String {
    let mut out = String::with_capacity(160 + 32 * diff.changes.len());
    push(
        &mut out,
        format_args!(
            r#"{{"e":"depthUpdate","E":{},"T":{},"s":"{}","U":{},"u":{},"pu":{},"b":["#,
            now_us / 1_000,
            diff.ts_us / 1_000,
            one.spec.symbol,
            diff.first,
            diff.last,
            diff.previous
        ),
    );
    changes(&mut out, one, diff, Side::Buy);
    out.push_str(r#"],"a":["#);
    changes(&mut out, one, diff, Side::Sell);
    out.push_str("]}");
    out
}

fn changes(out: &mut String, one: &Contract, diff: &Finished, side: Side) {
    let of_side = diff.changes.iter().filter(|((of, _), _)| *of == side);
    for (place, ((_, ticks), lots)) in of_side.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        push(out, format_args!(r#"{comma}["{}","{}"]"#, price(one, *ticks), qty(one, *lots)));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
