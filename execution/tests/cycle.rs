//! The cycle on a real decision cluster: from a published generation to a submit and to a record that
//! repeats the decision.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod next_finalist;
mod pressed;
mod rig;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use penstock_execution::cycle::stored::{read_input, repeats};
use penstock_execution::cycle::{Evaluated, Evaluator, LoopEnd, run_loop};
use penstock_execution::mode::run_log;
use penstock_execution::quotes::run_reader;
use penstock_execution::settings::Settings;
use penstock_execution::wake::Wakes;
use penstock_store::ClusterRole;
use penstock_store::fence::{Fence, FenceRequest, FencedService};
use penstock_store::testing::TestPair;
use penstock_trading::CycleInput;
use penstock_trading::cycle::ReRead;
use penstock_trading::decide::assess;
use penstock_trading::decide::outcome::SyncProblem;
use penstock_trading::fixtures::symbol;
use penstock_trading::gates::{GateLimits, GenerationBlock, generation_gate};
use penstock_trading::mode::CauseCode;
use penstock_types::Uuid;
use penstock_types::vocab::{SysMode, Trigger, Verdict};
use rig::{Ledgerless, Market, N, PICTURE, market, session, settings, until};
use sqlx::PgPool;

/// A second read as it is stored.
#[derive(serde::Deserialize)]
struct Again {
    read: ReRead,
    choke: serde_json::Value,
}

struct Rig {
    pair: TestPair,
    market: Market,
    session: penstock_execution::attach::Session,
    account: Arc<Ledgerless>,
    beat: tokio::time::Interval,
    _state_dir: tempfile::TempDir,
}

impl Rig {
    async fn new(enable: bool) -> Self {
        Self::with(enable, "").await
    }

    async fn with(enable: bool, more: &str) -> Self {
        Self::set(|pair, dir| settings(pair, dir, enable, more)).await
    }

    async fn set(settings: impl FnOnce(&TestPair, &Path) -> Settings) -> Self {
        let pair = TestPair::new().await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let market = market(&pair).await;
        let session = session(&pair, settings(&pair, state_dir.path())).await;
        let account = Arc::new(Ledgerless::default());
        // Each frame has a tick of its own: the beat is longer than a tick and never catches up.
        let period = Duration::from_millis(260);
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { pair, market, session, account, beat, _state_dir: state_dir }
    }

    fn evaluator(&self) -> Evaluator<Ledgerless> {
        Evaluator::new(self.session.context.clone(), Arc::clone(&self.account))
    }

    /// Publishes frames and generations from `n` on until an entry is submitted; the number behind it.
    async fn until_executed(&mut self, evaluator: &mut Evaluator<Ledgerless>, n: i64) -> i64 {
        for n in n..n + 40 {
            self.publish(n).await;
            let done = evaluator.evaluate(Trigger::Generation).await;
            if matches!(done, Evaluated::Done { verdict: Verdict::Executed, .. }) {
                return n + 1;
            }
        }
        let mode = self.session.context.mode.view();
        panic!("nothing was submitted: {:?} {mode:?}", self.verdicts().await);
    }

    /// Publishes a frame and generation `n` under a lease that is alive.
    async fn publish(&mut self, n: i64) {
        self.beat.tick().await;
        set_ingest_lease(&self.market.pool, 15).await;
        let tick = self.market.frame(PICTURE).await.unwrap();
        self.market.generation(n, PICTURE).await.unwrap();
        let board = self.session.context.quotes.clone();
        until("the frame", || board.table().tick_id == tick).await;
        self.session.context.mode.judge();
    }

    /// Frames go on, and generations from `n` on when there is one, until the mode is this.
    async fn until_mode(&mut self, mode: SysMode, n: Option<i64>) {
        for step in 0..60 {
            match n {
                Some(n) => self.publish(n + step).await,
                None => {
                    self.beat.tick().await;
                    self.market.frame(PICTURE).await.unwrap();
                }
            }
            if self.session.context.mode.current() == mode {
                return;
            }
        }
        panic!("{mode} did not come: {:?}", self.session.context.mode.view());
    }

    /// Evaluations so far.
    async fn evaluations(&self) -> usize {
        self.verdicts().await.len()
    }

    /// Lets something happen between the read of the next cycle and its second read.
    fn between_reads(&self, happens: impl Future<Output = ()> + Send + 'static) {
        let runtime = tokio::runtime::Handle::current();
        let run = move || tokio::task::block_in_place(|| runtime.block_on(happens));
        *self.account.after_read.lock().unwrap() = Some(Box::new(run));
    }

