//! Vocabularies of the decision: strategies, routes, blockers, modes, verdicts.

use crate::closed_vocabulary;

closed_vocabulary! {
    /// Strategy.
    pub Strategy {
        /// Earns the spread.
        Liquidity = "Liquidity",
        /// Follows a move.
        Momentum = "Momentum",
        /// Rests where much is traded.
        Volume = "Volume",
    }
}

closed_vocabulary! {
    /// Way of entering.
    pub RouteType {
        /// With the breakout.
        BreakoutContinuation = "BreakoutContinuation",
        /// Against exhaustion after a rise; short, shadow only.
        PumpFadeExhaustion = "PumpFadeExhaustion",
        /// After exhaustion of a fall.
        DumpReversal = "DumpReversal",
        /// Counter-move inside a trend.
        PullbackContinuation = "PullbackContinuation",
        /// Spread income at the bid.
        PassiveSpreadCapture = "PassiveSpreadCapture",
        /// Return to the volume-weighted price.
        MakerUnwindMeanReversion = "MakerUnwindMeanReversion",
    }
}

closed_vocabulary! {
    /// Planned holding time.
    pub Horizon {
        /// 3 minutes.
        Short = "Short",
        /// 10 minutes.
        Medium = "Medium",
        /// 30 minutes.
        Long = "Long",
    }
}

impl Horizon {
    /// Horizon in minutes.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Short => 3,
            Self::Medium => 10,
            Self::Long => 30,
        }
    }
}

closed_vocabulary! {
    /// How an entry is executed.
    pub EntryMode {
        /// Rests in the book.
        Maker = "maker",
        /// Takes from the book.
        Taker = "taker",
    }
}

closed_vocabulary! {
    /// Exit policy of a position.
    pub ExitPolicy {
        /// Of Liquidity.
        MakerLadder = "MakerLadder",
        /// Of Momentum.
        TrailingStop = "TrailingStop",
        /// Of Volume.
        TimeDecay = "TimeDecay",
        /// Of positions found or bought outside.
        Recovered = "Recovered",
    }
}

closed_vocabulary! {
    /// The one mode of the process, best first.
    pub SysMode {
        /// Entries allowed.
        Normal = "NORMAL",
        /// No entries; ends by itself.
        Degrade = "DEGRADE",
        /// No entries; mostly ended by a person.
        Pause = "PAUSE",
        /// The process ends.
        Exit = "EXIT",
    }
}

closed_vocabulary! {
    /// What made an evaluation start.
    pub Trigger {
        /// A new generation and the interval is over.
        Generation = "generation",
        /// A regime changed.
        Regime = "regime",
        /// No new generation for too long.
        Stale = "stale",
        /// Asked for.
        Manual = "manual",
    }
}

closed_vocabulary! {
    /// Verdict of a cycle.
    pub Verdict {
        /// At least one submit.
        Executed = "executed",
        /// Nothing was worth it.
        EconomicallyEmpty = "economically_empty",
        /// Data forbade it.
        DataBlocked = "data_blocked",
        /// Nothing to bind to.
        AttachBlocked = "attach_blocked",
        /// The mode forbade it.
        ModeBlocked = "mode_blocked",
        /// The cycle failed.
        Error = "error",
    }
}

closed_vocabulary! {
    /// Dominating blocker of a pair, in order of precedence.
    pub Blocker {
        /// 1: mode, or execution switched off.
        ModeBlocked = "ModeBlocked",
        /// 2.
        HardBlocked = "HardBlocked",
        /// 3: the symbol's safety mode.
        ExitOnly = "ExitOnly",
        /// 4.
        QuietMode = "QuietMode",
        /// 5.
        InstrumentNotOnline = "InstrumentNotOnline",
        /// 6.
        DataStale = "DataStale",
        /// 7.
        RouteStale = "RouteStale",
        /// 8.
        BookUnreliable = "BookUnreliable",
        /// 9.
        FeatureIncomplete = "FeatureIncomplete",
        /// 10.
        RegimeChaos = "RegimeChaos",
        /// 11.
        StrategyMismatch = "StrategyMismatch",
        /// 12.
        LowLiquidity = "LowLiquidity",
        /// 13.
        SpreadTooWide = "SpreadTooWide",
        /// 14.
        SpreadTooNarrow = "SpreadTooNarrow",
        /// 15.
        NoDirection = "NoDirection",
        /// 16.
        ConfidenceLow = "ConfidenceLow",
        /// 17.
        FillTimeTooLong = "FillTimeTooLong",
        /// 18.
        FillProbabilityLow = "FillProbabilityLow",
        /// 19.
        PositionOpen = "PositionOpen",
        /// 20.
        SymbolLocked = "SymbolLocked",
        /// 21.
        MoveBelowFees = "MoveBelowFees",
        /// 22.
        EdgeNegative = "EdgeNegative",
        /// 23.
        SurplusBelowFloor = "SurplusBelowFloor",
        /// 24.
        ExitInfeasible = "ExitInfeasible",
        /// 25.
        EngineBlocked = "EngineBlocked",
        /// 26.
        AiGateBlocked = "AiGateBlocked",
        /// 27.
        SizeBelowMinimum = "SizeBelowMinimum",
        /// 28.
        CapitalExhausted = "CapitalExhausted",
        /// 28.
        SlotLimit = "SlotLimit",
        /// 28.
        ExposureLimit = "ExposureLimit",
        /// 29.
        RateLimited = "RateLimited",
        /// 30.
        RiskBlocked = "RiskBlocked",
    }
}

closed_vocabulary! {
    /// Class of a blocker; decides the verdict.
    pub BlockerClass {
        /// Data and safety, 1 to 9.
        Data = "data",
        /// Economic, 10 to 24.
        Economic = "economic",
        /// Control, 25 to 30.
        Control = "control",
    }
}

impl Blocker {
    /// Precedence, 1 is strongest.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::ModeBlocked => 1,
            Self::HardBlocked => 2,
            Self::ExitOnly => 3,
            Self::QuietMode => 4,
            Self::InstrumentNotOnline => 5,
            Self::DataStale => 6,
            Self::RouteStale => 7,
            Self::BookUnreliable => 8,
            Self::FeatureIncomplete => 9,
            Self::RegimeChaos => 10,
            Self::StrategyMismatch => 11,
            Self::LowLiquidity => 12,
            Self::SpreadTooWide => 13,
            Self::SpreadTooNarrow => 14,
            Self::NoDirection => 15,
            Self::ConfidenceLow => 16,
            Self::FillTimeTooLong => 17,
            Self::FillProbabilityLow => 18,
            Self::PositionOpen => 19,
            Self::SymbolLocked => 20,
            Self::MoveBelowFees => 21,
            Self::EdgeNegative => 22,
            Self::SurplusBelowFloor => 23,
            Self::ExitInfeasible => 24,
            Self::EngineBlocked => 25,
            Self::AiGateBlocked => 26,
            Self::SizeBelowMinimum => 27,
            Self::CapitalExhausted | Self::SlotLimit | Self::ExposureLimit => 28,
            Self::RateLimited => 29,
            Self::RiskBlocked => 30,
        }
    }

    /// Class by rank.
    #[must_use]
    pub const fn class(self) -> BlockerClass {
        match self.rank() {
            0..=9 => BlockerClass::Data,
            10..=24 => BlockerClass::Economic,
            25..=u8::MAX => BlockerClass::Control,
        }
    }
}
