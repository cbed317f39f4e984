//! Rows of the private channels: executions and balances.
//!
//! Input: the `data` of a channel message. Output: rows that borrow from the frame. Reports are
//! partial: an absent field means "unchanged", never zero, and reports after the first one omit
//! symbol and side. Only a row of type trade moves quantity. It folds nothing.

use super::vocabulary::{
    ExecType, Liquidity, OrderStatus, OrderType, PriceType, ReportTimeInForce, Side,
    TriggerReference, TriggerStatus,
};
use super::wire::{Num, Tag, Text, WireTime, wire_object};

wire_object! {
    /// One fee of a fill, in its own asset.
    FeeRow {
        /// The asset.
        req asset: Text<'a> = "asset",
        /// The amount.
        req qty: Num<'a> = "qty",
    }
}

wire_object! {
    /// Trigger of a stop or take-profit order.
    TriggersRow {
        /// Price that fires it: last trade or index.
        opt reference: Tag<'a, TriggerReference> = "reference",
        /// Trigger price.
        opt price: Num<'a> = "price",
        /// How the price is to be read.
        opt price_type: Tag<'a, PriceType> = "price_type",
        /// Price at which it fired.
        opt actual_price: Num<'a> = "actual_price",
        /// Best price seen by a trailing stop.
        opt peak_price: Num<'a> = "peak_price",
        /// Reference price at the time of the report.
        opt last_price: Num<'a> = "last_price",
        /// Waiting or fired.
        opt status: Tag<'a, TriggerStatus> = "status",
        /// When it fired.
        opt timestamp: WireTime = "timestamp",
    }
}

wire_object! {
    /// Template of a conditional close; never sent by us.
    ContingentRow {
        /// Type of the order that follows.
        opt order_type: Text<'a> = "order_type",
        /// Its trigger price.
        opt trigger_price: Num<'a> = "trigger_price",
        /// How that is to be read.
        opt trigger_price_type: Text<'a> = "trigger_price_type",
        /// Its limit price.
        opt limit_price: Num<'a> = "limit_price",
        /// How that is to be read.
        opt limit_price_type: Text<'a> = "limit_price_type",
    }
}

