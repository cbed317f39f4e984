//! The engine's gates before real entries: a token in its warm-up closes them, shadow only says so, a symbol
//! without a token is neutral, and every row carries the view that it was decided with.

use std::sync::Arc;
use std::time::Duration;

use penstock_execution::cycle::{Evaluated, Evaluator};
use penstock_execution::engine::Engine;
use penstock_execution::quotes::run_reader;
use penstock_execution::wake::Wakes;
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_trading::engine_gate::{CoreState, EngineGates};
use penstock_trading::fixtures::symbol;
use penstock_types::vocab::{Trigger, Verdict};
use tokio::time::MissedTickBehavior;

use super::made::{config, spot_only};
use super::rig::{Ledgerless, N, PICTURE, market, session, settings, until};
use super::{engine_run, eventually};
use penstock_engine::config::{Class, Profile};

/// Evaluations of a session whose hot symbol has a token, or another one: verdicts and what was sent.
async fn evaluate(gates: EngineGates, bound: &str) -> (Vec<Verdict>, Seen) {
    let pair = TestPair::new().await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut market = market(&pair).await;
    let mut tokens = config(0);
    tokens.tokens.push(tokens.token(1, "T", Class::Gma, Profile::SpotOnly, spot_only()));
    let mut settings = settings(&pair, state.path(), true, "");
    settings.engine = Some(engine_run(root.path(), &tokens, &[bound]));
    let mut decide = (*settings.decide).clone();
    decide.engine_gates = gates;
    settings.decide = Arc::new(decide);
    let session = session(&pair, settings).await;
    let context = session.context.clone();
    let wakes = Arc::new(Wakes::default());
    let engine = Engine::start(&context, context.pool.clone(), &wakes).await.unwrap().unwrap();
    let reading = {
        let c = context.clone();
        tokio::spawn(async move {
            run_reader(c.pool.clone(), c.quotes.clone(), wakes, c.end.clone()).await;
        })
    };
    market.epoch(1).await.unwrap();
    let account = Arc::new(Ledgerless::default());
    let mut evaluator = Evaluator::new(context.clone(), Arc::clone(&account));
    let mut beat = tokio::time::interval(Duration::from_millis(260));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut verdicts = Vec::new();
    for n in 1..40 {
        beat.tick().await;
        let tick = market.frame(PICTURE).await.unwrap();
        market.generation(n, PICTURE).await.unwrap();
        until("the frame", || context.quotes.table().tick_id == tick).await;
        eventually("the tick", async || context.engine.last_tick() >= Some(tick)).await;
        eventually("the core", async || context.engine.core() == CoreState::Running).await;
        context.mode.judge();
        if let Evaluated::Done { verdict, .. } = evaluator.evaluate(Trigger::Generation).await {
            verdicts.push(verdict);
            // Enough is seen when something was sent, or when nothing but the engine's gate stands before it.
            let past_the_window = n > 12;
            if verdict == Verdict::Executed || (past_the_window && verdict != Verdict::ModeBlocked)
            {
                break;
            }
        }
    }
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let hot = symbol(N - 1);
    let (sent, plan_chain) = {
        let requests = account.requests.lock().unwrap();
        (
            requests.iter().map(|r| r.plan.symbol.clone()).collect(),
            requests.first().and_then(|r| r.plan.engine_chain.clone()),
        )
    };
    let seen = Seen {
        sent,
        plan_chain,
        is_closed: sqlx::query_scalar(
            "select 'EngineBlocked' = any(all_closed) from symbol_gates where symbol = $1",
        )
        .bind(hot.as_str())
        .fetch_one(&pool)
        .await
        .unwrap(),
        warming: sqlx::query_scalar(
            "select count(*) from evaluation_candidates
             where symbol = $1 and 'ENGINE_WARMUP' = any(reasons)",
        )
        .bind(hot.as_str())
        .fetch_one(&pool)
        .await
        .unwrap(),
        chains: sqlx::query_scalar(
            "select count(*) from evaluation_cycles
             where engine_tick_id is null or octet_length(engine_chain) is distinct from 8",
        )
        .fetch_one(&pool)
        .await
        .unwrap(),
        candidates: sqlx::query_scalar(
            "select count(*) from evaluation_candidates c join evaluation_cycles e
                 using (evaluation_id)
             where c.engine_tick_id is distinct from e.engine_tick_id",
        )
        .fetch_one(&pool)
        .await
        .unwrap(),
    };
    context.end.cancel();
    reading.await.unwrap();
    engine.stop().await;
    (verdicts, seen)
}

/// What an evaluation left behind.
#[derive(Debug)]
struct Seen {
    sent: Vec<penstock_types::Symbol>,
    plan_chain: Option<String>,
    /// The gate of the hot symbol is among its closed ones.
    is_closed: bool,
    /// Candidates of the hot symbol that its token's warm-up closed.
    warming: i64,
    /// Cycles without the engine's view.
    chains: i64,
    /// Candidates with another view than their cycle's.
    candidates: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_its_warm_up_closes_the_gate_of_its_symbol() {
    let hot = symbol(N - 1);
    let (verdicts, seen) = evaluate(EngineGates::Enforce, hot.as_str()).await;
    assert!(seen.sent.is_empty(), "{verdicts:?} {seen:?}");
    assert!(seen.is_closed && seen.warming > 0, "{verdicts:?} {seen:?}");
    assert_eq!((seen.chains, seen.candidates), (0, 0), "every cycle and candidate names its view");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_shadow_the_same_gate_is_only_said() {
    let hot = symbol(N - 1);
    let (verdicts, seen) = evaluate(EngineGates::Shadow, hot.as_str()).await;
    assert_eq!(verdicts.last(), Some(&Verdict::Executed), "{verdicts:?}");
    assert_eq!(seen.sent, std::slice::from_ref(&hot));
    assert_eq!(seen.plan_chain.as_ref().map(String::len), Some(16));
    assert!(!seen.is_closed && seen.warming == 0, "{seen:?}");
    assert_eq!((seen.chains, seen.candidates), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_without_a_token_is_neutral() {
    let (verdicts, seen) = evaluate(EngineGates::Enforce, symbol(0).as_str()).await;
    assert_eq!(verdicts.last(), Some(&Verdict::Executed), "{verdicts:?}");
    assert_eq!(seen.sent, [symbol(N - 1)]);
}
