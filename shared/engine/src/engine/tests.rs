//! What a frame may be, what a fault does, and that a tick is one record per token.

use super::*;
use crate::config::{Class, InstrumentConfig, Profile, Roles};
use crate::frame_view::FrameView;
use crate::record::Record;
use penstock_types::frame::{FrameEvent, sha256};
use penstock_types::vocab::Venue;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn config() -> EngineConfig {
    let roles = Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() };
    let instrument = InstrumentConfig {
        venue: Venue::KrakenSpot,
        symbol: "A/USD".to_string(),
        roles,
        qty_exp: 3,
        multiplier: 1,
        funding_interval_h: 8,
    };
    let mut config = EngineConfig::default();
    for id in [2, 5] {
        let instruments = vec![instrument.clone()];
        config.tokens.push(config.token(id, "A", Class::Mea, Profile::SpotOnly, instruments));
    }
    config
}

fn event(token_id: u16, exchange_ts: i64, local_seq: u64) -> FrameEvent {
    FrameEvent {
        token_id,
        source: 0,
        venue: 0,
        flags: 1,
        instrument_id: 0,
        exchange_ts,
        venue_seq: 0,
        local_seq,
        a: 1_000_000_000_000,
        b: 1_000,
        c: 0,
        d: 0,
    }
}

fn frame(tick_id: u64, events: &[FrameEvent]) -> FrameView<'_> {
    FrameView { tick_id, flags: FrameFlags(0), is_gap_fill: false, events }
}

/// What a second frame gives after tick 100, and whether the engine is as it was before.
fn second(frame: &FrameView<'_>) -> (Result<(), &'static str>, bool) {
    let mut engine = Engine::new(&config()).unwrap();
    let mut out = engine.output();
    engine.step(&self::frame(100, &[]), &mut out).unwrap();
    let before = engine.chain();
    let result = engine.step(frame, &mut out).map_err(|fault| fault.code());
    let again = engine.step(&self::frame(101, &[]), &mut out).map_err(|fault| fault.code());
    assert_eq!(again.is_err(), result.is_err() || frame.tick_id == 101, "a fault is final");
    (result, engine.chain() == before && engine.last_tick() == Some(100))
}

#[test]
fn a_frame_that_is_not_the_next_one_changes_nothing() {
    let ts = 25_250_000;
    let good = [event(2, ts, 1), event(2, ts, 2), event(5, ts - 1, 1)];
    assert_eq!(second(&frame(101, &good)), (Ok(()), false));
    let with = |at: usize, change: fn(&mut FrameEvent)| {
        let mut events = good;
        change(&mut events[at]);
        events
    };
    for (tick, events, code) in [
        (100, good, "E_FRAME_TICK"),
        (102, good, "E_FRAME_TICK"),
        (101, with(1, |e| e.local_seq = 1), "E_FRAME_ORDER"),
        (101, with(1, |e| e.exchange_ts -= 1), "E_FRAME_ORDER"),
        (101, with(0, |e| e.token_id = 5), "E_FRAME_ORDER"),
        (101, with(2, |e| e.token_id = 6), "E_FRAME_TOKEN"),
        (101, with(0, |e| e.token_id = 1), "E_FRAME_TOKEN"),
        (101, with(0, |e| e.instrument_id = 1), "E_FRAME_TOKEN"),
        (101, with(0, |e| e.venue = 1), "E_FRAME_TOKEN"),
        (101, with(2, |e| e.source = 6), "E_FRAME_TOKEN"),
    ] {
        assert_eq!(second(&frame(tick, &events)), (Err(code), true), "{code}");
    }
    let many = vec![event(2, ts, 1); 262_145];
    assert_eq!(second(&frame(101, &many)).0, Err("E_FRAME_OVERFLOW"));
}

#[test]
fn numbers_that_the_contract_excludes_stop_the_engine_with_a_code() {
    let with = |change: fn(&mut FrameEvent)| {
        let mut one = event(2, 25_250_000, 1);
        change(&mut one);
        second(&frame(101, &[one])).0
    };
    assert_eq!(with(|e| e.a = 0), Err("E_INVARIANT"));
    assert_eq!(with(|e| e.b = -1), Err("E_INVARIANT"));
    assert_eq!(with(|e| e.exchange_ts = 0), Err("E_INVARIANT"));
    assert_eq!(with(|e| (e.source, e.a, e.b) = (1, 7, 7)), Err("E_INVARIANT"));
    assert_eq!(with(|e| (e.source, e.a) = (2, 0)), Err("E_INVARIANT"));
    assert_eq!(with(|e| (e.source, e.b) = (3, 0)), Err("E_INVARIANT"));
    assert_eq!(with(|e| (e.source, e.a) = (4, -1)), Err("E_INVARIANT"));
    assert_eq!(with(|e| (e.a, e.b) = (i64::MAX, i64::MAX)), Err("E_ARITH"));
}

