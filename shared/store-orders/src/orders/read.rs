//! Reading order rows: by id, under a lock, all that are not terminal, by client id.
//!
//! Input: keys. Output: [`OrderRecord`]. A word that the product does not know is an error that names
//! the row.

use penstock_types::{OrderId, UtcMicros, Uuid};
use sqlx::PgConnection;

use super::terms::{OrderRecord, RawOrder};
use crate::writer::{ExecStore, WriteError, timestamp};

const ACTION: &str = "read orders";

/// Rows by id, in order of the id.
///
/// # Errors
/// [`WriteError`].
pub async fn by_ids(
    conn: &mut PgConnection,
    ids: &[OrderId],
) -> Result<Vec<OrderRecord>, WriteError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        RawOrder,
        "select order_id, cl_ord_id, exchange_order_id, fencing_token, symbol, side, role,
            parent_order_id, position_id, strategy, route_type, horizon, regime, exit_policy,
            exit_reason, order_type, tif, post_only, limit_price, trigger_price, qty, deadline_at,
            expire_at, decision_mid, expected_move_bps, exit_sl_bps, exit_tp_bps,
            exit_trail_bps, exit_time_stop_secs, state, state_reason, state_since, cum_qty,
            cum_cost, avg_price, event_seq, created_at
         from execution_orders
         where order_id = any($1)
         order by order_id",
        &ids
    )
    .fetch_all(conn)
    .await
    .map_err(WriteError::sql(ACTION))?;
    rows.into_iter().map(OrderRecord::try_from).collect()
}

/// The row under its lock.
///
/// # Errors
/// [`WriteError`]; a missing row is one.
pub(crate) async fn lock(conn: &mut PgConnection, id: OrderId) -> Result<OrderRecord, WriteError> {
    let locked = sqlx::query_scalar!(
        "select order_id from execution_orders where order_id = $1 for update",
        id.0
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(WriteError::sql("lock an order"))?;
    if locked.is_none() {
        return Err(WriteError::row("execution_orders", id.0, "no such row"));
    }
    let mut rows = by_ids(conn, &[id]).await?;
    rows.pop().ok_or_else(|| WriteError::row("execution_orders", id.0, "no such row"))
}

impl ExecStore {
    /// All rows that are not terminal, standby rows included, oldest first.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn open_orders(&self) -> Result<Vec<OrderRecord>, WriteError> {
        let sql = WriteError::sql(ACTION);
        let mut conn = self.conn().await?;
        let ids = sqlx::query_scalar!(
            "select order_id from execution_orders where not terminal order by order_id"
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        by_ids(&mut conn, &ids.into_iter().map(OrderId).collect::<Vec<_>>()).await
    }

    /// Orders that reduce and were proven absent since this time: a second look at them may be due.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn lost_since(&self, since: UtcMicros) -> Result<Vec<OrderRecord>, WriteError> {
        let sql = WriteError::sql(ACTION);
        let mut conn = self.conn().await?;
        let ids = sqlx::query_scalar!(
            "select order_id from execution_orders
             where state = 'lost_or_rejected' and side = 'sell' and state_since >= $1
             order by order_id",
            timestamp(since)
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        by_ids(&mut conn, &ids.into_iter().map(OrderId).collect::<Vec<_>>()).await
    }

    /// Rows by client id.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn orders_by_client_id(&self, ids: &[Uuid]) -> Result<Vec<OrderRecord>, WriteError> {
        let sql = WriteError::sql(ACTION);
        let mut conn = self.conn().await?;
        let ids = sqlx::query_scalar!(
            "select order_id from execution_orders where cl_ord_id = any($1) order by order_id",
            ids
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        by_ids(&mut conn, &ids.into_iter().map(OrderId).collect::<Vec<_>>()).await
    }

    /// Rows by the venue's id.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn orders_by_venue_id(&self, ids: &[String]) -> Result<Vec<OrderRecord>, WriteError> {
        let sql = WriteError::sql(ACTION);
        let mut conn = self.conn().await?;
        let ids = sqlx::query_scalar!(
            "select order_id from execution_orders where exchange_order_id = any($1)
             order by order_id",
            ids
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        by_ids(&mut conn, &ids.into_iter().map(OrderId).collect::<Vec<_>>()).await
    }

    /// Rows by id.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn orders(&self, ids: &[OrderId]) -> Result<Vec<OrderRecord>, WriteError> {
        let mut conn = self.conn().await?;
        by_ids(&mut conn, ids).await
    }
}
