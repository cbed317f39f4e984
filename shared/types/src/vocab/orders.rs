//! Vocabularies of orders, positions and exit plans.

use crate::closed_vocabulary;

closed_vocabulary! {
    /// Side of an order or fill; of a public trade: the taker's.
    pub Side {
        /// Buys base.
        Buy = "buy",
        /// Sells base.
        Sell = "sell",
    }
}

closed_vocabulary! {
    /// State of an order row.
    pub OrderState {
        /// Standby row: committed, submit not authorised.
        Created = "created",
        /// Committed; may or may not have reached the venue.
        PendingSubmit = "pending_submit",
        /// Sent, outcome unknown until proven.
        SubmitUnknown = "submit_unknown",
        /// Venue id known, resting or untriggered.
        AckedOpen = "acked_open",
        /// Partly executed and still live.
        PartiallyFilled = "partially_filled",
        /// Cancel sent, not confirmed.
        PendingCancel = "pending_cancel",
        /// Executed in full.
        Filled = "filled",
        /// Cancelled by us or the venue.
        Canceled = "canceled",
        /// Its time ran out.
        Expired = "expired",
        /// Refused, never live.
        Rejected = "rejected",
        /// Private stream lost while live.
        Suspect = "suspect",
        /// Stream back, not yet confirmed.
        ReconcileRequired = "reconcile_required",
        /// Proven absent after its deadline.
        LostOrRejected = "lost_or_rejected",
        /// Never sent.
        Error = "error",
    }
}

impl OrderState {
    /// Nothing further is expected of the order.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Filled
            | Self::Canceled
            | Self::Expired
            | Self::Rejected
            | Self::LostOrRejected
            | Self::Error => true,
            Self::Created
            | Self::PendingSubmit
            | Self::SubmitUnknown
            | Self::AckedOpen
            | Self::PartiallyFilled
            | Self::PendingCancel
            | Self::Suspect
            | Self::ReconcileRequired => false,
        }
    }
}

closed_vocabulary! {
    /// What an order is for.
    pub OrderRole {
        /// Opens a position.
        Entry = "entry",
        /// Resting stop under a position.
        Protection = "protection",
        /// Closes a position.
        Exit = "exit",
        /// Takes profit at a limit.
        ExitTp = "exit_tp",
        /// Tops dust up so that it can be sold.
        DustTopup = "dust_topup",
        /// Forced entry of a proof run.
        Proof = "proof",
    }
}

closed_vocabulary! {
    /// Order type as sent to the venue.
    pub OrderType {
        /// Limit.
        Limit = "limit",
        /// Market.
        Market = "market",
        /// Market when the trigger is reached.
        StopLoss = "stop-loss",
        /// Limit when the trigger is reached.
        StopLossLimit = "stop-loss-limit",
        /// Stop that the venue trails.
        TrailingStop = "trailing-stop",
    }
}

closed_vocabulary! {
    /// Time in force.
    pub TimeInForce {
        /// Until cancelled.
        Gtc = "gtc",
        /// Until a time.
        Gtd = "gtd",
        /// At once or not.
        Ioc = "ioc",
    }
}

closed_vocabulary! {
    /// How an order meets the book.
    pub ExecutionIntent {
        /// Entry that rests.
        MakerEntry = "MakerEntry",
        /// Entry that takes.
        TakerEntry = "TakerEntry",
        /// Exit that takes.
        TakerExit = "TakerExit",
        /// Exit that rests.
        MakerExit = "MakerExit",
        /// Protective stop.
        Protection = "Protection",
    }
}

closed_vocabulary! {
    /// Where a maker entry stands in the queue.
    pub QueueDecision {
        /// At the best price.
        Join = "join",
        /// One tick better.
        Improve = "improve",
    }
}

closed_vocabulary! {
    /// State of a position.
    pub PositionStatus {
        /// Held.
        Open = "open",
        /// Closing sequence running.
        Closing = "closing",
        /// Base is zero.
        Closed = "closed",
        /// Remainder below the venue's minimum.
        Dust = "dust",
    }
}

closed_vocabulary! {
    /// Where a position came from.
    pub PositionOrigin {
        /// An entry of ours.
        Strategy = "strategy",
        /// Bought outside this product.
        External = "external",
        /// Found at reconcile.
        Recovered = "recovered",
    }
}

closed_vocabulary! {
    /// State of an exit plan.
    pub PlanState {
        /// Committed with the first fill.
        Created = "created",
        /// Stop submitted.
        Arming = "arming",
        /// Stop live over the whole position.
        Armed = "armed",
        /// Stop above its first level.
        Trailing = "trailing",
        /// A close reason is decided.
        Triggered = "triggered",
        /// Closing sequence running.
        Exiting = "exiting",
        /// Base is zero.
        Closed = "closed",
        /// Base without a live stop beyond the grace.
        Unprotected = "unprotected",
        /// Remainder below the minimum.
        DustHold = "dust_hold",
    }
}

closed_vocabulary! {
    /// Why a position closed.
    pub ExitReason {
        /// Operator's flatten.
        Operator = "operator",
        /// Loss far beyond the stop.
        PanicExit = "panic_exit",
        /// Hard loss cap.
        LossCap = "loss_cap",
        /// The stop executed below take-profit.
        SlHit = "SL_hit",
        /// Regime changed against the position.
        RegimeExit = "regime_exit",
        /// Engine review.
        EngineExit = "engine_exit",
        /// Take-profit, also by the raised stop.
        TpHit = "TP_hit",
        /// Time stop.
        TimeStop = "time_stop",
        /// Loser that no longer moves.
        StalePosition = "stale_position",
    }
}
