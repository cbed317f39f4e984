//! The engine inside the service, on a real decision cluster: frames of the table become files, rows and a
//! view; its faults stop the core and nothing else; its gates stand before entries.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod gates;
#[path = "../../../shared/engine/tests/common/mod.rs"]
mod made;
#[path = "../rig/recorded.rs"]
mod recorded;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../../../shared/engine-io/tests/common/tape.rs"]
mod tape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use penstock_engine::EngineConfig;
use penstock_engine_io::compress::raw_days;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{EngineDirs, StartOptions, snapshots, stored};
use penstock_execution::attach::Session;
use penstock_execution::engine::{Engine, EngineEnd, EngineRun, Keep};
use penstock_execution::exit::{CONFIGURATION, StartError};
use penstock_execution::settings::Settings;
use penstock_execution::wake::Wakes;
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_trading::engine_gate::CoreState;
use penstock_trading::mode::CauseCode;
use penstock_types::engine_view::TokenFlags;
use penstock_types::vocab::SysMode;
use penstock_types::{RunId, Symbol, TickId};
use recorded::Recorded;
use rig::{Market, market, session, settings};
use sqlx::PgPool;
use tape::{DAY, MIDNIGHT, config};
use tokio::time::Instant;

/// Longest wait for what takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Ticks between two snapshots.
const SNAPSHOT_TICKS: i64 = 240;

/// How a test runs the engine.
fn engine_run(root: &std::path::Path, config: &EngineConfig, symbols: &[&str]) -> EngineRun {
    let mut options = StartOptions::live(EngineDirs::under(root), config.clone());
    options.disk_free_min_bytes = 0;
    let symbols: BTreeMap<Symbol, u16> =
        symbols.iter().map(|name| (Symbol::new(name).unwrap(), 1)).collect();
    EngineRun {
        options,
        journal_group: Duration::from_millis(100),
        publish_build: true,
        bindings_hash: "00".repeat(32),
        symbols,
        keep: Keep { compress: true, days: 30, days_traded: 90, snapshot_days: 7 },
    }
}

/// A session whose engine is run as the test says.
struct World {
    pair: TestPair,
    market: Market,
    session: Session,
    engine: Option<Engine>,
    root: tempfile::TempDir,
    _state: tempfile::TempDir,
}

impl World {
    async fn new(change: impl FnOnce(&mut EngineRun)) -> Self {
        let (mut world, started) = Self::starting(tempfile::tempdir().unwrap(), change).await;
        world.engine = started.unwrap();
        assert!(world.engine.is_some());
        world
    }

    /// A world over files that may exist, and how its engine's start went.
    async fn starting(
        root: tempfile::TempDir,
        change: impl FnOnce(&mut EngineRun),
    ) -> (Self, Result<Option<Engine>, StartError>) {
        let pair = TestPair::new().await.unwrap();
        let state = tempfile::tempdir().unwrap();
        let market = market(&pair).await;
        let mut run = engine_run(root.path(), &config(SNAPSHOT_TICKS), &["AAA/USD"]);
        change(&mut run);
        let mut settings: Settings = settings(&pair, state.path(), false, "");
        settings.engine = Some(run);
        let session = session(&pair, settings).await;
        let started = Engine::start(
            &session.context,
            session.context.pool.clone(),
            &Arc::new(Wakes::default()),
        )
        .await;
        let world = Self { pair, market, session, engine: None, root, _state: state };
        (world, started)
    }

    fn dirs(&self) -> EngineDirs {
        EngineDirs::under(self.root.path())
    }

    /// Waits until the engine has executed a tick.
    async fn until_tick(&self, tick: u64) {
        let board = self.session.context.engine.clone();
        let wanted = TickId::from_unsigned(tick);
        eventually("the tick", async || board.last_tick() == Some(wanted)).await;
    }

    /// The first frame of all, executed: an engine that has seen nothing begins at the newest full block, so
    /// that a whole batch would not say where.
    async fn begin(&self, first: u64) -> Recorded {
        let mut recorded = Recorded::new(&self.market, first);
        recorded.deliver(1).await;
        self.until_tick(first).await;
        recorded
    }

    /// Frames go on until the core has caught up; the last tick.
    async fn until_running(&self, recorded: &mut Recorded) -> u64 {
        let board = self.session.context.engine.clone();
        let end = Instant::now() + LIMIT;
        loop {
            recorded.deliver(1).await;
            let last = recorded.next_tick() - 1;
            self.until_tick(last).await;
            let soon = Instant::now() + Duration::from_secs(1);
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while Instant::now() < soon {
                if board.core() == CoreState::Running {
                    return last;
                }
                looks.tick().await;
            }
            assert!(Instant::now() < end, "the core did not catch up within {LIMIT:?}");
        }
    }

