//! Rows of `alerts` on the decision cluster.
//!
//! Input: alerts as they are now. Output: rows; those that the last session left. Invariants: a failed write is tried
//! again by the keeper, never here.

use std::collections::BTreeSet;

use penstock_alerts::board::Identity;
use penstock_alerts::rows::{AlertRow, Rows, RowsError, StoredAlert};
use penstock_alerts::sink::SinkName;
use penstock_store::StoreError;
use penstock_store_decision::alerts::{self, RowKey, StoredRow};
use sqlx::PgPool;

/// Writes through the session's pool.
#[derive(Debug, Clone)]
pub(super) struct DecisionRows {
    pub(super) pool: PgPool,
}

impl Rows for DecisionRows {
    async fn save(&self, row: &AlertRow) -> Result<(), RowsError> {
        let saved = alerts::save(&self.pool, &row.alert, row.cleared_ms).await;
        saved.map_err(|e| RowsError(e.to_string()))
    }

    async fn delivered(&self, id: &Identity, sink: SinkName) -> Result<(), RowsError> {
        let key = RowKey {
            source: id.key.source,
            reason: id.key.reason,
            symbol: id.key.symbol.as_str(),
            first_ms: id.first_ms,
        };
        let noted = alerts::delivered(&self.pool, &key, sink.as_str()).await;
        noted.map_err(|e| RowsError(e.to_string()))
    }
}

/// What the last session left.
pub(super) async fn stored(pool: &PgPool) -> Result<Vec<StoredAlert>, StoreError> {
    let of = |StoredRow { alert, is_cleared, delivered }: StoredRow| {
        let delivered: BTreeSet<SinkName> =
            delivered.iter().filter_map(|name| SinkName::parse(name).ok()).collect();
        StoredAlert { alert, is_cleared, delivered }
    };
    Ok(alerts::stored(pool).await?.into_iter().map(of).collect())
}
