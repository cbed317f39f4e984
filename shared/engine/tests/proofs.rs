//! What makes the engine verifiable: empty ticks, phase offsets, independence of tokens, no feedback, gaps,
//! equal runs, and sources without a branch for a mode.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::config::{Class, EventConfig, Profile};
use penstock_engine::frame_view::order_key;
use penstock_engine::record::Record;
use penstock_engine::{Engine, EngineConfig, FrameView, expand_gap};
use penstock_types::engine_view::TokenFlags;
use penstock_types::frame::{FrameEvent, FrameFlags};

/// Events of each tick, made once.
fn frames(markets: &mut [Market], first: u64, ticks: u64) -> Vec<Vec<FrameEvent>> {
    (first..first + ticks)
        .map(|tick| {
            let mut events = Vec::new();
            for market in markets.iter_mut() {
                market.tick(tick, &mut events);
            }
            events
        })
        .collect()
}

fn view(tick_id: u64, events: &[FrameEvent]) -> FrameView<'_> {
    FrameView { tick_id, flags: FrameFlags(0), is_gap_fill: false, events }
}

/// Records of every tick, and the chain.
fn replay(
    config: &EngineConfig,
    frames: &[Vec<FrameEvent>],
    first: u64,
) -> (Vec<Record>, [u8; 32]) {
    let mut engine = Engine::new(config).unwrap();
    let mut out = engine.output();
    let mut records = Vec::new();
    for (tick, events) in (first..).zip(frames) {
        engine.step(&view(tick, events), &mut out).unwrap();
        records.extend(out.records.iter().map(|bytes| Record::decode(bytes).unwrap()));
    }
    (records, engine.chain())
}

/// Two tokens, and a third without derivative.
fn mixed() -> (EngineConfig, Vec<Market>) {
    let mut config = config(2);
    let spot = config.token(3, "T3", Class::Mspc, Profile::SpotOnly, spot_only());
    config.tokens.push(spot);
    let markets = vec![
        Market::new(1, w1(), 1),
        Market::new(2, vec![CALM, PUMP, Segment { ticks: 90 * MINUTE, ..CALM }], 2),
        Market::spot(3, w1(), 3),
    ];
    (config, markets)
}

/// What layers 2 to 5 of a token say in a record.
fn own_layers(record: &Record) -> Record {
    let shared = TokenFlags::PHASE_OVERRIDE.0;
    Record {
        cluster_state: penstock_types::engine_view::ClusterState::Calm,
        event_phase: penstock_types::engine_view::EventPhase::Mid,
        alert_mask: 0,
        flags: TokenFlags(record.flags.0 & !shared),
        ..*record
    }
}

#[test]
fn d12_the_same_frames_give_the_same_bytes_and_other_frames_do_not() {
    let (config, mut markets) = mixed();
    let mut frames = frames(&mut markets, NOON, 6_000);
    let first = replay(&config, &frames, NOON);
    assert_eq!(replay(&config, &frames, NOON), first);
    let touched = frames[3_000].iter_mut().find(|event| event.source == 0).unwrap();
    touched.b += 1;
    assert_ne!(replay(&config, &frames, NOON).1, first.1);
}

/// Books, marks and funding that a tick also brought, before its last ones, within the canonical order.
fn unconflated(events: &[FrameEvent], random: &mut Stream) -> Vec<FrameEvent> {
    let mut all = events.to_vec();
    for event in events.iter().filter(|event| [1, 2, 5].contains(&event.source)) {
        // Within the millisecond before it, each at a time of its own.
        for place in 0..random.below(4) {
            let mut earlier = *event;
            earlier.exchange_ts -= 1 + place * 300 + random.below(300);
            earlier.a += random.below(1_000_000_000);
            earlier.b += i64::from(event.source == 1) * (1_000_000_000 + random.below(1_000_000));
            all.push(earlier);
        }
    }
    all.sort_by_key(|event| (event.token_id, order_key(event)));
    all
}

/// The last of each kind that conflation keeps.
fn conflated(events: &[FrameEvent]) -> Vec<FrameEvent> {
    let key = |event: &FrameEvent| (event.token_id, event.instrument_id, event.source);
    let is_last = |at: usize| events[at + 1..].iter().all(|later| key(later) != key(&events[at]));
    let kept =
        (0..events.len()).filter(|at| ![1, 2, 5].contains(&events[*at].source) || is_last(*at));
    kept.map(|at| events[at]).collect()
}

