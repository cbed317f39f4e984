//! What a start, or the return from a PAUSE, is: the class of a recovery.
//!
//! Purpose: from what was found to one of four words, and whether a person is needed. Inputs: counts. Outputs: a
//! class. Invariants: ambiguity outweighs everything, an inconsistent position outweighs what is covered; no facts
//! are clean. Pure.

use penstock_types::closed_vocabulary;
use serde::Serialize;

closed_vocabulary! {
    /// Class of a recovery.
    pub ResumeClass {
        /// Nothing is open and nothing differs.
        Clean = "CLEAN",
        /// Positions are covered, orders are known: they are managed on.
        ResumeManageOnly = "RESUME_MANAGE_ONLY",
        /// A position is inconsistent and can be sold: it is closed.
        CloseSafely = "CLOSE_SAFELY",
        /// Something is ambiguous: a person decides.
        PauseNeedsManual = "PAUSE_NEEDS_MANUAL",
    }
}

/// What was found after the reconcile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryFacts {
    /// Open positions, dust left out.
    pub positions: u32,
    /// Those of them that are being closed, or have no stop and can be sold.
    pub positions_to_close: u32,
    /// Those that have no stop and could not be closed.
    pub positions_failed: u32,
    /// Live orders of ours.
    pub orders: u32,
    /// Orders of ours whose outcome cannot be proven.
    pub orders_unknown: u32,
    /// Foreign orders on symbols with a position.
    pub foreign_on_held: u32,
    /// The ledger does not add up.
    pub ledger_mismatch: bool,
    /// Differences that count and are not resolved.
    pub diffs: u32,
}

impl RecoveryFacts {
    /// The class.
    #[must_use]
    pub const fn class(&self) -> ResumeClass {
        let ambiguous = self.orders_unknown > 0
            || self.foreign_on_held > 0
            || self.positions_failed > 0
            || self.ledger_mismatch;
        if ambiguous {
            ResumeClass::PauseNeedsManual
        } else if self.positions_to_close > 0 {
            ResumeClass::CloseSafely
        } else if self.positions > 0 || self.orders > 0 || self.diffs > 0 {
            ResumeClass::ResumeManageOnly
        } else {
            ResumeClass::Clean
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NONE: RecoveryFacts = RecoveryFacts {
        positions: 0,
        positions_to_close: 0,
        positions_failed: 0,
        orders: 0,
        orders_unknown: 0,
        foreign_on_held: 0,
        ledger_mismatch: false,
        diffs: 0,
    };

    #[rstest]
    #[case::nothing(NONE, ResumeClass::Clean)]
    #[case::a_covered_position(RecoveryFacts { positions: 1, ..NONE }, ResumeClass::ResumeManageOnly)]
    #[case::an_order(RecoveryFacts { orders: 1, ..NONE }, ResumeClass::ResumeManageOnly)]
    #[case::a_difference(RecoveryFacts { diffs: 1, ..NONE }, ResumeClass::ResumeManageOnly)]
    #[case::a_position_without_a_stop(
        RecoveryFacts { positions: 2, positions_to_close: 1, orders: 1, ..NONE },
        ResumeClass::CloseSafely
    )]
    #[case::an_unknown_order(
        RecoveryFacts { positions: 2, positions_to_close: 1, orders_unknown: 1, ..NONE },
        ResumeClass::PauseNeedsManual
    )]
    #[case::a_foreign_order(
        RecoveryFacts { positions: 1, foreign_on_held: 1, ..NONE },
        ResumeClass::PauseNeedsManual
    )]
    #[case::failed_protection(
        RecoveryFacts { positions: 1, positions_failed: 1, ..NONE },
        ResumeClass::PauseNeedsManual
    )]
    #[case::the_ledger(
        RecoveryFacts { ledger_mismatch: true, ..NONE },
        ResumeClass::PauseNeedsManual
    )]
    fn what_was_found_has_its_class(#[case] facts: RecoveryFacts, #[case] class: ResumeClass) {
        assert_eq!(facts.class(), class);
    }

    #[test]
    fn more_trouble_never_makes_the_class_milder() {
        let grades = |facts: RecoveryFacts| facts.class();
        for base in [NONE, RecoveryFacts { positions: 1, ..NONE }] {
            for worse in [
                RecoveryFacts { positions_to_close: 1, ..base },
                RecoveryFacts { orders_unknown: 1, ..base },
                RecoveryFacts { ledger_mismatch: true, ..base },
            ] {
                assert!(grades(worse) >= grades(base));
            }
        }
    }
}
