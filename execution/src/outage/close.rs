//! Closes without the decision cluster: the one in stock of a position.
//!
//! Input: closes that were decided before the cluster went away, and the operator's wish. Output: the closing
//! sequence over shadows, with the committed exit row as its only order. Invariants: the order of steps is the one
//! of [`closing::next`]; a position without that row is not touched, so its stop is never taken away for nothing;
//! once the row is used and base is left, the stop goes back and the rest waits for the cluster.

use penstock_store_orders::orders::OrderRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::closing::{self, ClosingAction, ClosingInput, OrderView};
use penstock_trading::exit::market::CloseForm;
use penstock_types::vocab::{ExitReason, OrderRole, OrderState, PlanState};
use penstock_types::{Decimal, OrderId, PositionId, Symbol};

use super::state::Closing;
use crate::desk::Desk;
use crate::tracker::{Held, view_of};

/// How long a close may be at work before it is cancelled; as long as with the cluster.
const CLOSE_REST_MS: i64 = 10_000;

impl Desk {
    /// One step of a symbol's close; false when none goes on, and its stop is looked after.
    pub(super) async fn close_unwritten(&mut self, symbol: &Symbol) -> bool {
        let Some((id, close)) = self.close_going_on(symbol) else { return false };
        if close.given_up || !self.may_send() {
            return false;
        }
        let input = self.closing_input_unwritten(symbol, close);
        match closing::next(&input) {
            ClosingAction::CancelEntry => self.cancel_live(symbol, OrderRole::Entry).await,
            ClosingAction::CancelStop => self.cancel_live(symbol, OrderRole::Protection).await,
            ClosingAction::CancelClose => self.cancel_live(symbol, OrderRole::Exit).await,
            ClosingAction::Submit { qty, form: CloseForm::Market } => {
                self.submit_unwritten(id, symbol, qty).await;
            }
            // What is in stock is a market order: where the venue takes none, its stop is the best there is.
            ClosingAction::Submit { form: CloseForm::Limit | CloseForm::Rest, .. }
            | ClosingAction::RearmStop
            | ClosingAction::GiveUp => self.give_up_unwritten(id),
            ClosingAction::Done | ClosingAction::Dust => {}
            // The stream or the time decides; REST is asked when the rows can take its answer.
            ClosingAction::Wait
            | ClosingAction::LookUpStop
            | ClosingAction::StopUnknown
            | ClosingAction::LookUpClose
            | ClosingAction::ReadBalance => {}
        }
        self.close_going_on(symbol).is_some_and(|(_, close)| !close.given_up)
    }

