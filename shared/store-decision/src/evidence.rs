//! What a checker needs of the decision cluster: rows as they are, with PostgreSQL's own commit times.
//!
//! Read-only, as `observer_ro`. Nothing here is used by a service: whoever judges the services does not
//! share their queries.

use penstock_types::{Decimal, Uuid};
use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// An order row with the commit time of its first event.
#[derive(Debug, Clone)]
pub struct OrderEvidence {
    /// Row id.
    pub order_id: i64,
    /// Client id.
    pub cl_ord_id: Uuid,
    /// Venue id, once known.
    pub exchange_order_id: Option<String>,
    /// Role.
    pub role: String,
    /// Fencing token of the row.
    pub fencing_token: i64,
    /// PostgreSQL's commit time; `None` when `track_commit_timestamp` is off.
    pub committed_at: Option<DateTime<Utc>>,
}

/// Every order row, in order of its id.
///
/// # Errors
/// When the cluster does not answer.
pub async fn orders(pool: &PgPool) -> Result<Vec<OrderEvidence>, sqlx::Error> {
    sqlx::query_as!(
        OrderEvidence,
        r#"select o.order_id, o.cl_ord_id, o.exchange_order_id, o.role, o.fencing_token,
            case when current_setting('track_commit_timestamp')::boolean
                then pg_xact_commit_timestamp(e.xmin) end as "committed_at?"
        from execution_orders o
        join execution_order_events e on e.order_id = o.order_id and e.event_seq = 1
        order by o.order_id"#
    )
    .fetch_all(pool)
    .await
}

/// A fill row.
#[derive(Debug, Clone)]
pub struct FillEvidence {
    /// Execution id.
    pub exec_id: String,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: String,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Fee in quote.
    pub fee_quote: Decimal,
}

/// Every fill row.
///
/// # Errors
/// When the cluster does not answer.
pub async fn fills(pool: &PgPool) -> Result<Vec<FillEvidence>, sqlx::Error> {
    sqlx::query_as!(
        FillEvidence,
        "select exec_id, symbol, side, price, qty, fee_quote from fills order by fill_id"
    )
    .fetch_all(pool)
    .await
}

/// A row of the fills ledger.
#[derive(Debug, Clone)]
pub struct LedgerEvidence {
    /// Position.
    pub position_id: i64,
    /// Number within the position.
    pub ledger_seq: i32,
    /// Signed change of base.
    pub delta_base: Decimal,
    /// Base after it.
    pub base_after: Decimal,
    /// Realised profit in quote.
    pub realized_quote: Decimal,
}

/// The whole ledger, by position and number.
///
/// # Errors
/// When the cluster does not answer.
pub async fn ledger(pool: &PgPool) -> Result<Vec<LedgerEvidence>, sqlx::Error> {
    sqlx::query_as!(
        LedgerEvidence,
        "select position_id, ledger_seq, delta_base, base_after, realized_quote
        from fills_ledger order by position_id, ledger_seq"
    )
    .fetch_all(pool)
    .await
}

/// A position row with the reason of its close.
#[derive(Debug, Clone)]
pub struct PositionEvidence {
    /// Row id.
    pub position_id: i64,
    /// Symbol.
    pub symbol: String,
    /// Status.
    pub status: String,
    /// Base held.
    pub base_qty: Decimal,
    /// Realised profit in quote.
    pub realized_quote: Decimal,
    /// Reason of the last reducing fill; `None` while nothing was sold.
    pub exit_reason: Option<String>,
}

/// Every position row.
///
/// # Errors
/// When the cluster does not answer.
pub async fn positions(pool: &PgPool) -> Result<Vec<PositionEvidence>, sqlx::Error> {
    sqlx::query_as!(
        PositionEvidence,
        r#"select p.position_id, p.symbol, p.status, p.base_qty, p.realized_quote,
            (select r.exit_reason from realized_pnl r where r.position_id = p.position_id
                order by r.id desc limit 1) as exit_reason
        from positions p order by p.position_id"#
    )
    .fetch_all(pool)
    .await
}

/// A protective stop that the venue acknowledged, with its witnesses.
#[derive(Debug, Clone)]
pub struct ProtectionEvidence {
    /// Row id.
    pub order_id: i64,
    /// Events that came by the private stream.
    pub stream_witnesses: i64,
    /// Confirming looks that named it.
    pub look_witnesses: i64,
    /// Milliseconds from its acknowledgement to its end; `None` while it lives.
    pub lived_ms: Option<i64>,
}

