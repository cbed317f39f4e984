//! The engine's gates: the order of the gates, the tables over all states, and what they do to a decision.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise")]

use penstock_trading::decide::DecideConfig;
use penstock_trading::decide::config::ProofConfig;
use penstock_trading::engine_gate::{
    CoreState, EngineCode, EngineCycle, EngineGates, EngineSeen, EngineToken, Verdict, judge,
    state_factor, verdict,
};
use penstock_trading::fixtures::{config, dec, input, symbol};
use penstock_trading::size::Limiter;
use penstock_trading::{CycleInput, decide};
use penstock_types::TickId;
use penstock_types::engine_view::{
    ClusterState, Direction, EventPhase, FsmState, Tier, TokenFlags,
};
use penstock_types::vocab::{Blocker, ReasonCode, Strategy};

const N: usize = 16;
const HOT: usize = N - 1;
const TICK: i64 = 7_084_972_800;

const CALM: EngineSeen = EngineSeen {
    fsm_state: FsmState::Build,
    state_age_ticks: 400,
    tier: Tier::Neutral,
    direction: Direction::Neutral,
    cluster_id: 1,
    cluster_state: ClusterState::Calm,
    event_phase: EventPhase::Mid,
    effective_cost: 900_000,
    flags: 0,
};

fn cycle(seen: Option<EngineSeen>) -> EngineCycle {
    EngineCycle {
        core: CoreState::Running,
        tick_id: Some(TickId(TICK)),
        chain: Some("0011223344556677".to_owned()),
        lag_ticks: 1,
        gap_tick: None,
        tokens: vec![EngineToken { symbol: symbol(HOT), token_id: 3, seen }],
    }
}

/// Size factors of Liquidity, Momentum and Volume; none is a block.
type Factors = [Option<i64>; 3];

/// The worked table of permissions, as it stands in the documents.
const TABLE: [(FsmState, Factors, Factors); 6] = [
    (FsmState::Build, [Some(10_000), Some(10_000), Some(10_000)], [Some(10_000); 3]),
    (
        FsmState::Pressure,
        [Some(7_500), None, Some(10_000)],
        [Some(7_500), Some(10_000), Some(10_000)],
    ),
    (FsmState::Fragile, [Some(5_000), None, Some(5_000)], [Some(5_000), Some(7_500), Some(5_000)]),
    (FsmState::TriggerReady, [None, None, None], [None, Some(5_000), None]),
    (FsmState::Unwind, [None, None, None], [None, Some(5_000), None]),
    (FsmState::Cooldown, [Some(5_000), None, Some(5_000)], [Some(5_000), None, Some(5_000)]),
];

#[test]
fn permissions_are_the_table_over_all_states_sides_and_strategies() {
    for (state, otherwise, long) in TABLE {
        for direction in Direction::ALL {
            let row = if *direction == Direction::Long { long } else { otherwise };
            for (strategy, want) in Strategy::ALL.iter().zip(row) {
                let found = state_factor(state, *direction, *strategy);
                assert_eq!(found, want, "{state:?} {direction:?} {strategy}");
            }
        }
    }
    assert_eq!(Strategy::ALL, [Strategy::Liquidity, Strategy::Momentum, Strategy::Volume]);
}

/// Every state, side, cluster, phase, cost zone and strategy: a block, or a factor in steps that never grows.
#[test]
fn over_everything_a_verdict_blocks_or_reduces_and_the_first_closed_gate_gives_the_code() {
    let mut seen_codes = std::collections::BTreeSet::new();
    for fsm_state in FsmState::ALL.iter().copied() {
        for direction in Direction::ALL.iter().copied() {
            for cluster_state in ClusterState::ALL.iter().copied() {
                for event_phase in EventPhase::ALL.iter().copied() {
                    for effective_cost in [0, 200_000, 200_001, 400_000, 400_001, 1_000_000] {
                        let seen = EngineSeen {
                            fsm_state,
                            direction,
                            cluster_state,
                            event_phase,
                            effective_cost,
                            ..CALM
                        };
                        for strategy in Strategy::ALL.iter().copied() {
                            let found = judge(&cycle(None), Some(&seen), strategy);
                            assert_eq!(found, expected(&seen, strategy), "{seen:?} {strategy}");
                            seen_codes.extend(found.code);
                        }
                    }
                }
            }
        }
    }
    let codes = [
        EngineCode::ClusterBlock,
        EngineCode::FsmBlock,
        EngineCode::DirectionBlock,
        EngineCode::CostBlock,
    ];
    assert!(seen_codes.into_iter().eq(codes), "each gate closes somewhere");
}

