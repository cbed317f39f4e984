//! Derivatives in the core: duplicates, gaps, conflation, rounding, flags.

mod history;

use super::*;
use crate::aggregator::Aggregator;
use crate::canonical::{InstrumentKey, Roles, Source};
use crate::fixtures::{T0, at_ms, dec, lineage, symbol};
use crate::sample::BookSample;
use penstock_types::frame::{FrameEvent, FrameFlags, decode_frame};
use penstock_types::vocab::Side;
use proptest::prelude::*;

const PERP: &str = "BTCUSDT";

struct NoBooks;

impl Books for NoBooks {
    fn sample(&self, _: &Symbol) -> Option<BookSample> {
        None
    }
}

struct Rig {
    core: MarketCore,
    out: Outputs,
    venue: Venue,
}

impl Rig {
    fn new(venue: Venue) -> Self {
        let recording =
            Recording { run_id: RunId(5), lineage_id: lineage(1), fencing_token: FencingToken(2) };
        let config = CoreConfig::default();
        let fold = Aggregator::new(RunId(5), config.fold.clone());
        let all = Roles {
            price_ref: true,
            deriv_primary: true,
            flow: true,
            oi_set: true,
            spot_primary: false,
        };
        let binding = InstrumentBinding {
            key: InstrumentKey { token_id: 1, instrument_id: 0 },
            venue,
            symbol: symbol(PERP),
            qty_exp: 8,
            multiplier: 1,
            roles: all,
        };
        let core = MarketCore::new(config, recording, fold, UtcMicros(T0).tick())
            .with_bindings(vec![binding]);
        Self { core, out: Outputs::default(), venue }
    }

    fn to(&mut self, ms: i64) {
        self.core.advance(at_ms(ms), &mut NoBooks, &mut self.out).unwrap();
    }

    fn trade_in(&self, ms: i64, trade_id: i64) -> DerivTradeIn {
        DerivTradeIn {
            venue: self.venue,
            symbol: symbol(PERP),
            conn_id: 7,
            trade_id,
            uid: None,
            side: Side::Sell,
            kind: DerivTradeKind::Fill,
            price: dec("100"),
            qty: dec("2"),
            ts_exchange: at_ms(ms),
        }
    }

    fn trade(&mut self, ms: i64, trade_id: i64, kind: DerivTradeKind) {
        self.to(ms);
        let trade = DerivTradeIn { kind, ..self.trade_in(ms, trade_id) };
        self.core.deriv_trade(at_ms(ms), trade, &mut self.out);
    }

    fn quote(&mut self, ms: i64, order: i64, bid: &str) {
        self.to(ms);
        let quote = DerivQuoteIn {
            venue: self.venue,
            symbol: symbol(PERP),
            conn_id: 7,
            order: Some(order),
            ts_exchange: at_ms(ms),
            bid: Some(dec(bid)),
            ask: Some(dec("200")),
            last: None,
            bid_qty: Some(dec("1")),
            ask_qty: Some(dec("1")),
            volume_24h: None,
            change_pct_24h: None,
        };
        self.core.deriv_quote(at_ms(ms), quote);
    }

    fn state(&mut self, ms: i64, conn_id: i16, rate: &str) {
        self.to(ms);
        let state = DerivStateIn {
            venue: self.venue,
            symbol: symbol(PERP),
            conn_id,
            order: Some(ms),
            ts_exchange: at_ms(ms),
            mark_price: Some(dec("100.1234567890123")),
            index_price: Some(dec("100")),
            funding: Some((dec(rate), 28_800)),
            next_funding_at: Some(at_ms(3_600_000)),
            open_interest: Some(dec("5")),
        };
        self.core.deriv_state(at_ms(ms), state, &mut self.out);
    }

