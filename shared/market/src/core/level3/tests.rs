//! When books are sampled, what a loss or a silence costs, and that nothing else hears of it.

use super::*;
use crate::aggregator::Aggregator;
use crate::config::CoreConfig;
use crate::core::{BookUpdate, Recording};
use crate::fixtures::{T0, at_ms, dec, level3_sample, lineage, symbol};
use crate::sample::{BookSample, Scales, sample_book};
use penstock_types::frame::decode_quotes;
use penstock_types::level3::TakerQuotes;
use penstock_types::raw::StatusRow;
use penstock_types::vocab::Side;
use penstock_types::{FencingToken, RunId};

const A: &str = "AAA/USD";
const SCALES: Scales = Scales { price: 1, qty: 1 };

/// Books that are always the same; figures show the takers that they were given.
#[derive(Default)]
struct Same {
    is_one_sided: bool,
}

impl Books for Same {
    fn sample(&self, _: &Symbol) -> Option<BookSample> {
        sample_book([(1_000, 10)].into_iter(), [(1_002, 10)].into_iter(), SCALES, None, 10)
    }

    fn sample_level3(
        &mut self,
        _: &Symbol,
        takers: TakerQuotes,
        _: UtcMicros,
    ) -> Option<Level3Sample> {
        (!self.is_one_sided).then(|| level3_sample(takers))
    }
}

struct Rig {
    core: MarketCore,
    books: Same,
    out: Outputs,
}

impl Rig {
    /// A live L2 book on connection 1, a live order-by-order book on connection 2.
    fn new() -> Self {
        let config = CoreConfig { l3_resync_max: 2, ..CoreConfig::default() };
        let recording =
            Recording { run_id: RunId(5), lineage_id: lineage(1), fencing_token: FencingToken(2) };
        let fold = Aggregator::new(RunId(5), config.fold.clone());
        let core = MarketCore::new(config, recording, fold, UtcMicros(T0).tick());
        let mut rig = Self { core, books: Same::default(), out: Outputs::default() };
        rig.core.track(&symbol(A), SCALES, true, at_ms(0), &mut rig.out).unwrap();
        rig.core.track_level3(&symbol(A), 10, at_ms(0), &mut rig.out);
        rig.core.conn_opened(1, "spot-0", at_ms(0), &mut rig.out);
        rig.core.conn_opened(2, "level3-0", at_ms(0), &mut rig.out);
        let best = [1_000, 10, 1_002, 10];
        let (symbol, conn_id) = (symbol(A), 1);
        let image = BookUpdate { symbol, conn_id, is_snapshot: true, ts_exchange: None, best };
        rig.core.book_updated(at_ms(0), &image, &mut rig.out);
        rig.core.level3_live(&image.symbol, 2);
        rig
    }

    /// Everything is heard up to a time.
    fn to(&mut self, ms: i64) {
        while self.core.next_tick().end() <= at_ms(ms) {
            let end = self.core.next_tick().end();
            self.core.heard(1, UtcMicros(end.0 - 2), &mut self.out);
            self.core.heard(2, UtcMicros(end.0 - 2), &mut self.out);
            self.core.advance(end, &mut self.books, &mut self.out).unwrap();
        }
    }

    fn samples(&self) -> Vec<(i64, &L3Row)> {
        let sample = |row: &'_ penstock_types::raw::RawRow| row.ts_local.0 - T0;
        let l3 = self.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::L3(body) => Some((sample(row), body)),
            _ => None,
        });
        l3.collect()
    }

    fn times(&self) -> Vec<i64> {
        self.samples().into_iter().map(|(us, _)| us).collect()
    }

    fn status(&self) -> Vec<&StatusRow> {
        let status = self.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::Status(body) => Some(body),
            _ => None,
        });
        status.collect()
    }

    fn lose(&mut self, ms: i64, why: LostBook) {
        self.core.level3_lost(&symbol(A), why, at_ms(ms), &mut self.out);
    }
}