/// The same rules once more, in fractions and written from the documents.
fn expected(seen: &EngineSeen, strategy: Strategy) -> Verdict {
    let block = |code| Verdict { code: Some(code), size_factor: 0 };
    if seen.cluster_state == ClusterState::Unwind {
        return block(EngineCode::ClusterBlock);
    }
    let row = TABLE.iter().find(|row| row.0 == seen.fsm_state).unwrap();
    let at = Strategy::ALL.iter().position(|one| *one == strategy).unwrap();
    let long = seen.direction == Direction::Long;
    let Some(state) = (if long { row.2[at] } else { row.1[at] }) else {
        return block(EngineCode::FsmBlock);
    };
    let late = ["FRAGILE", "TRIGGER_READY", "UNWIND"].contains(&seen.fsm_state.name());
    if late && seen.direction == Direction::Short {
        return block(EngineCode::DirectionBlock);
    }
    if seen.effective_cost <= 200_000 && !(strategy == Strategy::Momentum && long) {
        return block(EngineCode::CostBlock);
    }
    let cluster = match seen.cluster_state.name() {
        "CLUSTER_CALM" => 100,
        "CLUSTER_HEATING" => 80,
        _ => 50,
    };
    let phase = match seen.event_phase.name() {
        "EVENT_PREP" | "EVENT_MID" => 100,
        "EVENT_START" => 75,
        _ => 50,
    };
    let zone = if seen.effective_cost > 400_000 { 100 } else { 50 };
    let exact = state * cluster * phase * zone / 1_000_000;
    let size_factor = exact - exact % 500;
    if size_factor < 2_500 {
        return block(EngineCode::FsmBlock);
    }
    Verdict { code: None, size_factor }
}

#[test]
fn freshness_comes_first_then_the_data_and_each_has_its_code() {
    let code = |change: &dyn Fn(&mut EngineCycle, &mut EngineSeen)| {
        // Every later gate is closed too: the earlier one gives the code.
        let mut seen = EngineSeen { cluster_state: ClusterState::Unwind, ..CALM };
        let mut cycle = cycle(None);
        change(&mut cycle, &mut seen);
        judge(&cycle, Some(&seen), Strategy::Volume).code
    };
    assert_eq!(code(&|_, _| ()), Some(EngineCode::ClusterBlock));
    assert_eq!(code(&|c, _| c.core = CoreState::Failed), Some(EngineCode::Failed));
    assert_eq!(code(&|c, _| c.core = CoreState::Behind), Some(EngineCode::Stale));
    assert_eq!(code(&|c, _| c.lag_ticks = 8), Some(EngineCode::ClusterBlock));
    assert_eq!(code(&|c, _| c.lag_ticks = 9), Some(EngineCode::Stale));
    let flag = |flag: TokenFlags| code(&|_, s| s.flags = flag.0);
    assert_eq!(flag(TokenFlags::WARMUP.with(TokenFlags::DEGRADED)), Some(EngineCode::Warmup));
    for data in [TokenFlags::DEGRADED, TokenFlags::BOOK_STALE, TokenFlags::GAP_FILL] {
        assert_eq!(flag(data), Some(EngineCode::Degraded));
    }
    for other in [TokenFlags::MARK_STALE, TokenFlags::FLOW_QUIET, TokenFlags::ANOMALY] {
        assert_eq!(flag(other), Some(EngineCode::ClusterBlock));
    }
    let gap = |ago: i64| code(&|c, _| c.gap_tick = Some(TickId(TICK - ago)));
    assert_eq!((gap(239), gap(240)), (Some(EngineCode::Degraded), Some(EngineCode::ClusterBlock)));
    assert_eq!(judge(&cycle(None), None, Strategy::Volume).code, Some(EngineCode::Stale));
}

#[test]
fn a_symbol_without_a_token_and_a_cycle_without_an_engine_are_neutral() {
    let mut failed = cycle(None);
    failed.core = CoreState::Failed;
    assert_eq!(verdict(Some(&failed), &symbol(0), Strategy::Volume), Verdict::NEUTRAL);
    assert_eq!(verdict(None, &symbol(HOT), Strategy::Volume), Verdict::NEUTRAL);
    assert_eq!(
        verdict(Some(&failed), &symbol(HOT), Strategy::Volume).code,
        Some(EngineCode::Failed)
    );
}

