//! A scripted session whose rows and columns were worked out by hand, and what a socket may do in it.

mod any_session;
mod venue;

use super::*;
use crate::core::clock::RecordingClock;
use crate::core::feed_input::Group;
use crate::core::run::TrackedPair;
use penstock_market::replay::{RecordedCut, Verdict, replay};
use penstock_market::{Aggregator, CoreConfig, FoldConfig, MarketCore, Outputs, Recording};
use penstock_types::raw::{L3Row, RawBody, StatusRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::StatusKind;
use penstock_types::{Decimal, FencingToken, LineageId, RunId, Uuid};
use penstock_venue_feeds::session::{Notice, Topic};
use penstock_venue_feeds::{FeedCommand, FeedEvent, Stamp};
use penstock_venues::kraken::ChannelKind;
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use venue::{Change, Side, Venue, crc};

const A: &str = "AAA/USD";
const PUBLIC: usize = 0;
const LEVEL3: usize = 1;

fn symbol() -> Symbol {
    Symbol::new(A).unwrap()
}

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The core with both sockets open, and the venue behind them. Times are milliseconds from `base`.
struct Rig {
    market: Market,
    venue: Venue,
    commands: mpsc::Receiver<FeedCommand>,
    base: UtcMicros,
    /// The socket of order-by-order books delivers.
    is_heard: bool,
    trade_id: i64,
}

impl Rig {
    fn new() -> Self {
        let clock = RecordingClock::start();
        // A whole minute that lies ahead of the clock: every time of the script is one of the recording.
        let base = UtcMicros((clock.now().secs() / 60 + 1) * 60_000_000);
        let config = CoreConfig::default();
        let run_id = RunId(5);
        let lineage_id = LineageId(Uuid::from_u128(1));
        let recording = Recording { run_id, lineage_id, fencing_token: FencingToken(2) };
        let fold = Aggregator::new(run_id, config.fold.clone());
        let core = MarketCore::new(config, recording, fold, base.tick());
        let (public, _) = group(GroupKind::Public);
        let (level3, commands) = group(GroupKind::Level3);
        let mut market = Market::new(core, clock, vec![public, level3]);
        let precision = Precision { price: 1, qty: 2 };
        let pair = TrackedPair { symbol: symbol(), precision, book_depth: Some(10), group: PUBLIC };
        market.track(&[pair], base).unwrap();
        let pair = Level3Pair { symbol: symbol(), precision, depth: 10, group: LEVEL3 };
        market.track_level3(&[pair], base);
        let venue = Venue::new(base);
        let mut rig = Self { market, venue, commands, base, is_heard: true, trade_id: 0 };
        for group in [PUBLIC, LEVEL3] {
            let at = rig.stamp(0);
            rig.market.event(group, &FeedEvent::Connected { epoch: 1, at }).unwrap();
        }
        let text = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"AAA/USD","bids":[{"price":10.0,"qty":1.00}],"asks":[{"price":10.5,"qty":2.00}],"checksum":CRC}]}"#;
        let image = text.replace("CRC", &crc("105200100100").to_string());
        rig.frame(PUBLIC, 1, image);
        rig
    }

    fn stamp(&self, ms: i64) -> Stamp {
        let wall = self.base.plus_millis(ms);
        let origin = self.market.clock.at(Stamp { wall, mono_ns: 0 });
        Stamp { wall, mono_ns: (wall.0 - origin.0) * 1_000 }
    }

    fn frame(&mut self, group: usize, ms: i64, text: String) {
        let at = self.stamp(ms);
        let event = FeedEvent::Frame { epoch: 1, at, text: text.into() };
        self.market.event(group, &event).unwrap();
    }

    /// Seals up to a time while the sockets deliver heartbeats.
    fn to(&mut self, ms: i64) {
        loop {
            let end = self.market.core.next_tick().end();
            let end_ms = end.millis_since(self.base);
            if end_ms > ms {
                return;
            }
            let groups = if self.is_heard { &[PUBLIC, LEVEL3][..] } else { &[PUBLIC][..] };
            for group in groups {
                let at = self.stamp(end_ms - 1);
                self.market.event(*group, &FeedEvent::Alive { epoch: 1, at }).unwrap();
            }
            let Market { core, books, out, .. } = &mut self.market;
            core.advance(end, books, out).unwrap();
        }
    }

    fn image(&mut self, ms: i64) {
        self.to(ms);
        let text = self.venue.image();
        self.frame(LEVEL3, ms, text);
    }

    fn change(&mut self, ms: i64, change: Change) {
        self.to(ms);
        let text = self.venue.change(ms, &[change]);
        self.frame(LEVEL3, ms, text);
    }

    fn print(&mut self, ms: i64, side: Side, price: i64, qty: i64) {
        self.to(ms);
        self.trade_id += 1;
        let text = self.venue.print(ms, self.trade_id, side, price, qty);
        self.frame(PUBLIC, ms, text);
    }

    fn samples(&self) -> Vec<(i64, L3Row)> {
        let base = self.base.0;
        let l3 = self.market.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::L3(body) => Some((row.ts_local.0 - base, body.clone())),
            _ => None,
        });
        l3.collect()
    }

    fn state(&self) -> &StateRow {
        &self.market.out.cuts.last().unwrap().rows[0]
    }

    fn level3_rows(&self) -> Vec<&StatusRow> {
        let rows = self.market.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::Status(body) if body.is_level3() => Some(body),
            _ => None,
        });
        rows.collect()
    }

    /// Every version of the state once more, from the rows alone.
    fn is_derived_again(&self) -> bool {
        let Outputs { rows, cuts, .. } = &self.market.out;
        let recorded = cuts.iter().map(|cut| RecordedCut {
            generation_id: cut.generation_id,
            lineage_id: cut.lineage_id,
            as_of: cut.as_of,
            wm_seq: cut.wm_seq,
            raw_complete: true,
            content_hash: cut.content_hash,
        });
        let mut fold = Aggregator::new(RunId(5), FoldConfig::default());
        let (mut equal, mut others) = (0, 0);
        let fed = rows.iter().cloned().map(Ok::<_, ()>);
        replay(&mut fold, fed, recorded, |derived| {
            match derived.verdict {
                Verdict::Equal => equal += 1,
                Verdict::Incomplete | Verdict::Different => others += 1,
            }
            true
        })
        .unwrap();
        (equal, others) == (cuts.len(), 0)
    }
}

