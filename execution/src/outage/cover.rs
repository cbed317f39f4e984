//! What is sent without the decision cluster: cancels of entries, and the stops that stand by.
//!
//! Input: shadows of orders, committed standby rows. Output: requests, each after its record is on the
//! disk. It decides no level: what was committed before is brought to the venue, and the stops there stand.

use std::time::Duration;

use penstock_store_orders::orders::OrderRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::trigger::stop_ceiling;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::{OrderEvent, Said, Shadow};
use penstock_trading::protection::{ProtectAction, ProtectInput, StopView, next, stop_qty};
use penstock_types::vocab::{OrderRole, OrderState};
use penstock_types::{Decimal, OrderId, Symbol};
use penstock_venue_orders::EngineUse;

use super::state::Released;
use super::{APPEND_WAIT, Record};
use crate::desk::Desk;
use crate::submit::Amend;
use crate::tracker::view_of;

/// Pause between two waits for a disk that failed, milliseconds.
const DISK_AGAIN_MS: i64 = 1_000;
/// Deadline of a stop and of a close after its decision, milliseconds.
const SEND_DEADLINE_MS: i64 = 5_000;
/// An entry whose cancel brought no report is cancelled again after this, milliseconds.
const CANCEL_AGAIN_MS: i64 = 5_000;

impl Desk {
    /// Whether the fence was renewed recently enough to send without asking for it.
    pub(super) fn may_send(&self) -> bool {
        self.is_permitted() && self.lease.age_ms() <= self.config.preauth_ms_max
    }

