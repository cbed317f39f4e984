//! The one mode of the process as a total machine, and the memory that its timing needs.
//!
//! Purpose: from the causes that are active now to the mode and its reasons. Inputs: causes with their
//! level, the operator's wish, monotonic milliseconds. Outputs: a change, or none. Invariants:
//! worsening is immediate; improving needs an unbroken window without a cause; a PAUSE that had any
//! cause but a feed ends by the operator only. It logs nothing and stores nothing.

use std::collections::BTreeMap;

use penstock_types::closed_vocabulary;
use penstock_types::vocab::SysMode;
use serde::{Deserialize, Serialize};

closed_vocabulary! {
    /// Cause of a mode, in order of precedence for the primary reason.
    pub CauseCode {
        /// No space on a disk that must be written.
        DiskLowPause = "DISK_LOW_PAUSE",
        /// The audit writer takes only critical events.
        DbWriterQueueFull = "DB_WRITER_QUEUE_FULL",
        /// The decision cluster does not take writes.
        DbUnavailable = "DB_UNAVAILABLE",
        /// A loop makes no progress; pausing.
        LoopStuckPause = "LOOP_STUCK_PAUSE",
        /// No market data in the frames; pausing.
        WsStalePause = "WS_STALE_PAUSE",
        /// No successful REST truth call; pausing.
        RestStalePause = "REST_STALE_PAUSE",
        /// The venue and our rows differ by more than may be.
        DriftLimitExceeded = "DRIFT_LIMIT_EXCEEDED",
        /// Ledger and venue, or ledger and position, disagree.
        LedgerMismatch = "LEDGER_MISMATCH",
        /// The private stream is silent or down.
        PrivateStreamSilent = "PRIVATE_STREAM_SILENT",
        /// The outcome of an order cannot be proven.
        IntentSentUnknown = "INTENT_SENT_UNKNOWN",
        /// Base without a live stop.
        ProtectionMissing = "PROTECTION_MISSING",
        /// Closing failed and no stop stands.
        PauseNeedsManualProtection = "PAUSE_NEEDS_MANUAL_PROTECTION",
        /// Ambiguous state.
        PauseNeedsManual = "PAUSE_NEEDS_MANUAL",
        /// The audit trail is damaged or cannot be written.
        AuditChainBroken = "AUDIT_CHAIN_BROKEN",
        /// The audit writer is pressed.
        DbWriterQueueHigh = "DB_WRITER_QUEUE_HIGH",
        /// The venue limits or locks the account.
        RateLimited = "RATE_LIMIT_429",
        /// The venue is not online.
        ExchangeUnavailable = "EXCHANGE_UNAVAILABLE",
        /// Orders may not be sent although there is exposure.
        LiveLockMissing = "LIVE_LOCK_MISSING",
        /// Start of a session.
        EnterDegrade = "ENTER_DEGRADE",
        /// A loop makes no progress.
        LoopStuckDegrade = "LOOP_STUCK_DEGRADE",
        /// No market data in the frames.
        WsStaleDegrade = "WS_STALE_DEGRADE",
        /// No successful REST truth call.
        RestStaleDegrade = "REST_STALE_DEGRADE",
        /// No valid epoch young enough.
        EpochNotValid = "EPOCH_NOT_VALID",
        /// Another lineage.
        LineageBreak = "LINEAGE_BREAK",
        /// State or messages too old, lease ended, gap open.
        DataStale = "DATA_STALE",
        /// Generation, epoch and universe do not fit together.
        StateGenerationMismatch = "STATE_GENERATION_MISMATCH",
        /// Too few symbols.
        UniverseTooSmall = "UNIVERSE_TOO_SMALL",
        /// An order or position does not agree with the venue yet.
        ReconcileDiffDetected = "RECONCILE_DIFF_DETECTED",
        /// Daily loss, absolute.
        RiskDailyLossLimit = "RISK_DAILY_LOSS_LIMIT",
        /// Daily loss, share of equity.
        RiskDailyLossPct = "RISK_DAILY_LOSS_PCT",
        /// Drawdown.
        RiskDrawdownLimit = "RISK_DRAWDOWN_LIMIT",
        /// A fault stopped the core of the engine.
        EngineFailed = "ENGINE_FAILED",
        /// Token bindings of the run differ from ours.
        BindingsMismatch = "BINDINGS_MISMATCH",
        /// Asked for by the operator.
        OperatorRequest = "OPERATOR_REQUEST",
        /// Another instance holds the fence.
        SingleWriterLost = "SINGLE_WRITER_LOST",
    }
}

