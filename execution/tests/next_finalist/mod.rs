//! The next finalist behind one that the last look before its submit refused, with and without an AI gate.
//!
//! Inputs: a market in which two symbols break out; the better one is made quiet between the read of a cycle and its
//! second read. Outputs: what was sent and what is kept. Invariants: the gate is the simulated endpoint over real HTTP.

use penstock_execution::cycle::decided;
use penstock_sim::ai::{Behaviour, Options, Script, Step, start};
use penstock_store_decision::ai_gate::{self, DecisionRecords};
use penstock_trading::decide::{Outcome, decide};
use penstock_trading::fixtures::hot;
use penstock_types::{EvaluationId, Symbol};

use super::*;

/// The better of the two that break out, by the order of symbols: everything else of them is equal.
const FIRST: usize = N - 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_one_that_the_last_look_refuses_the_next_is_asked_about_and_sent() {
    let sim = start(Options { seed: 7, script: Script::always(Step::Exactly(Behaviour::Allow)) });
    let sim = sim.await.unwrap();
    let more = format!(
        "corr_missing_action = \"allow\"\nai_dec = 1\nai_gate_base_url = \"{}\"\nai_gate_model = \"{}\"\n",
        sim.address.url, sim.address.model
    );
    let key = ("AI_GATE_API_KEY".to_owned(), sim.address.api_key.clone());
    let mut rig =
        Rig::set(|pair, dir| rig::settings_with(pair, dir, true, &more, [key].into())).await;
    let cycle = refused_once(&mut rig).await;
    // then: the second was asked about as well, and both have rows as the stored input derives them
    assert_eq!(cycle.input.ai_answers.len(), 2);
    let asked: Vec<_> = cycle.kept.gate.iter().map(|row| (row.enabled, row.attempt)).collect();
    assert_eq!(asked, [(true, 1), (true, 1)]);
    let counts = sim.stop().await;
    assert_eq!(counts.refused, 0, "{counts:?}");
    cycle.is_whole();
}

/// Without returns the second waits for the place of the first; no gate is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_returns_is_sent_in_the_place_of_one_that_is_refused() {
    let mut rig = Rig::new(true).await;
    let cycle = refused_once(&mut rig).await;
    assert_eq!(cycle.input.ai_answers, []);
    let asked: Vec<_> = cycle.kept.gate.iter().map(|row| (row.enabled, row.attempt)).collect();
    assert_eq!(asked, [(false, 0), (false, 0)], "each proposal has its record once");
    cycle.is_whole();
}

/// A generation that is gone is gone for all: nobody else is asked about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_is_gone_gives_no_place_to_the_next() {
    let mut rig = Rig::new(true).await;
    let mut evaluator = rig.evaluator();
    rig.market.epoch(1).await.unwrap();
    rig.market.spoiled = Some((symbol(FIRST), hot));
    let context = rig.session.context.clone();
    let reader = reading(&context);
    let n = rig.until_executed(&mut evaluator, 1).await;
    let ending = rig.market.pool.clone();
    rig.between_reads(async move { set_ingest_lease(&ending, -1).await });
    rig.publish(n).await;
    let done = evaluator.evaluate(Trigger::Generation).await;
    assert!(!matches!(done, Evaluated::Done { verdict: Verdict::Executed, .. }), "{done:?}");
    let (input, _, again) = rig.newest_cycle().await;
    assert_eq!((again.len(), input.refused.len()), (1, 0));
    context.end.cancel();
    reader.await.unwrap();
}

/// A cycle as it is kept.
struct Kept {
    id: EvaluationId,
    config_hash: String,
    input: CycleInput,
    outcome: Outcome,
    outcome_hash: String,
    kept: DecisionRecords,
}

impl Kept {
    /// The stored input gives the stored decision again, and its rows.
    fn is_whole(&self) {
        assert_eq!(self.outcome.outcome_hash().unwrap(), self.outcome_hash);
        let Self { id, config_hash, input, outcome, kept, .. } = self;
        let derived = decided::rows(input, outcome, Vec::new(), *id, config_hash);
        let ids = |rows: &DecisionRecords| {
            let mut ids: Vec<_> =
                rows.decisions.iter().map(|row| row.decision.decision_id.clone()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(kept), ids(&derived));
        assert_eq!(derived.decisions.len(), 2);
        assert_eq!((kept.snapshots.len(), kept.verdicts.len()), (2, 2));
        assert!(kept.selection.is_some());
    }
}

/// Runs a session until one entry is sent; then the first finalist is made quiet behind the read of the next cycle,
/// which has to send the second.
async fn refused_once(rig: &mut Rig) -> Kept {
    let mut evaluator = rig.evaluator();
    rig.market.epoch(1).await.unwrap();
    rig.market.spoiled = Some((symbol(FIRST), hot));
    let context = rig.session.context.clone();
    let reader = reading(&context);
    // given: the first of the two is what is sent
    let n = rig.until_executed(&mut evaluator, 1).await;
    assert_eq!(sent(rig), [symbol(FIRST)]);
    // when
    let pool = context.pool.clone();
    rig.between_reads(async move { make_quiet(&pool, &symbol(FIRST)).await });
    rig.publish(n).await;
    let done = evaluator.evaluate(Trigger::Generation).await;
    // then
    assert!(matches!(done, Evaluated::Done { verdict: Verdict::Executed, .. }), "{done:?}");
    assert_eq!(sent(rig), [symbol(FIRST), symbol(N - 1)]);
    let (input, verdict, again) = rig.newest_cycle().await;
    assert_eq!(verdict, "executed");
    let chokes: Vec<_> = again.iter().map(|again| again.choke.clone()).collect();
    assert_eq!(chokes, [serde_json::json!({ "skip": "SYMBOL_QUIET" }), serde_json::json!("allow")]);
    let config = &context.settings.decide;
    let outcome = decide(&input, config);
    let plans: Vec<_> = outcome.plans().map(|plan| plan.decision_id.clone()).collect();
    assert_eq!((input.refused.as_slice(), plans.len()), (&plans[..1], 2));
    let requests = rig.account.requests.lock().unwrap().clone();
    assert_eq!(Some(&requests[1].plan), outcome.plans().nth(1));
    let id = requests[1].evaluation_id;
    let kept = ai_gate::of_evaluation(&context.pool, id).await.unwrap();
    let outcome_hash: String =
        sqlx::query_scalar("select outcome_hash from cycle_inputs where evaluation_id = $1")
            .bind(id.0)
            .fetch_one(&context.pool)
            .await
            .unwrap();
    context.end.cancel();
    reader.await.unwrap();
    Kept {
        id,
        config_hash: context.settings.config_hash.clone(),
        input,
        outcome,
        outcome_hash,
        kept,
    }
}

fn sent(rig: &Rig) -> Vec<Symbol> {
    rig.account.requests.lock().unwrap().iter().map(|r| r.plan.symbol.clone()).collect()
}

async fn make_quiet(pool: &PgPool, symbol: &Symbol) {
    sqlx::query(
        "insert into symbol_safety_state (symbol, cause, mode, primary_reason, expires_at, since,
             updated_at, updated_by)
         values ($1, 'order_reject', 'quiet', 'test', clock_timestamp() + interval '1 hour',
             clock_timestamp(), clock_timestamp(), 'execution')",
    )
    .bind(symbol.as_str())
    .execute(pool)
    .await
    .unwrap();
}
