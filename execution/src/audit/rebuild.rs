//! Events that found no room, told from the rows that say the same.
//!
//! Input: changes of orders and plans of a span in which events were lost. Output: drafts with the time of the change.
//! Invariants: each says that it was rebuilt; what a row does not know is an empty text, as ever; what neither an order's
//! nor a plan's rows say (a stage, a look) stays lost and counted.

use penstock_audit::Draft;
use penstock_store_decision::lost::{LostOrder, LostPlan};
use penstock_types::vocab::{AuditEventType, OrderState, ReasonCode, StageName};
use penstock_types::{Decimal, Symbol};

use serde_json::{Value, json};

use super::orders::{intent_state, request};
use super::queue::Span;

/// Key that says where an event comes from when it was not said at its time.
const REBUILT: &str = "rebuilt_from";

/// What is said before events of a span are told from rows: behind it are all that were not lost.
#[must_use]
pub(crate) fn announced(span: Span, ts_ms: i64) -> Draft {
    let Span { from_ms, to_ms, count } = span;
    let fields = json!({ "from_ms": from_ms, "to_ms": to_ms, "count": count });
    marked("AUDIT_EVENTS_LOST", fields, ts_ms)
}

/// What is said when rows could not be asked about a span.
#[must_use]
pub(crate) fn given_up(span: Span, tries: u32, error: &str, ts_ms: i64) -> Draft {
    let Span { from_ms, to_ms, count } = span;
    let fields = json!({ "from_ms": from_ms, "to_ms": to_ms, "count": count, "tries": tries,
        "error": error });
    marked("AUDIT_EVENTS_UNTOLD", fields, ts_ms)
}

fn marked(marker: &str, fields: Value, ts_ms: i64) -> Draft {
    Draft::new(StageName::PositionManage, AuditEventType::Marker, ts_ms)
        .with("marker", marker)
        .with("fields", fields)
}

/// What a row of an order's history says and the trail does not: each type of event is judged by itself.
#[must_use]
pub(crate) fn of_order(lost: &LostOrder) -> Vec<Draft> {
    let Ok(to) = OrderState::parse(&lost.to_state) else { return Vec::new() };
    let mut drafts = Vec::new();
    if lost.is_fill && !lost.said_fills.contains(&decimal(lost.cum_qty)) {
        drafts.push(reported(about(lost, AuditEventType::OrderFill), lost));
    }
    if lost.from_state.as_deref() != Some(lost.to_state.as_str()) {
        of_state(lost, to, &mut drafts);
    }
    drafts
}

/// The events of a change of state, as the desk says them.
fn of_state(lost: &LostOrder, to: OrderState, drafts: &mut Vec<Draft>) {
    let from = lost.from_state.as_deref().and_then(|word| OrderState::parse(word).ok());
    let is_said = |event_type: AuditEventType, word: &str| {
        lost.said.iter().any(|said| said.split_once(' ') == Some((event_type.as_str(), word)))
    };
    let is_missing = |event_type| !is_said(event_type, to.as_str());
    if is_missing(AuditEventType::IntentStateChanged) {
        let mut draft = about(lost, AuditEventType::IntentStateChanged)
            .with("state_from", from.map_or("", intent_state))
            .with("state_to", intent_state(to))
            .with("order_state", to.as_str())
            .with("role", lost.role.as_str())
            .with("cl_ord_id", lost.cl_ord_id.as_str());
        if to == OrderState::SubmitUnknown {
            draft.reasons.push(ReasonCode::IntentSentUnknown);
        }
        drafts.push(draft);
    }
    if let Some((event_type, outcome)) = request(from, to)
        && !is_said(event_type, outcome)
    {
        drafts.push(sent(about(lost, event_type), lost, outcome));
    }
    // Later ones are no acknowledgement: the venue had the order already.
    let is_first = to == OrderState::AckedOpen && !lost.was_live;
    if is_first && is_missing(AuditEventType::OrderAck) {
        drafts.push(reported(about(lost, AuditEventType::OrderAck), lost));
    }
    if to.is_terminal() && is_missing(AuditEventType::OrderClosed) {
        drafts.push(reported(about(lost, AuditEventType::OrderClosed), lost));
    }
}

/// What a row of a plan's history says.
#[must_use]
pub(crate) fn of_plan(lost: &LostPlan) -> Draft {
    let ms = lost.at.timestamp_millis();
    let draft = Draft::new(StageName::PositionManage, AuditEventType::ProtectionStateChanged, ms);
    Draft { symbol: Symbol::new(&lost.symbol).ok(), ..draft }
        .with("position_id", lost.position_id.0)
        .with("state_from", lost.from_state.as_str())
        .with("state_to", lost.to_state.as_str())
        .with("covered_qty", "")
        .with("position_qty", "")
        .with("exchange_order_id", "")
        .with("trigger_price", "")
        .with("fill_to_protection_ms", 0)
        .with(REBUILT, "exit_events")
}

fn about(lost: &LostOrder, event_type: AuditEventType) -> Draft {
    let is_entry = matches!(lost.role.as_str(), "entry" | "proof" | "dust_topup");
    let stage = if is_entry { StageName::ExecuteIntent } else { StageName::PositionManage };
    let draft = Draft::new(stage, event_type, lost.at.timestamp_millis());
    let (order_id, symbol) = (Some(lost.order_id), Symbol::new(&lost.symbol).ok());
    Draft { order_id, symbol, ..draft }.with(REBUILT, "execution_order_events")
}

fn sent(draft: Draft, lost: &LostOrder, outcome: &str) -> Draft {
    draft
        .with("role", lost.role.as_str())
        .with("side", lost.side.as_str())
        .with("order_type", lost.order_type.as_str())
        .with("qty", decimal(Some(lost.qty)))
        .with("limit_price", decimal(lost.limit_price))
        .with("trigger_price", decimal(lost.trigger_price))
        .with("outcome", outcome)
        .with("payload_hash", lost.intent_hash.as_str())
}

fn reported(draft: Draft, lost: &LostOrder) -> Draft {
    draft
        .with("exchange_order_id", lost.exchange_order_id.as_str())
        .with("order_state", lost.to_state.as_str())
        .with("filled_qty", decimal(lost.cum_qty))
        .with("avg_price", decimal(lost.avg_price))
        .with("fee_quote", "")
        .with("liquidity", "")
}

fn decimal(amount: Option<Decimal>) -> String {
    amount.map_or(String::new(), |amount| amount.normalize().to_string())
}