#[test]
fn d04_conflated_and_whole_batches_give_the_same_records() {
    let (config, mut markets) = mixed();
    let kept = frames(&mut markets, NOON, 7_500);
    let mut random = Stream::new(3);
    let whole: Vec<Vec<FrameEvent>> =
        kept.iter().map(|events| unconflated(events, &mut random)).collect();
    let count = |frames: &[Vec<FrameEvent>]| frames.iter().map(Vec::len).sum::<usize>();
    assert!(count(&whole) > count(&kept) + 20_000);
    let again: Vec<Vec<FrameEvent>> = whole.iter().map(|events| conflated(events)).collect();
    assert_eq!(again, kept, "conflation keeps what the market sent last");
    assert_eq!(replay(&config, &whole, NOON), replay(&config, &kept, NOON));
}

#[test]
fn d05_empty_ticks_decay_every_score_to_nothing() {
    let (config, mut markets) = mixed();
    let frames = frames(&mut markets, NOON, 28 * MINUTE);
    let mut engine = Engine::new(&config).unwrap();
    let mut out = engine.output();
    for (tick, events) in (NOON..).zip(&frames) {
        engine.step(&view(tick, events), &mut out).unwrap();
    }
    let start = Record::decode(&out.records[0]).unwrap().scores;
    assert!(start.pressure > 400_000 && start.fragile > 400_000);
    let mut last = None;
    // Windows hold what they saw for a minute, funding counts for two hours; nothing may rise meanwhile.
    for tick in NOON + 28 * MINUTE..NOON + 150 * MINUTE {
        engine.step(&view(tick, &[]), &mut out).unwrap();
        assert_eq!(out.records.len(), 3);
        let scores = Record::decode(&out.records[0]).unwrap().scores;
        if tick < NOON + 30 * MINUTE {
            continue;
        }
        if let Some(last) = last {
            let penstock_types::engine_view::Scores { pressure, fragile, trigger, unwind } = last;
            assert!(scores.pressure <= pressure && scores.fragile <= fragile);
            assert!(scores.trigger <= trigger && scores.unwind <= unwind);
        }
        last = Some(scores);
    }
    let end = last.unwrap();
    assert_eq!(end, penstock_types::engine_view::Scores::default());
}

#[test]
fn d07_the_tick_at_which_an_engine_begins_is_forgotten() {
    let mut markets = [Market::new(1, vec![Segment { ticks: 60 * MINUTE, ..CALM }], 5)];
    let frames = frames(&mut markets, NOON, 18 * MINUTE);
    let tail = usize::try_from(MINUTE).unwrap();
    let config = config(1);
    let of = |offset: usize| {
        let first = NOON + u64::try_from(offset).unwrap();
        let (records, _) = replay(&config, &frames[offset..], first);
        records[records.len() - tail..].to_vec()
    };
    let aligned = of(0);
    // The partial minute leaves the baselines after fifteen closed ones.
    for offset in 1..240 {
        assert_eq!(of(offset), aligned, "offset {offset}");
    }
}

#[test]
fn d11_a_token_together_with_others_is_the_token_alone() {
    let (mut config, mut markets) = mixed();
    // Tokens share thresholds only where they are equal: one has its own, memories too.
    let plain = config.clone();
    (config.tokens[1].fsm.h1, config.tokens[1].fsm.decay_pressure) = (30, 7_000);
    let alone_frames: Vec<Vec<Vec<FrameEvent>>> = markets
        .clone()
        .iter_mut()
        .map(|market| frames(std::slice::from_mut(market), NOON, 7_500))
        .collect();
    let (together, _) = replay(&config, &frames(&mut markets, NOON, 7_500), NOON);
    for (at, frames) in alone_frames.iter().enumerate() {
        let mut single = config.clone();
        single.tokens = vec![config.tokens[at].clone()];
        let (alone, _) = replay(&single, frames, NOON);
        let own = together.iter().skip(at).step_by(3);
        assert!(own.map(own_layers).eq(alone.iter().map(own_layers)), "token {}", at + 1);
    }
    let (shared, _) = replay(&plain, &frames(&mut mixed().1, NOON, 7_500), NOON);
    let of = |all: &[Record], at: usize| -> Vec<_> {
        all.iter().skip(at).step_by(3).map(|record| record.scores.pressure).collect()
    };
    assert_ne!(of(&shared, 1), of(&together, 1), "its own memory shows");
    assert_eq!((of(&shared, 0), of(&shared, 2)), (of(&together, 0), of(&together, 2)));
}

