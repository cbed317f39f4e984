//! What a start was, and what the way out of a PAUSE is: judged once the reconcile has said all it can.
//!
//! Input: memory after the reconcile. Output: a class, its report, the end of the cause that holds the mode in
//! DEGRADE meanwhile. Nothing is judged while an order's outcome can still be proven or a stop is on its way: until
//! then there are no entries, and nobody has to be called.

use penstock_trading::mode::CauseCode;
use penstock_trading::recover::{RecoveryFacts, ResumeClass};
use penstock_types::vocab::{OrderState, PlanState};

use crate::desk::{Desk, DeskError};
use crate::mode::RecoveryReport;
use crate::tracker::Tracked;

/// A recovery under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recovery {
    at_start: bool,
    /// FULL passes that were whole when it began; it waits for one more. None at a start, which has its own.
    passes_before: Option<u32>,
    orders_found: u32,
    positions_found: u32,
    doubtful: u32,
    /// It is judged and waits for positions that close.
    judged: bool,
}

impl Desk {
    /// The session's start: everything in memory came from rows.
    pub(crate) fn begin_recovery(&mut self) {
        self.mode.recovering();
        self.reconcile.recovery = Some(self.recovery(true, None));
    }

    fn recovery(&self, at_start: bool, passes_before: Option<u32>) -> Recovery {
        Recovery {
            at_start,
            passes_before,
            orders_found: count(self.tracker.live().count()),
            positions_found: count(self.tracker.positions.len()),
            doubtful: count(self.tracker.live().filter(|t| is_doubtful(t)).count()),
            judged: false,
        }
    }

    /// Takes up the way out of a PAUSE, and judges what is under way.
    pub(crate) async fn recover(&mut self) -> Result<(), DeskError> {
        if self.mode.take_recovery() {
            self.reconcile.full_due = true;
            let passes = self.reconcile.full_passes;
            // A start that is not judged yet stays one.
            let at_start = self.reconcile.recovery.is_some_and(|r| r.at_start && !r.judged);
            self.reconcile.recovery = Some(self.recovery(at_start, Some(passes)));
        }
        let Some(recovery) = self.reconcile.recovery else { return Ok(()) };
        if !self.reconcile.complete
            || recovery.passes_before.is_some_and(|before| self.reconcile.full_passes == before)
        {
            return Ok(());
        }
        if !recovery.judged && recovery.passes_before.is_some() {
            // The operator's word has ended what an audit found; it looks again.
            self.audit().await?;
        }
        let Some(facts) = self.recovery_facts() else { return Ok(()) };
        let class = facts.class();
        if !recovery.judged {
            self.say_recovery(recovery, class, facts);
        }
        if class == ResumeClass::CloseSafely {
            self.reconcile.recovery = Some(Recovery { judged: true, ..recovery });
            return Ok(());
        }
        self.reconcile.recovery = None;
        self.mode.recovered();
        Ok(())
    }

    fn say_recovery(&self, recovery: Recovery, class: ResumeClass, facts: RecoveryFacts) {
        let report = RecoveryReport {
            at: self.now(),
            at_start: recovery.at_start,
            class,
            facts,
            orders_found: recovery.orders_found,
            positions_found: recovery.positions_found,
            orders_resolved: recovery.doubtful.saturating_sub(facts.orders_unknown),
        };
        tracing::info!(
            class = class.as_str(),
            at_start = report.at_start,
            orders_found = report.orders_found,
            positions_found = report.positions_found,
            orders_resolved = report.orders_resolved,
            "recovery judged"
        );
        self.mode.judged(report);
    }

    /// What was found; none while something may still settle by itself.
    fn recovery_facts(&self) -> Option<RecoveryFacts> {
        let mut facts = RecoveryFacts {
            ledger_mismatch: self.mode.is_active(CauseCode::LedgerMismatch),
            diffs: u32::from(self.mode.is_active(CauseCode::ReconcileDiffDetected)),
            ..RecoveryFacts::default()
        };
        for tracked in self.tracker.live() {
            facts.orders += 1;
            if self.is_unprovable(tracked) {
                facts.orders_unknown += 1;
            } else if is_doubtful(tracked) {
                return None;
            }
        }
        for held in self.tracker.positions.values() {
            match held.plan.as_ref().map(|plan| plan.state) {
                Some(PlanState::Created | PlanState::Arming) => return None,
                Some(PlanState::DustHold | PlanState::Closed) => continue,
                Some(PlanState::Armed | PlanState::Trailing) => {}
                None | Some(PlanState::Unprotected | PlanState::Triggered | PlanState::Exiting) => {
                    facts.positions_to_close += 1;
                }
            }
            facts.positions += 1;
        }
        let failed = self.mode.is_active(CauseCode::PauseNeedsManualProtection);
        facts.positions_failed = u32::from(failed && facts.positions_to_close > 0);
        let foreign = self.reconcile.outsiders.values().filter(|o| !o.ours);
        let on_held = foreign.filter(|o| self.tracker.position_of(&o.symbol).is_some());
        facts.foreign_on_held = count(on_held.count());
        Some(facts)
    }
}

/// Whether the order's outcome is open.
fn is_doubtful(tracked: &Tracked) -> bool {
    matches!(
        tracked.record.state,
        OrderState::PendingSubmit
            | OrderState::SubmitUnknown
            | OrderState::Suspect
            | OrderState::ReconcileRequired
    )
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
