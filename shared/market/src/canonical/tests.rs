//! Events from rows: values, refusals, order, duplicates, conflation.

use penstock_types::frame::FrameEvent;
use penstock_types::raw::{
    DerivTickerRow, L2Row, LiquidationRow, RawBody, RawRow, TickerRow, TradeRow,
};
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Decimal, Seq, Symbol, UtcMicros};
use proptest::prelude::{Just, Strategy, prop_assert_eq, proptest};

use super::normalise::normalise;
use super::{EventQueue, InstrumentBinding, InstrumentKey, Reject, Roles, Source};

const T: i64 = 1_767_225_600_000_000;

fn symbol() -> Symbol {
    Symbol::new("BTCUSDT").unwrap()
}

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn binding(venue: Venue) -> InstrumentBinding {
    let roles = Roles { price_ref: true, deriv_primary: true, flow: true, ..Roles::default() };
    InstrumentBinding {
        key: InstrumentKey { token_id: 7, instrument_id: 0 },
        venue,
        symbol: symbol(),
        qty_exp: 8,
        multiplier: 1,
        roles,
    }
}

fn row(body: RawBody) -> RawRow {
    RawRow { seq: Seq(1), ts_local: UtcMicros(T), body }
}

fn trade(venue: Venue, id: i64, at: i64) -> TradeRow {
    TradeRow {
        venue,
        symbol: symbol(),
        trade_id: id,
        side: Side::Buy,
        kind: 'f',
        ord_type: None,
        price: dec("64000.5"),
        qty: dec("0.25"),
        ts_exchange: UtcMicros(T + at),
        conn_id: 1,
    }
}

fn ticker(venue: Venue, bid: &str, at: Option<i64>) -> TickerRow {
    TickerRow {
        venue,
        symbol: symbol(),
        ts_exchange: at.map(|at| UtcMicros(T + at)),
        snapshot: false,
        conn_id: 1,
        bid: Some(dec(bid)),
        ask: Some(dec("64001")),
        last: None,
        bid_qty: Some(dec("1")),
        ask_qty: Some(dec("2")),
        volume_24h: None,
        vwap_24h: None,
        change_pct_24h: None,
    }
}

fn derivative(venue: Venue, conn_id: i16, at: i64) -> DerivTickerRow {
    DerivTickerRow {
        venue,
        symbol: symbol(),
        ts_exchange: Some(UtcMicros(T + at)),
        conn_id,
        mark_price: Some(dec("64000.12345678905")),
        index_price: None,
        funding_rate: Some(dec("0.0000015")),
        funding_interval_secs: Some(3_600),
        next_funding_at: Some(UtcMicros(T + 9)),
        open_interest: Some(dec("1234.5")),
    }
}

fn only(row: &RawRow, binding: &InstrumentBinding) -> Result<(Source, FrameEvent), Reject> {
    let made = normalise(row, binding);
    assert_eq!(made.len(), 1);
    made[0].map(|made| (made.source, made.event))
}

#[test]
fn a_trade_becomes_price_and_quantity_of_the_base_asset() {
    let mut thousand = binding(Venue::BinanceUm);
    (thousand.multiplier, thousand.qty_exp) = (1_000, 2);
    let (source, event) =
        only(&row(RawBody::Trade(trade(Venue::BinanceUm, 5, 1))), &thousand).unwrap();

    assert_eq!((source, event.venue, event.venue_seq, event.flags), (Source::Trade, 2, 5, 1));
    assert_eq!((event.a, event.b), (640_005_000_000, 25_000));
    assert_eq!((event.exchange_ts, event.local_seq), (T + 1, 0));
}

#[test]
fn what_is_no_event_and_what_is_refused() {
    let own = binding(Venue::BinanceUm);
    let mut late = trade(Venue::BinanceUm, 1, 0);
    late.conn_id = 0;
    assert!(normalise(&row(RawBody::Trade(late)), &own).is_empty(), "fetched after a gap");
    let mut block = trade(Venue::BinanceUm, 1, 0);
    block.kind = 'o';
    assert!(normalise(&row(RawBody::Trade(block)), &own).is_empty(), "no trade of the market");

    let refused = |change: &dyn Fn(&mut TradeRow)| {
        let mut body = trade(Venue::BinanceUm, 1, 0);
        change(&mut body);
        only(&row(RawBody::Trade(body)), &own).unwrap_err()
    };
    assert_eq!(refused(&|t| t.ts_exchange = UtcMicros(0)), Reject::Timestamp);
    assert_eq!(refused(&|t| t.qty = Decimal::ZERO), Reject::NotPositive);
    assert_eq!(refused(&|t| t.qty = dec("0.123456789")), Reject::Scale);
    assert_eq!(refused(&|t| t.price = dec("930000000")), Reject::Scale);
    assert_eq!(refused(&|t| t.qty = dec("15625")), Reject::Notional);
    let crossed = ticker(Venue::BinanceUm, "64001", Some(1));
    assert_eq!(only(&row(RawBody::Ticker(crossed)), &own), Err(Reject::Crossed));
    let timeless = ticker(Venue::BinanceUm, "64000", None);
    assert_eq!(only(&row(RawBody::Ticker(timeless)), &own), Err(Reject::Timestamp));
}

#[test]
fn a_derivative_ticker_gives_mark_interest_and_funding() {
    let made = normalise(
        &row(RawBody::DerivTicker(derivative(Venue::KrakenFutures, 3, 0))),
        &binding(Venue::KrakenFutures),
    );
    let events: Vec<(Source, i64, i64, i64)> = made
        .iter()
        .map(|made| made.as_ref().unwrap())
        .map(|made| (made.source, made.event.a, made.event.b, made.event.c))
        .collect();

    // The mark is rounded half-even in its eleventh digit; the hourly rate is for eight hours.
    assert_eq!(
        events,
        [
            (Source::Mark, 640_001_234_567_890, 0, 0),
            (Source::OpenInterest, 123_450_000_000, 0, 0),
            (Source::Funding, 12_000_000, T + 9, 3_600),
        ]
    );
}

