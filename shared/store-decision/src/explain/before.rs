//! What came before an order: frame, epoch, cycle, candidate, snapshot, decision, AI gate, risk.
//!
//! Inputs: the cycle's number and the symbol. Outputs: plain rows. It judges nothing.

use penstock_types::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};

/// A sealed frame.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// Tick.
    pub tick_id: i64,
    /// Place in the run of frames.
    pub frame_seq: i64,
    /// From the end of the tick to its row, ms.
    pub seal_lag_ms: i32,
    /// When its row was written.
    pub published_at: DateTime<Utc>,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}

/// A judged epoch.
#[derive(Debug, Clone, Serialize)]
pub struct Epoch {
    /// Number.
    pub epoch_id: i64,
    /// Judgement.
    pub status: String,
    /// When it was judged.
    pub completed_at: Option<DateTime<Utc>>,
}

/// An evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct Cycle {
    /// Number.
    pub evaluation_id: i64,
    /// Place in its session.
    pub evaluation_index: i64,
    /// Session.
    pub session_id: String,
    /// What made it start.
    pub trigger: String,
    /// When, by the decision clock.
    pub started_at: DateTime<Utc>,
    /// Run.
    pub run_id: Option<i64>,
    /// Epoch.
    pub epoch_id: Option<i64>,
    /// Universe.
    pub snapshot_id: Option<i64>,
    /// Generation that it decided on.
    pub generation_id: Option<i64>,
    /// Generation at its last look.
    pub visible_generation_id: Option<i64>,
    /// Age of the state, ms.
    pub state_age_ms: Option<i32>,
    /// Mode.
    pub sys_mode: String,
    /// Verdict.
    pub verdict: Option<String>,
    /// Decision alone, ms.
    pub route_build_ms: Option<i32>,
    /// Read to last submit, ms.
    pub pipeline_ms: Option<i32>,
}

/// The candidate of the finalist.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// Rank among the finalists.
    pub rank: Option<i16>,
    /// Strategy.
    pub strategy: String,
    /// Route.
    pub route_type: Option<String>,
    /// Horizon.
    pub horizon: Option<String>,
    /// Entry mode.
    pub entry_mode: Option<String>,
    /// Regime.
    pub regime: Option<String>,
    /// Expected move, bps.
    pub expected_move_bps: Option<Decimal>,
    /// Edge, bps.
    pub edge_bps: Option<Decimal>,
    /// Surplus, bps.
    pub surplus_bps: Option<Decimal>,
    /// Probability of a fill.
    pub p_fill: Option<Decimal>,
    /// Confidence.
    pub confidence: Option<Decimal>,
    /// Score.
    pub score: Option<Decimal>,
    /// Size asked for, quote.
    pub size_quote_requested: Option<Decimal>,
    /// Size granted, quote.
    pub size_quote_approved: Option<Decimal>,
    /// Cap that made the size what it is.
    pub limiter: Option<String>,
    /// Strongest blocker.
    pub blocker: Option<String>,
}

/// The snapshot of the symbol that was decided from.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Hash.
    pub snapshot_hash: String,
    /// When it was built.
    pub created_at: DateTime<Utc>,
    /// The contract.
    pub snapshot: serde_json::Value,
}

/// A decision.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// Id.
    pub decision_id: String,
    /// 0 is what was proposed, 1 what the AI gate changed.
    pub version: i16,
    /// Strategy.
    pub strategy: String,
    /// Route.
    pub route: String,
    /// Horizon.
    pub horizon: String,
    /// Edge score times 10,000.
    pub edge_score_x10000: i32,
    /// Expected edge, bps.
    pub edge_bps_expected: i32,
    /// Reasons.
    pub reasons: Vec<String>,
    /// Its snapshot.
    pub snapshot_hash: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A question to the AI gate and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Decision that was asked about.
    pub decision_id: String,
    /// 0 when the gate is off.
    pub attempt: i16,
    /// The gate was on.
    pub enabled: bool,
    /// Verdict.
    pub verdict: String,
    /// Reasons.
    pub reasons: Vec<String>,
    /// Model.
    pub model: String,
    /// Time until the answer, ms.
    pub latency_ms: i32,
    /// Its change was carried out.
    pub modify_applied: bool,
    /// What failed.
    pub error_code: Option<String>,
}

/// The verdict of risk.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Decision that was judged.
    pub decision_id: String,
    /// `ALLOW` or `BLOCK`.
    pub verdict: String,
    /// Rules that were hit, in their order.
    pub reasons: Vec<String>,
    /// Least edge that was demanded, bps.
    pub adjusted_min_edge_bps: Decimal,
    /// Multiplier of the least edge, times 10,000.
    pub multiplier_x10000: i32,
    /// Quantity.
    pub sized_qty: Decimal,
    /// Quantity at the limit, quote.
    pub sized_quote: Decimal,
    /// Limits it was judged by, an object.
    pub limits: serde_json::Value,
    /// Counters beside them, an object.
    pub counters: serde_json::Value,
}

/// All of it.
pub(super) struct Past {
    pub(super) epoch: Option<Epoch>,
    pub(super) cycle: Option<Cycle>,
    pub(super) candidate: Option<Candidate>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) decisions: Vec<Decision>,
    pub(super) answers: Vec<Answer>,
    pub(super) verdict: Option<Verdict>,
}

type Key = Option<(i64, String)>;

