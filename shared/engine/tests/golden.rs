//! The golden day's first hour has the pinned hashes; its records take legal edges only; its tokens are the same
//! alone as together.
//!
//! `scripts/golden-day` compares the whole day. After a deliberate change of a rule or default,
//! `scripts/golden-day --write` pins the new hashes; say in the change why.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;
mod edges;
mod golden_day;

use golden_day::{HOUR, TOKENS, flags};
use penstock_engine::record::Record;
use penstock_engine::{Engine, FrameView};
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, TokenFlags};
use penstock_types::frame::FrameEvent;
use std::collections::BTreeSet;

#[test]
fn d08_the_first_hour_of_the_golden_day_has_the_pinned_hashes() {
    let pinned = include_str!("golden.txt");
    let want: Vec<&str> = pinned.lines().filter(|line| !line.starts_with("day ")).collect();
    let got = golden_day::first_hour();
    let got: Vec<&str> = got.lines().collect();
    assert_eq!(got, want);
    assert_eq!(pinned.lines().filter(|line| line.starts_with("day file ")).count(), 30);
}

#[test]
fn d09_the_golden_hour_takes_legal_edges_only_and_is_not_dull() {
    let mut scanner = edges::Scanner::new(&golden_day::config());
    let mut kinds = BTreeSet::new();
    golden_day::run(HOUR, |_, out| {
        scanner.see(&out.records);
        kinds.extend(golden_day::kinds(out));
    });
    assert!(scanner.seen.len() == FsmState::ALL.len(), "{:?}", scanner.seen);
    assert!(kinds.into_iter().eq(["cluster", "phase", "token"]), "every machine moves");
}

#[test]
fn d09_restless_tokens_take_legal_edges_only() {
    let said = edges::wild(20_000);
    assert!(said.starts_with("600000 records, 6 token states"), "{said}");
}

/// What layers 2 to 5 of a token say in a record.
fn own_layers(record: &Record) -> Record {
    Record {
        cluster_state: ClusterState::Calm,
        event_phase: EventPhase::Mid,
        alert_mask: 0,
        flags: TokenFlags(record.flags.0 & !TokenFlags::PHASE_OVERRIDE.0),
        ..*record
    }
}

#[test]
fn d11_thirty_tokens_together_are_each_of_them_alone() {
    const TICKS: u64 = 8_000;
    let config = golden_day::config();
    let mut together = Vec::new();
    golden_day::run(TICKS, |_, out| together.extend_from_slice(&out.records));
    let mut day = golden_day::Day::new();
    let frames: Vec<(u64, Vec<FrameEvent>)> = (0..TICKS)
        .map(|_| {
            let (tick, events) = day.events();
            (tick, events.to_vec())
        })
        .collect();
    for at in 0..usize::from(TOKENS) {
        let mut single = config.clone();
        single.tokens = vec![config.tokens[at].clone()];
        single.events.retain(|event| event.cluster == single.tokens[0].cluster);
        let mut engine = Engine::new(&single).unwrap();
        let mut out = engine.output();
        let own = together.iter().skip(at).step_by(usize::from(TOKENS));
        let mut events = Vec::new();
        for (n, ((tick_id, all), expected)) in (0..).zip(frames.iter().zip(own)) {
            events.clear();
            let id = single.tokens[0].id;
            events.extend(all.iter().filter(|event| event.token_id == id));
            let frame = match flags(n) {
                Some(flags) => {
                    FrameView { tick_id: *tick_id, flags, is_gap_fill: false, events: &events }
                }
                None => FrameView::gap(*tick_id),
            };
            engine.step(&frame, &mut out).unwrap();
            let alone = own_layers(&Record::decode(&out.records[0]).unwrap());
            assert_eq!(alone, own_layers(&Record::decode(expected).unwrap()), "token {id}");
        }
    }
}
