//! Where in the loop: the stages of the execution process, in their order.
//!
//! Input: nothing. Output: words with the modes in which they are entered. Invariants: the order of the list is that
//! of a cycle; a word is added and never taken away. A stage is neither an event nor a reason.

use super::SysMode;
use crate::closed_vocabulary;

/// When a stage is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    AtStart,
    Recovery,
    UntilExit,
    NormalOnly,
    OnMode,
    OnExit,
}

macro_rules! stages {
    ($($variant:ident = $text:literal, $when:ident, $meaning:literal;)+) => {
        closed_vocabulary! {
            /// A stage.
            pub StageName { $(#[doc = $meaning] $variant = $text),+ }
        }

        impl StageName {
            const fn when(self) -> When {
                match self { $(Self::$variant => When::$when),+ }
            }

            /// What is done in it, in a few words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

stages! {
    Boot = "BOOT", AtStart, "configuration, locks, pools, fence";
    DoctorChecks = "DOCTOR_CHECKS", AtStart, "the checks before anything is done";
    StartupRecover = "STARTUP_RECOVER", Recovery, "what the last life left is taken up";
    UniverseScan = "UNIVERSE_SCAN", UntilExit, "inputs are read and bound, symbols judged by their data";
    RankTopn = "RANK_TOPN", UntilExit, "the best of the universe";
    DeepScan = "DEEP_SCAN", UntilExit, "regime, strategies, routes, costs, edge and readiness of those";
    WatchlistAttach = "WATCHLIST_ATTACH", UntilExit, "finalists, and what is watched beside them";
    StateUpdate = "STATE_UPDATE", UntilExit, "the finalists' inputs are fixed and hashed";
    StrategyPropose = "STRATEGY_PROPOSE", UntilExit, "one decision for each finalist";
    AigateCall = "AIGATE_CALL", NormalOnly, "the AI gate is asked";
    RiskVerdict = "RISK_VERDICT", UntilExit, "size, capital and the last word";
    ExecuteIntent = "EXECUTE_INTENT", NormalOnly, "plan, gate, choke, submit; exits and protection go on in every mode";
    PositionManage = "POSITION_MANAGE", UntilExit, "protection, trailing, exits";
    ReconcileRest = "RECONCILE_REST", UntilExit, "our rows beside the venue's truth";
    ReportDailySummary = "REPORT_DAILY_SUMMARY", UntilExit, "yesterday, summed up";
    Degrade = "DEGRADE", OnMode, "the mode is DEGRADE now";
    Pause = "PAUSE", OnMode, "the mode is PAUSE now";
    Shutdown = "SHUTDOWN", OnExit, "everything is written, what is held is released";
}

impl StageName {
    /// A loop may enter it in this mode. Those of a start come before there is one, and orders that reduce a risk
    /// are sent in every mode without a cycle's stage.
    #[must_use]
    pub const fn is_open_in(self, mode: SysMode) -> bool {
        match (self.when(), mode) {
            (
                When::AtStart,
                SysMode::Normal | SysMode::Degrade | SysMode::Pause | SysMode::Exit,
            )
            | (When::UntilExit | When::Recovery | When::OnMode | When::NormalOnly, SysMode::Exit)
            | (When::NormalOnly, SysMode::Degrade | SysMode::Pause)
            | (When::OnExit, SysMode::Normal | SysMode::Degrade | SysMode::Pause)
            | (When::OnMode, SysMode::Normal) => false,
            (
                When::UntilExit | When::Recovery,
                SysMode::Normal | SysMode::Degrade | SysMode::Pause,
            )
            | (When::NormalOnly, SysMode::Normal)
            | (When::OnExit, SysMode::Exit) => true,
            (When::OnMode, SysMode::Degrade) => matches!(self, Self::Degrade),
            (When::OnMode, SysMode::Pause) => matches!(self, Self::Pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_their_order_and_are_open_where_they_should_be() {
        assert_eq!(StageName::ALL.len(), 18);
        let open = |mode| {
            let open = StageName::ALL.iter().filter(move |stage| stage.is_open_in(mode));
            open.map(|stage| stage.as_str()).collect::<alloc::vec::Vec<_>>()
        };
        let (normal, degrade) = (open(SysMode::Normal), open(SysMode::Degrade));
        assert_eq!((normal.len(), degrade.len()), (13, 12));
        assert!(normal.contains(&"AIGATE_CALL") && !degrade.contains(&"AIGATE_CALL"));
        assert!(normal.contains(&"EXECUTE_INTENT") && !degrade.contains(&"EXECUTE_INTENT"));
        assert!(degrade.contains(&"DEGRADE") && !degrade.contains(&"PAUSE"));
        assert_eq!(open(SysMode::Pause).len(), 12);
        assert_eq!(open(SysMode::Exit), ["SHUTDOWN"]);
        for stage in StageName::ALL {
            assert_eq!(StageName::parse(stage.as_str()), Ok(*stage));
            assert!(!stage.meaning().is_empty());
        }
    }
}
