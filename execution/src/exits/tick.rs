//! One tick: judge every position, then what else is due.
//!
//! Input: quotes and memory. Output: decisions of the pure triggers carried out. A raise is committed
//! before its amend is sent; a close is committed before the stop is cancelled.

use penstock_store_orders::exit_plans::{PlanChange, PlanOutcome};
use penstock_store_orders::positions::PlanRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::order::{Asked, Trigger};
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::trigger::{
    Decision, Moment, Quote, RaiseCause, Tick, TickInput, judge,
};
use penstock_types::vocab::{ExitReason, PlanState};
use penstock_types::{Decimal, PositionId};

use super::regime::RegimeAsk;
use super::review::EngineAsk;
use crate::desk::{Desk, DeskError, failpoints};
use crate::tracker::{Held, RaiseNote, TakeProfit};

/// Distance of status lines of a position.
const STATUS_MS: i64 = 60_000;
/// Distance of stored extremes.
const EXTREMES_MS: i64 = 5_000;
/// Age at which a loser that does not move is looked at, seconds.
const STALE_LOOKBACK_SECS: i64 = 300;

impl Desk {
    pub(crate) async fn tick(&mut self) -> Result<(), DeskError> {
        self.read_markets().await?;
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            self.supervise(id).await?;
        }
        self.keep_switch();
        self.cancel_missed_entries().await?;
        self.cancel_expired_entries().await?;
        self.expire_waiting().await?;
        self.housekeeping().await
    }

    pub(crate) async fn supervise(&mut self, id: PositionId) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let Some(plan) = held.plan.clone() else { return Ok(()) };
        let quote = self.quote_of(held);
        let (now, mono) = (self.now(), self.mono_ms());
        let mut input = self.tick_input(held, &plan, quote);
        let g = Moment::of(&input).map(|at| at.g);
        let regime = g.and_then(|g| self.regime_ask(held, &plan, g));
        let engine = g.and_then(|g| self.engine_ask(held, &plan, g));
        input.asked = Asked {
            stop_fired: self.stop_of(id).is_some_and(|t| t.triggered),
            regime: regime.as_ref().and_then(|ask| ask.due()),
            engine: engine.as_ref().and_then(|ask| ask.due()),
        };
        let judged = judge(&input);
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            remember(held, &judged, quote, now);
        }
        if !self.is_permitted() {
            self.status_line(id, &judged, mono);
            return self.watch_grace(id).await;
        }
        match plan.state {
            PlanState::Closed => return Ok(()),
            PlanState::Triggered | PlanState::Exiting => return self.closing_step(id).await,
            PlanState::DustHold => return self.dust(id).await,
            PlanState::Created
            | PlanState::Arming
            | PlanState::Armed
            | PlanState::Trailing
            | PlanState::Unprotected => {}
        }
        self.remember_asked(id, &plan, &judged, regime.as_ref(), engine.as_ref());
        match judged.decision {
            Decision::Regime(action) => self.regime_exit(id, &plan, action, &judged).await?,
            Decision::Engine(action) => self.engine_exit(id, &plan, action, &judged).await?,
            Decision::Hold
            | Decision::InputStale
            | Decision::CloseMarket(_)
            | Decision::CloseMaker(_)
            | Decision::Raise { .. }
            | Decision::AwaitStop
            | Decision::ExtendTimeStop { .. } => self.carry_out(id, &plan, &judged).await?,
        }
        self.store_extremes(id, mono).await?;
        self.status_line(id, &judged, mono);
        self.settle_owed(id).await?;
        self.protect(id).await?;
        self.watch_grace(id).await
    }

    /// What regime and engine were heard for is remembered, unless a trigger before them spoke.
    fn remember_asked(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        judged: &Tick,
        regime: Option<&RegimeAsk>,
        engine: Option<&EngineAsk>,
    ) {
        let (to_regime, to_engine) = match judged.trigger {
            Some(Trigger::Operator | Trigger::Panic | Trigger::LossCap | Trigger::Stop) => {
                (false, false)
            }
            Some(Trigger::Regime) => (true, false),
            None
            | Some(Trigger::Engine | Trigger::TakeProfit | Trigger::TimeStop)
            | Some(Trigger::StaleLoser | Trigger::Breakeven | Trigger::Trail) => (true, true),
        };
        if let Some(ask) = regime.filter(|_| to_regime) {
            self.regime_heard(id, plan, ask);
        }
        if let Some(ask) = engine.filter(|_| to_engine) {
            self.engine_heard(id, plan, ask);
        }
    }

    pub(crate) fn quote_of(&self, held: &Held) -> Option<Quote> {
        let table = self.quotes.table();
        let age_ms = table.age_ms();
        table.sound(&held.position.symbol).map(|q| Quote { bid: q.bid, ask: q.ask, age_ms })
    }

    fn tick_input(&self, held: &Held, plan: &PlanRecord, quote: Option<Quote>) -> TickInput {
        let position = &held.position;
        let avg = position.head.avg_entry.unwrap_or_default();
        let now = self.now();
        TickInput {
            policy: plan.policy,
            avg_entry: avg,
            sl_bps: plan.sl_bps,
            sl_price: plan.sl_price,
            tp_bps: match held.take_profit {
                TakeProfit::Plan => plan.tp_bps,
                TakeProfit::Off => None,
                TakeProfit::At(bps) => Some(bps),
            },
            trail_bps: plan.trail_bps,
            breakeven_arm_bps: plan.breakeven_arm_bps,
            panic_bps: plan.panic_bps,
            time_stop_at: plan.time_stop_at,
            opened_at: position.opened_at,
            tp_raised: plan.trigger_reason == Some(ExitReason::TpHit),
            peak: position.peak_price.unwrap_or(avg),
            trough: position.trough_price.unwrap_or(avg),
            round_trip_fees_bps: self.fees_round_trip_bps,
            tick: self
                .instrument(&position.symbol)
                .map_or(Decimal::new(1, 8), |i| i.price_increment),
            loss_cap_bps: self.config.loss_cap_bps,
            loss_since: held.loss_since,
            mid_300s_ago: held.mid_before(now, STALE_LOOKBACK_SECS),
            regime: self.fresh_regime(held),
            quote,
            quote_age_ms_max: self.config.exit_quote_age_ms_max,
            flatten: held.flatten || held.close_reason.is_some(),
            asked: Asked::default(),
            tp_closes: self.config.tp_closes,
            raised_at: held.raised_at,
            raise_interval_ms: self.config.trail_interval_ms,
            now,
        }
    }

    async fn carry_out(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        judged: &Tick,
    ) -> Result<(), DeskError> {
        match judged.decision {
            Decision::Hold | Decision::AwaitStop => Ok(()),
            // Carried out by their own rooms.
            Decision::Regime(_) | Decision::Engine(_) => Ok(()),
            Decision::InputStale => {
                self.note_stale(id, plan, true);
                Ok(())
            }
            Decision::CloseMarket(reason) => {
                // What reopened after its close ends for the reason of that close.
                let reopened = self.tracker.positions.get(&id).and_then(|h| h.close_reason);
                self.decide_close(id, reopened.unwrap_or(reason), false, judged).await
            }
            Decision::CloseMaker(reason) => self.decide_close(id, reason, true, judged).await,
            Decision::Raise { to, cause } => self.raise(id, plan, to, cause, judged).await,
            Decision::ExtendTimeStop { to } => {
                let change = PlanChange { time_stop_at: Some(to), ..PlanChange::default() };
                self.change_plan(id, &change).await?;
                Ok(())
            }
        }?;
        if judged.decision != Decision::InputStale {
            self.note_stale(id, plan, false);
        }
        Ok(())
    }

    fn note_stale(&mut self, id: PositionId, plan: &PlanRecord, stale: bool) {
        let Some(held) = self.tracker.positions.get_mut(&id) else { return };
        if stale && !held.stale {
            marker!(
                EXIT_INPUT_STALE,
                plan_id = plan.plan_id,
                symbol = held.position.symbol.as_str()
            );
        }
        held.stale = stale;
    }

    /// Commits the decision to close; the sequence starts with this very tick.
    pub(crate) async fn decide_close(
        &mut self,
        id: PositionId,
        reason: ExitReason,
        maker: bool,
        judged: &Tick,
    ) -> Result<(), DeskError> {
        if !self.may_close(id, reason) {
            return Ok(());
        }
        let change = PlanChange {
            event: Some(PlanEvent::CloseDecided),
            reason: Some(reason),
            ..PlanChange::default()
        };
        let Some(plan) = self.change_plan(id, &change).await? else { return Ok(()) };
        let mono = self.mono_ms();
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.decided_mono_ms = mono;
            held.maker_close = maker;
            held.short_since_mono_ms = None;
            held.cancel_alarmed = false;
            held.attempts_base = plan.attempts;
            held.close_refusals = 0;
        }
        marker!(
            EXIT_REASON_TRIGGERED,
            plan_id = plan.plan_id,
            exit_reason = reason.as_str(),
            g_bps = judged.g_bps.map(|g| g.to_string())
        );
        failpoints::pass(failpoints::AFTER_TRIGGER_BEFORE_CANCEL);
        self.closing_step(id).await
    }

    pub(crate) async fn raise(
        &mut self,
        id: PositionId,
        plan: &PlanRecord,
        to: Decimal,
        cause: RaiseCause,
        judged: &Tick,
    ) -> Result<(), DeskError> {
        let by_profit = cause == RaiseCause::TakeProfit;
        let change = PlanChange {
            event: Some(PlanEvent::Raised),
            sl_price: Some(to),
            reason: by_profit.then_some(ExitReason::TpHit),
            extremes: Some((judged.peak, judged.trough)),
            ..PlanChange::default()
        };
        if !matches!(plan.state, PlanState::Armed | PlanState::Trailing) {
            return Ok(());
        }
        if self.change_plan(id, &change).await?.is_none() {
            return Ok(());
        }
        let now = self.now();
        let Some(held) = self.tracker.positions.get_mut(&id) else { return Ok(()) };
        held.raised_at = Some(now);
        held.raise = Some(RaiseNote {
            old: plan.sl_price,
            new: to,
            by_profit,
            peak: judged.peak,
            g_bps: judged.g_bps,
        });
        failpoints::pass(failpoints::AFTER_RAISE_BEFORE_AMEND);
        Ok(())
    }

    /// Changes a plan and takes the row into memory; `None` when it was not changed.
    pub(crate) async fn change_plan(
        &mut self,
        id: PositionId,
        change: &PlanChange,
    ) -> Result<Option<PlanRecord>, DeskError> {
        let now = self.now();
        let stored = self.store.change_plan(id, change, now).await;
        match self.written(stored)? {
            None => Ok(None),
            Some(PlanOutcome::Refused(illegal)) => {
                tracing::debug!("{illegal}");
                Ok(None)
            }
            Some(PlanOutcome::Done(plan)) => {
                if let Some(held) = self.tracker.positions.get_mut(&id) {
                    held.plan = Some((*plan).clone());
                    if let Some(qty) = change.protected_qty {
                        held.position.protected_qty = qty;
                    }
                }
                self.say_position(id);
                Ok(Some(*plan))
            }
        }
    }

    async fn store_extremes(&mut self, id: PositionId, mono: i64) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get_mut(&id) else { return Ok(()) };
        if !held.extremes_dirty || mono - held.extremes_mono_ms < EXTREMES_MS {
            return Ok(());
        }
        held.extremes_dirty = false;
        held.extremes_mono_ms = mono;
        let extremes = held.position.peak_price.zip(held.position.trough_price);
        let change = PlanChange { extremes, ..PlanChange::default() };
        self.change_plan(id, &change).await?;
        Ok(())
    }

    fn status_line(&mut self, id: PositionId, judged: &Tick, mono: i64) {
        let Some(held) = self.tracker.positions.get_mut(&id) else { return };
        if mono - held.status_mono_ms < STATUS_MS {
            return;
        }
        held.status_mono_ms = mono;
        let Some(plan) = &held.plan else { return };
        marker!(
            POSITION_MONITOR_STATUS,
            symbol = held.position.symbol.as_str(),
            g_bps = judged.g_bps.map(|g| g.to_string()),
            sl_price = plan.sl_price.to_string(),
            peak_price = judged.peak.to_string(),
            state = plan.state.as_str()
        );
    }
}

fn remember(held: &mut Held, judged: &Tick, quote: Option<Quote>, now: penstock_types::UtcMicros) {
    held.loss_since = judged.loss_since;
    if let Some(quote) = quote {
        held.note_mid(now, quote.mid());
    }
    let changed = held.position.peak_price != Some(judged.peak)
        || held.position.trough_price != Some(judged.trough);
    if judged.g_bps.is_some() && changed {
        held.position.peak_price = Some(judged.peak);
        held.position.trough_price = Some(judged.trough);
        held.extremes_dirty = true;
    }
}