fn with(gates: EngineGates, engine: EngineCycle) -> (CycleInput, DecideConfig) {
    let i = CycleInput { engine: Some(engine), ..input(N) };
    (i, DecideConfig { engine_gates: gates, ..config() })
}

#[test]
fn a_closed_gate_takes_the_entry_in_enforce_and_is_only_said_in_shadow() {
    let unwinding = EngineSeen { cluster_state: ClusterState::Unwind, ..CALM };
    let (i, c) = with(EngineGates::Off, cycle(Some(unwinding)));
    let off = decide(&i, &c);
    let plan = off.plans().next().unwrap();
    assert_eq!(plan.symbol, symbol(HOT));
    assert_eq!((&plan.engine_tick_id, &plan.engine_chain), (&None, &None));
    assert!(off.engine_blocks.is_empty());

    let (i, c) = with(EngineGates::Shadow, cycle(Some(unwinding)));
    let shadow = decide(&i, &c);
    let plan = shadow.plans().next().unwrap();
    assert_eq!(plan.qty, off.plans().next().unwrap().qty);
    assert_eq!(plan.engine_tick_id, Some(TickId(TICK)));
    assert_eq!(plan.engine_chain.as_deref(), Some("0011223344556677"));
    let block = shadow.engine_blocks.iter().find(|b| b.symbol == symbol(HOT)).unwrap();
    assert_eq!((block.code, block.seen), (EngineCode::ClusterBlock, Some(unwinding)));

    let (i, c) = with(EngineGates::Enforce, cycle(Some(unwinding)));
    let enforced = decide(&i, &c);
    assert!(enforced.plans().all(|p| p.symbol != symbol(HOT)));
    assert_eq!(enforced.engine_blocks, shadow.engine_blocks);
    let pair = enforced.pairs.iter().find(|p| p.symbol == symbol(HOT)).unwrap();
    assert!(pair.blockers.contains(&Blocker::EngineBlocked) && !pair.tradable);
    let candidate = enforced.candidates.iter().find(|c| c.symbol == symbol(HOT)).unwrap();
    assert!(candidate.reasons.contains(&ReasonCode::EngineClusterBlock));
    let gate = enforced.gates.iter().find(|g| g.symbol == symbol(HOT)).unwrap();
    assert!(gate.closed.contains(&Blocker::EngineBlocked));
    if gate.blocker == Some(Blocker::EngineBlocked) {
        assert_eq!(gate.reason, Some(ReasonCode::EngineClusterBlock));
    }
    // A stored input gives an equal decision.
    let stored: CycleInput = serde_json::from_str(&serde_json::to_string(&i).unwrap()).unwrap();
    assert_eq!(decide(&stored, &c).outcome_hash().unwrap(), enforced.outcome_hash().unwrap());
}

#[test]
fn a_factor_reduces_the_size_of_the_symbol_alone_and_nothing_else() {
    let (i, c) = with(EngineGates::Enforce, cycle(Some(CALM)));
    let whole = decide(&i, &c);
    let heated = EngineSeen { cluster_state: ClusterState::Heating, ..CALM };
    let (i, c) = with(EngineGates::Enforce, cycle(Some(heated)));
    let reduced = decide(&i, &c);
    let (a, b) = (whole.plans().next().unwrap(), reduced.plans().next().unwrap());
    assert_eq!((&a.symbol, &b.symbol), (&symbol(HOT), &symbol(HOT)));
    let finalist = reduced.finalists.iter().find(|f| f.symbol == symbol(HOT)).unwrap();
    assert_eq!(finalist.limiter, Limiter::Engine);
    let ratio = b.size_quote_approved / a.size_quote_approved;
    assert_eq!(ratio.round_dp(3), dec("0.8"));
    assert!(b.qty < a.qty);
    assert_eq!(a.size_quote_requested, b.size_quote_requested);
}

/// A proof run forces what fails for economic reasons; the engine is none of them.
#[test]
fn no_proof_run_waives_a_gate_of_the_engine() {
    let unwinding = EngineSeen { cluster_state: ClusterState::Unwind, ..CALM };
    let (i, mut c) = with(EngineGates::Enforce, cycle(Some(unwinding)));
    c.proof = Some(ProofConfig { max_order_quote: dec("20"), allow_negative_edge: true });
    let forced = decide(&i, &c);
    assert!(forced.finalists.iter().all(|f| f.symbol != symbol(HOT)));
}