#[test]
fn a_live_book_is_sampled_at_once_and_then_once_per_interval() {
    let mut rig = Rig::new();
    rig.to(12_000);
    assert_eq!(rig.times(), [249_999, 5_249_999, 10_249_999]);
    let (_, row) = rig.samples().remove(0);
    assert_eq!((row.refill_ratio, row.cancel_ratio), (Some(dec("0.333333")), Some(dec("0"))));
    assert_eq!((row.avg_age_bid_ms, row.est_fill_bid_ms), (Some(i32::MAX), Some(86_400_000)));
    assert_eq!((row.adds, row.cancels, row.fills, row.modifies), (1, 2, 3, 4));
    assert_eq!((row.conn_id, row.checksum_ok), (2, true));
    let last = &rig.out.cuts.last().unwrap().rows[0];
    assert_eq!((last.l3_count, last.last_l3_at), (3, Some(UtcMicros(T0 + 10_249_999))));
}

#[test]
fn an_empty_side_gives_no_sample_and_waits_for_it() {
    let mut rig = Rig::new();
    rig.books.is_one_sided = true;
    rig.to(6_000);
    assert!(rig.times().is_empty());
    rig.books.is_one_sided = false;
    rig.to(12_000);
    assert_eq!(rig.times(), [6_249_999, 11_249_999]);
}

#[test]
fn the_takers_of_the_last_minute_are_those_of_the_moment() {
    let mut rig = Rig::new();
    rig.to(1_000);
    let trade = |id, side| super::super::TradeIn {
        symbol: symbol(A),
        conn_id: 1,
        trade_id: id,
        side,
        ord_type: 'm',
        price: dec("100"),
        qty: dec("2"),
        ts_exchange: at_ms(1_000),
    };
    assert!(rig.core.trade(at_ms(1_000), trade(1, Side::Sell), &mut rig.out));
    assert!(rig.core.trade(at_ms(1_001), trade(2, Side::Buy), &mut rig.out));
    assert!(!rig.core.trade(at_ms(1_002), trade(2, Side::Buy), &mut rig.out), "a duplicate");
    rig.to(66_000);
    let of = |us: i64| {
        let found = rig.samples().into_iter().find(|(at, _)| *at == us).unwrap().1;
        (found.queue_bid_quote, found.queue_ask_quote)
    };
    assert_eq!(of(249_999), (dec("0"), dec("0")));
    assert_eq!(of(5_249_999), (dec("200"), dec("200")));
    assert_eq!(of(60_249_999), (dec("200"), dec("200")), "second 1 is the oldest of the minute");
    assert_eq!(of(65_249_999), (dec("0"), dec("0")));
}

#[test]
fn a_loss_withdraws_no_quote_and_ends_the_samples_until_the_book_is_live() {
    let mut rig = Rig::new();
    rig.to(1_000);
    rig.lose(1_100, LostBook::Checksum { expected: 1, computed: 2 });
    rig.to(7_000);
    assert_eq!(rig.times(), [249_999], "a lost book gives none");
    let last = &rig.out.cuts.last().unwrap().rows[0];
    assert!(last.book_ok);
    assert_eq!((last.l3_resync_w, last.checksum_fail_w), (1, 0));
    let quotes = rig.out.sealed.iter().flat_map(|s| decode_quotes(&s.quotes).unwrap().entries);
    assert!(quotes.into_iter().all(|entry| entry.bid == 1_000));
    let told = rig.status();
    let row = told.iter().find(|row| row.kind == StatusKind::ChecksumFail).unwrap();
    assert_eq!((row.stream.as_str(), row.conn_id), ("level3", Some(2)));
    assert_eq!(row.detail, "{\"actual\":2,\"expected\":1}");
    assert!(rig.out.notes.contains(&Note::Level3Resync { symbol: symbol(A), count: 1 }));
    rig.core.level3_live(&symbol(A), 2);
    rig.to(8_000);
    assert_eq!(rig.times(), [249_999, 7_249_999]);
}

