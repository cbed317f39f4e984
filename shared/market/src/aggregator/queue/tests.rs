//! Columns of order-by-order books that were worked out by hand, their windows, and what a loss leaves.

use crate::aggregator::{Aggregator, StateCut};
use crate::config::FoldConfig;
use crate::fixtures::{Rows, at_ms, dec, l3, lineage, status, symbol};
use penstock_types::raw::{L3Row, RawBody};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Side, StatusKind};
use penstock_types::{Decimal, GenerationId, RunId};
use rstest::rstest;

const A: &str = "AAA/USD";

fn start() -> Rows {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows
}

fn sample(rows: &mut Rows, ms: i64, change: impl FnOnce(&mut L3Row)) {
    let mut row = l3(A);
    change(&mut row);
    rows.push(ms, RawBody::L3(row));
}

fn told(rows: &mut Rows, ms: i64, kind: StatusKind, stream: &str) {
    let mut row = status(kind, stream);
    row.symbol = Some(symbol(A));
    row.conn_id = Some(9);
    rows.push(ms, RawBody::Status(row));
}

fn cut(rows: &Rows, ms: i64) -> StateCut {
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    rows.list.iter().for_each(|row| aggregator.apply(row));
    aggregator.cut(GenerationId(1), at_ms(ms), lineage(1))
}

fn row(rows: &Rows, ms: i64) -> StateRow {
    cut(rows, ms).rows.remove(0)
}

/// One sample per five seconds from 5 s on, up to `last` seconds.
fn every_five(rows: &mut Rows, last: i64) {
    for second in (5..=last).step_by(5) {
        sample(rows, second * 1_000 - 1, |_| ());
    }
}

#[test]
fn without_a_sample_there_is_nothing_and_no_quality() {
    let row = row(&start(), 60_000);
    assert_eq!((row.last_l3_at, row.l3_count, row.l3_count_w), (None, 0, 0));
    assert_eq!((row.l3_queue_ahead_bid_quote, row.l3_orders_at_ask), (None, None));
    assert_eq!((row.l3_avg_age_ms, row.l3_n_qt), (None, 0));
    assert_eq!(row.l3_quality, Decimal::ZERO);
}

#[test]
fn the_newest_sample_gives_the_queue_and_five_minutes_give_the_means() {
    let mut rows = start();
    sample(&mut rows, 4_999, |row| {
        row.est_fill_bid_ms = Some(1_000);
        row.refill_ratio = Some(dec("0.5"));
        row.cancel_ratio = Some(dec("0.333333"));
    });
    sample(&mut rows, 9_999, |row| {
        row.est_fill_bid_ms = Some(2_001);
        row.est_fill_ask_ms = Some(500);
        row.refill_ratio = Some(dec("0.500001"));
        (row.avg_age_bid_ms, row.avg_age_ask_ms) = (Some(10), None);
    });
    sample(&mut rows, 14_999, |row| {
        (row.queue_bid_quote, row.queue_ask_quote) = (dec("31.5"), dec("0.25"));
        (row.orders_at_bid, row.orders_at_ask) = (3, 4);
        row.est_fill_ask_ms = Some(501);
        row.cancel_ratio = Some(dec("1"));
        (row.avg_age_bid_ms, row.avg_age_ask_ms) = (None, None);
    });
    let cut = cut(&rows, 15_000);
    assert_eq!((cut.deltas.l3, cut.wm_seq.0), (3, 4));
    let row = &cut.rows[0];
    assert_eq!(
        (row.l3_queue_ahead_bid_quote, row.l3_queue_ahead_ask_quote),
        (Some(dec("31.5")), Some(dec("0.25")))
    );
    assert_eq!((row.l3_orders_at_bid, row.l3_orders_at_ask), (Some(3), Some(4)));
    // 3001 / 2 and 1001 / 2, half-even.
    assert_eq!((row.l3_est_fill_bid_ms, row.l3_est_fill_ask_ms), (Some(1_500), Some(500)));
    // 1.000001 / 2 = 0.5000005, half-even; 1.333333 / 2 = 0.6666665, half-even.
    assert_eq!(
        (row.l3_refill_ratio, row.l3_cancel_ratio),
        (Some(dec("0.5")), Some(dec("0.666666")))
    );
    // 1500, 1000 and 10 of both sides: 836.67.
    assert_eq!(row.l3_avg_age_ms, Some(837));
    assert_eq!((row.l3_n_efit, row.l3_n_refill, row.l3_n_cancel, row.l3_n_qt), (3, 2, 2, 2));
    assert_eq!((row.last_l3_at, row.l3_count, row.l3_count_w), (Some(at_ms(14_999)), 3, 3));
    assert_eq!(row.l3_quality, Decimal::ONE, "three of three, fresh, no resync");
}

