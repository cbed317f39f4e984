//! Rows of the market core as copy tuples.

use penstock_types::RunId;
use penstock_types::raw::{
    CandleRow, DerivTickerRow, L2Row, L3Row, LiquidationRow, RawBody, RawRow, StatusRow, TickerRow,
    TradeRow,
};
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Seq, Symbol, UtcMicros};

use super::GenerationRow;
use crate::tuple::TupleWriter;

/// Appends a row as one tuple.
pub fn encode_raw(out: &mut Vec<u8>, run_id: RunId, row: &RawRow) {
    match &row.body {
        RawBody::Ticker(body) => encode_ticker(out, run_id, row, body),
        RawBody::Trade(body) => encode_trade(out, run_id, row, body),
        RawBody::L2(body) => encode_l2(out, run_id, row, body),
        RawBody::L3(body) => encode_l3(out, run_id, row, body),
        RawBody::DerivTicker(body) => encode_deriv_ticker(out, run_id, row, body),
        RawBody::Liquidation(body) => encode_liquidation(out, run_id, row, body),
        RawBody::Status(body) => encode_status(out, run_id, row.seq, row.ts_local, body),
    }
}

fn encode_ticker(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &TickerRow) {
    let mut t = start(out, 16, run_id, row.seq);
    instrument(&mut t, body.venue, &body.symbol);
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    t.int2(i16::from(body.snapshot));
    t.int2(body.conn_id);
    for value in [
        body.bid,
        body.ask,
        body.last,
        body.bid_qty,
        body.ask_qty,
        body.volume_24h,
        body.vwap_24h,
        body.change_pct_24h,
    ] {
        t.opt(value, TupleWriter::numeric);
    }
    t.end();
}

fn encode_trade(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &TradeRow) {
    let mut t = start(out, 13, run_id, row.seq);
    instrument(&mut t, body.venue, &body.symbol);
    t.int8(body.trade_id);
    t.pg_char(side_letter(body.side));
    t.pg_char(body.kind);
    t.opt(body.ord_type, TupleWriter::pg_char);
    t.numeric(body.price);
    t.numeric(body.qty);
    t.timestamp(body.ts_exchange);
    t.timestamp(row.ts_local);
    t.int2(body.conn_id);
    t.end();
}

fn encode_l2(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &L2Row) {
    let mut t = start(out, 20, run_id, row.seq);
    t.text(body.symbol.as_str());
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    for value in [body.bid, body.ask, body.bid_qty, body.ask_qty] {
        t.numeric(value);
    }
    for value in [
        body.spread_bps,
        body.microprice,
        body.microprice_dev_bps,
        body.imbalance_l1,
        body.imbalance_10,
        body.depth_bid_10bps_quote,
        body.depth_ask_10bps_quote,
    ] {
        t.opt(value, TupleWriter::numeric);
    }
    t.int4(body.updates_since_prev);
    t.bool(body.checksum_ok);
    t.int2(body.book_depth);
    t.int2(body.conn_id);
    t.end();
}

fn encode_l3(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &L3Row) {
    let mut t = start(out, 23, run_id, row.seq);
    t.text(body.symbol.as_str());
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    t.numeric(body.bid);
    t.numeric(body.ask);
    t.int4(body.orders_at_bid);
    t.int4(body.orders_at_ask);
    t.numeric(body.queue_bid_quote);
    t.numeric(body.queue_ask_quote);
    t.opt(body.avg_age_bid_ms, TupleWriter::int4);
    t.opt(body.avg_age_ask_ms, TupleWriter::int4);
    for count in [body.adds, body.cancels, body.fills, body.modifies] {
        t.int4(count);
    }
    t.opt(body.refill_ratio, TupleWriter::numeric);
    t.opt(body.cancel_ratio, TupleWriter::numeric);
    t.opt(body.est_fill_bid_ms, TupleWriter::int4);
    t.opt(body.est_fill_ask_ms, TupleWriter::int4);
    t.bool(body.checksum_ok);
    t.int2(body.conn_id);
    t.end();
}

