//! Closed vocabularies of the contracts that no table has in this form.
//!
//! Input: nothing. Output: words. Invariants: a word is added and never taken away; an unknown word invalidates what
//! carries it. Sides and times in force are written in capitals here and in lower case in rows, which are the venue's
//! words; the conversions are total.

use penstock_types::closed_vocabulary;
use penstock_types::vocab;

closed_vocabulary! {
    /// The one mode of a contract: there is no simulated one.
    pub Mode {
        /// Real orders.
        Live = "LIVE",
    }
}

closed_vocabulary! {
    /// Side of a decision or an order.
    pub Side {
        /// Buys base.
        Buy = "BUY",
        /// Sells base.
        Sell = "SELL",
    }
}

impl From<vocab::Side> for Side {
    fn from(side: vocab::Side) -> Self {
        match side {
            vocab::Side::Buy => Self::Buy,
            vocab::Side::Sell => Self::Sell,
        }
    }
}

closed_vocabulary! {
    /// What a decision wants.
    pub Intent {
        /// A new position.
        Entry = "ENTRY",
        /// The end of one.
        Exit = "EXIT",
        /// A change of what covers one.
        Manage = "MANAGE",
    }
}

closed_vocabulary! {
    /// Way of entering, or the absence of one.
    pub Route {
        /// With the breakout.
        BreakoutContinuation = "BreakoutContinuation",
        /// Against exhaustion after a rise.
        PumpFadeExhaustion = "PumpFadeExhaustion",
        /// After exhaustion of a fall.
        DumpReversal = "DumpReversal",
        /// Counter-move inside a trend.
        PullbackContinuation = "PullbackContinuation",
        /// Spread income at the bid.
        PassiveSpreadCapture = "PassiveSpreadCapture",
        /// Return to the volume-weighted price.
        MakerUnwindMeanReversion = "MakerUnwindMeanReversion",
        /// None.
        NoTrade = "NoTrade",
    }
}

impl From<vocab::RouteType> for Route {
    fn from(route: vocab::RouteType) -> Self {
        match route {
            vocab::RouteType::BreakoutContinuation => Self::BreakoutContinuation,
            vocab::RouteType::PumpFadeExhaustion => Self::PumpFadeExhaustion,
            vocab::RouteType::DumpReversal => Self::DumpReversal,
            vocab::RouteType::PullbackContinuation => Self::PullbackContinuation,
            vocab::RouteType::PassiveSpreadCapture => Self::PassiveSpreadCapture,
            vocab::RouteType::MakerUnwindMeanReversion => Self::MakerUnwindMeanReversion,
        }
    }
}

closed_vocabulary! {
    /// How an entry goes to the venue, the most urgent one first.
    pub EntryKind {
        /// Takes at any price.
        Market = "MARKET",
        /// Takes up to a limit, at once or not at all.
        Taker = "TAKER",
        /// Rests first.
        MakerFirst = "MAKER_FIRST",
    }
}

closed_vocabulary! {
    /// How long an order may live.
    pub TimeInForce {
        /// Until cancelled.
        Gtc = "GTC",
        /// At once or not at all.
        Ioc = "IOC",
        /// Until a time.
        Gtd = "GTD",
    }
}

impl From<vocab::TimeInForce> for TimeInForce {
    fn from(time: vocab::TimeInForce) -> Self {
        match time {
            vocab::TimeInForce::Gtc => Self::Gtc,
            vocab::TimeInForce::Ioc => Self::Ioc,
            vocab::TimeInForce::Gtd => Self::Gtd,
        }
    }
}

closed_vocabulary! {
    /// How a maker entry takes when it was not filled, the most urgent one first.
    pub FallbackKind {
        /// At any price.
        Market = "MARKET",
        /// Up to a limit.
        IocLimit = "IOC_LIMIT",
    }
}

closed_vocabulary! {
    /// What stands at the venue under a position.
    pub ProtectionKind {
        /// A stop that we move.
        StaticStop = "static_stop",
        /// A stop that the venue moves.
        NativeTrailing = "native_trailing",
    }
}

closed_vocabulary! {
    /// What is known of a pair's rules.
    pub QuantizationPolicy {
        /// Checked before an order is sent.
        Enforced = "ENFORCED",
        /// Recorded only.
        KnownNonEnforced = "KNOWN_NON_ENFORCED",
        /// A rule that is not understood: no entries.
        Unknown = "UNKNOWN",
    }
}

closed_vocabulary! {
    /// What the AI gate says.
    pub AiVerdict {
        /// No objection.
        Allow = "ALLOW",
        /// An objection.
        Block = "BLOCK",
        /// Only more cautiously.
        Modify = "MODIFY",
        /// Nothing that can be used.
        Error = "ERROR",
    }
}

closed_vocabulary! {
    /// What risk says.
    pub RiskVerdictType {
        /// Goes on.
        Allow = "ALLOW",
        /// Ends here.
        Block = "BLOCK",
    }
}

closed_vocabulary! {
    /// A regime in one of two words.
    pub RegimeLabel {
        /// Moves.
        Trend = "TREND",
        /// Rests.
        Range = "RANGE",
    }
}

closed_vocabulary! {
    /// Where a fee comes from.
    pub FeeSource {
        /// Asked for lately.
        Live = "live",
        /// Asked for some time ago.
        Cached = "cached",
        /// The venue's highest tier, for want of an answer.
        Bootstrap = "bootstrap",
    }
}

closed_vocabulary! {
    /// Length of a bar.
    pub Timeframe {
        /// Five minutes.
        FiveMinutes = "5m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_live_mode_exists() {
        assert_eq!(Mode::ALL, [Mode::Live]);
        for other in ["PAPER", "TEST", "live", "DEMO", ""] {
            assert!(Mode::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn words_of_rows_have_words_in_contracts() {
        for side in vocab::Side::ALL {
            assert_eq!(Side::from(*side).as_str(), side.as_str().to_uppercase());
        }
        for time in vocab::TimeInForce::ALL {
            assert_eq!(TimeInForce::from(*time).as_str(), time.as_str().to_uppercase());
        }
        for route in vocab::RouteType::ALL {
            assert_eq!(Route::from(*route).as_str(), route.as_str());
        }
    }
}
