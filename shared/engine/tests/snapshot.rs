//! A snapshot is transparent: an engine that went through bytes gives the bytes of one that did not; and what
//! the records alone say is derived from them again.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::config::EventConfig;
use penstock_engine::record::Record;
use penstock_engine::snapshot::{LogPosition, SnapshotContext, SnapshotError, SnapshotView, seal};
use penstock_engine::{Engine, EngineConfig, FrameView, Retrace, Retraced};
use penstock_types::engine_view::{FsmState, TokenFlags};
use penstock_types::frame::FrameFlags;

fn event_config() -> EngineConfig {
    let mut config = config(3);
    for token in &mut config.tokens[..2] {
        token.cluster = 16;
    }
    config.events.push(EventConfig {
        id: "listing".to_owned(),
        cluster: 16,
        prep: NOON - 2_000,
        start: NOON - 1_000,
        mid: NOON + 100_000,
        end: NOON + 200_000,
        post: NOON + 300_000,
    });
    config
}

fn markets() -> [Market; 3] {
    let mut later = w1();
    later[0].ticks += 80;
    let calm = vec![Segment { ticks: 150 * MINUTE, ..CALM }];
    [Market::new(1, w1(), 7), Market::new(2, later, 7), Market::new(3, calm, 5)]
}

fn context(tick: u64) -> SnapshotContext {
    let log = |segment| LogPosition { segment, offset: 64 * (tick - NOON + 2), record_crc: 7 };
    SnapshotContext {
        frame_seq: tick - NOON + 1,
        frame_sha256: [3; 32],
        run_id: 17,
        fencing_token: 5,
        logs: vec![log(0), log(0), log(1)],
    }
}

/// Steps two engines through the walk of an event; the second goes through bytes every `every` ticks.
fn walk(every: u64, ticks: u64) -> usize {
    let config = event_config();
    let (mut plain, mut through) = (Engine::new(&config).unwrap(), Engine::new(&config).unwrap());
    let (mut out, mut other) = (plain.output(), plain.output());
    let (mut markets, mut events) = (markets(), Vec::new());
    let (mut bytes, mut again) = (Vec::new(), Vec::new());
    let (mut view, mut other_view) = (Vec::new(), Vec::new());
    let mut transitions = 0;
    for tick in NOON..NOON + ticks {
        events.clear();
        for market in &mut markets {
            market.tick(tick, &mut events);
        }
        let frame =
            FrameView { tick_id: tick, flags: FrameFlags(0), is_gap_fill: false, events: &events };
        plain.step(&frame, &mut out).unwrap();
        through.step(&frame, &mut other).unwrap();
        assert_eq!(out, other, "tick {}", tick - NOON);
        transitions += out.transitions.len();
        if tick % every == 0 {
            plain.export(&context(tick), &mut bytes);
            through.export(&context(tick), &mut again);
            assert!(bytes == again, "snapshot of tick {}", tick - NOON);
            let (imported, said) = Engine::import(&config, &again).unwrap();
            assert_eq!(said, context(tick));
            through = imported;
            through.export(&context(tick), &mut again);
            assert!(bytes == again, "snapshot of the imported engine, tick {}", tick - NOON);
            plain.view(&mut view);
            through.view(&mut other_view);
            assert_eq!(view, other_view);
        }
    }
    transitions
}

#[test]
fn a_copy_of_the_state_is_a_snapshot_once_it_is_sealed() {
    let config = event_config();
    let mut engine = Engine::new(&config).unwrap();
    engine.start_at(NOON).unwrap();
    let (mut whole, mut copy) = (Vec::new(), Vec::new());
    engine.export(&context(NOON), &mut whole);
    engine.copy_out(&context(NOON), &mut copy);
    assert!(Engine::import(&config, &copy).is_err(), "nothing checks what is not sealed");
    seal(&mut copy);
    assert_eq!(copy, whole);
    seal(&mut copy);
    assert_eq!(copy, whole, "sealed twice");
    for len in 0..=300 {
        let mut short = whole[..len].to_vec();
        seal(&mut short);
        assert!(Engine::import(&config, &short).is_err(), "{len} bytes are no snapshot");
    }
}