/// Every acknowledged protective stop.
///
/// # Errors
/// When the cluster does not answer.
pub async fn protections(pool: &PgPool) -> Result<Vec<ProtectionEvidence>, sqlx::Error> {
    sqlx::query_as!(
        ProtectionEvidence,
        r#"select o.order_id,
            (select count(*) from execution_order_events e where e.order_id = o.order_id
                and e.source in ('ws_method', 'ws_executions', 'ws_snapshot')) as "stream_witnesses!",
            (select count(*) from reconcile_runs r where r.kind = 'CONFIRM'
                and o.order_id = any (r.order_ids)) as "look_witnesses!",
            case when o.terminal then
                (extract(epoch from o.updated_at - o.created_at) * 1000)::bigint end as lived_ms
        from execution_orders o
        where o.role = 'protection' and o.exchange_order_id is not null
        order by o.order_id"#
    )
    .fetch_all(pool)
    .await
}

/// An entry that was sent, with the cycle it came from.
#[derive(Debug, Clone)]
pub struct EntryEvidence {
    /// Row id.
    pub order_id: i64,
    /// Route.
    pub route_type: Option<String>,
    /// Generation of the cycle.
    pub cycle_generation_id: Option<i64>,
    /// Newest generation at the gate.
    pub visible_generation_id: Option<i64>,
    /// Age of the cycle's state when the row was written, ms.
    pub state_age_ms: Option<i64>,
}

/// Every entry.
///
/// # Errors
/// When the cluster does not answer.
pub async fn entries(pool: &PgPool) -> Result<Vec<EntryEvidence>, sqlx::Error> {
    sqlx::query_as!(
        EntryEvidence,
        r#"select o.order_id, o.route_type, c.cycle_generation_id, c.visible_generation_id,
            c.state_age_ms + (extract(epoch from o.created_at - c.started_at) * 1000)::bigint
                as state_age_ms
        from execution_orders o
        join evaluation_cycles c on c.evaluation_id = o.evaluation_id
        where o.role in ('entry', 'proof') order by o.order_id"#
    )
    .fetch_all(pool)
    .await
}

/// An evaluation with its stored input.
#[derive(Debug, Clone)]
pub struct CycleEvidence {
    /// Row id.
    pub evaluation_id: i64,
    /// Session.
    pub session_id: Uuid,
    /// Generation it was bound to.
    pub cycle_generation_id: Option<i64>,
    /// Configuration of its session.
    pub config_hash: Option<String>,
    /// Stored hash of its outcome.
    pub outcome_hash: Option<String>,
    /// Stored input, compressed.
    pub input: Option<Vec<u8>>,
    /// Stored second input, compressed.
    pub input2: Option<Vec<u8>>,
}

/// Evaluations after one, in order, at most `limit`.
///
/// # Errors
/// When the cluster does not answer.
pub async fn cycles(
    pool: &PgPool,
    after: i64,
    limit: i64,
) -> Result<Vec<CycleEvidence>, sqlx::Error> {
    sqlx::query_as!(
        CycleEvidence,
        r#"select c.evaluation_id, c.session_id, c.cycle_generation_id, i.config_hash as "config_hash?",
            i.outcome_hash as "outcome_hash?", i.input as "input?", i.input2
        from evaluation_cycles c
        left join cycle_inputs i on i.evaluation_id = c.evaluation_id
        where c.evaluation_id > $1 order by c.evaluation_id limit $2"#,
        after,
        limit
    )
    .fetch_all(pool)
    .await
}

/// A stored configuration.
///
/// # Errors
/// When the cluster does not answer or has no such row.
pub async fn config(pool: &PgPool, hash: &str) -> Result<serde_json::Value, sqlx::Error> {
    sqlx::query_scalar!("select config from exec_configs where config_hash = $1", hash)
        .fetch_one(pool)
        .await
}

/// Tokens of all sessions, in order of their start.
///
/// # Errors
/// When the cluster does not answer.
pub async fn session_tokens(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!("select fencing_token from execution_sessions order by started_at")
        .fetch_all(pool)
        .await
}

/// A frame row.
#[derive(Debug, Clone)]
pub struct FrameEvidence {
    /// Tick.
    pub tick_id: i64,
    /// Run.
    pub run_id: i64,
    /// Frame bytes.
    pub frame: Vec<u8>,
    /// Hash in the row.
    pub frame_sha256: Vec<u8>,
    /// Quote block bytes.
    pub quotes: Vec<u8>,
}

