//! What an evaluation's finalists saw, said and were told: selection, snapshots, decisions, the AI gate, verdicts.
//!
//! Input: values of one evaluation. Output: rows, all in one transaction; the same values again by evaluation.
//! Invariants: columns repeat what their document says, so that a query needs no JSON, and reading compares both; a
//! changed decision stands beside the first one and names it. A crash before the commit leaves an evaluation without
//! these rows, which is what an evaluation without an end is.

mod read;

pub use read::{AiGateReadError, of_evaluation};

use penstock_contracts::ai::record::GateEvent;
use penstock_contracts::decision::CONTRACTS_VERSION;
use penstock_contracts::risk::{CostsSnapshot, RiskLimitsSnapshot};
use penstock_contracts::units::{DecisionId, HashOrEmpty, Hex64};
use penstock_contracts::vocab::RiskVerdictType;
use penstock_contracts::{Decision, RiskVerdict, Snapshot};
use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::db_time;
use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, EvaluationId, Symbol, UtcMicros};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool};

use crate::CLUSTER;

/// Fields of the limits that are counters: they stand in a column of their own.
const COUNTERS: [&str; 9] = [
    "exposure_symbol_quote",
    "exposure_total_quote",
    "daily_pnl_quote",
    "drawdown_quote",
    "trades_today",
    "trades_window",
    "orders_60s",
    "loss_streak",
    "balance_age_ms",
];

/// How the finalists were chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectionRow {
    /// Evaluation.
    pub evaluation_id: EvaluationId,
    /// When.
    pub ts: UtcMicros,
    /// The ranked symbols, an array of objects.
    pub topn: Value,
    /// Finalists before the guards.
    pub topk_pre: Vec<Symbol>,
    /// Finalists.
    pub topk_final: Vec<Symbol>,
    /// One was kept although another was better.
    pub churn_guard_applied: bool,
    /// One was left out for its likeness to another.
    pub correlation_applied: bool,
    /// Greatest correlation among the finalists, times 10,000.
    pub max_pairwise_corr_x10000: i32,
    /// Pairs over the limit, an array of objects.
    pub corr_pairs: Value,
    /// Hash of the configuration.
    pub config_hash: String,
}

/// Inputs of a finalist.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionSnapshotRow {
    /// Evaluation.
    pub evaluation_id: EvaluationId,
    /// When it was built.
    pub created_at: UtcMicros,
    /// The document.
    pub snapshot: Snapshot,
}

/// A decision in one of its versions.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// 0 as it was proposed, 1 as the AI gate changed it.
    pub version: i16,
    /// The one that was changed; there with version 1 only.
    pub parent: Option<DecisionId>,
    /// When.
    pub created_at: UtcMicros,
    /// The document, with its evaluation.
    pub decision: Decision,
}

impl DecisionRow {
    /// As it was proposed.
    #[must_use]
    pub const fn proposed(decision: Decision, created_at: UtcMicros) -> Self {
        Self { version: 0, parent: None, created_at, decision }
    }

    /// As the gate changed another.
    #[must_use]
    pub const fn modified(decision: Decision, parent: DecisionId, created_at: UtcMicros) -> Self {
        Self { version: 1, parent: Some(parent), created_at, decision }
    }
}

/// What risk said of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskVerdictRow {
    /// The decision that it was asked about: the changed one, if there is one.
    pub decision_id: DecisionId,
    /// Evaluation.
    pub evaluation_id: EvaluationId,
    /// When.
    pub ts: UtcMicros,
    /// Verdict.
    pub verdict: RiskVerdictType,
    /// Why it blocks; empty when it does not.
    pub reasons: Vec<ReasonCode>,
    /// Limits and counters.
    pub limits: RiskLimitsSnapshot,
    /// Costs.
    pub costs: CostsSnapshot,
    /// Least edge, raised, bps.
    pub adjusted_min_edge_bps: Decimal,
    /// What it was raised by, times 10,000.
    pub multiplier_x10000: i32,
    /// Quantity in base.
    pub sized_qty: Decimal,
    /// Amount in quote.
    pub sized_quote: Decimal,
}

