//! Why the mode is what it is: causes, what each demands, what ends each.
//!
//! Purpose: the closed list of causes in the order in which they are named first. Inputs: none. Outputs: codes with
//! their reason. Invariants: each is a reason of the catalog under the same name; what demands a PAUSE goes before
//! what only degrades; a cause ends by itself, by the operator's word, or by a word that names it.

use penstock_types::closed_vocabulary;
use penstock_types::vocab::ReasonCode;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($variant:ident = $text:literal, $meaning:literal;)+) => {
        closed_vocabulary! {
            /// Cause of a mode, in order of precedence for the primary reason.
            pub CauseCode { $(#[doc = $meaning] $variant = $text),+ }
        }

        impl CauseCode {
            /// The reason of the catalog.
            #[must_use]
            pub const fn reason(self) -> ReasonCode {
                match self { $(Self::$variant => ReasonCode::$variant),+ }
            }
        }
    };
}

causes! {
    DiskLowPause = "DISK_LOW_PAUSE", "Too little disk is free, or a write found none; pausing.";
    DbWriterQueueFull = "DB_WRITER_QUEUE_FULL", "The audit writer's queue is full.";
    DbUnavailable = "DB_UNAVAILABLE", "The decision cluster does not take writes.";
    LoopStuckPause = "LOOP_STUCK_PAUSE", "A loop makes no progress; pausing.";
    WsStalePause = "WS_STALE_PAUSE", "No market data in the frames; pausing.";
    RestStalePause = "REST_STALE_PAUSE", "No successful REST truth call; pausing.";
    DriftLimitExceeded = "DRIFT_LIMIT_EXCEEDED", "The venue and our rows differ by more than may be.";
    AuditChainBroken = "AUDIT_CHAIN_BROKEN", "The trail does not verify or takes no line.";
    LedgerMismatch = "LEDGER_MISMATCH", "Ledger and venue, or ledger and position, disagree.";
    PauseNeedsManualProtection = "PAUSE_NEEDS_MANUAL_PROTECTION", "Closing failed and no stop stands.";
    PauseNeedsManual = "PAUSE_NEEDS_MANUAL", "Ambiguous state.";
    IntentSentUnknown = "INTENT_SENT_UNKNOWN", "The outcome of an order cannot be proven.";
    PrivateStreamSilent = "PRIVATE_STREAM_SILENT", "The private stream is silent or down.";
    ChecklistFailed = "CHECKLIST_FAILED", "An item of the start's checklist, or the account's key, failed.";
    LiveLockMissing = "LIVE_LOCK_MISSING", "A lock of live trading is missing, or orders may not be sent over exposure.";
    RateLimit418 = "RATE_LIMIT_418", "The account is locked out for a time.";
    ExchangeTimestampRejected = "EXCHANGE_TIMESTAMP_REJECTED", "The venue refuses nonces or deadlines.";
    ClockDriftWarn = "CLOCK_DRIFT_WARN", "Our clock and the venue's differ.";
    AigateModifyInvalid = "AIGATE_MODIFY_INVALID", "The gate asked for a change that is not conservative.";
    AigateParseFail = "AIGATE_PARSE_FAIL", "The gate's answer is not JSON.";
    AigateReasonUnknown = "AIGATE_REASON_UNKNOWN", "The gate's answer has an unknown reason.";
    AigateSchemaInvalid = "AIGATE_SCHEMA_INVALID", "The gate's answer is not of its schema.";
    AigateTimeout = "AIGATE_TIMEOUT", "The gate did not answer in time.";
    AigateHttpError = "AIGATE_HTTP_ERROR", "The gate's request failed.";
    AigateEmptyResponse = "AIGATE_EMPTY_RESPONSE", "The gate's answer is empty.";
    InvariantViolation = "INVARIANT_VIOLATION", "A broken invariant ends the process.";
    SingleWriterLost = "SINGLE_WRITER_LOST", "Another instance holds the fence.";
    ProtectionMissing = "PROTECTION_MISSING", "Base without a live stop.";
    DiskLowDegrade = "DISK_LOW_DEGRADE", "Little disk is free.";
    DbWriterQueueHigh = "DB_WRITER_QUEUE_HIGH", "The audit writer's queue or lag is high.";
    LoopStuckDegrade = "LOOP_STUCK_DEGRADE", "A loop makes no progress.";
    WsStaleDegrade = "WS_STALE_DEGRADE", "No market data in the frames.";
    RestStaleDegrade = "REST_STALE_DEGRADE", "No successful REST truth call.";
    RateLimit429 = "RATE_LIMIT_429", "The venue throttles the account.";
    ExchangeUnavailable = "EXCHANGE_UNAVAILABLE", "The venue is not online.";
    EpochNotValid = "EPOCH_NOT_VALID", "No valid epoch young enough.";
    LineageBreak = "LINEAGE_BREAK", "Another lineage.";
    DataStale = "DATA_STALE", "State or messages too old, lease ended, gap open.";
    StateGenerationMismatch = "STATE_GENERATION_MISMATCH", "Generation, epoch and universe do not fit together.";
    UniverseTooSmall = "UNIVERSE_TOO_SMALL", "Too few symbols.";
    ReconcileDiffDetected = "RECONCILE_DIFF_DETECTED", "An order or position does not agree with the venue yet.";
    RiskDailyLossLimit = "RISK_DAILY_LOSS_LIMIT", "Daily loss, absolute.";
    RiskDailyLossPct = "RISK_DAILY_LOSS_PCT", "Daily loss, share of equity.";
    RiskDrawdownLimit = "RISK_DRAWDOWN_LIMIT", "Drawdown.";
    EngineFailed = "ENGINE_FAILED", "A fault stopped the core of the engine.";
    BindingsMismatch = "BINDINGS_MISMATCH", "Token bindings of the run differ from ours.";
    OperatorRequest = "OPERATOR_REQUEST", "Asked for by the operator.";
    EnterDegrade = "ENTER_DEGRADE", "A start, or a return from PAUSE, whose recovery is not judged yet.";
}

/// What ends a cause on the board; a PAUSE entered for one may outlast it (see [`CauseCode::is_feed`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Whoever raised it clears it when its condition is false.
    Condition,
    /// Nothing will say that it is over: the operator's NORMAL ends it, and what still holds is raised anew by the
    /// recovery that follows.
    Word,
    /// The operator's NORMAL ends it only when it names the code.
    Acknowledged,
}

