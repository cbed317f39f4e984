//! Events of orders and positions, from the committed rows before and after a change.
//!
//! Input: a row as it was known and as it is. Output: drafts, in the order in which things happen.
//! Invariants: every change of an order's state is said once, whoever made it; amounts are decimal texts;
//! nothing here waits, reads a clock or fails. What a row does not know is an empty text.

use penstock_audit::Draft;
use penstock_store_orders::orders::OrderRecord;
use penstock_store_orders::positions::{PlanRecord, PositionRecord};
use penstock_types::Decimal;
use penstock_types::vocab::{AuditEventType, OrderState, ReasonCode, StageName};

/// State of an intent: what is proven about an order.
#[must_use]
pub(crate) const fn intent_state(state: OrderState) -> &'static str {
    match state {
        OrderState::Created | OrderState::PendingSubmit => "CREATED",
        OrderState::SubmitUnknown | OrderState::Suspect | OrderState::ReconcileRequired => {
            "SENT_UNKNOWN"
        }
        OrderState::AckedOpen
        | OrderState::PartiallyFilled
        | OrderState::PendingCancel
        | OrderState::Filled
        | OrderState::Canceled
        | OrderState::Expired => "CONFIRMED",
        OrderState::LostOrRejected => "NOT_FOUND",
        OrderState::Rejected | OrderState::Error => "FAILED_TERMINAL",
    }
}

/// What a change of an order's row says; `before` is none for a row that was just inserted, `intent` the hash of what it
/// is meant to do, or empty.
#[must_use]
pub(crate) fn of_order(
    before: Option<&OrderRecord>,
    after: &OrderRecord,
    intent: &str,
    ts_ms: i64,
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let from = before.map(|row| row.state);
    let event = |event_type| about(after, event_type, ts_ms);
    if from != Some(after.state) {
        let mut draft = event(AuditEventType::IntentStateChanged)
            .with("state_from", from.map_or("", intent_state))
            .with("state_to", intent_state(after.state))
            .with("order_state", after.state.as_str())
            .with("role", after.role.as_str())
            .with("cl_ord_id", after.cl_ord_id.as_hyphenated().to_string());
        if after.state == OrderState::SubmitUnknown {
            draft.reasons.push(ReasonCode::IntentSentUnknown);
        }
        drafts.push(draft);
        if let Some((event_type, outcome)) = request(from, after.state) {
            drafts.push(sent(event(event_type), after, outcome, intent));
        }
        let acked = after.state == OrderState::AckedOpen;
        if acked && before.is_none_or(|row| row.exchange_order_id.is_none()) {
            drafts.push(reported(event(AuditEventType::OrderAck), after, None, ""));
        }
        if after.state.is_terminal() {
            drafts.push(reported(event(AuditEventType::OrderClosed), after, None, ""));
        }
    }
    let amended = before.is_some_and(|row| {
        row.state == after.state
            && after.state != OrderState::Created
            && (row.trigger_price, row.limit_price, row.qty)
                != (after.trigger_price, after.limit_price, after.qty)
    });
    if amended {
        drafts.push(sent(event(AuditEventType::OrderAmend), after, "DONE", intent));
    }
    drafts
}

/// A stop that another one takes the place of.
#[must_use]
pub(crate) fn replaced(order: &OrderRecord, intent: &str, ts_ms: i64) -> Draft {
    sent(about(order, AuditEventType::OrderCancelReplace, ts_ms), order, "ATTEMPTED", intent)
}

/// A fill that was booked.
#[must_use]
pub(crate) fn of_fill(
    order: &OrderRecord,
    fee_quote: Decimal,
    is_maker: Option<bool>,
    ts_ms: i64,
) -> Draft {
    let liquidity = match is_maker {
        Some(true) => "MAKER",
        Some(false) => "TAKER",
        None => "",
    };
    let draft = about(order, AuditEventType::OrderFill, ts_ms);
    reported(draft, order, Some(fee_quote), liquidity)
}

/// What is known of a position's protection, as far as events say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SaidPosition {
    plan: &'static str,
    covered: Decimal,
    base: Decimal,
    trigger: Option<Decimal>,
    realized: Decimal,
}

impl SaidPosition {
    /// As the rows are.
    #[must_use]
    pub(crate) fn of(position: &PositionRecord, plan: Option<&PlanRecord>) -> Self {
        Self {
            plan: plan.map_or("", |plan| plan.state.as_str()),
            covered: position.protected_qty,
            base: position.head.base,
            trigger: plan.and_then(|plan| plan.stop_price_on_exchange),
            realized: position.head.realized,
        }
    }
}

