//! Order of the core: ticks sealed once, samples, conflation, duplicates, silence, delay, stall.

use super::*;
use crate::aggregator::Aggregator;
use crate::fixtures::{T0, at_ms, dec, lineage, symbol};
use crate::sample::{BookSample, sample_book};
use penstock_types::frame::{decode_frame, decode_quotes};
use penstock_types::vocab::{RawStream, Side};
use std::cell::Cell;

const A: &str = "AAA/USD";
const SCALES: Scales = Scales { price: 1, qty: 1 };

/// A book whose best can be moved.
struct OneBook(Cell<[i64; 4]>);

impl Books for OneBook {
    fn sample(&self, _: &Symbol) -> Option<BookSample> {
        let [bid, bid_qty, ask, ask_qty] = self.0.get();
        sample_book([(bid, bid_qty)].into_iter(), [(ask, ask_qty)].into_iter(), SCALES, None, 10)
    }
}

fn trade_in(ms: i64, trade_id: i64) -> TradeIn {
    TradeIn {
        symbol: symbol(A),
        conn_id: 1,
        trade_id,
        side: Side::Buy,
        ord_type: 'm',
        price: dec("100"),
        qty: dec("1"),
        ts_exchange: at_ms(ms),
    }
}

fn ticker_in(bid: &str, sent_ms: Option<i64>) -> TickerIn {
    TickerIn {
        symbol: symbol(A),
        conn_id: 1,
        is_snapshot: false,
        ts_exchange: sent_ms.map(at_ms),
        bid: Some(dec(bid)),
        ask: None,
        last: None,
        bid_qty: None,
        ask_qty: None,
        volume_24h: None,
        vwap_24h: None,
        change_pct_24h: None,
    }
}

struct Rig {
    core: MarketCore,
    books: OneBook,
    out: Outputs,
}

impl Rig {
    fn new() -> Self {
        let config = CoreConfig { l2_sample_interval_ms: 1_000, ..CoreConfig::default() };
        let recording =
            Recording { run_id: RunId(5), lineage_id: lineage(1), fencing_token: FencingToken(2) };
        let fold = Aggregator::new(RunId(5), config.fold.clone());
        let core = MarketCore::new(config, recording, fold, UtcMicros(T0).tick());
        let mut rig = Self {
            core,
            books: OneBook(Cell::new([1_000, 10, 1_002, 10])),
            out: Outputs::default(),
        };
        rig.core.track(&symbol(A), SCALES, true, at_ms(0), &mut rig.out).unwrap();
        rig.core.conn_opened(1, "market", at_ms(0), &mut rig.out);
        rig.core.conn_opened(2, "book", at_ms(0), &mut rig.out);
        rig
    }

    fn to(&mut self, ms: i64) {
        self.core.advance(at_ms(ms), &mut self.books, &mut self.out).unwrap();
    }

    fn book(&mut self, ms: i64, best: [i64; 4], sent_ms: Option<i64>) {
        self.to(ms);
        self.books.0.set(best);
        self.core.heard(2, at_ms(ms), &mut self.out);
        let update = BookUpdate {
            symbol: symbol(A),
            conn_id: 2,
            is_snapshot: sent_ms.is_none(),
            ts_exchange: sent_ms.map(at_ms),
            best,
        };
        self.core.book_updated(at_ms(ms), &update, &mut self.out);
    }

    fn trade(&mut self, ms: i64, trade_id: i64) {
        self.to(ms);
        self.core.heard(1, at_ms(ms), &mut self.out);
        let trade = trade_in(ms, trade_id);
        self.core.trade(at_ms(ms), trade, &mut self.out);
    }

    fn count(&self, stream: RawStream) -> usize {
        self.out.rows.iter().filter(|r| r.stream() == stream).count()
    }

    /// Details of the rows that close a gap.
    fn recovered(&self) -> Vec<String> {
        let detail = |r: &RawRow| match &r.body {
            RawBody::Status(row) if row.kind == StatusKind::Recovered => Some(row.detail.clone()),
            _ => None,
        };
        self.out.rows.iter().filter_map(detail).collect()
    }

    /// A trade that was fetched; true when it was taken.
    fn fetched(&mut self, ms: i64, trade_id: i64) -> bool {
        let trade = trade_in(ms, trade_id);
        self.core.backfill(at_ms(ms), &trade, &mut self.out)
    }

