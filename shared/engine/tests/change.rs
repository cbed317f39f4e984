//! Another configuration between two ticks: what is the same goes on as if nothing had happened, what is new begins
//! anew, and a phase goes on only while its event is scheduled as it was.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::config::EventConfig;
use penstock_engine::record::Record;
use penstock_engine::{Engine, EngineConfig, FrameView, TickOutput};
use penstock_types::engine_view::{EventPhase, FsmState};
use penstock_types::frame::FrameFlags;

/// First tick under the other configuration: the walk is under way.
const CHANGE: u64 = NOON + 25 * MINUTE + 1;

fn event(cluster: u8) -> EventConfig {
    EventConfig {
        id: "listing".to_owned(),
        cluster,
        prep: NOON - 2_000,
        start: NOON - 1_000,
        mid: NOON + 100_000,
        end: NOON + 200_000,
        post: NOON + 300_000,
    }
}

struct Run {
    engine: Engine,
    out: TickOutput,
    markets: Vec<Market>,
}

impl Run {
    fn new(config: &EngineConfig) -> Self {
        let engine = Engine::new(config).unwrap();
        let mut later = w1();
        later[0].ticks += 80;
        let markets = vec![Market::new(1, w1(), 7), Market::new(2, later, 9)];
        Self { out: engine.output(), engine, markets }
    }

    /// Executes ticks up to `until`, with the events of the tokens that the configuration has.
    fn to(&mut self, until: u64) -> Vec<Vec<Record>> {
        let mut all = Vec::new();
        let ids: Vec<u16> = self.engine.config().tokens.iter().map(|token| token.id).collect();
        for tick in self.engine.last_tick().map_or(NOON, |last| last + 1)..until {
            let mut events = Vec::new();
            for market in &mut self.markets {
                market.tick(tick, &mut events);
            }
            events.retain(|event| ids.contains(&event.token_id));
            let flags = FrameFlags(0);
            let view = FrameView { tick_id: tick, flags, is_gap_fill: false, events: &events };
            self.engine.step(&view, &mut self.out).unwrap();
            all.push(self.out.records.iter().map(|one| Record::decode(one).unwrap()).collect());
        }
        all
    }

    fn change(&mut self, config: &EngineConfig) {
        self.engine = self.engine.changed(config).unwrap();
        self.out = self.engine.output();
    }
}

#[test]
fn the_same_configuration_changes_nothing() {
    let mut config = config(2);
    let cluster = config.tokens[0].cluster;
    config.events.push(event(cluster));
    let (mut plain, mut changed) = (Run::new(&config), Run::new(&config));
    plain.to(CHANGE);
    changed.to(CHANGE);
    changed.change(&config);
    assert_eq!(changed.engine.chain(), plain.engine.chain());
    assert_eq!(changed.to(CHANGE + 2_000), plain.to(CHANGE + 2_000));
    assert_eq!(changed.engine.chain(), plain.engine.chain());
}

#[test]
fn a_token_goes_on_beside_one_that_goes_and_one_that_comes() {
    let both = config(2);
    let mut first = both.clone();
    first.tokens.truncate(1);
    let (mut plain, mut other) = (Run::new(&both), Run::new(&both));
    let before = plain.to(CHANGE);
    assert_ne!(before.last().unwrap()[0].fsm_state, FsmState::Build, "the walk is under way");
    other.to(CHANGE);
    other.change(&first);
    let features = |record: &Record| (record.scores, record.trigger_cost, record.fsm_state);
    for (alone, together) in other.to(CHANGE + 500).iter().zip(plain.to(CHANGE + 500)) {
        assert_eq!(alone.len(), 1);
        assert_eq!(features(&alone[0]), features(&together[0]));
    }
    // It comes back as one that was never there.
    other.change(&both);
    let back = other.to(CHANGE + 1_000);
    let fresh = {
        let mut run = Run::new(&both);
        run.engine.start_at(CHANGE + 500).unwrap();
        run.markets = Run::new(&both).markets;
        let mut skipped = Vec::new();
        for tick in NOON..CHANGE + 500 {
            run.markets.iter_mut().for_each(|market| market.tick(tick, &mut skipped));
        }
        run.to(CHANGE + 1_000)
    };
    for (back, fresh) in back.iter().zip(&fresh) {
        assert_eq!(features(&back[1]), features(&fresh[1]));
    }
}

#[test]
fn a_token_with_other_instruments_begins_anew() {
    let config = config(1);
    let mut other = config.clone();
    other.tokens[0].instruments[0].multiplier += 1;
    let mut run = Run::new(&config);
    run.to(CHANGE);
    run.change(&other);
    let first = run.to(CHANGE + 1).remove(0).remove(0);
    assert_eq!(first.fsm_state, FsmState::Build);
}

#[test]
fn a_phase_goes_on_with_its_event_and_begins_by_time_with_another_one() {
    let mut config = config(2);
    let cluster = config.tokens[0].cluster;
    config.events.push(event(cluster));
    let phase = |events: Vec<EventConfig>| {
        let mut other = config.clone();
        other.events = events;
        let mut run = Run::new(&config);
        let before = run.to(NOON + 9).pop().unwrap()[0].event_phase;
        assert_eq!(before, EventPhase::Start);
        run.change(&other);
        run.to(NOON + 10).remove(0)[0].event_phase
    };
    let later = EventConfig { id: "later".to_owned(), prep: NOON + 400_000, ..event(cluster) };
    let later = EventConfig {
        start: NOON + 500_000,
        mid: NOON + 600_000,
        end: NOON + 700_000,
        post: NOON + 800_000,
        ..later
    };
    assert_eq!(phase(vec![event(cluster), later.clone()]), EventPhase::Start);
    assert_eq!(phase(vec![later]), EventPhase::Prep);
    assert_eq!(phase(vec![]), EventPhase::Mid);
    let moved = EventConfig { mid: NOON + 5, ..event(cluster) };
    assert_eq!(phase(vec![moved]), EventPhase::Mid);
}