/// Frames after a tick, in order, at most `limit`.
///
/// # Errors
/// When the cluster does not answer.
pub async fn frames(
    pool: &PgPool,
    after: i64,
    limit: i64,
) -> Result<Vec<FrameEvidence>, sqlx::Error> {
    sqlx::query_as!(
        FrameEvidence,
        "select tick_id, run_id, frame, frame_sha256, quotes from engine_tick_frames
        where tick_id > $1 order by tick_id limit $2",
        after,
        limit
    )
    .fetch_all(pool)
    .await
}

/// What a symbol number of a run stands for.
#[derive(Debug, Clone)]
pub struct SymbolEvidence {
    /// Run.
    pub run_id: i64,
    /// Number.
    pub symbol_no: i32,
    /// Symbol.
    pub symbol: String,
    /// Decimals of prices.
    pub price_decimals: i16,
    /// Decimals of quantities.
    pub qty_decimals: i16,
}

/// Every symbol number.
///
/// # Errors
/// When the cluster does not answer.
pub async fn symbols(pool: &PgPool) -> Result<Vec<SymbolEvidence>, sqlx::Error> {
    sqlx::query_as!(
        SymbolEvidence,
        "select run_id, symbol_no, symbol, price_decimals, qty_decimals from run_symbols"
    )
    .fetch_all(pool)
    .await
}

/// Counts for the summary of a run.
#[derive(Debug, Clone)]
pub struct CountEvidence {
    /// Valid epochs.
    pub epochs_valid: i64,
    /// Evaluations.
    pub evaluations: i64,
    /// Orders that left the process.
    pub orders: i64,
    /// Fills.
    pub fills: i64,
}

/// The counts.
///
/// # Errors
/// When the cluster does not answer.
pub async fn counts(pool: &PgPool) -> Result<CountEvidence, sqlx::Error> {
    sqlx::query_as!(
        CountEvidence,
        r#"select (select count(*) from ingest_epochs where status = 'valid') as "epochs_valid!",
            (select count(*) from evaluation_cycles) as "evaluations!",
            (select count(*) from execution_orders where state not in ('created', 'error'))
                as "orders!",
            (select count(*) from fills) as "fills!""#
    )
    .fetch_one(pool)
    .await
}

/// A change of the mode.
#[derive(Debug, Clone)]
pub struct ModeEvidence {
    /// When, wall clock of the session.
    pub ts: DateTime<Utc>,
    /// Mode after it.
    pub mode_to: String,
    /// Reasons, highest first.
    pub reasons: Vec<String>,
}

/// Every change of the mode, in order of time.
///
/// # Errors
/// When the cluster does not answer.
pub async fn modes(pool: &PgPool) -> Result<Vec<ModeEvidence>, sqlx::Error> {
    sqlx::query_as!(ModeEvidence, "select ts, mode_to, reasons from sys_mode_log order by ts, id")
        .fetch_all(pool)
        .await
}

/// A look at everything that the venue has of ours.
#[derive(Debug, Clone)]
pub struct ReconcileEvidence {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, ms.
    pub dur_ms: i32,
}

/// Every look at everything that did not fail, in order of time.
///
/// # Errors
/// When the cluster does not answer.
pub async fn reconciles(pool: &PgPool) -> Result<Vec<ReconcileEvidence>, sqlx::Error> {
    sqlx::query_as!(
        ReconcileEvidence,
        "select started_at, dur_ms from reconcile_runs
        where kind in ('LIGHT', 'FULL') and outcome in ('ok', 'diff') order by started_at"
    )
    .fetch_all(pool)
    .await
}

/// When each entry was committed, in order.
///
/// # Errors
/// When the cluster does not answer.
pub async fn entry_times(pool: &PgPool) -> Result<Vec<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "select created_at from execution_orders where role in ('entry', 'proof') order by created_at"
    )
    .fetch_all(pool)
    .await
}

/// An evaluation with what blocked its symbols.
#[derive(Debug, Clone)]
pub struct BlockerEvidence {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Symbols by their first blocker, an object of counts; `None` for one that did not end.
    pub blocker_counts: Option<serde_json::Value>,
}

/// Evaluations that began in a stretch of time, in order.
///
/// # Errors
/// When the cluster does not answer.
pub async fn blockers(
    pool: &PgPool,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<BlockerEvidence>, sqlx::Error> {
    sqlx::query_as!(
        BlockerEvidence,
        "select started_at, blocker_counts from evaluation_cycles
        where started_at >= $1 and started_at < $2 order by started_at",
        from,
        to
    )
    .fetch_all(pool)
    .await
}