fn group(kind: GroupKind) -> (Group, mpsc::Receiver<FeedCommand>) {
    let (commands, taken) = mpsc::channel(64);
    let (stream, symbols) = (kind.stream(0), BTreeSet::new());
    let refused = BTreeSet::new();
    (Group { kind, stream, symbols, commands, conn_id: None, is_whole: false, refused }, taken)
}

/// Two orders at 10.0 and one at 9.9 on the bid, one at 10.5 on the ask.
fn opened() -> Rig {
    let mut rig = Rig::new();
    rig.venue.rest(1, Side::Bid, 100, 100, -60_000);
    rig.venue.rest(2, Side::Bid, 100, 200, -59_000);
    rig.venue.rest(3, Side::Bid, 99, 500, -58_000);
    rig.venue.rest(4, Side::Ask, 105, 400, -30_000);
    rig.image(100);
    rig
}

/// Fills, a partial fill, cancels and a refill before the second sample; prints at the given times.
fn first_window(rig: &mut Rig, prints: [i64; 2]) {
    let mut steps: Vec<(i64, Option<Change>)> = vec![
        (1_100, Some(Change::Delete(1))),
        (2_000, Some(Change::Modify(2, 150))),
        (3_000, Some(Change::Add(5, Side::Bid, 100, 100))),
        (3_500, Some(Change::Add(6, Side::Bid, 98, 100))),
        (4_000, Some(Change::Delete(5))),
        (4_500, Some(Change::Modify(4, 425))),
    ];
    steps.extend(prints.map(|ms| (ms, None)));
    steps.sort_by_key(|step| step.0);
    let mut sold = [100, 30].into_iter();
    for (ms, change) in steps {
        match change {
            Some(change) => rig.change(ms, change),
            None => rig.print(ms, Side::Bid, 100, sold.next().unwrap()),
        }
    }
    rig.to(6_000);
}

