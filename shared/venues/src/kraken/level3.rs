//! Rows of the order-by-order channel, and what its subscriptions cost.
//!
//! Input: the `data` of a `level3` message. Output: rows that borrow from the frame, numbers as text.
//! An image lists orders without an event; a change has one per order. Whether an order fits its book
//! is the business of [`level3_book`](super::level3_book).

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::vocabulary::OrderEvent;
use super::wire::{Num, Tag, Text, Unknown, Unknowns, WireTime, wire_object};

/// Depths that the venue offers, price levels; any other is refused by it.
pub const DEPTHS: [u32; 3] = [10, 100, 1_000];

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow<'a> {
    /// What happened to it; absent in an image.
    pub event: Option<Tag<'a, OrderEvent>>,
    /// The venue's order id.
    pub order_id: Text<'a>,
    /// Price, quote asset.
    pub limit_price: Num<'a>,
    /// Visible remaining quantity, base asset; on a delete the last one.
    pub order_qty: Num<'a>,
    /// When it was inserted or last amended: its key in the queue.
    pub timestamp: WireTime,
}

impl<'de: 'a, 'a> Deserialize<'de> for OrderRow<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OrderVisitor(PhantomData))
    }
}

struct OrderVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for OrderVisitor<'a> {
    type Value = OrderRow<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order (order_id, limit_price, order_qty, timestamp)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderRow<'a>, A::Error> {
        let (mut event, mut order_id, mut limit_price, mut order_qty, mut timestamp) =
            (None, None, None, None, None);
        while let Some(key) = map.next_key::<Text<'a>>()? {
            match key.as_str() {
                "event" => event = Some(map.next_value()?),
                "order_id" => order_id = Some(map.next_value()?),
                "limit_price" => limit_price = Some(map.next_value()?),
                "order_qty" => order_qty = Some(map.next_value()?),
                "timestamp" => timestamp = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = |field| serde::de::Error::missing_field(field);
        Ok(OrderRow {
            event,
            order_id: order_id.ok_or_else(|| missing("order_id"))?,
            limit_price: limit_price.ok_or_else(|| missing("limit_price"))?,
            order_qty: order_qty.ok_or_else(|| missing("order_qty"))?,
            timestamp: timestamp.ok_or_else(|| missing("timestamp"))?,
        })
    }
}

impl Unknowns for OrderRow<'_> {
    // Orders are the bulk of this channel; only an event without a meaning is worth a report.
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        self.event.visit_unknowns(sink);
    }
}

wire_object! {
    /// Image or change of one order-by-order book.
    Level3Row {
        /// The symbol.
        req symbol: Text<'a> = "symbol",
        /// Buy side.
        req bids: Vec<OrderRow<'a>> = "bids",
        /// Sell side.
        req asks: Vec<OrderRow<'a>> = "asks",
        /// CRC-32 over every order of the ten best levels of each side after this message.
        req checksum: u32 = "checksum",
        /// Venue time.
        opt timestamp: WireTime = "timestamp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken::{Frame, decode};

    #[test]
    fn an_image_has_no_events_and_a_change_has_them() {
        let text = r#"{"channel":"level3","type":"snapshot","data":[{"symbol":"BTC/USD","checksum":1361442827,"bids":[{"order_id":"OZYA6B-OE3BH-YJ4PY5","limit_price":66579.2,"order_qty":1.35137590,"timestamp":"2024-05-19T18:55:20.910159752Z"}],"asks":[]}]}"#;
        let Ok(Frame::Level3(message)) = decode(text) else { panic!("not a level3 frame") };
        let order = &message.rows[0].bids[0];
        assert!(message.is_snapshot());
        assert_eq!((order.event.is_none(), order.order_id.as_str()), (true, "OZYA6B-OE3BH-YJ4PY5"));
        assert_eq!(order.timestamp.nanos(), 1_716_144_920_910_159_752);
        let text = r#"{"channel":"level3","type":"update","data":[{"checksum":2143854316,"symbol":"BTC/USD","bids":[{"event":"delete","order_id":"O7SO4Y-RHRAK-GGAHJE","limit_price":66567.3,"order_qty":1e-05,"timestamp":"2024-05-19T18:59:46.541105556Z","new":1}],"asks":[]}]}"#;
        let Ok(Frame::Level3(message)) = decode(text) else { panic!("not a level3 frame") };
        let order = &message.rows[0].bids[0];
        assert_eq!(order.event, Some(Tag::Known(OrderEvent::Delete)));
        assert_eq!(order.order_qty.scaled(8), Ok(1_000));
    }

    #[test]
    fn an_event_without_a_meaning_is_reported() {
        let text = r#"{"channel":"level3","type":"update","data":[{"checksum":1,"symbol":"BTC/USD","bids":[{"event":"swap","order_id":"O","limit_price":1,"order_qty":1,"timestamp":"2024-05-19T18:59:46Z"}],"asks":[]}]}"#;
        let frame = decode(text).unwrap();
        let mut unknowns = Vec::new();
        frame.visit_unknowns(&mut |unknown| unknowns.push(format!("{unknown:?}")));
        assert_eq!(unknowns, [r#"Value { vocabulary: "OrderEvent", value: "swap" }"#]);
    }

    #[test]
    fn an_order_that_lacks_a_field_is_refused_by_name() {
        let text = r#"{"channel":"level3","type":"update","data":[{"checksum":1,"symbol":"BTC/USD","bids":[{"event":"add","order_id":"O","limit_price":1,"timestamp":"2024-05-19T18:59:46Z"}],"asks":[]}]}"#;
        let error = decode(text).unwrap_err();
        assert_eq!(error.what, "level3 frame");
        assert!(error.reason.contains("order_qty"), "{error}");
    }
}
