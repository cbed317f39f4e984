//! Frames and bodies of the derivative venues as inputs of the market core.
//!
//! Input: the text of a frame or a REST body, the connection, the instruments that are bound. Output: calls
//! of the market core. What belongs to no bound instrument is skipped; what does not decode gives its
//! reason. Numbers are read from their own text.

use super::deriv_input::Instruments;
use penstock_market::{
    DerivQuoteIn, DerivStateIn, DerivTradeIn, DerivTradeKind, ForcedOrderIn, MarketCore, Outputs,
    TradeUid,
};
use penstock_types::raw::CONN_BACKFILL;
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Decimal, UtcMicros};
use penstock_venues::kraken::Num;
use penstock_venues::kraken::vocabulary::Side as WireSide;
use penstock_venues::kraken_futures::rows::{FUNDING_PERIOD_S, TickerRow, TradeKind, TradeRow};
use penstock_venues::{binance, kraken_futures};

/// Microseconds of a full hour: funding of Kraken Futures is paid at each.
const HOUR_US: i64 = 3_600_000_000;
/// Seconds that a rate of Kraken Futures is for.
const FUTURES_FUNDING_SECS: i32 = FUNDING_PERIOD_S.cast_signed();

/// Where the inputs go, and when they arrived.
pub(super) struct Target<'a> {
    pub core: &'a mut MarketCore,
    pub out: &'a mut Outputs,
    pub at: UtcMicros,
    pub conn_id: i16,
}

fn millis(ms: i64) -> UtcMicros {
    UtcMicros(ms.saturating_mul(1_000))
}

/// A number that is there; one that cannot be read is as good as none.
fn number(num: Option<Num<'_>>) -> Option<Decimal> {
    num.and_then(|num| num.decimal().ok())
}

fn needed(num: Num<'_>, what: &str) -> Result<Decimal, String> {
    num.decimal().map_err(|e| format!("{what} {num}: {e}"))
}

const fn side(side: WireSide) -> Side {
    match side {
        WireSide::Buy => Side::Buy,
        WireSide::Sell => Side::Sell,
    }
}

/// Takes a frame of Kraken Futures.
pub(super) fn futures(
    instruments: &Instruments,
    text: &str,
    to: &mut Target<'_>,
) -> Result<(), String> {
    use kraken_futures::Frame;
    match kraken_futures::decode(text).map_err(|e| e.to_string())? {
        Frame::Ticker(row) => {
            futures_ticker(instruments, &row, to);
            Ok(())
        }
        Frame::Trade(row) => futures_trade(instruments, &row, to),
        Frame::TradeSnapshot(row) => {
            // Prints from before the subscription are none of the stream's, but may fill its gap.
            let trades = row.trades.iter().filter_map(|t| print(instruments, t, 0).ok().flatten());
            to.core.deriv_snapshot(trades.collect());
            Ok(())
        }
        Frame::Event { .. }
        | Frame::Heartbeat(_)
        | Frame::TickerLite(_)
        | Frame::Book(_)
        | Frame::BookSnapshot(_) => Ok(()),
        Frame::Unknown { word } => Err(format!("unknown message {word:?}")),
    }
}

fn futures_ticker(instruments: &Instruments, row: &TickerRow<'_>, to: &mut Target<'_>) {
    let venue = Venue::KrakenFutures;
    let Some(bound) = instruments.find(venue, &row.product_id) else { return };
    let ts_exchange = millis(row.time_ms.0);
    let quote = DerivQuoteIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        order: None,
        ts_exchange,
        bid: number(row.bid),
        ask: number(row.ask),
        last: number(row.last),
        bid_qty: number(row.bid_size),
        ask_qty: number(row.ask_size),
        volume_24h: number(row.volume),
        change_pct_24h: number(row.change),
    };
    to.core.deriv_quote(to.at, quote);
    let rate = row.relative_funding().ok().flatten();
    let state = DerivStateIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        order: None,
        ts_exchange,
        mark_price: number(row.mark_price),
        index_price: number(row.index),
        funding: rate.map(|rate| (rate, FUTURES_FUNDING_SECS)),
        next_funding_at: row.next_funding_rate_time_ms.filter(|ms| ms.0 > 0).map(|ms| millis(ms.0)),
        open_interest: number(row.open_interest),
    };
    to.core.deriv_state(to.at, state, to.out);
}