    /// First and last number and time of what is asked for.
    fn asked(&self) -> Vec<(i64, i64, UtcMicros)> {
        let asked = |note: &Note| match note {
            Note::DerivTradesMissing { first_id, last_id, until, .. } => {
                Some((*first_id, *last_id, *until))
            }
            _ => None,
        };
        self.out.notes.iter().filter_map(asked).collect()
    }

    fn events(&self) -> Vec<FrameEvent> {
        let frames = self.out.sealed.iter();
        frames.flat_map(|sealed| decode_frame(&sealed.frame).unwrap().1).collect()
    }

    fn flags(&self) -> Vec<bool> {
        let flag = match self.venue {
            Venue::BinanceUm => FrameFlags::DEGRADED_BINANCE_UM,
            Venue::KrakenFutures | Venue::KrakenSpot => FrameFlags::DEGRADED_KRAKEN_FUTURES,
        };
        let frames = self.out.sealed.iter();
        frames.map(|s| decode_frame(&s.frame).unwrap().0.flags.contains(flag)).collect()
    }

    fn trade_ids(&self) -> Vec<i64> {
        let trades = self.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::Trade(row) => Some(row.trade_id),
            _ => None,
        });
        trades.collect()
    }

    fn statuses(&self) -> Vec<(StatusKind, String)> {
        let rows = self.out.rows.iter().filter_map(|row| match &row.body {
            RawBody::Status(row) => Some((row.kind, row.detail.clone())),
            _ => None,
        });
        rows.collect()
    }
}

#[test]
fn a_trade_is_taken_once_and_a_jump_of_ids_is_a_gap_with_its_number() {
    let mut rig = Rig::new(Venue::BinanceUm);
    for (ms, id) in [(10, 5), (20, 6), (30, 6), (40, 5), (50, 10), (60, 11)] {
        rig.trade(ms, id, DerivTradeKind::Fill);
    }
    assert_eq!(rig.trade_ids(), [5, 6, 10, 11]);
    assert_eq!(rig.asked(), [(7, 9, at_ms(50))]);
    let fetched = |id: i64| DerivTradeIn { trade_id: id, conn_id: 0, ..rig.trade_in(70, id) };
    let [seven, eight, ten] = [7, 8, 10].map(fetched);
    assert!(rig.core.deriv_backfill(at_ms(70), &seven, &mut rig.out));
    assert!(!rig.core.deriv_backfill(at_ms(70), &seven, &mut rig.out), "once");
    assert!(rig.core.deriv_backfill(at_ms(70), &eight, &mut rig.out));
    assert!(!rig.core.deriv_backfill(at_ms(70), &ten, &mut rig.out), "it is there");
    let (venue, of) = (rig.venue, symbol(PERP));
    rig.core.deriv_backfill_ended(venue, &of, 7, at_ms(80), &mut rig.out);
    assert!(!rig.core.deriv_backfill(at_ms(90), &fetched_late(&eight), &mut rig.out), "closed");
    let recovered = r#"{"backfilled":2,"missing":1}"#.to_owned();
    assert_eq!(
        rig.statuses(),
        [(StatusKind::Gap, "{}".to_owned()), (StatusKind::Recovered, recovered)]
    );
    rig.to(250);
    assert_eq!(rig.flags(), [false], "a symbol's missing trades are no blindness of the venue");
    assert_eq!(rig.events().len(), 4, "what was fetched gives no event");
}

fn fetched_late(trade: &DerivTradeIn) -> DerivTradeIn {
    DerivTradeIn { trade_id: 9, ..trade.clone() }
}

