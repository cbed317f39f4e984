//! Remainders below the venue's minimum: joined to the next position of their symbol, or written off.
//!
//! Input: positions by id. Output: rows. Invariants: both sides of a merge share one transaction, and base, cost
//! and open entry fees move whole, so that nothing is realised by it; what is written off stays in the account
//! and so in the balance that is expected of it.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::ledger::{Booked, book_adjust, book_merge};
use penstock_types::{Decimal, PositionId, UtcMicros};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use crate::exit_plans::{PlanChange, change_in};
use crate::fills::{RowRef, insert_ledger_of, raise_standby_quantity, write_head};
use crate::positions::{PlanRecord, PositionRecord, Which, read_plan, read_positions};
use crate::writer::{ExecStore, WriteError};

impl ExecStore {
    /// Moves all that a remainder holds into another position of its symbol; both afterwards, the remainder first.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn merge_dust(
        &self,
        dust: PositionId,
        into: PositionId,
        now: UtcMicros,
    ) -> Result<(PositionRecord, PositionRecord, Option<PlanRecord>), WriteError> {
        const ACTION: &str = "merge dust into a position";
        let mut tx = self.begin(ACTION).await?;
        let from = locked(&mut tx, dust).await?;
        let to = locked(&mut tx, into).await?;
        if from.symbol != to.symbol || to.head.base.is_zero() {
            return Err(WriteError::row(
                "positions",
                into.0,
                "no open position of the same symbol",
            ));
        }
        let (gone, grown) = book_merge(&from.head, &to.head)
            .map_err(|e| WriteError::row("positions", into.0, e))?;
        end(&mut tx, &from, &gone, "dust_merge", now).await?;
        write_head(&mut tx, into, &grown.head, now).await?;
        let evidence = json!({ "from_position": dust.0, "base": from.head.base });
        let row = RowRef {
            position_id: into,
            fill_id: None,
            reason: Some("dust_merge"),
            evidence: Some(&evidence),
        };
        insert_ledger_of(&mut tx, &row, to.symbol.as_str(), &grown.row, now).await?;
        raise_standby_quantity(&mut tx, into, grown.head.base).await?;
        let ended = locked(&mut tx, dust).await?;
        let after = locked(&mut tx, into).await?;
        let plan = read_plan(&mut tx, into).await?;
        self.commit(ACTION, tx).await?;
        Ok((ended, after, plan))
    }

    /// Gives a remainder up; the position afterwards.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_off_dust(
        &self,
        dust: PositionId,
        now: UtcMicros,
    ) -> Result<PositionRecord, WriteError> {
        const ACTION: &str = "write dust off";
        let mut tx = self.begin(ACTION).await?;
        let from = locked(&mut tx, dust).await?;
        let gone = book_adjust(&from.head, -from.head.base, Decimal::ZERO)
            .map_err(|e| WriteError::row("positions", dust.0, e))?;
        end(&mut tx, &from, &gone, "dust_writeoff", now).await?;
        let after = locked(&mut tx, dust).await?;
        self.commit(ACTION, tx).await?;
        Ok(after)
    }
}

async fn locked(
    tx: &mut Transaction<'static, Postgres>,
    id: PositionId,
) -> Result<PositionRecord, WriteError> {
    read_positions(tx, Which::LockId(id))
        .await?
        .pop()
        .ok_or_else(|| WriteError::row("positions", id.0, "no such row"))
}

/// The remainder's last row, and the end of its plan.
async fn end(
    tx: &mut Transaction<'static, Postgres>,
    dust: &PositionRecord,
    gone: &Booked,
    reason: &str,
    now: UtcMicros,
) -> Result<(), WriteError> {
    let id = dust.position_id;
    write_head(tx, id, &gone.head, now).await?;
    let evidence = json!({ "base_before": dust.head.base, "plan": "ended" });
    let row =
        RowRef { position_id: id, fill_id: None, reason: Some(reason), evidence: Some(&evidence) };
    insert_ledger_of(tx, &row, dust.symbol.as_str(), &gone.row, now).await?;
    let ended = PlanChange { event: Some(PlanEvent::BaseGone), ..PlanChange::default() };
    change_in(tx, id, &ended, now).await?;
    Ok(())
}