    /// Waits until every transition has its row: a stop waits for rows too, but not for a busy machine.
    async fn until_rows(&self) {
        let pool = self.observer().await;
        let all = "select count(*) from engine_transitions";
        let dir = self.dirs().transitions();
        let said = || i64::try_from(lines(&dir).len()).unwrap();
        eventually("the rows", async || said() > 0 && count(&pool, all).await == said()).await;
    }

    async fn stop(&mut self) -> EngineEnd {
        self.engine.take().unwrap().stop().await
    }

    async fn observer(&self) -> PgPool {
        self.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap()
    }
}

/// Looks until something holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !holds().await {
        assert!(Instant::now() < end, "{what} did not come within {LIMIT:?}");
        looks.tick().await;
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Lines of a stream, raw and compressed days alike.
fn lines(dir: &std::path::Path) -> Vec<String> {
    let names = stored::names(dir).unwrap();
    let streams = names.iter().filter(|name| name.ends_with(".jsonl"));
    let read = |name| String::from_utf8(stored::read(&dir.join(name), 1 << 24).unwrap()).unwrap();
    streams.map(read).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Over midnight, with a gap: the table's frames become files that replay to the same bytes at both levels, a
/// view of the last tick, rows of everything, and a manifest of the day that closed, whose files are compressed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_the_table_become_files_rows_and_a_view_and_replay_identically() {
    // given an engine that has seen nothing
    let mut world = World::new(|_| ()).await;
    let context = world.session.context.clone();
    assert_eq!(context.engine.core(), CoreState::Behind);
    let mut recorded = world.begin(MIDNIGHT - 300).await;

    // when frames come over midnight, forty of which nobody sealed
    recorded.deliver(499).await;
    recorded.lose(40);
    recorded.deliver(250).await;
    let last = world.until_running(&mut recorded).await;
    let ticks = last + 1 - (MIDNIGHT - 300);

    // then it has caught up, and the view is that of the last tick with the gap remembered
    let board = context.engine.clone();
    let view = board.view().unwrap();
    assert_eq!(view.tokens.len(), 3);
    assert_eq!(view.gap_tick, Some(TickId::from_unsigned(MIDNIGHT + 239)));
    let cycle = board.cycle().unwrap();
    assert_eq!(cycle.chain.unwrap(), hex::encode(&view.state_chain[..8]));
    assert_eq!(cycle.tokens[0].symbol.as_str(), "AAA/USD");
    assert!(cycle.tokens[0].seen.is_some());

    // and the day that closed has its manifest, as a file and as a row
    let pool = world.observer().await;
    let manifests = "select count(*) from engine_day_manifests where late and key_id is null";
    eventually("the manifest", async || count(&pool, manifests).await == 1).await;
    let closed = penstock_engine_io::Day(MIDNIGHT / DAY - 1);
    assert!(world.dirs().manifest(closed).exists());
    eventually("the compressed day", async || raw_days(&world.dirs()).unwrap().is_empty()).await;

    // and after the stop rows say what the files say, to the byte
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let dirs = world.dirs();
    let (moves, alerts) = (lines(&dirs.transitions()), lines(&dirs.alerts));
    assert!(moves.len() > 10 && alerts.len() > 5, "{} {}", moves.len(), alerts.len());
    let rows = count(&pool, "select count(*) from engine_transitions").await;
    assert_eq!(usize::try_from(rows).unwrap(), moves.len());
    let mut payloads: Vec<String> =
        sqlx::query_scalar("select payload from engine_alerts").fetch_all(&pool).await.unwrap();
    let mut wanted = alerts.clone();
    payloads.sort();
    wanted.sort();
    assert_eq!(payloads, wanted);
    let placed = "select count(*) from engine_alerts where scope = 'TOKEN'
        and not (integrity ?& array['log_file', 'record_offset', 'cycle_id', 'config_sha256'])";
    assert_eq!(count(&pool, placed).await, 0, "every alert says where its record stands");
    let checkpoints: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select tick_id, state_chain from engine_checkpoints order by tick_id")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(checkpoints.len(), 4, "one in 240 ticks");

    // and the files prove themselves: the log from the log, everything from the journal
    let config = config(SNAPSHOT_TICKS);
    let b = level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch, b.ticks), (Verdict::Identical, &None, ticks));
    let a = level_a(&dirs, &config, None).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch, a.ticks), (Verdict::Identical, &None, ticks));
    assert_eq!(b.state_chain, Some(hex::encode(view.state_chain)));
    assert_eq!(snapshots::ticks(&dirs).unwrap().last(), Some(&last));
}