impl CauseCode {
    /// A PAUSE for such causes alone ends by itself.
    #[must_use]
    pub const fn is_feed(self) -> bool {
        matches!(self, Self::WsStalePause | Self::RestStalePause | Self::PrivateStreamSilent)
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

/// What happened, as the machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModeEvent {
    /// A cause that degrades is active.
    DegradeCause,
    /// A cause that pauses is active.
    PauseCause,
    /// The window passed without any cause.
    StableWindow,
    /// The window passed without a pausing cause, and all there were are feeds.
    FeedsBack,
    /// The operator asks for NORMAL.
    OperatorNormal,
    /// The operator asks for DEGRADE.
    OperatorDegrade,
    /// The operator asks for PAUSE.
    OperatorPause,
    /// The process ends.
    Stop,
}

impl ModeEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::DegradeCause,
        Self::PauseCause,
        Self::StableWindow,
        Self::FeedsBack,
        Self::OperatorNormal,
        Self::OperatorDegrade,
        Self::OperatorPause,
        Self::Stop,
    ];
}

/// The mode after an event. The operator's NORMAL leads through DEGRADE and its window, never past it.
#[must_use]
pub const fn next(mode: SysMode, event: ModeEvent) -> SysMode {
    use ModeEvent as E;
    use SysMode as M;
    match (mode, event) {
        (M::Normal, E::DegradeCause | E::OperatorDegrade) => M::Degrade,
        (M::Normal, E::PauseCause | E::OperatorPause) => M::Pause,
        (M::Normal, E::StableWindow | E::FeedsBack | E::OperatorNormal) => M::Normal,
        (M::Degrade, E::DegradeCause | E::FeedsBack | E::OperatorNormal | E::OperatorDegrade) => {
            M::Degrade
        }
        (M::Degrade, E::PauseCause | E::OperatorPause) => M::Pause,
        (M::Degrade, E::StableWindow) => M::Normal,
        (M::Pause, E::DegradeCause | E::PauseCause | E::StableWindow | E::OperatorPause) => {
            M::Pause
        }
        (M::Pause, E::FeedsBack | E::OperatorNormal | E::OperatorDegrade) => M::Degrade,
        (M::Normal | M::Degrade | M::Pause, E::Stop) => M::Exit,
        (
            M::Exit,
            E::DegradeCause
            | E::PauseCause
            | E::StableWindow
            | E::FeedsBack
            | E::OperatorNormal
            | E::OperatorDegrade
            | E::OperatorPause
            | E::Stop,
        ) => M::Exit,
    }
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

/// A change of the mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// Before; none for the first row of a session.
    pub from: Option<SysMode>,
    /// After.
    pub to: SysMode,
    /// Highest cause; none when the mode became NORMAL.
    pub primary: Option<CauseCode>,
    /// All active causes, highest first.
    pub reasons: Vec<CauseCode>,
    /// Values of the causes that have one.
    pub values: BTreeMap<String, String>,
    /// Milliseconds the former mode lasted.
    pub lasted_ms: i64,
}

/// Settings of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeTiming {
    /// Window without a cause before the mode improves.
    pub stable_window_ms: i64,
    /// A PAUSE for feeds alone ends by itself.
    pub pause_auto_recover_feed: bool,
}

/// The mode with what its timing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeMachine {
    timing: ModeTiming,
    mode: SysMode,
    since_ms: i64,
    clear_since_ms: Option<i64>,
    pause_clear_since_ms: Option<i64>,
    pause_needs_operator: bool,
}

impl ModeMachine {
    /// A session starts in DEGRADE; the change is its first row.
    #[must_use]
    pub fn boot(timing: ModeTiming, now_ms: i64) -> (Self, ModeChange) {
        let machine = Self {
            timing,
            mode: SysMode::Degrade,
            since_ms: now_ms,
            clear_since_ms: None,
            pause_clear_since_ms: None,
            pause_needs_operator: false,
        };
        let change = ModeChange {
            from: None,
            to: SysMode::Degrade,
            primary: Some(CauseCode::EnterDegrade),
            reasons: vec![CauseCode::EnterDegrade],
            values: BTreeMap::new(),
            lasted_ms: 0,
        };
        (machine, change)
    }

    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> SysMode {
        self.mode
    }

