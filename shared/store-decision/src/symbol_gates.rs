//! The first closed gate of every pool symbol, and what the universe says of a symbol.
//!
//! Purpose: one row per symbol that says why it is not traded and since when. Inputs: gates of a finished
//! cycle. Outputs: rows. Invariants: the time of a row stays while its reason does, whoever writes it: a
//! restart changes none; a row is only written when something of it changed.

use penstock_store::StoreError;
use penstock_types::{Decimal, EvaluationId, SnapshotId};
use sqlx::{PgConnection, PgPool};

use crate::CLUSTER;

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

/// A symbol's gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRow {
    /// Symbol.
    pub symbol: String,
    /// First closed gate; none when nothing closes it.
    pub gate: Option<String>,
    /// Stage.
    pub stage: Option<String>,
    /// Reason code; there is one exactly when there is a gate.
    pub reason: Option<String>,
    /// Measured value, without trailing zeros.
    pub value: Option<Decimal>,
    /// Limit, without trailing zeros.
    pub limit: Option<Decimal>,
    /// Unit of both.
    pub unit: Option<String>,
    /// All closed gates.
    pub closed: Vec<String>,
}

/// The rows of a domain as they stand, symbols ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn stored(pool: &PgPool, domain: &str) -> Result<Vec<GateRow>, StoreError> {
    let rows = sqlx::query!(
        "select symbol, gate, stage, reason, value, limit_value, unit, all_closed
         from symbol_gates where domain = $1 order by symbol",
        domain,
    )
    .fetch_all(pool)
    .await
    .map_err(sql("read the gates of symbols"))?;
    Ok(rows
        .into_iter()
        .map(|r| GateRow {
            symbol: r.symbol,
            gate: r.gate,
            stage: r.stage,
            reason: r.reason,
            value: r.value.map(|v| v.normalize()),
            limit: r.limit_value.map(|v| v.normalize()),
            unit: r.unit,
            closed: r.all_closed,
        })
        .collect())
}

/// Which symbols a universe tracks, and which it left out for which reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UniverseSets {
    /// Symbols of the pool.
    pub tracked: Vec<String>,
    /// Symbols that entries may use.
    pub execution: Vec<String>,
    /// Reason → symbols, an object of lists.
    pub excluded: serde_json::Value,
}

/// The sets of a universe; none when there is no such snapshot.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn universe(
    pool: &PgPool,
    snapshot_id: SnapshotId,
) -> Result<Option<UniverseSets>, StoreError> {
    sqlx::query_as!(
        UniverseSets,
        "select tracked_symbols as tracked, execution_symbols as execution, excluded
         from execution_universe_snapshots where snapshot_id = $1",
        snapshot_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(sql("read the sets of a universe"))
}

/// Writes rows that changed, all at once.
///
/// # Errors
/// [`StoreError::Sql`].
pub(crate) async fn upsert(
    conn: &mut PgConnection,
    domain: &str,
    evaluation_id: EvaluationId,
    gates: &[GateRow],
) -> Result<(), StoreError> {
    if gates.is_empty() {
        return Ok(());
    }
    // One JSON text for all rows: a start writes hundreds of them, and a list inside a row has no array form.
    let rows: Vec<serde_json::Value> = gates.iter().map(json).collect();
    sqlx::query!(
        "insert into symbol_gates as s (domain, symbol, gate, stage, reason, value, limit_value,
             unit, since, evaluation_id, all_closed)
         select $1::text, g.symbol, g.gate, g.stage, g.reason, g.value, g.limit_value, g.unit,
             clock_timestamp(), $2::bigint, g.all_closed
         from jsonb_populate_recordset(null::symbol_gates, $3) g
         on conflict (domain, symbol) do update set gate = excluded.gate,
             stage = excluded.stage, reason = excluded.reason, value = excluded.value,
             limit_value = excluded.limit_value, unit = excluded.unit,
             since = case when s.reason is not distinct from excluded.reason then s.since
                 else excluded.since end,
             evaluation_id = excluded.evaluation_id, all_closed = excluded.all_closed",
        domain,
        evaluation_id.0,
        serde_json::Value::Array(rows),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(sql("write the gates of symbols"))
}

fn json(g: &GateRow) -> serde_json::Value {
    serde_json::json!({
        "symbol": g.symbol, "gate": g.gate, "stage": g.stage, "reason": g.reason,
        "value": g.value.map(|v| v.to_string()), "limit_value": g.limit.map(|v| v.to_string()),
        "unit": g.unit, "all_closed": g.closed,
    })
}
