//! A desk and what it must know of the world, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use penstock_store::spool::exec::{ExecSpool, OpenedExec};
use penstock_store_orders::ExecStore;
use penstock_trading::costs::StopTerms;
use penstock_trading::cycle::Quote;
use penstock_trading::decide::PlannedEntry;
use penstock_trading::engine_gate::EngineGates;
use penstock_trading::mode::{ModeTiming, Thresholds};
use penstock_types::cl_ord_id::OrderIdSalt;
use penstock_types::vocab::{
    EntryMode, ExitPolicy, Horizon, OrderType, Regime, RouteType, Strategy, SysMode, TimeInForce,
};
use penstock_types::{
    Decimal, EpochId, FencingToken, GenerationId, LineageId, RunId, SessionId, SnapshotId, Symbol,
    TickId, Uuid,
};
use penstock_venue_orders::{
    Clock, Credentials, PrivateEvent, PrivateRest, SharedVenueState, SocketConfig, SoleUser,
    SystemClock, spawn_order_socket,
};
use penstock_venues::kraken::rates::Tier;
use penstock_venues::kraken::signing::PrivateKey;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::run::{Inputs, assemble};
use super::super::{Desk, DeskConfig, DeskError, DeskHandle, DeskParts, spawn};
use super::{LIMIT, LOOK, SYMBOL};
use crate::audit::AuditHandle;
use crate::engine::EngineBoard;
use crate::mode::ModeHandle;
use crate::quotes::{QuoteBoard, QuoteTable};

/// The mode improves at once.
pub(super) const TIMING: ModeTiming =
    ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };

/// What a desk must know.
pub(super) struct Place {
    pub(super) pool: PgPool,
    pub(super) rest: String,
    pub(super) ws_private: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) quotes: QuoteBoard,
    pub(super) engine: EngineBoard,
    pub(super) audit: Option<AuditHandle>,
    pub(super) token: FencingToken,
    pub(super) session_id: SessionId,
    pub(super) preauth_ms_max: i64,
    pub(super) gates: EngineGates,
    pub(super) tune: fn(&mut DeskConfig),
    /// Where the spool and the request file are: as long-lived as the world.
    pub(super) state_root: PathBuf,
}

/// What a desk is made of, and the ends that its makers keep.
struct Made {
    parts: DeskParts,
    changes: crate::mode::Changes,
    hears: mpsc::Sender<PrivateEvent>,
    state_dir: tempfile::TempDir,
}

/// The spool of a session, once the process before it has let go of it, as the end of a real one does.
async fn spool_at(root: &std::path::Path, token: FencingToken) -> OpenedExec {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let opened = ExecSpool::open(root, token).unwrap();
        if opened.busy.is_empty() {
            return opened;
        }
        drop(opened);
        assert!(Instant::now() < end, "the spool did not become free within {LIMIT:?}");
        looks.tick().await;
    }
}

/// A desk whose loop does not run: a test takes its steps one by one.
pub(super) struct Still {
    pub(super) desk: Desk,
    pub(super) inputs: Inputs,
    cancel: CancellationToken,
    _state_dir: tempfile::TempDir,
}

impl Drop for Still {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// One life of the execution side.
pub(super) struct Session {
    pub(super) desk: DeskHandle,
    pub(super) task: JoinHandle<Result<(), DeskError>>,
    pub(super) cancel: CancellationToken,
    pub(super) mode: ModeHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changes: crate::mode::Changes,
    /// Where the private socket says what it hears: a test may speak in its place.
    pub(super) hears: mpsc::Sender<PrivateEvent>,
    _state_dir: tempfile::TempDir,
}

impl Place {
    /// A desk that is reconciled and whose mode is NORMAL.
    pub(super) async fn desk(&self) -> Session {
        let session = self.reconciled().await;
        let mode = session.mode.clone();
        until("NORMAL", move || {
            mode.judge();
            mode.current() == SysMode::Normal
        })
        .await;
        session
    }

    /// A desk whose first reconcile is complete, whatever its mode.
    pub(super) async fn reconciled(&self) -> Session {
        let Made { parts, changes, hears, state_dir: _state_dir } = self.made().await;
        let (mode, clock, cancel) = (parts.mode.clone(), parts.clock.clone(), parts.cancel.clone());
        let (desk, task) = spawn(parts).unwrap();
        let session = Session { desk, task, cancel, mode, clock, changes, hears, _state_dir };
        let status = session.desk.clone();
        until("the reconcile of the start", || status.status().reconciled).await;
        session
    }

    /// A desk that has read its rows and does nothing by itself.
    pub(super) async fn still(&self) -> Still {
        let Made { parts, state_dir: _state_dir, .. } = self.made().await;
        let cancel = parts.cancel.clone();
        let (mut desk, inputs, _) = assemble(parts).unwrap();
        desk.attach().await.unwrap();
        Still { desk, inputs, cancel, _state_dir }
    }