    /// The close of a symbol's position, begun now when it is due and can be carried out.
    fn close_going_on(&mut self, symbol: &Symbol) -> Option<(PositionId, Closing)> {
        let held = self.tracker.position_of(symbol)?;
        let id = held.position.position_id;
        if let Some(close) = self.outage.as_ref()?.closes.get(&id) {
            return Some((id, *close));
        }
        let reason = due(held)?;
        let under_way = self.live_unwritten(symbol, OrderRole::Exit).is_some();
        if !under_way && self.exit_in_stock(symbol, id).is_none() {
            return None;
        }
        let close = Closing { reason, since_mono_ms: self.mono_ms(), given_up: false };
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            // The replay writes it into the plan.
            held.close_reason = Some(reason);
        }
        self.outage.as_mut()?.closes.insert(id, close);
        Some((id, close))
    }

    /// The committed exit row that was not used yet.
    fn exit_in_stock(&self, symbol: &Symbol, id: PositionId) -> Option<OrderRecord> {
        self.tracker
            .orders()
            .map(|t| &t.record)
            .filter(|r| r.symbol == *symbol && r.role == OrderRole::Exit)
            .filter(|r| r.position_id == Some(id) && r.fencing_token == self.store.token())
            .find(|r| self.shadow_of(r.order_id).is_some_and(|s| s.state == OrderState::Created))
            .cloned()
    }

    fn closing_input_unwritten(&self, symbol: &Symbol, close: Closing) -> ClosingInput {
        let mono = self.mono_ms();
        let view = |role| {
            let found = self.live_unwritten(symbol, role);
            found.map_or((OrderView::Gone, None), |(row, shadow)| {
                let fired = self.tracker.get(row.order_id).is_some_and(|t| t.triggered);
                (view_of(shadow.state, fired), Some(row.order_id))
            })
        };
        let since = |id: Option<OrderId>, cancel: bool| {
            let tracked = id.and_then(|id| self.tracker.get(id));
            let at = tracked.and_then(|t| if cancel { t.cancel_mono_ms } else { t.sent_mono_ms });
            at.map_or(0, |at| mono - at)
        };
        let (stop, stop_id) = view(OrderRole::Protection);
        let (work, work_id) = view(OrderRole::Exit);
        let base = self.base_unwritten(symbol);
        let held = self.tracker.position_of(symbol);
        let price = held.and_then(|h| h.position.head.avg_entry).unwrap_or_default();
        let instrument = self.instrument(symbol);
        let (min_qty, lot) = instrument.map_or((Decimal::ZERO, Decimal::new(1, 8)), |i| {
            (Self::min_qty(&i, price), i.qty_increment)
        });
        let id = held.map(|h| h.position.position_id);
        let in_stock = id.and_then(|id| self.exit_in_stock(symbol, id)).is_some();
        ClosingInput {
            stop,
            close: work,
            entry: view(OrderRole::Entry).0,
            urgent: close.reason != ExitReason::Operator,
            close_rests: false,
            maker_wanted: false,
            base,
            // Balances are not followed now; the venue takes no sell beyond what is free.
            available: base,
            min_qty,
            lot,
            // One row, one attempt.
            attempts: if in_stock { 0 } else { closing::ATTEMPTS_MAX },
            since_decided_ms: mono - close.since_mono_ms,
            since_cancel_ms: since(stop_id, true),
            since_close_ms: since(work_id, false),
            since_short_ms: 0,
            maker_rest_ms: CLOSE_REST_MS,
            maker_void: true,
            market: self.system,
            refusals: 0,
            since_refusal_ms: 0,
        }
    }

    async fn cancel_live(&mut self, symbol: &Symbol, role: OrderRole) {
        if let Some((row, _)) = self.live_unwritten(symbol, role) {
            self.cancel_unwritten(row.order_id).await;
        }
    }

    async fn submit_unwritten(&mut self, id: PositionId, symbol: &Symbol, qty: Decimal) {
        let Some(row) = self.exit_in_stock(symbol, id) else { return self.give_up_unwritten(id) };
        self.release(&row, qty.min(row.qty), None).await;
    }

    fn give_up_unwritten(&mut self, id: PositionId) {
        let close = self.outage.as_mut().and_then(|o| o.closes.get_mut(&id));
        if let Some(close) = close.filter(|c| !c.given_up) {
            close.given_up = true;
            let symbol = self.tracker.positions.get(&id).map(|h| h.position.symbol.as_str());
            marker!(MARKET_FILL_TIMEOUT_EXPOSURE_RISK, position_id = id.0, symbol = symbol);
        }
    }
}

/// Why a position is to be closed now: what was decided before, else the operator's wish. Prices come from the
/// cluster that is away, so no other trigger is judged.
fn due(held: &Held) -> Option<ExitReason> {
    let plan = held.plan.as_ref()?;
    let wished = held.flatten.then_some(ExitReason::Operator);
    match plan.state {
        PlanState::Triggered | PlanState::Exiting => {
            Some(plan.trigger_reason.unwrap_or(ExitReason::Operator))
        }
        PlanState::Created
        | PlanState::Arming
        | PlanState::Armed
        | PlanState::Trailing
        | PlanState::Unprotected => held.close_reason.or(wished),
        PlanState::DustHold | PlanState::Closed => None,
    }
}
