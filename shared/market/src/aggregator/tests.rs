//! Golden values computed by hand, windows, counters, gaps, lineage, and replay of any rows.

use super::*;
use crate::checkpoint;
use crate::fixtures::{Rows, at_ms, dec, l3, lineage, status, symbol};
use crate::replay::{RecordedCut, Verdict, replay};
use penstock_types::Decimal;
use penstock_types::vocab::Side;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const A: &str = "AAA/USD";

fn fold(rows: &Rows) -> Aggregator {
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    rows.list.iter().for_each(|row| aggregator.apply(row));
    aggregator
}

fn cut_at(aggregator: &mut Aggregator, n: i64, ms: i64) -> StateCut {
    aggregator.cut(GenerationId(n), at_ms(ms), lineage(1))
}

fn text(value: Option<Decimal>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |d| d.normalize().to_string())
}

#[test]
fn volatility_drift_and_trend_are_those_of_a_hand_computed_path() {
    // Mid 100 for 10 s, then ×1.001 every 10 s: ten-second log returns of ln 1.001 = 9.99500333 bps.
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    for (ms, mid) in [(0, "100"), (10_000, "100.1"), (20_000, "100.2001"), (30_000, "100.3003001")]
    {
        let mid = dec(mid);
        let half = dec("0.01");
        rows.book(ms, A, &(mid - half).to_string(), &(mid + half).to_string());
    }
    let mut aggregator = fold(&rows);
    let row = cut_at(&mut aggregator, 1, 40_000).rows.remove(0);
    // Four ends (40, 30, 20, 10 s back from the cut at 40 s): mids 100.3003001, 100.2001, 100.1, 100.
    assert_eq!(text(row.rv_1m_bps), "24.4827", "9.99500333·√6");
    assert_eq!(text(row.rv_5m_bps), "24.4827");
    assert_eq!(text(row.rv_15m_bps), "24.4827", "equal to rv_5m before three minute returns");
    assert_eq!(text(row.drift_1m_bps), "29.985", "3·9.99500333");
    assert_eq!(text(row.drift_15m_bps), "29.985");
    // 29.98501 / (24.48266·√(39/60)) = 1.519098; the oldest mid stands 39 s before the cut's second.
    assert!((row.trend_strength.unwrap() - dec("1.519")).abs() < dec("0.001"));
    assert_eq!(text(row.vol_expansion), "1");
}

#[test]
fn flow_is_counted_in_its_windows_and_published_from_thirty_seconds_on() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.book(0, A, "99", "101");
    rows.trade(1_000, A, Side::Buy, "100", "2");
    rows.trade(2_000, A, Side::Sell, "90", "1");
    let mut aggregator = fold(&rows);
    let early = cut_at(&mut aggregator, 1, 29_000).rows.remove(0);
    assert_eq!((early.trades_1m, text(early.buy_quote_1m)), (2, "NULL".to_owned()));
    let row = cut_at(&mut aggregator, 2, 31_000).rows.remove(0);
    assert_eq!(text(row.buy_quote_1m), "200");
    assert_eq!(text(row.sell_quote_1m), "90");
    assert_eq!(text(row.ofi_1m), "0.37931", "110 / 290");
    assert_eq!(text(row.vwap_5m), "96.666666666667", "290 / 3");
    assert_eq!(text(row.vwap_dev_bps), "344.8276", "100 / 96.666… − 1");
    assert_eq!(text(row.spread_avg_bps), "200");
    let late = cut_at(&mut aggregator, 3, 62_000).rows.remove(0);
    assert_eq!(
        (late.trades_1m, late.trades_5m),
        (1, 2),
        "the trade of second 1 has left the minute"
    );
    let gone = cut_at(&mut aggregator, 4, 303_000).rows.remove(0);
    assert_eq!((gone.trades_5m, text(gone.vwap_5m)), (0, "NULL".to_owned()));
    assert_eq!(gone.trade_count, 2);
}

#[test]
fn an_unchanged_row_keeps_its_time_of_change() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    let mut aggregator = fold(&rows);
    let first = cut_at(&mut aggregator, 1, 1_000);
    let second = cut_at(&mut aggregator, 2, 2_000);
    assert_eq!((first.changed, second.changed), (1, 0));
    assert_eq!(second.rows[0].updated_at, at_ms(1_000));
    assert_eq!((first.rows[0].msg_age_ms, second.rows[0].msg_age_ms), (1_000, 2_000));
    assert_ne!(first.content_hash, second.content_hash, "the message age is part of the hash");
}