/// Cycle and symbol of a decision.
pub(super) async fn key_of(tx: &mut PgConnection, decision_id: &str) -> Result<Key, sqlx::Error> {
    let row = sqlx::query!(
        "select evaluation_id, symbol from decisions where decision_id = $1",
        decision_id
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.evaluation_id, row.symbol)))
}

pub(super) async fn past(tx: &mut PgConnection, key: Key) -> Result<Past, sqlx::Error> {
    let (evaluation_id, symbol) = match &key {
        Some((evaluation_id, symbol)) => (Some(*evaluation_id), symbol.as_str()),
        None => (None, ""),
    };
    let cycle = cycle(tx, evaluation_id).await?;
    let candidate = match &cycle {
        Some(cycle) => candidate(tx, cycle, symbol).await?,
        None => None,
    };
    Ok(Past {
        epoch: epoch(tx, cycle.as_ref().and_then(|c| c.epoch_id)).await?,
        candidate,
        snapshot: snapshot(tx, evaluation_id, symbol).await?,
        decisions: decisions(tx, evaluation_id, symbol).await?,
        answers: answers(tx, evaluation_id, symbol).await?,
        verdict: verdict(tx, evaluation_id, symbol).await?,
        cycle,
    })
}

pub(super) async fn frame(
    tx: &mut PgConnection,
    tick_id: Option<i64>,
) -> Result<Option<Frame>, sqlx::Error> {
    sqlx::query_as!(
        Frame,
        r#"select tick_id, frame_seq, seal_lag_ms, published_at,
             encode(frame_sha256, 'hex') as "sha256!"
         from engine_tick_frames where tick_id = $1"#,
        tick_id,
    )
    .fetch_optional(tx)
    .await
}

async fn epoch(tx: &mut PgConnection, id: Option<i64>) -> Result<Option<Epoch>, sqlx::Error> {
    sqlx::query_as!(
        Epoch,
        "select epoch_id, status, completed_at from ingest_epochs where epoch_id = $1",
        id,
    )
    .fetch_optional(tx)
    .await
}

async fn cycle(tx: &mut PgConnection, id: Option<i64>) -> Result<Option<Cycle>, sqlx::Error> {
    sqlx::query_as!(
        Cycle,
        r#"select evaluation_id, evaluation_index, session_id::text as "session_id!", trigger,
             started_at, run_id, epoch_id, snapshot_id, cycle_generation_id as generation_id,
             visible_generation_id, state_age_ms, sys_mode, verdict, route_build_ms, pipeline_ms
         from evaluation_cycles where evaluation_id = $1"#,
        id,
    )
    .fetch_optional(tx)
    .await
}

async fn candidate(
    tx: &mut PgConnection,
    cycle: &Cycle,
    symbol: &str,
) -> Result<Option<Candidate>, sqlx::Error> {
    sqlx::query_as!(
        Candidate,
        r#"select rank, strategy, route_type, horizon, entry_mode, regime, expected_move_bps,
             edge_bps, surplus_bps, p_fill, confidence, score, size_quote_requested,
             size_quote_approved, inputs ->> 'limiter' as limiter, blocker
         from evaluation_candidates
         where day = $1 and evaluation_id = $2 and symbol = $3
         order by rank nulls last, ordinal limit 1"#,
        cycle.started_at.date_naive(),
        cycle.evaluation_id,
        symbol,
    )
    .fetch_optional(tx)
    .await
}

async fn snapshot(
    tx: &mut PgConnection,
    id: Option<i64>,
    symbol: &str,
) -> Result<Option<Snapshot>, sqlx::Error> {
    sqlx::query_as!(
        Snapshot,
        "select snapshot_hash, created_at, snapshot from decision_snapshots
         where evaluation_id = $1 and symbol = $2",
        id,
        symbol,
    )
    .fetch_optional(tx)
    .await
}

async fn decisions(
    tx: &mut PgConnection,
    id: Option<i64>,
    symbol: &str,
) -> Result<Vec<Decision>, sqlx::Error> {
    sqlx::query_as!(
        Decision,
        "select decision_id, version, strategy, route, horizon, edge_score_x10000,
             edge_bps_expected, reasons, snapshot_hash, created_at
         from decisions where evaluation_id = $1 and symbol = $2 order by version",
        id,
        symbol,
    )
    .fetch_all(tx)
    .await
}

async fn answers(
    tx: &mut PgConnection,
    id: Option<i64>,
    symbol: &str,
) -> Result<Vec<Answer>, sqlx::Error> {
    sqlx::query_as!(
        Answer,
        "select a.decision_id, a.attempt, a.enabled, a.verdict, a.reasons, a.model, a.latency_ms,
             a.modify_applied, a.error_code
         from ai_gate_events a join decisions d using (decision_id)
         where d.evaluation_id = $1 and d.symbol = $2 order by a.ts, a.attempt",
        id,
        symbol,
    )
    .fetch_all(tx)
    .await
}

async fn verdict(
    tx: &mut PgConnection,
    id: Option<i64>,
    symbol: &str,
) -> Result<Option<Verdict>, sqlx::Error> {
    sqlx::query_as!(
        Verdict,
        "select r.decision_id, r.verdict, r.reasons, r.adjusted_min_edge_bps, r.multiplier_x10000,
             r.sized_qty, r.sized_quote, r.limits, r.counters
         from risk_verdicts r join decisions d using (decision_id)
         where d.evaluation_id = $1 and d.symbol = $2 order by d.version desc limit 1",
        id,
        symbol,
    )
    .fetch_optional(tx)
    .await
}
