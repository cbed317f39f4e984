//! What an evaluation leaves behind: its cycle, candidates, the input that repeats it, gates of symbols.
//!
//! Purpose: evidence of every decision. Inputs: values of a finished cycle. Outputs: rows. Invariants: the
//! cycle's row stands before an order names it; everything else of a cycle is one transaction. A crash
//! between the two leaves a cycle without an end, which is what happened.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::db_time;
use penstock_types::vocab::{SysMode, Trigger, Verdict};
use penstock_types::{
    Decimal, EpochId, EvaluationId, GenerationId, LineageId, RunId, SessionId, SnapshotId, TickId,
    UtcMicros,
};
use sqlx::{PgConnection, PgPool};

use crate::CLUSTER;
use crate::shadow_trades::{self, ShadowRow};
use crate::symbol_gates::{self, GateRow};

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

/// The view of the engine that a cycle was decided with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineRef {
    /// Its tick.
    pub tick_id: Option<TickId>,
    /// First eight bytes of the state chain after it.
    pub chain: Option<Vec<u8>>,
}

/// A cycle at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleStart {
    /// Session.
    pub session_id: SessionId,
    /// Number in the session.
    pub evaluation_index: i64,
    /// What made it start.
    pub trigger: Trigger,
    /// Decision clock of its read.
    pub started_at: UtcMicros,
    /// Run of the generation.
    pub run_id: Option<RunId>,
    /// Lineage.
    pub lineage_id: Option<LineageId>,
    /// Bound epoch.
    pub epoch_id: Option<EpochId>,
    /// Bound universe.
    pub snapshot_id: Option<SnapshotId>,
    /// Generation.
    pub generation_id: Option<GenerationId>,
    /// State age.
    pub state_age_ms: Option<i64>,
    /// The engine's view.
    pub engine: EngineRef,
    /// Mode.
    pub sys_mode: SysMode,
}

/// Writes the cycle's row and returns its id. The commit does not wait for the disk: a row that an order
/// names becomes durable with the order's own commit, which comes later in the log.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn begin(pool: &PgPool, c: &CycleStart) -> Result<EvaluationId, StoreError> {
    let mut tx = again::begin(pool, "begin; set local synchronous_commit = off")
        .await
        .map_err(sql("begin the cycle's row"))?;
    let mode = if c.sys_mode == SysMode::Exit { SysMode::Pause } else { c.sys_mode };
    let id = sqlx::query_scalar!(
        "insert into evaluation_cycles (session_id, evaluation_index, trigger, started_at, run_id,
             lineage_id, epoch_id, snapshot_id, cycle_generation_id, state_age_ms, sys_mode,
             engine_tick_id, engine_chain)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning evaluation_id",
        c.session_id.0,
        c.evaluation_index,
        c.trigger.as_str(),
        db_time(c.started_at),
        c.run_id.map(|v| v.0),
        c.lineage_id.map(|v| v.0),
        c.epoch_id.map(|v| v.0),
        c.snapshot_id.map(|v| v.0),
        c.generation_id.map(|v| v.0),
        c.state_age_ms.map(clamp_i32),
        mode.as_str(),
        c.engine.tick_id.map(|v| v.0),
        c.engine.chain.as_deref(),
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(sql("write the cycle's row"))?;
    tx.commit().await.map_err(|e| StoreError::commit("write the cycle's row", CLUSTER, e))?;
    Ok(EvaluationId(id))
}

/// A number as the column's `int`; beyond it the nearest end.
#[must_use]
pub fn clamp_i32(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

/// A cycle at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleEnd {
    /// Cycle.
    pub evaluation_id: EvaluationId,
    /// Number in the session.
    pub evaluation_index: i64,
    /// Session.
    pub session_id: SessionId,
    /// Pointer of the last read.
    pub visible_generation_id: Option<GenerationId>,
    /// Every field of the matrix but the informative one is true.
    pub system_live_ready: bool,
    /// What blocked the cycle as a whole.
    pub block_type: String,
    /// Matrix, an object.
    pub matrix: serde_json::Value,
    /// Symbols of the universe.
    pub symbols_total: i64,
    /// Symbols that passed the safety filter.
    pub exec_allowed_count: i64,
    /// Candidates looked at.
    pub routes_evaluated: i64,
    /// Candidates too old.
    pub routes_stale: i64,
    /// Submits.
    pub execute_count: i64,
    /// Symbols without one.
    pub skip_count: i64,
    /// Most frequent blocker.
    pub dominant_blocker: Option<String>,
    /// Blockers with their numbers, an object.
    pub blocker_counts: serde_json::Value,
    /// Verdict.
    pub verdict: Verdict,
    /// Whole duration.
    pub duration_ms: i64,
    /// Duration of the decision.
    pub route_build_ms: i64,
    /// Duration from the read to the last submit.
    pub pipeline_ms: i64,
}