#[test]
fn a_lost_book_is_told_and_its_time_has_no_spread() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.book(0, A, "99", "101");
    let mut fail = status(StatusKind::ChecksumFail, "book");
    fail.symbol = Some(symbol(A));
    rows.push(10_000, RawBody::Status(fail));
    let mut aggregator = fold(&rows);
    let lost = cut_at(&mut aggregator, 1, 60_000).rows.remove(0);
    assert!(!lost.book_ok);
    assert_eq!((lost.checksum_fail_w, text(lost.spread_avg_bps)), (1, "NULL".to_owned()));
    assert!(lost.missing_features.iter().any(|m| m == "book_ok"));
}

#[test]
fn a_disconnect_loses_the_books_of_its_connection_only() {
    let mut rows = Rows::default();
    for name in [A, "BBB/USD"] {
        rows.universe(0, name, StatusKind::Connect);
        rows.book(0, name, "99", "101");
    }
    if let RawBody::L2(row) = &mut rows.list[3].body {
        row.conn_id = 7;
    }
    let mut lost = status(StatusKind::Disconnect, "book");
    lost.conn_id = Some(7);
    rows.push(500, RawBody::Status(lost));
    let cut = cut_at(&mut fold(&rows), 1, 1_000);
    assert_eq!(cut.rows.iter().map(|r| r.book_ok).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn another_lineage_counts_its_samples_anew() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    for second in 0..60 {
        rows.book(second * 1_000, A, "99", if second % 2 == 0 { "101" } else { "101.1" });
    }
    let mut aggregator = fold(&rows);
    assert!(cut_at(&mut aggregator, 1, 60_000).rows[0].feature_complete);
    let other = aggregator.cut(GenerationId(2), at_ms(61_000), lineage(2));
    assert_eq!(other.rows[0].missing_features, ["l2_samples"]);
    assert_eq!(other.rows[0].l2_count, 60);
}

#[test]
fn rows_of_other_venues_and_backfilled_trades_only_move_the_watermark() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.trade(100, A, Side::Buy, "100", "1");
    rows.ticker(200, A, "99", "101");
    if let RawBody::Trade(row) = &mut rows.list[1].body {
        row.conn_id = CONN_BACKFILL;
    }
    if let RawBody::Ticker(row) = &mut rows.list[2].body {
        row.venue = Venue::BinanceUm;
    }
    let cut = cut_at(&mut fold(&rows), 1, 1_000);
    assert_eq!((cut.rows[0].trade_count, cut.rows[0].ticker_count), (0, 0));
    assert_eq!((cut.deltas, cut.wm_seq), (CutDeltas::default(), Seq(3)));
}

#[test]
fn a_minute_of_trades_is_one_candle_handed_out_once() {
    let mut rows = Rows::default();
    rows.universe(-1, A, StatusKind::Connect);
    for (ms, side, price) in
        [(0, Side::Buy, "10"), (20_000, Side::Sell, "12"), (59_999, Side::Buy, "11")]
    {
        rows.trade(ms, A, side, price, "2");
    }
    let mut aggregator = fold(&rows);
    assert!(
        cut_at(&mut aggregator, 1, 60_000).candles.is_empty(),
        "the minute ends with the next row"
    );
    let cut = cut_at(&mut aggregator, 2, 61_000);
    let candle = &cut.candles[0];
    let prices =
        [candle.open, candle.high, candle.low, candle.close].map(|d| d.normalize().to_string());
    assert_eq!(prices, ["10", "12", "10", "11"]);
    assert_eq!((candle.trades, candle.complete, candle.minute), (3, true, at_ms(0)));
    assert_eq!(candle.quote_vol.normalize(), Decimal::from(66));
    assert_eq!(candle.buy_base_vol.normalize(), Decimal::from(4));
    assert!(cut_at(&mut aggregator, 3, 62_000).candles.is_empty());
}

#[test]
fn the_range_of_quarter_hours_needs_four_bars() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    let mut aggregator = fold(&rows);
    let mut seq = 1;
    for bar in 0..5_i64 {
        for (ms, price) in [(0, 100 + bar), (60_000, 102 + bar)] {
            let mut one = Rows::default();
            one.trade(bar * 900_000 + ms, A, Side::Buy, &price.to_string(), "1");
            seq += 1;
            one.list[0].seq = Seq(seq);
            aggregator.apply(&one.list[0]);
        }
        let row = cut_at(&mut aggregator, bar + 1, (bar + 1) * 900_000 + 1_000).rows.remove(0);
        let want = ["NULL", "NULL", "NULL", "192.3195", "191.4095"][usize::try_from(bar).unwrap()];
        // Range 2 on closes 103, 104, 105: (194.1748 + 192.3077 + 190.4762) / 3; then 188.6792 joins.
        assert_eq!(text(row.atr_15m_bps), want, "after bar {bar}");
    }
}

