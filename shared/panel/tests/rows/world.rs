//! A migrated database with rows, the observer's pool on it, and what the process would know.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_contracts::dashboard::{
    AuditPressure, DashboardSnapshot, HealthSnapshot, Limits, SymbolInfo,
};
use penstock_contracts::units::{PctX10000, TsMs, X10000};
use penstock_contracts::vocab::Mode;
use penstock_panel::live::{Best, Live, Window, Writer};
use penstock_panel::rows::Stored;
use penstock_panel::settings::{Identity, Lengths};
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use penstock_types::{Decimal, SessionId, Symbol, Uuid};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

/// The moment of every test: 2026-06-15T12:34:56Z.
pub(crate) const NOW_MS: i64 = 1_781_526_896_000;
const NOW: &str = "timestamptz '2026-06-15 12:34:56Z'";

pub(crate) struct World {
    owner: PgPool,
    pub pool: PgPool,
    pub identity: Identity,
    pub lengths: Lengths,
    pub live: Live,
    _pair: TestPair,
}

impl World {
    pub(crate) async fn new(rows: &str) -> Self {
        let pair = TestPair::new().await.unwrap();
        let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
        let url = pair.url(ClusterRole::Decision, "observer_ro");
        let settings = PoolSettings::observer("run-execution-live panel", 2);
        let wait = Duration::from_secs(10);
        let pool = open(&url, ClusterRole::Decision, &settings, wait).await.unwrap();
        let (identity, live) = (identity(), live());
        let lengths = Lengths { intents: 50, diffs: 50, symbols: 50 };
        let world = Self { owner, pool, identity, lengths, live, _pair: pair };
        world.change(rows).await;
        world
    }

    pub(crate) async fn change(&self, sql: &str) {
        let sql = sql.replace(":now", NOW);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.owner).await.unwrap();
    }

    /// A hash of all rows of each table.
    pub(crate) async fn digests(&self) -> BTreeMap<String, Option<String>> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.oid::regclass::text from pg_class c
             where c.relnamespace = 'penstock'::regnamespace and c.relkind in ('r', 'p') order by 1",
        )
        .fetch_all(&self.owner)
        .await
        .unwrap();
        let mut digests = BTreeMap::new();
        for table in tables {
            let sql =
                format!("select md5(string_agg(t::text, e'\n' order by t::text)) from {table} t");
            let digest =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.owner).await.unwrap();
            digests.insert(table, digest);
        }
        digests
    }
}

pub(crate) fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