    fn kinds(&self) -> Vec<StatusKind> {
        let status = self.out.rows.iter().filter_map(|r| match &r.body {
            RawBody::Status(row) => Some(row.kind),
            RawBody::Ticker(_)
            | RawBody::Trade(_)
            | RawBody::L2(_)
            | RawBody::L3(_)
            | RawBody::DerivTicker(_)
            | RawBody::Liquidation(_) => None,
        });
        status.collect()
    }

    fn bids(&self) -> Vec<Vec<i64>> {
        let bids = |s: &SealedTick| {
            decode_quotes(&s.quotes).unwrap().entries.iter().map(|e| e.bid).collect()
        };
        self.out.sealed.iter().map(bids).collect()
    }
}

#[test]
fn every_tick_is_sealed_once_in_order_and_numbers_have_no_hole() {
    let mut rig = Rig::new();
    rig.book(100, [1_000, 10, 1_002, 10], None);
    for ms in [260, 1_000, 1_001, 3_333] {
        rig.trade(ms, ms);
    }
    let ticks: Vec<i64> =
        rig.out.sealed.iter().map(|s| s.tick_id.0 - UtcMicros(T0).tick().0).collect();
    assert_eq!(ticks, (0..13).collect::<Vec<_>>());
    let seqs: Vec<i64> = rig.out.rows.iter().map(|r| r.seq.0).collect();
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    let as_of: Vec<i64> = rig.out.cuts.iter().map(|c| (c.as_of.0 - T0) / 1_000).collect();
    assert_eq!(as_of, [1_000, 2_000, 3_000]);
    assert_eq!(rig.out.cuts[2].generation_id, GenerationId(2_000_000_003));
    let (header, events) = decode_frame(&rig.out.sealed[0].frame).unwrap();
    assert_eq!((header.run_id, header.fencing_token, events.len()), (RunId(5), FencingToken(2), 0));
}

#[test]
fn a_book_is_sampled_when_its_best_changed_and_else_once_per_interval() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    rig.to(250);
    assert_eq!(rig.count(RawStream::L2), 1);
    rig.book(300, [1_000, 10, 1_002, 10], Some(300));
    rig.to(1_000);
    assert_eq!(rig.count(RawStream::L2), 1, "a change below the best waits for the interval");
    rig.to(1_250);
    assert_eq!(rig.count(RawStream::L2), 2);
    rig.book(1_300, [1_001, 10, 1_002, 10], Some(1_300));
    rig.book(1_301, [1_000, 10, 1_002, 11], Some(1_301));
    rig.to(1_500);
    assert_eq!(rig.count(RawStream::L2), 3, "one sample per tick");
    match &rig.out.rows.last().unwrap().body {
        RawBody::L2(row) => assert_eq!((row.updates_since_prev, row.ask_qty), (2, dec("1.1"))),
        other => panic!("not the sample: {other:?}"),
    }
}

#[test]
fn the_last_ticker_of_a_tick_is_recorded_at_its_end() {
    let mut rig = Rig::new();
    for (ms, bid) in [(10, "1"), (20, "1.00000000000049"), (240, "3.0000000000005")] {
        rig.core.ticker(at_ms(ms), ticker_in(bid, None), &mut rig.out);
    }
    assert_eq!(rig.count(RawStream::Ticker), 0);
    rig.to(250);
    assert_eq!(rig.count(RawStream::Ticker), 1);
    match &rig.out.rows.last().unwrap().body {
        RawBody::Ticker(row) => {
            assert_eq!(row.bid, Some(dec("3")), "rounded half-even to 12 digits")
        }
        other => panic!("not the ticker: {other:?}"),
    }
    assert_eq!(rig.out.rows.last().unwrap().ts_local, at_ms(240));
}

#[test]
fn a_repeated_trade_is_dropped_and_a_jump_is_a_gap_with_its_count() {
    let mut rig = Rig::new();
    for (ms, id) in [(10, 100), (20, 101), (30, 101), (40, 100), (50, 105)] {
        rig.trade(ms, id);
    }
    assert_eq!(rig.count(RawStream::Trade), 3);
    assert!(rig.kinds().contains(&StatusKind::Gap));
    assert!(rig.recovered().is_empty(), "the row waits for what is fetched");
    assert!(!rig.core.aggregator().gaps().is_open(), "the gap ended with the first trade after it");
    let missing = rig.out.notes.iter().find_map(|note| match note {
        Note::TradesMissing { first_id, last_id, .. } => Some((*first_id, *last_id)),
        _ => None,
    });
    assert_eq!(missing, Some((102, 104)));
}