#[test]
fn a_checkpoint_folds_on_as_the_original() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    for second in 0..90 {
        rows.book(second * 1_000, A, "99.5", &format!("100.{second:02}"));
        rows.trade(second * 1_000 + 1, A, Side::Sell, "99.7", "0.3");
    }
    let mut original = fold(&rows);
    cut_at(&mut original, 1, 90_000);
    let (payload, hash) = checkpoint::encode(&kept(&original)).unwrap();
    let mut copy = checkpoint::decode(checkpoint::CHECKPOINT_FORMAT, &payload, &hash).unwrap().fold;
    let mut more = Rows { list: rows.list.clone() };
    more.book(90_500, A, "98", "99");
    let row = more.list.last().unwrap();
    original.apply(row);
    copy.apply(row);
    assert_eq!(cut_at(&mut original, 2, 91_000), cut_at(&mut copy, 2, 91_000));
    assert!(checkpoint::decode(4, &payload, &hash).is_err());
    assert!(checkpoint::decode(3, &payload[1..], &hash).is_err());
}

/// The bytes of a checkpoint, and what only a cut tells: both of the copy are those of the original, whatever
/// the copy was before.
#[test]
fn a_copy_in_the_memory_of_another_fold_is_the_original() {
    const B: &str = "BBB/USD";
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.universe(0, B, StatusKind::Connect);
    let mut spare = fold(&rows);
    for second in 0..400 {
        rows.book(second * 1_000, A, "99.5", &format!("100.{:02}", second % 90));
        rows.trade(second * 1_000 + 1, A, Side::Sell, "99.7", "0.3");
        rows.trade(second * 1_000 + 2, B, Side::Buy, "5.1", "2");
        rows.push(second * 1_000 + 3, RawBody::L3(l3(A)));
    }
    rows.universe(400_000, B, StatusKind::Disconnect);
    rows.universe(400_000, "AAB/USD", StatusKind::Connect);
    rows.universe(400_000, "CCC/USD", StatusKind::Connect);
    let mut original = fold(&rows);
    cut_at(&mut original, 1, 401_000);
    let bytes = |of: &Aggregator| checkpoint::encode(&kept(of)).unwrap().0;
    spare.copy_from(&original);
    assert_eq!(bytes(&spare), bytes(&original));
    let mut copy = spare.clone();
    assert_eq!(cut_at(&mut copy, 2, 402_000), cut_at(&mut original, 2, 402_000));
    let mut smaller = Rows::default();
    smaller.universe(0, A, StatusKind::Connect);
    let smaller = fold(&smaller);
    spare.copy_from(&smaller);
    assert_eq!(bytes(&spare), bytes(&smaller));
}

/// A fold of before order-by-order books: what it lacks is empty, and it goes on.
#[test]
fn a_checkpoint_of_the_second_version_has_no_order_by_order_books() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.book(10, A, "99.5", "100.5");
    let original = fold(&rows);
    let (payload, _) = checkpoint::encode(&kept(&original)).unwrap();
    let mut old: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let fold = &mut old["fold"];
    let interval = fold["config"].as_object_mut().unwrap().remove("l3_sample_interval_ms");
    assert!(interval.is_some());
    let state = fold["symbols"][0].as_object_mut().unwrap();
    assert!(state.remove("queue").is_some());
    for bucket in state["seconds"]["buckets"].as_array_mut().unwrap() {
        assert!(bucket.as_object_mut().unwrap().remove("l3_resyncs").is_some());
    }
    let payload = serde_json::to_vec(&old).unwrap();
    let read = checkpoint::decode(2, &payload, &Sha256::digest(&payload)).unwrap();
    assert_eq!(cut_at(&mut read.fold.clone(), 1, 1_000), cut_at(&mut original.clone(), 1, 1_000));
}

#[test]
fn a_checkpoint_of_the_first_version_is_a_fold_alone() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.book(10, A, "99.5", "100.5");
    let original = fold(&rows);
    let payload = serde_json::to_vec(&original).unwrap();
    let hash = Sha256::digest(&payload);
    let read = checkpoint::decode(1, &payload, &hash).unwrap();
    assert_eq!((read.sealer, read.l2_sample_interval_ms), (None, 0));
    assert_eq!(read.fold.last_seq(), original.last_seq());
}