/// What a change of a position's rows says. `stop` is the venue's id of its stop, `to_protection_ms` the time
/// from the first unprotected fill to the stop, where it is known.
#[must_use]
pub(crate) fn of_position(
    before: Option<&SaidPosition>,
    after: &SaidPosition,
    position: &PositionRecord,
    stop: Option<&str>,
    to_protection_ms: Option<i64>,
    ts_ms: i64,
) -> Vec<Draft> {
    let event = |event_type| {
        let draft = Draft::new(StageName::PositionManage, event_type, ts_ms);
        let symbol = Some(position.symbol.clone());
        Draft { symbol, ..draft }.with("position_id", position.position_id.0)
    };
    let mut drafts = Vec::new();
    let moved = before.is_none_or(|b| (b.base, b.realized) != (after.base, after.realized));
    if moved {
        drafts.push(
            event(AuditEventType::PositionChanged)
                .with("qty", decimal(Some(after.base)))
                .with("avg_entry_price", decimal(position.head.avg_entry))
                .with("realized_pnl_quote", decimal(Some(after.realized))),
        );
    }
    let covered = before.is_none_or(|b| {
        (b.plan, b.covered, b.trigger) != (after.plan, after.covered, after.trigger)
    });
    if covered {
        drafts.push(
            event(AuditEventType::ProtectionStateChanged)
                .with("state_from", before.map_or("", |b| b.plan))
                .with("state_to", after.plan)
                .with("covered_qty", decimal(Some(after.covered)))
                .with("position_qty", decimal(Some(after.base)))
                .with("exchange_order_id", stop.unwrap_or_default())
                .with("trigger_price", decimal(after.trigger))
                .with("fill_to_protection_ms", to_protection_ms.unwrap_or_default()),
        );
    }
    drafts
}

/// A step of the sequence that closes a position.
#[must_use]
pub(crate) fn close_step(
    position: &PositionRecord,
    plan: Option<&PlanRecord>,
    step: &str,
    outcome: &str,
    ts_ms: i64,
) -> Draft {
    let reason = plan.and_then(|plan| plan.trigger_reason).map_or("", |reason| reason.as_str());
    let draft = Draft::new(StageName::PositionManage, AuditEventType::CloseSafely, ts_ms);
    Draft { symbol: Some(position.symbol.clone()), ..draft }
        .with("position_id", position.position_id.0)
        .with("step", step)
        .with("exit_reason", reason)
        .with("attempt", plan.map_or(0, |plan| plan.attempts))
        .with("qty", decimal(Some(position.head.base)))
        .with("outcome", outcome)
}

fn about(order: &OrderRecord, event_type: AuditEventType, ts_ms: i64) -> Draft {
    let stage = if order.enters() { StageName::ExecuteIntent } else { StageName::PositionManage };
    let draft = Draft::new(stage, event_type, ts_ms);
    Draft { order_id: Some(order.order_id), symbol: Some(order.symbol.clone()), ..draft }
}

/// The request that a change of state speaks of, and what became of it.
pub(crate) const fn request(
    from: Option<OrderState>,
    to: OrderState,
) -> Option<(AuditEventType, &'static str)> {
    use AuditEventType as E;
    match (from, to) {
        (_, OrderState::PendingSubmit) => Some((E::OrderSubmit, "ATTEMPTED")),
        (_, OrderState::SubmitUnknown) => Some((E::OrderSubmit, "UNKNOWN")),
        (_, OrderState::Rejected) => Some((E::OrderSubmit, "REJECTED")),
        (_, OrderState::Error) => Some((E::OrderSubmit, "NOT_ATTEMPTED")),
        (Some(OrderState::PendingSubmit | OrderState::SubmitUnknown), OrderState::AckedOpen) => {
            Some((E::OrderSubmit, "DONE"))
        }
        (_, OrderState::PendingCancel) => Some((E::OrderCancel, "ATTEMPTED")),
        (Some(OrderState::PendingCancel), OrderState::Canceled) => Some((E::OrderCancel, "DONE")),
        (Some(OrderState::PendingCancel), OrderState::AckedOpen) => {
            Some((E::OrderCancel, "REJECTED"))
        }
        (
            _,
            OrderState::Created
            | OrderState::AckedOpen
            | OrderState::PartiallyFilled
            | OrderState::Filled
            | OrderState::Canceled
            | OrderState::Expired
            | OrderState::Suspect
            | OrderState::ReconcileRequired
            | OrderState::LostOrRejected,
        ) => None,
    }
}

fn sent(draft: Draft, order: &OrderRecord, outcome: &str, intent: &str) -> Draft {
    draft
        .with("role", order.role.as_str())
        .with("side", order.side.as_str())
        .with("order_type", order.order_type.as_str())
        .with("qty", decimal(Some(order.qty)))
        .with("limit_price", decimal(order.limit_price))
        .with("trigger_price", decimal(order.trigger_price))
        .with("outcome", outcome)
        .with("payload_hash", intent)
}

fn reported(
    draft: Draft,
    order: &OrderRecord,
    fee_quote: Option<Decimal>,
    liquidity: &str,
) -> Draft {
    draft
        .with("exchange_order_id", order.exchange_order_id.clone().unwrap_or_default())
        .with("order_state", order.state.as_str())
        .with("filled_qty", decimal(Some(order.cum_qty)))
        .with("avg_price", decimal(order.avg_price))
        .with("fee_quote", decimal(fee_quote))
        .with("liquidity", liquidity)
}

/// An amount as text; empty when there is none.
fn decimal(amount: Option<Decimal>) -> String {
    amount.map_or(String::new(), |amount| amount.normalize().to_string())
}