    /// The newest cycle's input, its verdict, and what was read again before its submits.
    async fn newest_cycle(&self) -> (CycleInput, String, Vec<Again>) {
        let pool = self.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
        let (input, second, verdict): (Vec<u8>, Option<Vec<u8>>, String) = sqlx::query_as(
            "select i.input, i.input2, c.verdict from cycle_inputs i
                 join evaluation_cycles c using (evaluation_id)
                 order by i.evaluation_id desc limit 1",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        let json = second.map(|bytes| zstd::bulk::decompress(&bytes, 1 << 20).unwrap());
        let value: serde_json::Value =
            json.map_or_else(Default::default, |json| serde_json::from_slice(&json).unwrap());
        let again = value["second_reads"].as_array().into_iter().flatten();
        let again = again.map(|read| serde_json::from_value(read.clone()).unwrap()).collect();
        (read_input(&input).unwrap().0, verdict, again)
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

/// Frames reach the quotes of a session, as in the service.
fn reading(context: &penstock_execution::context::Context) -> tokio::task::JoinHandle<()> {
    let (pool, quotes) = (context.pool.clone(), context.quotes.clone());
    tokio::spawn(run_reader(pool, quotes, Arc::new(Wakes::default()), context.end.clone()))
}

/// A stored input: evaluation, input, its hash, the outcome's hash, configuration, whether a second read stands, the
/// configuration's key.
type InputRow = (i64, Vec<u8>, String, String, serde_json::Value, bool, String);

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
    let reader = reading(&context);
    let board = context.quotes.clone();
    until("the frame", || board.table().tick_id == tick).await;
    let done = evaluator.evaluate(Trigger::Generation).await;
    assert!(
        matches!(done, Evaluated::Done { verdict: Verdict::ModeBlocked, attached: true, .. }),
        "{done:?}"
    );
    let mode = context.mode.clone();
    let n = rig.until_executed(&mut evaluator, 3).await;

    // then: one entry on the hot symbol, with the ids of the data behind it
    assert_eq!(mode.current(), SysMode::Normal);
    let requests = rig.account.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1);
    let plan = &requests[0].plan;
    assert_eq!(plan.symbol, symbol(N - 1));
    assert_eq!(plan.generation_id.get(), rig.market.token.0 * 1_000_000_000 + n - 1);

    // and: every stored input gives its stored decision again
    let pool = rig.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let rows: Vec<InputRow> = sqlx::query_as(
        "select i.evaluation_id, i.input, i.input_hash, i.outcome_hash, c.config,
             i.input2 is not null, config_hash
         from cycle_inputs i join exec_configs c using (config_hash) order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(i64::try_from(rows.len()).unwrap(), evaluator.index() - 1);
    for (id, input, input_hash, outcome_hash, config, _, key) in &rows {
        let config = (key.as_str(), config);
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

/// F12: the state of an ingest whose lease has ended, or that was fenced out, lets no entry through, neither
/// when that was so before the read nor when it happened between the read and the submit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_entry_on_a_fenced_out_state() {
    // given: a session that submits
    let mut rig = Rig::new(true).await;
    let mut evaluator = rig.evaluator();
    rig.market.epoch(1).await.unwrap();
    let context = rig.session.context.clone();
    let reader = reading(&context);
    let n = rig.until_executed(&mut evaluator, 1).await;
    let submitted = |rig: &Rig| rig.account.requests.lock().unwrap().len();
    let so_far = submitted(&rig);
    let pool = rig.market.pool.clone();

    // when the lease ends between read and submit
    let ending = pool.clone();
    rig.between_reads(async move { set_ingest_lease(&ending, -1).await });
    rig.publish(n).await;
    evaluator.evaluate(Trigger::Generation).await;
    let (input, verdict, again) = rig.newest_cycle().await;
    assert_eq!(again.len(), 1, "{:?}", rig.verdicts().await);
    // then the gate says so, and a cycle that reads it has no plan to begin with
    assert_eq!(gate_of(&input, &again, &context), Err(GenerationBlock::IngestLeaseExpired));
    assert_ne!(verdict, "executed");
    evaluator.evaluate(Trigger::Generation).await;
    let (_, verdict, again) = rig.newest_cycle().await;
    assert_eq!((verdict.as_str(), again.len()), ("data_blocked", 0));
    assert_eq!(submitted(&rig), so_far);

    // when another ingest takes the fence between read and submit and has published nothing yet
    let n = rig.until_executed(&mut evaluator, n + 1).await;
    let so_far = submitted(&rig);
    let state_dir = tempfile::tempdir().unwrap();
    let (taking, dir) = (pool.clone(), state_dir.path().to_owned());
    rig.between_reads(async move {
        set_ingest_lease(&taking, -1).await;
        drop(ingest_fence(&taking, &dir).await);
        set_ingest_lease(&taking, 15).await;
    });
    rig.publish(n).await;
    evaluator.evaluate(Trigger::Generation).await;
    let (input, verdict, again) = rig.newest_cycle().await;
    assert_eq!(again.len(), 1, "{:?}", rig.verdicts().await);
    // then its lease is alive and the pointer is the cycle's own: only the token tells
    assert_eq!(gate_of(&input, &again, &context), Err(GenerationBlock::FenceChanged));
    assert_eq!(again[0].choke, serde_json::json!({ "skip": "STATE_GENERATION_MISMATCH" }));
    assert_eq!(again[0].read.publication, input.publication);
    assert_ne!(verdict, "executed");
    evaluator.evaluate(Trigger::Generation).await;
    let (input, verdict, again) = rig.newest_cycle().await;
    let assessment = assess(&input, &context.settings.decide);
    assert_eq!(assessment.sync, Some(SyncProblem::FenceChanged));
    assert_eq!((verdict.as_str(), again.len()), ("data_blocked", 0));
    assert_eq!(submitted(&rig), so_far, "no entry on a fenced-out state");
    context.end.cancel();
    reader.await.unwrap();
}

/// Takes the fence of ingest as a holder of another host would.
async fn ingest_fence(pool: &PgPool, state_dir: &Path) -> Fence {
    let request = FenceRequest {
        service: FencedService::Ingest,
        domain: "test".to_owned(),
        holder_id: Uuid::from_u128(8),
        host: "other".to_owned(),
        pid: 43,
        ttl_ms: 15_000,
        state_dir: state_dir.to_owned(),
        timeout: Duration::from_secs(10),
    };
    Fence::acquire(pool, request, |_| {}).await.unwrap()
}

/// Lets the lease of ingest end so many seconds from now.
async fn set_ingest_lease(pool: &PgPool, secs: i32) {
    sqlx::query(
        "update service_fences set lease_expires_at = clock_timestamp() + make_interval(secs => $1)
         where service = 'ingest' and domain = 'test'",
    )
    .bind(f64::from(secs))
    .execute(pool)
    .await
    .unwrap();
}

/// What the product's gate says of a stored cycle and its second read.
fn gate_of(
    input: &CycleInput,
    again: &[Again],
    context: &penstock_execution::context::Context,
) -> Result<(), GenerationBlock> {
    let limits = GateLimits {
        generation_max_lag: context.settings.decide.generation_max_lag,
        state_age_limit_ms: 30_000,
    };
    generation_gate(input.publication.as_ref().unwrap(), &again[0].read, &limits)
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

/// One evaluation, and none for ten minutes: what moves the mode stands in generations, or is their lack.
#[tokio::test]
async fn the_mode_worsens_between_two_evaluations_and_improves_after_its_window() {
    // given: a session in NORMAL whose one evaluation found everything whole
    let mut rig = Rig::with(true, "live_evaluation_interval_secs = 600\n").await;
    rig.market.epoch(1).await.unwrap();
    rig.market.generation(1, PICTURE).await.unwrap();
    let context = rig.session.context.clone();
    let reader = reading(&context);
    let account = Arc::clone(&rig.account);
    let evaluations = tokio::spawn(run_loop(context.clone(), account, Arc::default()));
    rig.until_mode(SysMode::Normal, Some(2)).await;
    assert_eq!(rig.evaluations().await, 1);

    // when: the next generation says that a gap is open
    rig.market.gap_open = true;
    rig.until_mode(SysMode::Degrade, Some(100)).await;
    // then: the mode has it from there
    assert_eq!(context.mode.view().reasons, [CauseCode::DataStale]);

    // when: the gap is closed
    rig.market.gap_open = false;
    rig.publish(200).await;
    // then: the mode waits for its window
    assert_eq!(context.mode.current(), SysMode::Degrade);
    rig.until_mode(SysMode::Normal, Some(201)).await;

    // when: no generation comes any more, and the lease of ingest runs out
    set_ingest_lease(&rig.market.pool, 0).await;
    rig.until_mode(SysMode::Degrade, None).await;
    // then: the poll without one has shown it
    assert_eq!(context.mode.view().reasons, [CauseCode::DataStale]);
    assert_eq!(rig.evaluations().await, 1, "all of that came between two evaluations");
    context.stop.cancel();
    assert_eq!(evaluations.await.unwrap(), LoopEnd::Stopped);
    context.end.cancel();
    reader.await.unwrap();
}

#[tokio::test]
async fn the_first_mode_of_a_session_is_a_row_and_so_is_its_last() {
    let rig = Rig::new(true).await;
    let context = rig.session.context.clone();
    let watchdog = tokio::spawn(run_log(
        context.mode.clone(),
        rig.session.changes,
        context.pool.clone(),
        context.session_id,
        std::sync::Arc::default(),
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
