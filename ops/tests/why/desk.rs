//! A session that evaluates a made-up market, can be restarted, and is asked why.
//!
//! Inputs: settings, what the market looks like. Outputs: answers. Invariants: each evaluation follows a new
//! generation and a new frame; a restart is a new session on the same rows with the same settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use penstock_engine::EngineConfig;
use penstock_engine_io::{EngineDirs, StartOptions};
use penstock_execution::attach::{Session, start};
use penstock_execution::audit::{AuditWriter, redactor};
use penstock_execution::context::Context;
use penstock_execution::cycle::Evaluator;
use penstock_execution::engine::{Engine, EngineRun, Keep};
use penstock_execution::mode::{Changes, run_log};
use penstock_execution::quotes::run_reader;
use penstock_execution::settings::Settings;
use penstock_execution::wake::Wakes;
use penstock_ops::why::{Answer, ask};
use penstock_store::ClusterRole;
use penstock_store::fence::Fence;
use penstock_store::testing::TestPair;
use penstock_trading::engine_gate::{CoreState, EngineGates};
use penstock_trading::fixtures::symbol;
use penstock_types::Symbol;
use penstock_types::vocab::{SysMode, Trigger};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use super::Want;
use super::rig::{Ledgerless, Market, N, PICTURE, market, session, settings, settings_with, until};

/// Evaluations within which a session has to reach NORMAL.
const TURNS_MAX: i64 = 60;

/// Longest wait for what takes a moment.
const LIMIT: Duration = Duration::from_secs(30);

/// What runs beside a session.
struct Beside {
    reader: JoinHandle<()>,
    log: JoinHandle<()>,
    engine: Option<Engine>,
}

/// An engine with one token, bound to the symbol that breaks out.
pub(crate) struct Tokens {
    pub(crate) root: tempfile::TempDir,
    pub(crate) config: EngineConfig,
    pub(crate) gates: EngineGates,
}

impl Tokens {
    fn run(&self) -> EngineRun {
        let dirs = EngineDirs::under(self.root.path());
        let mut options = StartOptions::live(dirs, self.config.clone());
        options.disk_free_min_bytes = 0;
        EngineRun {
            options,
            journal_group: Duration::from_millis(100),
            publish_build: true,
            bindings_hash: "00".repeat(32),
            symbols: [(symbol(N - 1), 1)].into(),
            keep: Keep { compress: true, days: 30, days_traded: 90, snapshot_days: 7 },
        }
    }
}

/// The whole arrangement.
pub(crate) struct Desk {
    pub(crate) pair: TestPair,
    pub(crate) market: Market,
    pub(crate) context: Context,
    pub(crate) observer: PgPool,
    pub(crate) owner: PgPool,
    evaluator: Evaluator<Ledgerless>,
    running: Option<(Fence, AuditWriter, Beside)>,
    pub(crate) tokens: Option<Tokens>,
    more: String,
    environment: BTreeMap<String, String>,
    state_dir: tempfile::TempDir,
    n: i64,
    beat: tokio::time::Interval,
}

impl Desk {
    /// A session with further settings, not yet in NORMAL.
    pub(crate) async fn new(more: &str, environment: BTreeMap<String, String>) -> Self {
        Self::with(more, environment, None).await
    }

    /// The same with an engine.
    pub(crate) async fn with(
        more: &str,
        environment: BTreeMap<String, String>,
        tokens: Option<Tokens>,
    ) -> Self {
        let pair = TestPair::new().await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let mut market = market(&pair).await;
        market.epoch(1).await.unwrap();
        let settings = of(&pair, state_dir.path(), more, &environment);
        let settings = with_tokens(settings, tokens.as_ref());
        let Session { context, fence, changes, audit } = session(&pair, settings).await;
        let beside = beside(&context, changes, tokens.is_some()).await;
        let period = Duration::from_millis(260);
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self {
            observer: pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap(),
            owner: pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap(),
            evaluator: Evaluator::new(context.clone(), Arc::new(Ledgerless::default())),
            running: Some((fence, audit, beside)),
            tokens,
            more: more.to_owned(),
            environment,
            state_dir,
            market,
            context,
            pair,
            n: 0,
            beat,
        }
    }

    fn settings(&self) -> Settings {
        let settings = of(&self.pair, self.state_dir.path(), &self.more, &self.environment);
        with_tokens(settings, self.tokens.as_ref())
    }

    /// Publishes a frame and a generation and evaluates them.
    pub(crate) async fn evaluate(&mut self) {
        self.beat.tick().await;
        self.n += 1;
        sqlx::query(
            "update service_fences set lease_expires_at = clock_timestamp() + interval '15 s'
             where service = 'ingest' and domain = 'test'",
        )
        .execute(&self.market.pool)
        .await
        .unwrap();
        let tick = self.market.frame(PICTURE).await.unwrap();
        self.market.generation(self.n, PICTURE).await.unwrap();
        let board = self.context.quotes.clone();
        until("the frame", || board.table().tick_id >= tick).await;
        if self.tokens.is_some() {
            let engine = self.context.engine.clone();
            until("the tick", || engine.last_tick() >= Some(tick)).await;
            until("the core", || engine.core() == CoreState::Running).await;
        }
        self.context.mode.judge();
        self.evaluator.evaluate(Trigger::Generation).await;
    }