/// A fold as a checkpoint.
fn kept(fold: &Aggregator) -> checkpoint::Checkpoint {
    checkpoint::Checkpoint { fold: fold.clone(), sealer: None, l2_sample_interval_ms: 1_000 }
}

/// The row as its table gives it back: every number with all digits of its column.
fn as_read_back(row: &RawRow) -> RawRow {
    let px = |d: Decimal| {
        let mut d = d;
        d.rescale(12);
        d
    };
    let mut row = row.clone();
    match &mut row.body {
        RawBody::L2(l2) => {
            for d in [&mut l2.bid, &mut l2.ask, &mut l2.bid_qty, &mut l2.ask_qty] {
                *d = px(*d);
            }
            l2.spread_bps.iter_mut().for_each(|d| d.rescale(4));
            l2.microprice.iter_mut().for_each(|d| d.rescale(12));
        }
        RawBody::Trade(trade) => {
            trade.price = px(trade.price);
            trade.qty = px(trade.qty);
        }
        RawBody::Ticker(ticker) => {
            for d in [&mut ticker.bid, &mut ticker.ask, &mut ticker.last] {
                d.iter_mut().for_each(|d| d.rescale(12));
            }
        }
        RawBody::L3(l3) => {
            for d in [&mut l3.queue_bid_quote, &mut l3.queue_ask_quote] {
                d.rescale(10);
            }
            for d in [&mut l3.refill_ratio, &mut l3.cancel_ratio] {
                d.iter_mut().for_each(|d| d.rescale(6));
            }
        }
        RawBody::Status(_) | RawBody::DerivTicker(_) | RawBody::Liquidation(_) => {}
    }
    row
}

#[derive(Debug, Clone)]
enum Step {
    Book(u8, u16, u8),
    Trade(u8, u16, bool),
    Ticker(u8, u16),
    Status(u8, u8),
    Queue(u8, u32),
    QueueStatus(u8, u8),
    Cut,
}

fn any_step() -> impl Strategy<Value = (u16, Step)> {
    let step = prop_oneof![
        4 => (0..3_u8, any::<u16>(), any::<u8>()).prop_map(|(s, p, w)| Step::Book(s, p, w)),
        3 => (0..3_u8, any::<u16>(), any::<bool>()).prop_map(|(s, p, b)| Step::Trade(s, p, b)),
        2 => (0..3_u8, any::<u16>()).prop_map(|(s, p)| Step::Ticker(s, p)),
        1 => (0..3_u8, any::<u8>()).prop_map(|(s, k)| Step::Status(s, k)),
        2 => (0..3_u8, any::<u32>()).prop_map(|(s, n)| Step::Queue(s, n)),
        1 => (0..3_u8, any::<u8>()).prop_map(|(s, k)| Step::QueueStatus(s, k)),
        2 => Just(Step::Cut),
    ];
    (0..4_000_u16, step)
}