impl RiskVerdictRow {
    /// The row of a verdict.
    #[must_use]
    pub fn of(
        decision_id: DecisionId,
        evaluation_id: EvaluationId,
        ts: UtcMicros,
        verdict: &RiskVerdict,
    ) -> Self {
        Self {
            decision_id,
            evaluation_id,
            ts,
            verdict: verdict.verdict,
            reasons: verdict.reasons.clone(),
            limits: verdict.risk_limits.clone(),
            costs: verdict.costs.clone(),
            adjusted_min_edge_bps: verdict.adjusted_min_edge_bps.value(),
            multiplier_x10000: verdict.multiplier_x10000.0,
            sized_qty: verdict.sized_qty.value(),
            sized_quote: verdict.sized_quote.value(),
        }
    }
}

/// Everything of one evaluation that these tables hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecisionRecords {
    /// How the finalists were chosen; none when nothing was ranked.
    pub selection: Option<SelectionRow>,
    /// Inputs, one for each finalist.
    pub snapshots: Vec<DecisionSnapshotRow>,
    /// Decisions; a changed one stands after the one that it names.
    pub decisions: Vec<DecisionRow>,
    /// Records of the AI gate, one for each attempt.
    pub gate: Vec<GateEvent>,
    /// Verdicts.
    pub verdicts: Vec<RiskVerdictRow>,
}

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

/// Writes the records of an evaluation in one transaction.
///
/// # Errors
/// [`StoreError::Sql`] when a row is refused; then none is written.
pub async fn insert(pool: &PgPool, records: &DecisionRecords) -> Result<(), StoreError> {
    let action = "write the decisions of an evaluation";
    let mut tx = again::begin(pool, "begin").await.map_err(sql(action))?;
    write(&mut tx, records).await?;
    tx.commit().await.map_err(|e| StoreError::commit(action, CLUSTER, e))
}

/// Writes the records within a transaction of the caller's.
///
/// # Errors
/// As [`insert`].
pub async fn write(conn: &mut PgConnection, records: &DecisionRecords) -> Result<(), StoreError> {
    if let Some(selection) = &records.selection {
        write_selection(conn, selection).await?;
    }
    write_snapshots(conn, &records.snapshots).await?;
    write_decisions(conn, &records.decisions).await?;
    write_gate(conn, &records.gate).await?;
    write_verdicts(conn, &records.verdicts).await
}

fn texts(symbols: &[Symbol]) -> Vec<String> {
    symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect()
}

fn words(reasons: &[ReasonCode]) -> Vec<String> {
    reasons.iter().map(|reason| reason.as_str().to_owned()).collect()
}

fn hash(hash: &HashOrEmpty) -> &str {
    hash.0.as_ref().map_or("", Hex64::as_str)
}

/// A contract as JSON: it has text keys and no number that JSON lacks, so it always is.
fn document<T: serde::Serialize>(contract: &T) -> Value {
    serde_json::to_value(contract).expect("a contract has text keys and whole numbers only")
}

async fn write_selection(conn: &mut PgConnection, row: &SelectionRow) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into cycle_selections (evaluation_id, ts, topn, topk_pre, topk_final,
             churn_guard_applied, correlation_applied, max_pairwise_corr_x10000, corr_pairs,
             config_hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        row.evaluation_id.0,
        db_time(row.ts),
        row.topn,
        &texts(&row.topk_pre),
        &texts(&row.topk_final),
        row.churn_guard_applied,
        row.correlation_applied,
        row.max_pairwise_corr_x10000,
        row.corr_pairs,
        row.config_hash,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(sql("write a cycle's selection"))
}

async fn write_snapshots(
    conn: &mut PgConnection,
    rows: &[DecisionSnapshotRow],
) -> Result<(), StoreError> {
    for row in rows {
        sqlx::query!(
            "insert into decision_snapshots (evaluation_id, symbol, snapshot_hash, created_at,
                 snapshot)
             values ($1, $2, $3, $4, $5)",
            row.evaluation_id.0,
            row.snapshot.symbol.as_str(),
            row.snapshot.metadata.snapshot_hash.as_str(),
            db_time(row.created_at),
            document(&row.snapshot),
        )
        .execute(&mut *conn)
        .await
        .map_err(sql("write a decision's snapshot"))?;
    }
    Ok(())
}