/// Two hours: warm-up, the whole walk of an event, and the way back.
#[test]
fn d13_an_engine_that_goes_through_bytes_every_tick_gives_the_same_bytes() {
    assert!(walk(1, 28_800) >= 20);
}

#[test]
fn a_start_before_the_first_frame_is_a_snapshot_too() {
    let config = event_config();
    for cold in [false, true] {
        let new = if cold { Engine::new_cold } else { Engine::new };
        let (mut plain, mut started) = (new(&config).unwrap(), new(&config).unwrap());
        started.start_at(NOON).unwrap();
        let mut bytes = Vec::new();
        started.export(&SnapshotContext::default(), &mut bytes);
        let (mut imported, _) = Engine::import(&config, &bytes).unwrap();
        let (mut out, mut other) = (plain.output(), plain.output());
        for tick in NOON..NOON + 3 {
            let frame =
                FrameView { tick_id: tick, flags: FrameFlags(0), is_gap_fill: false, events: &[] };
            plain.step(&frame, &mut out).unwrap();
            imported.step(&frame, &mut other).unwrap();
            assert_eq!(out, other);
            let flags = Record::decode(&out.records[0]).unwrap().flags;
            assert_eq!(flags.contains(TokenFlags::COLD_START), cold && tick == NOON);
        }
    }
    assert!(Engine::new(&config).unwrap().start_at(0).is_err());
}

fn sample() -> (EngineConfig, Vec<u8>) {
    let config = event_config();
    let mut engine = Engine::new(&config).unwrap();
    let mut out = engine.output();
    for tick in NOON..NOON + 5 {
        engine.step(&FrameView::gap(tick), &mut out).unwrap();
    }
    let mut bytes = Vec::new();
    engine.export(&context(NOON + 4), &mut bytes);
    (config, bytes)
}

#[test]
fn the_layout_is_the_written_one() {
    let (config, bytes) = sample();
    assert_eq!(bytes.len(), 256 + 2 * 128 + 3 * 2_304 + 32);
    assert_eq!(&bytes[..8], b"ESNP\0\x01\0\x01");
    assert_eq!(u64::from_le_bytes(bytes[8..16].try_into().unwrap()), NOON + 4);
    assert_eq!(&bytes[16..32], [[3, 0, 0, 0], [2, 0, 0, 0], [0, 9, 0, 0], [128, 0, 0, 0]].concat());
    assert_eq!(&bytes[32..64], config.sha256());
    assert_eq!(&bytes[64..69], b"0.1.0");
    assert_eq!((bytes[256], bytes[384]), (1, 16));
    let token = &bytes[512 + 2 * 2_304..];
    assert_eq!((&token[..2], &token[16..18]), (&[3, 0][..], &[1, 0][..]));
    let logs: Vec<_> = SnapshotView::new(&bytes).unwrap().logs().collect();
    assert_eq!(logs[2], (3, context(NOON + 4).logs[2]));
}

#[test]
fn d16_every_flipped_bit_of_a_snapshot_is_named() {
    let (config, bytes) = sample();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = Engine::import(&config, &bad).unwrap_err();
        assert_eq!(error.code(), "E_SNAP_CHECKSUM", "bit {bit}");
        let in_header = bit / 8 >= 4 && bit / 8 < 172;
        let header = SnapshotError::Checksum { part: "header", index: 0 };
        assert!(!in_header || error == header, "bit {bit}: {error}");
    }
    for len in (0..bytes.len()).step_by(7) {
        assert_eq!(Engine::import(&config, &bytes[..len]).unwrap_err().code(), "E_SNAP_CHECKSUM");
    }
}

