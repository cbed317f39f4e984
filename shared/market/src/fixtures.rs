//! Rows for tests: the shortest way to a numbered row of each kind.

use crate::core::{Level3Sample, TakerQuotes};
use penstock_types::raw::{L2Row, L3Row, RawBody, RawRow, StatusRow, TickerRow, TradeRow};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{Decimal, LineageId, Seq, Symbol, UtcMicros, Uuid};

/// 2026-07-07T23:00:00Z, a whole quarter of an hour.
pub(crate) const T0: i64 = 1_783_465_200_000_000;

pub(crate) fn at_ms(ms: i64) -> UtcMicros {
    UtcMicros(T0 + ms * 1_000)
}

pub(crate) fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

pub(crate) fn lineage(n: u128) -> LineageId {
    LineageId(Uuid::from_u128(n))
}

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A run's rows in the making.
#[derive(Default)]
pub(crate) struct Rows {
    pub list: Vec<RawRow>,
}

impl Rows {
    pub(crate) fn push(&mut self, ms: i64, body: RawBody) {
        let seq = Seq(i64::try_from(self.list.len()).unwrap() + 1);
        self.list.push(RawRow { seq, ts_local: at_ms(ms), body });
    }

    pub(crate) fn universe(&mut self, ms: i64, name: &str, kind: StatusKind) {
        let mut row = status(kind, crate::STREAM_UNIVERSE);
        row.symbol = Some(symbol(name));
        self.push(ms, RawBody::Status(row));
    }

    pub(crate) fn book(&mut self, ms: i64, name: &str, bid: &str, ask: &str) {
        self.push(ms, RawBody::L2(l2(name, bid, ask)));
    }

    pub(crate) fn trade(&mut self, ms: i64, name: &str, side: Side, price: &str, qty: &str) {
        let trade_id = i64::try_from(self.list.len()).unwrap();
        let row = TradeRow {
            venue: Venue::KrakenSpot,
            symbol: symbol(name),
            trade_id,
            side,
            kind: 'f',
            ord_type: Some('m'),
            price: dec(price),
            qty: dec(qty),
            ts_exchange: at_ms(ms),
            conn_id: 1,
        };
        self.push(ms, RawBody::Trade(row));
    }

    pub(crate) fn ticker(&mut self, ms: i64, name: &str, bid: &str, ask: &str) {
        let row = TickerRow {
            venue: Venue::KrakenSpot,
            symbol: symbol(name),
            ts_exchange: None,
            snapshot: false,
            conn_id: 1,
            bid: Some(dec(bid)),
            ask: Some(dec(ask)),
            last: Some(dec(bid)),
            bid_qty: Some(Decimal::ONE),
            ask_qty: Some(Decimal::ONE),
            volume_24h: None,
            vwap_24h: None,
            change_pct_24h: None,
        };
        self.push(ms, RawBody::Ticker(row));
    }
}

pub(crate) fn l2(name: &str, bid: &str, ask: &str) -> L2Row {
    let (bid, ask) = (dec(bid), dec(ask));
    L2Row {
        symbol: symbol(name),
        ts_exchange: None,
        bid,
        ask,
        bid_qty: Decimal::ONE,
        ask_qty: Decimal::TWO,
        spread_bps: crate::sample::spread_bps(bid, ask),
        microprice: Some(bid),
        microprice_dev_bps: Some(Decimal::ZERO),
        imbalance_l1: None,
        imbalance_10: None,
        depth_bid_10bps_quote: Some(Decimal::from(60_000)),
        depth_ask_10bps_quote: Some(Decimal::from(70_000)),
        updates_since_prev: 1,
        checksum_ok: true,
        book_depth: 25,
        conn_id: 2,
    }
}

/// A queue of 30 before a new bid and of 42 before a new ask; nothing went in the last minute.
pub(crate) fn l3(name: &str) -> L3Row {
    L3Row {
        symbol: symbol(name),
        ts_exchange: None,
        bid: dec("10"),
        ask: dec("10.5"),
        orders_at_bid: 2,
        orders_at_ask: 1,
        queue_bid_quote: dec("30"),
        queue_ask_quote: dec("42"),
        avg_age_bid_ms: Some(1_500),
        avg_age_ask_ms: Some(1_000),
        adds: 0,
        cancels: 0,
        fills: 0,
        modifies: 0,
        refill_ratio: None,
        cancel_ratio: None,
        est_fill_bid_ms: None,
        est_fill_ask_ms: None,
        checksum_ok: true,
        conn_id: 9,
    }
}

/// Figures with more digits than their columns; the queues show the takers that they were made with.
pub(crate) fn level3_sample(takers: TakerQuotes) -> Level3Sample {
    Level3Sample {
        ts_exchange: None,
        bid: dec("100"),
        ask: dec("100.2"),
        orders_at_bid: 2,
        orders_at_ask: 1,
        queue_bid_quote: takers.sell_1m,
        queue_ask_quote: takers.buy_1m,
        avg_age_bid_ms: i64::MAX,
        avg_age_ask_ms: 7,
        adds: 1,
        cancels: 2,
        fills: 3,
        modifies: 4,
        refill_ratio: Some(dec("1") / dec("3")),
        cancel_ratio: Some(dec("0.0000005")),
        est_fill_bid_ms: Some(86_400_000),
        est_fill_ask_ms: None,
    }
}

pub(crate) fn status(kind: StatusKind, stream: &str) -> StatusRow {
    StatusRow {
        lineage_id: lineage(1),
        venue: Some(Venue::KrakenSpot),
        stream: stream.to_owned(),
        conn_id: None,
        kind,
        symbol: None,
        gap_from: None,
        gap_to: None,
        first_seq: None,
        last_seq: None,
        detail: "{}".to_owned(),
    }
}
