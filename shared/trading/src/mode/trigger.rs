//! The table of signals that change the mode: one row each, with thresholds, levels and codes.
//!
//! Purpose: one place where a measured value becomes a cause. Inputs: a signal, its value, the thresholds in force.
//! Outputs: a code with its level, or none. Invariants: the table is total over the signals; at its threshold a
//! signal counts, one unit before it does not; a pausing threshold is never passed before the degrading one. It
//! measures nothing.

use penstock_types::closed_vocabulary;

use super::{CauseCode, Level};

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Percent.
    Pct,
    /// Drift score, times 10 000.
    ScoreX10000,
    /// A number of things.
    Count,
    /// 0: does not hold; 1: holds; 2: holds in its worse form.
    Grade,
}

/// Which side of a threshold counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The threshold or more.
    AtLeast,
    /// More than the threshold.
    Above,
    /// The threshold or less.
    AtMost,
}

closed_vocabulary! {
    /// What is watched. A value is in the unit of its row.
    pub Signal {
        /// Time since the exit supervisor entered its stage.
        ExitLoopSilence = "exit_loop_silence",
        /// Time without progress of an evaluation that runs or is due.
        EvaluationLoopSilence = "evaluation_loop_silence",
        /// Age of the newest frame that carried an event or a quote.
        MarketDataAge = "market_data_age",
        /// Time since the last successful call for the venue's truth.
        RestAge = "rest_age",
        /// Silence of the private stream.
        PrivateStreamSilence = "private_stream_silence",
        /// The same while orders or positions are open.
        PrivateStreamExposed = "private_stream_exposed",
        /// Free bytes, the least of the watched paths.
        DiskFree = "disk_free",
        /// A write found no space: 2.
        DeviceFull = "device_full",
        /// Fill of the audit writer's queue.
        AuditQueue = "audit_queue",
        /// Lag of the audit writer.
        AuditLag = "audit_lag",
        /// Drift score.
        DriftScore = "drift_score",
        /// Time since the first write that the decision cluster refused; absent while it takes them.
        DbWriteFailure = "db_write_failure",
        /// Orders that cannot be proven: 1 of an entry, 2 of protection or an exit.
        SentUnknown = "sent_unknown",
        /// Exposure without a stop beyond its grace.
        Unprotected = "unprotected",
        /// The same, and closing failed: 2.
        ClosingFailed = "closing_failed",
        /// Ledger audit, overfill, oversell.
        LedgerMismatches = "ledger_mismatches",
        /// The AI gate failed: the value is `ai_dec`.
        AiFailure = "ai_failure",
        /// An account-level throttle.
        Throttled = "throttled",
        /// A lockout or ban: 2.
        LockedOut = "locked_out",
        /// The venue is not online, or in maintenance.
        VenueOffline = "venue_offline",
        /// Nonce and deadline refusals in a row.
        TimestampRejects = "timestamp_rejects",
        /// Difference between our clock and the venue's.
        ClockOffset = "clock_offset",
        /// No epoch valid and young enough.
        EpochLost = "epoch_lost",
        /// A lineage break and its grace.
        LineageBroken = "lineage_broken",
        /// Lease, state or messages too old.
        StateStale = "state_stale",
        /// Snapshot, epoch and publication do not fit together.
        StateMixed = "state_mixed",
        /// Too few symbols.
        UniverseSmall = "universe_small",
        /// A reconcile item that is not resolved.
        ReconcileOpen = "reconcile_open",
        /// The same, ambiguous after the recovery: 2.
        ReconcileAmbiguous = "reconcile_ambiguous",
        /// Open orders that were not created here. They close their symbol, not the process.
        ForeignOrders = "foreign_orders",
        /// Positions or live orders while orders may not be sent.
        ExposureWithoutPermission = "exposure_without_permission",
        /// The engine's core stopped.
        EngineStopped = "engine_stopped",
        /// Token bindings of the run differ from ours.
        BindingsDiffer = "bindings_differ",
        /// Kill switch: loss of the day.
        DailyLoss = "daily_loss",
        /// Kill switch: loss of the day as a share.
        DailyLossShare = "daily_loss_share",
        /// Kill switch: drawdown.
        Drawdown = "drawdown",
        /// Items of the start's checklist that failed: 2.
        ChecklistItems = "checklist_items",
        /// Locks of live trading that are missing: 2.
        MissingLocks = "missing_locks",
        /// The trail does not verify, or takes no line: 2.
        TrailBroken = "trail_broken",
        /// The operator asks for DEGRADE or PAUSE.
        Operator = "operator",
    }
}