/// Changes bytes and makes every check right again.
fn forge(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut out = bytes[..bytes.len() - 32].to_vec();
    change(&mut out);
    let mut crc = |from: usize, len: usize, at: usize, whole: bool| {
        out[from + at..from + at + 4].fill(0);
        let end = if whole { len } else { at };
        let crc = penstock_types::frame::crc32c(&out[from..from + end]);
        out[from + at..from + at + 4].copy_from_slice(&crc.to_le_bytes());
    };
    crc(0, 256, 168, false);
    (0..2).for_each(|n| crc(256 + n * 128, 128, 65, true));
    (0..3).for_each(|n| crc(512 + n * 2_304, 2_304, 30, true));
    let hash = penstock_types::frame::sha256(&out);
    out.extend_from_slice(&hash);
    out
}

#[test]
fn what_is_whole_and_still_no_snapshot_of_this_engine_has_its_code() {
    let (config, bytes) = sample();
    assert_eq!(forge(&bytes, |_| {}), bytes);
    let code = |change: &dyn Fn(&mut [u8])| {
        Engine::import(&config, &forge(&bytes, change)).unwrap_err().code()
    };
    assert_eq!(code(&|b| b[5] = 2), "E_SNAP_VERSION");
    assert_eq!(code(&|b| b[40] ^= 1), "E_SNAP_CONFIG");
    assert_eq!(code(&|b| b[256] = 2), "E_SNAP_TOKENS");
    assert_eq!(code(&|b| b[512] = 9), "E_SNAP_TOKENS");
    assert_eq!(code(&|b| b[512 + 65] = 4), "E_SNAP_PHASE");
    assert_eq!(code(&|b| b[512 + 64] = 6), "E_INVARIANT");
    assert_eq!(code(&|b| b[512 + 64 + 28 + 3] = 0x7f), "E_INVARIANT");
    assert_eq!(code(&|b| b[256 + 4] = 2), "E_INVARIANT");
    // The oldest bucket of the first token has as many ticks as it can, and then one more.
    let ticks_at = 512 + 448;
    assert!(Engine::import(&config, &forge(&bytes, |b| b[ticks_at] = 20)).is_ok());
    assert_eq!(code(&|b| b[ticks_at] = 21), "E_INVARIANT");
    assert_eq!(code(&|b| b[ticks_at + 1] = 1), "E_INVARIANT");
    let mut more = config.clone();
    more.stale.book += 1;
    assert_eq!(Engine::import(&more, &bytes).unwrap_err().code(), "E_SNAP_CONFIG");
}

#[test]
fn d12_states_phases_and_alerts_follow_from_the_records_alone() {
    let config = event_config();
    let journal = run(&config, &mut markets(), NOON, 12_000, |_, _| {});
    let ticks: Vec<Vec<Record>> = journal
        .records
        .chunks(3)
        .map(|tick| tick.iter().map(|record| Record::decode(record).unwrap()).collect())
        .collect();
    let mut out = Retraced::default();
    let mut whole = Retrace::from_genesis(&config, NOON).unwrap();
    let mut alerts = Vec::new();
    for records in &ticks {
        whole.step(records, &mut out).unwrap();
        assert_eq!(&out.records, records);
        alerts.extend_from_slice(&out.alerts);
    }
    assert_eq!(alerts, journal.alerts);
    // Begun in the middle: exact after the quarter of an hour in which it counted.
    for from in [700, 4_000, 6_500, 7_300] {
        let mut late = Retrace::from_records(&config, &ticks[from]).unwrap();
        for (at, records) in ticks.iter().enumerate().skip(from + 1) {
            late.step(records, &mut out).unwrap();
            assert!(at < from + 3_600 || &out.records == records, "from {from}, tick {at}");
        }
    }
    // A state that does not follow is seen in its tick.
    let mut wrong = ticks[..300].to_vec();
    wrong[200][1].fsm_state = FsmState::Pressure;
    let mut trace = Retrace::from_genesis(&config, NOON).unwrap();
    let first = wrong.iter().position(|records| {
        trace.step(records, &mut out).unwrap();
        &out.records != records
    });
    assert_eq!(first, Some(200));
}
