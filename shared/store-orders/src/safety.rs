//! Causes of a symbol's safety mode that execution owns.
//!
//! Input: symbol, cause, mode. Output: one row per cause, so that writers cannot clear each other's.

use penstock_types::vocab::SafetyMode;
use penstock_types::{Symbol, UtcMicros};

use crate::writer::{ExecStore, WriteError, timestamp};

impl ExecStore {
    /// Sets a cause; a quiet one must have an end.
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
        sqlx::query!(
            "insert into symbol_safety_state as s (symbol, cause, mode, primary_reason, expires_at,
                since, updated_at, updated_by)
             values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), 'execution')
             on conflict (symbol, cause) do update set
                mode = excluded.mode, primary_reason = excluded.primary_reason,
                expires_at = excluded.expires_at, updated_at = excluded.updated_at,
                updated_by = excluded.updated_by,
                since = case when s.mode = excluded.mode then s.since else excluded.since end",
            symbol.as_str(),
            cause,
            mode.as_str(),
            reason,
            expires_at.map(timestamp)
        )
        .execute(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("set a safety cause"))?;
        Ok(())
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
