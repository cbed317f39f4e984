//! Why something happened: the closed catalog of reasons, each with its family, its severity and what it means.
//!
//! Input: nothing. Output: words with their properties, and the generated catalog in `docs/reasons.md`. Invariants:
//! a word is added and never taken away or given another meaning, because rows and sealed files carry it; any other
//! text invalidates what carries it; "no reason" is an empty list. A reason is neither a stage nor an event.

use crate::closed_vocabulary;
use alloc::string::String;

closed_vocabulary! {
    /// How loud an alert of a reason is by itself.
    pub Severity {
        /// Something to know.
        Info = "INFO",
        /// Something to look at.
        Warn = "WARN",
        /// Something to act on.
        Crit = "CRIT",
    }
}

closed_vocabulary! {
    /// What part of the product a reason speaks of.
    pub ReasonFamily {
        /// None.
        Plain = "PLAIN",
        /// Operation of the services.
        Ops = "OPS",
        /// The AI gate.
        AiGate = "AIGATE",
        /// The venue, orders, protection.
        Exchange = "EXCHANGE",
        /// State of the market data and of the engine.
        State = "STATE",
        /// Rules of risk.
        Risk = "RISK",
        /// Routes, entries, exits.
        Strategy = "STRATEGY",
        /// Universe and ranking.
        Selection = "SELECTION",
    }
}

