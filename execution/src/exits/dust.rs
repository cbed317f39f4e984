//! What is left below the venue's minimum: sold when it can be, joined to the next position, or written off.
//!
//! Input: positions in `dust_hold`, quotes, time. Output: adjustments. Invariants: a remainder never keeps its
//! symbol from being traded; it is never sold beside an open position of its symbol, but joins it; what is
//! written off stays in the balance that is expected.

use penstock_store_orders::exit_plans::PlanChange;
use penstock_trading::exit::plan::PlanEvent;
use penstock_types::vocab::PlanState;
use penstock_types::{Decimal, PositionId};

use crate::desk::{Desk, DeskError};

/// A remainder of little value is kept for so long before it is written off, milliseconds: a day.
const HOLD_MS: i64 = 86_400_000;

impl Desk {
    /// One step of a remainder.
    pub(super) async fn dust(&mut self, id: PositionId) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let symbol = held.position.symbol.clone();
        let enters = self.tracker.entry_of(&symbol).is_some();
        if let Some(open) = self.tracker.position_of(&symbol) {
            let stands = open
                .plan
                .as_ref()
                .is_some_and(|p| matches!(p.state, PlanState::Armed | PlanState::Trailing));
            let into = open.position.position_id;
            return if stands && !enters { self.merge_dust(id, into).await } else { Ok(()) };
        }
        if enters {
            return Ok(());
        }
        let Some(input) = self.closing_input(id) else { return Ok(()) };
        if input.base >= input.min_qty && !input.min_qty.is_zero() {
            let event = Some(PlanEvent::Sellable);
            let change = PlanChange { event, ..PlanChange::default() };
            self.change_plan(id, &change).await?;
            return Ok(());
        }
        if self.is_worthless(id) { self.write_off(id).await } else { Ok(()) }
    }

    /// Held for a day, and worth less than what is worth keeping.
    fn is_worthless(&self, id: PositionId) -> bool {
        let Some(held) = self.tracker.positions.get(&id) else { return false };
        let Some(plan) = &held.plan else { return false };
        let price = self.quote_of(held).map(|q| q.bid).or(held.position.head.avg_entry);
        let value = price.unwrap_or_default() * held.base();
        let held_ms = self.now().millis_since(plan.state_since);
        price.is_some() && value < self.config.dust_notional_quote && held_ms >= HOLD_MS
    }

    async fn merge_dust(&mut self, dust: PositionId, into: PositionId) -> Result<(), DeskError> {
        let now = self.now();
        let merged = self.store.merge_dust(dust, into, now).await;
        let Some((ended, position, plan)) = self.written(merged)? else { return Ok(()) };
        tracing::info!(
            "dust of position {} joined position {}, base {}",
            dust.0,
            into.0,
            position.head.base
        );
        self.tracker.positions.remove(&dust);
        self.tracker.said.position(&ended, None, None, None);
        if let Some(held) = self.tracker.positions.get_mut(&into) {
            held.position = position;
            held.plan = plan;
        }
        self.reload_standbys().await?;
        self.protect(into).await
    }

    async fn write_off(&mut self, id: PositionId) -> Result<(), DeskError> {
        let now = self.now();
        let written = self.store.write_off_dust(id, now).await;
        let Some(position) = self.written(written)? else { return Ok(()) };
        let base: Decimal = self.tracker.positions.get(&id).map_or(Decimal::ZERO, |h| h.base());
        tracing::info!("dust of position {} written off: {base} {}", id.0, position.symbol.base());
        self.tracker.positions.remove(&id);
        self.tracker.said.position(&position, None, None, None);
        self.reload_standbys().await
    }
}
