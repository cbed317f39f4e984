//! The rows of a new order: itself and its latencies.
//!
//! Input: planned terms, the transaction that lets the order out or puts it in stock. Output: its id. Invariants: nothing is
//! committed here; each column has its value from the terms alone, and the state that the caller names.

use penstock_types::vocab::OrderState;
use penstock_types::{OrderId, UtcMicros, Uuid};
use sqlx::{Postgres, Transaction};

use super::terms::NewOrder;
use crate::writer::{ExecStore, WriteError, timestamp};

pub(super) async fn insert_latency(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    t0: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "insert into execution_order_latency (order_id, t0_decision_ts_local,
            t0b_persisted_ts_local)
         values ($1, $2, clock_timestamp())
         on conflict (order_id) do nothing",
        id.0,
        timestamp(t0)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("record latency"))?;
    Ok(())
}

pub(crate) async fn insert_order(
    store: &ExecStore,
    tx: &mut Transaction<'static, Postgres>,
    order: &NewOrder,
    state: OrderState,
    now: UtcMicros,
) -> Result<OrderId, WriteError> {
    let entry = order.entry.as_ref();
    let at = timestamp(now);
    let cl_ord_id: Uuid = order.cl_ord_id.uuid();
    let id = sqlx::query_file_scalar!(
        "queries/insert_order.sql",
        cl_ord_id,
        store.session().0,
        order.cl_ord_id.token().0,
        entry.map(|e| e.run_id.0),
        entry.map(|e| e.lineage_id.0),
        entry.map(|e| e.epoch_id.0),
        entry.map(|e| e.snapshot_id.0),
        entry.map(|e| e.generation_id.0),
        entry.map(|e| e.evaluation_id.0),
        order.symbol.as_str(),
        order.side.as_str(),
        order.role.as_str(),
        order.parent_order_id.map(|id| id.0),
        order.position_id.map(|id| id.0),
        entry.map(|e| e.strategy.as_str()),
        entry.map(|e| e.route_type.as_str()),
        entry.map(|e| e.horizon.as_str()),
        entry.map(|e| e.regime.as_str()),
        entry.and_then(|e| e.regime_sub).map(|s| s.as_str()),
        order.intent.as_str(),
        entry.and_then(|e| e.queue_decision).map(|q| q.as_str()),
        order.exit_policy.map(|p| p.as_str()),
        order.exit_reason.map(|r| r.as_str()),
        order.order_type.as_str(),
        order.tif.as_str(),
        order.post_only,
        order.limit_price,
        order.trigger_price,
        order.trigger_price.map(|_| "last"),
        order.qty,
        order.deadline_at.map(timestamp),
        order.expire_at.map(timestamp),
        entry.and_then(|e| e.decision_mid),
        entry.and_then(|e| e.expected_move_bps),
        entry.and_then(|e| e.expected_edge_bps),
        entry.and_then(|e| e.expected_surplus_bps),
        entry.and_then(|e| e.expected_slippage_bps),
        entry.map(|e| e.quote_tick_id),
        entry.map(|e| e.quote_seq),
        entry.and_then(|e| e.p_fill),
        entry.and_then(|e| e.est_fill_time_ms),
        entry.and_then(|e| e.queue_ahead_quote),
        entry.and_then(|e| e.size_quote_requested),
        entry.and_then(|e| e.size_quote_approved),
        state.as_str(),
        at,
        entry.and_then(|e| e.engine_tick_id),
        entry.and_then(|e| e.engine_chain.as_deref()),
        entry.and_then(|e| e.exit_limits.sl_bps),
        entry.and_then(|e| e.exit_limits.tp_bps),
        entry.and_then(|e| e.exit_limits.trail_bps),
        entry.and_then(|e| e.exit_limits.time_stop_secs)
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(WriteError::sql("insert an order"))?;
    Ok(OrderId(id))
}
