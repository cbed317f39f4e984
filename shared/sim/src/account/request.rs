//! What the account's owner asks for, already read from the wire.
//!
//! Inputs: the socket's and REST's parsers. Outputs: plain values for `Exchange::add_order` and
//! its siblings. Quantities and prices are decimals as the client wrote them; digits, ticks and
//! minimums are checked by the operation, so that both interfaces refuse with the same words.

use super::order::{FeePreference, OrderKind, SelfTrade, TimeInForce};
use crate::exchange::{Side, SymbolNo};
use rust_decimal::Decimal;

/// A new order.
#[derive(Clone, Debug)]
pub struct AddOrder {
    /// The pair.
    pub symbol: SymbolNo,
    /// Buy or sell.
    pub side: Side,
    /// Kind.
    pub kind: OrderKind,
    /// Quantity in base; may be missing for a market buy by cost.
    pub qty: Option<Decimal>,
    /// Amount in quote of a market buy by cost.
    pub cash_qty: Option<Decimal>,
    /// Limit price.
    pub limit: Option<Decimal>,
    /// Trigger price of a stop.
    pub trigger: Option<Decimal>,
    /// How long it lives.
    pub tif: TimeInForce,
    /// End of a GTD order, µs.
    pub expire_us: Option<i64>,
    /// The engine refuses the request after this time, µs.
    pub deadline_us: Option<i64>,
    /// Never take.
    pub post_only: bool,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// Asset of the fees; `None` is the venue's default, quote for a buy and base for a sell.
    pub fee_preference: Option<FeePreference>,
    /// The client's id.
    pub cl_ord_id: Option<String>,
    /// The client's tag.
    pub userref: i64,
    /// Check only.
    pub validate: bool,
}

impl AddOrder {
    /// An order with everything optional left out.
    #[must_use]
    pub fn new(symbol: SymbolNo, side: Side, kind: OrderKind) -> AddOrder {
        AddOrder {
            symbol,
            side,
            kind,
            qty: None,
            cash_qty: None,
            limit: None,
            trigger: None,
            tif: TimeInForce::Gtc,
            expire_us: None,
            deadline_us: None,
            post_only: false,
            self_trade: SelfTrade::CancelNewest,
            fee_preference: None,
            cl_ord_id: None,
            userref: 0,
            validate: false,
        }
    }
}

/// How a request names an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// By the venue's id.
    Txid(String),
    /// By the client's id.
    Client(String),
    /// By the client's tag; names all open orders with it.
    Userref(i64),
}