/// Thresholds that the configuration sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Silent loop, milliseconds: DEGRADE, PAUSE.
    pub loop_stuck_ms: (i64, i64),
    /// Silent frames, milliseconds.
    pub ws_stale_ms: (i64, i64),
    /// Silent REST, milliseconds.
    pub rest_stale_ms: (i64, i64),
    /// Silence of the private stream that degrades, milliseconds.
    pub private_stream_silent_ms: i64,
    /// Free bytes: DEGRADE, PAUSE.
    pub disk_free_bytes: (i64, i64),
    /// Fill of the audit queue, percent.
    pub audit_queue_pct: (i64, i64),
    /// Lag of the audit writer that degrades, milliseconds.
    pub audit_lag_ms: i64,
    /// Drift score, times 10 000.
    pub drift_score_x10000: (i64, i64),
    /// Time without writes that pauses, milliseconds.
    pub db_unavailable_pause_ms: i64,
    /// Clock offset, milliseconds.
    pub clock_offset_ms: (i64, i64),
}

/// Silence of the private stream that pauses while anything is open, milliseconds: one minute, as the venue's own
/// disconnect rules leave no order unattended for longer.
pub const STREAM_DOWN_PAUSE_MS: i64 = 60_000;

impl Default for Thresholds {
    /// The compiled defaults of the configuration.
    fn default() -> Self {
        Self {
            loop_stuck_ms: (5_000, 15_000),
            ws_stale_ms: (2_000, 10_000),
            rest_stale_ms: (10_000, 60_000),
            private_stream_silent_ms: 15_000,
            disk_free_bytes: (1 << 30, 512 << 20),
            audit_queue_pct: (80, 95),
            audit_lag_ms: 5_000,
            drift_score_x10000: (20_000, 50_000),
            db_unavailable_pause_ms: 30_000,
            clock_offset_ms: (500, 2_000),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Unit of value and thresholds.
    pub unit: Unit,
    /// Which side counts.
    pub side: Side,
    /// Threshold and code of DEGRADE.
    pub degrade: Option<(i64, CauseCode)>,
    /// Threshold and code of PAUSE.
    pub pause: Option<(i64, CauseCode)>,
}

impl Trigger {
    const fn new(
        unit: Unit,
        side: Side,
        degrade: Option<(i64, CauseCode)>,
        pause: Option<(i64, CauseCode)>,
    ) -> Self {
        Self { unit, side, degrade, pause }
    }

    /// A condition that degrades.
    const fn degrades(code: CauseCode) -> Self {
        Self::new(Unit::Grade, Side::AtLeast, Some((1, code)), None)
    }

    /// A condition that pauses.
    const fn pauses(code: CauseCode) -> Self {
        Self::new(Unit::Grade, Side::AtLeast, None, Some((1, code)))
    }

    /// The cause of a value; none while it is on the good side of both thresholds.
    #[must_use]
    pub fn judge(&self, value: i64) -> Option<(CauseCode, Level)> {
        let reached = |(limit, code): (i64, CauseCode), level: Level| {
            let counts = match self.side {
                Side::AtLeast => value >= limit,
                Side::Above => value > limit,
                Side::AtMost => value <= limit,
            };
            counts.then_some((code, level))
        };
        self.pause
            .and_then(|row| reached(row, Level::Pause))
            .or_else(|| self.degrade.and_then(|row| reached(row, Level::Degrade)))
    }
}

const fn at_least(
    unit: Unit,
    degrade: Option<(i64, CauseCode)>,
    pause: Option<(i64, CauseCode)>,
) -> Trigger {
    Trigger::new(unit, Side::AtLeast, degrade, pause)
}

const fn timed(limits: (i64, i64), degrade: CauseCode, pause: CauseCode) -> Trigger {
    at_least(Unit::Ms, Some((limits.0, degrade)), Some((limits.1, pause)))
}

const fn graded(code: CauseCode) -> Trigger {
    at_least(Unit::Grade, Some((1, code)), Some((2, code)))
}

const fn counted(degrade: i64, pause: i64, code: CauseCode) -> Trigger {
    at_least(Unit::Count, Some((degrade, code)), Some((pause, code)))
}

const fn stream_down() -> Trigger {
    let pause = Some((STREAM_DOWN_PAUSE_MS, CauseCode::PrivateStreamSilent));
    Trigger::new(Unit::Ms, Side::Above, None, pause)
}

const fn disk_free((degrade, pause): (i64, i64)) -> Trigger {
    let degrade = Some((degrade, CauseCode::DiskLowDegrade));
    let pause = Some((pause, CauseCode::DiskLowPause));
    Trigger::new(Unit::Bytes, Side::AtMost, degrade, pause)
}

const fn audit_queue((degrade, pause): (i64, i64)) -> Trigger {
    let degrade = Some((degrade, CauseCode::DbWriterQueueHigh));
    at_least(Unit::Pct, degrade, Some((pause, CauseCode::DbWriterQueueFull)))
}

const fn drift((degrade, pause): (i64, i64)) -> Trigger {
    let code = CauseCode::DriftLimitExceeded;
    at_least(Unit::ScoreX10000, Some((degrade, code)), Some((pause, code)))
}

const fn clock_offset((degrade, pause): (i64, i64)) -> Trigger {
    let code = CauseCode::ClockDriftWarn;
    Trigger::new(Unit::Ms, Side::Above, Some((degrade, code)), Some((pause, code)))
}

impl Signal {
    /// The row of the signal.
    #[must_use]
    pub const fn trigger(self, t: &Thresholds) -> Trigger {
        use CauseCode as C;
        match self {
            Self::ExitLoopSilence | Self::EvaluationLoopSilence => {
                timed(t.loop_stuck_ms, C::LoopStuckDegrade, C::LoopStuckPause)
            }
            Self::MarketDataAge => timed(t.ws_stale_ms, C::WsStaleDegrade, C::WsStalePause),
            Self::RestAge => timed(t.rest_stale_ms, C::RestStaleDegrade, C::RestStalePause),
            Self::DbWriteFailure => {
                timed((0, t.db_unavailable_pause_ms), C::DbUnavailable, C::DbUnavailable)
            }
            Self::PrivateStreamSilence => {
                at_least(Unit::Ms, Some((t.private_stream_silent_ms, C::PrivateStreamSilent)), None)
            }
            Self::PrivateStreamExposed => stream_down(),
            Self::DiskFree => disk_free(t.disk_free_bytes),
            Self::AuditQueue => audit_queue(t.audit_queue_pct),
            Self::AuditLag => {
                at_least(Unit::Ms, Some((t.audit_lag_ms, C::DbWriterQueueHigh)), None)
            }
            Self::DriftScore => drift(t.drift_score_x10000),
            Self::ClockOffset => clock_offset(t.clock_offset_ms),
            // One refusal is followed by a resync; the second in a row says that it did not help.
            Self::TimestampRejects => counted(1, 2, C::ExchangeTimestampRejected),
            Self::DeviceFull => Trigger::pauses(C::DiskLowPause),
            Self::SentUnknown => graded(C::IntentSentUnknown),
            Self::Unprotected => Trigger::degrades(C::ProtectionMissing),
            Self::ClosingFailed => Trigger::pauses(C::PauseNeedsManualProtection),
            Self::LedgerMismatches => Trigger::pauses(C::LedgerMismatch),
            Self::AiFailure => Trigger::new(
                Unit::Count,
                Side::AtLeast,
                None,
                Some((AI_MANDATORY, C::AigateHttpError)),
            ),
            Self::Throttled => Trigger::degrades(C::RateLimit429),
            Self::LockedOut => Trigger::pauses(C::RateLimit418),
            Self::VenueOffline => Trigger::degrades(C::ExchangeUnavailable),
            Self::EpochLost => Trigger::degrades(C::EpochNotValid),
            Self::LineageBroken => Trigger::degrades(C::LineageBreak),
            Self::StateStale => Trigger::degrades(C::DataStale),
            Self::StateMixed => Trigger::degrades(C::StateGenerationMismatch),
            Self::UniverseSmall => Trigger::degrades(C::UniverseTooSmall),
            Self::ReconcileOpen => Trigger::degrades(C::ReconcileDiffDetected),
            Self::ReconcileAmbiguous => Trigger::pauses(C::PauseNeedsManual),
            Self::ForeignOrders => Trigger::new(Unit::Count, Side::AtLeast, None, None),
            Self::ExposureWithoutPermission => Trigger::degrades(C::LiveLockMissing),
            Self::EngineStopped => Trigger::degrades(C::EngineFailed),
            Self::BindingsDiffer => Trigger::degrades(C::BindingsMismatch),
            Self::DailyLoss => Trigger::degrades(C::RiskDailyLossLimit),
            Self::DailyLossShare => Trigger::degrades(C::RiskDailyLossPct),
            Self::Drawdown => Trigger::degrades(C::RiskDrawdownLimit),
            Self::ChecklistItems => Trigger::pauses(C::ChecklistFailed),
            Self::MissingLocks => Trigger::pauses(C::LiveLockMissing),
            Self::TrailBroken => Trigger::pauses(C::AuditChainBroken),
            Self::Operator => graded(C::OperatorRequest),
        }
    }

    /// The codes that the signal can raise; a part that judges a signal raises one of them and clears the others.
    pub fn codes(self, t: &Thresholds) -> impl Iterator<Item = CauseCode> {
        let row = self.trigger(t);
        let (degrade, pause) = (row.degrade.map(|(_, code)| code), row.pause.map(|(_, code)| code));
        degrade.into_iter().chain(pause.filter(|code| Some(*code) != degrade))
    }
}

/// `ai_dec` of a gate that must answer.
pub const AI_MANDATORY: i64 = 2;