pub(crate) fn dec(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn identity() -> Identity {
    Identity {
        domain: "test".to_owned(),
        session_id: SessionId(Uuid::parse_str("019c6652-5e0c-7005-8000-0000002a944f").unwrap()),
        git_commit: "abc".to_owned(),
        version: "0.1.0".to_owned(),
        config_hash: "c".repeat(64),
        venue: "sim".to_owned(),
        quote_asset: "USD".to_owned(),
        ai_dec: 2,
        execution_enable: true,
        engine_mode: "enforce".to_owned(),
        alert_sound: true,
        daily_loss_limit_quote: dec("50"),
        daily_loss_limit_bps: dec("200"),
        cooldown_s: 300,
        drift_degrade_x10000: 20_000,
    }
}

fn live() -> Live {
    Live {
        now_ms: NOW_MS,
        sys_mode: SysMode::Normal,
        sys_mode_since_ms: 1,
        reasons: Vec::new(),
        uptime_s: 2,
        run_id: None,
        cycle_id: None,
        last_cycle_ms: 3,
        decision_id: String::new(),
        stage: StageName::PositionManage,
        stage_since_ms: 4,
        alerts: Vec::new(),
        disk_free_bytes: 5,
        rss_bytes: 6,
        cpu_pct_x10000: 7,
        writer: Writer {
            queue_pct_x10000: 8,
            queue_len: 9,
            lag_ms: 10,
            pressure: AuditPressure::Ok,
            events_per_min: 11,
            drops_per_min: 12,
            last_commit_ms: 13,
        },
        quotes: BTreeMap::new(),
        windows: BTreeMap::new(),
        symbols: Vec::new(),
        cluster_fsm: Vec::new(),
        event_phase: String::new(),
        limits: Limits { rest_counter_x10000: X10000(14), engine_counter_x10000: X10000(15) },
        checklist: Vec::new(),
        confirm_pending: Vec::new(),
        foreign_holds_quote: Decimal::ZERO,
    }
}

/// What the process knows beside the rows of the small database.
pub(crate) fn knowing(live: &mut Live) {
    live.quotes.insert(symbol("A/USD"), Best { bid: dec("101"), ask: dec("102") });
    live.confirm_pending.push(symbol("A/USD"));
    live.foreign_holds_quote = dec("10");
    live.windows.insert(
        symbol("L/USD"),
        Window {
            spread_now_bps: 4,
            spread_p50_bps: 5,
            spread_p90_bps: 6,
            spread_p90_delta_bps: -7,
            imbalance_x10000: 4_800,
            flags: vec![ReasonCode::ImbalanceAgainst; 9],
        },
    );
    live.symbols.push(info("T/USD"));
    live.symbols.push(info("L/USD"));
    live.cluster_fsm.push("CALM".to_owned());
    "PRE".clone_into(&mut live.event_phase);
}

fn info(name: &str) -> SymbolInfo {
    SymbolInfo {
        symbol: symbol(name),
        market_regime: String::new(),
        regime_sub: String::new(),
        token_fsm: "ARMED".to_owned(),
        tier: "A".to_owned(),
        trigger_cost: 5,
        direction: "UP".to_owned(),
        symbol_mode: String::new(),
        pressure: 1,
        fragile: 2,
        trigger: 3,
        unwind: 4,
    }
}

/// The whole document, as the process would put it together.
pub(crate) fn document(world: &World, read: &Stored) -> DashboardSnapshot {
    let live = &world.live;
    let read = read.clone();
    DashboardSnapshot {
        ts_ms: TsMs(live.now_ms),
        mode: Mode::Live,
        sys_mode: live.sys_mode,
        sys_mode_since_ts_ms: TsMs(live.sys_mode_since_ms),
        active_reason_codes: live.reasons.iter().copied().collect(),
        uptime_s: live.uptime_s,
        run_id: String::new(),
        cycle_id: String::new(),
        decision_id: String::new(),
        stage: live.stage,
        stage_since_ts_ms: TsMs(live.stage_since_ms),
        alerts_active: [].into_iter().collect(),
        stage_history: read.stage_history,
        health: HealthSnapshot {
            disk_free_bytes: live.disk_free_bytes,
            sqlite_bytes: read.db_bytes,
            wal_bytes: read.wal_bytes,
            process_rss_bytes: live.rss_bytes,
            process_cpu_pct_x10000: PctX10000(7),
            audit_writer_queue_pct_x10000: PctX10000(8),
            audit_writer_queue_len: live.writer.queue_len,
            audit_writer_lag_ms: live.writer.lag_ms,
            audit_writer_pressure: live.writer.pressure,
            events_per_min: live.writer.events_per_min,
            drops_per_min: live.writer.drops_per_min,
            last_cycle_ts_ms: TsMs(live.last_cycle_ms),
            last_writer_commit_ts_ms: TsMs(live.writer.last_commit_ms),
        },
        intents: read.intents,
        reconcile: read.reconcile,
        market: read.market,
        risk: read.risk,
        aigate: read.aigate,
        topk: read.topk,
        ext: read.ext,
    }
}

/// Calls for each field of the document, with its name; an item of a list is `item`.
pub(crate) fn walk(value: &Value, seen: &mut dyn FnMut(&str, &Value)) {
    walk_in("document", value, seen);
}

fn walk_in(name: &str, value: &Value, seen: &mut dyn FnMut(&str, &Value)) {
    seen(name, value);
    for (name, value) in value.as_object().into_iter().flatten() {
        walk_in(name, value, seen);
    }
    for item in value.as_array().into_iter().flatten() {
        walk_in("item", item, seen);
    }
}