#[test]
fn repeated_losses_block_the_symbol_for_its_time() {
    let mut rig = Rig::new();
    rig.lose(100, LostBook::Resync);
    rig.to(1_000);
    rig.core.level3_live(&symbol(A), 2);
    assert!(rig.core.level3_health().blocks.is_empty());
    rig.lose(1_100, LostBook::Resync);
    rig.to(2_000);
    let until = at_ms(1_250 + 1_800_000);
    let health = rig.core.level3_health();
    let block = Level3Block { symbol: symbol(A), resyncs: 2, until };
    assert_eq!((health.tracked, health.live, &health.blocks), (1, 0, &vec![block.clone()]));
    assert!(rig.out.notes.contains(&Note::Level3Blocked(block)));
    rig.to(1_801_000);
    assert_eq!(rig.core.level3_health().blocks.len(), 1);
    rig.to(1_801_250);
    assert!(rig.core.level3_health().blocks.is_empty());
    assert!(rig.out.notes.contains(&Note::Level3Unblocked { symbol: symbol(A) }));
}

#[test]
fn a_silent_connection_gives_no_sample_and_its_quotes_are_not_meant() {
    let mut rig = Rig::new();
    rig.to(250);
    for ms in (500..=12_000).step_by(250) {
        rig.core.heard(1, at_ms(ms - 1), &mut rig.out);
        rig.core.advance(at_ms(ms), &mut rig.books, &mut rig.out).unwrap();
    }
    // Last heard just before 250 ms: 5.25 s later it is quiet, after the sample that was due then.
    assert_eq!(rig.times(), [249_999, 5_249_999]);
    let told = rig.status();
    let silent: Vec<_> = told.iter().filter(|row| row.kind == StatusKind::Silent).collect();
    assert_eq!((silent.len(), silent[0].stream.as_str()), (1, "level3-0"));
    assert!(rig.out.notes.is_empty());
    assert!(rig.out.cuts.last().unwrap().rows[0].book_ok);
    rig.core.heard(2, at_ms(12_100), &mut rig.out);
    rig.core.advance(at_ms(12_250), &mut rig.books, &mut rig.out).unwrap();
    assert_eq!(rig.times().last(), Some(&12_249_999), "heard again, and no worse for it");
}

#[test]
fn a_lost_connection_is_a_gap_of_its_stream_and_no_resync() {
    let mut rig = Rig::new();
    rig.to(1_000);
    rig.core.conn_lost(2, "cut", at_ms(1_100), &mut rig.out);
    rig.core.heard(1, at_ms(1_100), &mut rig.out);
    rig.core.advance(at_ms(2_000), &mut rig.books, &mut rig.out).unwrap();
    let health = rig.core.level3_health();
    assert_eq!((health.tracked, health.live, health.systemic_at), (1, 0, None));
    assert!(!rig.core.is_gap_open() && !rig.core.aggregator().gaps().is_open());
    assert!(!rig.out.cuts.last().unwrap().gap_open);
    assert_eq!(rig.out.cuts.last().unwrap().rows[0].l3_resync_w, 0);
    rig.core.conn_opened(3, "level3-0", at_ms(2_100), &mut rig.out);
    rig.core.level3_live(&symbol(A), 3);
    rig.core.stream_whole("level3-0", at_ms(2_200), &mut rig.out);
    let told = rig.status();
    let whole = told.iter().find(|row| row.kind == StatusKind::Recovered).unwrap();
    assert_eq!((whole.stream.as_str(), whole.conn_id), ("level3-0", Some(2)));
    assert_eq!((whole.gap_from, whole.gap_to), (Some(UtcMicros(T0 + 999_998)), Some(at_ms(2_200))));
}

#[test]
fn what_is_followed_is_recorded() {
    let mut rig = Rig::new();
    rig.core.track_level3(&symbol(A), 10, at_ms(10), &mut rig.out);
    rig.core.untrack_level3(&symbol(A), at_ms(20), &mut rig.out);
    rig.core.untrack_level3(&symbol(A), at_ms(30), &mut rig.out);
    rig.to(6_000);
    assert!(rig.times().is_empty());
    let told: Vec<_> = rig.status();
    let own: Vec<_> = told.iter().filter(|row| row.stream == STREAM_LEVEL3).collect();
    let kinds: Vec<StatusKind> = own.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [StatusKind::Connect, StatusKind::Disconnect]);
    assert_eq!(own[0].detail, "{\"depth\":10}");
}