impl CauseCode {
    /// The failures of the AI gate.
    pub const AI_FAILURES: [Self; 7] = [
        Self::AigateModifyInvalid,
        Self::AigateParseFail,
        Self::AigateReasonUnknown,
        Self::AigateSchemaInvalid,
        Self::AigateTimeout,
        Self::AigateHttpError,
        Self::AigateEmptyResponse,
    ];

    /// A PAUSE for such causes alone ends by itself.
    #[must_use]
    pub const fn is_feed(self) -> bool {
        matches!(self, Self::WsStalePause | Self::RestStalePause | Self::PrivateStreamSilent)
    }

    /// What ends it.
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::OperatorRequest
            | Self::LedgerMismatch
            | Self::PauseNeedsManual
            | Self::PauseNeedsManualProtection
            | Self::AuditChainBroken
            | Self::ChecklistFailed
            | Self::AigateModifyInvalid
            | Self::AigateParseFail
            | Self::AigateReasonUnknown
            | Self::AigateSchemaInvalid
            | Self::AigateTimeout
            | Self::AigateHttpError
            | Self::AigateEmptyResponse => Ending::Word,
            Self::RiskDrawdownLimit => Ending::Acknowledged,
            Self::DiskLowPause
            | Self::DbWriterQueueFull
            | Self::DbUnavailable
            | Self::LoopStuckPause
            | Self::WsStalePause
            | Self::RestStalePause
            | Self::DriftLimitExceeded
            | Self::IntentSentUnknown
            | Self::PrivateStreamSilent
            | Self::LiveLockMissing
            | Self::RateLimit418
            | Self::ExchangeTimestampRejected
            | Self::ClockDriftWarn
            | Self::InvariantViolation
            | Self::SingleWriterLost
            | Self::ProtectionMissing
            | Self::DiskLowDegrade
            | Self::DbWriterQueueHigh
            | Self::LoopStuckDegrade
            | Self::WsStaleDegrade
            | Self::RestStaleDegrade
            | Self::RateLimit429
            | Self::ExchangeUnavailable
            | Self::EpochNotValid
            | Self::LineageBreak
            | Self::DataStale
            | Self::StateGenerationMismatch
            | Self::UniverseTooSmall
            | Self::ReconcileDiffDetected
            | Self::RiskDailyLossLimit
            | Self::RiskDailyLossPct
            | Self::EngineFailed
            | Self::BindingsMismatch
            | Self::EnterDegrade => Ending::Condition,
        }
    }
}

/// How much a cause demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// No entries.
    Degrade,
    /// No entries, mostly until a person acts.
    Pause,
}

/// An active cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Code.
    pub code: CauseCode,
    /// What it demands.
    pub level: Level,
    /// Measured value as text, where there is one.
    pub value: Option<String>,
}