fn encode_deriv_ticker(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &DerivTickerRow) {
    let mut t = start(out, 13, run_id, row.seq);
    instrument(&mut t, body.venue, &body.symbol);
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    t.int2(body.conn_id);
    t.opt(body.mark_price, TupleWriter::numeric);
    t.opt(body.index_price, TupleWriter::numeric);
    t.opt(body.funding_rate, TupleWriter::numeric);
    t.opt(body.funding_interval_secs, TupleWriter::int4);
    t.opt(body.next_funding_at, TupleWriter::timestamp);
    t.opt(body.open_interest, TupleWriter::numeric);
    t.end();
}

fn encode_liquidation(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &LiquidationRow) {
    let mut t = start(out, 11, run_id, row.seq);
    instrument(&mut t, body.venue, &body.symbol);
    t.pg_char(side_letter(body.side));
    t.numeric(body.price);
    t.numeric(body.qty);
    t.opt(body.trade_id, TupleWriter::int8);
    t.timestamp(body.ts_exchange);
    t.timestamp(row.ts_local);
    t.int2(body.conn_id);
    t.end();
}

/// The key that every raw row begins with.
fn start(out: &mut Vec<u8>, columns: i16, run_id: RunId, seq: Seq) -> TupleWriter<'_> {
    let mut t = TupleWriter::start(out, columns);
    t.int8(run_id.0);
    t.int8(seq.0);
    t
}

/// Venue and symbol.
fn instrument(t: &mut TupleWriter<'_>, venue: Venue, symbol: &Symbol) {
    t.int2(venue.code());
    t.text(symbol.as_str());
}

const fn side_letter(side: Side) -> char {
    match side {
        Side::Buy => 'b',
        Side::Sell => 's',
    }
}

fn encode_status(out: &mut Vec<u8>, run_id: RunId, seq: Seq, ts: UtcMicros, body: &StatusRow) {
    let mut t = start(out, 14, run_id, seq);
    t.uuid(body.lineage_id.0);
    t.timestamp(ts);
    t.int2(body.venue.map_or(-1, |venue| venue.code()));
    t.text(&body.stream);
    t.opt(body.conn_id, TupleWriter::int2);
    t.text(body.kind.as_str());
    t.opt(body.symbol.as_ref(), |t, symbol| t.text(symbol.as_str()));
    t.opt(body.gap_from, TupleWriter::timestamp);
    t.opt(body.gap_to, TupleWriter::timestamp);
    t.opt(body.first_seq, |t, seq| t.int8(seq.0));
    t.opt(body.last_seq, |t, seq| t.int8(seq.0));
    t.jsonb(&body.detail);
    t.end();
}

/// Appends a closed candle as one tuple of the ingest cluster's table, which has no column for
/// completeness: the gaps of the run say the same.
pub fn encode_candle(out: &mut Vec<u8>, run_id: RunId, row: &CandleRow) {
    let mut t = TupleWriter::start(out, 11);
    t.int8(run_id.0);
    t.text(row.symbol.as_str());
    t.timestamp(row.minute);
    for value in
        [row.open, row.high, row.low, row.close, row.base_vol, row.quote_vol, row.buy_base_vol]
    {
        t.numeric(value);
    }
    t.int4(row.trades);
    t.end();
}

/// Appends a generation row as one tuple.
pub fn encode_generation(out: &mut Vec<u8>, row: &GenerationRow) {
    let mut t = TupleWriter::start(out, 14);
    t.int8(row.generation_id.0);
    t.int8(row.run_id.0);
    t.uuid(row.lineage_id.0);
    t.timestamp(row.as_of);
    for value in [
        row.row_count,
        row.changed_rows,
        row.delta_ticker_rows,
        row.delta_trade_rows,
        row.delta_l2_rows,
        row.delta_l3_rows,
    ] {
        t.int4(value);
    }
    t.int8(row.wm_seq.0);
    t.bool(row.raw_complete);
    t.bytea(&row.content_hash);
    t.int4(row.refresh_duration_ms);
    t.end();
}