    /// Everything that may be done now.
    pub(super) async fn hold(&mut self) {
        self.cancel_entries_unwritten().await;
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
            if !self.close_unwritten(symbol).await {
                self.guard(symbol).await;
            }
        }
        self.sync().await;
    }

    /// What was kept is on the disk when this returns. A disk that fails is said once, and what protects goes out all
    /// the same: its row is committed and carries its id, by which the next start finds it at the venue.
    pub(super) async fn sync(&mut self) {
        while let Some(record) = self.outage.as_mut().and_then(|o| o.unsynced.pop_front()) {
            let (now, mono) = (self.now(), self.mono_ms());
            let failed = self.outage.as_ref().and_then(|o| o.spool_failed_mono_ms);
            // A disk that hangs is waited for once a second and not for each record: behind it stands the stop.
            let hangs = failed.is_some_and(|at| mono - at < DISK_AGAIN_MS);
            let wait = if hangs { Duration::ZERO } else { APPEND_WAIT };
            let Err(error) = self.spool.append(&record, now, wait).await else { continue };
            let Some(outage) = &mut self.outage else { return };
            if !hangs {
                outage.spool_failed_mono_ms = Some(mono);
            }
            if failed.is_none() {
                marker!(SPOOL_FAILED, spool = "exec", segment = 0, error = error);
            }
        }
    }

    /// After an outage: the rows have everything.
    pub(super) async fn clear_spool(&self) {
        if let Err(error) = self.spool.clear().await {
            // A record that the rows know changes nothing when it is read again.
            tracing::warn!("records of the outage stay on the disk: {error}");
        }
    }

    /// Resting entries go: a cancel needs no row, its event follows.
    async fn cancel_entries_unwritten(&mut self) {
        if !self.may_send() {
            return;
        }
        let mono = self.mono_ms();
        let ids: Vec<OrderId> = self
            .tracker
            .orders()
            .filter(|t| t.record.enters() && t.mutation.is_none())
            .filter(|t| self.shadow_of(t.record.order_id).is_some_and(|s| s.is_live()))
            .filter(|t| t.cancel_mono_ms.is_none_or(|at| mono - at >= CANCEL_AGAIN_MS))
            .map(|t| t.record.order_id)
            .collect();
        for order_id in ids {
            self.cancel_unwritten(order_id).await;
        }
    }

    /// One cancel, its record first; nothing while another request of the order is open.
    pub(super) async fn cancel_unwritten(&mut self, order_id: OrderId) {
        let mono = self.mono_ms();
        let ready = self.tracker.get(order_id).is_some_and(|t| {
            t.mutation.is_none() && t.cancel_mono_ms.is_none_or(|at| mono - at >= CANCEL_AGAIN_MS)
        });
        if !ready {
            return;
        }
        self.shade(order_id, OrderEvent::CancelSent, Said::default());
        let at = self.now();
        if let Some(outage) = &mut self.outage {
            outage.keep(Record::CancelSent { order_id, at });
        }
        self.sync().await;
        self.spawn_cancel(order_id);
    }

    /// Base of a symbol with what was executed since its rows were written.
    pub(super) fn base_unwritten(&self, symbol: &Symbol) -> Decimal {
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

    /// The order of a role of a symbol that lives or may live, with its shadow.
    pub(super) fn live_unwritten(
        &self,
        symbol: &Symbol,
        role: OrderRole,
    ) -> Option<(OrderRecord, Shadow)> {
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
    async fn guard(&mut self, symbol: &Symbol) {
        let base = self.base_unwritten(symbol);
        if base.is_zero() {
            return;
        }
        let input = self.guard_input(symbol, base);
        self.watch_bare(symbol, &input);
        let closes = self.live_unwritten(symbol, OrderRole::Exit).is_some();
        if closes || !self.may_send() {
            return;
        }
        match next(&input) {
            ProtectAction::Place { qty, .. } => {
                self.release_standby(symbol, qty, input.min_qty).await;
            }
            ProtectAction::Amend { qty, trigger } => self.amend_stop(symbol, qty, trigger).await,
            // An unknown stop waits for the stream.
            ProtectAction::Wait
            | ProtectAction::BelowMinimum
            | ProtectAction::Swap
            | ProtectAction::LookUp => {}
        }
    }

    fn guard_input(&self, symbol: &Symbol, base: Decimal) -> ProtectInput {
        let mono = self.mono_ms();
        let stop = self.live_unwritten(symbol, OrderRole::Protection);
        let committed = self.tracker.position_of(symbol).and_then(|h| h.plan.as_ref());
        let committed = committed.map_or(Decimal::ZERO, |p| p.sl_price);
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
            // What the plan committed before the cluster went away, never less than what stands.
            sl_price: view.trigger.max(committed),
            min_qty,
            lot,
            amend_refusals: 0,
            since_amend_refusal_ms: None,
            ceiling: self.ceiling_unwritten(symbol),
            market: self.system,
            failures,
            since_failure_ms: mono - failed_mono_ms,
            since_fence_ms: mono - self.fence_mono_ms,
            stop_is_inherited: stop.is_some_and(|(row, _)| row.fencing_token < self.store.token()),
        }
    }

    /// Sends the committed standby row, at most its quantity, at its level; lower only as far as the
    /// venue demands for a price that we can see.
    async fn release_standby(&mut self, symbol: &Symbol, qty: Decimal, min_qty: Decimal) {
        let Some(row) = self.standby_unwritten(symbol) else { return };
        let qty = qty.min(row.qty);
        if qty < min_qty {
            return;
        }
        let held = self.tracker.position_of(symbol);
        let plan = held.and_then(|h| h.plan.as_ref()).map(|p| p.sl_price);
        let wanted = row.trigger_price.max(plan).unwrap_or_default();
        let ceiling = self.ceiling_unwritten(symbol);
        let trigger = ceiling.map_or(wanted, |ceiling| wanted.min(ceiling));
        self.release(&row, qty, Some(trigger)).await;
    }

    /// The highest level that the venue takes for the price that we can see.
    fn ceiling_unwritten(&self, symbol: &Symbol) -> Option<Decimal> {
        let table = self.quotes.table();
        let fresh = table.age_ms() <= self.config.exit_quote_age_ms_max;
        let tick = self.instrument(symbol).map_or(Decimal::new(1, 8), |i| i.price_increment);
        table.sound(symbol).filter(|_| fresh).map(|q| stop_ceiling(q.bid, tick))
    }

    /// A row in stock goes out: its record first.
    pub(super) async fn release(
        &mut self,
        row: &OrderRecord,
        qty: Decimal,
        trigger: Option<Decimal>,
    ) {
        let at = self.now();
        let deadline_at = at.plus_millis(SEND_DEADLINE_MS);
        let persisted = match self.store.release_unwritten(row, qty, trigger, deadline_at) {
            Ok(persisted) => persisted,
            Err(error) => return tracing::error!("{error}"),
        };
        let (order_id, symbol) = (row.order_id, &row.symbol);
        let said = Said { qty: Some(qty), cum_qty: None, trigger };
        self.shade(order_id, OrderEvent::PreauthSent, said);
        if let Some(outage) = &mut self.outage {
            let role = row.role;
            let sent = Released { order_id, role, qty, trigger, deadline_at, at };
            outage.keep(Record::Released(sent));
        }
        self.sync().await;
        marker!(
            EXPOSURE_PREAUTH_SENT,
            order_id = order_id.0,
            cl_ord_id = row.cl_ord_id.as_hyphenated().to_string(),
            role = row.role.as_str(),
            symbol = symbol.as_str(),
            qty = qty.to_string(),
            trigger_price = trigger.map(|t| t.to_string())
        );
        self.send_add(persisted, EngineUse::Protective);
    }

    /// The live stop is changed in place, its record first: further fills let it grow, at most to what an entry was
    /// for; a level that was committed before the outage is brought to the venue.
    async fn amend_stop(
        &mut self,
        symbol: &Symbol,
        qty: Option<Decimal>,
        trigger: Option<Decimal>,
    ) {
        let Some((row, shadow)) = self.live_unwritten(symbol, OrderRole::Protection) else {
            return;
        };
        let most = self
            .tracker
            .orders()
            .filter(|t| t.record.symbol == *symbol)
            .filter(|t| t.record.enters() || t.record.state == OrderState::Created)
            .map(|t| t.record.qty)
            .fold(shadow.qty, Decimal::max);
        let qty = qty.map(|q| q.min(most)).filter(|q| *q != shadow.qty);
        let trigger = trigger.filter(|t| shadow.trigger.is_none_or(|stands| *t > stands));
        let change = Amend { qty, trigger };
        let open = self.tracker.get(row.order_id).is_none_or(|t| t.mutation.is_some());
        if open || (qty, trigger) == (None, None) {
            return;
        }
        let at = self.now();
        if let Some(outage) = &mut self.outage {
            outage.keep(Record::AmendSent { order_id: row.order_id, change, at });
        }
        self.sync().await;
        self.spawn_amend(row.order_id, change);
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