wire_object! {
    /// One execution report.
    ExecutionRow {
        /// What the report tells.
        req exec_type: Tag<'a, ExecType> = "exec_type",
        /// State of the order.
        req order_status: Tag<'a, OrderStatus> = "order_status",
        /// The venue's order id.
        req order_id: Text<'a> = "order_id",
        /// Our order id, if the order has one.
        opt cl_ord_id: Text<'a> = "cl_ord_id",
        /// Group tag; 0 when unset.
        opt order_userref: i64 = "order_userref",
        /// Event time.
        req timestamp: WireTime = "timestamp",
        /// Symbol; absent on most later reports.
        opt symbol: Text<'a> = "symbol",
        /// Side; absent on most later reports.
        opt side: Tag<'a, Side> = "side",
        /// Order type; absent on most later reports.
        opt order_type: Tag<'a, OrderType> = "order_type",
        /// Quantity, base asset.
        opt order_qty: Num<'a> = "order_qty",
        /// Limit price.
        opt limit_price: Num<'a> = "limit_price",
        /// How the limit price is to be read.
        opt limit_price_type: Tag<'a, PriceType> = "limit_price_type",
        /// Shown quantity.
        opt display_qty: Num<'a> = "display_qty",
        /// Shown quantity that remains.
        opt display_qty_remain: Num<'a> = "display_qty_remain",
        /// Quantity in quote asset.
        opt cash_order_qty: Num<'a> = "cash_order_qty",
        /// How long it stays.
        opt time_in_force: Tag<'a, ReportTimeInForce> = "time_in_force",
        /// Filled quantity so far.
        opt cum_qty: Num<'a> = "cum_qty",
        /// Filled cost so far.
        opt cum_cost: Num<'a> = "cum_cost",
        /// Average price so far.
        opt avg_price: Num<'a> = "avg_price",
        /// Identity of a fill.
        opt exec_id: Text<'a> = "exec_id",
        /// Number of the print within the symbol.
        opt trade_id: u64 = "trade_id",
        /// Quantity of this fill.
        opt last_qty: Num<'a> = "last_qty",
        /// Price of this fill.
        opt last_price: Num<'a> = "last_price",
        /// Cost of this fill.
        opt cost: Num<'a> = "cost",
        /// Maker or taker.
        opt liquidity_ind: Tag<'a, Liquidity> = "liquidity_ind",
        /// Fees of this fill.
        opt fees: Vec<FeeRow<'a>> = "fees",
        /// Whether the fill borrowed.
        opt margin_borrow: bool = "margin_borrow",
        /// Fee in USD, for information.
        opt fee_usd_equiv: Num<'a> = "fee_usd_equiv",
        /// Asset preference of fees (`fcib`, `fciq`).
        opt fee_ccy_pref: Text<'a> = "fee_ccy_pref",
        /// Why it ended or changed.
        opt reason: Text<'a> = "reason",
        /// Deprecated duplicate of the reason.
        opt cancel_reason: Text<'a> = "cancel_reason",
        /// Whether the order was ever amended.
        opt amended: bool = "amended",
        /// Post-only order.
        opt post_only: bool = "post_only",
        /// Reduce-only order.
        opt reduce_only: bool = "reduce_only",
        /// Margin order.
        opt margin: bool = "margin",
        /// Deprecated.
        opt no_mpp: bool = "no_mpp",
        /// Order of a liquidation.
        opt liquidated: bool = "liquidated",
        /// State of a margin position.
        opt position_status: Text<'a> = "position_status",
        /// Scheduled start.
        opt effective_time: WireTime = "effective_time",
        /// End of a GTD order.
        opt expire_time: WireTime = "expire_time",
        /// Order that spawned this one.
        opt ord_ref_id: Text<'a> = "ord_ref_id",
        /// Conditional close.
        opt contingent: ContingentRow<'a> = "contingent",
        /// Trigger of a stop or take-profit.
        opt triggers: TriggersRow<'a> = "triggers",
        /// Id given by another system.
        opt ext_ord_id: Text<'a> = "ext_ord_id",
        /// Id given by another system.
        opt ext_exec_id: Text<'a> = "ext_exec_id",
        /// Institutional sub-account.
        opt sender_sub_id: Text<'a> = "sender_sub_id",
        /// User of a master account.
        opt user: Text<'a> = "user",
        /// Deprecated duplicate of the trigger's price.
        opt stop_price: Num<'a> = "stop_price",
        /// Deprecated duplicate of the trigger's reference.
        opt trigger: Text<'a> = "trigger",
        /// Deprecated duplicate of the trigger's last price.
        opt triggered_price: Num<'a> = "triggered_price",
        /// Engine counter of the pair after this event.
        opt ratecount: Num<'a> = "ratecount",
    }
}

impl<'a> ExecutionRow<'a> {
    /// The reason under either of its names.
    pub fn reason_text(&self) -> Option<&Text<'a>> {
        self.reason.as_ref().or(self.cancel_reason.as_ref())
    }
}

wire_object! {
    /// Balance of one wallet.
    WalletRow {
        /// `spot` or `earn`.
        req kind: Text<'a> = "type",
        /// Wallet.
        req id: Text<'a> = "id",
        /// Amount.
        req balance: Num<'a> = "balance",
    }
}

wire_object! {
    /// Row of the balances channel: an image row, or one ledger entry of an update.
    BalanceRow {
        /// The asset, plain code.
        req asset: Text<'a> = "asset",
        /// Class of the asset.
        opt asset_class: Text<'a> = "asset_class",
        /// Total after the entry, holds of open orders not deducted.
        req balance: Num<'a> = "balance",
        /// Wallets; images only.
        opt wallets: Vec<WalletRow<'a>> = "wallets",
        /// Identity of the ledger entry; updates only.
        opt ledger_id: Text<'a> = "ledger_id",
        /// What it refers to; of a trade its fill.
        opt ref_id: Text<'a> = "ref_id",
        /// Time of the entry.
        opt timestamp: WireTime = "timestamp",
        /// Kind of the entry.
        opt kind: Text<'a> = "type",
        /// Sub-kind.
        opt subtype: Text<'a> = "subtype",
        /// Category.
        opt category: Text<'a> = "category",
        /// `spot` or `earn`.
        opt wallet_type: Text<'a> = "wallet_type",
        /// Wallet.
        opt wallet_id: Text<'a> = "wallet_id",
        /// Signed amount.
        opt amount: Num<'a> = "amount",
        /// Fee, deducted in addition to the amount.
        opt fee: Num<'a> = "fee",
        /// User of a master account.
        opt user: Text<'a> = "user",
    }
}
