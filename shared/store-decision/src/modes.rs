//! `sys_mode_log`: one row per change of the mode.

use penstock_store::StoreError;
use penstock_store::twins::db_time;
use penstock_types::vocab::SysMode;
use penstock_types::{SessionId, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// A change of the mode.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeRow {
    /// Session.
    pub session_id: SessionId,
    /// When, wall clock of the session.
    pub ts: UtcMicros,
    /// Evaluation that caused it, if one did.
    pub evaluation_index: Option<i64>,
    /// Mode before; none for the first row of a session.
    pub from: Option<SysMode>,
    /// Mode after.
    pub to: SysMode,
    /// Reasons, highest first; empty only for NORMAL.
    pub reasons: Vec<String>,
    /// Values of the reasons that have one, an object.
    pub values: serde_json::Value,
}

/// Appends a row.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn insert(pool: &PgPool, row: &ModeRow) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sys_mode_log (session_id, ts, evaluation_index, mode_from, mode_to, reasons,
             trigger_values)
         values ($1, $2, $3, $4, $5, $6, $7)",
        row.session_id.0,
        db_time(row.ts),
        row.evaluation_index,
        row.from.map(SysMode::as_str),
        row.to.as_str(),
        &row.reasons,
        row.values,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write a mode change", CLUSTER, e))
}
