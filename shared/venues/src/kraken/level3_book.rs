//! One order-by-order book of one symbol in integers of the instrument's own scale.
//!
//! Input: rows of the `level3` channel. Output: the book, a [`Verdict`] per row, and every [`Change`]
//! to an order for whoever keeps queue figures. Order of work, all of it mandatory: apply the events
//! in the order of the message, cut both sides to the depth (the feed never deletes what falls out of
//! the window), then compare the checksum over every order of the ten best levels. Invariants: levels
//! are sorted best first, no level is empty, an id stands for one order, and within a level orders are
//! sorted by their own time, ties by arrival, because the adds of one message come in any order. A
//! change or delete of an order that the book does not hold means that the book is not the venue's:
//! an error, after which the book must be discarded. What to do then is `book_sync`'s decision.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::vocab::Side;
use thiserror::Error;

use super::book::{BookError, CHECKSUM_LEVELS, Precision, TOKEN_LEN_MAX, Verdict, push_token};
use super::level3::{Level3Row, OrderRow};
use super::vocabulary::OrderEvent;
use super::wire::Tag;

/// Longest order id, bytes; the venue promises less.
pub const ORDER_ID_LEN_MAX: usize = 32;

/// An order id of the venue, held inline and padded with zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId([u8; ORDER_ID_LEN_MAX]);

impl OrderId {
    /// Takes over an id; `None` if it is empty, too long, or contains a zero byte.
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > ORDER_ID_LEN_MAX || bytes.contains(&0) {
            return None;
        }
        let mut id = [0; ORDER_ID_LEN_MAX];
        id[..bytes.len()].copy_from_slice(bytes);
        Some(Self(id))
    }
}

/// One order of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Visible quantity in units of 10^-`Precision::qty`.
    pub qty: i64,
    /// When it was inserted or last amended, nanoseconds since the Unix epoch.
    pub time_ns: i64,
}

/// One price level: its orders in queue order, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLevel {
    /// Price in units of 10^-`Precision::price`.
    pub price: i64,
    /// Orders, first in the queue first.
    pub orders: Vec<Order>,
}

impl OrderLevel {
    /// Quantity of all orders. Wide, because a level has any number of them.
    pub fn qty(&self) -> i128 {
        self.orders.iter().map(|order| i128::from(order.qty)).sum()
    }
}

/// What happened to one order. `at_best` says whether its price was the best of its side: for what
/// came, after it came; for what went, before it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An order came.
    Added {
        /// Side.
        side: Side,
        /// Price.
        price: i64,
        /// Quantity.
        qty: i64,
        /// Whether it stands at the best price.
        at_best: bool,
    },
    /// An order changed, or came anew under an id that the book holds.
    Modified {
        /// Side.
        side: Side,
        /// Price before and after.
        price: (i64, i64),
        /// Quantity before and after.
        qty: (i64, i64),
        /// Whether it stood and stands at the best price.
        at_best: (bool, bool),
    },
    /// An order went.
    Deleted {
        /// Side.
        side: Side,
        /// Price.
        price: i64,
        /// The quantity that the book held.
        qty: i64,
        /// Whether it stood at the best price.
        at_best: bool,
    },
}

/// Why a row could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Level3Error {
    /// A number does not fit.
    #[error(transparent)]
    Number(#[from] BookError),
    /// A quantity or price below zero.
    #[error("{symbol} orders: order {order_id} has a price or quantity below zero")]
    Negative {
        /// The symbol.
        symbol: String,
        /// The order.
        order_id: String,
    },
    /// An id that the book cannot hold.
    #[error(
        "{symbol} orders: order id {order_id:?} is not 1 to {ORDER_ID_LEN_MAX} bytes without a zero byte"
    )]
    Id {
        /// The symbol.
        symbol: String,
        /// The beginning of the id.
        order_id: String,
    },
    /// A change without an event, or with one that has no meaning here.
    #[error("{symbol} orders: order {order_id} has event {event:?}, not add, modify or delete")]
    Event {
        /// The symbol.
        symbol: String,
        /// The order.
        order_id: String,
        /// The event's word; empty if there is none.
        event: String,
    },
    /// A change or delete of an order that the book does not hold.
    #[error(
        "{symbol} orders: {event} of {order_id}, which the book does not hold; it is not the venue's any more"
    )]
    UnknownOrder {
        /// The symbol.
        symbol: String,
        /// `modify` or `delete`.
        event: &'static str,
        /// The order.
        order_id: String,
    },
}