#[test]
fn fetched_trades_fill_a_gap_once_and_reach_no_window() {
    let mut rig = Rig::new();
    rig.trade(10, 101);
    rig.trade(50, 105);
    rig.to(1_000);
    let before = rig.core.aggregator().clone();
    assert!(rig.fetched(1_100, 104));
    assert!(!rig.fetched(1_110, 104), "once");
    assert!(!rig.fetched(1_120, 105), "the stream had it");
    assert!(!rig.fetched(1_130, 101), "before the gap");
    assert!(rig.fetched(1_140, 102));
    let (rows, at) = (rig.count(RawStream::Trade), at_ms(1_200));
    assert_eq!(rows, 4);
    rig.core.backfill_ended(&symbol(A), 102, at, &mut rig.out);
    assert_eq!(rig.recovered(), ["{\"backfilled\":2,\"missing\":1}"]);
    assert!(!rig.fetched(1_300, 103), "a closed gap takes nothing");
    rig.core.backfill_ended(&symbol(A), 102, at, &mut rig.out);
    assert_eq!(rig.recovered().len(), 1);

    let mut untouched = before;
    let lineage = rig.core.recording().lineage_id;
    let expected = untouched.cut(GenerationId(1), at_ms(2_000), lineage);
    let found = rig.core.aggregator().clone().cut(GenerationId(1), at_ms(2_000), lineage);
    assert_eq!(found.content_hash, expected.content_hash, "no counter, candle or window moved");
    assert!(found.wm_seq > expected.wm_seq, "but they are counted as recorded");
}

#[test]
fn a_late_trade_of_the_stream_fills_its_gap_and_one_that_nobody_fetches_is_closed_in_time() {
    let mut rig = Rig::new();
    rig.trade(10, 101);
    rig.trade(50, 105);
    rig.trade(60, 103);
    assert_eq!(rig.count(RawStream::Trade), 3);
    rig.to(299_750);
    assert!(rig.recovered().is_empty());
    rig.to(300_500);
    assert_eq!(rig.recovered(), ["{\"backfilled\":0,\"missing\":2}"]);
}

#[test]
fn silence_withdraws_the_quotes_of_a_connection_and_fresh_data_brings_them_back() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    rig.core.heard(1, at_ms(2_600), &mut rig.out);
    rig.to(1_500);
    assert!(!rig.kinds().contains(&StatusKind::Silent));
    rig.to(1_750);
    assert_eq!(rig.kinds().iter().filter(|k| **k == StatusKind::Silent).count(), 1);
    assert_eq!(rig.bids().last().unwrap(), &[0]);
    rig.to(2_000);
    rig.core.heard(2, at_ms(2_000), &mut rig.out);
    rig.to(2_250);
    assert!(!rig.kinds().contains(&StatusKind::Heard), "a heartbeat may be old");
    rig.book(2_300, [1_000, 11, 1_002, 10], Some(2_290));
    rig.to(2_500);
    assert_eq!(rig.bids().last().unwrap(), &[1_000]);
    assert!(rig.kinds().contains(&StatusKind::Heard));
}

/// F6: what a frozen network held back comes first, with a heartbeat before all data: the old quote stays
/// away until something arrives that was sent after it.
#[test]
fn f6_an_old_heartbeat_after_a_silence_brings_no_old_quote_back() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    rig.book(100, [1_000, 11, 1_002, 10], Some(90));
    rig.to(4_000);
    let withdrawn = rig.bids().len();
    rig.core.heard(2, at_ms(4_000), &mut rig.out);
    rig.to(4_250);
    let old = TickerIn { conn_id: 2, ..ticker_in("100", Some(200)) };
    rig.core.ticker(at_ms(4_260), old, &mut rig.out);
    rig.to(4_500);
    let old = TradeIn { conn_id: 2, ..trade_in(300, 1) };
    rig.core.trade(at_ms(4_510), old, &mut rig.out);
    rig.book(4_520, [1_050, 10, 1_052, 10], Some(400));
    rig.to(5_000);
    let bids = rig.bids()[withdrawn..].concat();
    assert_eq!(bids, [] as [i64; 0], "nothing is quoted");
    assert!(!rig.kinds().contains(&StatusKind::Heard));
    // Sent after the silence, and in order behind everything that was held back.
    let new = TickerIn { conn_id: 2, ..ticker_in("100", Some(5_000)) };
    rig.core.ticker(at_ms(5_010), new, &mut rig.out);
    rig.to(5_250);
    assert_eq!(rig.bids().last().unwrap(), &[1_050]);
}

