//! Vocabularies of recorded market data, state and epochs.

use crate::closed_vocabulary;

closed_vocabulary! {
    /// Data venue; its number is the raw tables' `venue`.
    pub Venue {
        /// Kraken spot, 0.
        KrakenSpot = "KRAKEN_SPOT",
        /// Kraken Futures, 1.
        KrakenFutures = "KRAKEN_FUTURES",
        /// Binance USD-M, 2.
        BinanceUm = "BINANCE_UM",
    }
}

impl Venue {
    /// Number in the raw tables' `venue` column.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::KrakenSpot => 0,
            Self::KrakenFutures => 1,
            Self::BinanceUm => 2,
        }
    }

    /// Reads the number; `None` for anything but 0, 1, 2.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::KrakenSpot),
            1 => Some(Self::KrakenFutures),
            2 => Some(Self::BinanceUm),
            _ => None,
        }
    }
}

closed_vocabulary! {
    /// Input stream of a run; all seven share one counter `seq`.
    pub RawStream {
        /// `ticker_samples`.
        Ticker = "ticker",
        /// `trade_samples`.
        Trade = "trade",
        /// `l2_snap_metrics`.
        L2 = "l2",
        /// `l3_queue_metrics`.
        L3 = "l3",
        /// `ingest_stream_events`.
        Status = "status",
        /// `deriv_ticker_samples`.
        DerivTicker = "deriv_ticker",
        /// `liquidation_samples`.
        Liquidation = "liquidation",
    }
}

closed_vocabulary! {
    /// Kind of a row of `ingest_stream_events`.
    pub StatusKind {
        /// A socket was opened.
        Connect = "connect",
        /// A socket was lost or closed.
        Disconnect = "disconnect",
        /// Blind from `gap_from` on; opens a gap.
        Gap = "gap",
        /// Closes a gap at `gap_to`.
        Recovered = "recovered",
        /// A book was asked for anew.
        Resync = "resync",
        /// A book's checksum did not match.
        ChecksumFail = "checksum_fail",
        /// The venue refused a subscription.
        SubscribeReject = "subscribe_reject",
        /// Numbered rows were shed; carries their range.
        RawDrop = "raw_drop",
        /// The venue limited our rate.
        RateLimited = "rate_limited",
        /// Quotes withdrawn for silence, delay or stall.
        Silent = "silent",
        /// Quotes returned after `silent`.
        Heard = "heard",
    }
}

closed_vocabulary! {
    /// Market regime of a symbol, computed once at the cut.
    pub Regime {
        /// Neither trend nor unusual volatility.
        Range = "RANGE",
        /// Directed movement.
        Trend = "TREND",
        /// Volatility above its limit.
        HighVolatility = "HIGH_VOLATILITY",
        /// Too little trade or depth.
        LowLiquidity = "LOW_LIQUIDITY",
        /// Spread or volatility beyond what may be traded.
        Chaos = "CHAOS",
    }
}

closed_vocabulary! {
    /// Refinement of `CHAOS`.
    pub RegimeSub {
        /// Chaos with a direction.
        ChaosDirectional = "chaos_directional",
        /// Chaos without one.
        ChaosNoise = "chaos_noise",
    }
}

closed_vocabulary! {
    /// Judgement of an epoch.
    pub EpochStatus {
        /// Window still open.
        Pending = "pending",
        /// Entries and exits.
        Valid = "valid",
        /// Exits only.
        Degraded = "degraded",
        /// No binding.
        Invalid = "invalid",
    }
}

closed_vocabulary! {
    /// How much of the order-by-order books an epoch saw.
    pub L3Mode {
        /// Enough.
        Ok = "ok",
        /// Some.
        Partial = "partial",
        /// First epoch of a process.
        Cold = "cold",
        /// None.
        Absent = "absent",
        /// Switched off.
        Off = "off",
    }
}

closed_vocabulary! {
    /// Effective safety mode of a symbol, weakest first.
    pub SafetyMode {
        /// No live cause.
        Normal = "normal",
        /// No entries for a while.
        Quiet = "quiet",
        /// Exits only.
        ExitOnly = "exit_only",
        /// No entries and no re-pegs.
        HardBlocked = "hard_blocked",
    }
}
