//! The reconcile of a session's start, and of every new connection.
//!
//! Input: rows, the snapshots, the history since the last known fill. Output: memory that agrees with
//! both; protection under every position; `RECONCILE_COMPLETE`. No entry is taken before it.

use penstock_store_orders::orders::persist::{NextStandby, StandbySpec};
use penstock_store_orders::orders::{EventSource, NewOrder, OrderRecord};
use penstock_telemetry::marker;
use penstock_trading::exit::policy::stop_level;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{ExecutionIntent, OrderRole, OrderState, OrderType, Side, TimeInForce};
use penstock_types::{Decimal, OrderId, PositionId, Uuid};
use penstock_venue_orders::Stamp;

use crate::desk::{Desk, DeskError};
use crate::stream::Report;
use crate::tracker::Held;

/// Orders that were lost this long ago are looked at once more by the next session: as long as memory keeps them.
const LOST_LOOK_BACK_MS: i64 = 600_000;
/// Distance of a stop below its reference when nothing better is known, basis points.
const FALLBACK_STOP_BPS: i64 = 150;

impl Desk {
    /// Memory from rows; every order that may live becomes unverified.
    pub(crate) async fn attach(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        self.reconcile.started_at = self.now();
        self.reconcile.started_mono_ms = mono;
        self.mode.progress().truth();
        marker!(RECONCILE_STARTED, kind = "START");
        self.load_fees().await?;
        for row in self.store.open_orders().await? {
            let intent = self.store.intent_hash_of(row.order_id).await?;
            self.tracker.said.intent(row.order_id, intent.as_deref().unwrap_or_default());
            self.tracker.put(row, mono);
        }
        for (position, plan) in self.store.positions().await? {
            let id = position.position_id;
            self.tracker.said.known(&position, plan.as_ref());
            self.tracker.positions.insert(id, Held::new(position, plan, mono));
        }
        self.apply_kept().await?;
        // The second look at what was lost a short time ago may not have been taken.
        let since = self.now().plus_millis(-LOST_LOOK_BACK_MS);
        for row in self.store.lost_since(since).await? {
            let id = row.order_id;
            self.tracker.put(row, mono);
            self.look_after_grace(id);
        }
        let ids: Vec<OrderId> = self.tracker.live().map(|t| t.record.order_id).collect();
        for id in ids {
            let note = self.note().because("attach");
            self.apply(id, OrderEvent::Unverified, &note).await?;
        }
        self.begin_recovery();
        marker!(POSITION_MONITOR_STARTED, open_positions = self.tracker.positions.len());
        self.reconcile.full_due = true;
        self.publish();
        Ok(())
    }