/// F6: a frozen network hands over old prices one after another: each frame is news, none is current.
#[test]
fn f6_frozen_network_old_prices_heard_as_new() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    // A clock that is 40 s ahead of ours is the connection's own offset, not a delay.
    rig.book(100, [1_000, 11, 1_002, 10], Some(40_050));
    for step in 0..5 {
        rig.book(4_000 + step, [1_100 + step, 10, 1_202, 10], Some(40_100 + step));
    }
    rig.to(4_250);
    assert_eq!(rig.bids().last().unwrap(), &[] as &[i64], "withdrawn and stays withdrawn");
    let returned =
        |rig: &Rig| rig.out.notes.iter().any(|n| matches!(n, Note::QuotesReturned { conn_id: 2 }));
    assert!(!returned(&rig));
    rig.book(4_300, [1_200, 10, 1_202, 10], Some(44_240));
    assert!(returned(&rig));
    rig.to(4_500);
    assert_eq!(rig.bids().last().unwrap(), &[1_200]);
}

#[test]
fn a_late_update_withdraws_the_quotes_of_a_connection_that_is_heard() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], Some(0));
    for ms in [1_000, 2_000, 3_000] {
        rig.to(ms);
        rig.core.heard(2, at_ms(ms), &mut rig.out);
    }
    rig.book(3_100, [1_100, 10, 1_102, 10], Some(1_000));
    rig.to(3_250);
    assert_eq!(rig.bids().last().unwrap(), &[0]);
    let is_late =
        |n: &Note| matches!(n, Note::QuoteWithdrawn { reason: Withdrawal::Late, conn_id: 2, .. });
    assert!(rig.out.notes.iter().any(is_late));
    rig.core.heard(2, at_ms(3_260), &mut rig.out);
    rig.to(3_500);
    assert_eq!(rig.bids().last().unwrap(), &[] as &[i64], "a heartbeat changes nothing");
    rig.book(3_510, [1_200, 10, 1_202, 10], Some(3_500));
    rig.to(3_750);
    assert_eq!(rig.bids().last().unwrap(), &[1_200]);
}

#[test]
fn a_stall_withdraws_everything_and_asks_for_every_book() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    rig.to(250);
    let books = rig.core.stalled(at_ms(260), &mut rig.out);
    assert_eq!(books, [symbol(A)]);
    rig.core.heard(2, at_ms(270), &mut rig.out);
    rig.to(500);
    assert_eq!(rig.bids().last().unwrap(), &[0], "heard, but the book is not back");
    rig.book(510, [1_000, 10, 1_002, 10], None);
    rig.to(750);
    assert_eq!(rig.bids().last().unwrap(), &[1_000]);
}

#[test]
fn a_lost_connection_opens_a_gap_that_the_whole_stream_closes() {
    let mut rig = Rig::new();
    rig.book(10, [1_000, 10, 1_002, 10], None);
    rig.to(250);
    rig.core.conn_lost(2, "cut", at_ms(300), &mut rig.out);
    rig.to(500);
    assert_eq!(rig.bids().last().unwrap(), &[0]);
    assert!(rig.core.is_gap_open());
    assert!(rig.core.aggregator().gaps().is_open());
    rig.core.conn_opened(3, "book", at_ms(600), &mut rig.out);
    rig.core.stream_whole("book", at_ms(700), &mut rig.out);
    assert!(!rig.core.is_gap_open());
    assert!(!rig.core.aggregator().gaps().is_open());
    assert_eq!(rig.core.aggregator().gaps().longest_secs(at_ms(0), at_ms(1_000)), 0);
}

/// A successor whose clock is behind begins above the newest published tick and seals nothing twice.
#[test]
fn a_successor_with_its_clock_behind_seals_no_tick_twice() {
    let mut rig = Rig::new();
    let first = UtcMicros(T0).tick().0 + 8;
    rig.core.first_sealed = TickId(first);
    rig.trade(100, 1);
    rig.to(2_000);
    assert!(rig.out.sealed.is_empty(), "earlier windows are recorded, not sealed");
    assert!(rig.out.cuts.is_empty(), "no version of a time that others have published");
    assert_eq!(rig.count(RawStream::Trade), 1);
    rig.to(2_250);
    assert_eq!(rig.out.sealed[0].tick_id, TickId(first));
}

#[test]
fn a_domain_without_ticker_and_trades_for_two_minutes_is_told_at_its_return() {
    let mut rig = Rig::new();
    rig.trade(0, 1);
    rig.trade(120_000, 2);
    rig.trade(240_001, 3);
    let gaps = rig.out.notes.iter().filter(|n| matches!(n, Note::StreamGap { .. })).count();
    assert_eq!(gaps, 1);
}