/// A candidate's row.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateRow {
    /// Symbol.
    pub symbol: String,
    /// Number within the symbol.
    pub ordinal: i16,
    /// Strategy.
    pub strategy: String,
    /// Route.
    pub route_type: String,
    /// Horizon.
    pub horizon: String,
    /// Entry mode.
    pub entry_mode: Option<String>,
    /// Exit policy.
    pub exit_policy: String,
    /// Rank among the finalists.
    pub rank: Option<i16>,
    /// `execute`, `skip` or `shadow`.
    pub decision: &'static str,
    /// Stage in which it ended.
    pub stage: &'static str,
    /// Strongest blocker.
    pub blocker: Option<String>,
    /// All blockers and reason codes.
    pub reasons: Vec<String>,
    /// What it lacks against the winner.
    pub why_lost: Option<serde_json::Value>,
    /// Published regime.
    pub regime: String,
    /// Numbers, in the order of [`CANDIDATE_NUMBERS`].
    pub numbers: [Option<Decimal>; 17],
    /// Inputs of the numbers, an object.
    pub inputs: serde_json::Value,
}

/// Columns behind [`CandidateRow::numbers`].
pub const CANDIDATE_NUMBERS: [&str; 17] = [
    "expected_move_bps",
    "capturable_move_bps",
    "fee_entry_bps",
    "fee_exit_bps",
    "slip_entry_bps",
    "slip_exit_bps",
    "spread_net_bps",
    "tsl_drag_bps",
    "exit_drag_bps",
    "wait_risk_bps",
    "edge_bps",
    "surplus_bps",
    "p_fill",
    "confidence",
    "score",
    "size_quote_requested",
    "size_quote_approved",
];

/// The input that repeats a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRow {
    /// Hash of the configuration that decided.
    pub config_hash: String,
    /// SHA-256 of the canonical input.
    pub input_hash: String,
    /// SHA-256 of the canonical result.
    pub outcome_hash: String,
    /// Compressed canonical input.
    pub input: Vec<u8>,
    /// Compressed second reads.
    pub input2: Option<Vec<u8>>,
}

/// Everything of a finished cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleRecord {
    /// Domain.
    pub domain: String,
    /// Day of the partitions: the UTC day of the cycle's start.
    pub day: chrono::NaiveDate,
    /// The engine's view.
    pub engine: EngineRef,
    /// End.
    pub end: CycleEnd,
    /// Candidates that are kept.
    pub candidates: Vec<CandidateRow>,
    /// Shadow trades that open; the row of each one's candidate is among the kept ones.
    pub shadows: Vec<ShadowRow>,
    /// Input.
    pub input: InputRow,
    /// Gates that changed.
    pub gates: Vec<GateRow>,
}

/// Writes a finished cycle.
///
/// # Errors
/// [`StoreError::Sql`]; a missing day's partition among them.
pub async fn finish(pool: &PgPool, record: &CycleRecord) -> Result<(), StoreError> {
    let mut tx = again::begin(pool, "begin").await.map_err(sql("begin the cycle's record"))?;
    end_cycle(&mut tx, &record.end).await?;
    insert_candidates(&mut tx, record).await?;
    shadow_trades::insert(&mut tx, record.end.evaluation_id, &record.shadows).await?;
    let (i, id) = (&record.input, record.end.evaluation_id.0);
    sqlx::query!(
        "insert into cycle_inputs (day, evaluation_id, config_hash, input_hash, outcome_hash, input,
             input2) values ($1, $2, $3, $4, $5, $6, $7)",
        record.day,
        id,
        i.config_hash,
        i.input_hash,
        i.outcome_hash,
        i.input,
        i.input2.as_deref(),
    )
    .execute(&mut *tx)
    .await
    .map_err(sql("keep the cycle's input"))?;
    symbol_gates::upsert(&mut tx, &record.domain, record.end.evaluation_id, &record.gates).await?;
    tx.commit().await.map_err(|e| StoreError::commit("write the cycle's record", CLUSTER, e))
}

/// Closes a cycle that failed after its row was written.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn fail(pool: &PgPool, id: EvaluationId, duration_ms: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "update evaluation_cycles set ended_at = clock_timestamp(), verdict = 'error',
             block_type = 'gating', duration_ms = $2 where evaluation_id = $1",
        id.0,
        clamp_i32(duration_ms),
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(sql("close a failed cycle"))
}