macro_rules! reasons {
    ($($family:ident { $($variant:ident = $text:literal, $severity:ident, $meaning:literal;)+ })+) => {
        closed_vocabulary! {
            /// A reason.
            pub ReasonCode { $($(#[doc = $meaning] $variant = $text),+),+ }
        }

        impl ReasonCode {
            /// What it speaks of.
            #[must_use]
            pub const fn family(self) -> ReasonFamily {
                match self { $($(Self::$variant)|+ => ReasonFamily::$family),+ }
            }

            /// Severity of an alert by itself; a change of mode raises it.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $($(Self::$variant => Severity::$severity),+),+ }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $($(Self::$variant => $meaning),+),+ }
            }
        }
    };
}

impl ReasonCode {
    /// Where its runbook stands, relative to the root of the repository: a section for a critical reason, a line for a
    /// warning; a reason that only informs has none.
    #[must_use]
    pub fn runbook(self) -> Option<String> {
        match self.severity() {
            Severity::Crit | Severity::Warn => {
                let family = self.family().as_str().to_ascii_lowercase();
                let anchor = self.as_str().to_ascii_lowercase();
                Some(alloc::format!("runbooks/{family}.md#{anchor}"))
            }
            Severity::Info => None,
        }
    }
}

reasons! {
    Plain {
        Ok = "OK", Info, "reserved; never used to fill a list";
    }
    Ops {
        AlertRaised = "ALERT_RAISED", Info, "an alert; never a first reason";
        CloseSafelyDust = "CLOSE_SAFELY_DUST", Info, "a remainder below the venue's least order stays as dust";
        CloseSafelyFailed = "CLOSE_SAFELY_FAILED", Crit, "the closing sequence has used up its attempts";
        DbWriterBackpressure = "DB_WRITER_BACKPRESSURE", Warn, "the audit writer slows those that write";
        DbWriterQueueHigh = "DB_WRITER_QUEUE_HIGH", Warn, "the audit writer's queue or lag is over its first mark";
        DbWriterQueueFull = "DB_WRITER_QUEUE_FULL", Crit, "the audit writer's queue or lag is over its last mark";
        DiskLowDegrade = "DISK_LOW_DEGRADE", Warn, "free bytes are at the limit of DEGRADE";
        DiskLowPause = "DISK_LOW_PAUSE", Crit, "free bytes are at the limit of PAUSE, or the device is full";
        DriftLimitExceeded = "DRIFT_LIMIT_EXCEEDED", Crit, "the drift score has reached the limit of DEGRADE";
        EnterDegrade = "ENTER_DEGRADE", Warn, "the mode worsened to DEGRADE";
        EnterExit = "ENTER_EXIT", Crit, "the mode worsened to EXIT";
        EnterPause = "ENTER_PAUSE", Crit, "the mode worsened to PAUSE";
        LoopStuckDegrade = "LOOP_STUCK_DEGRADE", Warn, "a loop has made no progress for the limit of DEGRADE";
        LoopStuckPause = "LOOP_STUCK_PAUSE", Crit, "a loop has made no progress for the limit of PAUSE";
        PauseNeedsManualProtection = "PAUSE_NEEDS_MANUAL_PROTECTION", Crit, "a position has no live protection and could not be closed";
        RestStaleDegrade = "REST_STALE_DEGRADE", Warn, "no call for the venue's truth has succeeded for the limit of DEGRADE";
        RestStalePause = "REST_STALE_PAUSE", Crit, "no call for the venue's truth has succeeded for the limit of PAUSE";
        WsStaleDegrade = "WS_STALE_DEGRADE", Warn, "sealed frames had no market data for the limit of DEGRADE";
        WsStalePause = "WS_STALE_PAUSE", Crit, "sealed frames had no market data for the limit of PAUSE";
        PauseNeedsManual = "PAUSE_NEEDS_MANUAL", Crit, "the state is ambiguous and waits for the operator";
        EnterNormal = "ENTER_NORMAL", Info, "back to NORMAL";
        OperatorRequest = "OPERATOR_REQUEST", Info, "the operator commanded it";
        LiveLockMissing = "LIVE_LOCK_MISSING", Crit, "a lock that live trading needs is not there";
        ChecklistFailed = "CHECKLIST_FAILED", Crit, "an item of the checklist failed";
        DbUnavailable = "DB_UNAVAILABLE", Crit, "the decision cluster takes no writes, or the spool in its place failed";
        AuditChainBroken = "AUDIT_CHAIN_BROKEN", Crit, "the audit trail does not verify";
        SingleWriterLost = "SINGLE_WRITER_LOST", Crit, "the fence was lost";
        InvariantViolation = "INVARIANT_VIOLATION", Crit, "something that never happens has happened";
        BackupFailed = "BACKUP_FAILED", Warn, "a backup is missing, late or unreadable";
        WebuiBindInvalid = "WEBUI_BIND_INVALID", Crit, "the panel was to listen beyond this machine";
        RestartLoop = "RESTART_LOOP", Crit, "the third broken invariant in ten minutes; the process stays down";
        LedgerMismatch = "LEDGER_MISMATCH", Crit, "a late fill, an overfill, an oversell, a position that is not its fills' sum";
        OrderStateIllegal = "ORDER_STATE_ILLEGAL", Crit, "the venue says what an order's state machine refuses";
        SpoolBacklog = "SPOOL_BACKLOG", Warn, "the raw spool is nearly full or does not load";
        RawDataLoss = "RAW_DATA_LOSS", Crit, "raw rows were shed, set apart or found corrupt";
        IngestFeedGap = "INGEST_FEED_GAP", Warn, "a venue's feed has a gap or is degraded";
        IngestPublishFailed = "INGEST_PUBLISH_FAILED", Crit, "an epoch, a snapshot or a frame could not be published";
        IngestHeartbeatMissing = "INGEST_HEARTBEAT_MISSING", Crit, "ingest shows no sign of life";
        ExecutionHeartbeatMissing = "EXECUTION_HEARTBEAT_MISSING", Crit, "execution shows no sign of life";
        AlertSinkFailed = "ALERT_SINK_FAILED", Warn, "a way out for alerts failed three times in a row";
    }
    AiGate {
        AigateModifyInvalid = "AIGATE_MODIFY_INVALID", Warn, "a change that the model asked for is not conservative";
        AigateParseFail = "AIGATE_PARSE_FAIL", Warn, "the answer is not JSON";
        AigateReasonUnknown = "AIGATE_REASON_UNKNOWN", Warn, "the answer has a reason outside this catalog";
        AigateSchemaInvalid = "AIGATE_SCHEMA_INVALID", Warn, "the answer is not of its schema";
        AigateTimeout = "AIGATE_TIMEOUT", Warn, "the time for the answer was used up";
        AigateHttpError = "AIGATE_HTTP_ERROR", Warn, "the request failed, or its status is no success";
        AigateEmptyResponse = "AIGATE_EMPTY_RESPONSE", Warn, "the answer has no choice or no content";
        AigateDisabled = "AIGATE_DISABLED", Info, "the gate is off";
        AigateOk = "AIGATE_OK", Info, "the model has no objection";
        AigateConcernCost = "AIGATE_CONCERN_COST", Info, "the model objects to the costs";
        AigateConcernRegime = "AIGATE_CONCERN_REGIME", Info, "the model objects to the regime";
        AigateConcernLiquidity = "AIGATE_CONCERN_LIQUIDITY", Info, "the model objects to the liquidity";
        AigateConcernProtection = "AIGATE_CONCERN_PROTECTION", Info, "the model objects to the protection";
    }
    Exchange {
        ExchangeTimestampRejected = "EXCHANGE_TIMESTAMP_REJECTED", Warn, "the venue refused a nonce or a deadline";
        ClientOrderIdInvalid = "CLIENT_ORDER_ID_INVALID", Crit, "an order id is not of our form or its check is wrong";
        ClientOrderIdReuseBlock = "CLIENT_ORDER_ID_REUSE_BLOCK", Crit, "an order id has been used before";
        FiltersDriftDetected = "FILTERS_DRIFT_DETECTED", Warn, "a pair's rules changed or contradict each other";
        FiltersRefreshed = "FILTERS_REFRESHED", Info, "a pair's new rules are in force";
        IntentConfirmedByRest = "INTENT_CONFIRMED_BY_REST", Info, "an unknown outcome is resolved: the order exists";
        IntentNotFoundByRest = "INTENT_NOT_FOUND_BY_REST", Warn, "an unknown outcome is resolved: the order is provably absent";
        IntentSentUnknown = "INTENT_SENT_UNKNOWN", Crit, "the outcome of a send is unknown";
        OrderCancelRejected = "ORDER_CANCEL_REJECTED", Warn, "the venue refused a cancel";
        OrderSubmitRejected = "ORDER_SUBMIT_REJECTED", Warn, "the venue refused an order";
        OrderSubmitTimeout = "ORDER_SUBMIT_TIMEOUT", Warn, "no answer to an order came in time";
        ProtectionInstallFailed = "PROTECTION_INSTALL_FAILED", Crit, "a stop could not be placed";
        ProtectionInvalidFilter = "PROTECTION_INVALID_FILTER", Warn, "a stop's price, quantity or type is not allowed";
        ProtectionInvalidMinNotional = "PROTECTION_INVALID_MIN_NOTIONAL", Warn, "a stop would be below the pair's least order";
        RateLimit418 = "RATE_LIMIT_418", Crit, "banned or locked out for a time";
        RateLimit429 = "RATE_LIMIT_429", Warn, "a venue throttles";
        ReconcileDiffDetected = "RECONCILE_DIFF_DETECTED", Warn, "the venue says something else than we do";
        RetryAfterApplied = "RETRY_AFTER_APPLIED", Info, "a wait that the venue asked for was kept";
        ExchangeDeadlineElapsed = "EXCHANGE_DEADLINE_ELAPSED", Info, "the venue refused an order that came late";
        ExchangeInsufficientFunds = "EXCHANGE_INSUFFICIENT_FUNDS", Warn, "the venue refused for want of balance";
        ExchangeUnavailable = "EXCHANGE_UNAVAILABLE", Warn, "the venue's engine or interface is offline";
        ExchangePairRestricted = "EXCHANGE_PAIR_RESTRICTED", Warn, "the pair does not trade as usual";
        ProtectionMissing = "PROTECTION_MISSING", Crit, "more than dust is not covered, for longer than the grace";
        ProtectionOversized = "PROTECTION_OVERSIZED", Warn, "a stop exceeds its position";
        ProtectionAmended = "PROTECTION_AMENDED", Info, "a stop's trigger was raised in place";
        PrivateStreamSilent = "PRIVATE_STREAM_SILENT", Warn, "the private stream has been quiet beyond its limit";
        OrderAmendRejected = "ORDER_AMEND_REJECTED", Warn, "the venue refused an amend; the old terms stand";
        ForeignOrderFound = "FOREIGN_ORDER_FOUND", Warn, "an open order was not created here";
        ProtectionReservedFunds = "PROTECTION_RESERVED_FUNDS", Crit, "a stop was refused because its base is held elsewhere";
        ExitCancelUnknown = "EXIT_CANCEL_UNKNOWN", Crit, "whether the stop is cancelled is unknown; the close has not begun";
        ProtectionUnconfirmed = "PROTECTION_UNCONFIRMED", Warn, "the venue has not confirmed a change of protection";
    }
    State {
        ClockDriftWarn = "CLOCK_DRIFT_WARN", Warn, "the clock is off by more than its limit";
        ImbalanceAgainst = "IMBALANCE_AGAINST", Info, "the book leans against the entry";
        MicrovolSpike = "MICROVOL_SPIKE", Info, "the last minute moves unusually";
        RegimeMismatch = "REGIME_MISMATCH", Info, "the regime does not offer the strategy or route";
        RegimeNoTrade = "REGIME_NO_TRADE", Info, "the regime is CHAOS";
        RegimeWeak = "REGIME_WEAK", Info, "the regime was kept although inputs are missing";
        SpreadBadVsNormal = "SPREAD_BAD_VS_NORMAL", Info, "the spread is half again its median";
        SpreadOpening = "SPREAD_OPENING", Info, "the spread widens";
        SymbolQuarantined = "SYMBOL_QUARANTINED", Warn, "the symbol is in quarantine";
        TimeSyncFail = "TIME_SYNC_FAIL", Warn, "the venue's time was not obtained";
        WsOooEvent = "WS_OOO_EVENT", Info, "a private event out of order was dropped";
        StateGenerationMismatch = "STATE_GENERATION_MISMATCH", Warn, "the generation gate refused, or the state is incomplete";
        EpochNotValid = "EPOCH_NOT_VALID", Warn, "no epoch has been valid within its time";
        LineageBreak = "LINEAGE_BREAK", Warn, "the lineage of the data changed";
        RouteStaleData = "ROUTE_STALE_DATA", Info, "the state is older than the route allows";
        DataStale = "DATA_STALE", Warn, "state, message or lease is older than anything allows";
        BookChecksumMismatch = "BOOK_CHECKSUM_MISMATCH", Warn, "the book is not whole";
        SymbolQuiet = "SYMBOL_QUIET", Warn, "the symbol is quiet";
        SymbolExitOnly = "SYMBOL_EXIT_ONLY", Warn, "the symbol may only be left";
        SymbolHardBlocked = "SYMBOL_HARD_BLOCKED", Warn, "the symbol is blocked";
        EngineStale = "ENGINE_STALE", Warn, "the engine is more than eight ticks behind";
        EngineFailed = "ENGINE_FAILED", Crit, "the engine has stopped";
        EngineWarmup = "ENGINE_WARMUP", Info, "the engine's baselines are not there yet";
        EngineDegraded = "ENGINE_DEGRADED", Info, "a venue that the token needs is not whole";
        EngineClusterBlock = "ENGINE_CLUSTER_BLOCK", Info, "the token's cluster unwinds";
        EngineFsmBlock = "ENGINE_FSM_BLOCK", Info, "the token's state takes no entry";
        EngineDirectionBlock = "ENGINE_DIRECTION_BLOCK", Info, "the token's direction is against the entry";
        EngineCostBlock = "ENGINE_COST_BLOCK", Info, "the market is too cheap to move";
        EngineExitReview = "ENGINE_EXIT_REVIEW", Info, "the engine asked for another look at an exit";
        QuoteStale = "QUOTE_STALE", Warn, "the quote was withdrawn or is too old";
        UniverseTooSmall = "UNIVERSE_TOO_SMALL", Warn, "fewer symbols may be traded than the least number";
        BindingsMismatch = "BINDINGS_MISMATCH", Crit, "the run binds tokens in another way than we do";
    }
    Risk {
        RiskCancelReplaceLimitHit = "RISK_CANCEL_REPLACE_LIMIT_HIT", Warn, "orders of the symbol were replaced too often";
        RiskChurnLimitHit = "RISK_CHURN_LIMIT_HIT", Warn, "orders of the symbol came and went too often";
        RiskCooldownActive = "RISK_COOLDOWN_ACTIVE", Info, "the symbol was stopped out a short time ago";
        RiskCorrelationTooHigh = "RISK_CORRELATION_TOO_HIGH", Info, "the symbol moves with what is held";
        RiskDailyLossLimit = "RISK_DAILY_LOSS_LIMIT", Crit, "the day's loss has reached its limit";
        RiskDiversifyApplied = "RISK_DIVERSIFY_APPLIED", Info, "a candidate gave way to one that moves differently";
        RiskDrawdownLimit = "RISK_DRAWDOWN_LIMIT", Crit, "the drawdown has reached its limit";
        RiskEntryAlreadyPending = "RISK_ENTRY_ALREADY_PENDING", Info, "the symbol has an entry under way";
        RiskExposureLimit = "RISK_EXPOSURE_LIMIT", Warn, "exposure of the symbol or in total would pass its limit";
        RiskInsufficientFreeBalance = "RISK_INSUFFICIENT_FREE_BALANCE", Warn, "free quote does not pay for it";
        RiskMaxOpenOrders = "RISK_MAX_OPEN_ORDERS", Warn, "as many entries are open as may be";
        RiskMaxTradesDay = "RISK_MAX_TRADES_DAY", Warn, "as many positions were opened today as may be";
        RiskMaxTradesWindow = "RISK_MAX_TRADES_WINDOW", Info, "as many positions of the symbol were opened in the window as may be";
        RiskPositionAlreadyOpen = "RISK_POSITION_ALREADY_OPEN", Info, "the symbol has a position";
        RiskSizeInvalid = "RISK_SIZE_INVALID", Warn, "no size passes";
        RiskSymbolLossStreak = "RISK_SYMBOL_LOSS_STREAK", Warn, "the symbol has lost too often in a row";
        RiskUnfilledOrderCountRisk = "RISK_UNFILLED_ORDER_COUNT_RISK", Warn, "the venue's counter of the pair is near its limit";
        RiskFeedLatency = "RISK_FEED_LATENCY", Warn, "the feed is late";
        RiskModeBlock = "RISK_MODE_BLOCK", Info, "the mode or the switch of execution takes no entry";
        RiskEdgeAfterModify = "RISK_EDGE_AFTER_MODIFY", Info, "after the gate's change the edge is below its least";
        RiskExposurePctTotal = "RISK_EXPOSURE_PCT_TOTAL", Warn, "open notional would pass its share of equity";
        RiskExposurePctSymbol = "RISK_EXPOSURE_PCT_SYMBOL", Warn, "the symbol's notional would pass its share of equity";
        RiskMaxOpenPositions = "RISK_MAX_OPEN_POSITIONS", Info, "as many positions are open as may be";
        RiskStrategySlots = "RISK_STRATEGY_SLOTS", Info, "the strategy's slots are used up";
        RiskOrderRate = "RISK_ORDER_RATE", Warn, "as many entries went out in a minute as may";
        RiskDailyLossPct = "RISK_DAILY_LOSS_PCT", Crit, "the day's loss has reached its share of equity";
        RiskBalanceStale = "RISK_BALANCE_STALE", Warn, "balances are unknown or too old";
        RiskSpreadJump = "RISK_SPREAD_JUMP", Info, "the spread has jumped since the state was cut";
        RiskPriceMoved = "RISK_PRICE_MOVED", Info, "the price has moved since the state was cut";
        RiskCapitalExhausted = "RISK_CAPITAL_EXHAUSTED", Warn, "a budget of the strategy or of a group is used up";
    }
    Strategy {
        StratConfigInvalid = "STRAT_CONFIG_INVALID", Crit, "the configuration is invalid and the start refused";
        StratEdgeBelowMin = "STRAT_EDGE_BELOW_MIN", Info, "the edge is below its least";
        StratEdgeOk = "STRAT_EDGE_OK", Info, "the edge suffices";
        StratEntryAbortedCost = "STRAT_ENTRY_ABORTED_COST", Info, "at a new price nothing is left over";
        StratEntryMakerTtl = "STRAT_ENTRY_MAKER_TTL", Info, "the resting entry's time is over";
        StratEntryTimeout = "STRAT_ENTRY_TIMEOUT", Info, "nothing was filled and nothing else may be tried";
        StratExitAtrTpSl = "STRAT_EXIT_ATR_TP_SL", Info, "the exit plan stands";
        StratExitInvalid = "STRAT_EXIT_INVALID", Info, "no exit plan is feasible";
        StratFallbackAllowed = "STRAT_FALLBACK_ALLOWED", Info, "the fallback may take";
        StratFallbackBlocked = "STRAT_FALLBACK_BLOCKED", Info, "the fallback may not take";
        StratFallbackIoc = "STRAT_FALLBACK_IOC", Info, "the fallback takes up to a limit";
        StratFallbackMarket = "STRAT_FALLBACK_MARKET", Info, "the fallback takes at market";
        StratImbalanceAgainst = "STRAT_IMBALANCE_AGAINST", Info, "the book's lean is against the route";
        StratImbalanceOk = "STRAT_IMBALANCE_OK", Info, "the book's lean suits the route";
        StratInputInvalid = "STRAT_INPUT_INVALID", Warn, "an input is there and unusable";
        StratMakerRejectedCrossesBook = "STRAT_MAKER_REJECTED_CROSSES_BOOK", Info, "a resting order would have crossed the book";
        StratMakerReprice = "STRAT_MAKER_REPRICE", Info, "a resting entry got a new price";
        StratMicrostructOk = "STRAT_MICROSTRUCT_OK", Info, "the filters of the book passed";
        StratMissingField = "STRAT_MISSING_FIELD", Warn, "a required input is absent";
        StratOk = "STRAT_OK", Info, "an entry is proposed";
        StratPullbackFail = "STRAT_PULLBACK_FAIL", Info, "the price is not in the zone of a pullback";
        StratPullbackOk = "STRAT_PULLBACK_OK", Info, "the price is in the zone of a pullback";
        StratRegimeRangeOk = "STRAT_REGIME_RANGE_OK", Info, "the regime offers the route as RANGE";
        StratRegimeTrendOk = "STRAT_REGIME_TREND_OK", Info, "the regime offers the route as TREND";
        StratRegimeWeak = "STRAT_REGIME_WEAK", Info, "confidence is below its least";
        StratSpreadOpening = "STRAT_SPREAD_OPENING", Info, "the spread widens too fast for the route";
        StratSpreadTooWide = "STRAT_SPREAD_TOO_WIDE", Info, "the spread is too wide for the route";
        StratTrailingArmAllowed = "STRAT_TRAILING_ARM_ALLOWED", Info, "the policy trails";
        StratTrailingArmBlocked = "STRAT_TRAILING_ARM_BLOCKED", Info, "the policy does not trail";
        StratVolumeLow = "STRAT_VOLUME_LOW", Info, "too little is traded for the route";
        StratVolumeOk = "STRAT_VOLUME_OK", Info, "enough is traded for the route";
        StratNoDirection = "STRAT_NO_DIRECTION", Info, "nothing gives a direction";
        StratFillTimeLong = "STRAT_FILL_TIME_LONG", Info, "a fill is expected too late";
        StratFillProbabilityLow = "STRAT_FILL_PROBABILITY_LOW", Info, "a fill is too unlikely";
        StratMoveBelowFees = "STRAT_MOVE_BELOW_FEES", Info, "the expected move does not pay the fees";
        StratEdgeNegative = "STRAT_EDGE_NEGATIVE", Info, "the edge is negative";
        StratSpreadTooNarrow = "STRAT_SPREAD_TOO_NARROW", Info, "the spread is too narrow to earn";
        StratLiquidityLow = "STRAT_LIQUIDITY_LOW", Info, "the book is too thin";
    }
    Selection {
        UniverseStatus = "UNIVERSE_STATUS", Info, "ingest left the symbol out for its status";
        UniverseQuoteMismatch = "UNIVERSE_QUOTE_MISMATCH", Info, "ingest left the symbol out for its quote asset";
        UniverseVolumeLow = "UNIVERSE_VOLUME_LOW", Info, "ingest left the symbol out for its volume";
        UniverseTradesLow = "UNIVERSE_TRADES_LOW", Info, "ingest left the symbol out for its number of trades";
        UniverseFiltersMissing = "UNIVERSE_FILTERS_MISSING", Info, "ingest left the symbol out because its rules are missing";
        UniverseWsDown = "UNIVERSE_WS_DOWN", Info, "ingest left the symbol out because its feed is down";
        TopnCut = "TOPN_CUT", Info, "the symbol ranks below the cut";
        TopkCut = "TOPK_CUT", Info, "the symbol is no finalist";
        TopkChurnGuard = "TOPK_CHURN_GUARD", Info, "the finalist of before stays";
        TopkReturnsMissing = "TOPK_RETURNS_MISSING", Info, "too few returns to compare the symbol";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_reason_is_one_word_with_a_meaning_of_its_own() {
        assert_eq!(ReasonCode::ALL.len(), 195);
        let texts: BTreeSet<_> = ReasonCode::ALL.iter().map(|reason| reason.as_str()).collect();
        let meanings: BTreeSet<_> = ReasonCode::ALL.iter().map(|reason| reason.meaning()).collect();
        assert_eq!((texts.len(), meanings.len()), (195, 195));
        for reason in ReasonCode::ALL {
            let text = reason.as_str();
            assert!(
                text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            );
            assert_eq!(ReasonCode::parse(text), Ok(*reason));
        }
    }

    #[test]
    fn families_and_severities_are_those_of_the_catalog() {
        let of = |family: ReasonFamily| {
            ReasonCode::ALL.iter().filter(|reason| reason.family() == family).count()
        };
        let counts = ReasonFamily::ALL.iter().map(|family| of(*family));
        assert!(counts.eq([1, 40, 13, 31, 32, 30, 38, 10]));
        let of = |severity: Severity| {
            ReasonCode::ALL.iter().filter(|reason| reason.severity() == severity).count()
        };
        assert_eq!(of(Severity::Crit) + of(Severity::Warn) + of(Severity::Info), 195);
        assert_eq!(ReasonCode::DiskLowPause.severity(), Severity::Crit);
        let page = ReasonCode::DiskLowPause.runbook();
        assert_eq!(page.as_deref(), Some("runbooks/ops.md#disk_low_pause"));
        assert_eq!(ReasonCode::TopnCut.runbook(), None);
        assert_eq!(ReasonCode::RiskMaxTradesDay.severity(), Severity::Warn);
        assert_eq!(
            ReasonCode::parse("OK "),
            Err(crate::vocab::UnknownWord { vocabulary: "ReasonCode", text: "OK ".into() })
        );
    }
}
