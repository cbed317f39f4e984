//! The wrong order of things, in test builds alone: the request leaves before its row is committed.
//!
//! Input: an entry without a row. Output: its answer. It goes around the committed order that every other
//! send demands, so that a test can show that the checker notices.

use penstock_store_orders::orders::NewOrder;
use penstock_types::OrderId;
use penstock_venue_orders::{EngineUse, OrderAnswer};
use penstock_venues::kraken::request::AddOrder;
use penstock_venues::kraken::vocabulary::StpType;

use super::send::{wire_tif, wire_type};
use crate::desk::{Desk, Message, failpoints};
use crate::tracker::MutationKind;

impl Desk {
    /// Sends and waits for the answer, when the point is configured.
    pub(super) async fn send_early(&self, order: &NewOrder) -> Option<OrderAnswer> {
        if !failpoints::is_on(failpoints::SEND_BEFORE_COMMIT) {
            return None;
        }
        let id = order.cl_ord_id.text();
        let wire = AddOrder {
            order_type: wire_type(order.order_type),
            side: order.side,
            symbol: order.symbol.as_str(),
            order_qty: order.qty,
            limit_price: order.limit_price,
            trigger: None,
            time_in_force: Some(wire_tif(order.tif)),
            expire_time: order.expire_at,
            deadline: order.deadline_at,
            post_only: order.post_only,
            stp_type: Some(StpType::CancelNewest),
            cl_ord_id: Some(&id),
            validate: false,
        };
        Some(self.orders.add_order(&wire, EngineUse::Entry).await)
    }

    /// The answer takes its usual way, now that there is a row.
    pub(super) fn answer_early(&self, order_id: OrderId, answer: OrderAnswer) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let kind = MutationKind::Add;
            // A desk that has ended looks the order up at its next start.
            let _ = messages.send(Message::Answer { order_id, kind, answer }).await;
        });
    }
}
