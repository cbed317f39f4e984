//! How far the venue's own list of trades is booked, and trades under our ids that no row explains.
//!
//! Input: whole rounds through the venue's history. Output: the cursor, rows in quarantine. Invariant: the cursor only
//! rises, and every trade of the account up to it is booked, another's, or in quarantine. No trade is ever given to an
//! order by likeness.

use penstock_types::{Decimal, UtcMicros};

use crate::writer::{ExecStore, WriteError, timestamp};

/// A trade that belongs to none of our rows although its order carries an id of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct StrayTrade<'a> {
    /// The venue's id of the trade.
    pub exec_id: &'a str,
    /// The venue's id of its order.
    pub venue_order_id: &'a str,
    /// Our id on that order.
    pub cl_ord_id: Option<&'a str>,
    /// Price.
    pub price: Decimal,
    /// Quantity.
    pub qty: Decimal,
    /// Fee, quote.
    pub fee: Decimal,
    /// The venue's time.
    pub at: UtcMicros,
    /// Why it is here.
    pub reason: &'a str,
}

impl ExecStore {
    /// The time up to which the venue's list of trades is accounted for; none before the first whole round.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn trade_cursor(&self) -> Result<Option<UtcMicros>, WriteError> {
        let at = sqlx::query_scalar!("select seen_until from trade_cursor")
            .fetch_optional(&mut *self.conn().await?)
            .await
            .map_err(WriteError::sql("read how far trades are booked"))?;
        Ok(at.map(UtcMicros::from))
    }

    /// A whole round accounted for every trade up to this time. It never goes back.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn advance_trade_cursor(
        &self,
        until: UtcMicros,
        now: UtcMicros,
    ) -> Result<(), WriteError> {
        const ACTION: &str = "note how far trades are booked";
        let mut tx = self.begin(ACTION).await?;
        sqlx::query!(
            "insert into trade_cursor as c (seen_until, fencing_token, updated_at)
             values ($1, $2, $3)
             on conflict (one) do update set seen_until = excluded.seen_until,
                fencing_token = excluded.fencing_token, updated_at = excluded.updated_at
             where c.seen_until < excluded.seen_until",
            timestamp(until),
            self.token().0,
            timestamp(now)
        )
        .execute(&mut *tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        self.commit(ACTION, tx).await
    }

    /// Puts a trade into quarantine; false when it is there already.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn quarantine_trade(
        &self,
        trade: &StrayTrade<'_>,
        now: UtcMicros,
    ) -> Result<bool, WriteError> {
        const ACTION: &str = "put a trade into quarantine";
        let mut tx = self.begin(ACTION).await?;
        let done = sqlx::query!(
            "insert into quarantined_trades (exec_id, venue_order_id, cl_ord_id, price, qty, fee,
                ts_exchange, reason, found_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict do nothing",
            trade.exec_id,
            trade.venue_order_id,
            trade.cl_ord_id,
            trade.price,
            trade.qty,
            trade.fee,
            timestamp(trade.at),
            trade.reason,
            timestamp(now)
        )
        .execute(&mut *tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        self.commit(ACTION, tx).await?;
        Ok(done.rows_affected() == 1)
    }
}