/// A stop and a start later it goes on where it stood; what was written is compared and not written twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_goes_on_where_the_files_end_and_compares_the_rows_that_stand() {
    let mut world = World::new(|_| ()).await;
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    recorded.deliver(399).await;
    world.until_tick(recorded.next_tick() - 1).await;
    world.until_rows().await;
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let pool = world.observer().await;
    let all = "select count(*) from engine_transitions";
    let before = count(&pool, all).await;
    assert!(before > 0);

    // when a second life starts over the same files, and further frames come
    let again = Engine::start(
        &world.session.context,
        world.session.context.pool.clone(),
        &Arc::new(Wakes::default()),
    )
    .await;
    world.engine = again.unwrap();
    recorded.deliver(200).await;
    world.until_tick(recorded.next_tick() - 1).await;
    world.until_rows().await;
    assert_eq!(world.stop().await, EngineEnd::Clean);

    // then every line has its one row, and both lives together replay as one
    let moves = lines(&world.dirs().transitions());
    assert_eq!(count(&pool, all).await, i64::try_from(moves.len()).unwrap());
    let b =
        level_b(&world.dirs(), &config(SNAPSHOT_TICKS), ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, b.ticks), (Verdict::Identical, 600));
    assert!(world.session.context.engine.fault().is_none());
}

/// A frame that no binding explains stops the core for good; the mode is DEGRADE, and the process goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_the_core_stops_the_core_and_nothing_else() {
    let mut world = World::new(|_| ()).await;
    let context = world.session.context.clone();
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    let last = world.until_running(&mut recorded).await;
    let board = context.engine.clone();

    // when a frame names a token that nobody has bound
    recorded.deliver_changed(|events| events.last_mut().unwrap().token_id = 9).await;
    eventually("the fault", async || board.core() == CoreState::Failed).await;

    // then its code is known, the last state is still there to be read, and entries are over
    assert_eq!(board.fault().unwrap().code.name(), "E_FRAME_TOKEN");
    assert_eq!(board.last_tick(), Some(TickId::from_unsigned(last)));
    eventually("the cause", async || context.mode.is_active(CauseCode::EngineFailed)).await;
    assert_eq!(context.mode.current(), SysMode::Degrade);
    assert_eq!(context.engine.cycle().unwrap().core, CoreState::Failed);
    penstock_execution::alerts::look_at_causes(&context.mode, &context.alerts);
    let alerts = context.alerts.heartbeat();
    assert_eq!(alerts[0]["reason_code"], "ENGINE_FAILED");
    assert_eq!((&alerts[0]["severity"], &alerts[1]), (&"CRIT".into(), &serde_json::Value::Null));

    // and later frames change nothing, a stop is clean, and the files are those of the whole ticks
    recorded.deliver(5).await;
    assert_eq!(world.stop().await, EngineEnd::Clean);
    assert_eq!(board.last_tick(), Some(TickId::from_unsigned(last)));
    assert_eq!(board.fault().unwrap().code.name(), "E_FRAME_TOKEN", "it is for the process's life");
}

/// At attach and at a change of the run: with other bindings not one frame is taken, and nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_of_a_run_with_other_bindings_is_taken() {
    let mut world = World::new(|_| ()).await;
    let board = world.session.context.engine.clone();
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    recorded.deliver(9).await;
    let last = recorded.next_tick() - 1;
    world.until_tick(last).await;

    // when the run changes to one whose tokens are others
    let theirs = penstock_config::bindings::Bindings::of_run(serde_json::json!([
        {"id": 1, "symbol": "XBT", "instruments": []}
    ]));
    recorded.roll(RunId(2));
    recorded.rebind(&theirs.unwrap());
    recorded.deliver(10).await;

    // then the engine falls behind and stays where it is
    eventually("the lag", async || board.lag_ticks() >= 10).await;
    assert_eq!(board.last_tick(), Some(TickId::from_unsigned(last)));
    assert!(board.fault().is_none());
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let b =
        level_b(&world.dirs(), &config(SNAPSHOT_TICKS), ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, b.ticks), (Verdict::Identical, 10));
}