fn quiet_row() -> L3Row {
    L3Row {
        symbol: symbol(),
        ts_exchange: None,
        bid: dec("10"),
        ask: dec("10.5"),
        orders_at_bid: 2,
        orders_at_ask: 1,
        queue_bid_quote: dec("30"),
        queue_ask_quote: dec("42"),
        avg_age_bid_ms: Some(59_749),
        avg_age_ask_ms: Some(30_249),
        adds: 0,
        cancels: 0,
        fills: 0,
        modifies: 0,
        refill_ratio: None,
        cancel_ratio: None,
        est_fill_bid_ms: None,
        est_fill_ask_ms: None,
        checksum_ok: true,
        conn_id: 2,
    }
}

/// 100 and 30 were filled, 20 and 100 cancelled, 100 and 25 added at the best prices: 125/250, 120/250. 13
/// quote were sold, 12 cancelled at the bid: 1000·15/(13/60 + 0.5·12/60) = 47368.4.
fn traded_row() -> L3Row {
    L3Row {
        orders_at_bid: 1,
        queue_bid_quote: dec("15"),
        queue_ask_quote: dec("44.625"),
        avg_age_bid_ms: Some(64_249),
        avg_age_ask_ms: Some(35_249),
        adds: 2,
        cancels: 2,
        fills: 2,
        modifies: 1,
        refill_ratio: Some(dec("0.5")),
        cancel_ratio: Some(dec("0.48")),
        est_fill_bid_ms: Some(47_368),
        ..quiet_row()
    }
}

/// Without the venue's own time, which is that of the message before the sample.
fn without_time(samples: Vec<(i64, L3Row)>) -> Vec<(i64, L3Row)> {
    let plain = |(at, row): (i64, L3Row)| (at, L3Row { ts_exchange: None, ..row });
    samples.into_iter().map(plain).collect()
}

#[test]
fn fills_cancels_and_refills_give_the_rows_that_were_worked_out_by_hand() {
    let mut rig = opened();
    first_window(&mut rig, [1_000, 2_200]);
    let got = rig.samples();
    assert_eq!(got[1].1.ts_exchange, Some(rig.base.plus_millis(4_500)));
    assert_eq!(without_time(got), [(249_999, quiet_row()), (5_249_999, traded_row())]);
    let state = rig.state();
    assert_eq!((state.l3_count, state.l3_count_w, state.l3_resync_w), (2, 2, 0));
    assert_eq!(state.last_l3_at, Some(UtcMicros(rig.base.0 + 5_249_999)));
    assert_eq!(state.l3_queue_ahead_bid_quote, Some(dec("15")));
    assert_eq!(state.l3_queue_ahead_ask_quote, Some(dec("44.625")));
    assert_eq!((state.l3_orders_at_bid, state.l3_orders_at_ask), (Some(1), Some(1)));
    assert_eq!((state.l3_est_fill_bid_ms, state.l3_est_fill_ask_ms), (Some(47_368), None));
    assert_eq!(
        (state.l3_refill_ratio, state.l3_cancel_ratio),
        (Some(dec("0.5")), Some(dec("0.48")))
    );
    assert_eq!(state.l3_avg_age_ms, Some(47_374), "59749, 30249, 64249 and 35249");
    let n = (state.l3_n_efit, state.l3_n_refill, state.l3_n_cancel, state.l3_n_qt);
    assert_eq!(n, (1, 1, 1, 2));
    assert_eq!(state.l3_quality, Decimal::ONE);
    assert!(rig.is_derived_again());
}

