//! What `status` shows: one row per domain, and the services' heartbeats. Read-only.

use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// The row of `v_now`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Now {
    /// Domain.
    pub domain: Option<String>,
    /// Run of the publication.
    pub run_id: Option<i64>,
    /// Published generation.
    pub generation_id: Option<i64>,
    /// Symbols in it.
    pub row_count: Option<i32>,
    /// Age of the state, ms.
    pub state_age_ms: Option<i64>,
    /// Age of the newest frame, ms.
    pub frame_age_ms: Option<i64>,
    /// Newest valid or degraded epoch.
    pub epoch_id: Option<i64>,
    /// Its status.
    pub epoch_status: Option<String>,
    /// Its age, seconds.
    pub epoch_age_secs: Option<i32>,
    /// The lease of ingest lives.
    pub ingest_lease_alive: Option<bool>,
    /// The lease of execution lives.
    pub execution_lease_alive: Option<bool>,
    /// System mode.
    pub sys_mode: Option<String>,
    /// Since when.
    pub sys_mode_since: Option<DateTime<Utc>>,
    /// Why.
    pub sys_mode_reasons: Option<Vec<String>>,
}

/// One row per domain.
///
/// # Errors
/// When the cluster does not answer.
pub async fn now(pool: &PgPool) -> Result<Vec<Now>, sqlx::Error> {
    sqlx::query_as!(
        Now,
        "select domain, run_id, generation_id, row_count, state_age_ms, frame_age_ms, epoch_id,
            epoch_status, epoch_age_secs, ingest_lease_alive, execution_lease_alive, sys_mode,
            sys_mode_since, sys_mode_reasons
        from v_now order by domain"
    )
    .fetch_all(pool)
    .await
}

/// A service's newest heartbeat.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Heartbeat {
    /// Service.
    pub service: String,
    /// Host.
    pub host: String,
    /// Process.
    pub pid: i32,
    /// Age by the cluster's clock, ms.
    pub age_ms: i64,
    /// What it says of itself.
    pub status: serde_json::Value,
    /// Its alerts.
    pub alerts: serde_json::Value,
}

/// The newest heartbeat of each service.
///
/// # Errors
/// When the cluster does not answer.
pub async fn heartbeats(pool: &PgPool) -> Result<Vec<Heartbeat>, sqlx::Error> {
    sqlx::query_as!(
        Heartbeat,
        r#"select distinct on (service) service, host, pid,
            (extract(epoch from clock_timestamp() - ts) * 1000)::bigint as "age_ms!", status, alerts
        from service_heartbeats order by service, ts desc"#
    )
    .fetch_all(pool)
    .await
}

/// Positions, orders and the last day's reasons for not trading.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NoTrade {
    /// Verdict.
    pub verdict: Option<String>,
    /// Dominating blocker.
    pub dominant_blocker: Option<String>,
    /// Cycles.
    pub cycles: Option<i64>,
}

/// The most frequent reasons of the last 24 hours.
///
/// # Errors
/// When the cluster does not answer.
pub async fn no_trade(pool: &PgPool) -> Result<Vec<NoTrade>, sqlx::Error> {
    sqlx::query_as!(
        NoTrade,
        "select verdict, dominant_blocker, cycles from v_no_trade_24h order by cycles desc limit 5"
    )
    .fetch_all(pool)
    .await
}

/// An open position.
#[derive(Debug, Clone, serde::Serialize)]
pub struct OpenPosition {
    /// Symbol.
    pub symbol: Option<String>,
    /// Status.
    pub status: Option<String>,
    /// Base.
    pub base_qty: Option<penstock_types::Decimal>,
    /// Average entry.
    pub avg_entry_price: Option<penstock_types::Decimal>,
    /// Profit on the published bid, bps.
    pub g_bps: Option<penstock_types::Decimal>,
    /// State of the exit plan.
    pub plan_state: Option<String>,
    /// Stop at the venue.
    pub stop_price_on_exchange: Option<penstock_types::Decimal>,
}

/// Open, closing and dust positions.
///
/// # Errors
/// When the cluster does not answer.
pub async fn open_positions(pool: &PgPool) -> Result<Vec<OpenPosition>, sqlx::Error> {
    sqlx::query_as!(
        OpenPosition,
        "select symbol, status, base_qty, avg_entry_price, g_bps, plan_state, stop_price_on_exchange
        from v_open_positions order by symbol"
    )
    .fetch_all(pool)
    .await
}

/// An order that the venue has or may have.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LiveOrder {
    /// Row id.
    pub order_id: i64,
    /// Symbol.
    pub symbol: String,
    /// Role.
    pub role: String,
    /// State.
    pub state: String,
    /// Base quantity.
    pub qty: penstock_types::Decimal,
    /// Base filled so far.
    pub cum_qty: penstock_types::Decimal,
    /// Limit, else trigger; `None` at market.
    pub price: Option<penstock_types::Decimal>,
}

/// Every order that was sent and has not ended.
///
/// # Errors
/// When the cluster does not answer.
pub async fn live_orders(pool: &PgPool) -> Result<Vec<LiveOrder>, sqlx::Error> {
    sqlx::query_as!(
        LiveOrder,
        "select order_id, symbol, role, state, qty, cum_qty,
            coalesce(limit_price, trigger_price) as price
        from execution_orders where not terminal and state <> 'created' order by symbol, order_id"
    )
    .fetch_all(pool)
    .await
}
