//! The cycle on a real decision cluster: from a published generation to a submit and to a record that
//! repeats the decision.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod rig;

use std::sync::Arc;

use penstock_execution::cycle::stored::{read_input, repeats};
use penstock_execution::cycle::{Evaluated, Evaluator};
use penstock_execution::mode::run_watchdog;
use penstock_execution::quotes::run_reader;
use penstock_execution::wake::Wakes;
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_trading::fixtures::symbol;
use penstock_types::vocab::{SysMode, Trigger, Verdict};
use rig::{Ledgerless, Market, N, PICTURE, market, session, settings, until};

struct Rig {
    pair: TestPair,
    market: Market,
    session: penstock_execution::attach::Session,
    account: Arc<Ledgerless>,
    _state_dir: tempfile::TempDir,
}

impl Rig {
    async fn new(enable: bool) -> Self {
        let pair = TestPair::new().await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let market = market(&pair).await;
        let session = session(&pair, settings(&pair, state_dir.path(), enable)).await;
        let account = Arc::new(Ledgerless::default());
        Self { pair, market, session, account, _state_dir: state_dir }
    }

    fn evaluator(&self) -> Evaluator<Ledgerless> {
        Evaluator::new(self.session.context.clone(), Arc::clone(&self.account))
    }

    async fn verdicts(&self) -> Vec<(i64, Option<String>, Option<String>)> {
        let pool = self.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
        sqlx::query_as(
            "select evaluation_index, verdict, dominant_blocker from evaluation_cycles
             order by evaluation_index",
        )
        .fetch_all(&pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_breakout_is_submitted_from_normal_and_every_stored_input_repeats_its_decision() {
    // given: a session without data, then a generation without an epoch
    let mut rig = Rig::new(true).await;
    let mut evaluator = rig.evaluator();
    assert_eq!(evaluator.evaluate(Trigger::Stale).await, Evaluated::Skipped);
    rig.market.generation(1, PICTURE).await.unwrap();
    let done = evaluator.evaluate(Trigger::Generation).await;
    assert!(
        matches!(done, Evaluated::Done { verdict: Verdict::AttachBlocked, attached: false, .. }),
        "{done:?}"
    );

    // when: epoch, quotes and a stable window are there
    rig.market.epoch(1).await.unwrap();
    rig.market.generation(2, PICTURE).await.unwrap();
    let tick = rig.market.frame(PICTURE).await.unwrap();
    let context = rig.session.context.clone();
    let reader = tokio::spawn(run_reader(
        context.pool.clone(),
        context.quotes.clone(),
        context.mode.clone(),
        Arc::new(Wakes::default()),
        context.settings.stale,
        context.end.clone(),
    ));
    let board = context.quotes.clone();
    until("the frame", || board.table().tick_id == tick).await;
    let done = evaluator.evaluate(Trigger::Generation).await;
    assert!(
        matches!(done, Evaluated::Done { verdict: Verdict::ModeBlocked, attached: true, .. }),
        "{done:?}"
    );
    let mode = context.mode.clone();
    let mut n = 3;
    let mut executed = None;
    // Each frame has a tick of its own: the beat is longer than a tick and never catches up.
    let period = std::time::Duration::from_millis(260);
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for _ in 0..40 {
        beat.tick().await;
        rig.market.frame(PICTURE).await.unwrap();
        rig.market.generation(n, PICTURE).await.unwrap();
        n += 1;
        mode.judge();
        let done = evaluator.evaluate(Trigger::Generation).await;
        if matches!(done, Evaluated::Done { verdict: Verdict::Executed, .. }) {
            executed = Some(done);
            break;
        }
    }

    // then: one entry on the hot symbol, with the ids of the data behind it
    assert!(executed.is_some(), "{:?} {:?}", rig.verdicts().await, mode.view());
    assert_eq!(mode.current(), SysMode::Normal);
    let requests = rig.account.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1);
    let plan = &requests[0].plan;
    assert_eq!(plan.symbol, symbol(N - 1));
    assert_eq!(plan.generation_id.get(), rig.market.token.0 * 1_000_000_000 + n - 1);

    // and: every stored input gives its stored decision again
    let pool = rig.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let rows: Vec<(i64, Vec<u8>, String, String, serde_json::Value, bool)> = sqlx::query_as(
        "select i.evaluation_id, i.input, i.input_hash, i.outcome_hash, c.config,
             i.input2 is not null
         from cycle_inputs i join exec_configs c using (config_hash) order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(i64::try_from(rows.len()).unwrap(), evaluator.index() - 1);
    for (id, input, input_hash, outcome_hash, config, _) in &rows {
        assert!(repeats(input, input_hash, outcome_hash, config).unwrap(), "evaluation {id}");
        let (mut cycle, _) = read_input(input).unwrap();
        cycle.sys_mode = SysMode::Pause;
        let other = penstock_execution::cycle::stored::store(&cycle).unwrap();
        if cycle.publication.is_some() {
            assert!(
                !repeats(&other.bytes, &other.hash, outcome_hash, config).unwrap(),
                "another mode is another decision"
            );
        }
    }
    assert!(rows.last().unwrap().5, "the second read of the submit is kept");
    context.end.cancel();
    reader.await.unwrap();
}

#[tokio::test]
async fn switched_off_execution_records_its_verdict_and_submits_nothing() {
    let mut rig = Rig::new(false).await;
    let mut evaluator = rig.evaluator();
    rig.market.epoch(1).await.unwrap();
    rig.market.generation(1, PICTURE).await.unwrap();
    for n in 2..4 {
        let done = evaluator.evaluate(Trigger::Generation).await;
        assert!(
            matches!(done, Evaluated::Done { verdict: Verdict::ModeBlocked, .. }),
            "{done:?} {:?}",
            rig.verdicts().await
        );
        rig.market.generation(n, PICTURE).await.unwrap();
    }
    assert!(rig.account.requests.lock().unwrap().is_empty());
    let gates: i64 = sqlx::query_scalar("select count(*) from symbol_gates where gate is not null")
        .fetch_one(&rig.session.context.pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(gates).unwrap(), N);
}

#[tokio::test]
async fn the_first_mode_of_a_session_is_a_row_and_so_is_its_last() {
    let rig = Rig::new(true).await;
    let context = rig.session.context.clone();
    let watchdog = tokio::spawn(run_watchdog(
        context.mode.clone(),
        rig.session.changes,
        context.pool.clone(),
        context.session_id,
        context.end.clone(),
    ));
    context.mode.request(penstock_trading::mode::ModeEvent::Stop);
    context.end.cancel();
    watchdog.await.unwrap();
    let rows: Vec<(Option<String>, String)> =
        sqlx::query_as("select mode_from, mode_to from sys_mode_log order by id")
            .fetch_all(&context.pool)
            .await
            .unwrap();
    assert_eq!(
        rows,
        [(None, "DEGRADE".to_owned()), (Some("DEGRADE".to_owned()), "EXIT".to_owned()),]
    );
}