#[test]
fn a_sample_leaves_the_means_after_five_minutes_and_the_queue_never() {
    let mut rows = start();
    sample(&mut rows, 10_500, |row| row.est_fill_bid_ms = Some(7));
    let held = row(&rows, 310_000);
    assert_eq!((held.l3_est_fill_bid_ms, held.l3_n_efit, held.l3_count_w), (Some(7), 1, 1));
    let gone = row(&rows, 311_000);
    assert_eq!((gone.l3_est_fill_bid_ms, gone.l3_n_efit, gone.l3_count_w), (None, 0, 0));
    assert_eq!((gone.l3_avg_age_ms, gone.l3_n_qt), (None, 0));
    assert_eq!((gone.l3_orders_at_bid, gone.l3_count), (Some(2), 1));
    assert_eq!(gone.last_l3_at, Some(at_ms(10_500)));
}

/// Samples come at 4.999 s, 9.999 s …; the cut at 60 s stands 1 ms after the last of twelve.
#[rstest]
#[case::all_of_a_minute(60, 60_000, 0, "1")]
#[case::fresh_up_to_five_seconds(60, 64_999, 0, "1")]
// 7.001 s old: 0.7999; 12 of 13 due.
#[case::seven_seconds_old(60, 67_000, 0, "0.7999")]
#[case::ten_seconds_old(60, 69_999, 0, "0.5")]
#[case::fifteen_seconds_old(60, 74_999, 0, "0")]
#[case::one_resync(60, 60_000, 1, "0.75")]
#[case::four_resyncs(60, 60_000, 4, "0")]
// 300 s are covered, 60 samples due, of which 48 are enough and 12 came: 12 / 48.
#[case::a_quarter_of_the_window(0, 300_000, 0, "0.25")]
fn quality_is_coverage_times_freshness_times_health(
    #[case] until: i64,
    #[case] at: i64,
    #[case] resyncs: i64,
    #[case] quality: &str,
) {
    let mut rows = start();
    if until > 0 {
        every_five(&mut rows, until);
    } else {
        for second in (245..=300).step_by(5) {
            sample(&mut rows, second * 1_000 - 1, |_| ());
        }
    }
    for n in 0..resyncs {
        let kind = if n % 2 == 0 { StatusKind::ChecksumFail } else { StatusKind::Resync };
        told(&mut rows, 59_999, kind, "level3");
    }
    let row = row(&rows, at);
    assert_eq!(
        (row.l3_quality.normalize(), row.l3_resync_w),
        (dec(quality), i32::try_from(resyncs).unwrap())
    );
}

#[test]
fn a_loss_touches_neither_the_book_nor_its_counters_and_leaves_the_window_in_time() {
    let mut rows = start();
    rows.book(100, A, "99", "101");
    rows.trade(200, A, Side::Buy, "100", "1");
    told(&mut rows, 500, StatusKind::ChecksumFail, "level3");
    told(&mut rows, 600, StatusKind::Resync, "level3");
    for kind in [StatusKind::Gap, StatusKind::Silent, StatusKind::Recovered] {
        let mut row = status(kind, "level3-0");
        (row.conn_id, row.gap_from, row.gap_to) = (Some(9), Some(at_ms(0)), Some(at_ms(59_000)));
        rows.push(700, RawBody::Status(row));
    }
    let now = cut(&rows, 61_000);
    assert!(now.rows[0].book_ok && !now.gap_open);
    assert_eq!((now.rows[0].checksum_fail_w, now.rows[0].l3_resync_w), (0, 2));
    assert!(now.rows[0].spread_avg_bps.is_some(), "the spread went on");
    assert!(now.candles.is_empty() || now.candles[0].complete, "no candle is incomplete for it");
    assert_eq!(row(&rows, 300_000).l3_resync_w, 2);
    assert_eq!(row(&rows, 301_000).l3_resync_w, 0);
}