async fn write_decisions(conn: &mut PgConnection, rows: &[DecisionRow]) -> Result<(), StoreError> {
    for row in rows {
        let decision = &row.decision;
        sqlx::query!(
            "insert into decisions (decision_id, evaluation_id, symbol, version,
                 parent_decision_id, strategy, route, horizon, edge_score_x10000,
                 edge_bps_expected, reasons, snapshot_hash, stage, contracts_version, created_at,
                 decision)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            decision.decision_id.as_str(),
            decision.cycle_id.0,
            decision.symbol.as_str(),
            row.version,
            row.parent.as_ref().map(DecisionId::as_str),
            decision.strategy.as_str(),
            decision.route.as_str(),
            decision.horizon.as_str(),
            decision.edge_score_x10000.0,
            decision.edge_bps_expected.0,
            &words(&decision.reasons),
            decision.snapshot_hash.as_str(),
            decision.stage.as_str(),
            CONTRACTS_VERSION,
            db_time(row.created_at),
            document(decision),
        )
        .execute(&mut *conn)
        .await
        .map_err(sql("write a decision"))?;
    }
    Ok(())
}

async fn write_gate(conn: &mut PgConnection, rows: &[GateEvent]) -> Result<(), StoreError> {
    for row in rows {
        sqlx::query!(
            "insert into ai_gate_events (decision_id, attempt, evaluation_id, ts, enabled, verdict,
                 reasons, model, latency_ms, snapshot_hash, input_hash, prompt_hash, raw_hash,
                 request_json_redacted, response_json_redacted, modified_decision_json_redacted,
                 modify_applied, error_code, error_detail_redacted)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19)",
            row.decision_id.as_str(),
            row.attempt,
            row.evaluation_id.0,
            db_time(row.ts),
            row.enabled,
            row.verdict.as_str(),
            &words(&row.reasons),
            row.model,
            row.latency_ms,
            hash(&row.snapshot_hash),
            hash(&row.input_hash),
            hash(&row.prompt_hash),
            hash(&row.raw_hash),
            row.request,
            row.response,
            row.modified,
            row.modify_applied,
            row.error_code.map(ReasonCode::as_str),
            row.error_detail,
        )
        .execute(&mut *conn)
        .await
        .map_err(sql("write an attempt of the AI gate"))?;
    }
    Ok(())
}

/// Limits and counters of one document, apart.
fn apart(limits: &RiskLimitsSnapshot) -> (Value, Value) {
    let (mut kept, mut counters) = (Map::new(), Map::new());
    if let Value::Object(fields) = document(limits) {
        for (key, value) in fields {
            let part = if COUNTERS.contains(&key.as_str()) { &mut counters } else { &mut kept };
            part.insert(key, value);
        }
    }
    (Value::Object(kept), Value::Object(counters))
}

async fn write_verdicts(
    conn: &mut PgConnection,
    rows: &[RiskVerdictRow],
) -> Result<(), StoreError> {
    for row in rows {
        let (limits, counters) = apart(&row.limits);
        sqlx::query!(
            "insert into risk_verdicts (decision_id, evaluation_id, ts, verdict, reasons, limits,
                 counters, costs, adjusted_min_edge_bps, multiplier_x10000, sized_qty, sized_quote)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            row.decision_id.as_str(),
            row.evaluation_id.0,
            db_time(row.ts),
            row.verdict.as_str(),
            &words(&row.reasons),
            limits,
            counters,
            document(&row.costs),
            row.adjusted_min_edge_bps,
            row.multiplier_x10000,
            row.sized_qty,
            row.sized_quote,
        )
        .execute(&mut *conn)
        .await
        .map_err(sql("write a verdict of risk"))?;
    }
    Ok(())
}
