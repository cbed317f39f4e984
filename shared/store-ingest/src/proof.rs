//! What the validation proofs ask of the ingest cluster. Read-only, as `observer_ro`.

use sqlx::PgPool;

/// Rows of the newest run, per stream that has any.
#[derive(Debug, Clone)]
pub struct RowsProof {
    /// Stream.
    pub stream: String,
    /// Rows.
    pub rows: i64,
}

/// The newest run.
///
/// # Errors
/// When the cluster does not answer.
pub async fn newest_run(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select run_id from observation_runs order by run_id desc limit 1")
        .fetch_optional(pool)
        .await
}

/// Rows of a run by stream.
///
/// # Errors
/// When the cluster does not answer.
pub async fn rows(pool: &PgPool, run_id: i64) -> Result<Vec<RowsProof>, sqlx::Error> {
    sqlx::query_as!(
        RowsProof,
        r#"select 'ticker' as "stream!", count(*) as "rows!" from ticker_samples where run_id = $1
        union all select 'trade', count(*) from trade_samples where run_id = $1
        union all select 'l2', count(*) from l2_snap_metrics where run_id = $1"#,
        run_id
    )
    .fetch_all(pool)
    .await
}

/// Identity, holes and foreign connections.
#[derive(Debug, Clone)]
pub struct ClusterProof {
    /// `system_identifier` of the cluster.
    pub system_identifier: String,
    /// Unexplained ranges without rows of the run.
    pub unexplained_holes: i64,
    /// Connections of execution's role.
    pub execution_connections: i64,
}

/// The figures for a run.
///
/// # Errors
/// When the cluster does not answer.
pub async fn cluster(pool: &PgPool, run_id: i64) -> Result<ClusterProof, sqlx::Error> {
    sqlx::query_as!(
        ClusterProof,
        r#"select (select system_identifier::text from pg_control_system()) as "system_identifier!",
            (select count(*) from raw_seq_holes h where h.run_id = $1 and not h.explained)
                as "unexplained_holes!",
            (select count(*) from pg_stat_activity where usename = 'exec_rw')
                as "execution_connections!""#,
        run_id
    )
    .fetch_one(pool)
    .await
}