#[test]
fn a_subscription_of_futures_brings_what_its_gap_lacks_and_the_rest_is_asked_for() {
    let mut rig = Rig::new(Venue::KrakenFutures);
    rig.trade(10, 5, DerivTradeKind::Fill);
    let sent = |id: i64, kind: DerivTradeKind| DerivTradeIn { kind, ..rig.trade_in(20, id) };
    let liquidation = sent(9, DerivTradeKind::Liquidation);
    let snapshot = vec![liquidation, sent(8, DerivTradeKind::Fill), sent(5, DerivTradeKind::Fill)];
    rig.core.deriv_snapshot(snapshot);
    rig.trade(30, 10, DerivTradeKind::Fill);
    assert_eq!(rig.trade_ids(), [5, 9, 8, 10]);
    assert_eq!(rig.asked(), [(6, 9, at_ms(30))]);
    let (venue, of) = (rig.venue, symbol(PERP));
    rig.core.deriv_backfill_ended(venue, &of, 6, at_ms(40), &mut rig.out);
    let recovered = r#"{"backfilled":2,"missing":2}"#.to_owned();
    assert_eq!(rig.statuses()[1], (StatusKind::Recovered, recovered));
    let forced = rig.out.rows.iter().any(|row| matches!(row.body, RawBody::Liquidation(_)));
    assert!(!forced, "a liquidation that came afterwards is a trade row alone");
    rig.to(250);
    assert_eq!(rig.events().len(), 2);
}

#[test]
fn a_gap_that_nobody_ends_is_closed_five_minutes_after_the_return() {
    let mut rig = Rig::new(Venue::BinanceUm);
    rig.trade(10, 5, DerivTradeKind::Fill);
    rig.trade(20, 7, DerivTradeKind::Fill);
    rig.to(300_000);
    assert_eq!(rig.statuses().len(), 1);
    rig.to(300_500);
    let recovered = r#"{"backfilled":0,"missing":1}"#.to_owned();
    assert_eq!(rig.statuses()[1], (StatusKind::Recovered, recovered));
}

#[test]
fn a_liquidation_of_futures_is_two_rows_and_two_events_and_other_kinds_are_none() {
    let mut rig = Rig::new(Venue::KrakenFutures);
    rig.trade(10, 1, DerivTradeKind::Liquidation);
    rig.trade(20, 2, DerivTradeKind::Other);
    rig.to(250);
    let streams: Vec<_> = rig.out.rows.iter().map(|row| row.stream().as_str()).collect();
    assert_eq!(streams, ["trade", "liquidation", "trade"]);
    let sources: Vec<u8> = rig.events().iter().map(|e| e.source).collect();
    assert_eq!(sources, [Source::Trade as u8, Source::Liquidation as u8]);
    assert!(rig.events().iter().all(|e| (e.flags, e.venue_seq) == (0, 1)), "sold, number 1");
}