    /// Since when, monotonic milliseconds.
    #[must_use]
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Takes the causes that are active now; call it at least every 250 ms.
    pub fn observe(&mut self, now_ms: i64, causes: &[Cause]) -> Option<ModeChange> {
        let pausing = causes.iter().any(|c| c.level == Level::Pause);
        self.clear_since_ms = since(self.clear_since_ms, causes.is_empty(), now_ms);
        self.pause_clear_since_ms = since(self.pause_clear_since_ms, !pausing, now_ms);
        if causes.iter().any(|c| c.level == Level::Pause && !c.code.is_feed()) {
            self.pause_needs_operator = true;
        }
        let event = self.event(now_ms, causes, pausing)?;
        self.apply(now_ms, event, causes)
    }

    /// The operator asks for a mode, or the process ends.
    pub fn request(
        &mut self,
        now_ms: i64,
        event: ModeEvent,
        causes: &[Cause],
    ) -> Option<ModeChange> {
        match event {
            ModeEvent::OperatorNormal | ModeEvent::OperatorDegrade => {
                self.pause_needs_operator = false;
            }
            ModeEvent::OperatorPause => self.pause_needs_operator = true,
            ModeEvent::DegradeCause
            | ModeEvent::PauseCause
            | ModeEvent::StableWindow
            | ModeEvent::FeedsBack
            | ModeEvent::Stop => {}
        }
        self.apply(now_ms, event, causes)
    }

    fn event(&self, now_ms: i64, causes: &[Cause], pausing: bool) -> Option<ModeEvent> {
        if pausing {
            return Some(ModeEvent::PauseCause);
        }
        let over = |from: Option<i64>| {
            from.is_some_and(|from| now_ms - from >= self.timing.stable_window_ms)
        };
        match self.mode {
            SysMode::Pause => {
                let may = self.timing.pause_auto_recover_feed && !self.pause_needs_operator;
                (may && over(self.pause_clear_since_ms)).then_some(ModeEvent::FeedsBack)
            }
            SysMode::Normal | SysMode::Degrade | SysMode::Exit if !causes.is_empty() => {
                Some(ModeEvent::DegradeCause)
            }
            SysMode::Normal | SysMode::Degrade | SysMode::Exit => {
                over(self.clear_since_ms).then_some(ModeEvent::StableWindow)
            }
        }
    }

    fn apply(&mut self, now_ms: i64, event: ModeEvent, causes: &[Cause]) -> Option<ModeChange> {
        let (from, to) = (self.mode, next(self.mode, event));
        if from == to {
            return None;
        }
        let mut sorted: Vec<&Cause> = causes.iter().collect();
        sorted.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.code.cmp(&b.code)));
        let mut reasons: Vec<CauseCode> = sorted.iter().map(|c| c.code).collect();
        if matches!(
            event,
            ModeEvent::OperatorNormal | ModeEvent::OperatorDegrade | ModeEvent::OperatorPause
        ) || (to != SysMode::Normal && reasons.is_empty())
        {
            reasons.insert(0, reason_of(event));
        }
        reasons.dedup();
        let lasted_ms = now_ms - self.since_ms;
        self.mode = to;
        self.since_ms = now_ms;
        // The window counts anew from the new mode: leaving a PAUSE still demands a whole one.
        self.clear_since_ms = causes.is_empty().then_some(now_ms);
        if from == SysMode::Pause {
            self.pause_needs_operator = false;
        }
        Some(ModeChange {
            from: Some(from),
            to,
            primary: reasons.first().copied(),
            reasons,
            values: causes
                .iter()
                .filter_map(|c| Some((c.code.as_str().to_owned(), c.value.clone()?)))
                .collect(),
            lasted_ms,
        })
    }
}

fn since(before: Option<i64>, holds: bool, now_ms: i64) -> Option<i64> {
    if holds { before.or(Some(now_ms)) } else { None }
}

