//! Token bindings of a run.

use penstock_store::StoreError;
use penstock_types::RunId;
use sqlx::PgPool;

use crate::CLUSTER;

/// Bindings with their hash.
#[derive(Debug, Clone, PartialEq)]
pub struct RunBindings {
    /// SHA-256, hex.
    pub hash: String,
    /// Canonical array of tokens.
    pub bindings: serde_json::Value,
}

/// Bindings of a run; none when the run is not there.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn run_bindings(pool: &PgPool, run_id: RunId) -> Result<Option<RunBindings>, StoreError> {
    let row = sqlx::query!(
        r#"select encode(bindings_hash, 'hex') as "hash!", bindings from observation_runs
         where run_id = $1"#,
        run_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the bindings of a run", CLUSTER, e))?;
    Ok(row.map(|r| RunBindings { hash: r.hash, bindings: r.bindings }))
}