async fn end_cycle(conn: &mut PgConnection, e: &CycleEnd) -> Result<(), StoreError> {
    sqlx::query!(
        "update evaluation_cycles set ended_at = clock_timestamp(), visible_generation_id = $2,
             system_live_ready = $3, block_type = $4, matrix = $5, symbols_total = $6,
             exec_allowed_count = $7, routes_evaluated = $8, routes_stale = $9, execute_count = $10,
             skip_count = $11, dominant_blocker = $12, blocker_counts = $13, verdict = $14,
             duration_ms = $15, route_build_ms = $16, pipeline_ms = $17
         where evaluation_id = $1",
        e.evaluation_id.0,
        e.visible_generation_id.map(|g| g.0),
        e.system_live_ready,
        e.block_type,
        e.matrix,
        clamp_i32(e.symbols_total),
        clamp_i32(e.exec_allowed_count),
        clamp_i32(e.routes_evaluated),
        clamp_i32(e.routes_stale),
        clamp_i32(e.execute_count),
        clamp_i32(e.skip_count),
        e.dominant_blocker,
        e.blocker_counts,
        e.verdict.as_str(),
        clamp_i32(e.duration_ms),
        clamp_i32(e.route_build_ms),
        clamp_i32(e.pipeline_ms),
    )
    .execute(&mut *conn)
    .await
    .map_err(sql("end the cycle"))?;
    sqlx::query!(
        "update execution_sessions set last_evaluation_index = $2 where session_id = $1",
        e.session_id.0,
        e.evaluation_index,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(sql("count the evaluation"))
}

async fn insert_candidates(
    conn: &mut PgConnection,
    record: &CycleRecord,
) -> Result<(), StoreError> {
    if record.candidates.is_empty() {
        return Ok(());
    }
    // One JSON text for all rows: forty columns as arrays would be forty parameters, and the rows are few.
    let rows: Vec<serde_json::Value> = record.candidates.iter().map(candidate_json).collect();
    sqlx::query!(
        "insert into evaluation_candidates (day, evaluation_id, symbol, ordinal, strategy,
             route_type, horizon, entry_mode, exit_policy, rank, decision, stage, blocker, reasons,
             why_lost, regime, expected_move_bps, capturable_move_bps, fee_entry_bps, fee_exit_bps,
             slip_entry_bps, slip_exit_bps, spread_net_bps, tsl_drag_bps, exit_drag_bps,
             wait_risk_bps, edge_bps, surplus_bps, p_fill, confidence, score, size_quote_requested,
             size_quote_approved, inputs, engine_tick_id, engine_chain)
         select $1::date, $2::bigint, c.symbol, c.ordinal, c.strategy, c.route_type, c.horizon,
             c.entry_mode, c.exit_policy, c.rank, c.decision, c.stage, c.blocker,
             coalesce(c.reasons, '{}'), c.why_lost, c.regime, c.expected_move_bps,
             c.capturable_move_bps, c.fee_entry_bps, c.fee_exit_bps, c.slip_entry_bps,
             c.slip_exit_bps, c.spread_net_bps, c.tsl_drag_bps, c.exit_drag_bps, c.wait_risk_bps,
             c.edge_bps, c.surplus_bps, c.p_fill, c.confidence, c.score, c.size_quote_requested,
             c.size_quote_approved, c.inputs, $4, $5
         from jsonb_populate_recordset(null::evaluation_candidates, $3) c",
        record.day,
        record.end.evaluation_id.0,
        serde_json::Value::Array(rows),
        record.engine.tick_id.map(|v| v.0),
        record.engine.chain.as_deref(),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(sql("write the candidates"))
}

fn candidate_json(c: &CandidateRow) -> serde_json::Value {
    let mut row = serde_json::json!({
        "symbol": c.symbol, "ordinal": c.ordinal, "strategy": c.strategy,
        "route_type": c.route_type, "horizon": c.horizon, "entry_mode": c.entry_mode,
        "exit_policy": c.exit_policy, "rank": c.rank, "decision": c.decision, "stage": c.stage,
        "blocker": c.blocker, "reasons": c.reasons, "why_lost": c.why_lost, "regime": c.regime,
        "inputs": c.inputs,
    });
    if let Some(fields) = row.as_object_mut() {
        for (name, number) in CANDIDATE_NUMBERS.iter().zip(&c.numbers) {
            fields.insert((*name).to_owned(), serde_json::json!(number.map(|n| n.to_string())));
        }
    }
    row
}
