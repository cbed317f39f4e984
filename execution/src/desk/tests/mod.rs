//! The desk against the simulated venue over its real sockets, on a real decision cluster: the world
//! that the tests share. Inputs: a still market that a test moves itself. Each test has a database and a
//! venue of its own.

mod faults;
mod life;

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_sim::admin::FaultRequest;
use penstock_sim::exchange::{Price, Qty, Side as SimSide, SymbolNo};
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::{evaluations, sessions};
use penstock_store_orders::ExecStore;
use penstock_trading::costs::StopTerms;
use penstock_trading::cycle::Quote;
use penstock_trading::decide::PlannedEntry;
use penstock_trading::mode::ModeTiming;
use penstock_types::cl_ord_id::OrderIdSalt;
use penstock_types::vocab::{
    EntryMode, ExitPolicy, Horizon, OrderType, Regime, RouteType, Strategy, SysMode, TimeInForce,
    Trigger,
};
use penstock_types::{
    Decimal, EpochId, EvaluationId, FencingToken, GenerationId, LineageId, RunId, SessionId,
    SnapshotId, Symbol, TickId, UtcMicros, Uuid,
};
use penstock_venue_orders::{
    Clock, Credentials, PrivateRest, SharedVenueState, SocketConfig, SystemClock,
    spawn_order_socket,
};
use penstock_venues::kraken::rates::Tier;
use penstock_venues::kraken::signing::PrivateKey;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DeskConfig, DeskError, DeskHandle, DeskParts, spawn};
use crate::account::{Account, EntryOutcome, EntryRequest};
use crate::mode::ModeHandle;
use crate::quotes::{QuoteBoard, QuoteTable};

const SYMBOL: &str = "BTC/USD";
/// Longest wait for anything that happens within a second.
const LIMIT: Duration = Duration::from_secs(25);

/// One life of the execution side.
struct Session {
    desk: DeskHandle,
    task: JoinHandle<Result<(), DeskError>>,
    cancel: CancellationToken,
    mode: ModeHandle,
    clock: Arc<dyn Clock>,
    _changes: crate::mode::Changes,
    _state_dir: tempfile::TempDir,
}

struct World {
    pair: TestPair,
    pool: PgPool,
    venue: Handle,
    quotes: QuoteBoard,
    token: i64,
    evaluation: EvaluationId,
    mid_ticks: i64,
}

impl World {
    async fn new() -> Self {
        let options = Options { market: MarketSource::Still, symbols: 5, ..Options::default() };
        let venue = start(options).await.unwrap();
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
        let mut world = Self {
            pair,
            pool,
            venue,
            quotes: QuoteBoard::new(),
            token: 0,
            evaluation: EvaluationId(0),
            mid_ticks: 1_000_000,
        };
        world.rules().await;
        world.book(world.mid_ticks);
        world
    }

