//! Exits by the deterministic engine: an unwinding token brings the stop nearer once, and closes a loser; in shadow
//! both are only said.

use std::path::Path;
use std::time::Instant;

use penstock_telemetry::{LogOptions, LogTarget, Service};
use penstock_trading::engine_gate::EngineGates;
use penstock_types::engine_view::{
    Candles, ClusterState, Direction, DivergenceLabel, EngineHealth, EngineView, EventPhase,
    FsmState, Scores, Tier, TokenFlags, TokenView,
};
use penstock_types::{Decimal, TickId};

use super::{LIMIT, LOOK, PLAN, POSITION, World, until_changed};
use crate::account::EntryOutcome;

const STOP: &str = "select trim_scale(sl_price)::text from exit_plans";
const ON_EXCHANGE: &str = "select trim_scale(stop_price_on_exchange)::text from exit_plans";
const REASON: &str = "select exit_reason from realized_pnl order by id desc limit 1";

impl World {
    /// The engine has executed a tick and sees the token in this state, entered at tick 100.
    fn engine_sees(&self, tick: i64, state: FsmState, direction: Direction) {
        let tick_id = TickId(tick);
        let token = TokenView {
            tick_id,
            token_id: 1,
            fsm_state: state,
            state_age_ticks: (tick - 100).unsigned_abs(),
            cycle_id: 0,
            tier: Tier::Neutral,
            trigger_cost: 900_000,
            effective_cost: 900_000,
            cost_density: 0,
            cost_divergence: 0,
            cost_elasticity: 0,
            cost_compression: 0,
            direction,
            cluster_id: 1,
            cluster_state: ClusterState::Calm,
            cluster_valid: true,
            heat: 0,
            event_phase: EventPhase::Mid,
            confidence: 0,
            divergence_label: DivergenceLabel::None,
            flags: TokenFlags(0),
            scores: Scores::default(),
            ohlc_1m: Candles::default(),
            ohlc_5m: Candles::default(),
        };
        let view = EngineView {
            last_tick: tick_id,
            lag_ticks: 0,
            state_chain: [7; 32],
            health: EngineHealth::Ok,
            gap_tick: None,
            tokens: vec![token],
        };
        self.engine.sealed(tick_id);
        self.engine.caught_up();
        // A frame far ahead of its time: however slow the machine is, the view does not age.
        self.engine.publish(view, -3_600_000, Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unwinding_token_brings_the_stop_nearer_once_and_closes_a_loser() {
    // given a position in profit, its token in an ordinary state
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let bought = world.mid_ticks;
    world.quote(bought + bought / 500, 1);
    world.engine_sees(100, FsmState::TriggerReady, Direction::Short);
    let before = world.word(ON_EXCHANGE).await;

    // when it unwinds to the short side
    world.engine_sees(101, FsmState::Unwind, Direction::Short);
    let nearer = until_changed(&world, ON_EXCHANGE, &before).await;
    let level = |text: &str| text.parse::<Decimal>().unwrap();
    assert!(level(&nearer) > level(&before), "{before} {nearer}");

    // then that was all for this spell, whatever its side does meanwhile
    let tightened = world.word(STOP).await;
    world.engine_sees(102, FsmState::Unwind, Direction::Neutral);
    world.engine_sees(103, FsmState::Unwind, Direction::Short);
    world.engine_sees(130, FsmState::Unwind, Direction::Short);
    world.until_word("plan", PLAN, "trailing").await;
    assert_eq!(world.word(STOP).await, tightened, "once");

    // and when the profit is gone while it goes on, the position closes
    world.quote(bought - bought / 50_000, 1);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "engine_exit").await;
    world.agrees().await;
    session.kill().await;
}

/// Reviews that a desk in shadow has said; that of another test says `enforce`.
fn shadows(log: &Path) -> Vec<serde_json::Value> {
    penstock_telemetry::flush();
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|l| l["marker"] == "ENGINE_EXIT_REVIEW" && l["mode"] == "shadow").collect()
}

async fn until_said(log: &Path, count: usize) -> Vec<serde_json::Value> {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let said = shadows(log);
        if said.len() >= count {
            return said;
        }
        assert!(Instant::now() < end, "{count} reviews wanted, said: {said:?}");
        looks.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_shadow_a_review_says_what_it_would_have_done_and_does_nothing() {
    // given the same position under gates in shadow, and a log that this test reads
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log.jsonl");
    let _log = penstock_telemetry::init(LogOptions {
        service: Service::Execution,
        domain: "test".to_owned(),
        filter: "info".to_owned(),
        target: LogTarget::File(log.clone()),
    })
    .unwrap();
    let mut world = World::new().await;
    world.gates = EngineGates::Shadow;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let bought = world.mid_ticks;
    world.quote(bought + bought / 500, 1);
    world.engine_sees(100, FsmState::TriggerReady, Direction::Short);
    let before = (world.word(STOP).await, world.word(ON_EXCHANGE).await);

    // when its token unwinds, and when the profit is gone while it goes on
    world.engine_sees(101, FsmState::Unwind, Direction::Short);
    let said = until_said(&log, 1).await;
    let level = |value: &serde_json::Value| value.as_str().unwrap().parse::<Decimal>().unwrap();
    assert_eq!((&said[0]["action"], &said[0]["engine_tick_id"]), (&"tighten".into(), &101.into()));
    assert_eq!(level(&said[0]["old_sl"]), before.0.parse::<Decimal>().unwrap());
    assert!(level(&said[0]["new_sl"]) > level(&said[0]["old_sl"]), "{said:?}");
    world.engine_sees(130, FsmState::Unwind, Direction::Short);
    world.quote(bought - bought / 50_000, 1);
    let said = until_said(&log, 2).await;
    assert_eq!((&said[1]["action"], &said[1]["new_sl"]), (&"close".into(), &().into()));

    // then the stop stands where it stood, and it is the stop that ends the position
    assert_eq!((world.word(STOP).await, world.word(ON_EXCHANGE).await), before);
    assert_eq!(world.word(PLAN).await, "armed");
    assert_eq!(world.word(POSITION).await, "open");
    world.fall_through_stop();
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "SL_hit").await;
    assert_eq!(shadows(&log).len(), 2, "a spell says each of both once: {:?}", shadows(&log));
    world.agrees().await;
    session.kill().await;
}
