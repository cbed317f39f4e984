//! Exits by regime: what the published state says of held symbols, and what a change of it does.
//!
//! Input: rows of the newest generation, once per publication. Output: closes and tightenings. The pair
//! of regimes is judged at every tick: a settled regime tightens once, and closes as soon as its
//! refinement or its drift asks for it. A state that is too old says nothing.

use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::positions::PlanRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::policy::stop_level;
use penstock_trading::exit::regime::{Due, RegimeAction, action, due};
use penstock_trading::exit::trigger::{RaiseCause, Tick, stop_ceiling};
use penstock_types::vocab::{ExitReason, Regime};
use penstock_types::{Decimal, PositionId, Symbol};

use super::may_ask;
use crate::desk::{Desk, DeskError};
use crate::tracker::{Held, TakeProfit};

/// Distance of reads of the published state: half of a publication's.
const MARKETS_MS: i64 = 500;
/// Oldest state that an exit listens to.
const STATE_AGE_MS_MAX: i64 = 45_000;
/// Trail of a position whose take-profit was given up.
const TRAIL_ONLY_BPS: i64 = 70;

/// What the pair of regimes asks for at a tick.
pub(super) struct RegimeAsk {
    then: Regime,
    now: Regime,
    what: RegimeAction,
    due: Due,
}

impl RegimeAsk {
    /// What is still to be done of it.
    pub(super) fn due(&self) -> Option<RegimeAction> {
        (self.due != Due::Nothing).then_some(self.what)
    }
}

impl Desk {
    /// Reads the published state of held symbols.
    pub(crate) async fn read_markets(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        if self.tracker.positions.is_empty() || mono < self.reconcile.next_markets_mono_ms {
            return Ok(());
        }
        self.reconcile.next_markets_mono_ms = mono + MARKETS_MS;
        let symbols: Vec<Symbol> =
            self.tracker.positions.values().map(|h| h.position.symbol.clone()).collect();
        let read = self.store.markets_of(&symbols).await;
        let Some(rows) = self.written(read)? else { return Ok(()) };
        let now = self.now();
        for held in self.tracker.positions.values_mut() {
            let Some(row) = rows.iter().find(|r| r.symbol == held.position.symbol) else {
                continue;
            };
            held.state_seen = Some((row.age_ms, mono));
            if row.generation_id != held.generation_id {
                held.generation_id = row.generation_id;
                held.regime_sub = row.regime_sub;
                held.watch.observe(row.regime, row.drift_5m_bps.unwrap_or_default(), now);
            }
        }
        Ok(())
    }

    /// The settled regime, while its state is young enough.
    pub(crate) fn fresh_regime(&self, held: &Held) -> Option<Regime> {
        let (age_ms, seen) = held.state_seen?;
        let age_ms = age_ms + self.mono_ms() - seen;
        held.watch.settled(self.now()).filter(|_| age_ms <= STATE_AGE_MS_MAX)
    }

    /// What the present pair of regimes asks for.
    pub(super) fn regime_ask(
        &self,
        held: &Held,
        plan: &PlanRecord,
        g_bps: Decimal,
    ) -> Option<RegimeAsk> {
        let then = held.position.regime_at_entry.filter(|_| may_ask(plan))?;
        let now = self.fresh_regime(held)?;
        let drift = held.watch.drift(self.now());
        let what = action(then, now, held.regime_sub, drift, g_bps);
        Some(RegimeAsk { then, now, what, due: due(held.regime_acted, now, what) })
    }

    /// It was its turn: what it asks for is done now, or was done before.
    pub(super) fn regime_heard(&mut self, id: PositionId, plan: &PlanRecord, ask: &RegimeAsk) {
        let Some(held) = self.tracker.positions.get_mut(&id) else { return };
        held.regime_acted = Some((ask.now, ask.what));
        if ask.due == Due::First {
            marker!(
                EXIT_MODE_REROUTED,
                plan_id = plan.plan_id,
                symbol = held.position.symbol.as_str(),
                from_regime = ask.then.as_str(),
                to_regime = ask.now.as_str(),
                action = format!("{:?}", ask.what)
            );
        }
    }

    /// Carries out what the pair of regimes asks for.
    pub(super) async fn regime_exit(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        what: RegimeAction,
        judged: &Tick,
    ) -> Result<(), DeskError> {
        match what {
            RegimeAction::Close => {
                self.decide_close(id, ExitReason::RegimeExit, false, judged).await?;
            }
            RegimeAction::TightenPct(pct) => {
                self.tighten(id, plan, pct, judged).await?;
            }
            RegimeAction::TrailOnly => {
                let trail_bps = Some(Decimal::from(TRAIL_ONLY_BPS));
                let change = PlanChange { trail_bps, ..PlanChange::default() };
                self.change_plan(id, &change).await?;
                self.take_profit(id, TakeProfit::Off);
            }
            RegimeAction::TakeProfitAtFees => {
                let at = self.fees_round_trip_bps + Decimal::TWO;
                self.take_profit(id, TakeProfit::At(at));
            }
            RegimeAction::Keep => {}
        }
        Ok(())
    }

    fn take_profit(&mut self, id: PositionId, to: TakeProfit) {
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.take_profit = to;
        }
    }

    /// Shortens the stop's distance from the price and gives the new level; it never loosens.
    pub(crate) async fn tighten(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        pct: u8,
        judged: &Tick,
    ) -> Result<Option<Decimal>, DeskError> {
        let Some(to) = self.nearer(id, plan, pct) else { return Ok(None) };
        self.raise(id, plan, to, RaiseCause::Tighten, judged).await?;
        Ok(Some(to))
    }

    /// Where the stop would stand with so many percent of its distance; none when that is no raise.
    pub(crate) fn nearer(&self, id: PositionId, plan: &PlanRecord, pct: u8) -> Option<Decimal> {
        let held = self.tracker.positions.get(&id)?;
        let quote = self.quote_of(held)?;
        let tick = self
            .instrument(&held.position.symbol)
            .map_or(Decimal::new(1, 8), |i| i.price_increment);
        let mid = quote.mid();
        let distance = (mid - plan.sl_price) * Decimal::from(pct) / Decimal::ONE_HUNDRED;
        let wanted = stop_level(mid - distance, Decimal::ZERO, tick);
        let to = wanted.min(stop_ceiling(quote.bid, tick));
        (to > plan.sl_price).then_some(to)
    }
}
