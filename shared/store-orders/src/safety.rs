//! Causes of a symbol's safety mode that execution owns.
//!
//! Input: symbol, cause, mode. Output: one row per cause, so that writers cannot clear each other's.

use penstock_types::vocab::SafetyMode;
use penstock_types::{Symbol, UtcMicros};

use crate::writer::{ExecStore, WriteError, timestamp};

/// What a cause of the operator is named: it is replaced by the next one, whatever that says.
const BY_OPERATOR: &str = "operator";

impl ExecStore {
    /// Sets a cause; a quiet one must have an end. A cause that is still live is never weakened: the
    /// stricter mode and the later end stand, but for the operator's own, which is replaced.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn set_symbol_cause(
        &self,
        symbol: &Symbol,
        cause: &str,
        mode: SafetyMode,
        reason: &str,
        expires_at: Option<UtcMicros>,
    ) -> Result<(), WriteError> {
        self.put_cause(symbol, cause, mode, reason, expires_at, false).await
    }

    /// Sets a cause that is a quarantine.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn quarantine_symbol(
        &self,
        symbol: &Symbol,
        cause: &str,
        mode: SafetyMode,
        reason: &str,
        expires_at: Option<UtcMicros>,
    ) -> Result<(), WriteError> {
        self.put_cause(symbol, cause, mode, reason, expires_at, true).await
    }

    async fn put_cause(
        &self,
        symbol: &Symbol,
        cause: &str,
        mode: SafetyMode,
        reason: &str,
        expires_at: Option<UtcMicros>,
        is_quarantine: bool,
    ) -> Result<(), WriteError> {
        sqlx::query!(
            "insert into symbol_safety_state as s (symbol, cause, mode, primary_reason, expires_at,
                since, updated_at, updated_by, detail)
             values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), 'execution',
                case when $6 then '{\"quarantine\": true}'::jsonb else '{}'::jsonb end)
             on conflict (symbol, cause) do update set
                (mode, primary_reason, expires_at, since, detail) = (
                    select
                        case when k.live and k.stricter then s.mode else excluded.mode end,
                        case when k.live and k.stricter then s.primary_reason
                            else excluded.primary_reason end,
                        case when not k.live then excluded.expires_at
                            when s.expires_at is not null and excluded.expires_at is not null
                            then greatest(s.expires_at, excluded.expires_at) end,
                        case when k.live and (k.stricter or s.mode = excluded.mode) then s.since
                            else excluded.since end,
                        case when k.live then s.detail || excluded.detail else excluded.detail end
                    from (select
                        $2 <> $7 and coalesce(s.expires_at, 'infinity') > clock_timestamp() as live,
                        array_position(array['quiet', 'exit_only', 'hard_blocked'], s.mode)
                            > array_position(array['quiet', 'exit_only', 'hard_blocked'],
                                excluded.mode) as stricter) k),
                updated_at = excluded.updated_at, updated_by = excluded.updated_by",
            symbol.as_str(),
            cause,
            mode.as_str(),
            reason,
            expires_at.map(timestamp),
            is_quarantine,
            BY_OPERATOR
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("set a safety cause"))?;
        Ok(())
    }

    /// When orders of a symbol were refused since a time, with the venue's text.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn refusals_since(
        &self,
        symbol: &Symbol,
        since: UtcMicros,
    ) -> Result<Vec<(UtcMicros, String)>, WriteError> {
        let rows = sqlx::query!(
            r#"select e.ts_local, coalesce(e.reason, '') as "reason!"
             from execution_orders o join execution_order_events e using (order_id)
             where o.symbol = $1 and o.state = 'rejected' and e.event_type = 'refused'
             and e.ts_local >= $2
             order by e.event_id"#,
            symbol.as_str(),
            timestamp(since)
        )
        .fetch_all(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("read the refusals of a symbol"))?;
        Ok(rows.into_iter().map(|row| (row.ts_local.into(), row.reason)).collect())
    }

    /// Why the outcome of the newest sends of a symbol was unknown, newest first; empty text for a send
    /// that was answered, or that a report of the stream answered for. Looks a day back.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn newest_sends(
        &self,
        symbol: &Symbol,
        most: i64,
    ) -> Result<Vec<String>, WriteError> {
        let rows = sqlx::query_scalar!(
            r#"select coalesce((select u.reason from execution_order_events u
                 where u.order_id = s.order_id and u.event_type = 'outcome_unknown'
                 and u.to_state = 'submit_unknown'
                 order by u.event_seq limit 1), '') as "reason!"
             from execution_order_events s join execution_orders o using (order_id)
             where o.symbol = $1 and o.created_at > clock_timestamp() - interval '1 day'
             and s.event_type in ('persist', 'authorise', 'preauth_sent')
             and not exists (select from execution_order_events l
                 where l.order_id = s.order_id and l.event_type = 'local_refusal')
             order by s.event_id desc limit $2"#,
            symbol.as_str(),
            most
        )
        .fetch_all(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("read the newest sends of a symbol"))?;
        Ok(rows)
    }

    /// Clears a cause.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn clear_symbol_cause(&self, symbol: &Symbol, cause: &str) -> Result<(), WriteError> {
        sqlx::query!(
            "delete from symbol_safety_state where symbol = $1 and cause = $2",
            symbol.as_str(),
            cause
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("clear a safety cause"))?;
        Ok(())
    }

    /// Clears a cause of every symbol but these: what caused it has ended while nobody looked.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn clear_cause_but(&self, cause: &str, symbols: &[String]) -> Result<(), WriteError> {
        sqlx::query!(
            "delete from symbol_safety_state
             where cause = $1 and updated_by = 'execution' and not (symbol = any($2))",
            cause,
            symbols
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("clear safety causes"))?;
        Ok(())
    }
}
