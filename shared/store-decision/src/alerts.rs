//! `alerts`: one row for each alert from its opening to its end, with the ways out that took it.
//!
//! Input: alerts as they are now. Output: rows, and those of an earlier life of the process. Invariants: at most one
//! open row per source, reason and symbol (the table refuses a second); a row never goes back from ended to open; the
//! same state again changes nothing.

use chrono::{DateTime, Utc};
use penstock_contracts::alert::{Alert, AlertSource, Metrics, Summary, SymbolText, V1};
use penstock_contracts::units::TsMs;
use penstock_store::StoreError;
use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, EvaluationId, RunId};
use sqlx::PgPool;

use crate::CLUSTER;

/// Most rows that a start takes over: more alerts than a service keeps open.
const STORED_MAX: i64 = 1_024;

/// A row of an earlier life of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The alert.
    pub alert: Alert,
    /// It has ended.
    pub is_cleared: bool,
    /// Ways out that took it.
    pub delivered: Vec<String>,
}

/// Which alert a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey<'a> {
    /// Whose alert it is.
    pub source: AlertSource,
    /// Its own reason.
    pub reason: ReasonCode,
    /// Pair, or empty.
    pub symbol: &'a str,
    /// First time, milliseconds since 1970.
    pub first_ms: i64,
}

fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// Writes the newest state of an alert: its row, or a new one. An older open row of its key is ended by it, because the
/// process that would have ended it is gone.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn save(pool: &PgPool, a: &Alert, cleared_ms: Option<i64>) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("write an alert", CLUSTER, e);
    let reasons: Vec<String> = a.reasons.iter().map(|r| r.as_str().to_owned()).collect();
    let metrics = serde_json::to_value(&a.metrics).unwrap_or_default();
    let (first, last) = (time(a.first_ts_ms.0), time(a.last_ts_ms.0));
    let mut tx = pool.begin().await.map_err(sql)?;
    sqlx::query!(
        "update alerts set cleared_at = $5
         where source = $1 and primary_reason = $2 and symbol = $3 and cleared_at is null
           and first_ts < $4",
        a.source.as_str(),
        a.reason_code.as_str(),
        a.symbol.as_str(),
        first,
        first,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    let updated = sqlx::query!(
        "update alerts set severity = $5, reasons = $6, stage = $7, sys_mode = $8, summary = $9,
             metrics = $10, count = greatest(count, $11), last_ts = greatest(last_ts, $12),
             run_id = $13, cycle_id = $14, decision_id = $15, order_intent_id = $16,
             cleared_at = coalesce(cleared_at, $17)
         where source = $1 and primary_reason = $2 and symbol = $3 and first_ts = $4",
        a.source.as_str(),
        a.reason_code.as_str(),
        a.symbol.as_str(),
        first,
        a.severity.as_str(),
        &reasons,
        a.stage.as_str(),
        a.sys_mode.as_str(),
        a.summary.as_str(),
        metrics,
        a.count,
        last,
        a.run_id.0,
        a.cycle_id.0,
        a.decision_id,
        a.order_intent_id,
        cleared_ms.map(time),
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    if updated.rows_affected() == 0 {
        insert(&mut tx, (a, cleared_ms), &reasons, &metrics).await.map_err(sql)?;
    }
    tx.commit().await.map_err(sql)
}

async fn insert(
    conn: &mut sqlx::PgConnection,
    (a, cleared_ms): (&Alert, Option<i64>),
    reasons: &[String],
    metrics: &serde_json::Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into alerts (source, severity, primary_reason, reasons, symbol, stage, sys_mode,
             summary, metrics, count, first_ts, last_ts, run_id, cycle_id, decision_id,
             order_intent_id, cleared_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        a.source.as_str(),
        a.severity.as_str(),
        a.reason_code.as_str(),
        reasons,
        a.symbol.as_str(),
        a.stage.as_str(),
        a.sys_mode.as_str(),
        a.summary.as_str(),
        metrics,
        a.count,
        time(a.first_ts_ms.0),
        time(a.last_ts_ms.0),
        a.run_id.0,
        a.cycle_id.0,
        a.decision_id,
        a.order_intent_id,
        cleared_ms.map(time),
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Notes that a way out took an alert; a row that is not there is nothing to note.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn delivered(pool: &PgPool, row: &RowKey<'_>, sink: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update alerts set delivered = array_append(delivered, $5)
         where source = $1 and primary_reason = $2 and symbol = $3 and first_ts = $4
           and not ($5 = any(delivered))",
        row.source.as_str(),
        row.reason.as_str(),
        row.symbol,
        time(row.first_ms),
        sink,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("note the delivery of an alert", CLUSTER, e))
}

/// What a start takes over: open alerts, and critical ones that ended less than a day ago; the newest first. A row that
/// is no alert any more is left out.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn stored(pool: &PgPool) -> Result<Vec<StoredRow>, StoreError> {
    let rows = sqlx::query!(
        r#"select source, severity, primary_reason, reasons, symbol, stage, sys_mode, summary,
               metrics, count, first_ts, last_ts, run_id, cycle_id, decision_id, order_intent_id,
               delivered, (cleared_at is not null) as "is_cleared!"
           from alerts
           where cleared_at is null
              or (severity = 'CRIT' and cleared_at > clock_timestamp() - interval '24 hours')
           order by (cleared_at is null) desc, last_ts desc
           limit $1"#,
        STORED_MAX,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the alerts", CLUSTER, e))?;
    let read = rows.into_iter().filter_map(|r| {
        let alert = Alert {
            v: V1,
            source: r.source.parse().ok()?,
            sender: r.source.parse().ok()?,
            severity: r.severity.parse().ok()?,
            reason_code: r.primary_reason.parse().ok()?,
            reasons: r.reasons.iter().map(|t| t.parse()).collect::<Result<_, _>>().ok()?,
            symbol: SymbolText::parse(&r.symbol)?,
            stage: r.stage.parse().ok()?,
            sys_mode: r.sys_mode.parse().ok()?,
            summary: Summary::of(&r.summary),
            count: r.count,
            first_ts_ms: TsMs(r.first_ts.timestamp_millis()),
            last_ts_ms: TsMs(r.last_ts.timestamp_millis()),
            run_id: RunId(r.run_id),
            cycle_id: EvaluationId(r.cycle_id),
            decision_id: r.decision_id,
            order_intent_id: r.order_intent_id,
            active: !r.is_cleared,
            metrics: Metrics::of(&r.metrics),
        };
        Some(StoredRow { alert, is_cleared: r.is_cleared, delivered: r.delivered })
    });
    Ok(read.collect())
}

/// Bytes of the cluster's write-ahead log, read in the role of an observer: the service's own may not look at it.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn wal_bytes(pool: &PgPool) -> Result<i64, StoreError> {
    let sql = |e| StoreError::sql("read the size of the write-ahead log", CLUSTER, e);
    let mut tx = pool.begin().await.map_err(sql)?;
    sqlx::raw_sql("set local role observer_ro").execute(&mut *tx).await.map_err(sql)?;
    let bytes = sqlx::query_scalar!(
        r#"select coalesce(sum(size), 0)::bigint as "bytes!" from pg_ls_waldir()"#
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(sql)?;
    // The role ends with its transaction.
    tx.rollback().await.map_err(sql)?;
    Ok(bytes)
}

/// Whether the two newest judged epochs of a domain are both not valid; with fewer than two they are not.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn two_epochs_not_valid(pool: &PgPool) -> Result<bool, StoreError> {
    let both = sqlx::query_scalar!(
        r#"select bool_and(status <> 'valid') and count(*) = 2 as "both"
           from (select status from ingest_epochs where status in ('valid', 'degraded', 'invalid')
                 order by epoch_id desc limit 2) as newest"#
    )
    .fetch_one(pool)
    .await
    .map_err(|e| StoreError::sql("read the newest epochs", CLUSTER, e))?;
    Ok(both.unwrap_or(false))
}

/// What a UTC day has realised so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayResult {
    /// Net of fees, in the quote asset.
    pub realized_quote: Decimal,
    /// Equity with which the day began: the newest snapshot before it, else its first.
    pub opening_quote: Decimal,
}

/// What the current UTC day has realised; none while no equity is known.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn day_result(pool: &PgPool) -> Result<Option<DayResult>, StoreError> {
    let row = sqlx::query!(
        r#"with day as (select date_trunc('day', clock_timestamp(), 'UTC') as began)
           select coalesce((select sum(net_quote) from realized_pnl, day where ts >= began), 0)
                   as "realized!",
               coalesce(
                   (select equity_quote from equity_snapshots, day where ts < began
                    order by ts desc limit 1),
                   (select equity_quote from equity_snapshots, day where ts >= began
                    order by ts limit 1)) as opening"#
    )
    .fetch_one(pool)
    .await
    .map_err(|e| StoreError::sql("read the day's result", CLUSTER, e))?;
    let (realized_quote, opening) = (row.realized, row.opening);
    Ok(opening.map(|opening_quote| DayResult { realized_quote, opening_quote }))
}