#[test]
fn which_of_trade_and_change_comes_first_makes_no_difference() {
    for prints in [[1_000, 2_200], [1_150, 1_900], [1_350, 2_250], [850, 1_750], [1_100, 2_000]] {
        let mut rig = opened();
        first_window(&mut rig, prints);
        let got = without_time(rig.samples());
        assert_eq!(got, [(249_999, quiet_row()), (5_249_999, traded_row())], "{prints:?}");
    }
}

#[test]
fn an_empty_side_a_resync_and_silence_give_the_rows_that_were_worked_out_by_hand() {
    let mut rig = opened();
    first_window(&mut rig, [1_000, 2_200]);
    rig.change(6_000, Change::Delete(2));
    rig.print(6_100, Side::Bid, 100, 150);
    rig.change(6_200, Change::Delete(3));
    rig.change(6_300, Change::Delete(6));
    rig.to(11_000);
    assert_eq!(rig.samples().len(), 2, "nobody bids: there is no queue to stand in");
    rig.change(12_000, Change::Add(7, Side::Bid, 90, 100));
    rig.to(13_000);
    // Filled 130 + 150, cancelled 120 + 500 + 100, added 125 + 100: 225/1000 and 720/1000. 28 quote were
    // sold, 12 + 49.5 + 9.8 cancelled at the bid: 60000·9/(28 + 35.65) = 8483.9.
    let returned = L3Row {
        bid: dec("9"),
        orders_at_bid: 1,
        queue_bid_quote: dec("9"),
        queue_ask_quote: dec("44.625"),
        avg_age_bid_ms: Some(249),
        avg_age_ask_ms: Some(42_249),
        adds: 1,
        cancels: 2,
        fills: 1,
        modifies: 0,
        refill_ratio: Some(dec("0.225")),
        cancel_ratio: Some(dec("0.72")),
        est_fill_bid_ms: Some(8_484),
        ..quiet_row()
    };
    assert_eq!(without_time(rig.samples())[2], (12_249_999, returned.clone()));
    let bad = rig.venue.broken(13_100, Change::Modify(7, 300));
    rig.frame(LEVEL3, 13_100, bad);
    let resync = FeedCommand::Resync { symbol: A.to_owned(), mismatch: true };
    assert_eq!(rig.commands.try_recv(), Ok(resync));
    // What is still on its way belongs to the old subscription.
    rig.change(13_200, Change::Modify(7, 200));
    rig.image(14_000);
    // The book of 12.25 s was late for 10.25 s: the next one is due on the grid of before.
    rig.to(17_999);
    // The flow begins anew with the image; takers do not: 60000·18/28 = 38571.4.
    let anew = L3Row {
        queue_bid_quote: dec("18"),
        avg_age_bid_ms: Some(3_249),
        avg_age_ask_ms: Some(45_249),
        adds: 0,
        cancels: 0,
        fills: 0,
        refill_ratio: None,
        cancel_ratio: None,
        est_fill_bid_ms: Some(38_571),
        ..returned
    };
    assert_eq!(without_time(rig.samples())[3], (15_249_999, anew));
    rig.is_heard = false;
    rig.to(30_000);
    rig.is_heard = true;
    rig.to(31_000);
    let times: Vec<i64> = rig.samples().iter().map(|(at, _)| *at).collect();
    assert_eq!(times[4..], [20_249_999, 30_249_999], "quiet for 5 s before the one of 25.25 s");
    let state = rig.state();
    assert_eq!((state.l3_resync_w, state.checksum_fail_w), (1, 0));
    assert!(state.book_ok, "the L2 book heard nothing of it");
    // 31 s: six of six were due, fresh, one resync.
    assert_eq!((state.l3_count_w, state.l3_quality), (6, dec("0.75")));
    assert!(rig.is_derived_again());
}

