//! What is sent without the decision cluster: cancels of entries, and the stops that stand by.
//!
//! Input: shadows of orders, committed standby rows. Output: requests and their records. It closes
//! nothing and raises no level: the stops at the venue stand.

use penstock_store_orders::orders::OrderRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::trigger::stop_ceiling;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::{OrderEvent, Said, Shadow};
use penstock_trading::protection::{ProtectAction, ProtectInput, StopView, next, stop_qty};
use penstock_types::vocab::{OrderRole, OrderState};
use penstock_types::{Decimal, OrderId, Symbol};
use penstock_venue_orders::EngineUse;

use super::Record;
use super::state::Released;
use crate::desk::Desk;
use crate::submit::Amend;
use crate::tracker::view_of;

/// Deadline of a stop after its decision, milliseconds.
const STOP_DEADLINE_MS: i64 = 5_000;
/// An entry whose cancel brought no report is cancelled again after this, milliseconds.
const CANCEL_AGAIN_MS: i64 = 5_000;

impl Desk {
    /// Whether the fence was renewed recently enough to send without asking for it.
    fn may_send(&self) -> bool {
        self.is_permitted() && self.lease.age_ms() <= self.config.preauth_ms_max
    }

    /// Everything that may be done now.
    pub(super) fn hold(&mut self) {
        self.cancel_entries_unwritten();
        let mut symbols: Vec<Symbol> =
            self.tracker.positions.values().map(|h| h.position.symbol.clone()).collect();
        let shaded: Vec<OrderId> =
            self.outage.iter().flat_map(|o| o.shadows.keys().copied()).collect();
        symbols.extend(
            shaded.iter().filter_map(|id| self.tracker.get(*id)).map(|t| t.record.symbol.clone()),
        );
        symbols.sort();
        symbols.dedup();
        for symbol in &symbols {
            self.guard(symbol);
        }
    }

    /// Resting entries go: a cancel needs no row, its event follows.
    fn cancel_entries_unwritten(&mut self) {
        if !self.may_send() {
            return;
        }
        let (now, mono) = (self.now(), self.mono_ms());
        let ids: Vec<OrderId> = self
            .tracker
            .orders()
            .filter(|t| t.record.enters() && t.mutation.is_none())
            .filter(|t| self.shadow_of(t.record.order_id).is_some_and(|s| s.is_live()))
            .filter(|t| t.cancel_mono_ms.is_none_or(|at| mono - at >= CANCEL_AGAIN_MS))
            .map(|t| t.record.order_id)
            .collect();
        for order_id in ids {
            self.shade(order_id, OrderEvent::CancelSent, Said::default());
            if let Some(outage) = &mut self.outage {
                outage.keep(Record::CancelSent { order_id, at: now });
            }
            self.spawn_cancel(order_id);
        }
    }

    /// Base of a symbol with what was executed since its rows were written.
    fn base_unwritten(&self, symbol: &Symbol) -> Decimal {
        let committed = self.tracker.position_of(symbol).map_or(Decimal::ZERO, |h| h.base());
        let shadows = self.outage.iter().flat_map(|o| o.shadows.iter());
        shadows
            .filter_map(|(id, shadow)| Some((&self.tracker.get(*id)?.record, shadow)))
            .filter(|(row, _)| row.symbol == *symbol)
            .fold(committed, |base, (row, shadow)| {
                let executed = shadow.cum_qty - row.cum_qty;
                if row.enters() { base + executed } else { base - executed }
            })
            .max(Decimal::ZERO)
    }

    /// The stop of a symbol that lives or may live, with its shadow.
    fn stop_unwritten(&self, symbol: &Symbol, role: OrderRole) -> Option<(OrderRecord, Shadow)> {
        self.tracker
            .orders()
            .filter(|t| t.record.symbol == *symbol && t.record.role == role)
            .filter_map(|t| Some((t.record.clone(), self.shadow_of(t.record.order_id)?)))
            .find(|(_, shadow)| shadow.is_live())
    }

    /// The standby stop that was not used yet: of the position, or of an entry of the symbol.
    fn standby_unwritten(&self, symbol: &Symbol) -> Option<OrderRecord> {
        let position = self.tracker.position_of(symbol).map(|h| h.position.position_id);
        self.tracker
            .orders()
            .map(|t| &t.record)
            .filter(|r| r.symbol == *symbol && r.role == OrderRole::Protection)
            .filter(|r| r.fencing_token == self.store.token())
            .filter(|r| self.shadow_of(r.order_id).is_some_and(|s| s.state == OrderState::Created))
            .find(|r| r.position_id.is_none() || r.position_id == position)
            .cloned()
    }

    /// One step towards a whole stop of a symbol.
    fn guard(&mut self, symbol: &Symbol) {
        let base = self.base_unwritten(symbol);
        if base.is_zero() {
            return;
        }
        let input = self.guard_input(symbol, base);
        self.watch_bare(symbol, &input);
        let closes = self.stop_unwritten(symbol, OrderRole::Exit).is_some();
        if closes || !self.may_send() {
            return;
        }
        match next(&input) {
            ProtectAction::Place { qty, .. } => self.release_standby(symbol, qty, input.min_qty),
            ProtectAction::Amend { qty: Some(qty), .. } => self.grow_stop(symbol, qty),
            // A level waits for its row; an unknown stop waits for the stream.
            ProtectAction::Amend { qty: None, .. }
            | ProtectAction::Wait
            | ProtectAction::BelowMinimum
            | ProtectAction::Swap
            | ProtectAction::LookUp => {}
        }
    }

