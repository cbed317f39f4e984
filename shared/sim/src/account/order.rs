//! One order of the account, its trades, its reports, and the state machine of its status.
//!
//! Inputs: the matching engine's events. Outputs: the next status, or an illegal transition.
//! Invariant: `step` lists every pair of status and event; a terminal order never changes. It does
//! not touch books or balances.

use crate::exchange::{OrderNo, Price, Qty, Side, SymbolNo};
use rust_decimal::Decimal;

/// Kinds of orders this venue takes; all others are refused as invalid arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// Rests at its limit price.
    Limit,
    /// Takes what the book has.
    Market,
    /// A market order once the last trade has reached the trigger.
    StopLoss,
}

impl OrderKind {
    /// The wire word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            OrderKind::Limit => "limit",
            OrderKind::Market => "market",
            OrderKind::StopLoss => "stop-loss",
        }
    }
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// Until its expire time.
    Gtd,
    /// What does not match at once is cancelled.
    Ioc,
    /// All at once, or nothing.
    Fok,
}

impl TimeInForce {
    /// The upper-case word of reports and REST.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Gtd => "GTD",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        }
    }
}

/// What happens when the account would trade with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTrade {
    /// The arriving order ends.
    CancelNewest,
    /// The resting order ends.
    CancelOldest,
    /// Both end.
    CancelBoth,
}

/// The asset a fee is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeePreference {
    /// Base asset, as far as the account has it.
    Base,
    /// Quote asset.
    Quote,
}

/// Status of an order, as in `order_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderStatus {
    /// Validated, not yet live.
    PendingNew,
    /// In the book, or its trigger is armed.
    New,
    /// Live with fills.
    PartiallyFilled,
    /// Complete.
    Filled,
    /// Ended by a request, by self-trade prevention or by a rule.
    Canceled,
    /// Ended by time.
    Expired,
}

impl OrderStatus {
    /// All values.
    pub const ALL: [OrderStatus; 6] = [
        OrderStatus::PendingNew,
        OrderStatus::New,
        OrderStatus::PartiallyFilled,
        OrderStatus::Filled,
        OrderStatus::Canceled,
        OrderStatus::Expired,
    ];

    /// The wire word of `order_status`.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            OrderStatus::PendingNew => "pending_new",
            OrderStatus::New => "new",
            OrderStatus::PartiallyFilled => "partially_filled",
            OrderStatus::Filled => "filled",
            OrderStatus::Canceled => "canceled",
            OrderStatus::Expired => "expired",
        }
    }

    /// The word REST uses for it.
    #[must_use]
    pub fn rest_text(self) -> &'static str {
        match self {
            OrderStatus::PendingNew => "pending",
            OrderStatus::New | OrderStatus::PartiallyFilled => "open",
            OrderStatus::Filled => "closed",
            OrderStatus::Canceled => "canceled",
            OrderStatus::Expired => "expired",
        }
    }

    /// True when nothing more can happen to the order.
    #[must_use]
    pub fn terminal(self) -> bool {
        match self {
            OrderStatus::Filled | OrderStatus::Canceled | OrderStatus::Expired => true,
            OrderStatus::PendingNew | OrderStatus::New | OrderStatus::PartiallyFilled => false,
        }
    }
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// It goes live.
    Accepted,
    /// It trades and something is left.
    TradedPart,
    /// It trades and nothing is left.
    TradedRest,
    /// Its terms change.
    Amended,
    /// Its trigger fires.
    Triggered,
    /// A request, self-trade prevention or a rule ends it.
    Canceled,
    /// Time ends it.
    Expired,
}

impl OrderEvent {
    /// All values.
    pub const ALL: [OrderEvent; 7] = [
        OrderEvent::Accepted,
        OrderEvent::TradedPart,
        OrderEvent::TradedRest,
        OrderEvent::Amended,
        OrderEvent::Triggered,
        OrderEvent::Canceled,
        OrderEvent::Expired,
    ];
}

/// An event that cannot happen in that status: a bug of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event:?} is not possible in order status {status:?}")]
pub struct IllegalTransition {
    /// Status before.
    pub status: OrderStatus,
    /// The event.
    pub event: OrderEvent,
}

