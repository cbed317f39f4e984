//! Exits by the deterministic engine: a stop that comes nearer, a loser that closes.
//!
//! Input: what the board shows of a held symbol, once per tick of the supervisor. Output: raises and closes,
//! each said with its levels. What is asked for is judged elsewhere; here it is carried out. In shadow it is
//! only said, with the level that the stop would have had.

use penstock_store_orders::positions::PlanRecord;
use penstock_telemetry::marker;
use penstock_trading::engine_gate::EngineGates;
use penstock_trading::exit::review::{DISTANCE_PCT, Review, ReviewAction, Sight, review};
use penstock_trading::exit::trigger::Tick;
use penstock_types::vocab::ExitReason;
use penstock_types::{Decimal, PositionId};

use super::may_ask;
use crate::desk::{Desk, DeskError};
use crate::tracker::Held;

/// What the engine's review asks for at a tick.
pub(super) struct EngineAsk {
    before: Review,
    after: Review,
    action: ReviewAction,
    sight: Sight,
    /// Level of a tighter stop, when that is a raise.
    to: Option<Decimal>,
    is_enforced: bool,
}

impl EngineAsk {
    /// What is to be done: nothing in shadow, and no raise that is none.
    pub(super) fn due(&self) -> Option<ReviewAction> {
        match self.action {
            ReviewAction::Keep => None,
            ReviewAction::Tighten => (self.is_enforced && self.to.is_some()).then_some(self.action),
            ReviewAction::Close => self.is_enforced.then_some(self.action),
        }
    }
}

impl Desk {
    /// What the engine's view of a position asks for.
    pub(super) fn engine_ask(
        &self,
        held: &Held,
        plan: &PlanRecord,
        g_bps: Decimal,
    ) -> Option<EngineAsk> {
        let sight = self.engine.sight(&held.position.symbol).filter(|_| may_ask(plan))?;
        let before = held.review;
        let (after, action) = review(before, Some(&sight), Some(g_bps));
        let to = self.nearer(held.position.position_id, plan, DISTANCE_PCT);
        let is_enforced = self.config.engine_gates == EngineGates::Enforce;
        Some(EngineAsk { before, after, action, sight, to, is_enforced })
    }

    /// It was its turn: what it asks for is done now, or in shadow only said.
    pub(super) fn engine_heard(&mut self, id: PositionId, plan: &PlanRecord, ask: &EngineAsk) {
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.review = ask.after;
        }
        match ask.action {
            ReviewAction::Keep => {}
            ReviewAction::Tighten => {
                let word = if ask.to.is_some() { "tighten" } else { "keep" };
                self.say_review(id, plan, &ask.sight, ask.to, word);
            }
            // Asked for again at every tick; in shadow nothing becomes of it, and it may wait: one line for each spell.
            ReviewAction::Close => {
                if !ask.before.has_asked_to_close() {
                    self.say_review(id, plan, &ask.sight, None, "close");
                }
            }
        }
    }

    /// Carries out what the review asks for.
    pub(super) async fn engine_exit(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        action: ReviewAction,
        judged: &Tick,
    ) -> Result<(), DeskError> {
        match action {
            ReviewAction::Keep => Ok(()),
            ReviewAction::Tighten => {
                self.tighten(id, plan, DISTANCE_PCT, judged).await?;
                Ok(())
            }
            ReviewAction::Close => {
                self.decide_close(id, ExitReason::EngineExit, false, judged).await
            }
        }
    }

    fn say_review(
        &self,
        id: PositionId,
        plan: &PlanRecord,
        sight: &Sight,
        new_sl: Option<Decimal>,
        action: &str,
    ) {
        let symbol = self.tracker.positions.get(&id).map(|h| h.position.symbol.clone());
        marker!(
            ENGINE_EXIT_REVIEW,
            plan_id = plan.plan_id,
            symbol = symbol,
            token_state = sight.seen.fsm_state.name(),
            cluster_state = sight.seen.cluster_state.name(),
            old_sl = plan.sl_price.to_string(),
            new_sl = new_sl.map(|to| to.to_string()),
            action = action,
            engine_tick_id = sight.tick,
            mode = self.config.engine_gates
        );
    }
}