#[test]
fn a_change_of_an_unknown_order_discards_the_book() {
    let mut rig = opened();
    rig.to(1_000);
    let text = rig.venue.unknown(1_100);
    rig.frame(LEVEL3, 1_100, text);
    let resync = FeedCommand::Resync { symbol: A.to_owned(), mismatch: false };
    assert_eq!(rig.commands.try_recv(), Ok(resync));
    rig.to(12_000);
    assert_eq!(rig.samples().len(), 1);
    let lost: Vec<_> =
        rig.level3_rows().into_iter().filter(|r| r.kind == StatusKind::Resync).collect();
    assert_eq!((lost.len(), lost[0].stream.as_str(), lost[0].conn_id), (1, "level3", Some(2)));
    assert_eq!(rig.market.core.level3_health().live, 0);
}

#[test]
fn a_book_that_the_connector_repairs_by_itself_is_lost_once() {
    let mut rig = opened();
    let topic = || Topic { channel: ChannelKind::Level3, symbol: A.to_owned() };
    for _ in 0..2 {
        let at = rig.stamp(1_000);
        let notice = Notice::Resync(topic());
        rig.market.event(LEVEL3, &FeedEvent::Notice { epoch: 1, at, notice }).unwrap();
    }
    rig.to(2_000);
    assert_eq!(rig.state().l3_resync_w, 1);
    assert!(rig.commands.try_recv().is_err(), "nobody is asked for what is under way");
}

#[test]
fn the_loss_of_the_socket_is_a_gap_of_its_own_until_every_book_is_back() {
    let mut rig = opened();
    rig.to(1_000);
    let at = rig.stamp(1_100);
    let reason = penstock_venue_feeds::session::DisconnectReason::Closed;
    let event = FeedEvent::Disconnected { epoch: 1, at, reason };
    rig.market.event(LEVEL3, &event).unwrap();
    rig.is_heard = false;
    rig.to(3_000);
    assert!(!rig.market.core.is_gap_open());
    assert!(rig.state().book_ok);
    let at = rig.stamp(3_100);
    rig.market.event(LEVEL3, &FeedEvent::Connected { epoch: 2, at }).unwrap();
    rig.is_heard = true;
    let late = rig.venue.change(3_150, &[Change::Modify(4, 300)]);
    rig.frame(LEVEL3, 3_150, late);
    rig.image(3_200);
    rig.to(6_000);
    let told: Vec<(StatusKind, &str)> =
        rig.level3_rows().iter().map(|r| (r.kind, r.stream.as_str())).collect();
    use StatusKind as K;
    let (symbol, socket) = ("level3", "level3-0");
    let want = [
        (K::Connect, symbol),
        (K::Connect, socket),
        (K::Disconnect, socket),
        (K::Gap, socket),
        (K::Connect, socket),
        (K::Recovered, socket),
    ];
    assert_eq!(told, want);
    assert_eq!(rig.samples().last().unwrap().0, 5_249_999);
    assert_eq!(rig.state().l3_resync_w, 0);
}

#[test]
fn what_is_untracked_has_no_book_and_no_columns() {
    let mut rig = opened();
    rig.to(1_000);
    assert_eq!(rig.state().l3_orders_at_bid, Some(2));
    rig.market.untrack_level3(&[symbol()], rig.base.plus_millis(1_000));
    rig.to(8_000);
    assert_eq!((rig.samples().len(), rig.state().l3_orders_at_bid), (1, None));
    assert!(rig.market.groups[LEVEL3].symbols.is_empty());
    rig.image(8_100);
    rig.to(9_000);
    assert_eq!(rig.samples().len(), 1, "an image of nobody's book");
}

#[test]
fn other_digits_begin_the_book_anew() {
    let mut rig = opened();
    rig.to(1_000);
    let (digits, at) = (Precision { price: 2, qty: 2 }, rig.base.plus_millis(1_100));
    rig.market.change_precisions(&[(symbol(), digits)], at).unwrap();
    let resync = FeedCommand::Resync { symbol: A.to_owned(), mismatch: false };
    assert_eq!(rig.commands.try_recv(), Ok(resync));
    rig.to(7_000);
    assert_eq!(rig.samples().len(), 1);
    assert_eq!(rig.state().l3_resync_w, 1);
}
