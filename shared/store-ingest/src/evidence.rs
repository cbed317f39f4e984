//! What a checker needs of the ingest cluster: generations, holes, trade numbers.
//!
//! Read-only, as `observer_ro`. Nothing here is used by a service.

use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// A generation row.
#[derive(Debug, Clone)]
pub struct GenerationEvidence {
    /// Id.
    pub generation_id: i64,
    /// Run.
    pub run_id: i64,
    /// Where its publication stands.
    pub sync_status: String,
    /// Its inputs are all recorded.
    pub raw_complete: bool,
}

/// Every generation, in order.
///
/// # Errors
/// When the cluster does not answer.
pub async fn generations(pool: &PgPool) -> Result<Vec<GenerationEvidence>, sqlx::Error> {
    sqlx::query_as!(
        GenerationEvidence,
        "select generation_id, run_id, sync_status, raw_complete from state_generations
        order by generation_id"
    )
    .fetch_all(pool)
    .await
}

/// A run with what is missing of it.
#[derive(Debug, Clone)]
pub struct RunEvidence {
    /// Run.
    pub run_id: i64,
    /// Numbered rows.
    pub rows: i64,
    /// Ranges of numbers without a row and without an explanation.
    pub unexplained_holes: i64,
    /// Steps of more than one between neighbouring trade numbers of a symbol, outside its gap rows; a
    /// run that follows by rollover goes on with the numbers of the one before.
    pub unexplained_trades: i64,
    /// The run's first rows open a gap that reaches back to the run before, or it follows that by
    /// rollover, or there is none before.
    pub joined: bool,
}

/// Every run, in order. One run after another: with the number as a parameter each query reads that
/// run's partitions alone and is planned by their size, where a query over all runs is planned as if
/// there were hundreds.
///
/// # Errors
/// When the cluster does not answer.
pub async fn runs(pool: &PgPool) -> Result<Vec<RunEvidence>, sqlx::Error> {
    let ids =
        sqlx::query!("select run_id, predecessor_run_id from observation_runs order by run_id")
            .fetch_all(pool)
            .await?;
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.push(run(pool, id.run_id, id.predecessor_run_id).await?);
    }
    Ok(runs)
}

/// One run. What drop rows explain is collected once, not per hole.
async fn run(
    pool: &PgPool,
    run_id: i64,
    predecessor_run_id: Option<i64>,
) -> Result<RunEvidence, sqlx::Error> {
    sqlx::query_as!(
        RunEvidence,
        r#"with steps as (
            select run_id, symbol, ts_local,
                lag(ts_local) over w as ts_before, trade_id - lag(trade_id) over w as step
            from trade_samples where run_id in ($1, $2) and conn_id <> 0
            window w as (partition by symbol order by run_id, seq)
        )
        select r.run_id,
            (select count(*) from raw_seq q where q.run_id = $1) as "rows!",
            (select count(*) from raw_seq_holes h where h.run_id = $1 and not coalesce((
                select range_agg(int8range(e.first_seq, e.last_seq, '[]'))
                from ingest_stream_events e where e.run_id = $1 and e.kind = 'raw_drop'
            ) @> int8range(h.first_missing, h.last_missing, '[]'), false)) as "unexplained_holes!",
            (select count(*) from steps s where s.run_id = $1 and s.step > 1 and not exists (
                select from ingest_stream_events e
                where e.run_id in ($1, $2) and e.kind = 'gap'
                    and (e.symbol is null or e.symbol = s.symbol)
                    and e.gap_from <= s.ts_local
                    and coalesce(e.gap_to, e.ts, s.ts_local) >= s.ts_before))
                as "unexplained_trades!",
            (r.predecessor_run_id is not null
                or not exists (select from observation_runs b where b.run_id < $1)
                or exists (select from ingest_stream_events e where e.run_id = $1
                    and e.kind = 'gap' and e.gap_from < r.started_at)) as "joined!"
        from observation_runs r where r.run_id = $1"#,
        run_id,
        predecessor_run_id.unwrap_or(run_id)
    )
    .fetch_one(pool)
    .await
}

/// Rows of all raw tables.
///
/// # Errors
/// When the cluster does not answer.
pub async fn raw_rows(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "rows!" from raw_seq"#).fetch_one(pool).await
}

/// When a run began and ended.
#[derive(Debug, Clone)]
pub struct RunTimes {
    /// Run.
    pub run_id: i64,
    /// Its start.
    pub started_at: DateTime<Utc>,
    /// Its end; `None` while it is open.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

/// Every run with its times, in order.
///
/// # Errors
/// When the cluster does not answer.
pub async fn run_times(pool: &PgPool) -> Result<Vec<RunTimes>, sqlx::Error> {
    sqlx::query_as!(
        RunTimes,
        "select run_id, started_at, ended_at, end_reason from observation_runs order by run_id"
    )
    .fetch_all(pool)
    .await
}

/// Quantiles of times.
#[derive(Debug, Clone)]
pub struct Lags {
    /// Rows looked at.
    pub rows: i64,
    /// Median, ms; `None` without rows, or when the cluster keeps no such times.
    pub p50_ms: Option<f64>,
    /// 99th percentile, ms.
    pub p99_ms: Option<f64>,
    /// Longest, ms.
    pub max_ms: Option<f64>,
}

/// From the receipt of a message to the commit of its row, over the trades and book samples of all runs, by
/// PostgreSQL's own commit times.
///
/// # Errors
/// When the cluster does not answer.
pub async fn load_lag(pool: &PgPool) -> Result<Lags, sqlx::Error> {
    sqlx::query_as!(
        Lags,
        r#"with lags as (
            select (extract(epoch from case when current_setting('track_commit_timestamp')::boolean
                then pg_xact_commit_timestamp(r.xmin) end - r.ts_local) * 1000)::float8 as ms
            from (select xmin, ts_local from trade_samples
                union all select xmin, ts_local from l2_snap_metrics) r
        )
        select count(*) as "rows!", percentile_disc(0.5) within group (order by ms) as p50_ms,
            percentile_disc(0.99) within group (order by ms) as p99_ms, max(ms) as max_ms
        from lags"#
    )
    .fetch_one(pool)
    .await
}

/// How long publications on the decision cluster took, over the generations of all runs.
///
/// # Errors
/// When the cluster does not answer.
pub async fn publication_times(pool: &PgPool) -> Result<Lags, sqlx::Error> {
    sqlx::query_as!(
        Lags,
        r#"select count(*) as "rows!", percentile_disc(0.5) within group (order by ms) as p50_ms,
            percentile_disc(0.99) within group (order by ms) as p99_ms, max(ms) as max_ms
        from (select sync_duration_ms::float8 as ms from state_generations
            where sync_status = 'published') g"#
    )
    .fetch_one(pool)
    .await
}
