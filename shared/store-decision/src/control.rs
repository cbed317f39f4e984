//! Operator's requests: polled by the service that answers their kind, applied once, answered in
//! the row.

use penstock_store::StoreError;
use penstock_types::UtcMicros;
use sqlx::PgPool;

use crate::CLUSTER;

/// The kinds that execution answers; ingest answers `new_lineage`.
pub const EXECUTION_KINDS: [&str; 5] = ["mode", "flatten", "safety", "reconcile", "probe"];
/// The kind that ingest answers.
pub const INGEST_KINDS: [&str; 1] = ["new_lineage"];

/// A request without an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlRequest {
    /// Id.
    pub id: i64,
    /// Kind.
    pub kind: String,
    /// Arguments, an object.
    pub args: serde_json::Value,
    /// Who asked.
    pub requested_by: String,
    /// When, decision clock.
    pub requested_at: UtcMicros,
}

/// Unanswered requests of the given kinds, oldest first, at most 100.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn pending(pool: &PgPool, kinds: &[&str]) -> Result<Vec<ControlRequest>, StoreError> {
    let kinds: Vec<String> = kinds.iter().map(|k| (*k).to_owned()).collect();
    let rows = sqlx::query!(
        "select id, kind, args, requested_by, requested_at from control_requests
         where applied_at is null and kind = any($1) order by id limit 100",
        &kinds,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read control requests", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| ControlRequest {
            id: r.id,
            kind: r.kind,
            args: r.args,
            requested_by: r.requested_by,
            requested_at: r.requested_at.into(),
        })
        .collect())
}

/// Answers a request; false when it was answered before.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn answer(pool: &PgPool, id: i64, result: &str) -> Result<bool, StoreError> {
    sqlx::query!(
        "update control_requests set applied_at = clock_timestamp(), result = $2
         where id = $1 and applied_at is null",
        id,
        result,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|e| StoreError::sql("answer a control request", CLUSTER, e))
}

/// Asks a service for something, as the operator's tool does.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn ask(
    pool: &PgPool,
    kind: &str,
    args: &serde_json::Value,
    requested_by: &str,
) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "insert into control_requests (kind, args, requested_by) values ($1, $2, $3) returning id",
        kind,
        args,
        requested_by,
    )
    .fetch_one(pool)
    .await
    .map_err(|e| StoreError::sql("write a control request", CLUSTER, e))
}

/// The answer of a request; `None` while there is none.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn answer_of(pool: &PgPool, id: i64) -> Result<Option<String>, StoreError> {
    let row = sqlx::query!("select applied_at, result from control_requests where id = $1", id)
        .fetch_optional(pool)
        .await
        .map_err(|e| StoreError::sql("read a control request", CLUSTER, e))?;
    Ok(row.and_then(|r| r.applied_at.map(|_| r.result.unwrap_or_default())))
}