fn futures_trade(
    instruments: &Instruments,
    row: &TradeRow<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    if let Some(trade) = print(instruments, row, to.conn_id)? {
        to.core.deriv_trade(to.at, trade, to.out);
    }
    Ok(())
}

const fn futures_kind(kind: Option<TradeKind>) -> DerivTradeKind {
    match kind {
        Some(TradeKind::Fill) => DerivTradeKind::Fill,
        Some(TradeKind::Liquidation) => DerivTradeKind::Liquidation,
        Some(TradeKind::Termination | TradeKind::Assignment | TradeKind::Block) | None => {
            DerivTradeKind::Other
        }
    }
}

/// A print of a bound product.
fn print(
    instruments: &Instruments,
    row: &TradeRow<'_>,
    conn_id: i16,
) -> Result<Option<DerivTradeIn>, String> {
    let venue = Venue::KrakenFutures;
    let Some(bound) = instruments.find(venue, &row.product_id) else { return Ok(None) };
    let taker = row.side.known().ok_or_else(|| format!("trade {}: side", row.seq.0))?;
    Ok(Some(DerivTradeIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id,
        trade_id: row.seq.0,
        uid: Some(TradeUid::of(&row.uid)),
        side: side(taker),
        kind: futures_kind(row.kind.known()),
        price: needed(row.price, "price")?,
        qty: needed(row.qty, "quantity")?,
        ts_exchange: millis(row.time_ms.0),
    }))
}

/// Takes a frame of Binance USD-M.
pub(super) fn binance(
    instruments: &Instruments,
    text: &str,
    to: &mut Target<'_>,
) -> Result<(), String> {
    match binance::decode(text).map_err(|e| e.to_string())? {
        binance::Frame::Data { events, .. } => {
            events.iter().try_for_each(|event| binance_event(instruments, event, to))
        }
        binance::Frame::Accepted { .. }
        | binance::Frame::Refused { .. }
        | binance::Frame::Request { .. } => Ok(()),
        binance::Frame::Unknown => Err("unknown message".to_owned()),
    }
}

fn binance_event(
    instruments: &Instruments,
    event: &binance::Event<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    use binance::Event;
    match event {
        Event::AggTrade(row) => agg_trade(instruments, row, to),
        Event::BookTicker(row) => book_ticker(instruments, row, to),
        Event::MarkPrice(row) => mark_price(instruments, row, to),
        Event::ForceOrder(row) => force_order(instruments, row, to),
        Event::Trade(_) | Event::Depth(_) | Event::Kline(_) | Event::ContractInfo(_) => Ok(()),
        Event::Unknown { word } => Err(format!("unknown event {word:?}")),
    }
}

fn agg_trade(
    instruments: &Instruments,
    row: &binance::rows::AggTradeRow<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    let venue = Venue::BinanceUm;
    let Some(bound) = instruments.find(venue, &row.symbol) else { return Ok(()) };
    let trade = DerivTradeIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        trade_id: i64::try_from(row.agg_id).map_err(|e| format!("aggregate id: {e}"))?,
        uid: None,
        side: side(row.taker_side()),
        kind: DerivTradeKind::Fill,
        price: needed(row.price, "price")?,
        qty: needed(row.qty, "quantity")?,
        ts_exchange: millis(row.time_ms),
    };
    to.core.deriv_trade(to.at, trade, to.out);
    Ok(())
}

fn book_ticker(
    instruments: &Instruments,
    row: &binance::rows::BookTickerRow<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    let venue = Venue::BinanceUm;
    let Some(bound) = instruments.find(venue, &row.symbol) else { return Ok(()) };
    let quote = DerivQuoteIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        order: Some(row.update_id),
        ts_exchange: millis(row.time_ms),
        bid: Some(needed(row.bid, "bid")?),
        ask: Some(needed(row.ask, "ask")?),
        last: None,
        bid_qty: Some(needed(row.bid_qty, "bid quantity")?),
        ask_qty: Some(needed(row.ask_qty, "ask quantity")?),
        volume_24h: None,
        change_pct_24h: None,
    };
    to.core.deriv_quote(to.at, quote);
    Ok(())
}

