//! Balances of the venue and every change of them that is no trade.
//!
//! Input: rows of the `balances` channel or of a REST look. Output: rows; the balance that our own
//! records explain. Invariant: balance = Σ changes + Σ fills − Σ fees per asset; each change of the
//! venue's ledger is written once, by its ledger id.

use penstock_types::{Decimal, Symbol, UtcMicros};
use serde_json::Value;

use crate::writer::{ExecStore, WriteError, timestamp};

/// A change that no trade explains.
#[derive(Debug, Clone, PartialEq)]
pub struct BalanceChange<'a> {
    /// Asset.
    pub asset: &'a str,
    /// The venue's time.
    pub at: UtcMicros,
    /// Signed amount.
    pub amount: Decimal,
    /// `opening`, `deposit`, `withdrawal`, `conversion`, `bust` or `other`.
    pub cause: &'static str,
    /// The venue's ledger id.
    pub ledger_id: Option<&'a str>,
    /// What it was concluded from.
    pub evidence: Value,
}

impl ExecStore {
    /// Stores a balance unless a newer one stands.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn put_balance(
        &self,
        asset: &str,
        balance: Decimal,
        as_of: UtcMicros,
        source: &str,
    ) -> Result<(), WriteError> {
        const ACTION: &str = "store a balance";
        let mut tx = self.begin(ACTION).await?;
        sqlx::query!(
            "insert into exchange_balances as b (asset, balance, as_of, source, updated_at)
             values ($1, $2, $3, $4, clock_timestamp())
             on conflict (asset) do update set balance = excluded.balance, as_of = excluded.as_of,
                source = excluded.source, updated_at = excluded.updated_at
             where b.as_of <= excluded.as_of",
            asset,
            balance,
            timestamp(as_of),
            source
        )
        .execute(&mut *tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        self.commit(ACTION, tx).await
    }

    /// Writes a change; false when it was written before.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn add_balance_change(&self, c: &BalanceChange<'_>) -> Result<bool, WriteError> {
        const ACTION: &str = "write a balance change";
        let mut tx = self.begin(ACTION).await?;
        let done = sqlx::query!(
            "insert into balance_changes (asset, ts, amount, cause, ledger_id, evidence)
             values ($1, $2, $3, $4, $5, $6)
             on conflict do nothing",
            c.asset,
            timestamp(c.at),
            c.amount,
            c.cause,
            c.ledger_id,
            c.evidence
        )
        .execute(&mut *tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        self.commit(ACTION, tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether the opening of an installation is recorded.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn has_opening(&self) -> Result<bool, WriteError> {
        sqlx::query_scalar!(
            r#"select exists (select from balance_changes where cause = 'opening') as "found!""#
        )
        .fetch_one(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("look for the opening balances"))
    }

    /// Base that the open and written-off positions of a symbol explain.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn base_held(&self, symbol: &Symbol) -> Result<Decimal, WriteError> {
        sqlx::query_scalar!(
            r#"select coalesce(sum(base_qty), 0) as "held!" from positions where symbol = $1"#,
            symbol.as_str()
        )
        .fetch_one(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("sum the positions of a symbol"))
    }

    /// Base of the account that is none of our positions: what it had at the first attach, what was moved since, and
    /// dust that was written off. What was taken out beyond it was taken out of positions, so the sum never falls below
    /// zero.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn base_outside(&self, asset: &str) -> Result<Decimal, WriteError> {
        sqlx::query_scalar!(
            r#"with moves as (
                select ts as at, amount from balance_changes where asset = $1
                union all
                select created_at, -delta_base from fills_ledger
                where reason = 'dust_writeoff' and split_part(symbol, '/', 1) = $1),
             sums as (select sum(amount) over (order by at) as total from moves)
             select coalesce((select sum(amount) from moves), 0)
                - least(0, coalesce((select min(total) from sums), 0)) as "outside!""#,
            asset
        )
        .fetch_one(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("sum the changes of a balance"))
    }

    /// Stores the account's fees.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn put_fee_tier(
        &self,
        as_of: UtcMicros,
        maker_bps: Decimal,
        taker_bps: Decimal,
        volume_30d: Option<Decimal>,
        source: &str,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "insert into fee_tiers (as_of, maker_bps, taker_bps, volume_30d_quote, source)
             values ($1, $2, $3, $4, $5)
             on conflict do nothing",
            timestamp(as_of),
            maker_bps,
            taker_bps,
            volume_30d,
            source
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("store the fees"))?;
        Ok(())
    }
}
