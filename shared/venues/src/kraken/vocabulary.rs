//! The closed vocabularies of Kraken spot, with their wire words.
//!
//! Each is an enum whose words are exactly those of the wire; words outside of it are kept by
//! [`Tag`](super::wire::Tag) and counted by the reader. It holds no behaviour.

use super::wire::{Vocabulary, vocabulary};

vocabulary! {
    /// Whether a channel message is an image or a change.
    MessageKind {
        /// The whole state.
        Snapshot = "snapshot",
        /// A change to it.
        Update = "update",
    }
}

pub use penstock_types::vocab::Side;

impl Vocabulary for Side {
    const NAME: &'static str = "Side";

    fn from_wire(word: &str) -> Option<Self> {
        match word {
            "buy" => Some(Self::Buy),
            "sell" => Some(Self::Sell),
            _ => None,
        }
    }

    fn wire(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

vocabulary! {
    /// Order types that requests and reports use.
    OrderType {
        /// Limit.
        Limit = "limit",
        /// Market.
        Market = "market",
        /// Limit of which only a part is shown.
        Iceberg = "iceberg",
        /// Market order armed by a trigger against the position.
        StopLoss = "stop-loss",
        /// Limit order armed by the same trigger.
        StopLossLimit = "stop-loss-limit",
        /// Market order armed by a trigger in favour of the position.
        TakeProfit = "take-profit",
        /// Limit order armed by the same trigger.
        TakeProfitLimit = "take-profit-limit",
        /// Stop that follows the price.
        TrailingStop = "trailing-stop",
        /// Limit form of it.
        TrailingStopLimit = "trailing-stop-limit",
        /// Closes a margin position.
        SettlePosition = "settle-position",
    }
}

vocabulary! {
    /// How long an order stays, as requests write it.
    TimeInForce {
        /// Until cancelled.
        Gtc = "gtc",
        /// Until a date.
        Gtd = "gtd",
        /// What does not trade at once is cancelled.
        Ioc = "ioc",
        /// All at once or nothing.
        Fok = "fok",
    }
}

vocabulary! {
    /// How long an order stays, as reports write it.
    ReportTimeInForce {
        /// Until cancelled.
        Gtc = "GTC",
        /// Until a date.
        Gtd = "GTD",
        /// What does not trade at once is cancelled.
        Ioc = "IOC",
        /// All at once or nothing.
        Fok = "FOK",
    }
}

vocabulary! {
    /// What happens when an order would trade with another one of the same account.
    StpType {
        /// The arriving order ends.
        CancelNewest = "cancel_newest",
        /// The resting order ends.
        CancelOldest = "cancel_oldest",
        /// Both end.
        CancelBoth = "cancel_both",
    }
}

vocabulary! {
    /// Which price fires a trigger.
    TriggerReference {
        /// Last trade.
        Last = "last",
        /// Index of several venues.
        Index = "index",
    }
}

vocabulary! {
    /// How a price field is to be read.
    PriceType {
        /// A price.
        Static = "static",
        /// Percent of the reference.
        Pct = "pct",
        /// An amount of the quote asset.
        Quote = "quote",
    }
}

vocabulary! {
    /// State of a trigger.
    TriggerStatus {
        /// Waiting.
        Untriggered = "untriggered",
        /// Fired.
        Triggered = "triggered",
    }
}

vocabulary! {
    /// What an execution report tells.
    ExecType {
        /// Accepted and validated, not live.
        PendingNew = "pending_new",
        /// Live in the book, or its trigger armed.
        New = "new",
        /// One fill; the only report that moves quantity.
        Trade = "trade",
        /// Completion notice with totals.
        Filled = "filled",
        /// The next slice of an iceberg is shown.
        IcebergRefill = "iceberg_refill",
        /// The user's amend was applied.
        Amended = "amended",
        /// The engine changed the order's terms.
        Restated = "restated",
        /// A trigger moved or fired.
        Status = "status",
        /// Ended by cancellation.
        Canceled = "canceled",
        /// Ended by its own terms.
        Expired = "expired",
    }
}

vocabulary! {
    /// Order state of an execution report.
    OrderStatus {
        /// Not live yet.
        PendingNew = "pending_new",
        /// Live.
        New = "new",
        /// Live with fills; the completing fill may still say so.
        PartiallyFilled = "partially_filled",
        /// Complete.
        Filled = "filled",
        /// Cancelled, fills kept.
        Canceled = "canceled",
        /// Expired, fills kept.
        Expired = "expired",
    }
}

vocabulary! {
    /// Role of our order in a fill.
    Liquidity {
        /// It rested.
        Maker = "m",
        /// It arrived.
        Taker = "t",
    }
}

vocabulary! {
    /// State of the whole trading engine.
    SystemStatus {
        /// Everything works.
        Online = "online",
        /// Nothing works.
        Maintenance = "maintenance",
        /// Only cancels.
        CancelOnly = "cancel_only",
        /// Only post-only limit orders and cancels.
        PostOnly = "post_only",
        /// Only limit orders and cancels.
        LimitOnly = "limit_only",
    }
}

vocabulary! {
    /// State of one pair.
    PairStatus {
        /// Everything works.
        Online = "online",
        /// Only cancels.
        CancelOnly = "cancel_only",
        /// Only post-only limit orders and cancels.
        PostOnly = "post_only",
        /// Only limit orders and cancels.
        LimitOnly = "limit_only",
        /// Only orders that reduce a position.
        ReduceOnly = "reduce_only",
        /// Nothing works.
        Maintenance = "maintenance",
        /// Gone.
        Delisted = "delisted",
        /// Not there yet.
        WorkInProgress = "work_in_progress",
    }
}

vocabulary! {
    /// State of an order in REST results.
    RestOrderStatus {
        /// Accepted, not live.
        Pending = "pending",
        /// Live.
        Open = "open",
        /// Complete.
        Closed = "closed",
        /// Cancelled.
        Canceled = "canceled",
        /// Expired.
        Expired = "expired",
    }
}

vocabulary! {
    /// When the ticker channel speaks.
    EventTrigger {
        /// On every trade.
        Trades = "trades",
        /// On every change of the best price or size.
        Bbo = "bbo",
    }
}

vocabulary! {
    /// What happened to one order of an order-by-order book.
    OrderEvent {
        /// It came, or came back into the window.
        Add = "add",
        /// Its quantity, its place or its price changed.
        Modify = "modify",
        /// It is gone.
        Delete = "delete",
    }
}
