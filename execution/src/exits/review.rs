//! Exits by the deterministic engine: a stop that comes nearer, a loser that closes.
//!
//! Input: what the board shows of a held symbol, once per tick of the supervisor. Output: raises and closes,
//! each said with its levels. What is asked for is judged elsewhere; here it is carried out. In shadow it is
//! only said, with the level that the stop would have had.

use penstock_store_orders::positions::PlanRecord;
use penstock_telemetry::marker;
use penstock_trading::engine_gate::EngineGates;
use penstock_trading::exit::review::{DISTANCE_PCT, ReviewAction, Sight, review};
use penstock_trading::exit::trigger::Tick;
use penstock_types::vocab::ExitReason;
use penstock_types::{Decimal, PositionId};

use super::may_act;
use crate::desk::{Desk, DeskError};

impl Desk {
    /// Reviews a position by the engine's view; true when this tick is done with it.
    pub(crate) async fn engine_exit(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        judged: &Tick,
    ) -> Result<bool, DeskError> {
        if !may_act(plan, judged) {
            return Ok(false);
        }
        let Some(held) = self.tracker.positions.get_mut(&id) else { return Ok(false) };
        let symbol = held.position.symbol.clone();
        let Some(sight) = self.engine.sight(&symbol) else { return Ok(false) };
        let before = held.review;
        let (after, action) = review(before, Some(&sight), judged.g_bps);
        held.review = after;
        let is_enforced = self.config.engine_gates == EngineGates::Enforce;
        let of_raise = |to: Option<Decimal>| if to.is_some() { "tighten" } else { "keep" };
        match (action, is_enforced) {
            (ReviewAction::Keep, true | false) => Ok(false),
            (ReviewAction::Tighten, false) => {
                let to = self.nearer(id, plan, DISTANCE_PCT);
                self.say_review(id, plan, &sight, to, of_raise(to));
                Ok(false)
            }
            (ReviewAction::Close, false) => {
                // It is asked for again at every tick, and nothing becomes of it here: one line for each spell.
                if !before.has_asked_to_close() {
                    self.say_review(id, plan, &sight, None, "close");
                }
                Ok(false)
            }
            (ReviewAction::Tighten, true) => {
                let to = self.tighten(id, plan, DISTANCE_PCT, judged).await?;
                self.say_review(id, plan, &sight, to, of_raise(to));
                Ok(to.is_some())
            }
            (ReviewAction::Close, true) => {
                self.say_review(id, plan, &sight, None, "close");
                self.decide_close(id, ExitReason::EngineExit, false, judged).await?;
                Ok(true)
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
