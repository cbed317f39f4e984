//! What `why` answers from: one symbol's gate and everything around it. Read-only.
//!
//! Inputs: a domain and a symbol. Outputs: plain rows. Invariants: all of them come from one transaction, so
//! that gate, evaluation and mode belong together; nothing is judged here.

use penstock_types::Decimal;
use serde::Serialize;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// The newest evaluation that came to its end.
#[derive(Debug, Clone, Serialize)]
pub struct LastEvaluation {
    /// Its number.
    pub evaluation_id: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long ago it ended, ms.
    pub age_ms: i64,
    /// Mode it was decided in.
    pub sys_mode: String,
    /// Verdict.
    pub verdict: Option<String>,
    /// What blocked it as a whole.
    pub block_type: Option<String>,
    /// Bound universe.
    pub snapshot_id: Option<i64>,
}

/// The row of the symbol's gate.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// First closed gate; none when nothing closes it.
    pub gate: Option<String>,
    /// Stage.
    pub stage: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// Measured value.
    pub value: Option<Decimal>,
    /// Limit.
    pub limit: Option<Decimal>,
    /// Unit of both.
    pub unit: Option<String>,
    /// Since when the reason is the same.
    pub since: DateTime<Utc>,
    /// All closed gates.
    pub closed: Vec<String>,
    /// Evaluation that last changed the row.
    pub evaluation_id: Option<i64>,
}

/// Where the newest universe has the symbol.
#[derive(Debug, Clone, Serialize)]
pub struct Membership {
    /// Number of the snapshot.
    pub snapshot_id: i64,
    /// Entries may use it.
    pub in_execution: bool,
    /// It is in the pool.
    pub in_pool: bool,
    /// Why ingest left it out.
    pub excluded_for: Option<String>,
    /// Since which snapshot on that is so.
    pub since: Option<DateTime<Utc>>,
}

/// The mode of the process.
#[derive(Debug, Clone, Serialize)]
pub struct Mode {
    /// Mode.
    pub mode: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Its causes, highest first.
    pub reasons: Vec<String>,
    /// Values of the causes that have one, an object.
    pub values: serde_json::Value,
}

/// A live cause in the symbol's safety.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// Cause.
    pub cause: String,
    /// Safety mode that it demands.
    pub mode: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The best candidate of the last evaluation that kept one.
#[derive(Debug, Clone, Serialize)]
pub struct BestWay {
    /// Strategy.
    pub strategy: String,
    /// Route.
    pub route_type: Option<String>,
    /// Horizon.
    pub horizon: Option<String>,
    /// Strongest blocker.
    pub blocker: Option<String>,
    /// Edge, bps.
    pub edge_bps: Option<Decimal>,
    /// Surplus over the floor, bps.
    pub surplus_bps: Option<Decimal>,
    /// Confidence.
    pub confidence: Option<Decimal>,
}

/// The newest order on the symbol.
#[derive(Debug, Clone, Serialize)]
pub struct LastOrder {
    /// Number.
    pub order_id: i64,
    /// Role.
    pub role: String,
    /// State.
    pub state: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The venue lists the symbol.
    pub is_listed: bool,
    /// The newest finished evaluation.
    pub evaluation: Option<LastEvaluation>,
    /// The symbol's gate.
    pub gate: Option<Gate>,
    /// The newest universe.
    pub membership: Option<Membership>,
    /// The mode.
    pub mode: Option<Mode>,
    /// Live causes of its safety.
    pub causes: Vec<Cause>,
    /// Its best way in the last evaluation.
    pub best: Option<BestWay>,
    /// Its newest order.
    pub order: Option<LastOrder>,
}

/// Reads all of it in one snapshot.
///
/// # Errors
/// When the cluster does not answer.
pub async fn facts(pool: &PgPool, domain: &str, symbol: &str) -> Result<Facts, sqlx::Error> {
    let mut tx = pool.begin_with("begin isolation level repeatable read, read only").await?;
    let evaluation = last_evaluation(&mut tx, domain).await?;
    let best = match &evaluation {
        Some(last) => best_way(&mut tx, last, symbol).await?,
        None => None,
    };
    let is_listed = sqlx::query_scalar!(
        r#"select exists (select from instruments where symbol = $1) as "listed!""#,
        symbol
    )
    .fetch_one(&mut *tx)
    .await?;
    let facts = Facts {
        is_listed,
        gate: gate(&mut tx, domain, symbol).await?,
        membership: membership(&mut tx, domain, symbol).await?,
        mode: mode(&mut tx, domain).await?,
        causes: causes(&mut tx, symbol).await?,
        order: last_order(&mut tx, symbol).await?,
        evaluation,
        best,
    };
    tx.rollback().await?;
    Ok(facts)
}