#[test]
fn an_open_gap_of_level_3_is_no_gap_of_the_recording() {
    let mut rows = start();
    let mut gap = status(StatusKind::Gap, "level3-1");
    (gap.conn_id, gap.gap_from) = (Some(9), Some(at_ms(0)));
    rows.push(700, RawBody::Status(gap));
    assert!(!cut(&rows, 1_000).gap_open);
    let mut gap = status(StatusKind::Gap, "level30");
    (gap.conn_id, gap.gap_from) = (Some(9), Some(at_ms(0)));
    rows.push(800, RawBody::Status(gap));
    assert!(cut(&rows, 1_000).gap_open, "another stream whose name begins alike");
}

#[test]
fn a_symbol_that_leaves_the_layer_has_empty_columns_and_keeps_its_count() {
    let mut rows = start();
    sample(&mut rows, 4_999, |row| row.refill_ratio = Some(dec("1")));
    told(&mut rows, 5_500, StatusKind::Disconnect, "level3");
    let row = row(&rows, 6_000);
    assert_eq!((row.l3_count, row.l3_count_w, row.last_l3_at), (1, 0, None));
    assert_eq!((row.l3_queue_ahead_bid_quote, row.l3_refill_ratio), (None, None));
    assert_eq!(row.l3_quality, Decimal::ZERO);
}

#[test]
fn another_run_counts_its_rows_anew_and_keeps_the_window() {
    let mut rows = start();
    every_five(&mut rows, 30);
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    rows.list.iter().for_each(|row| aggregator.apply(row));
    aggregator.begin_run(RunId(2), false);
    let row = aggregator.cut(GenerationId(1), at_ms(30_000), lineage(1)).rows.remove(0);
    assert_eq!((row.l3_count, row.l3_count_w, row.l3_orders_at_bid), (0, 6, Some(2)));
    aggregator.begin_run(RunId(3), true);
    let row = aggregator.cut(GenerationId(2), at_ms(31_000), lineage(1)).rows.remove(0);
    assert_eq!(
        (row.l3_orders_at_bid, row.l3_count_w),
        (None, 6),
        "after a hole nothing is present"
    );
}

#[test]
fn what_takers_did_in_a_minute_is_seen_ahead_without_moving_anything() {
    let mut rows = start();
    rows.trade(500, A, Side::Buy, "10", "2");
    rows.trade(30_000, A, Side::Sell, "11", "1");
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    rows.list.iter().for_each(|row| aggregator.apply(row));
    let hash = |fold: &Aggregator| {
        fold.clone().cut(GenerationId(1), at_ms(31_000), lineage(1)).content_hash
    };
    let before = hash(&aggregator);
    let takers = |ms: i64| {
        let takers = aggregator.taker_quotes(&symbol(A), at_ms(ms));
        (takers.buy_1m, takers.sell_1m)
    };
    assert_eq!(takers(30_001), (dec("20"), dec("11")));
    assert_eq!(takers(59_999), (dec("20"), dec("11")));
    assert_eq!(
        takers(60_000),
        (dec("0"), dec("11")),
        "the minute of second 60 begins with second 1"
    );
    assert_eq!(takers(89_999), (dec("0"), dec("11")));
    assert_eq!(takers(90_000), (dec("0"), dec("0")));
    assert_eq!(takers(9_000_000), (dec("0"), dec("0")));
    assert_eq!(hash(&aggregator), before);
}