#[test]
fn quotes_are_the_last_of_their_tick_and_older_states_are_dropped() {
    let mut rig = Rig::new(Venue::BinanceUm);
    rig.quote(10, 3, "100");
    rig.quote(20, 5, "101");
    rig.quote(30, 4, "99");
    rig.to(250);
    let bids: Vec<_> = rig
        .out
        .rows
        .iter()
        .filter_map(|row| match &row.body {
            RawBody::Ticker(ticker) => Some((row.ts_local, ticker.bid)),
            _ => None,
        })
        .collect();
    assert_eq!(bids, [(at_ms(20), Some(dec("101")))]);
    rig.to(500);
    assert_eq!(rig.out.rows.len(), 1, "nothing new, no row");
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn marks_are_rounded_once_and_polls_compete_by_their_time() {
    let mut rig = Rig::new(Venue::BinanceUm);
    rig.state(10, 7, "0.0000000000000000005");
    rig.state(10, 7, "0.1");
    rig.state(5, 0, "0.2");
    rig.to(250);
    let rows: Vec<_> = rig
        .out
        .rows
        .iter()
        .filter_map(|row| match &row.body {
            RawBody::DerivTicker(row) => Some((row.conn_id, row.mark_price, row.funding_rate)),
            _ => None,
        })
        .collect();
    let mark = Some(dec("100.123456789012"));
    assert_eq!(rows, [(7, mark, Some(dec("0"))), (0, mark, Some(dec("0.2")))]);
    let sources: Vec<u8> = rig.events().iter().map(|e| e.source).collect();
    let want = [Source::Mark, Source::OpenInterest, Source::Funding].map(|s| s as u8);
    assert_eq!(sources, want, "the older poll gives no event");
}

#[test]
fn the_ring_of_forced_orders_forgets_the_oldest_of_sixty_five() {
    let mut rig = Rig::new(Venue::BinanceUm);
    let mut force = |ms: i64| {
        let order = ForcedOrderIn {
            venue: Venue::BinanceUm,
            symbol: symbol(PERP),
            conn_id: 7,
            side: Side::Buy,
            price: dec("100"),
            qty: dec("1"),
            ts_exchange: at_ms(ms),
        };
        rig.core.forced_order(at_ms(0), order, &mut rig.out);
        rig.out.rows.len()
    };
    for n in 0..64 {
        force(n);
    }
    assert_eq!((force(0), force(63)), (64, 64), "doubles");
    assert_eq!(force(64), 65);
    assert_eq!(force(0), 66, "the first one has left the ring");
}

#[test]
fn a_start_and_a_loss_are_gaps_of_the_venue_and_a_rotation_is_none() {
    let mut rig = Rig::new(Venue::BinanceUm);
    let venue = rig.venue;
    rig.core.deriv_blind(venue, "start", at_ms(0), at_ms(0), &mut rig.out);
    rig.core.deriv_opened(venue, 7, "market-0", at_ms(10), &mut rig.out);
    rig.to(250);
    rig.core.deriv_whole(venue, "start", at_ms(260), &mut rig.out);
    rig.to(500);
    rig.quote(510, 1, "100");
    rig.state(520, 7, "0.1");
    rig.to(750);
    assert_eq!(rig.flags(), [true, true, false], "whole with the first values");
    rig.core.deriv_opened(venue, 8, "market-0", at_ms(760), &mut rig.out);
    rig.core.deriv_closed(7, "Rotated", true, at_ms(770), &mut rig.out);
    assert!(!rig.core.is_deriv_gap_open(venue));
    rig.core.deriv_heard(8, at_ms(800));
    rig.core.deriv_closed(8, "Closed", false, at_ms(900), &mut rig.out);
    assert!(rig.core.is_deriv_gap_open(venue));
    let gap = rig.out.rows.iter().rev().find_map(|row| match &row.body {
        RawBody::Status(row) => Some((row.kind, row.conn_id, row.gap_from)),
        _ => None,
    });
    assert_eq!(gap, Some((StatusKind::Gap, Some(8), Some(at_ms(800)))));
    rig.to(1_000);
    assert_eq!(rig.flags()[3..], [true]);
    let told: Vec<bool> = rig
        .out
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::DerivVenue { is_degraded, .. } => Some(*is_degraded),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false, true]);
    assert!(!rig.core.is_gap_open(), "the domain's own gaps are those of spot");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Each id is recorded once, and with the missing ones that gap rows count they are contiguous.
    #[test]
    fn ids_and_missing_ones_are_contiguous(ids in proptest::collection::vec(0i64..40, 1..80)) {
        let mut rig = Rig::new(Venue::KrakenFutures);
        for (n, id) in (0..).zip(&ids) {
            rig.trade(n, *id, DerivTradeKind::Fill);
        }
        // Nothing comes for the gaps that are open: five minutes later they are closed.
        rig.to(301_000);
        let mut taken = rig.trade_ids();
        // What the stream delivers late fills an open gap out of turn.
        taken.sort_unstable();
        prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
        let missing: i64 = rig.out.notes.iter().map(|note| match note {
            Note::DerivTradesBackfilled { missing, .. } => *missing,
            _ => 0,
        }).sum();
        let span = taken[taken.len() - 1] - taken[0] + 1;
        prop_assert_eq!(span, missing + i64::try_from(taken.len()).unwrap());
    }
}
