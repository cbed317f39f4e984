//! The messages of the level 3 socket as text.
//!
//! Input: windows and events. Output: one JSON text per message, field order and number digits as
//! the venue writes them; times of orders have nine digits. It decides nothing about who gets a
//! message.

use super::checksum;
use super::window::{Changes, Event, Held, Kind, Side3, Window};
use crate::exchange::{Instrument, Price};
use crate::public::{push_fixed, time_ns};
use chrono::{DateTime, Utc};
use std::fmt::Write;

/// The whole window.
pub(super) fn snapshot(one: &Instrument, window: &Window, ts_us: i64) -> String {
    let count = |side: &Side3| side.values().map(Vec::len).sum::<usize>();
    let orders = count(&window.bids) + count(&window.asks);
    let mut out = String::with_capacity(200 + 130 * orders);
    begin(&mut out, one, "snapshot", window, ts_us);
    out.push_str(r#","bids":["#);
    let mut first = true;
    for (price, queue) in window.bids.iter().rev() {
        queue.iter().for_each(|held| order(&mut out, one, None, *price, held, &mut first));
    }
    out.push_str(r#"],"asks":["#);
    first = true;
    for (price, queue) in &window.asks {
        queue.iter().for_each(|held| order(&mut out, one, None, *price, held, &mut first));
    }
    out.push_str("]}]}");
    out
}

/// What changed; the checksum is that of the window afterwards.
pub(super) fn update(one: &Instrument, changes: &Changes, window: &Window, ts_us: i64) -> String {
    let mut out = String::with_capacity(200 + 150 * changes.len());
    begin(&mut out, one, "update", window, ts_us);
    out.push_str(r#","bids":["#);
    events(&mut out, one, &changes.bids);
    out.push_str(r#"],"asks":["#);
    events(&mut out, one, &changes.asks);
    out.push_str("]}]}");
    out
}

fn begin(out: &mut String, one: &Instrument, kind: &str, window: &Window, ts_us: i64) {
    let sum = checksum::of(&window.asks, &window.bids);
    let (symbol, time) = (&one.symbol, time_ns(ts_us));
    push(
        out,
        format_args!(
            r#"{{"channel":"level3","type":"{kind}","data":[{{"symbol":"{symbol}","checksum":{sum},"timestamp":"{time}""#
        ),
    );
}

fn events(out: &mut String, one: &Instrument, events: &[Event]) {
    let mut first = true;
    for event in events {
        let kind = match event.kind {
            Kind::Add => "add",
            Kind::Modify => "modify",
            Kind::Delete => "delete",
        };
        order(out, one, Some(kind), event.price, &event.order, &mut first);
    }
}

fn order(
    out: &mut String,
    one: &Instrument,
    kind: Option<&str>,
    price: Price,
    held: &Held,
    first: &mut bool,
) {
    if !std::mem::take(first) {
        out.push(',');
    }
    out.push('{');
    if let Some(kind) = kind {
        push(out, format_args!(r#""event":"{kind}","#));
    }
    out.push_str(r#""order_id":""#);
    match &held.account_id {
        Some(id) => out.push_str(id),
        None => push_flow_id(out, held.no.0),
    }
    out.push_str(r#"","limit_price":"#);
    push_fixed(out, price.0, one.price_decimals);
    out.push_str(r#","order_qty":"#);
    push_fixed(out, held.qty.0, one.qty_decimals);
    let placed = DateTime::<Utc>::from_timestamp_nanos(held.placed_ns);
    push(out, format_args!(r#","timestamp":"{}"}}"#, placed.format("%Y-%m-%dT%H:%M:%S%.9fZ")));
}

/// The venue's id of an order of the flow: a one-to-one picture of its number that looks like the
/// others and does not count up.
fn push_flow_id(out: &mut String, no: u64) {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    // Odd multipliers and shifts can be undone, so different numbers stay different.
    let mut mixed = no.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    out.push('O');
    for index in 1..17 {
        if index == 6 || index == 11 {
            out.push('-');
        }
        let digit = if index < 13 { mixed & 31 } else { (mixed >> (5 * (index - 13))) & 31 };
        if index < 13 {
            mixed = mixed.rotate_right(5);
        }
        out.push(char::from(ALPHABET[usize::try_from(digit).unwrap_or_default()]));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_flow_look_like_ids_and_differ() {
        let id = |no| {
            let mut out = String::new();
            push_flow_id(&mut out, no);
            out
        };
        let all: std::collections::BTreeSet<String> = (0..5_000).map(id).collect();
        assert_eq!(all.len(), 5_000);
        let groups: Vec<usize> = id(77).split('-').map(str::len).collect();
        assert_eq!(groups, [6, 5, 6]);
    }
}