/// An order-by-order book.
#[derive(Clone, Debug)]
pub struct Level3Book {
    depth: usize,
    precision: Precision,
    bids: VecDeque<OrderLevel>,
    asks: VecDeque<OrderLevel>,
    /// Side and price of every order that the book holds.
    places: BTreeMap<OrderId, (Side, i64)>,
}

impl Level3Book {
    /// An empty book of `depth` price levels per side.
    pub fn new(depth: u32, precision: Precision) -> Self {
        Self {
            depth: depth as usize,
            precision,
            bids: VecDeque::new(),
            asks: VecDeque::new(),
            places: BTreeMap::new(),
        }
    }

    /// Digits in use.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// Bid levels, best first.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = &OrderLevel> {
        self.bids.iter()
    }

    /// Ask levels, best first.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = &OrderLevel> {
        self.asks.iter()
    }

    /// Number of orders on both sides.
    pub fn order_count(&self) -> usize {
        self.places.len()
    }

    /// Bytes that the book holds beside its own value, at most: what is reserved counts, and the nodes of
    /// the tree of places as half empty.
    pub fn heap_bytes(&self) -> usize {
        let place = 2 * (size_of::<OrderId>() + size_of::<(Side, i64)>());
        let levels = (self.bids.capacity() + self.asks.capacity()) * size_of::<OrderLevel>();
        let orders: usize =
            self.bids.iter().chain(&self.asks).map(|level| level.orders.capacity()).sum();
        levels + orders * size_of::<Order>() + self.places.len() * place
    }

    /// Whether the best bid is at or above the best ask.
    pub fn is_crossed(&self) -> bool {
        match (self.bids.front(), self.asks.front()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.places.clear();
    }

    /// Replaces the book by an image.
    ///
    /// # Errors
    /// A number or id that the book cannot hold.
    pub fn apply_snapshot(&mut self, row: &Level3Row<'_>) -> Result<Verdict, Level3Error> {
        self.clear();
        for (side, orders) in [(Side::Buy, &row.bids), (Side::Sell, &row.asks)] {
            for order in orders {
                let (order, price) = self.parsed(row, side, order)?;
                self.take_out(order.id);
                self.put(side, price, order);
            }
        }
        Ok(self.judge(row))
    }

    /// Applies a change; `changes` hears of every order, in the order of the message.
    ///
    /// # Errors
    /// What [`apply_snapshot`](Self::apply_snapshot) refuses, an event without a meaning, and a change
    /// or delete of an order that the book does not hold. The book is then part old, part new, and must
    /// be discarded.
    pub fn apply_update(
        &mut self,
        row: &Level3Row<'_>,
        mut changes: impl FnMut(Change),
    ) -> Result<Verdict, Level3Error> {
        for (side, orders) in [(Side::Buy, &row.bids), (Side::Sell, &row.asks)] {
            for order in orders {
                changes(self.event(row, side, order)?);
            }
        }
        Ok(self.judge(row))
    }

    /// CRC-32 over every order of the ten best levels of each side, asks first.
    pub fn checksum(&self) -> u32 {
        const ROOM: usize = 64 * TOKEN_LEN_MAX;
        let mut text = [0u8; ROOM];
        let mut len = 0;
        let mut hasher = crc32fast::Hasher::new();
        let best = self.asks.iter().take(CHECKSUM_LEVELS);
        for level in best.chain(self.bids.iter().take(CHECKSUM_LEVELS)) {
            for order in &level.orders {
                if len + 2 * TOKEN_LEN_MAX > ROOM {
                    hasher.update(&text[..len]);
                    len = 0;
                }
                len = push_token(&mut text, len, level.price);
                len = push_token(&mut text, len, order.qty);
            }
        }
        hasher.update(&text[..len]);
        hasher.finalize()
    }

    fn event(
        &mut self,
        row: &Level3Row<'_>,
        side: Side,
        order: &OrderRow<'_>,
    ) -> Result<Change, Level3Error> {
        let event = match &order.event {
            Some(Tag::Known(event)) => *event,
            other => {
                let event = match other {
                    Some(Tag::Unknown(word)) => shown(word),
                    Some(Tag::Known(_)) | None => String::new(),
                };
                return Err(Level3Error::Event {
                    symbol: row.symbol.to_string(),
                    order_id: shown(&order.order_id),
                    event,
                });
            }
        };
        let (parsed, price) = self.parsed(row, side, order)?;
        let before = self.take_out(parsed.id);
        let unknown = |event| Level3Error::UnknownOrder {
            symbol: row.symbol.to_string(),
            event,
            order_id: shown(&order.order_id),
        };
        Ok(match (event, before) {
            (OrderEvent::Add, None) => {
                let at_best = self.put(side, price, parsed);
                Change::Added { side, price, qty: parsed.qty, at_best }
            }
            // An add of a known id replaces it: the order left the window and came back.
            (OrderEvent::Add | OrderEvent::Modify, Some(held)) => {
                let at_best = self.put(side, price, parsed);
                Change::Modified {
                    side,
                    price: (held.price, price),
                    qty: (held.qty, parsed.qty),
                    at_best: (held.at_best, at_best),
                }
            }
            (OrderEvent::Modify, None) => return Err(unknown("modify")),
            (OrderEvent::Delete, Some(held)) => Change::Deleted {
                side: held.side,
                price: held.price,
                qty: held.qty,
                at_best: held.at_best,
            },
            (OrderEvent::Delete, None) => return Err(unknown("delete")),
        })
    }

    #[inline]
    fn parsed(
        &self,
        row: &Level3Row<'_>,
        side: Side,
        order: &OrderRow<'_>,
    ) -> Result<(Order, i64), Level3Error> {
        let fail = |field| {
            move |source| BookError {
                symbol: row.symbol.to_string(),
                side: side_name(side),
                field,
                source,
            }
        };
        let price = order.limit_price.scaled(self.precision.price).map_err(fail("price"))?;
        let qty = order.order_qty.scaled(self.precision.qty).map_err(fail("qty"))?;
        if price < 0 || qty < 0 {
            return Err(Level3Error::Negative {
                symbol: row.symbol.to_string(),
                order_id: shown(&order.order_id),
            });
        }
        let id = OrderId::new(&order.order_id).ok_or_else(|| Level3Error::Id {
            symbol: row.symbol.to_string(),
            order_id: shown(&order.order_id),
        })?;
        Ok((Order { id, qty, time_ns: order.timestamp.nanos() }, price))
    }

    /// Puts an order at its place in the queue; returns whether its level is the best.
    fn put(&mut self, side: Side, price: i64, order: Order) -> bool {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let at = level_position(levels, side, price);
        if levels.get(at).is_none_or(|level| level.price != price) {
            levels.insert(at, OrderLevel { price, orders: Vec::with_capacity(4) });
        }
        let orders = &mut levels[at].orders;
        let place = orders.partition_point(|held| held.time_ns <= order.time_ns);
        orders.insert(place, order);
        self.places.insert(order.id, (side, price));
        at == 0
    }

    /// Removes an order, and its level with the last one.
    fn take_out(&mut self, id: OrderId) -> Option<Held> {
        let (side, price) = self.places.remove(&id)?;
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let at = level_position(levels, side, price);
        let orders = &mut levels.get_mut(at)?.orders;
        let order = orders.remove(orders.iter().position(|order| order.id == id)?);
        if orders.is_empty() {
            levels.remove(at);
        }
        Some(Held { side, price, qty: order.qty, at_best: at == 0 })
    }

    fn judge(&mut self, row: &Level3Row<'_>) -> Verdict {
        for levels in [&mut self.bids, &mut self.asks] {
            while levels.len() > self.depth {
                for order in levels.pop_back().into_iter().flat_map(|level| level.orders) {
                    self.places.remove(&order.id);
                }
            }
        }
        let computed = self.checksum();
        if computed != row.checksum {
            Verdict::Mismatch { expected: row.checksum, computed }
        } else if self.is_crossed() {
            Verdict::Crossed
        } else {
            Verdict::Verified
        }
    }
}

/// An order that was taken out of the book.
struct Held {
    side: Side,
    price: i64,
    qty: i64,
    at_best: bool,
}

/// Where the level of a price is, or would be.
#[inline]
fn level_position(levels: &VecDeque<OrderLevel>, side: Side, price: i64) -> usize {
    levels.partition_point(|held| match side {
        Side::Buy => held.price > price,
        Side::Sell => held.price < price,
    })
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "bid",
        Side::Sell => "ask",
    }
}

/// Error texts quote at most this many characters of a hostile word.
const SHOWN_CHARS_MAX: usize = 40;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
