//! The desk against the simulated venue over its real sockets, on a real decision cluster: the world
//! that the tests share. Inputs: a still market that a test moves itself. Each test has a database and a
//! venue of its own.

mod audit;
mod boot;
mod dust;
mod external;
mod faults;
mod hang;
mod home;
mod life;
mod modes;
mod modes_of_market;
mod outage;
mod place;
mod quarantine;
mod reconcile;
mod recover;
mod regimes;
mod report;
mod reviews;
mod still;
mod strangers;
mod stream;
mod takes;
mod truth;

use std::time::{Duration, Instant};

use penstock_sim::admin::FaultRequest;
use penstock_sim::exchange::{Price, Qty, Side as SimSide, SymbolNo};
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_store::testing::TestPair;
use penstock_store_decision::{evaluations, sessions};
use penstock_trading::decide::PlannedEntry;
use penstock_trading::engine_gate::EngineGates;
use penstock_types::vocab::{SysMode, Trigger};
use penstock_types::{Decimal, EvaluationId, FencingToken, SessionId, Symbol, UtcMicros, Uuid};
use sqlx::PgPool;

use self::home::Home;
use self::place::{Place, Session, plan, put_quote};
use super::DeskConfig;
use crate::account::{Account, EntryOutcome, EntryRequest};
use crate::audit::AuditHandle;
use crate::engine::EngineBoard;
use crate::quotes::QuoteBoard;

const SYMBOL: &str = "BTC/USD";
/// Longest wait for what takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Distance of two looks.
const LOOK: Duration = Duration::from_millis(10);

struct World {
    home: Home,
    pool: PgPool,
    venue: Handle,
    quotes: QuoteBoard,
    audit: Option<AuditHandle>,
    engine: EngineBoard,
    token: i64,
    evaluation: EvaluationId,
    mid_ticks: i64,
    preauth_ms_max: i64,
    gates: EngineGates,
    tune: fn(&mut DeskConfig),
}

impl World {
    async fn new() -> Self {
        Self::at(Home::Shared(TestPair::new().await.unwrap())).await
    }

    async fn at(home: Home) -> Self {
        let options = Options { market: MarketSource::Still, symbols: 5, ..Options::default() };
        let venue = start(options).await.unwrap();
        let pool = home.pool("exec_rw").await;
        let mut world = Self {
            home,
            pool,
            venue,
            quotes: QuoteBoard::new(),
            audit: None,
            engine: EngineBoard::new([(Symbol::new(SYMBOL).unwrap(), 1)].into()),
            token: 0,
            evaluation: EvaluationId(0),
            mid_ticks: 1_000_000,
            preauth_ms_max: 300_000,
            gates: EngineGates::Enforce,
            tune: |_| {},
        };
        world.rules().await;
        world.book(world.mid_ticks);
        world
    }

    /// The venue's rules as ingest would have stored them.
    async fn rules(&self) {
        let login = penstock_store::testing::SUPERUSER_LOGIN;
        let owner = self.home.pool(login).await;
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

    async fn session(&mut self) -> Session {
        let (token, session_id) = self.open_session().await;
        self.place(token, session_id).desk().await
    }

    /// The fence and the rows of a session.
    async fn open_session(&mut self) -> (FencingToken, SessionId) {
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
            engine: evaluations::EngineRef::default(),
            sys_mode: SysMode::Normal,
        };
        self.evaluation = evaluations::begin(&self.pool, &cycle).await.unwrap();
        (token, session_id)
    }

    /// Everything that a desk needs to know of this world.
    fn place(&self, token: FencingToken, session_id: SessionId) -> Place {
        let at = &self.venue.addresses;
        Place {
            pool: self.pool.clone(),
            rest: at.rest.clone(),
            ws_private: at.ws_private.clone(),
            key: at.api_key.clone(),
            secret: at.api_secret.clone(),
            quotes: self.quotes.clone(),
            audit: self.audit.clone(),
            engine: self.engine.clone(),
            token,
            session_id,
            preauth_ms_max: self.preauth_ms_max,
            gates: self.gates,
            tune: self.tune,
        }
    }

    fn plan(&self, session: &Session, taker: bool) -> PlannedEntry {
        plan(session, self.mid_ticks, taker)
    }

    async fn enter(&self, session: &Session, taker: bool) -> EntryOutcome {
        self.enter_with(session, self.plan(session, taker)).await
    }

    async fn enter_with(&self, session: &Session, plan: PlannedEntry) -> EntryOutcome {
        let request = EntryRequest { evaluation_id: self.evaluation, evaluation_index: 1, plan };
        session.desk.submit_entry(request).await
    }

    fn quote(&self, mid: i64, decimals: u32) {
        put_quote(&self.quotes, mid, decimals);
    }

    /// The flow sells into the resting entry until it is filled.
    fn fill_entry(&self) {
        self.venue.venue.with(|e, now| {
            e.flow_market(SymbolNo(0), SimSide::Sell, Qty(500_000_000 + 100_000), now)
        });
    }

    /// The price falls through any stop, with a print down there.
    fn fall_through_stop(&self) {
        self.quote(self.mid_ticks - 9_000, 1);
        self.venue.venue.with(|e, now| {
            let no = SymbolNo(0);
            e.flow_market(no, SimSide::Sell, Qty(3_000_000_000), now);
            e.flow_limit(no, SimSide::Buy, Price(993_000), Qty(500_000_000), now);
            e.flow_limit(no, SimSide::Sell, Price(993_000), Qty(1_000_000), now);
        });
    }

    async fn word(&self, sql: &'static str) -> String {
        word_of(&self.pool, sql).await
    }

    async fn until_word(&self, what: &str, sql: &'static str, wanted: &str) {
        until_word_of(&self.pool, what, sql, wanted).await;
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

async fn word_of(pool: &PgPool, sql: &'static str) -> String {
    let found: Option<Option<String>> = sqlx::query_scalar(sql).fetch_optional(pool).await.unwrap();
    found.flatten().unwrap_or_default()
}

async fn until_word_of(pool: &PgPool, what: &str, sql: &'static str, wanted: &str) {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let found = word_of(pool, sql).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "{what}: {wanted} wanted, {found} found");
        looks.tick().await;
    }
}

async fn until_changed(world: &World, sql: &'static str, before: &str) -> String {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let found = world.word(sql).await;
        if found != before {
            return found;
        }
        assert!(Instant::now() < end, "{before} did not change");
        looks.tick().await;
    }
}

const PLAN: &str = "select state from exit_plans order by plan_id desc limit 1";
const POSITION: &str = "select status from positions order by position_id desc limit 1";
const ENTRY: &str =
    "select state from execution_orders where role = 'entry' order by order_id desc limit 1";
