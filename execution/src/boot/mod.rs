//! The checklist and the locks of a start, and whether orders may be sent over exposure.
//!
//! Purpose: no entry before everything that live trading needs was looked at. Inputs: the session, the desk. Outputs:
//! causes of the mode. Invariants: a start stays in DEGRADE until each item holds; an item that fails pauses and is
//! named; what merely is not there yet is waited for; after the operator's NORMAL all is looked at anew. It sends
//! nothing and freezes no exit.

pub mod checklist;
mod looks;

use std::time::Duration;

use penstock_panel::run::Listening;
use penstock_trading::mode::{CauseCode, Level, Signal};
use penstock_types::vocab::{StageName, SysMode};

use crate::audit::{Loop, StageNote};
use crate::context::Context;
use crate::desk::DeskHandle;
use crate::mode::Source;
use checklist::Verdict;

pub use looks::{missing_locks, probe_directory};

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until the session ends.
pub async fn run_boot(context: Context, desk: DeskHandle, panel: Listening) {
    let mut boot = Boot { context, desk, panel, state: State::Open, was: SysMode::Degrade };
    loop {
        boot.look().await;
        // The end first: a stopping process opens nothing.
        tokio::select! {
            biased;
            () = boot.context.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// How far the checklist is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not passed yet.
    Open,
    /// An item failed; the operator's word opens it again.
    Failed,
    /// Passed.
    Passed,
}

struct Boot {
    context: Context,
    desk: DeskHandle,
    panel: Listening,
    state: State,
    was: SysMode,
}

impl Boot {
    async fn look(&mut self) {
        self.permission();
        let mode = self.context.mode.current();
        if self.was == SysMode::Pause && mode != SysMode::Pause {
            self.state = State::Open;
        }
        self.was = mode;
        if self.state == State::Open {
            self.state = self.judge().await;
        }
    }

    /// Positions or live orders while orders may not be sent: said by the mode for as long as it holds.
    fn permission(&self) {
        let status = self.desk.status();
        let exposed = status.open_positions > 0 || status.live_orders > 0;
        let may_send = self.context.settings.decide.execution_enable;
        let holds = i64::from(exposed && !may_send);
        self.context.mode.signal(Signal::ExposureWithoutPermission, Some(holds));
    }

    async fn judge(&self) -> State {
        let mode = &self.context.mode;
        self.context.audit.enter(Loop::Service, StageName::DoctorChecks, StageNote::default());
        let locks = missing_locks(&self.context.settings);
        let value = (!locks.is_empty()).then(|| locks.join(", "));
        let source = Source::Signal(Signal::MissingLocks);
        mode.set_from(source, CauseCode::LiveLockMissing, Level::Pause, value.is_some(), value);
        let findings = looks::all(&self.context, &self.desk, &self.panel).await;
        let verdict = checklist::judge(&findings);
        self.context.figures.found(findings);
        let waits = match &verdict {
            Verdict::Waiting(items) => Some(checklist::names(items)),
            Verdict::Passed | Verdict::Failed(_) => None,
        };
        mode.set_from(
            Source::Boot,
            CauseCode::EnterDegrade,
            Level::Degrade,
            waits.is_some(),
            waits,
        );
        let failed = match verdict {
            Verdict::Passed if locks.is_empty() => return State::Passed,
            Verdict::Passed => return State::Failed,
            Verdict::Waiting(_) => return State::Open,
            Verdict::Failed(items) => items,
        };
        let names = checklist::names(&failed);
        tracing::error!("checklist failed: {names}; next: put it right, then penstock mode NORMAL");
        let source = Source::Signal(Signal::ChecklistItems);
        mode.set_from(source, CauseCode::ChecklistFailed, Level::Pause, true, Some(names));
        State::Failed
    }
}
