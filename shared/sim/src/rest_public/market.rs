//! REST methods about the market: ticker, candles, book, trades.
//!
//! Input: the hub's books and tapes. Output: results with the venue's row layouts. Invariants:
//! prices carry at least five digits as the venue's do; `last` of a page is where the next one
//! begins, so that paging neither repeats nor skips a trade. It changes nothing.

use serde_json::{Value, json};

use super::{Answer, INVALID, Params, UNKNOWN_PAIR, number, pair, pairs};
use crate::exchange::{Instrument, Price, Print, Qty, Side, SymbolNo};
use crate::public::{INTERVALS_MIN, PublicSide, fixed};

/// Rows of `OHLC`, whatever was asked for.
const CANDLES_LIMIT: usize = 720;
/// Rows of `Trades`.
const TRADES_LIMIT: i64 = 1_000;

fn instrument(side: &PublicSide, symbol: SymbolNo) -> &Instrument {
    &side.catalog.listings()[symbol.0].instrument
}

/// Five digits at least, more where the pair has more.
fn price_text(one: &Instrument, price: Price) -> String {
    let missing = 5_u32.saturating_sub(one.price_decimals);
    fixed(price.0.saturating_mul(10_i64.pow(missing)), one.price_decimals + missing)
}

fn qty_text(one: &Instrument, units: i64) -> String {
    fixed(units, one.qty_decimals)
}

pub(super) fn ticker(side: &PublicSide, params: &Params) -> Answer {
    let wanted = pairs(side, params)?;
    let hub = side.hub();
    let mut out = serde_json::Map::new();
    for symbol in wanted {
        let one = instrument(side, symbol);
        let feed = hub.feed(symbol).ok_or(UNKNOWN_PAIR)?;
        let top = feed.mirror.top();
        let side_row = |best: Option<(Price, Qty)>| {
            let (price, qty) = best.unwrap_or((feed.last, Qty::ZERO));
            let whole = qty.0 / 10_i64.pow(one.qty_decimals.min(18));
            json!([price_text(one, price), whole.to_string(), qty_text(one, qty.0)])
        };
        let day = feed.tape.day();
        let last_qty = feed.tape.prints().back().map_or(0, |print| print.qty.0);
        let both = |text: String| json!([text.clone(), text]);
        let row = json!({
            "a": side_row(top.ask),
            "b": side_row(top.bid),
            "c": [price_text(one, feed.last), qty_text(one, last_qty)],
            "v": both(qty_text(one, day.volume_units())),
            "p": both(price_text(one, Price(day.vwap_units()))),
            "t": [day.trades, day.trades],
            "l": both(price_text(one, day.low)),
            "h": both(price_text(one, day.high)),
            "o": price_text(one, day.open),
        });
        out.insert(one.pair_id.clone(), row);
    }
    Ok(Value::Object(out))
}

pub(super) fn ohlc(side: &PublicSide, params: &Params) -> Answer {
    let symbol = pair(side, params)?;
    let interval = number(params, "interval", 1)?;
    let since = number(params, "since", 0)?;
    if !INTERVALS_MIN.contains(&interval) {
        return Err(INVALID);
    }
    let one = instrument(side, symbol);
    let hub = side.hub();
    let feed = hub.feed(symbol).ok_or(UNKNOWN_PAIR)?;
    let candles = feed.tape.candles(interval, CANDLES_LIMIT);
    let second = |candle: &crate::public::Candle| candle.begin_us / 1_000_000;
    let rows: Vec<Value> = candles
        .iter()
        .filter(|candle| second(candle) > since)
        .map(|candle| {
            json!([
                second(candle),
                price_text(one, candle.open),
                price_text(one, candle.high),
                price_text(one, candle.low),
                price_text(one, candle.close),
                price_text(one, Price(candle.vwap_units())),
                qty_text(one, candle.volume_units()),
                candle.trades,
            ])
        })
        .collect();
    // The newest row is not final: `last` names the one before it.
    let last = candles.iter().rev().nth(1).map_or(since, second);
    Ok(json!({ one.pair_id.clone(): rows, "last": last }))
}

pub(super) fn depth(side: &PublicSide, params: &Params) -> Answer {
    let symbol = pair(side, params)?;
    let count = number(params, "count", 100)?;
    if !(1..=500).contains(&count) {
        return Err(INVALID);
    }
    let one = instrument(side, symbol);
    let hub = side.hub();
    let feed = hub.feed(symbol).ok_or(UNKNOWN_PAIR)?;
    let second = feed.ts_us / 1_000_000;
    let rows = |of: Side| -> Vec<Value> {
        let mut levels = Vec::new();
        feed.mirror.levels(of, usize::try_from(count).unwrap_or_default(), &mut levels);
        let row = |(price, qty): (Price, Qty)| {
            json!([price_text(one, price), qty_text(one, qty.0), second])
        };
        levels.into_iter().map(row).collect()
    };
    let book = json!({ "asks": rows(Side::Sell), "bids": rows(Side::Buy) });
    Ok(json!({ one.pair_id.clone(): book }))
}

pub(super) fn trades(side: &PublicSide, params: &Params) -> Answer {
    let symbol = pair(side, params)?;
    let since = params.get("since").map(|text| text.trim().parse::<i64>().map_err(|_| INVALID));
    let since = since.transpose()?;
    let count = number(params, "count", TRADES_LIMIT)?.clamp(1, TRADES_LIMIT) as usize;
    let one = instrument(side, symbol);
    let hub = side.hub();
    let feed = hub.feed(symbol).ok_or(UNKNOWN_PAIR)?;
    let page: Vec<&Print> = match since {
        Some(since) => {
            feed.tape.prints().iter().filter(|print| mark_ns(print) > since).take(count).collect()
        }
        None => feed.tape.newest(count).collect(),
    };
    let last = page.last().map_or(since.unwrap_or_default(), |print| mark_ns(print));
    let rows: Vec<Value> = page.into_iter().map(|print| trade_row(one, print)).collect();
    Ok(json!({ one.pair_id.clone(): rows, "last": last.to_string() }))
}

/// Nanosecond mark of a trade. Prints of one sweep share their microsecond, so the number of the
/// trade tells them apart; it grows within a sweep, and a sweep is shorter than a thousand prints.
fn mark_ns(print: &Print) -> i64 {
    let within = i64::try_from(print.trade_id % 1_000).unwrap_or_default();
    print.ts_us.saturating_mul(1_000).saturating_add(within)
}

fn trade_row(one: &Instrument, print: &Print) -> Value {
    let side = match print.taker {
        Side::Buy => "b",
        Side::Sell => "s",
    };
    let kind = if print.market_order { "m" } else { "l" };
    let second = print.ts_us as f64 / 1e6;
    let (price, qty) = (price_text(one, print.price), qty_text(one, print.qty.0));
    json!([price, qty, second, side, kind, "", print.trade_id])
}
