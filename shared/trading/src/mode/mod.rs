//! The one mode of the process as a total machine, and the memory that its timing needs.
//!
//! Purpose: from the causes that are active now to the mode and its reasons. Inputs: causes with their
//! level, the operator's wish, monotonic milliseconds. Outputs: a change, or none. Invariants:
//! worsening is immediate; improving needs an unbroken window without a cause; a PAUSE that had any
//! cause but a feed ends by the operator only. It logs nothing and stores nothing.

mod cause;
mod trigger;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use penstock_types::vocab::{ReasonCode, SysMode};

pub use cause::{Cause, CauseCode, Ending, Level};
pub use trigger::{AI_MANDATORY, STREAM_DOWN_PAUSE_MS, Side, Signal, Thresholds, Trigger, Unit};

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

impl ModeChange {
    /// The reasons as alert and trail name them: the causes, highest first, then the entry of the mode. The first is
    /// the same alert as the cause's own.
    #[must_use]
    pub fn announced(&self) -> Vec<ReasonCode> {
        let entered = entered(self.to);
        let causes = self.reasons.iter().map(|code| code.reason()).filter(|code| *code != entered);
        causes.chain([entered]).collect()
    }
}

/// The reason that says that a mode was entered.
const fn entered(mode: SysMode) -> ReasonCode {
    match mode {
        SysMode::Normal => ReasonCode::EnterNormal,
        SysMode::Degrade => ReasonCode::EnterDegrade,
        SysMode::Pause => ReasonCode::EnterPause,
        SysMode::Exit => ReasonCode::EnterExit,
    }
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
