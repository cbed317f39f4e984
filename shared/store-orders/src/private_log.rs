//! The private stream as it came: every message of executions and balances, and reports that waited.
//!
//! Input: batches from the stream's consumer, which does not wait for them. Output: rows of the day's
//! partition. Tokens never come here: they are in requests, not in messages.

use chrono::NaiveDate;
use penstock_types::{OrderId, UtcMicros};
use serde_json::Value;

use crate::writer::{ExecStore, WriteError, timestamp};

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct PrivateMessage {
    /// Number of the connection.
    pub conn_seq: i32,
    /// Channel.
    pub channel: &'static str,
    /// `snapshot` or `update`.
    pub msg_type: &'static str,
    /// The envelope's sequence.
    pub sequence: Option<i64>,
    /// When we saw it.
    pub received_at: UtcMicros,
    /// The message.
    pub payload: Value,
}

impl ExecStore {
    /// Appends messages; the partition of each day must exist.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn append_private(&self, batch: &[PrivateMessage]) -> Result<(), WriteError> {
        let times: Vec<_> = batch.iter().map(|m| timestamp(m.received_at)).collect();
        let days: Vec<NaiveDate> = times.iter().map(chrono::DateTime::date_naive).collect();
        let conns: Vec<i32> = batch.iter().map(|m| m.conn_seq).collect();
        let channels: Vec<String> = batch.iter().map(|m| m.channel.to_owned()).collect();
        let types: Vec<String> = batch.iter().map(|m| m.msg_type.to_owned()).collect();
        let sequences: Vec<Option<i64>> = batch.iter().map(|m| m.sequence).collect();
        let payloads: Vec<Value> = batch.iter().map(|m| m.payload.clone()).collect();
        sqlx::query!(
            "insert into raw_private_executions (day, session_id, conn_seq, channel, msg_type,
                sequence, received_at, payload)
             select d, $2, c, ch, t, s, r, p
             from unnest($1::date[], $3::int[], $4::text[], $5::text[], $6::bigint[],
                $7::timestamptz[], $8::jsonb[]) as u (d, c, ch, t, s, r, p)",
            &days,
            self.session().0,
            &conns,
            &channels,
            &types,
            &sequences as &[Option<i64>],
            &times,
            &payloads
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("append private messages"))?;
        Ok(())
    }

    /// Keeps a report that no order matches yet; returns its number.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn buffer_report(
        &self,
        venue_id: &str,
        cl_ord_id: Option<&str>,
        payload: &Value,
        now: UtcMicros,
    ) -> Result<i64, WriteError> {
        sqlx::query_scalar!(
            "insert into execution_event_buffer (session_id, exchange_order_id, cl_ord_id, payload,
                received_at, status)
             values ($1, $2, $3, $4, $5, 'buffered')
             returning buffer_id",
            self.session().0,
            venue_id,
            cl_ord_id,
            payload,
            timestamp(now)
        )
        .fetch_one(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("buffer a report"))
    }

    /// Ends the wait of a report: `released` to an order, or `unknown`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn settle_report(
        &self,
        buffer_id: i64,
        status: &str,
        order: Option<OrderId>,
        now: UtcMicros,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "update execution_event_buffer set status = $2, order_id = $3, resolved_at = $4
             where buffer_id = $1",
            buffer_id,
            status,
            order.map(|id| id.0),
            timestamp(now)
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("settle a buffered report"))?;
        Ok(())
    }
}