/// The next status of an order.
///
/// # Errors
/// The pair is not possible.
pub fn step(status: OrderStatus, event: OrderEvent) -> Result<OrderStatus, IllegalTransition> {
    use OrderEvent as E;
    use OrderStatus as S;
    match (status, event) {
        (S::PendingNew, E::Accepted) => Ok(S::New),
        (S::PendingNew | S::New | S::PartiallyFilled, E::Canceled) => Ok(S::Canceled),
        (S::PendingNew | S::New | S::PartiallyFilled, E::Expired) => Ok(S::Expired),
        (S::New | S::PartiallyFilled, E::TradedPart) => Ok(S::PartiallyFilled),
        (S::New | S::PartiallyFilled, E::TradedRest) => Ok(S::Filled),
        (S::New, E::Amended | E::Triggered) => Ok(S::New),
        (S::PartiallyFilled, E::Amended) => Ok(S::PartiallyFilled),
        (S::PendingNew, E::TradedPart | E::TradedRest | E::Amended | E::Triggered)
        | (S::New | S::PartiallyFilled, E::Accepted)
        | (S::PartiallyFilled, E::Triggered)
        | (
            S::Filled | S::Canceled | S::Expired,
            E::Accepted
            | E::TradedPart
            | E::TradedRest
            | E::Amended
            | E::Triggered
            | E::Canceled
            | E::Expired,
        ) => Err(IllegalTransition { status, event }),
    }
}

/// One order of the account.
#[derive(Clone, Debug)]
pub struct Order {
    /// Number in the book.
    pub no: OrderNo,
    /// The venue's id, `O?????-?????-??????`.
    pub txid: String,
    /// The client's id.
    pub cl_ord_id: Option<String>,
    /// The client's tag, 0 when unset.
    pub userref: i64,
    /// The symbol.
    pub symbol: SymbolNo,
    /// Buy or sell.
    pub side: Side,
    /// Its kind.
    pub kind: OrderKind,
    /// Ordered quantity.
    pub qty: Qty,
    /// Limit price of a limit order.
    pub limit: Option<Price>,
    /// Trigger price of a stop.
    pub trigger: Option<Price>,
    /// True once the trigger has fired.
    pub triggered: bool,
    /// How long it lives.
    pub tif: TimeInForce,
    /// When a GTD order ends, µs.
    pub expire_us: Option<i64>,
    /// Never takes.
    pub post_only: bool,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// Asset of its fees.
    pub fee_preference: FeePreference,
    /// Quote amount of a market order by cost.
    pub cash_qty: Option<Decimal>,
    /// Where it stands.
    pub status: OrderStatus,
    /// Quantity traded.
    pub cum_qty: Qty,
    /// Cost traded, quote.
    pub cum_cost: Decimal,
    /// Fees paid in quote.
    pub fee_quote: Decimal,
    /// Fees paid in base.
    pub fee_base: Decimal,
    /// Entry, µs.
    pub opened_us: i64,
    /// Entry or last amend, µs: the age that a cancel is charged by.
    pub changed_us: i64,
    /// End, µs.
    pub closed_us: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// True after an amend.
    pub amended: bool,
    /// Ids of its trades in their order.
    pub trades: Vec<String>,
    /// What it holds of the account, in the asset it would pay with.
    pub hold: Decimal,
}

impl Order {
    /// What is left to trade.
    #[must_use]
    pub fn left(&self) -> Qty {
        self.qty.less(self.cum_qty)
    }

    /// A stop whose trigger has not fired.
    #[must_use]
    pub fn armed(&self) -> bool {
        self.kind == OrderKind::StopLoss && !self.triggered && !self.status.terminal()
    }
}

/// One fill of the account.
#[derive(Clone, Debug)]
pub struct AccountTrade {
    /// The venue's id, `T?????-?????-??????`; `exec_id` of the stream.
    pub txid: String,
    /// Number of the public print.
    pub trade_id: u64,
    /// The order's venue id.
    pub order_txid: String,
    /// The order's client id.
    pub cl_ord_id: Option<String>,
    /// The symbol.
    pub symbol: SymbolNo,
    /// Side of the account.
    pub side: Side,
    /// Kind of the order.
    pub kind: OrderKind,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Exact cost, price times quantity.
    pub cost: Decimal,
    /// Fee in `fee_asset`.
    pub fee: Decimal,
    /// Asset of the fee, plain code.
    pub fee_asset: String,
    /// True when the account's order rested.
    pub maker: bool,
    /// Engine time, µs.
    pub ts_us: i64,
    /// Ids of its two ledger entries.
    pub ledgers: [String; 2],
}

