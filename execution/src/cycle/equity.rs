//! Snapshots of equity: every minute, after each close, and when a drawdown begins or ends to stand.
//!
//! Purpose: the record behind the high-water mark and behind the memory of the drawdown's kill switch. Inputs: the
//! capital of a cycle and what it was read from. Outputs: rows, a marker after a close. Invariants: without a known
//! balance nothing is written: an invented equity would move the mark for ever. A row has the time of its cycle's read,
//! for it says what that read knew of money from outside.

use std::time::{Duration, Instant};

use penstock_store::StoreError;
use penstock_store_decision::sessions::{EquitySnapshot, keep_equity};
use penstock_telemetry::marker;
use penstock_trading::capital::CapitalState;
use penstock_trading::cycle::CycleInput;
use penstock_types::Decimal;

use crate::context::Context;

/// Time between two snapshots without a close.
const EVERY: Duration = Duration::from_secs(60);

/// What the last snapshot was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    at: Instant,
    realized_cum_quote: Decimal,
    drawdown_day: Option<i64>,
}

/// Remembers when the last snapshot was taken.
#[derive(Debug, Default)]
pub(super) struct EquityKeeper {
    last: Option<Taken>,
}

impl EquityKeeper {
    /// Writes a snapshot when one is due; `drawdown_day` is that of the kill switch.
    pub(super) async fn keep(
        &mut self,
        context: &Context,
        input: &CycleInput,
        capital: &CapitalState,
        drawdown_day: Option<i64>,
    ) -> Result<(), StoreError> {
        let quote = &context.settings.decide.quote_asset;
        let Some(cash) = input.balances.iter().find(|b| b.asset == *quote) else { return Ok(()) };
        let realized_cum_quote = input.equity.realized_cum_quote;
        let closed = self.last.is_some_and(|t| t.realized_cum_quote != realized_cum_quote);
        let turned =
            self.last.map_or(input.equity.drawdown_day, |t| t.drawdown_day) != drawdown_day;
        let due = self.last.is_none_or(|t| t.at.elapsed() >= EVERY);
        if !closed && !turned && !due {
            return Ok(());
        }
        let snapshot = EquitySnapshot {
            at: input.now,
            session_id: context.session_id,
            equity_quote: capital.equity_quote,
            cash_quote: cash.balance,
            positions_quote: capital.positions_quote,
            reserved_quote: capital.reserved_quote,
            realized_cum_quote,
            hwm_quote: capital.hwm_quote,
            drawdown_bps: capital.drawdown_bps,
            external_cum_quote: input.equity.external.cum_quote,
            external_seen_id: input.equity.external.seen_id,
            cash_as_of: cash.as_of,
            drawdown_day: drawdown_day.and_then(|day| i32::try_from(day).ok()),
        };
        keep_equity(&context.pool, &snapshot).await?;
        self.last = Some(Taken { at: Instant::now(), realized_cum_quote, drawdown_day });
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
