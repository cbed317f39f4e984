//! The AI gate's last answer.
//!
//! Input: `ai_gate_events`. Output: the section. Invariants: an answer that could not be used is a BLOCK that names how
//! it failed; a gate that was never asked lets everything pass when it is off, and nothing otherwise.

use penstock_contracts::dashboard::AiGateSnapshot;
use penstock_contracts::units::{HashOrEmpty, Hex64};
use penstock_contracts::vocab::AiVerdict;
use penstock_types::vocab::ReasonCode;
use sqlx::PgConnection;

use super::empty::never_asked;
use super::error::ReadError;
use super::form::ms;

const WHAT: &str = "the AI gate's last answer";

pub(super) async fn read(
    conn: &mut PgConnection,
    ai_dec: i64,
) -> Result<AiGateSnapshot, ReadError> {
    // The table, not its view: that joins whole tables for what is not shown here.
    let row = sqlx::query!(
        r#"select ts as "ts!", verdict as "verdict!", reasons as "reasons!", model as "model!",
               latency_ms as "latency_ms!", snapshot_hash as "snapshot_hash!",
               input_hash as "input_hash!", raw_hash as "raw_hash!",
               modify_applied as "modify_applied!", error_code
           from ai_gate_events order by ts desc, attempt desc, decision_id limit 1"#
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let Some(row) = row else { return Ok(never_asked(ai_dec)) };
    let said = AiVerdict::parse(&row.verdict).map_err(ReadError::row(WHAT))?;
    let (verdict, error_kind) = match said {
        AiVerdict::Error => {
            let kind = row.error_code.or_else(|| row.reasons.first().cloned());
            (AiVerdict::Block, kind.unwrap_or_default())
        }
        AiVerdict::Allow | AiVerdict::Block | AiVerdict::Modify => {
            (said, row.error_code.unwrap_or_default())
        }
    };
    let reasons: Result<Vec<_>, _> =
        row.reasons.iter().map(|code| ReasonCode::parse(code)).collect();
    Ok(AiGateSnapshot {
        last_call_ts_ms: ms(row.ts),
        latency_ms: row.latency_ms.into(),
        model: row.model,
        verdict,
        reason_codes: reasons.map_err(ReadError::row(WHAT))?.into_iter().collect(),
        input_hash: hash(&row.input_hash)?,
        snapshot_hash: hash(&row.snapshot_hash)?,
        raw_hash: hash(&row.raw_hash)?,
        modify_applied: row.modify_applied,
        error_kind,
    })
}

fn hash(text: &str) -> Result<HashOrEmpty, ReadError> {
    if text.is_empty() {
        return Ok(HashOrEmpty(None));
    }
    Hex64::parse(text).map(|hash| HashOrEmpty(Some(hash))).map_err(ReadError::row(WHAT))
}