async fn last_evaluation(
    tx: &mut PgConnection,
    domain: &str,
) -> Result<Option<LastEvaluation>, sqlx::Error> {
    sqlx::query_as!(
        LastEvaluation,
        r#"select c.evaluation_id, c.started_at, c.sys_mode, c.verdict, c.block_type, c.snapshot_id,
             (extract(epoch from clock_timestamp() - c.ended_at) * 1000)::bigint as "age_ms!"
         from evaluation_cycles c join execution_sessions s using (session_id)
         where s.domain = $1 and c.ended_at is not null
         order by c.evaluation_id desc limit 1"#,
        domain,
    )
    .fetch_optional(tx)
    .await
}

async fn gate(
    tx: &mut PgConnection,
    domain: &str,
    symbol: &str,
) -> Result<Option<Gate>, sqlx::Error> {
    sqlx::query_as!(
        Gate,
        r#"select gate, stage, reason, value, limit_value as "limit", unit, since,
             all_closed as closed, evaluation_id
         from symbol_gates where domain = $1 and symbol = $2"#,
        domain,
        symbol,
    )
    .fetch_optional(tx)
    .await
}

async fn membership(
    tx: &mut PgConnection,
    domain: &str,
    symbol: &str,
) -> Result<Option<Membership>, sqlx::Error> {
    // The code of a symbol is the key whose list has it; since: the first snapshot after the last with another.
    sqlx::query_as!(
        Membership,
        r#"with said as (
             select u.snapshot_id, u.as_of, u.execution_symbols, u.tracked_symbols,
                 (select e.key from jsonb_each(u.excluded) e
                  where jsonb_typeof(e.value) = 'array' and e.value @> jsonb_build_array($2::text)
                  order by e.key limit 1) as code
             from execution_universe_snapshots u join ingest_lineage l using (lineage_id)
             where l.domain = $1),
         newest as (
             select snapshot_id, execution_symbols, tracked_symbols, code from said
             order by snapshot_id desc limit 1)
         select n.snapshot_id, $2 = any (n.execution_symbols) as "in_execution!",
             $2 = any (n.tracked_symbols) as "in_pool!", n.code as excluded_for,
             (select min(s.as_of) from said s where s.snapshot_id > coalesce((
                 select max(o.snapshot_id) from said o
                 where o.code is distinct from n.code), 0)) as since
         from newest n"#,
        domain,
        symbol,
    )
    .fetch_optional(tx)
    .await
}

async fn mode(tx: &mut PgConnection, domain: &str) -> Result<Option<Mode>, sqlx::Error> {
    sqlx::query_as!(
        Mode,
        r#"select m.mode_to as mode, m.ts as since, m.reasons, m.trigger_values as "values"
         from sys_mode_log m join execution_sessions s using (session_id)
         where s.domain = $1 order by m.id desc limit 1"#,
        domain,
    )
    .fetch_optional(tx)
    .await
}

async fn causes(tx: &mut PgConnection, symbol: &str) -> Result<Vec<Cause>, sqlx::Error> {
    sqlx::query_as!(
        Cause,
        "select cause, mode, expires_at from symbol_safety_state
         where symbol = $1 and coalesce(expires_at, 'infinity') > clock_timestamp()
         order by cause",
        symbol,
    )
    .fetch_all(tx)
    .await
}

async fn best_way(
    tx: &mut PgConnection,
    last: &LastEvaluation,
    symbol: &str,
) -> Result<Option<BestWay>, sqlx::Error> {
    sqlx::query_as!(
        BestWay,
        "select strategy, route_type, horizon, blocker, edge_bps, surplus_bps, confidence
         from evaluation_candidates where day = $1 and evaluation_id = $2 and symbol = $3
           and inputs ->> 'direction' is distinct from 'SHORT'
         order by score desc nulls last, ordinal limit 1",
        last.started_at.date_naive(),
        last.evaluation_id,
        symbol,
    )
    .fetch_optional(tx)
    .await
}

async fn last_order(tx: &mut PgConnection, symbol: &str) -> Result<Option<LastOrder>, sqlx::Error> {
    sqlx::query_as!(
        LastOrder,
        "select order_id, role, state, created_at from execution_orders
         where symbol = $1 order by order_id desc limit 1",
        symbol,
    )
    .fetch_optional(tx)
    .await
}
