//! What happened: the closed list of audit events, each with the lane that its writer takes it in.
//!
//! Input: nothing. Output: words with their lane and what they say. Invariants: a word is added and never taken away or
//! given another meaning, because sealed files carry it. An event is neither a stage nor a reason, and the compiler
//! takes none for the other.

use crate::closed_vocabulary;

closed_vocabulary! {
    /// Lane of the audit writer.
    pub Lane {
        /// Written and on disk before its producer goes on.
        Critical = "critical",
        /// Written in its turn.
        Normal = "normal",
        /// The first that is dropped when there is no room.
        Sample = "sample",
    }
}

macro_rules! events {
    ($($variant:ident = $text:literal, $lane:ident, $meaning:literal;)+) => {
        closed_vocabulary! {
            /// An event of the audit trail.
            pub AuditEventType { $(#[doc = $meaning] $variant = $text),+ }
        }

        impl AuditEventType {
            /// Lane that its writer takes it in.
            #[must_use]
            pub const fn lane(self) -> Lane {
                match self { $(Self::$variant => Lane::$lane),+ }
            }

            /// What it says, in a few words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

events! {
    RunStarted = "RUN_STARTED", Critical, "a life of the process began";
    RunEnded = "RUN_ENDED", Critical, "it ended";
    ConfigLoaded = "CONFIG_LOADED", Critical, "a configuration is in force";
    StageChanged = "STAGE_CHANGED", Normal, "a loop entered another stage";
    SysModeChanged = "SYS_MODE_CHANGED", Critical, "the mode changed";
    AlertRaised = "ALERT_RAISED", Critical, "an alert was raised";
    UniverseEligibility = "UNIVERSE_ELIGIBILITY", Normal, "a symbol became eligible or ceased to be";
    RankTopn = "RANK_TOPN", Normal, "the best of the universe were ranked";
    DeepScan = "DEEP_SCAN", Normal, "those were looked at closely";
    TopkSelection = "TOPK_SELECTION", Normal, "the finalists changed";
    SnapshotBuilt = "SNAPSHOT_BUILT", Normal, "a finalist's inputs were fixed and hashed";
    StrategyBlocked = "STRATEGY_BLOCKED", Normal, "a route of a finalist was blocked";
    DecisionProposed = "DECISION_PROPOSED", Critical, "an entry was proposed";
    AigateCall = "AIGATE_CALL", Critical, "the AI gate was asked, or is off";
    RiskVerdict = "RISK_VERDICT", Critical, "risk had its say";
    GenerationGate = "GENERATION_GATE", Normal, "the generation gate was passed or refused";
    RouteFreshness = "ROUTE_FRESHNESS", Normal, "the state was young enough for a route, or too old";
    IntentStateChanged = "INTENT_STATE_CHANGED", Critical, "an order's intent moved on";
    OrderSubmit = "ORDER_SUBMIT", Critical, "an order was sent, or not";
    OrderCancel = "ORDER_CANCEL", Critical, "a cancel was sent, or not";
    OrderAmend = "ORDER_AMEND", Critical, "an amend was sent, or not";
    OrderCancelReplace = "ORDER_CANCEL_REPLACE", Critical, "an order was replaced, or not";
    OrderAck = "ORDER_ACK", Critical, "the venue took an order";
    OrderFill = "ORDER_FILL", Critical, "an order was filled in part or whole";
    OrderClosed = "ORDER_CLOSED", Critical, "an order ended";
    ProtectionStateChanged = "PROTECTION_STATE_CHANGED", Critical, "what covers a position changed";
    PositionChanged = "POSITION_CHANGED", Critical, "a position changed";
    CloseSafely = "CLOSE_SAFELY", Critical, "a step of a closing sequence";
    ReconcileRest = "RECONCILE_REST", Normal, "our rows were compared with the venue";
    ReconcileDiff = "RECONCILE_DIFF", Critical, "they differ";
    StartupRecovery = "STARTUP_RECOVERY", Critical, "a start found what was left";
    FiltersRefreshed = "FILTERS_REFRESHED", Critical, "a pair's rules changed";
    QuarantineChanged = "QUARANTINE_CHANGED", Critical, "a symbol entered or left quarantine";
    RateLimitState = "RATE_LIMIT_STATE", Normal, "a venue's counter changed its level";
    DiskHealthSample = "DISK_HEALTH_SAMPLE", Sample, "disk and database were measured";
    DbWriterBackpressure = "DB_WRITER_BACKPRESSURE", Critical, "the audit writer slows those that write";
    OperatorCommand = "OPERATOR_COMMAND", Critical, "the operator commanded something";
    DailySummary = "DAILY_SUMMARY", Critical, "a day was summed up";
    BackupDone = "BACKUP_DONE", Normal, "a backup was made";
    RetentionApplied = "RETENTION_APPLIED", Normal, "what had its time was removed";
    AuditDaySealed = "AUDIT_DAY_SEALED", Critical, "a day of the trail was sealed";
    Marker = "MARKER", Normal, "a warning or an error of the log that has no event of its own";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_lane_and_goes_round() {
        let of = |lane| AuditEventType::ALL.iter().filter(|event| event.lane() == lane).count();
        assert_eq!([of(Lane::Critical), of(Lane::Normal), of(Lane::Sample)], [27, 14, 1]);
        for event in AuditEventType::ALL {
            assert_eq!(AuditEventType::parse(event.as_str()), Ok(*event));
            assert!(!event.meaning().is_empty());
        }
        assert!(AuditEventType::parse("BOOT").is_err(), "a stage is no event");
    }
}