    /// Evaluates until the mode is NORMAL, and once more in it.
    pub(crate) async fn until_normal(&mut self) {
        for _ in 0..TURNS_MAX {
            let was_normal = self.context.mode.current() == SysMode::Normal;
            self.evaluate().await;
            if was_normal && self.context.mode.current() == SysMode::Normal {
                return self.until_logged(SysMode::Normal).await;
            }
        }
        panic!("NORMAL did not come: {:?}", self.context.mode.view());
    }

    /// Waits until the newest row of the mode's log is this mode.
    pub(crate) async fn until_logged(&self, mode: SysMode) {
        let deadline = Instant::now() + LIMIT;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let newest: Option<String> =
                sqlx::query_scalar("select mode_to from sys_mode_log order by id desc limit 1")
                    .fetch_optional(&self.observer)
                    .await
                    .unwrap();
            if newest.as_deref() == Some(mode.as_str()) {
                return;
            }
            assert!(Instant::now() < deadline, "{mode} is not in the log: {newest:?}");
        }
    }

    /// Ends the session and begins another one with the same settings on the same rows.
    pub(crate) async fn restart(&mut self) {
        let (fence, audit, beside) = self.running.take().unwrap();
        self.context.end.cancel();
        beside.reader.await.unwrap();
        beside.log.await.unwrap();
        if let Some(engine) = beside.engine {
            engine.stop().await;
        }
        audit.finish(None).await;
        drop(fence);
        let pool = self.pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
        let Session { context, fence, changes, audit } =
            start(self.settings(), pool).await.unwrap();
        let beside = self::beside(&context, changes, self.tokens.is_some()).await;
        self.running = Some((fence, audit, beside));
        self.evaluator = Evaluator::new(context.clone(), Arc::new(Ledgerless::default()));
        self.context = context;
    }

    /// The answer of the command.
    pub(crate) async fn why(&self, symbol: &Symbol) -> Answer {
        ask(&self.observer, "test", symbol).await.unwrap()
    }

    /// The cluster's clock.
    pub(crate) async fn now(&self) -> DateTime<Utc> {
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&self.observer).await.unwrap()
    }

    /// A gate was closed just now: one evaluation later it is named, with a time within that evaluation; a
    /// further one and a restart change neither.
    pub(crate) async fn is_closed(&mut self, symbol: &Symbol, want: &Want) -> Answer {
        let before = self.now().await;
        self.evaluate().await;
        let after = self.now().await;
        let first = self.why(symbol).await;
        want.compare(&first);
        let since = first.since.unwrap();
        assert!(before <= since && since <= after, "{before} {since} {after}");
        self.evaluate().await;
        want.compare(&self.why(symbol).await);
        assert_eq!(self.why(symbol).await.since, Some(since), "a further evaluation");
        self.restart().await;
        self.until_normal().await;
        let again = self.why(symbol).await;
        want.compare(&again);
        assert_eq!(again.since, Some(since), "a restart");
        first
    }

    /// The gate was opened just now: one evaluation later something else is said.
    pub(crate) async fn is_open(&mut self, symbol: &Symbol, want: &Want) -> Answer {
        self.evaluate().await;
        let answer = self.why(symbol).await;
        assert_ne!(answer.gate.as_deref(), Some(want.gate), "{}", answer.text());
        println!("opened: {}", answer.text());
        answer
    }
}

/// Settings that may send, with further lines and variables.
fn of(
    pair: &TestPair,
    state_dir: &Path,
    more: &str,
    environment: &BTreeMap<String, String>,
) -> Settings {
    if environment.is_empty() {
        return settings(pair, state_dir, true, more);
    }
    settings_with(pair, state_dir, true, more, environment.clone())
}

/// Settings with the engine of the arrangement.
fn with_tokens(mut settings: Settings, tokens: Option<&Tokens>) -> Settings {
    if let Some(tokens) = tokens {
        settings.engine = Some(tokens.run());
        let mut decide = (*settings.decide).clone();
        decide.engine_gates = tokens.gates;
        settings.decide = Arc::new(decide);
    }
    settings
}

/// Frames reach quotes and engine, and changes of the mode their rows, as in the service.
async fn beside(context: &Context, changes: Changes, with_engine: bool) -> Beside {
    let wakes = Arc::new(Wakes::default());
    let engine = if with_engine {
        Engine::start(context, context.pool.clone(), &wakes).await.unwrap()
    } else {
        None
    };
    let (pool, quotes, end) = (context.pool.clone(), context.quotes.clone(), context.end.clone());
    let reader = tokio::spawn(async move { run_reader(pool, quotes, wakes, end).await });
    let (mode, pool) = (context.mode.clone(), context.pool.clone());
    let redactor = Arc::new(redactor(&context.settings.config));
    let (session, end) = (context.session_id, context.end.clone());
    let log = tokio::spawn(run_log(mode, changes, pool, session, redactor, end));
    Beside { reader, log, engine }
}
