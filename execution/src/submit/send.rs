//! Requests on the socket, each in a task of its own whose answer comes back as a message.
//!
//! Input: a committed order, or the id of a live one. Output: a request under way, remembered as the
//! order's one open request.

use penstock_store_orders::orders::PersistedOrder;
use penstock_telemetry::marker;
use penstock_trading::dms::Ask;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{OrderRole, OrderType, TimeInForce};
use penstock_types::{Decimal, OrderId};
use penstock_venue_orders::EngineUse;
use penstock_venues::kraken::request::{AddOrder, AmendOrder, OrderRef, Trigger};
use penstock_venues::kraken::vocabulary::{
    OrderType as WireType, PriceType, StpType, TimeInForce as WireTif, TriggerReference,
};

use crate::desk::{Desk, DeskError, Message};
use crate::dms;
use crate::tracker::{Mutation, MutationKind};

/// Deadline of an amend after its decision, milliseconds.
const AMEND_DEADLINE_MS: i64 = 2_000;
/// How long after its deadline an amend without an answer may still be carried out, milliseconds.
const AMEND_LATE_MS_MAX: i64 = 2_000;

/// A change of a resting order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amend {
    pub(crate) qty: Option<Decimal>,
    pub(crate) trigger: Option<Decimal>,
}

pub(super) const fn wire_type(kind: OrderType) -> WireType {
    match kind {
        OrderType::Limit => WireType::Limit,
        OrderType::Market => WireType::Market,
        OrderType::StopLoss => WireType::StopLoss,
        OrderType::StopLossLimit => WireType::StopLossLimit,
        OrderType::TrailingStop => WireType::TrailingStop,
    }
}

pub(super) const fn wire_tif(tif: TimeInForce) -> WireTif {
    match tif {
        TimeInForce::Gtc => WireTif::Gtc,
        TimeInForce::Gtd => WireTif::Gtd,
        TimeInForce::Ioc => WireTif::Ioc,
    }
}

impl Desk {
    /// Sends a committed order. The order is consumed: it cannot be sent again.
    pub(crate) fn send_add(&mut self, persisted: PersistedOrder, usage: EngineUse) {
        let row = persisted.record().clone();
        drop(persisted);
        let now = self.mono_ms();
        if let Some(tracked) = self.tracker.get_mut(row.order_id) {
            let kind = MutationKind::Add;
            tracked.mutation = Some(Mutation { kind, sent_mono_ms: now, unresolved_until: None });
            tracked.sent_mono_ms = Some(now);
            tracked.touched_mono_ms = now;
        }
        marker!(
            ORDER_LIVE_SUBMIT,
            order_id = row.order_id.0,
            cl_ord_id = row.cl_ord_id.as_hyphenated().to_string(),
            symbol = row.symbol.as_str(),
            side = row.side.as_str(),
            role = row.role.as_str(),
            price = row.limit_price.or(row.trigger_price).map(|p| p.to_string()),
            qty = row.qty.to_string(),
            deadline = row.deadline_at.map(|d| d.rfc3339())
        );
        let stop = row.role == OrderRole::Protection;
        let disarm = stop.then(|| self.disarm_before_stop()).flatten();
        let (orders, messages) = (self.orders.clone(), self.messages.clone());
        tokio::spawn(async move {
            let id = row.cl_ord_id.as_hyphenated().to_string();
            let market = row.order_type == OrderType::Market;
            let order = AddOrder {
                order_type: wire_type(row.order_type),
                side: row.side,
                symbol: row.symbol.as_str(),
                order_qty: row.qty,
                limit_price: row.limit_price,
                trigger: row.trigger_price.filter(|_| row.role == OrderRole::Protection).map(
                    |price| Trigger {
                        reference: TriggerReference::Last,
                        price,
                        price_type: PriceType::Static,
                    },
                ),
                time_in_force: (!market).then(|| wire_tif(row.tif)),
                expire_time: row.expire_at,
                deadline: row.deadline_at,
                post_only: row.post_only,
                stp_type: Some(if row.reduces() {
                    StpType::CancelOldest
                } else {
                    StpType::CancelNewest
                }),
                cl_ord_id: Some(&id),
                validate: false,
            };
            let adding = orders.add_order(&order, usage);
            let (switch, answer) = dms::directly_before(&orders, disarm, adding).await;
            if let Some((sent_ms, answer)) = switch {
                let what = Ask::Disarm;
                let _ = messages.send(Message::Switch { what, sent_ms, answer }).await;
            }
            let (order_id, kind) = (row.order_id, MutationKind::Add);
            // A desk that has ended looks the order up at its next start.
            let _ = messages.send(Message::Answer { order_id, kind, answer }).await;
        });
    }