    /// The venue's rules as ingest would have stored them.
    async fn rules(&self) {
        let login = penstock_store::testing::SUPERUSER_LOGIN;
        let owner = self.pair.pool(ClusterRole::Decision, login).await.unwrap();
        let (tick, lot, min, cost) = self.venue.venue.with(|e, _| {
            let i = &e.market(SymbolNo(0)).instrument;
            assert_eq!(i.symbol, SYMBOL);
            (
                Decimal::new(i.tick.0, i.price_decimals),
                Decimal::new(1, i.qty_decimals),
                Decimal::new(i.qty_min.0, i.qty_decimals),
                i.cost_min,
            )
        });
        sqlx::query(
            "insert into instruments (symbol, base, quote, status, price_increment, qty_increment,
                qty_min, cost_min, price_precision, qty_precision, marginable, content_hash,
                updated_at, fencing_token)
             values ($1, 'BTC', 'USD', 'online', $2, $3, $4, $5, 1, 8, false, 'x', now(), 1)",
        )
        .bind(SYMBOL)
        .bind(tick)
        .bind(lot)
        .bind(min)
        .bind(cost)
        .execute(&owner)
        .await
        .unwrap();
        // The private messages of these days, as the start of the service makes them.
        let days: Vec<chrono::NaiveDate> = [0, 1]
            .iter()
            .filter_map(|d| chrono::Utc::now().date_naive().checked_add_days(chrono::Days::new(*d)))
            .collect();
        for day in days {
            penstock_store::partitions::create_daily_partition(
                &mut owner.acquire().await.unwrap(),
                penstock_store::partitions::DailyTable::RawPrivateExecutions,
                day,
            )
            .await
            .unwrap();
        }
    }

    /// Sets a fresh book around a mid, in ticks, and the quote that frames would carry.
    fn book(&mut self, mid: i64) {
        self.mid_ticks = mid;
        let decimals = self.venue.venue.with(|e, now| {
            let no = SymbolNo(0);
            let one = 10_i64.pow(e.market(no).instrument.qty_decimals);
            // Clear whatever rests in the way, then rest on both sides.
            for side in [SimSide::Buy, SimSide::Sell] {
                e.flow_market(no, side, Qty(one * 1_000), now);
            }
            for level in 1..=5 {
                e.flow_limit(no, SimSide::Buy, Price(mid - level * 10), Qty(one * 5), now);
                e.flow_limit(no, SimSide::Sell, Price(mid + level * 10), Qty(one * 5), now);
            }
            e.market(no).instrument.price_decimals
        });
        self.quote(mid, decimals);
    }

    /// The market rises by so many ticks, with a print up there.
    fn rise(&mut self, by: i64) {
        self.mid_ticks += by;
        let mid = self.mid_ticks;
        self.venue.venue.with(|e, now| {
            let no = SymbolNo(0);
            e.flow_market(no, SimSide::Buy, Qty(3_000_000_000), now);
            e.flow_limit(no, SimSide::Buy, Price(mid - 10), Qty(500_000_000), now);
            e.flow_limit(no, SimSide::Sell, Price(mid + 10), Qty(500_000_000), now);
            e.flow_market(no, SimSide::Buy, Qty(1_000), now);
        });
        self.quote(mid, 1);
    }

    fn quote(&self, mid: i64, decimals: u32) {
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
        self.quotes.store(table);
    }

    async fn session(&mut self) -> Session {
        self.token += 1;
        let token = FencingToken(self.token);
        sqlx::query(
            "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
                holder_pid, acquired_at, renewed_at, lease_expires_at)
             values ('execution', 'test', $1, gen_random_uuid(), 'h', 1, now(), now(), now())
             on conflict (service, domain) do update set fencing_token = excluded.fencing_token",
        )
        .bind(self.token)
        .execute(&self.pool)
        .await
        .unwrap();
        let session_id = SessionId(Uuid::now_v7());
        let now = UtcMicros::from(chrono::Utc::now());
        let begin = sessions::SessionStart {
            session_id,
            domain: "test",
            mode: "attach",
            fencing_token: token,
            host: "h",
            pid: 1,
            git_commit: "none",
            git_dirty: false,
            config_hash: "none",
            started_at: now,
        };
        sessions::start(&self.pool, &begin).await.unwrap();
        let cycle = evaluations::CycleStart {
            session_id,
            evaluation_index: 1,
            trigger: Trigger::Manual,
            started_at: now,
            run_id: None,
            lineage_id: None,
            epoch_id: None,
            snapshot_id: None,
            generation_id: None,
            state_age_ms: None,
            sys_mode: SysMode::Normal,
        };
        self.evaluation = evaluations::begin(&self.pool, &cycle).await.unwrap();
        self.desk(token, session_id).await
    }

    async fn desk(&self, token: FencingToken, session_id: SessionId) -> Session {
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
        let at = &self.venue.addresses;
        let credentials = Credentials {
            key: at.api_key.clone(),
            secret: PrivateKey::from_base64(&at.api_secret).unwrap(),
        };
        let rest = PrivateRest::new(&at.rest, credentials, state).unwrap();
        let (sender, events) = mpsc::channel(4_096);
        let cancel = CancellationToken::new();
        let mut socket = SocketConfig::new(&at.ws_private);
        socket.ack_timeout_ms = 500;
        let socket = spawn_order_socket(socket, rest.clone(), sender, cancel.clone()).unwrap();
        let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
        let (mode, changes) = ModeHandle::new(timing, Duration::from_secs(30));
        let rows = penstock_store_decision::cycle_input::all_instruments(&self.pool).await.unwrap();
        let rules = rows.into_iter().map(|r| (r.symbol.clone(), r)).collect();
        let config =
            DeskConfig { ack_timeout_ms: 500, unknown_grace_ms: 2_000, ..DeskConfig::default() };
        let parts = DeskParts {
            config,
            store: ExecStore::new(self.pool.clone(), "test", token, session_id),
            salt: OrderIdSalt([7; 32]),
            orders: socket.orders,
            rest,
            events,
            quotes: self.quotes.clone(),
            mode: mode.clone(),
            instruments: Arc::new(arc_swap::ArcSwap::from_pointee(rules)),
            clock: clock.clone(),
            cancel: cancel.clone(),
        };
        let (desk, task) = spawn(parts).unwrap();
        let session =
            Session { desk, task, cancel, mode, clock, _changes: changes, _state_dir: state_dir };
        let status = session.desk.clone();
        until("the reconcile of the start", || status.status().reconciled).await;
        let mode = session.mode.clone();
        until("NORMAL", move || {
            mode.judge();
            mode.current() == SysMode::Normal
        })
        .await;
        session
    }

    fn plan(&self, session: &Session, taker: bool) -> PlannedEntry {
        let now = session.clock.now().wall;
        let at = if taker { self.mid_ticks + 50 } else { self.mid_ticks - 10 };
        let price = Decimal::new(at, 1);
        PlannedEntry {
            is_proof: false,
            run_id: RunId(1),
            lineage_id: LineageId(Uuid::from_u128(1)),
            epoch_id: EpochId(1),
            snapshot_id: SnapshotId(1),
            generation_id: GenerationId(1),
            symbol: Symbol::new(SYMBOL).unwrap(),
            strategy: Strategy::Momentum,
            route_type: RouteType::BreakoutContinuation,
            horizon: Horizon::Medium,
            regime: Regime::Trend,
            regime_sub: None,
            entry_mode: if taker { EntryMode::Taker } else { EntryMode::Maker },
            exit_policy: ExitPolicy::TrailingStop,
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
            decision_mid: Decimal::new(self.mid_ticks, 1),
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

    async fn enter(&self, session: &Session, taker: bool) -> EntryOutcome {
        self.enter_with(session, self.plan(session, taker)).await
    }

    async fn enter_with(&self, session: &Session, plan: PlannedEntry) -> EntryOutcome {
        let request = EntryRequest { evaluation_id: self.evaluation, evaluation_index: 1, plan };
        session.desk.submit_entry(request).await
    }

    /// The flow sells into the resting entry until it is filled.
    fn fill_entry(&self) {
        self.venue.venue.with(|e, now| {
            e.flow_market(SymbolNo(0), SimSide::Sell, Qty(500_000_000 + 100_000), now)
        });
    }

    async fn word(&self, sql: &'static str) -> String {
        let found: Option<Option<String>> =
            sqlx::query_scalar(sql).fetch_optional(&self.pool).await.unwrap();
        found.flatten().unwrap_or_default()
    }

    async fn until_word(&self, what: &str, sql: &'static str, wanted: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.word(sql).await;
            if found == wanted {
                return;
            }
            assert!(Instant::now() < end, "{what}: {wanted} wanted, {found} found");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn fault(&self, json: &str) {
        let request: FaultRequest = serde_json::from_str(json).unwrap();
        let now = self.venue.venue.now_us();
        self.venue.venue.faults.add(&request, now);
    }

    /// The venue's trades and our fills are one set, to the last digit.
    async fn agrees(&self) {
        let mut theirs: Vec<String> = self.venue.venue.with(|e, _| {
            e.account()
                .trades()
                .iter()
                .map(|t| {
                    let i = &e.market(t.symbol).instrument;
                    let price = Decimal::new(t.price.0, i.price_decimals);
                    let qty = Decimal::new(t.qty.0, i.qty_decimals);
                    format!(
                        "{} {} {} {}",
                        t.txid,
                        price.normalize(),
                        qty.normalize(),
                        t.fee.normalize()
                    )
                })
                .collect()
        });
        let rows: Vec<(String, Decimal, Decimal, Decimal)> =
            sqlx::query_as("select exec_id, price, qty, fee_quote from fills")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let mut ours: Vec<String> = rows
            .into_iter()
            .map(|(id, p, q, f)| {
                format!("{id} {} {} {}", p.normalize(), q.normalize(), f.normalize())
            })
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs);
    }
}

impl Session {
    async fn kill(self) {
        self.task.abort();
        self.cancel.cancel();
        // Aborted: the result says only that.
        let _ = self.task.await;
    }
}

async fn until_changed(world: &World, sql: &'static str, before: &str) -> String {
    let end = Instant::now() + LIMIT;
    loop {
        let found = world.word(sql).await;
        if found != before {
            return found;
        }
        assert!(Instant::now() < end, "{before} did not change");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "{what} did not come within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const PLAN: &str = "select state from exit_plans order by plan_id desc limit 1";
const POSITION: &str = "select status from positions order by position_id desc limit 1";
const ENTRY: &str =
    "select state from execution_orders where role = 'entry' order by order_id desc limit 1";
