//! Snapshots of equity: every minute and after each close.
//!
//! Purpose: the record behind the high-water mark. Inputs: the capital of a cycle. Outputs: rows, a marker
//! after a close. Invariants: without a known balance nothing is written: an invented equity would move the
//! mark for ever.

use std::time::{Duration, Instant};

use penstock_store::StoreError;
use penstock_store_decision::sessions::{EquitySnapshot, keep_equity};
use penstock_telemetry::marker;
use penstock_trading::size::CapitalState;
use penstock_types::Decimal;

use crate::context::Context;

/// Time between two snapshots without a close.
const EVERY: Duration = Duration::from_secs(60);

/// Remembers when the last snapshot was taken.
#[derive(Debug, Default)]
pub(super) struct EquityKeeper {
    last: Option<(Instant, Decimal)>,
}

impl EquityKeeper {
    /// Writes a snapshot when one is due.
    pub(super) async fn keep(
        &mut self,
        context: &Context,
        capital: &CapitalState,
        realized_cum_quote: Decimal,
    ) -> Result<(), StoreError> {
        let Some(cash_quote) = capital.cash_quote else { return Ok(()) };
        let closed = self.last.is_some_and(|(_, realized)| realized != realized_cum_quote);
        let due = self.last.is_none_or(|(at, _)| at.elapsed() >= EVERY);
        if !closed && !due {
            return Ok(());
        }
        let snapshot = EquitySnapshot {
            session_id: context.session_id,
            equity_quote: capital.equity_quote,
            cash_quote,
            positions_quote: capital.positions_quote,
            reserved_quote: capital.reserved_quote,
            realized_cum_quote,
            hwm_quote: capital.hwm_quote,
            drawdown_bps: capital.drawdown_bps,
        };
        keep_equity(&context.pool, &snapshot).await?;
        self.last = Some((Instant::now(), realized_cum_quote));
        if closed {
            marker!(
                EQUITY_UPDATED_AFTER_TRADE,
                equity = capital.equity_quote,
                hwm = capital.hwm_quote,
                drawdown_bps = capital.drawdown_bps
            );
        }
        Ok(())
    }
}