#[test]
fn a_polled_value_never_replaces_a_newer_one() {
    let mut queue = EventQueue::new(vec![binding(Venue::KrakenFutures)]);
    let mut taken = Vec::new();
    for (conn_id, at) in [(3, 10), (0, 10), (0, 9), (0, 11)] {
        let body = derivative(Venue::KrakenFutures, conn_id, at);
        queue.apply(&row(RawBody::DerivTicker(body)), |_, _, source| taken.push((at, source)));
    }
    assert_eq!(
        taken,
        [
            (10, Source::Mark),
            (10, Source::OpenInterest),
            (10, Source::Funding),
            (11, Source::OpenInterest),
            (11, Source::Funding),
        ]
    );
    assert_eq!(queue.counts().rejected[&Reject::NotNewer], 4);
}

#[test]
fn an_equal_poll_confirms_an_interest_that_only_the_poll_supplies() {
    let mut queue = EventQueue::new(vec![binding(Venue::BinanceUm)]);
    let mut taken = 0;
    for at in [10, 10, 9] {
        let mut body = derivative(Venue::BinanceUm, 0, at);
        (body.funding_rate, body.funding_interval_secs) = (None, None);
        queue.apply(&row(RawBody::DerivTicker(body)), |_, _, _| taken += 1);
    }
    assert_eq!(taken, 2);
}

#[test]
fn a_trade_is_taken_once_and_a_duplicate_has_no_number() {
    let mut queue = EventQueue::new(vec![binding(Venue::BinanceUm)]);
    for id in [4, 5, 4, 6] {
        queue.apply(&row(RawBody::Trade(trade(Venue::BinanceUm, id, id))), |_, _, _| {});
    }
    let numbers: Vec<(u64, u64)> =
        queue.drain().iter().map(|event| (event.venue_seq, event.local_seq)).collect();
    assert_eq!(numbers, [(4, 1), (5, 2), (6, 3)]);
    assert!(queue.drain().is_empty());
}

#[test]
fn only_the_last_book_of_a_tick_stays() {
    let mut queue = EventQueue::new(vec![binding(Venue::BinanceUm)]);
    for (bid, at) in [("64000", 2), ("63999", 1), ("63998", 3)] {
        let body = ticker(Venue::BinanceUm, bid, Some(at));
        queue.apply(&row(RawBody::Ticker(body)), |_, _, _| {});
    }
    let events = queue.drain();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].a, events[0].exchange_ts), (639_980_000_000_000, T + 3));
}

#[test]
fn spot_is_quoted_from_its_book_while_its_ticker_has_no_time() {
    let mut queue = EventQueue::new(vec![binding(Venue::KrakenSpot)]);
    let book = RawBody::L2(L2Row {
        symbol: symbol(),
        ts_exchange: Some(UtcMicros(T)),
        bid: dec("10"),
        ask: dec("11"),
        bid_qty: dec("1"),
        ask_qty: dec("1"),
        spread_bps: None,
        microprice: None,
        microprice_dev_bps: None,
        imbalance_l1: None,
        imbalance_10: None,
        depth_bid_10bps_quote: None,
        depth_ask_10bps_quote: None,
        updates_since_prev: 1,
        checksum_ok: true,
        book_depth: 10,
        conn_id: 1,
    });
    let heard = |queue: &mut EventQueue, body: &RawBody| {
        let mut n = 0;
        queue.apply(&row(body.clone()), |_, _, _| n += 1);
        n
    };
    assert_eq!(heard(&mut queue, &book), 0, "nothing is known of the ticker");
    let timeless = RawBody::Ticker(ticker(Venue::KrakenSpot, "9", None));
    assert_eq!(heard(&mut queue, &timeless), 0);
    assert_eq!(heard(&mut queue, &book), 1);
    let timed = RawBody::Ticker(ticker(Venue::KrakenSpot, "9", Some(1)));
    assert_eq!(heard(&mut queue, &timed), 1);
    assert_eq!(heard(&mut queue, &book), 0);
}

#[test]
fn a_forced_order_keeps_its_side() {
    let body = LiquidationRow {
        venue: Venue::KrakenFutures,
        symbol: symbol(),
        side: Side::Sell,
        price: dec("100"),
        qty: dec("3"),
        trade_id: Some(9),
        ts_exchange: UtcMicros(T),
        conn_id: 1,
    };
    let made = only(&row(RawBody::Liquidation(body)), &binding(Venue::KrakenFutures)).unwrap();
    assert_eq!((made.0, made.1.flags, made.1.venue_seq), (Source::Liquidation, 0, 9));
}

proptest! {
    /// What arrives in a tick gives one order, whichever way it arrived.
    #[test]
    fn order_of_arrival_does_not_matter(
        ids in Just((1..40_i64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        // Numbers are taken out of order only behind the first, so the smallest comes first.
        let sealed = |ids: &[i64]| {
            let mut queue = EventQueue::new(vec![binding(Venue::BinanceUm)]);
            for id in core::iter::once(&0).chain(ids) {
                let body = trade(Venue::BinanceUm, id + 1, id % 5);
                queue.apply(&row(RawBody::Trade(body)), |_, _, _| {});
            }
            let events = queue.drain();
            events.iter().map(|e| (e.exchange_ts, e.venue_seq)).collect::<Vec<_>>()
        };
        let mut ascending = ids.clone();
        ascending.sort_unstable();
        prop_assert_eq!(sealed(&ids), sealed(&ascending));
    }
}
