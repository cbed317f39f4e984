//! A scanner of records: no token, cluster or phase moves but along an edge of its table.
//!
//! Input: records tick by tick. Output: nothing, or a panic that names the record. Invariants: it reads what is
//! written and shares with the engine only the tables of edges; a cluster moves on cluster ticks alone; members
//! of a cluster agree on its state and phase.

use super::common::{CALM, CASCADE, Market, PUMP, STACKING, Segment, Stream, TENSION, config};
use penstock_engine::config::EventConfig;
use penstock_engine::record::Record;
use penstock_engine::{Engine, EngineConfig, FrameView, cluster, fsm, phase};
use penstock_types::engine_view::{EventPhase, FsmState};
use penstock_types::frame::FrameFlags;
use std::collections::{BTreeMap, BTreeSet};

/// Where the tokens stood in the last tick.
#[derive(Default)]
pub(crate) struct Scanner {
    last: Vec<Record>,
    clusters: Vec<u8>,
    /// Token states that were seen.
    pub(crate) seen: BTreeSet<FsmState>,
    /// Moves of tokens, clusters and phases.
    pub(crate) moves: [u64; 3],
}

impl Scanner {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let clusters = config.tokens.iter().map(|token| token.cluster).collect();
        Self { clusters, ..Self::default() }
    }

    /// Judges a tick's records against those of the tick before.
    pub(crate) fn see(&mut self, records: &[[u8; 64]]) {
        let now: Vec<Record> = records.iter().map(|bytes| Record::decode(bytes).unwrap()).collect();
        let mut agreed: BTreeMap<u8, (u8, u8)> = BTreeMap::new();
        for (record, cluster) in now.iter().zip(&self.clusters) {
            let own = (record.cluster_state.code(), record.event_phase.code());
            assert_eq!(*agreed.entry(*cluster).or_insert(own), own, "{record:?}");
            self.seen.insert(record.fsm_state);
        }
        for (before, after) in self.last.iter().zip(&now) {
            assert_eq!(before.tick_id + 1, after.tick_id, "{after:?}");
            if before.fsm_state != after.fsm_state {
                let is_edge = |edge| fsm::next(before.fsm_state, edge) == Some(after.fsm_state);
                assert!(fsm::Edge::ALL.into_iter().any(is_edge), "{before:?} {after:?}");
                self.moves[0] += 1;
            }
            if before.cluster_state != after.cluster_state {
                let to = Some(after.cluster_state);
                let is_edge = |edge| cluster::next(before.cluster_state, edge) == to;
                assert!(cluster::ClusterEdge::ALL.into_iter().any(is_edge), "{before:?} {after:?}");
                assert_eq!(after.tick_id % 4, 0, "{after:?}");
                self.moves[1] += 1;
            }
            if before.event_phase != after.event_phase {
                let next_event =
                    (before.event_phase, after.event_phase) == (EventPhase::Post, EventPhase::Prep);
                let follows = phase::next(before.event_phase) == Some(after.event_phase);
                assert!(follows || next_event, "{before:?} {after:?}");
                self.moves[2] += 1;
            }
        }
        self.last = now;
    }
}

/// Open interest and price stay within this much of where they began, millionths: a venue sends none below zero.
const DRIFT_MAX: i64 = 300_000;

/// A market that changes its mind every few minutes, within what venues can send; now and then it goes the whole
/// way to a cascade, which chance alone would take years to find.
fn restless(token_id: u16, seed: u64, ticks: u64) -> Market {
    let mut random = Stream::new(seed);
    let mut script = Vec::new();
    let (mut total, mut oi, mut drift) = (0, 0, 0);
    let back = |value: i64, so_far: i64| {
        if so_far.abs() < DRIFT_MAX { value } else { value.abs() * -so_far.signum() }
    };
    while total < ticks {
        if random.below(8) == 0 {
            let calm = Segment { ticks: 8 * 240, ..CALM };
            for s in [calm, PUMP, STACKING, TENSION, CASCADE] {
                total += s.ticks;
                let span = i64::try_from(s.ticks).unwrap();
                (oi, drift) = (oi + s.oi * span / 240, drift + s.drift * span / 240);
                script.push(s);
            }
        }
        let mut s = Segment {
            ticks: 40 + u64::try_from(random.below(1_200)).unwrap(),
            every: 1 + u64::try_from(random.below(4)).unwrap(),
            trades: random.below(6),
            qty: 10 + random.below(20_000),
            buys: random.below(10_001),
            wave: 1 + random.below(3_000),
            drift: random.below(40_001) - 20_000,
            half_spread: 1 + random.below(1_000),
            oi: random.below(40_001) - 20_000,
            funding: random.below(4_000_000_000) - 2_000_000_000,
            mark: random.below(10_001) - 5_000,
            liq: random.below(2_500),
        };
        (s.oi, s.drift) = (back(s.oi, oi), back(s.drift, drift));
        total += s.ticks;
        let span = i64::try_from(s.ticks).unwrap();
        (oi, drift) = (oi + s.oi * span / 240, drift + s.drift * span / 240);
        script.push(s);
    }
    Market::new(token_id, script, seed)
}

/// Runs thirty restless tokens for `ticks` ticks and scans every record; a sentence about what was seen.
pub(crate) fn wild(ticks: u64) -> String {
    const FIRST: u64 = 7_084_800_000;
    let mut config = config(30);
    for (at, token) in (0_u8..).zip(&mut config.tokens) {
        token.cluster = 1 + at / 6;
    }
    let mut at = FIRST;
    while at < FIRST + ticks {
        config.events.push(EventConfig {
            id: format!("e{}", config.events.len()),
            cluster: 1,
            prep: at + 100,
            start: at + 1_000,
            mid: at + 9_000,
            end: at + 15_000,
            post: at + 19_000,
        });
        at += 20_000;
    }
    // Restless tokens break more often when it takes less.
    for token in &mut config.tokens {
        (token.fsm.p1, token.fsm.f1, token.fsm.t1) = (300_000, 300_000, 300_000);
        (token.fsm.h5, token.fsm.rebuild_dwell) = (240, 240);
    }
    let mut engine = Engine::new(&config).unwrap_or_else(|error| panic!("{error}"));
    let mut out = engine.output();
    let mut markets: Vec<Market> =
        (1..=30).map(|id| restless(id, u64::from(id) * 13, ticks)).collect();
    let mut scanner = Scanner::new(&config);
    let mut events = Vec::new();
    for tick_id in FIRST..FIRST + ticks {
        events.clear();
        markets.iter_mut().for_each(|market| market.tick(tick_id, &mut events));
        let frame =
            FrameView { tick_id, flags: FrameFlags(0), is_gap_fill: false, events: &events };
        engine.step(&frame, &mut out).unwrap_or_else(|fault| panic!("{fault}"));
        scanner.see(&out.records);
    }
    let [tokens, clusters, phases] = scanner.moves;
    format!(
        "{} records, {} token states, moves of {tokens} tokens, {clusters} clusters, {phases} phases: every one along an edge",
        ticks * 30,
        scanner.seen.len(),
    )
}
