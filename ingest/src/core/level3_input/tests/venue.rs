//! A venue that keeps every order in one list and writes the frames of both channels.
//!
//! It shares no code with the book under test: its checksum is computed bit by bit from its own list.

use penstock_types::UtcMicros;

/// Side of an order, and of the queue that a print takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Bid,
    Ask,
}

/// What happens to an order: id, then what it needs; prices in tenths, quantities in hundredths.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Add(u32, Side, i64, i64),
    Modify(u32, i64),
    Delete(u32),
}

#[derive(Debug, Clone, Copy)]
struct Order {
    id: u32,
    side: Side,
    price: i64,
    qty: i64,
    ms: i64,
}

/// The venue's list, of at most ten levels a side, so that nothing leaves the window.
#[derive(Debug)]
pub(super) struct Venue {
    base: UtcMicros,
    orders: Vec<Order>,
}

impl Venue {
    pub(super) const fn new(base: UtcMicros) -> Self {
        Self { base, orders: Vec::new() }
    }

    /// An order that rests since before.
    pub(super) fn rest(&mut self, id: u32, side: Side, price: i64, qty: i64, ms: i64) {
        self.orders.push(Order { id, side, price, qty, ms });
    }

    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn id_at(&self, place: usize) -> u32 {
        self.orders[place].id
    }

    /// The whole book.
    pub(super) fn image(&self) -> String {
        let side = |side| {
            let orders = self.orders.iter().filter(|o| o.side == side);
            orders.map(|o| self.text(o, None)).collect::<Vec<_>>()
        };
        self.message("snapshot", side(Side::Bid), side(Side::Ask), self.checksum(), None)
    }

    /// Does it, and tells of it.
    pub(super) fn change(&mut self, ms: i64, changes: &[Change]) -> String {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for change in changes {
            let (order, event) = self.apply(ms, *change);
            let text = self.text(&order, Some(event));
            match order.side {
                Side::Bid => bids.push(text),
                Side::Ask => asks.push(text),
            }
        }
        self.message("update", bids, asks, self.checksum(), Some(ms))
    }

    /// Tells of a change that it does not do, with a checksum that is wrong.
    pub(super) fn broken(&self, ms: i64, change: Change) -> String {
        let mut other = Self { base: self.base, orders: self.orders.clone() };
        let (order, event) = other.apply(ms, change);
        let text = self.text(&order, Some(event));
        let checksum = other.checksum() ^ 1;
        match order.side {
            Side::Bid => self.message("update", vec![text], Vec::new(), checksum, Some(ms)),
            Side::Ask => self.message("update", Vec::new(), vec![text], checksum, Some(ms)),
        }
    }

    /// Tells of the end of an order that nobody knows.
    pub(super) fn unknown(&self, ms: i64) -> String {
        let order = Order { id: 77_777, side: Side::Bid, price: 100, qty: 1, ms };
        let text = self.text(&order, Some("delete"));
        self.message("update", vec![text], Vec::new(), self.checksum(), Some(ms))
    }

    /// A print that takes from a side of the book.
    pub(super) fn print(&self, ms: i64, id: i64, side: Side, price: i64, qty: i64) -> String {
        let taker = match side {
            Side::Bid => "sell",
            Side::Ask => "buy",
        };
        format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"AAA/USD","side":"{taker}","price":{},"qty":{},"ord_type":"market","trade_id":{id},"timestamp":"{}"}}]}}"#,
            decimal(price, 1),
            decimal(qty, 2),
            self.time(ms),
        )
    }

    fn apply(&mut self, ms: i64, change: Change) -> (Order, &'static str) {
        match change {
            Change::Add(id, side, price, qty) => {
                let order = Order { id, side, price, qty, ms };
                self.orders.push(order);
                (order, "add")
            }
            Change::Modify(id, qty) => {
                let order = self.orders.iter_mut().find(|o| o.id == id).unwrap();
                order.qty = qty;
                (*order, "modify")
            }
            Change::Delete(id) => {
                let place = self.orders.iter().position(|o| o.id == id).unwrap();
                (self.orders.remove(place), "delete")
            }
        }
    }

    fn text(&self, order: &Order, event: Option<&str>) -> String {
        let event = event.map_or(String::new(), |event| format!(r#""event":"{event}","#));
        format!(
            r#"{{{event}"order_id":"O{:05}","limit_price":{},"order_qty":{},"timestamp":"{}"}}"#,
            order.id,
            decimal(order.price, 1),
            decimal(order.qty, 2),
            self.time(order.ms),
        )
    }

    fn message(
        &self,
        kind: &str,
        bids: Vec<String>,
        asks: Vec<String>,
        checksum: u32,
        ms: Option<i64>,
    ) -> String {
        let time = ms.map_or(String::new(), |ms| format!(r#","timestamp":"{}""#, self.time(ms)));
        format!(
            r#"{{"channel":"level3","type":"{kind}","data":[{{"symbol":"AAA/USD","checksum":{checksum},"bids":[{}],"asks":[{}]{time}}}]}}"#,
            bids.join(","),
            asks.join(","),
        )
    }

    fn time(&self, ms: i64) -> String {
        self.base.plus_millis(ms).rfc3339()
    }

    /// Asks upwards, then bids downwards; within a price by time, then by arrival.
    fn checksum(&self) -> u32 {
        let mut text = String::new();
        for side in [Side::Ask, Side::Bid] {
            let mut orders: Vec<&Order> = self.orders.iter().filter(|o| o.side == side).collect();
            let sign = if side == Side::Ask { 1 } else { -1 };
            orders.sort_by_key(|o| (sign * o.price, o.ms));
            orders.iter().for_each(|o| text.push_str(&format!("{}{}", o.price, o.qty)));
        }
        crc(&text)
    }
}

fn decimal(units: i64, digits: usize) -> String {
    let scale = 10_i64.pow(u32::try_from(digits).unwrap());
    format!("{}.{:0digits$}", units / scale, units % scale)
}

/// CRC-32 of the venue, bit by bit.
pub(super) fn crc(text: &str) -> u32 {
    let fold =
        |crc: u32, byte: u8| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| {
                if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 }
            })
        };
    !text.bytes().fold(u32::MAX, fold)
}