/// Reason of a change that no active cause explains.
const fn reason_of(event: ModeEvent) -> CauseCode {
    match event {
        ModeEvent::DegradeCause
        | ModeEvent::PauseCause
        | ModeEvent::StableWindow
        | ModeEvent::FeedsBack => CauseCode::EnterDegrade,
        ModeEvent::OperatorNormal
        | ModeEvent::OperatorDegrade
        | ModeEvent::OperatorPause
        | ModeEvent::Stop => CauseCode::OperatorRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn timing() -> ModeTiming {
        ModeTiming { stable_window_ms: 1_000, pause_auto_recover_feed: true }
    }

    fn cause(code: CauseCode, level: Level) -> Cause {
        Cause { code, level, value: None }
    }

    #[test]
    fn every_pair_has_a_mode_and_the_end_is_final() {
        for mode in SysMode::ALL {
            for event in ModeEvent::ALL {
                let after = next(*mode, *event);
                if *mode == SysMode::Exit || *event == ModeEvent::Stop {
                    assert_eq!(after, SysMode::Exit, "{mode} {event:?}");
                }
                if matches!(event, ModeEvent::DegradeCause | ModeEvent::PauseCause) {
                    assert!(after >= *mode, "a cause never improves: {mode} {event:?}");
                }
                if *mode == SysMode::Pause {
                    assert_ne!(after, SysMode::Normal, "PAUSE leads through DEGRADE");
                }
            }
        }
    }

    #[test]
    fn a_session_reaches_normal_after_one_whole_window_without_a_cause() {
        let (mut m, first) = ModeMachine::boot(timing(), 0);
        assert_eq!((first.from, first.to), (None, SysMode::Degrade));
        let epoch = [cause(CauseCode::EpochNotValid, Level::Degrade)];
        assert_eq!(m.observe(100, &epoch), None);
        assert_eq!(m.observe(200, &[]), None);
        assert_eq!(m.observe(900, &epoch), None, "the window is broken");
        assert_eq!(m.observe(1_000, &[]), None);
        assert_eq!(m.observe(1_999, &[]), None);
        let change = m.observe(2_000, &[]).unwrap();
        assert_eq!((change.from, change.to), (Some(SysMode::Degrade), SysMode::Normal));
        assert!(change.reasons.is_empty());
    }

    #[rstest]
    #[case(CauseCode::WsStalePause, true)]
    #[case(CauseCode::LedgerMismatch, false)]
    fn a_pause_ends_by_itself_only_for_feeds(#[case] code: CauseCode, #[case] by_itself: bool) {
        let (mut m, _) = ModeMachine::boot(timing(), 0);
        let change = m.observe(10, &[cause(code, Level::Pause)]).unwrap();
        assert_eq!((change.to, change.primary), (SysMode::Pause, Some(code)));
        m.observe(20, &[]);
        let change = m.observe(1_020, &[]);
        assert_eq!(change.is_some(), by_itself);
        if by_itself {
            assert_eq!(m.mode(), SysMode::Degrade);
            assert_eq!(m.observe(2_019, &[]), None, "a second window follows");
            assert_eq!(m.observe(2_020, &[]).unwrap().to, SysMode::Normal);
        } else {
            let change = m.request(1_030, ModeEvent::OperatorNormal, &[]).unwrap();
            assert_eq!(change.to, SysMode::Degrade);
            assert_eq!(m.observe(2_030, &[]).unwrap().to, SysMode::Normal);
        }
    }

    #[test]
    fn every_cause_is_a_reason_of_the_catalog() {
        for cause in CauseCode::ALL {
            assert!(penstock_types::vocab::ReasonCode::parse(cause.as_str()).is_ok(), "{cause}");
        }
    }

    #[test]
    fn the_highest_cause_is_the_primary_reason_and_all_are_listed() {
        let (mut m, _) = ModeMachine::boot(timing(), 0);
        let causes = [
            cause(CauseCode::EpochNotValid, Level::Degrade),
            cause(CauseCode::LedgerMismatch, Level::Pause),
            cause(CauseCode::DbUnavailable, Level::Pause),
        ];
        let change = m.observe(5, &causes).unwrap();
        assert_eq!(
            change.reasons,
            vec![CauseCode::DbUnavailable, CauseCode::LedgerMismatch, CauseCode::EpochNotValid]
        );
        assert_eq!(change.primary, Some(CauseCode::DbUnavailable));
    }
}
