//! Latency points of an order: times as labels, durations from the monotonic clock.
//!
//! Input: points as they happen. Output: columns that are filled once. No fence: a point that is
//! written late harms nothing.

use penstock_types::{OrderId, UtcMicros};

use crate::writer::{ExecStore, WriteError, timestamp};

impl ExecStore {
    /// The request went out, `since_decision_us` after the decision.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn latency_submitted(
        &self,
        id: OrderId,
        t1: UtcMicros,
        since_decision_us: i64,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "update execution_order_latency
             set t1_submit_ts_local = coalesce(t1_submit_ts_local, $2),
                decision_to_submit_us = coalesce(decision_to_submit_us, $3)
             where order_id = $1",
            id.0,
            timestamp(t1),
            since_decision_us
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("record latency"))?;
        Ok(())
    }

    /// The acknowledgement was seen, `since_submit_us` after the request.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn latency_acked(
        &self,
        id: OrderId,
        t2_exchange: Option<UtcMicros>,
        t2_seen: UtcMicros,
        since_submit_us: i64,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "update execution_order_latency
             set t2_ack_ts_exchange = coalesce(t2_ack_ts_exchange, $2),
                t2_ack_seen_ts_local = coalesce(t2_ack_seen_ts_local, $3),
                submit_to_ack_seen_us = coalesce(submit_to_ack_seen_us, $4)
             where order_id = $1",
            id.0,
            t2_exchange.map(timestamp),
            timestamp(t2_seen),
            since_submit_us
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("record latency"))?;
        Ok(())
    }

    /// The stop of an entry went out and was acknowledged, `since_fill_us` after the fill was seen.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn latency_protected(
        &self,
        entry: OrderId,
        t4: UtcMicros,
        t5: UtcMicros,
        since_fill_us: i64,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "update execution_order_latency
             set t4_protection_submit_ts_local = coalesce(t4_protection_submit_ts_local, $2),
                t5_protection_ack_ts_local = coalesce(t5_protection_ack_ts_local, $3),
                fill_seen_to_protection_ack_us = coalesce(fill_seen_to_protection_ack_us, $4)
             where order_id = $1",
            entry.0,
            timestamp(t4),
            timestamp(t5),
            since_fill_us
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("record latency"))?;
        Ok(())
    }
}