    fn guard_input(&self, symbol: &Symbol, base: Decimal) -> ProtectInput {
        let mono = self.mono_ms();
        let stop = self.stop_unwritten(symbol, OrderRole::Protection);
        let view = stop.as_ref().map_or(StopView::NONE, |(row, shadow)| {
            let tracked = self.tracker.get(row.order_id);
            StopView {
                order: view_of(shadow.state, tracked.is_some_and(|t| t.triggered)),
                qty: shadow.qty,
                cum_qty: shadow.cum_qty,
                trigger: shadow.trigger.unwrap_or_default(),
                mutation_open: tracked.is_some_and(|t| t.mutation.is_some()),
            }
        });
        let price = view
            .trigger
            .max(self.standby_unwritten(symbol).and_then(|r| r.trigger_price).unwrap_or_default());
        let instrument = self.instrument(symbol);
        let (min_qty, lot) = instrument.map_or((Decimal::ZERO, Decimal::new(1, 8)), |i| {
            (Self::min_qty(&i, price), i.qty_increment)
        });
        let (failures, failed_mono_ms) =
            self.outage.as_ref().and_then(|o| o.failures.get(symbol)).copied().unwrap_or((0, mono));
        ProtectInput {
            stop: view,
            base,
            sl_price: view.trigger,
            min_qty,
            lot,
            amend_refusals: 0,
            since_amend_refusal_ms: None,
            // No level is changed here.
            ceiling: None,
            market: self.system,
            failures,
            since_failure_ms: mono - failed_mono_ms,
            since_fence_ms: mono - self.fence_mono_ms,
            stop_is_inherited: stop.is_some_and(|(row, _)| row.fencing_token < self.store.token()),
        }
    }

    /// Sends the committed standby row, at most its quantity, at its level; lower only as far as the
    /// venue demands for a price that we can see.
    fn release_standby(&mut self, symbol: &Symbol, qty: Decimal, min_qty: Decimal) {
        let Some(row) = self.standby_unwritten(symbol) else { return };
        let qty = qty.min(row.qty);
        if qty < min_qty {
            return;
        }
        let held = self.tracker.position_of(symbol);
        let plan = held.and_then(|h| h.plan.as_ref()).map(|p| p.sl_price);
        let wanted = row.trigger_price.max(plan).unwrap_or_default();
        let table = self.quotes.table();
        let fresh = table.age_ms() <= self.config.exit_quote_age_ms_max;
        let tick = self.instrument(symbol).map_or(Decimal::new(1, 8), |i| i.price_increment);
        let ceiling = table.sound(symbol).filter(|_| fresh).map(|q| stop_ceiling(q.bid, tick));
        let trigger = ceiling.map_or(wanted, |ceiling| wanted.min(ceiling));
        let at = self.now();
        let deadline_at = at.plus_millis(STOP_DEADLINE_MS);
        let persisted = match self.store.release_unwritten(&row, qty, trigger, deadline_at) {
            Ok(persisted) => persisted,
            Err(error) => return tracing::error!("{error}"),
        };
        let order_id = row.order_id;
        let said = Said { qty: Some(qty), cum_qty: None, trigger: Some(trigger) };
        self.shade(order_id, OrderEvent::PreauthSent, said);
        if let Some(outage) = &mut self.outage {
            let sent = Released { order_id, qty, trigger, deadline_at, at };
            outage.keep(Record::Released(sent));
        }
        marker!(
            EXPOSURE_PREAUTH_SENT,
            order_id = order_id.0,
            cl_ord_id = row.cl_ord_id.as_hyphenated().to_string(),
            role = row.role.as_str(),
            symbol = symbol.as_str(),
            qty = qty.to_string(),
            trigger_price = trigger.to_string()
        );
        self.send_add(persisted, EngineUse::Protective);
    }

    /// Further fills: the live stop grows in place, at most to what an entry was for.
    fn grow_stop(&mut self, symbol: &Symbol, qty: Decimal) {
        let Some((row, shadow)) = self.stop_unwritten(symbol, OrderRole::Protection) else {
            return;
        };
        let most = self
            .tracker
            .orders()
            .filter(|t| t.record.symbol == *symbol)
            .filter(|t| t.record.enters() || t.record.state == OrderState::Created)
            .map(|t| t.record.qty)
            .fold(shadow.qty, Decimal::max);
        let qty = qty.min(most);
        if qty != shadow.qty {
            self.spawn_amend(row.order_id, Amend { qty: Some(qty), trigger: None });
        }
    }

    fn watch_bare(&mut self, symbol: &Symbol, input: &ProtectInput) {
        let mono = self.mono_ms();
        let wanted = stop_qty(input.base, input.lot);
        let covered = input.stop.covered() >= wanted || wanted < input.min_qty;
        let allowed = self.may_send();
        let Some(outage) = &mut self.outage else { return };
        if covered {
            outage.bare.remove(symbol);
            return;
        }
        let (since, said) = outage.bare.entry(symbol.clone()).or_insert((mono, false));
        let bare_ms = mono - *since;
        if *said || bare_ms < self.config.protection_grace_ms {
            return;
        }
        *said = true;
        let reason = if allowed { "decision cluster away" } else { "PREAUTH_MAX_SECS" };
        marker!(
            EXPOSURE_UNPROTECTED,
            symbol = symbol.as_str(),
            qty = (wanted - input.stop.covered()).to_string(),
            reason = reason,
            bare_ms = bare_ms
        );
        let value = Some(symbol.to_string());
        self.mode.raise(CauseCode::ProtectionMissing, Level::Degrade, value);
    }
}
