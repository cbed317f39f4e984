//! Shadow trades of a finished cycle: rows that open with its candidates.
//!
//! Purpose: what was refused goes on being measured. Inputs: rows of one evaluation. Outputs: none. Invariants: they
//! stand in the transaction of the candidates, whose costs and regime their result needs; nothing here resolves one.

use penstock_store::StoreError;
use penstock_types::{Decimal, EvaluationId, UtcMicros};
use sqlx::PgConnection;

use crate::CLUSTER;

/// A shadow trade at its opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowRow {
    /// Symbol.
    pub symbol: String,
    /// `LONG` or `SHORT`.
    pub direction: &'static str,
    /// Strategy.
    pub strategy: &'static str,
    /// Route.
    pub route_type: &'static str,
    /// Horizon.
    pub horizon: &'static str,
    /// Stage of the refusal.
    pub stage: &'static str,
    /// What refused it.
    pub blocker: &'static str,
    /// Decision clock of the cycle's read.
    pub opened_at: UtcMicros,
    /// Mid at that time.
    pub ref_price: Decimal,
    /// Take-profit.
    pub tp_price: Option<Decimal>,
    /// Stop.
    pub sl_price: Option<Decimal>,
    /// When its time is up.
    pub expires_at: UtcMicros,
}

/// Writes the shadow trades of an evaluation.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: EvaluationId,
    rows: &[ShadowRow],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<serde_json::Value> = rows.iter().map(json).collect();
    sqlx::query!(
        "insert into shadow_trades (evaluation_id, symbol, direction, strategy, route_type, horizon,
             stage, blocker, opened_at, ref_price, tp_price, sl_price, expires_at)
         select $1, s.symbol, s.direction, s.strategy, s.route_type, s.horizon, s.stage, s.blocker,
             s.opened_at, s.ref_price, s.tp_price, s.sl_price, s.expires_at
         from jsonb_populate_recordset(null::shadow_trades, $2) s
         on conflict (evaluation_id, symbol, strategy, route_type, horizon) do nothing",
        id.0,
        serde_json::Value::Array(rows),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("open the shadow trades", CLUSTER, e))
}

fn json(row: &ShadowRow) -> serde_json::Value {
    serde_json::json!({
        "symbol": row.symbol, "direction": row.direction, "strategy": row.strategy,
        "route_type": row.route_type, "horizon": row.horizon, "stage": row.stage,
        "blocker": row.blocker, "opened_at": row.opened_at.rfc3339(),
        "ref_price": row.ref_price.to_string(),
        "tp_price": row.tp_price.map(|p| p.to_string()),
        "sl_price": row.sl_price.map(|p| p.to_string()),
        "expires_at": row.expires_at.rfc3339(),
    })
}
