//! Stored cycles of a session, for whoever derives them again.
//!
//! Inputs: a pool that can only look, a session, the last evaluation that was read. Outputs: cycles in their order with
//! their input, its hashes and the configuration. Nothing here judges.

use penstock_store::StoreError;
use penstock_types::{EvaluationId, SessionId};
use sqlx::PgPool;

use crate::CLUSTER;

/// What a cycle was decided from.
#[derive(Debug, Clone)]
pub struct StoredInput {
    /// Key of the configuration.
    pub config_hash: String,
    /// The configuration.
    pub config: serde_json::Value,
    /// Hash of the input's canonical JSON.
    pub input_hash: String,
    /// Hash of what was decided.
    pub outcome_hash: String,
    /// Compressed canonical JSON.
    pub input: Vec<u8>,
}

/// A cycle that began to read.
#[derive(Debug, Clone)]
pub struct StoredCycle {
    /// Evaluation.
    pub evaluation_id: EvaluationId,
    /// Verdict; none of a cycle that has not ended.
    pub verdict: Option<String>,
    /// Its input; none of a cycle that failed before it was kept.
    pub input: Option<StoredInput>,
}

/// Sessions that have evaluated, newest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn sessions(pool: &PgPool) -> Result<Vec<SessionId>, StoreError> {
    sqlx::query_scalar!(
        "select session_id from evaluation_cycles group by session_id order by max(evaluation_id) desc"
    )
    .fetch_all(pool)
    .await
    .map(|ids| ids.into_iter().map(SessionId).collect())
    .map_err(|e| StoreError::sql("read the sessions that evaluated", CLUSTER, e))
}

/// Cycles of a session after one of them, at most `limit`.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn after(
    pool: &PgPool,
    session_id: SessionId,
    last: EvaluationId,
    limit: i64,
) -> Result<Vec<StoredCycle>, StoreError> {
    let rows = sqlx::query!(
        r#"select c.evaluation_id, c.verdict as "verdict?", i.config_hash as "config_hash?",
             i.input_hash as "input_hash?", i.outcome_hash as "outcome_hash?", i.input as "input?",
             k.config as "config?"
         from evaluation_cycles c
         left join cycle_inputs i on i.evaluation_id = c.evaluation_id
         left join exec_configs k on k.config_hash = i.config_hash
         where c.session_id = $1 and c.evaluation_id > $2
         order by c.evaluation_id limit $3"#,
        session_id.0,
        last.0,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read stored cycles", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let input =
                match (row.config_hash, row.config, row.input_hash, row.outcome_hash, row.input) {
                    (
                        Some(config_hash),
                        Some(config),
                        Some(input_hash),
                        Some(outcome_hash),
                        Some(input),
                    ) => Some(StoredInput { config_hash, config, input_hash, outcome_hash, input }),
                    _ => None,
                };
            StoredCycle {
                evaluation_id: EvaluationId(row.evaluation_id),
                verdict: row.verdict,
                input,
            }
        })
        .collect())
}