fn push_step(rows: &mut Rows, ms: i64, step: &Step) {
    let name = |s: u8| ["AAA/USD", "BBB/USD", "CCC/USD"][usize::from(s)];
    let price = |p: u16| Decimal::new(1_000_001 + i64::from(p) * 7, 4);
    match *step {
        Step::Book(s, p, w) => {
            let (bid, ask) = (price(p), price(p) + Decimal::new(1 + i64::from(w % 5), 4));
            rows.book(ms, name(s), &bid.to_string(), &ask.to_string());
        }
        Step::Trade(s, p, is_buy) => {
            let side = if is_buy { Side::Buy } else { Side::Sell };
            rows.trade(ms, name(s), side, &price(p).to_string(), "0.37");
        }
        Step::Ticker(s, p) => rows.ticker(ms, name(s), &price(p).to_string(), "2000"),
        Step::Status(s, k) => {
            let kind = StatusKind::ALL[usize::from(k) % StatusKind::ALL.len()];
            let mut row = status(kind, if k % 2 == 0 { "book" } else { STREAM_UNIVERSE });
            row.symbol = (k % 3 != 0).then(|| symbol(name(s)));
            row.gap_from = Some(at_ms(ms - 100));
            row.conn_id = Some(2);
            rows.push(ms, RawBody::Status(row));
        }
        Step::Queue(s, n) => {
            let mut row = l3(name(s));
            let ratio = Decimal::new(i64::from(n % 10_000_001), 6);
            row.refill_ratio = (n % 3 > 0).then_some(ratio);
            row.cancel_ratio = (n % 5 > 0).then_some(ratio / Decimal::TEN);
            row.cancel_ratio.iter_mut().for_each(|d| *d = d.round_dp(6));
            row.est_fill_bid_ms = (n % 2 > 0).then_some((n % 86_400_001).cast_signed());
            row.queue_bid_quote = Decimal::new(i64::from(n) + 1, 3);
            rows.push(ms, RawBody::L3(row));
        }
        Step::QueueStatus(s, k) => {
            let kind = StatusKind::ALL[usize::from(k) % StatusKind::ALL.len()];
            let mut row = status(kind, if k % 2 == 0 { "level3" } else { "level3-0" });
            row.symbol = (k % 3 != 0).then(|| symbol(name(s)));
            row.conn_id = Some(9);
            rows.push(ms, RawBody::Status(row));
        }
        Step::Cut => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any run: rows and cut times alone give every generation again, from nothing and from a checkpoint.
    #[test]
    fn replayed_rows_give_equal_generations(steps in prop::collection::vec(any_step(), 1..150), keep in 0_usize..150) {
        let mut rows = Rows::default();
        for name in ["AAA/USD", "BBB/USD", "CCC/USD"] {
            rows.universe(0, name, StatusKind::Connect);
        }
        let mut live = Aggregator::new(RunId(1), FoldConfig::default());
        rows.list.iter().for_each(|row| live.apply(row));
        let (mut ms, mut cuts, mut kept) = (0_i64, Vec::new(), None);
        for (i, (wait, step)) in steps.iter().enumerate() {
            ms += i64::from(*wait);
            let before = rows.list.len();
            push_step(&mut rows, ms, step);
            rows.list[before..].iter().for_each(|row| live.apply(row));
            if matches!(step, Step::Cut) {
                let n = i64::try_from(cuts.len()).unwrap() + 1;
                let cut = live.cut(GenerationId(n), at_ms(ms), lineage(1));
                cuts.push(RecordedCut {
                    generation_id: cut.generation_id,
                    lineage_id: cut.lineage_id,
                    as_of: cut.as_of,
                    wm_seq: cut.wm_seq,
                    raw_complete: true,
                    content_hash: cut.content_hash,
                });
            }
            if i == keep {
                let whole = checkpoint::encode(&self::kept(&live)).unwrap();
                kept = Some((whole, rows.list.len(), cuts.len()));
            }
        }
        let equal = |start: &mut Aggregator, from: usize, first_cut: usize| {
            let fed = rows.list[from..].iter().map(as_read_back).map(Ok::<_, ()>);
            let mut all_equal = true;
            replay(start, fed, cuts[first_cut..].iter().cloned(), |d| {
                all_equal &= d.verdict == Verdict::Equal;
                true
            }).unwrap();
            all_equal
        };
        prop_assert!(equal(&mut Aggregator::new(RunId(1), FoldConfig::default()), 0, 0));
        if let Some(((payload, hash), from, first_cut)) = kept {
            let mut start = checkpoint::decode(3, &payload, &hash).unwrap().fold;
            prop_assert!(equal(&mut start, from, first_cut));
        }
    }
}

#[test]
fn one_changed_digit_is_different_and_a_missing_row_is_incomplete() {
    let mut rows = Rows::default();
    rows.universe(0, A, StatusKind::Connect);
    rows.trade(100, A, Side::Buy, "100", "1");
    let cut = cut_at(&mut fold(&rows), 1, 1_000);
    let recorded = RecordedCut {
        generation_id: cut.generation_id,
        lineage_id: cut.lineage_id,
        as_of: cut.as_of,
        wm_seq: cut.wm_seq,
        raw_complete: true,
        content_hash: cut.content_hash,
    };
    let verdict = |rows: &[RawRow], recorded: &RecordedCut| {
        let mut start = Aggregator::new(RunId(1), FoldConfig::default());
        let mut verdicts = Vec::new();
        let fed = rows.iter().cloned().map(Ok::<_, ()>);
        replay(&mut start, fed, [recorded.clone()], |d| {
            verdicts.push(d.verdict);
            true
        })
        .unwrap();
        verdicts.remove(0)
    };
    assert_eq!(verdict(&rows.list, &recorded), Verdict::Equal);
    assert_eq!(verdict(&rows.list[..1], &recorded), Verdict::Incomplete);
    let shed = RecordedCut { raw_complete: false, ..recorded.clone() };
    assert_eq!(verdict(&rows.list, &shed), Verdict::Incomplete);
    if let RawBody::Trade(row) = &mut rows.list[1].body {
        row.price = dec("100.1");
    }
    assert_eq!(verdict(&rows.list, &recorded), Verdict::Different);
}