    /// Cancels a live order; nothing happens while another request of it is open.
    pub(crate) async fn cancel(&mut self, id: OrderId, why: &str) -> Result<(), DeskError> {
        if !self.is_permitted() {
            return Ok(());
        }
        let ready = self.tracker.get(id).is_some_and(|t| {
            t.mutation.is_none()
                && t.is_live()
                && penstock_trading::order::step(
                    t.record.state,
                    OrderEvent::CancelSent,
                    penstock_trading::order::Facts::UNTOUCHED,
                )
                .is_ok()
        });
        if !ready {
            return Ok(());
        }
        let checked = self.store.check().await;
        if self.written(checked)?.is_none() {
            return Ok(());
        }
        let note = self.note().because(why);
        if !self.apply(id, OrderEvent::CancelSent, &note).await? {
            return Ok(());
        }
        self.spawn_cancel(id);
        Ok(())
    }

    /// The request alone; its event is written.
    pub(crate) fn spawn_cancel(&mut self, id: OrderId) {
        if !self.is_permitted() {
            return tracing::warn!("order {} is not cancelled: EXECUTION_ENABLE=false", id.0);
        }
        let now = self.mono_ms();
        let Some(tracked) = self.tracker.get_mut(id) else { return };
        let age_ms = tracked.age_ms(now);
        let kind = MutationKind::Cancel;
        tracked.mutation = Some(Mutation { kind, sent_mono_ms: now, unresolved_until: None });
        tracked.cancel_mono_ms = Some(now);
        let row = tracked.record.clone();
        let (orders, messages) = (self.orders.clone(), self.messages.clone());
        tokio::spawn(async move {
            let own = row.cl_ord_id.as_hyphenated().to_string();
            let by =
                row.exchange_order_id.as_deref().map_or(OrderRef::ClOrdId(&own), OrderRef::OrderId);
            let answer = orders.cancel_order(by, row.symbol.as_str(), age_ms).await;
            let order_id = row.order_id;
            let _ = messages.send(Message::Answer { order_id, kind, answer }).await;
        });
    }

    /// Changes a resting stop in place. What is committed before it stands in the plan.
    pub(crate) async fn amend(&mut self, id: OrderId, change: Amend) -> Result<(), DeskError> {
        let checked = self.store.check().await;
        if self.written(checked)?.is_none() {
            return Ok(());
        }
        self.spawn_amend(id, change);
        Ok(())
    }

    /// The request alone; whoever asks has checked the fence.
    pub(crate) fn spawn_amend(&mut self, id: OrderId, change: Amend) {
        let (now, mono) = (self.now(), self.mono_ms());
        let deadline = now.plus_millis(AMEND_DEADLINE_MS);
        let kind = MutationKind::Amend { qty: change.qty, trigger: change.trigger };
        let Some(tracked) = self.tracker.get_mut(id) else { return };
        if tracked.mutation.is_some() {
            return;
        }
        let age_ms = tracked.age_ms(mono);
        let unresolved_until = Some(deadline.plus_millis(AMEND_LATE_MS_MAX));
        tracked.mutation = Some(Mutation { kind, sent_mono_ms: mono, unresolved_until });
        tracked.touched_mono_ms = mono;
        let row = tracked.record.clone();
        let (orders, messages) = (self.orders.clone(), self.messages.clone());
        tokio::spawn(async move {
            let own = row.cl_ord_id.as_hyphenated().to_string();
            let by =
                row.exchange_order_id.as_deref().map_or(OrderRef::ClOrdId(&own), OrderRef::OrderId);
            let amend = AmendOrder {
                order: by,
                order_qty: change.qty,
                limit_price: None,
                trigger_price: change.trigger,
                post_only: false,
                deadline: Some(deadline),
            };
            let usage = EngineUse::Protective;
            let answer = orders.amend_order(&amend, row.symbol.as_str(), age_ms, usage).await;
            let order_id = row.order_id;
            let _ = messages.send(Message::Answer { order_id, kind, answer }).await;
        });
    }
}