#[test]
fn a_tick_is_one_record_per_token_and_one_link_of_the_chain() {
    let config = config();
    let mut engine = Engine::new_cold(&config).unwrap();
    assert_eq!(engine.chain(), config.sha256());
    let mut out = engine.output();
    let mut chain = config.sha256().to_vec();
    for tick in 100..110 {
        engine.step(&frame(tick, &[]), &mut out).unwrap();
        let records: Vec<Record> =
            out.records.iter().map(|bytes| Record::decode(bytes).unwrap()).collect();
        let ids: Vec<u16> = records.iter().map(|record| record.token_id).collect();
        assert_eq!((ids, out.tick_id), (vec![2, 5], tick));
        for record in &records {
            assert_eq!(record.tick_id, tick);
            let flags = record.flags;
            assert_eq!(flags.contains(TokenFlags::COLD_START), tick == 100);
            assert_eq!(flags.contains(TokenFlags::CLUSTER_TICK), tick % 4 == 0);
            let always = TokenFlags::WARMUP
                .with(TokenFlags::BOOK_STALE)
                .with(TokenFlags::FLOW_QUIET)
                .with(TokenFlags::SUPPRESS_ALERTS);
            assert!(flags.contains(always));
            // What is not bound is not stale.
            assert!(!flags.contains(TokenFlags::OI_STALE));
        }
        chain.extend(out.records.concat());
        chain = sha256(&chain).to_vec();
        assert_eq!(engine.chain().to_vec(), chain);
        assert_eq!(out.chain.to_vec(), chain);
    }
}

#[test]
fn flags_of_the_frame_stand_in_every_record() {
    let mut engine = Engine::new(&config()).unwrap();
    let mut out = engine.output();
    let flags = FrameFlags::SESSION_START.with(FrameFlags::DEGRADED_KRAKEN_SPOT);
    let degraded = FrameView { flags, ..frame(100, &[]) };
    engine.step(&degraded, &mut out).unwrap();
    let flags_of = |bytes: &[u8; 64]| Record::decode(bytes).unwrap().flags;
    let want = TokenFlags::SESSION_START.with(TokenFlags::DEGRADED);
    assert!(out.records.iter().all(|bytes| flags_of(bytes).contains(want)));
    engine.step(&FrameView::gap(101), &mut out).unwrap();
    let want = TokenFlags::GAP_FILL.with(TokenFlags::DEGRADED);
    assert!(out.records.iter().all(|bytes| flags_of(bytes).contains(want)));
    // A venue that the token does not need is none of its business.
    let other = FrameView { flags: FrameFlags::DEGRADED_BINANCE_UM, ..frame(102, &[]) };
    engine.step(&other, &mut out).unwrap();
    assert!(out.records.iter().all(|bytes| !flags_of(bytes).contains(TokenFlags::DEGRADED)));
}

#[test]
fn a_view_says_what_the_records_say() {
    let mut engine = Engine::new(&config()).unwrap();
    let mut view = Vec::new();
    engine.view(&mut view);
    assert!(view.is_empty());
    let mut out = engine.output();
    for tick in 100..1_000_u64 {
        let ts = i64::try_from(tick * 250_000).unwrap();
        engine.step(&frame(tick, &[event(2, ts, tick)]), &mut out).unwrap();
    }
    engine.view(&mut view);
    assert_eq!(view.len(), 2);
    for (token, bytes) in view.iter().zip(&out.records) {
        let record = Record::decode(bytes).unwrap();
        assert_eq!((token.tick_id.0, token.token_id), (999, record.token_id));
        assert_eq!((token.fsm_state, token.tier), (record.fsm_state, record.tier));
        assert_eq!((token.scores, token.trigger_cost), (record.scores, record.trigger_cost));
        assert_eq!((token.flags, token.direction), (record.flags, record.direction));
        assert_eq!(token.state_age_ticks, 900);
        assert_eq!((token.cluster_id, token.effective_cost), (2, record.trigger_cost));
    }
    assert_eq!(view[0].ohlc_1m.forming.close, 1_000_000_000_000);
    assert_eq!(view[1].ohlc_1m.forming.count, 0);
}