    async fn made(&self) -> Made {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let state_dir = tempfile::tempdir().unwrap();
        let path = state_dir.path().join("venue.json");
        // A known history: without it nothing but protection goes out for ten seconds.
        let wall_ms = clock.now().wall.millis();
        let kept = serde_json::json!({
            "version": 1, "host": "h", "wall_ms": wall_ms, "nonce": wall_ms * 1_000_000,
            "rest": 0.0, "pairs": {}, "not_before": [],
        });
        std::fs::write(&path, kept.to_string()).unwrap();
        let state = SharedVenueState::open(path, "h".into(), Tier::Pro, clock.clone());
        let credentials = Credentials {
            key: self.key.clone(),
            secret: PrivateKey::from_base64(&self.secret).unwrap(),
        };
        let rest = PrivateRest::new(&self.rest, credentials, state, Arc::new(SoleUser)).unwrap();
        let (sender, events) = mpsc::channel(4_096);
        let cancel = CancellationToken::new();
        let mut socket = SocketConfig::new(&self.ws_private);
        socket.ack_timeout_ms = 500;
        let hears = sender.clone();
        let socket = spawn_order_socket(socket, rest.clone(), sender, cancel.clone()).unwrap();
        let (mode, changes) = ModeHandle::new(TIMING, Thresholds::default());
        let rows = penstock_store_decision::cycle_input::all_instruments(&self.pool).await.unwrap();
        let rules = rows.into_iter().map(|r| (r.symbol.clone(), r)).collect();
        let mut config = DeskConfig {
            execution_enable: true,
            ack_timeout_ms: 500,
            unknown_grace_ms: 2_000,
            preauth_ms_max: self.preauth_ms_max,
            engine_gates: self.gates,
            // Tests share the machine; those about a server that hangs take the product's limit back.
            rows_answer_ms_max: 30_000,
            ..DeskConfig::default()
        };
        (self.tune)(&mut config);
        let parts = DeskParts {
            config,
            store: ExecStore::new(self.pool.clone(), "test", self.token, self.session_id),
            salt: OrderIdSalt([7; 32]),
            orders: socket.orders,
            rest,
            events,
            quotes: self.quotes.clone(),
            engine: self.engine.clone(),
            mode,
            alerts: crate::alerts::tests::quiet(),
            audit: self.audit.clone(),
            lease: Arc::default(),
            instruments: Arc::new(arc_swap::ArcSwap::from_pointee(rules)),
            clock,
            spool: spool_at(&self.state_root.join("exec"), self.token).await,
            request_dir: self.state_root.clone(),
            cancel,
        };
        Made { parts, changes, hears, state_dir }
    }
}

pub(super) fn plan(session: &Session, mid_ticks: i64, taker: bool) -> PlannedEntry {
    let now = session.clock.now().wall;
    let at = if taker { mid_ticks + 50 } else { mid_ticks - 10 };
    let price = Decimal::new(at, 1);
    PlannedEntry {
        decision_id: penstock_contracts::fixtures::decision().decision_id,
        is_proof: false,
        run_id: RunId(1),
        lineage_id: LineageId(Uuid::from_u128(1)),
        epoch_id: EpochId(1),
        snapshot_id: SnapshotId(1),
        generation_id: GenerationId(1),
        engine_tick_id: None,
        engine_chain: None,
        symbol: Symbol::new(SYMBOL).unwrap(),
        strategy: Strategy::Momentum,
        route_type: RouteType::BreakoutContinuation,
        horizon: Horizon::Medium,
        regime: Regime::Trend,
        regime_sub: None,
        entry_mode: if taker { EntryMode::Taker } else { EntryMode::Maker },
        exit_policy: ExitPolicy::TrailingStop,
        exit_limits: Default::default(),
        stop: StopTerms { sl_bps: Decimal::from(60), trail_bps: None },
        spread_avg_bps: Decimal::ONE,
        atr_bps: None,
        queue_decision: None,
        order_type: OrderType::Limit,
        tif: if taker { TimeInForce::Ioc } else { TimeInForce::Gtd },
        post_only: !taker,
        limit_price: Some(price),
        qty: Decimal::new(1, 3),
        deadline_at: now.plus_millis(2_000),
        expire_at: (!taker).then(|| now.plus_millis(60_000)),
        ttl_at: None,
        decision_mid: Decimal::new(mid_ticks, 1),
        quote_tick_id: TickId(1),
        quote_seq: 1,
        quote_age_ms: 1,
        expected_move_bps: Decimal::from(80),
        expected_edge_bps: Decimal::from(10),
        expected_surplus_bps: Decimal::from(5),
        expected_slippage_bps: Decimal::ONE,
        fees_bps: Decimal::from(30),
        p_fill: Decimal::ONE,
        est_fill_time_ms: None,
        size_quote_requested: Decimal::ONE_HUNDRED,
        size_quote_approved: Decimal::ONE_HUNDRED,
        reserve_quote: Decimal::from(101),
        state_age_limit_ms: 15_000,
        score: Decimal::ONE,
    }
}

pub(super) fn put_quote(quotes: &QuoteBoard, mid: i64, decimals: u32) {
    let symbol = Symbol::new(SYMBOL).unwrap();
    let mut table = QuoteTable::empty(Instant::now());
    table.tick_id = TickId(1);
    let quote = Quote {
        symbol: symbol.clone(),
        bid: Decimal::new(mid - 10, decimals),
        ask: Decimal::new(mid + 10, decimals),
        bid_qty: Decimal::from(5),
        ask_qty: Decimal::from(5),
        tick_id: TickId(1),
        seq: 1,
    };
    table.quotes.insert(symbol, quote);
    quotes.store(table);
}

impl Session {
    pub(super) async fn kill(self) {
        self.task.abort();
        self.cancel.cancel();
        // Aborted: the result says only that.
        let _ = self.task.await;
    }
}

pub(super) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    while !done() {
        assert!(Instant::now() < end, "{what} did not come within {LIMIT:?}");
        looks.tick().await;
    }
}
