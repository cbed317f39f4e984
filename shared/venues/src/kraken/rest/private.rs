//! Results of private REST requests.
//!
//! Input: the `result` of an answer. Output: rows that borrow from the body. Times are unix seconds
//! with a fraction, kept as text. Rows keep what reconciliation needs; other fields are only named.

use serde::de::{Deserialize, Deserializer};

use super::public::Entries;
use crate::kraken::vocabulary::{OrderType, RestOrderStatus, Side};
use crate::kraken::wire::{Num, Tag, Text, wire_object};

wire_object! {
    /// Result of `GetWebSocketsToken`. The token is a bearer secret.
    TokenResult {
        /// The token.
        req token: Text<'a> = "token",
        /// Seconds until its first use.
        opt expires: u64 = "expires",
    }
}

wire_object! {
    /// Row of `BalanceEx`.
    BalanceExResult {
        /// Total.
        req balance: Num<'a> = "balance",
        /// Held by open orders.
        opt hold_trade: Num<'a> = "hold_trade",
        /// Credit.
        opt credit: Num<'a> = "credit",
        /// Credit in use.
        opt credit_used: Num<'a> = "credit_used",
    }
}

/// Result of `Balance`: asset code and amount.
pub type BalanceResult<'a> = Entries<'a, Num<'a>>;

wire_object! {
    /// Description of an order.
    OrderDescription {
        /// Altname of the pair.
        req pair: Text<'a> = "pair",
        /// Side.
        req side: Tag<'a, Side> = "type",
        /// Type.
        req order_type: Tag<'a, OrderType> = "ordertype",
        /// Limit price, or trigger price of triggered types.
        req price: Num<'a> = "price",
        /// Limit price of triggered limit types.
        opt price2: Num<'a> = "price2",
        /// Leverage.
        opt leverage: Text<'a> = "leverage",
        /// In words.
        opt order: Text<'a> = "order",
        /// Conditional close in words.
        opt close: Text<'a> = "close",
        /// Asset class.
        opt aclass: Text<'a> = "aclass",
    }
}

wire_object! {
    /// One order.
    OrderRow {
        /// Order that spawned it.
        opt refid: Text<'a> = "refid",
        /// Group tag.
        opt userref: i64 = "userref",
        /// Our id.
        opt cl_ord_id: Text<'a> = "cl_ord_id",
        /// State.
        req status: Tag<'a, RestOrderStatus> = "status",
        /// Why it ended.
        opt reason: Text<'a> = "reason",
        /// Accepted at.
        req opentm: Num<'a> = "opentm",
        /// Ended at.
        opt closetm: Num<'a> = "closetm",
        /// Scheduled start.
        opt starttm: Num<'a> = "starttm",
        /// End; 0 for none.
        opt expiretm: Num<'a> = "expiretm",
        /// Terms.
        req descr: OrderDescription<'a> = "descr",
        /// Quantity.
        req vol: Num<'a> = "vol",
        /// Filled quantity.
        req vol_exec: Num<'a> = "vol_exec",
        /// Cost of the fills.
        req cost: Num<'a> = "cost",
        /// Fees of the fills.
        req fee: Num<'a> = "fee",
        /// Average price of the fills.
        req price: Num<'a> = "price",
        /// Trigger price.
        opt stopprice: Num<'a> = "stopprice",
        /// Limit price after the trigger.
        opt limitprice: Num<'a> = "limitprice",
        /// Price that fires the trigger.
        opt trigger: Text<'a> = "trigger",
        /// Flags.
        opt misc: Text<'a> = "misc",
        /// Option flags.
        opt oflags: Text<'a> = "oflags",
        /// How long it stays.
        opt time_in_force: Text<'a> = "timeinforce",
        /// Ids of its fills.
        opt trades: Vec<Text<'a>> = "trades",
        /// Margin.
        opt margin: bool = "margin",
        /// Sub-account.
        opt sender_sub_id: Text<'a> = "sender_sub_id",
    }
}

wire_object! {
    /// Result of `OpenOrders`.
    OpenOrdersResult {
        /// Orders by the venue's id.
        req open: Entries<'a, OrderRow<'a>> = "open",
    }
}

wire_object! {
    /// Result of `ClosedOrders`.
    ClosedOrdersResult {
        /// Orders by the venue's id, newest first, 50 per page.
        req closed: Entries<'a, OrderRow<'a>> = "closed",
        /// Number of all matching orders.
        opt count: u64 = "count",
    }
}

