//! The records of an evaluation as they were written, for verification.
//!
//! Input: an evaluation. Output: its records. Invariants: all of one instant; documents are read strictly; a column that
//! does not say what its document says is an error that names the row.

use super::{
    DecisionRecords, DecisionRow, DecisionSnapshotRow, RiskVerdictRow, SelectionRow, words,
};
use crate::CLUSTER;
use crate::cycle_input::begin;
use penstock_contracts::Decision;
use penstock_contracts::ai::record::GateEvent;
use penstock_contracts::units::{DecisionId, HashOrEmpty, Hex64, HexError};
use penstock_contracts::vocab::{AiVerdict, RiskVerdictType};
use penstock_store::StoreError;
use penstock_types::symbol::SymbolError;
use penstock_types::vocab::{ReasonCode, UnknownWord};
use penstock_types::{EvaluationId, Symbol};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

/// Records that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum AiGateReadError {
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document is not of its contract.
    #[error(
        "{table} row of {key} holds a document that is not read: {problem}; next: compare the row with a backup"
    )]
    Document {
        /// Table.
        table: &'static str,
        /// Decision or symbol.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A column and its document differ.
    #[error(
        "{table} row of {key}: column {column} differs from its document; next: compare the row with a backup"
    )]
    Differs {
        /// Table.
        table: &'static str,
        /// Decision or symbol.
        key: String,
        /// Column.
        column: &'static str,
    },
    /// A text is outside its vocabulary.
    #[error("row not readable: {0}; next: compare the versions of binary and rows")]
    Word(#[from] UnknownWord),
    /// A text is no symbol.
    #[error("row not readable: {0}")]
    Symbol(#[from] SymbolError),
    /// A text is no hash or id.
    #[error("row not readable: {0}")]
    Hex(#[from] HexError),
}

/// Everything that these tables hold of an evaluation, in the order of ids.
///
/// # Errors
/// [`AiGateReadError`].
pub async fn of_evaluation(
    pool: &PgPool,
    evaluation_id: EvaluationId,
) -> Result<DecisionRecords, AiGateReadError> {
    let mut tx = begin(pool).await?;
    let records = DecisionRecords {
        selection: selection(&mut tx, evaluation_id).await?,
        snapshots: snapshots(&mut tx, evaluation_id).await?,
        decisions: decisions(&mut tx, evaluation_id).await?,
        gate: gate(&mut tx, evaluation_id).await?,
        verdicts: verdicts(&mut tx, evaluation_id).await?,
    };
    tx.rollback().await.map_err(sql("end the read of an evaluation's decisions"))?;
    Ok(records)
}

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

fn document<T: DeserializeOwned>(
    table: &'static str,
    key: &str,
    value: Value,
) -> Result<T, AiGateReadError> {
    serde_json::from_value(value).map_err(|error| AiGateReadError::Document {
        table,
        key: key.to_owned(),
        problem: error.to_string(),
    })
}

fn same(
    table: &'static str,
    key: &str,
    columns: &[(&'static str, bool)],
) -> Result<(), AiGateReadError> {
    match columns.iter().find(|(_, same)| !same) {
        Some((column, _)) => Err(AiGateReadError::Differs { table, key: key.to_owned(), column }),
        None => Ok(()),
    }
}

fn symbols(texts: &[String]) -> Result<Vec<Symbol>, AiGateReadError> {
    texts.iter().map(|text| Symbol::new(text).map_err(AiGateReadError::from)).collect()
}

fn reasons(texts: &[String]) -> Result<Vec<ReasonCode>, AiGateReadError> {
    texts.iter().map(|text| ReasonCode::parse(text).map_err(AiGateReadError::from)).collect()
}

fn hash(text: &str) -> Result<HashOrEmpty, AiGateReadError> {
    if text.is_empty() { Ok(HashOrEmpty(None)) } else { Ok(HashOrEmpty(Some(Hex64::parse(text)?))) }
}

async fn selection(
    conn: &mut PgConnection,
    evaluation_id: EvaluationId,
) -> Result<Option<SelectionRow>, AiGateReadError> {
    let row = sqlx::query!(
        "select ts, topn, topk_pre, topk_final, churn_guard_applied, correlation_applied,
             max_pairwise_corr_x10000, corr_pairs, config_hash
         from cycle_selections
         where evaluation_id = $1",
        evaluation_id.0,
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("read a cycle's selection"))?;
    row.map(|r| {
        Ok(SelectionRow {
            evaluation_id,
            ts: r.ts.into(),
            topn: r.topn,
            topk_pre: symbols(&r.topk_pre)?,
            topk_final: symbols(&r.topk_final)?,
            churn_guard_applied: r.churn_guard_applied,
            correlation_applied: r.correlation_applied,
            max_pairwise_corr_x10000: r.max_pairwise_corr_x10000,
            corr_pairs: r.corr_pairs,
            config_hash: r.config_hash,
        })
    })
    .transpose()
}

async fn snapshots(
    conn: &mut PgConnection,
    evaluation_id: EvaluationId,
) -> Result<Vec<DecisionSnapshotRow>, AiGateReadError> {
    let rows = sqlx::query!(
        r#"select symbol, snapshot_hash, created_at, snapshot
         from decision_snapshots
         where evaluation_id = $1
         order by symbol collate "C""#,
        evaluation_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the snapshots of an evaluation"))?;
    let table = "decision_snapshots";
    rows.into_iter()
        .map(|r| {
            let snapshot: penstock_contracts::Snapshot = document(table, &r.symbol, r.snapshot)?;
            let columns = [
                ("symbol", snapshot.symbol.as_str() == r.symbol),
                ("snapshot_hash", snapshot.metadata.snapshot_hash.as_str() == r.snapshot_hash),
            ];
            same(table, &r.symbol, &columns)?;
            Ok(DecisionSnapshotRow { evaluation_id, created_at: r.created_at.into(), snapshot })
        })
        .collect()
}

async fn decisions(
    conn: &mut PgConnection,
    evaluation_id: EvaluationId,
) -> Result<Vec<DecisionRow>, AiGateReadError> {
    let rows = sqlx::query!(
        r#"select decision_id, symbol, version, parent_decision_id, strategy, route, horizon,
             edge_score_x10000, edge_bps_expected, reasons, snapshot_hash, stage, created_at,
             decision
         from decisions
         where evaluation_id = $1
         order by version, symbol collate "C""#,
        evaluation_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the decisions of an evaluation"))?;
    let table = "decisions";
    rows.into_iter()
        .map(|r| {
            let decision: Decision = document(table, &r.decision_id, r.decision)?;
            let columns = [
                ("decision_id", decision.decision_id.as_str() == r.decision_id),
                ("evaluation_id", decision.cycle_id == evaluation_id),
                ("symbol", decision.symbol.as_str() == r.symbol),
                ("strategy", decision.strategy.as_str() == r.strategy),
                ("route", decision.route.as_str() == r.route),
                ("horizon", decision.horizon.as_str() == r.horizon),
                ("edge_score_x10000", decision.edge_score_x10000.0 == r.edge_score_x10000),
                ("edge_bps_expected", decision.edge_bps_expected.0 == r.edge_bps_expected),
                ("reasons", words(&decision.reasons) == r.reasons),
                ("snapshot_hash", decision.snapshot_hash.as_str() == r.snapshot_hash),
                ("stage", decision.stage.as_str() == r.stage),
            ];
            same(table, &r.decision_id, &columns)?;
            Ok(DecisionRow {
                version: r.version,
                parent: r.parent_decision_id.as_deref().map(DecisionId::parse).transpose()?,
                created_at: r.created_at.into(),
                decision,
            })
        })
        .collect()
}

async fn gate(
    conn: &mut PgConnection,
    evaluation_id: EvaluationId,
) -> Result<Vec<GateEvent>, AiGateReadError> {
    let rows = sqlx::query!(
        "select decision_id, attempt, ts, enabled, verdict, reasons, model, latency_ms,
             snapshot_hash, input_hash, prompt_hash, raw_hash, request_json_redacted,
             response_json_redacted, modified_decision_json_redacted, modify_applied, error_code,
             error_detail_redacted
         from ai_gate_events
         where evaluation_id = $1
         order by ts, decision_id, attempt",
        evaluation_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the AI gate's records of an evaluation"))?;
    rows.into_iter()
        .map(|r| {
            Ok(GateEvent {
                decision_id: DecisionId::parse(&r.decision_id)?,
                attempt: r.attempt,
                evaluation_id,
                ts: r.ts.into(),
                enabled: r.enabled,
                verdict: AiVerdict::parse(&r.verdict)?,
                reasons: reasons(&r.reasons)?,
                model: r.model,
                latency_ms: r.latency_ms,
                snapshot_hash: hash(&r.snapshot_hash)?,
                input_hash: hash(&r.input_hash)?,
                prompt_hash: hash(&r.prompt_hash)?,
                raw_hash: hash(&r.raw_hash)?,
                request: r.request_json_redacted,
                response: r.response_json_redacted,
                modified: r.modified_decision_json_redacted,
                modify_applied: r.modify_applied,
                error_code: r.error_code.as_deref().map(ReasonCode::parse).transpose()?,
                error_detail: r.error_detail_redacted,
            })
        })
        .collect()
}

async fn verdicts(
    conn: &mut PgConnection,
    evaluation_id: EvaluationId,
) -> Result<Vec<RiskVerdictRow>, AiGateReadError> {
    let rows = sqlx::query!(
        "select decision_id, ts, verdict, reasons, limits, counters, costs, adjusted_min_edge_bps,
             multiplier_x10000, sized_qty, sized_quote
         from risk_verdicts
         where evaluation_id = $1
         order by ts, decision_id",
        evaluation_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the verdicts of an evaluation"))?;
    rows.into_iter()
        .map(|r| {
            let mut limits = r.limits;
            if let (Value::Object(fields), Value::Object(counters)) = (&mut limits, r.counters) {
                fields.extend(counters);
            }
            Ok(RiskVerdictRow {
                decision_id: DecisionId::parse(&r.decision_id)?,
                evaluation_id,
                ts: r.ts.into(),
                verdict: RiskVerdictType::parse(&r.verdict)?,
                reasons: reasons(&r.reasons)?,
                limits: document("risk_verdicts", &r.decision_id, limits)?,
                costs: document("risk_verdicts", &r.decision_id, r.costs)?,
                adjusted_min_edge_bps: r.adjusted_min_edge_bps,
                multiplier_x10000: r.multiplier_x10000,
                sized_qty: r.sized_qty,
                sized_quote: r.sized_quote,
            })
        })
        .collect()
}
