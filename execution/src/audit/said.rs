//! What the desk has said of its orders and positions, so that each change is said once.
//!
//! Input: rows as they enter memory. Output: events, posted: the desk never waits. Invariants: a row of an
//! earlier session is no news when it is read; a row that is read anew is none either; without a trail
//! (tools that hold no session) nothing is kept and nothing is said.

use std::collections::BTreeMap;

use penstock_audit::Draft;
use penstock_store_orders::orders::OrderRecord;
use penstock_store_orders::positions::{PlanRecord, PositionRecord};
use penstock_types::vocab::PositionStatus;
use penstock_types::vocab::StageName;
use penstock_types::{FencingToken, OrderId, PositionId};
use penstock_venue_orders::CounterLook;

use super::handle::AuditHandle;
use super::orders::{SaidPosition, of_order, of_position};
use super::process::{Loop, StageNote};
use super::rates::Rates;

/// Events of the desk.
#[derive(Debug, Default)]
pub(crate) struct Said {
    audit: Option<AuditHandle>,
    token: Option<FencingToken>,
    orders: BTreeMap<OrderId, i32>,
    intents: BTreeMap<OrderId, String>,
    positions: BTreeMap<PositionId, SaidPosition>,
    steps: BTreeMap<PositionId, (&'static str, i32)>,
    rates: Rates,
}

impl Said {
    pub(crate) fn new(audit: Option<AuditHandle>, token: FencingToken) -> Self {
        Self { audit, token: Some(token), ..Self::default() }
    }

    /// Posts an event, if there is a trail.
    pub(crate) fn post(&self, draft: impl FnOnce(i64) -> Draft) {
        if let Some(audit) = &self.audit {
            audit.post(draft(now_ms()));
        }
    }

    /// The supervisor of exits enters a stage.
    pub(crate) fn enter(&self, stage: StageName, summary: &str) {
        if let Some(audit) = &self.audit {
            let summary = summary.to_owned();
            audit.enter(Loop::Exits, stage, StageNote { summary, ..StageNote::default() });
        }
    }

    /// The venue's counters as they stand.
    pub(crate) fn counters(&mut self, looks: &[CounterLook]) {
        let Some(audit) = &self.audit else { return };
        for draft in self.rates.look(looks, now_ms()) {
            audit.post(draft);
        }
    }

    /// The hash of an order's intent; an order of which none is known has an empty one.
    pub(crate) fn intent(&mut self, id: OrderId, hash: &str) {
        if self.audit.is_some() && !hash.is_empty() {
            self.intents.insert(id, hash.to_owned());
        }
    }

    /// The hash of an order's intent.
    pub(crate) fn intent_of(&self, id: OrderId) -> &str {
        self.intents.get(&id).map_or("", String::as_str)
    }

    /// An order's row enters memory.
    pub(crate) fn order(&mut self, before: Option<&OrderRecord>, after: &OrderRecord) {
        let Some(audit) = &self.audit else { return };
        let said = self.orders.insert(after.order_id, after.event_seq);
        let is_own = self.token == Some(after.fencing_token);
        if said == Some(after.event_seq) || (before.is_none() && !is_own) {
            return;
        }
        let intent = self.intents.get(&after.order_id).map_or("", String::as_str);
        for draft in of_order(before, after, intent, now_ms()) {
            audit.post(draft);
        }
    }

    /// An order leaves memory for good.
    pub(crate) fn forget(&mut self, id: OrderId) {
        self.orders.remove(&id);
        self.intents.remove(&id);
    }

    /// A step of a closing sequence; false when it was said.
    pub(crate) fn step(&mut self, id: PositionId, step: (&'static str, i32)) -> bool {
        self.audit.is_some() && self.steps.insert(id, step) != Some(step)
    }

    /// A position of an earlier session is read: no news.
    pub(crate) fn known(&mut self, position: &PositionRecord, plan: Option<&PlanRecord>) {
        if self.audit.is_some() {
            self.positions.insert(position.position_id, SaidPosition::of(position, plan));
        }
    }

    /// A position's rows as they are now. `stop` is the venue's id of its stop, `took_ms` the time from its first
    /// unprotected fill to that stop.
    pub(crate) fn position(
        &mut self,
        position: &PositionRecord,
        plan: Option<&PlanRecord>,
        stop: Option<&str>,
        took_ms: Option<i64>,
    ) {
        let Some(audit) = &self.audit else { return };
        let after = SaidPosition::of(position, plan);
        let before = self.positions.get(&position.position_id);
        if before == Some(&after) {
            return;
        }
        for draft in of_position(before, &after, position, stop, took_ms, now_ms()) {
            audit.post(draft);
        }
        if position.status == PositionStatus::Closed {
            self.positions.remove(&position.position_id);
            self.steps.remove(&position.position_id);
        } else {
            self.positions.insert(position.position_id, after);
        }
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