/// What a report is about, as in `exec_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecType {
    /// Validated.
    PendingNew,
    /// Live.
    New,
    /// One fill.
    Trade,
    /// Completion notice.
    Filled,
    /// Terms changed by a request.
    Amended,
    /// The trigger fired.
    Status,
    /// Ended.
    Canceled,
    /// Ended by time.
    Expired,
}

impl ExecType {
    /// The wire word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            ExecType::PendingNew => "pending_new",
            ExecType::New => "new",
            ExecType::Trade => "trade",
            ExecType::Filled => "filled",
            ExecType::Amended => "amended",
            ExecType::Status => "status",
            ExecType::Canceled => "canceled",
            ExecType::Expired => "expired",
        }
    }
}

/// One report of the `executions` stream, with the order as it was right after the event.
#[derive(Clone, Debug)]
pub struct ExecReport {
    /// What happened.
    pub exec_type: ExecType,
    /// The order after it.
    pub order: Order,
    /// The fill of a `Trade` report.
    pub trade: Option<AccountTrade>,
    /// Engine time, µs.
    pub ts_us: i64,
    /// Engine counter of the pair after the event.
    pub ratecount: Decimal,
}

/// One ledger entry.
#[derive(Clone, Debug)]
pub struct BalanceChange {
    /// The venue's id, `L?????-?????-??????`.
    pub ledger_id: String,
    /// Trade id of a fill, else an id of its own.
    pub ref_id: String,
    /// Engine time, µs.
    pub ts_us: i64,
    /// `trade`, `deposit`, `withdrawal` or `adjustment`.
    pub kind: &'static str,
    /// Plain code of the asset.
    pub asset: String,
    /// Signed change without the fee.
    pub amount: Decimal,
    /// Fee, taken in addition to the amount.
    pub fee: Decimal,
    /// Total balance after it.
    pub balance: Decimal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_status_and_event_is_decided_and_terminal_orders_never_change() {
        let mut legal = Vec::new();
        for status in OrderStatus::ALL {
            for event in OrderEvent::ALL {
                match step(status, event) {
                    Ok(next) => {
                        assert!(!status.terminal(), "{status:?} {event:?}");
                        legal.push((status, event, next));
                    }
                    Err(error) => assert_eq!((error.status, error.event), (status, event)),
                }
            }
        }
        use OrderEvent as E;
        use OrderStatus as S;
        let table = [
            (S::PendingNew, E::Accepted, S::New),
            (S::PendingNew, E::Canceled, S::Canceled),
            (S::PendingNew, E::Expired, S::Expired),
            (S::New, E::TradedPart, S::PartiallyFilled),
            (S::New, E::TradedRest, S::Filled),
            (S::New, E::Amended, S::New),
            (S::New, E::Triggered, S::New),
            (S::New, E::Canceled, S::Canceled),
            (S::New, E::Expired, S::Expired),
            (S::PartiallyFilled, E::TradedPart, S::PartiallyFilled),
            (S::PartiallyFilled, E::TradedRest, S::Filled),
            (S::PartiallyFilled, E::Amended, S::PartiallyFilled),
            (S::PartiallyFilled, E::Canceled, S::Canceled),
            (S::PartiallyFilled, E::Expired, S::Expired),
        ];
        assert_eq!(legal, table);
    }

    #[test]
    fn the_document_names_every_status_with_the_statuses_that_follow() {
        let document = include_str!("../../../../docs/venue-sim.md");
        for status in OrderStatus::ALL.into_iter().filter(|status| !status.terminal()) {
            let head = format!("| `{}` |", status.text());
            let row = document.lines().find(|line| line.starts_with(&head)).expect("a row");
            let next = OrderEvent::ALL.into_iter().filter_map(|event| step(status, event).ok());
            for next in next {
                assert!(row.contains(&format!("→ `{}`", next.text())), "{status:?} to {next:?}");
            }
            let follows = |other: &&OrderStatus| {
                OrderEvent::ALL.into_iter().any(|event| step(status, event) == Ok(**other))
            };
            let reachable = OrderStatus::ALL.iter().filter(follows).count();
            assert_eq!(row.matches("→ `").count(), reachable, "{status:?}");
        }
    }
}
