//! What the validation proofs ask of the decision cluster. Read-only, as `observer_ro`.

use penstock_types::{Decimal, Uuid};
use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// Figures of a window.
#[derive(Debug, Clone)]
pub struct WindowProof {
    /// `system_identifier` of the cluster.
    pub system_identifier: String,
    /// Frames in the window.
    pub frames: i64,
    /// Newest − oldest tick of them, + 1; 0 without frames.
    pub ticks: i64,
    /// Frames whose quote block has no header.
    pub frames_without_quotes: i64,
    /// Feature-complete symbols of the published state.
    pub feature_complete: i64,
    /// Status of the epoch of the newest bound evaluation.
    pub bound_epoch_status: Option<String>,
    /// Ended evaluations of the window.
    pub cycles: i64,
}

/// The figures since `from`.
///
/// # Errors
/// When the cluster does not answer.
pub async fn window(pool: &PgPool, from: DateTime<Utc>) -> Result<WindowProof, sqlx::Error> {
    sqlx::query_as!(
        WindowProof,
        r#"with f as (
            select count(*) as frames, coalesce(max(tick_id) - min(tick_id) + 1, 0) as ticks,
                count(*) filter (where octet_length(quotes) < 24) as unquoted
            from engine_tick_frames where published_at >= $1
        )
        select (select system_identifier::text from pg_control_system()) as "system_identifier!",
            f.frames as "frames!", f.ticks as "ticks!", f.unquoted as "frames_without_quotes!",
            (select count(*) from run_symbol_state s join state_publication p using (run_id)
                where s.feature_complete) as "feature_complete!",
            (select e.status from evaluation_cycles c join ingest_epochs e using (epoch_id)
                order by c.evaluation_id desc limit 1) as bound_epoch_status,
            (select count(*) from evaluation_cycles c
                where c.ended_at is not null and c.ended_at >= $1) as "cycles!"
        from f"#,
        from
    )
    .fetch_one(pool)
    .await
}

/// One order's rows, as the lifecycle proof judges them.
#[derive(Debug, Clone)]
pub struct OrderProof {
    /// State.
    pub state: String,
    /// Events.
    pub events: i64,
    /// Greatest event number.
    pub event_seq_max: i64,
    /// Fills of the order.
    pub fills: i64,
    /// Ledger rows of those fills.
    pub ledger_rows: i64,
    /// A latency row exists.
    pub latency: bool,
    /// Position that its fills opened.
    pub position_id: Option<i64>,
    /// Status of that position.
    pub position_status: Option<String>,
    /// Base of that position.
    pub position_base: Option<Decimal>,
    /// Σ delta of that position's ledger.
    pub folded_base: Option<Decimal>,
    /// Σ net of its `realized_pnl` rows.
    pub realized_net: Option<Decimal>,
    /// The same from the fills alone: sold − bought − fees.
    pub net_from_fills: Option<Decimal>,
}

/// The rows of one order; `None` when there is no such order.
///
/// # Errors
/// When the cluster does not answer.
pub async fn order(pool: &PgPool, cl_ord_id: Uuid) -> Result<Option<OrderProof>, sqlx::Error> {
    sqlx::query_as!(
        OrderProof,
        r#"with o as (
            select order_id, state from execution_orders where cl_ord_id = $1
        ), p as (
            select distinct l.position_id from fills_ledger l
            join fills f using (fill_id) join o on o.order_id = f.order_id limit 1
        ), money as (
            select sum(case f.side when 'sell' then f.cost_quote else -f.cost_quote end
                - f.fee_quote) as net
            from fills f join fills_ledger l using (fill_id) join p using (position_id)
        )
        select o.state,
            (select count(*) from execution_order_events e where e.order_id = o.order_id) as "events!",
            (select coalesce(max(e.event_seq), 0)::bigint from execution_order_events e
                where e.order_id = o.order_id) as "event_seq_max!",
            (select count(*) from fills f where f.order_id = o.order_id) as "fills!",
            (select count(*) from fills_ledger l join fills f using (fill_id)
                where f.order_id = o.order_id) as "ledger_rows!",
            exists (select from execution_order_latency t where t.order_id = o.order_id)
                as "latency!",
            (select position_id from p) as position_id,
            (select status from positions join p using (position_id)) as position_status,
            (select base_qty from positions join p using (position_id)) as position_base,
            (select sum(l.delta_base) from fills_ledger l join p using (position_id)) as folded_base,
            (select sum(r.net_quote) from realized_pnl r join p using (position_id)) as realized_net,
            (select net from money) as net_from_fills
        from o"#,
        cl_ord_id
    )
    .fetch_optional(pool)
    .await
}

/// Process of the newest execution heartbeat of this host.
///
/// # Errors
/// When the cluster does not answer.
pub async fn execution_pid(pool: &PgPool, host: &str) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "select pid from service_heartbeats where service = 'execution' and host = $1
        order by ts desc limit 1",
        host
    )
    .fetch_optional(pool)
    .await
}