fn mark_price(
    instruments: &Instruments,
    row: &binance::rows::MarkPriceRow<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    let venue = Venue::BinanceUm;
    let Some(bound) = instruments.find(venue, &row.symbol) else { return Ok(()) };
    let rate = row.funding_rate.and_then(|rate| number(rate.0));
    let state = DerivStateIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        // Sent once per second and symbol, so its time tells doubles of overlapping connections.
        order: Some(row.event_time_ms),
        ts_exchange: millis(row.event_time_ms),
        mark_price: Some(needed(row.mark, "mark price")?),
        index_price: number(row.index),
        funding: rate.map(|rate| (rate, bound.funding_secs)),
        next_funding_at: row.next_funding_time_ms.filter(|ms| *ms > 0).map(millis),
        open_interest: None,
    };
    to.core.deriv_state(to.at, state, to.out);
    Ok(())
}

fn force_order(
    instruments: &Instruments,
    row: &binance::rows::ForceOrderRow<'_>,
    to: &mut Target<'_>,
) -> Result<(), String> {
    let venue = Venue::BinanceUm;
    let order = &row.order;
    let Some(bound) = instruments.find(venue, &order.symbol) else { return Ok(()) };
    let forced = order.side.known().ok_or("forced order without a side")?;
    let order = ForcedOrderIn {
        venue,
        symbol: bound.symbol.clone(),
        conn_id: to.conn_id,
        side: side(forced.0),
        price: needed(order.avg_price, "average price")?,
        qty: needed(order.filled_qty, "filled quantity")?,
        ts_exchange: millis(order.time_ms),
    };
    to.core.forced_order(to.at, order, to.out);
    Ok(())
}

/// Takes a polled body of Kraken Futures.
pub(super) fn futures_body(
    instruments: &Instruments,
    (path, text): (&str, &str),
    to: &mut Target<'_>,
) -> Result<(), String> {
    use kraken_futures::rest::Body;
    let venue = Venue::KrakenFutures;
    let rows = match kraken_futures::rest::decode(path, text).map_err(|e| e.to_string())? {
        Body::Tickers(rows) => rows,
        Body::Error { text } => return Err(format!("refused: {text:?}")),
        Body::Instruments(_)
        | Body::Statuses(_)
        | Body::OrderBook(_)
        | Body::History(_)
        | Body::FundingRates(_)
        | Body::Unknown => return Ok(()),
    };
    let time = kraken_futures::rest::server_time(text).ok_or("no serverTime")?.utc();
    let next_hour = UtcMicros((time.0.div_euclid(HOUR_US) + 1) * HOUR_US);
    for row in &rows {
        let Some(bound) = instruments.find(venue, &row.symbol) else { continue };
        let rate = row.relative_funding().ok().flatten();
        let state = DerivStateIn {
            venue,
            symbol: bound.symbol.clone(),
            conn_id: CONN_BACKFILL,
            order: None,
            ts_exchange: time,
            mark_price: number(row.mark_price),
            index_price: number(row.index_price),
            funding: rate.map(|rate| (rate, FUTURES_FUNDING_SECS)),
            next_funding_at: rate.map(|_| next_hour),
            open_interest: number(row.open_interest),
        };
        to.core.deriv_state(to.at, state, to.out);
    }
    Ok(())
}

/// Takes a page of trades that were asked for after the gap that began with a number; the core judges
/// their numbers when the last page is there. A row without number, quantity or side counts nowhere.
pub(super) fn futures_trades(
    instruments: &Instruments,
    (symbol, first_id, text): (&str, i64, &str),
    to: &mut Target<'_>,
) -> Result<(), String> {
    use kraken_futures::rest::Body;
    let venue = Venue::KrakenFutures;
    let Some(bound) = instruments.find(venue, symbol) else { return Ok(()) };
    let path = "/derivatives/api/v3/history";
    let body = kraken_futures::rest::decode(path, text).map_err(|e| e.to_string())?;
    let Body::History(rows) = body else {
        return Err(format!("no trades: {text:.200}"));
    };
    let trade = |row: &kraken_futures::rest::HistoryTrade<'_>| {
        Some(DerivTradeIn {
            venue,
            symbol: bound.symbol.clone(),
            conn_id: CONN_BACKFILL,
            trade_id: row.trade_id?.0,
            uid: row.uid.as_ref().map(|uid| TradeUid::of(uid)),
            side: side(row.side.as_ref()?.known()?),
            kind: futures_kind(row.kind.as_ref().and_then(|kind| kind.known())),
            price: number(Some(row.price))?,
            qty: number(row.size)?,
            ts_exchange: row.time.utc(),
        })
    };
    let trades = rows.iter().filter_map(trade).collect();
    to.core.deriv_history(venue, &bound.symbol, first_id, trades);
    Ok(())
}