/// Result of `QueryOrders`.
pub type QueryOrdersResult<'a> = Entries<'a, OrderRow<'a>>;

wire_object! {
    /// One fill.
    TradeRow {
        /// The order's id.
        req ordertxid: Text<'a> = "ordertxid",
        /// Position.
        opt postxid: Text<'a> = "postxid",
        /// Pair id.
        req pair: Text<'a> = "pair",
        /// When.
        req time: Num<'a> = "time",
        /// Side.
        req side: Tag<'a, Side> = "type",
        /// Type of the order.
        opt order_type: Tag<'a, OrderType> = "ordertype",
        /// Price.
        req price: Num<'a> = "price",
        /// Cost.
        req cost: Num<'a> = "cost",
        /// Fee.
        req fee: Num<'a> = "fee",
        /// Quantity.
        req vol: Num<'a> = "vol",
        /// Margin used.
        opt margin: Num<'a> = "margin",
        /// Leverage.
        opt leverage: Num<'a> = "leverage",
        /// Flags.
        opt misc: Text<'a> = "misc",
        /// Number of the print within the pair.
        opt trade_id: u64 = "trade_id",
        /// Whether our order rested.
        opt maker: bool = "maker",
        /// Ledger entries.
        opt ledgers: Vec<Text<'a>> = "ledgers",
        /// Our order id.
        opt cl_ord_id: Text<'a> = "cl_ord_id",
    }
}

wire_object! {
    /// Result of `TradesHistory`.
    TradesHistoryResult {
        /// Fills by id, newest first, 50 per page.
        req trades: Entries<'a, TradeRow<'a>> = "trades",
        /// Number of all matching fills.
        opt count: u64 = "count",
    }
}

wire_object! {
    /// One ledger entry.
    LedgerRow {
        /// What it refers to.
        req refid: Text<'a> = "refid",
        /// When.
        req time: Num<'a> = "time",
        /// Kind.
        req kind: Text<'a> = "type",
        /// Sub-kind.
        opt subtype: Text<'a> = "subtype",
        /// Class.
        opt aclass: Text<'a> = "aclass",
        /// Asset code.
        req asset: Text<'a> = "asset",
        /// Signed amount.
        req amount: Num<'a> = "amount",
        /// Fee, deducted in addition.
        req fee: Num<'a> = "fee",
        /// Balance afterwards.
        req balance: Num<'a> = "balance",
    }
}

wire_object! {
    /// Result of `Ledgers`.
    LedgersResult {
        /// Entries by id, newest first, 50 per page.
        req ledger: Entries<'a, LedgerRow<'a>> = "ledger",
        /// Number of all matching entries.
        opt count: u64 = "count",
    }
}

wire_object! {
    /// Fee rates of one pair.
    FeeRateRow {
        /// Rate, percent.
        req fee: Num<'a> = "fee",
        /// Lowest rate.
        opt min_fee: Num<'a> = "minfee" | "min_fee",
        /// Highest rate.
        opt max_fee: Num<'a> = "maxfee" | "max_fee",
        /// Next rate.
        opt next_fee: Num<'a> = "nextfee" | "next_fee",
        /// Volume of the next rate.
        opt next_volume: Num<'a> = "nextvolume" | "next_volume",
        /// Volume of this rate.
        opt tier_volume: Num<'a> = "tiervolume" | "tier_volume",
    }
}

wire_object! {
    /// Result of `TradeVolume`.
    TradeVolumeResult {
        /// Asset of the volume.
        req currency: Text<'a> = "currency",
        /// Volume of 30 days.
        req volume: Num<'a> = "volume",
        /// Taker rates by pair id.
        opt fees: Entries<'a, FeeRateRow<'a>> = "fees",
        /// Maker rates by pair id.
        opt fees_maker: Entries<'a, FeeRateRow<'a>> = "fees_maker",
    }
}

wire_object! {
    /// Result of `CancelOrder` and `CancelAll`.
    CancelResult {
        /// Number of cancelled orders.
        req count: u64 = "count",
        /// Whether it is still in progress.
        opt pending: bool = "pending",
    }
}

/// A result that nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyResult;

impl<'de> Deserialize<'de> for AnyResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl<T: crate::kraken::wire::Unknowns> crate::kraken::wire::Unknowns for Entries<'_, T> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(crate::kraken::wire::Unknown<'_>)) {
        for (_, value) in &self.0 {
            value.visit_unknowns(sink);
        }
    }
}