#[test]
fn d10_nothing_of_a_cluster_flows_back_into_a_token() {
    let (config, mut markets) = mixed();
    let frames = frames(&mut markets, NOON, 7_500);
    let (plain, plain_chain) = replay(&config, &frames, NOON);
    let mut other = config.clone();
    for (path, value) in [("cluster.c1", 1), ("cluster.c2", 1), ("cluster.min_members", 1)] {
        assert!(other.set(path, value));
    }
    other.events.push(EventConfig {
        id: "e".to_owned(),
        cluster: 1,
        prep: NOON + 10,
        start: NOON + 20,
        mid: NOON + 30,
        end: NOON + 7_000,
        post: NOON + 7_400,
    });
    let (changed, changed_chain) = replay(&other, &frames, NOON);
    assert_ne!(plain_chain, changed_chain);
    assert!(changed.iter().any(|r| r.cluster_state.code() > 0));
    assert!(changed.iter().any(|r| r.event_phase.code() > 2));
    assert!(plain.iter().map(own_layers).eq(changed.iter().map(own_layers)));
}

#[test]
fn d20_a_gap_is_the_same_as_its_empty_ticks_and_leaves_no_hole() {
    let (config, mut markets) = mixed();
    let frames = frames(&mut markets, NOON, 12_000);
    for missing in [1_u64, 239, 3_600] {
        let (cut, resume) = (5_000, 5_000 + usize::try_from(missing).unwrap());
        let run = |by_hand: bool| {
            let mut engine = Engine::new(&config).unwrap();
            let mut out = engine.output();
            let mut ticks = Vec::new();
            let mut step = |frame: &FrameView<'_>| {
                engine.step(frame, &mut out).unwrap();
                let record = Record::decode(&out.records[0]).unwrap();
                ticks.push((record.tick_id, record.flags.contains(TokenFlags::GAP_FILL)));
            };
            for (tick, events) in (NOON..).zip(&frames[..cut]) {
                step(&view(tick, events));
            }
            let next = NOON + u64::try_from(resume).unwrap();
            if by_hand {
                (NOON + 5_000..next).for_each(|tick| step(&FrameView::gap(tick)));
            } else {
                expand_gap(NOON + 4_999, next, 345_600).unwrap().for_each(|gap| step(&gap));
            }
            for (tick, events) in (next..).zip(&frames[resume..resume + 500]) {
                step(&view(tick, events));
            }
            (ticks, engine.chain())
        };
        let (ticks, chain) = run(false);
        assert_eq!(run(true), (ticks.clone(), chain));
        let filled = ticks.iter().filter(|(_, is_gap)| *is_gap).count();
        assert_eq!(u64::try_from(filled).unwrap(), missing);
        assert!(ticks.iter().map(|(tick, _)| *tick).eq(NOON..NOON + 5_500 + missing));
    }
    assert!(expand_gap(0, 345_601, 345_600).is_ok());
    assert_eq!(expand_gap(0, 345_602, 345_600).unwrap_err().code(), "E_GAP_TOO_LONG");
}

#[test]
fn d20_a_whole_missing_day_is_executed_and_one_tick_more_is_refused() {
    let (config, mut markets) = mixed();
    let frames = frames(&mut markets, NOON, 1_000);
    let most = u64::try_from(config.gap_fill_max_ticks).unwrap();
    let mut engine = Engine::new(&config).unwrap();
    let mut out = engine.output();
    for (tick, events) in (NOON..).zip(&frames) {
        engine.step(&view(tick, events), &mut out).unwrap();
    }
    let (last, mut filled) = (NOON + 999, 0);
    for gap in expand_gap(last, last + 1 + most, most).unwrap() {
        engine.step(&gap, &mut out).unwrap();
        filled += 1;
        let record = Record::decode(&out.records[2]).unwrap();
        assert_eq!(record.tick_id, last + filled);
        assert!(
            record.flags.contains(TokenFlags::GAP_FILL)
                && record.flags.contains(TokenFlags::DEGRADED)
        );
    }
    assert_eq!((filled, engine.last_tick()), (345_600, Some(last + most)));
    engine.step(&view(last + most + 1, &[]), &mut out).unwrap();
    let refused = expand_gap(last, last + 2 + most, most).unwrap_err();
    assert_eq!(refused.code(), "E_GAP_TOO_LONG");
}

#[test]
fn d23_the_sources_know_no_mode_and_no_float() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root];
    let mut files = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            files += 1;
            for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
                let other = line.replace("cfg(test)", "").replace("not(test)", "");
                assert!(!other.contains("cfg("), "{}: {line}", path.display());
                for word in [["f", "64"], ["f", "32"], ["Hash", "Map"], ["un", "safe"]] {
                    assert!(!line.contains(&word.concat()), "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(files > 30);
}