/// Takes trades that were asked for after a gap; the core takes each missing number once.
pub(super) fn binance_trades(
    instruments: &Instruments,
    (symbol, text): (&str, &str),
    to: &mut Target<'_>,
) -> Result<(), String> {
    let venue = Venue::BinanceUm;
    let Some(bound) = instruments.find(venue, symbol) else { return Ok(()) };
    let body = binance::rest::decode("/fapi/v1/aggTrades", text).map_err(|e| e.to_string())?;
    let binance::rest::Body::AggTrades(rows) = body else {
        return Err(format!("no trades: {text:.200}"));
    };
    for row in &rows {
        let trade = DerivTradeIn {
            venue,
            symbol: bound.symbol.clone(),
            conn_id: CONN_BACKFILL,
            trade_id: i64::try_from(row.agg_id).map_err(|e| format!("aggregate id: {e}"))?,
            uid: None,
            side: if row.buyer_is_maker { Side::Sell } else { Side::Buy },
            kind: DerivTradeKind::Fill,
            price: needed(row.price, "price")?,
            qty: needed(row.qty, "quantity")?,
            ts_exchange: millis(row.time_ms),
        };
        to.core.deriv_backfill(to.at, &trade, to.out);
    }
    Ok(())
}

/// Takes a polled body of Binance USD-M.
pub(super) fn binance_body(
    instruments: &Instruments,
    (path, text): (&str, &str),
    to: &mut Target<'_>,
) -> Result<(), String> {
    use binance::rest::Body;
    let venue = Venue::BinanceUm;
    match binance::rest::decode(path, text).map_err(|e| e.to_string())? {
        Body::PremiumIndex(rows) => {
            for row in &rows {
                let Some(bound) = instruments.find(venue, &row.symbol) else { continue };
                let rate = row.last_funding_rate.and_then(|rate| number(rate.0));
                let state = DerivStateIn {
                    venue,
                    symbol: bound.symbol.clone(),
                    conn_id: CONN_BACKFILL,
                    order: None,
                    ts_exchange: millis(row.time_ms),
                    mark_price: number(Some(row.mark_price)),
                    index_price: number(row.index_price),
                    funding: rate.map(|rate| (rate, bound.funding_secs)),
                    next_funding_at: row.next_funding_time_ms.filter(|ms| *ms > 0).map(millis),
                    open_interest: None,
                };
                to.core.deriv_state(to.at, state, to.out);
            }
            Ok(())
        }
        Body::OpenInterest(row) => {
            let Some(bound) = instruments.find(venue, &row.symbol) else { return Ok(()) };
            let state = DerivStateIn {
                venue,
                symbol: bound.symbol.clone(),
                conn_id: CONN_BACKFILL,
                order: None,
                ts_exchange: millis(row.time_ms),
                mark_price: None,
                index_price: None,
                funding: None,
                next_funding_at: None,
                open_interest: Some(needed(row.open_interest, "open interest")?),
            };
            to.core.deriv_state(to.at, state, to.out);
            Ok(())
        }
        Body::FundingInfo(rows) => {
            for row in &rows {
                let Some(bound) = instruments.find(venue, &row.symbol) else { continue };
                let (venue_h, own_h) = (i64::from(row.interval_hours), bound.funding_secs / 3_600);
                if venue_h != i64::from(own_h) {
                    // The binding decides, because replays and both services read the same one.
                    tracing::warn!(
                        symbol = bound.symbol.as_str(),
                        venue_h,
                        own_h,
                        "funding_interval_h of the binding is not the venue's; next: correct it",
                    );
                }
            }
            Ok(())
        }
        Body::Error(error) => Err(format!("refused: {error:?}")),
        // No other path is asked for.
        _ => Ok(()),
    }
}