    /// The snapshot of executions: trades in the venue's order, then what is open.
    pub(crate) async fn on_snapshot(
        &mut self,
        reports: Vec<Report>,
        asked: Option<Stamp>,
        at: Stamp,
    ) -> Result<(), DeskError> {
        // A trade of it must not get a stop before the stops that it shows are known.
        self.reconcile.in_snapshot = true;
        let applied = self.apply_snapshot(reports, asked, at).await;
        self.reconcile.in_snapshot = false;
        applied?;
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            self.protect(id).await?;
        }
        Ok(())
    }

    async fn apply_snapshot(
        &mut self,
        mut reports: Vec<Report>,
        asked: Option<Stamp>,
        at: Stamp,
    ) -> Result<(), DeskError> {
        self.load_reported(&reports).await?;
        let waiting: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| matches!(t.record.state, OrderState::Suspect | OrderState::SubmitUnknown))
            .map(|t| t.record.order_id)
            .collect();
        for id in waiting {
            let note = self.note().because("snapshot");
            self.apply(id, OrderEvent::StreamBack, &note).await?;
        }
        reports.sort_by_key(|r| r.at);
        for report in reports.iter().filter(|r| r.trade.is_some()) {
            let known = self.tracker.by_venue(&report.order_id).is_some()
                || report
                    .cl_ord_id
                    .as_deref()
                    .and_then(|t| Uuid::try_parse(t).ok())
                    .is_some_and(|id| self.tracker.by_client(id).is_some());
            // Old trades of orders that nobody tracks any more are history.
            if known {
                self.on_report(report, EventSource::WsSnapshot, at).await?;
            }
        }
        for report in reports.iter().filter(|r| r.trade.is_none() && r.is_open) {
            self.on_report(report, EventSource::WsSnapshot, at).await?;
        }
        self.outsiders_from_snapshot(&reports).await?;
        self.reconcile.snapshot_seen = true;
        if let Some(asked) = asked {
            self.take_image(&reports, asked).await?;
        }
        let doubtful: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.state == OrderState::ReconcileRequired)
            .map(|t| t.record.order_id)
            .collect();
        for id in doubtful {
            self.look_soon(id, 0);
        }
        Ok(())
    }

    /// Rows of orders that the snapshot names and memory does not have.
    pub(crate) async fn load_reported(&mut self, reports: &[Report]) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        let own: Vec<Uuid> = reports
            .iter()
            .filter_map(|r| r.cl_ord_id.as_deref().and_then(|t| Uuid::try_parse(t).ok()))
            .collect();
        let venue: Vec<String> = reports.iter().map(|r| r.order_id.clone()).collect();
        for read in [
            self.store.orders_by_client_id(&own).await,
            self.store.orders_by_venue_id(&venue).await,
        ] {
            for row in self.written(read)?.unwrap_or_default() {
                if self.tracker.get(row.order_id).is_none() {
                    self.tracker.put(row, mono);
                }
            }
        }
        Ok(())
    }

    /// Ends the session's first reconcile once everything has been looked at.
    pub(crate) async fn finish_attach(&mut self) -> Result<(), DeskError> {
        let r = &self.reconcile;
        if r.complete || !r.snapshot_seen || !r.balances_seen || !r.history_done {
            return Ok(());
        }
        let unseen = self
            .tracker
            .live()
            .any(|t| t.record.state == OrderState::ReconcileRequired && t.looks == 0);
        if unseen || self.tracker.orders().any(|t| t.look_open) {
            return Ok(());
        }
        let now = self.now();
        let closed = self.store.close_earlier_standbys(now).await;
        if self.written(closed)?.is_none() {
            return Ok(());
        }
        self.reload_standbys().await?;
        self.renew_standbys().await?;
        self.audit().await?;
        self.open_balances().await?;
        self.reconcile.complete = true;
        self.reconcile.full_due = true;
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in &ids {
            self.protect(*id).await?;
        }
        self.cancel_entries("takeover", None).await?;
        for held in self.tracker.positions.values() {
            marker!(
                RECONCILE_POSITION_STATE,
                kind = "START",
                position_id = held.position.position_id.0,
                symbol = held.position.symbol.as_str(),
                base = held.base().to_string(),
                protected_qty = held.position.protected_qty.to_string(),
                plan_state = held.plan.as_ref().map(|p| p.state.as_str())
            );
        }
        marker!(
            RECONCILE_COMPLETE,
            kind = "START",
            outcome = "ok",
            orders_checked = self.tracker.live().count(),
            fills_recovered = self.reconcile.fills_recovered,
            positions_adjusted = 0,
            duration_ms = self.mono_ms() - self.reconcile.started_mono_ms
        );
        self.publish();
        Ok(())
    }

    /// Standby rows of this session for every live entry and open position.
    pub(crate) async fn renew_standbys(&mut self) -> Result<(), DeskError> {
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            for role in [OrderRole::Protection, OrderRole::Exit] {
                if self.tracker.standby(id, role).is_none() {
                    self.renew_standby(id, role).await?;
                }
            }
        }
        let entries: Vec<OrderRecord> =
            self.tracker.live().filter(|t| t.record.enters()).map(|t| t.record.clone()).collect();
        for entry in entries {
            if self.tracker.position_of(&entry.symbol).is_none() {
                self.renew_entry_standby(&entry).await?;
            }
        }
        self.reload_standbys().await
    }

    async fn renew_standby(&mut self, id: PositionId, role: OrderRole) -> Result<(), DeskError> {
        let cl_ord_id = self.new_id().await?;
        let now = self.now();
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        if held.base().is_zero() {
            return Ok(());
        }
        let entry_qty = held
            .position
            .entry_order_id
            .and_then(|e| self.tracker.get(e))
            .map_or(Decimal::ZERO, |t| t.record.qty);
        let spec = StandbySpec { role, symbol: held.position.symbol.clone(), position_id: id };
        let sl_price = held.plan.as_ref().map(|p| p.sl_price);
        let next = NextStandby {
            cl_ord_id,
            qty: entry_qty.max(held.base()),
            trigger_price: sl_price.filter(|_| role == OrderRole::Protection),
        };
        let added = self.store.add_position_standby(&spec, &next, now).await;
        self.written(added)?;
        Ok(())
    }

    async fn renew_entry_standby(&mut self, entry: &OrderRecord) -> Result<(), DeskError> {
        let has = self.tracker.orders().any(|t| {
            t.record.state == OrderState::Created
                && t.record.parent_order_id == Some(entry.order_id)
        });
        if has {
            return Ok(());
        }
        let cl_ord_id = self.new_id().await?;
        let tick = self.instrument(&entry.symbol).map_or(Decimal::new(1, 8), |i| i.price_increment);
        let reference = entry.limit_price.or(entry.decision_mid).unwrap_or_default();
        let trigger = stop_level(reference, Decimal::from(FALLBACK_STOP_BPS), tick);
        let row = NewOrder {
            cl_ord_id,
            symbol: entry.symbol.clone(),
            side: Side::Sell,
            role: OrderRole::Protection,
            parent_order_id: Some(entry.order_id),
            position_id: None,
            intent: ExecutionIntent::Protection,
            order_type: OrderType::StopLoss,
            tif: TimeInForce::Gtc,
            post_only: false,
            limit_price: None,
            trigger_price: Some(trigger),
            qty: entry.qty,
            deadline_at: None,
            expire_at: None,
            exit_policy: None,
            exit_reason: None,
            entry: None,
        };
        let now = self.now();
        let added = self.store.add_entry_standby(&row, now).await;
        self.written(added)?;
        Ok(())
    }

    /// Standby rows as they stand in the database.
    pub(crate) async fn reload_standbys(&mut self) -> Result<(), DeskError> {
        let read = self.store.open_orders().await;
        let Some(rows) = self.written(read)? else { return Ok(()) };
        let mono = self.mono_ms();
        let dropped = self.tracker.drop_standbys();
        for row in rows {
            // A row that memory does not know is one whose commit was not answered.
            let known = self.tracker.get(row.order_id).map(|t| t.record.position_id);
            if row.state == OrderState::Created || known != Some(row.position_id) {
                let unknown = row.state != OrderState::Created && known.is_none();
                let id = row.order_id;
                self.tracker.put(row, mono);
                if unknown {
                    self.look_soon(id, 0);
                }
            }
        }
        self.tracker.say_closed(dropped);
        Ok(())
    }

    /// Position = fold of the ledger, or no entries until a person has looked.
    pub(crate) async fn audit(&mut self) -> Result<(), DeskError> {
        self.reconcile.next_audit_mono_ms = self.mono_ms() + self.config.ledger_audit_ms;
        let read = self.store.audit_ledger().await;
        let Some(broken) = self.written(read)? else { return Ok(()) };
        marker!(LEDGER_AUDIT, ok = broken.is_empty(), positions_differing = broken.len());
        if let Some(first) = broken.first() {
            let value = Some(format!("position {}", first.0));
            self.mode.raise(CauseCode::LedgerMismatch, Level::Pause, value);
        }
        Ok(())
    }
}