/// A row that stands with other content than the files say is a breach: the core stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_with_other_content_is_a_breach_of_determinism() {
    let mut world = World::new(|_| ()).await;
    let context = world.session.context.clone();
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    recorded.deliver(399).await;
    world.until_tick(recorded.next_tick() - 1).await;
    world.until_rows().await;
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let owner = world.pair.pool(ClusterRole::Decision, penstock_store::testing::SUPERUSER_LOGIN);
    let owner = owner.await.unwrap();
    let changed = sqlx::query(
        "update engine_transitions set cost = cost + 1
         where (kind, subject_id, tick_id) in (select kind, subject_id, tick_id
             from engine_transitions where kind = 'token' order by tick_id desc limit 1)",
    );
    assert_eq!(changed.execute(&owner).await.unwrap().rows_affected(), 1);

    // when the next life compares
    let again = Engine::start(&context, context.pool.clone(), &Arc::new(Wakes::default())).await;
    world.engine = again.unwrap();
    let board = context.engine.clone();
    eventually("the breach", async || board.core() == CoreState::Failed).await;
    assert_eq!(board.fault().unwrap().code.name(), "E_DETERMINISM");
    assert!(context.mode.is_active(CauseCode::EngineFailed));
    assert_eq!(world.stop().await, EngineEnd::Clean);
}

/// Configuration and environment refuse the start of the service; a damaged file is a fault of the core.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refuses_a_start_and_what_only_stops_the_core() {
    // given files of a clean end
    let mut world = World::new(|_| ()).await;
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    recorded.deliver(19).await;
    world.until_tick(recorded.next_tick() - 1).await;

    // when a second engine starts over the same directories: environment
    let root = world.root.path().to_owned();
    let same = |run: &mut EngineRun| run.options.dirs = EngineDirs::under(&root);
    let (second, started) = World::starting(tempfile::tempdir().unwrap(), same).await;
    let error = started.err().unwrap();
    assert_eq!(error.code(), CONFIGURATION, "{error}");
    assert!(error.to_string().contains("E_ENV_LOCK"), "{error}");
    assert!(second.session.context.engine.fault().is_none());

    // when the disk is too full, or the configuration cannot be: the same
    let full = |run: &mut EngineRun| run.options.disk_free_min_bytes = u64::MAX;
    let (_, started) = World::starting(tempfile::tempdir().unwrap(), full).await;
    assert!(started.err().unwrap().to_string().contains("E_ENV_DISK"));
    let wrong = |run: &mut EngineRun| run.options.config.warmup_minutes = 99;
    let (_, started) = World::starting(tempfile::tempdir().unwrap(), wrong).await;
    assert!(started.err().unwrap().to_string().contains("E_CFG_RANGE"));

    // when the newest snapshot is damaged: the service runs, its core does not
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let newest = snapshots::ticks(&world.dirs()).unwrap().pop().unwrap();
    let path = world.dirs().snapshot(newest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[700] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let started = Engine::start(
        &world.session.context,
        world.session.context.pool.clone(),
        &Arc::new(Wakes::default()),
    )
    .await;
    assert!(started.unwrap().is_none());
    let board = &world.session.context.engine;
    assert_eq!(board.fault().unwrap().code.name(), "E_SNAP_CHECKSUM");
    assert_eq!(board.core(), CoreState::Failed);
    assert!(world.session.context.mode.is_active(CauseCode::EngineFailed));
}

/// A gap at the end of the files closes the gate of the next life too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_of_the_life_before_still_counts() {
    let mut world = World::new(|_| ()).await;
    let mut recorded = world.begin(MIDNIGHT + 1_000).await;
    recorded.deliver(19).await;
    recorded.lose(7);
    recorded.deliver(20).await;
    let last = recorded.next_tick() - 1;
    world.until_tick(last).await;
    assert_eq!(world.stop().await, EngineEnd::Clean);
    let again = Engine::start(
        &world.session.context,
        world.session.context.pool.clone(),
        &Arc::new(Wakes::default()),
    )
    .await;
    world.engine = again.unwrap();
    let view = world.session.context.engine.view().unwrap();
    assert_eq!(view.gap_tick, Some(TickId::from_unsigned(MIDNIGHT + 1_026)));
    assert!(!view.tokens[0].flags.contains(TokenFlags::GAP_FILL));
    assert_eq!(world.stop().await, EngineEnd::Clean);
}
