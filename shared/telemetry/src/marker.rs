//! Purpose: the closed table of marker names, each with the level it is logged at by default.
//! Inputs: none. Outputs: [`Marker`], its name and its level. Invariants: names are stable API, they
//! are never renamed and stand only here; the variant *is* the name. It does not know which fields a
//! marker carries: those belong to the place that emits it.

/// How loud a line is. `Error` on a marker means a critical alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Detail for looking into one symbol or one order.
    Debug,
    /// Ordinary course of things.
    Info,
    /// Something is off and handled.
    Warn,
    /// Critical: a human is needed, or the process stops.
    Error,
}

impl Level {
    /// The name in log lines, upper case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The level of `tracing` with the same meaning.
    #[must_use]
    pub const fn to_tracing(self) -> tracing::Level {
        match self {
            Self::Debug => tracing::Level::DEBUG,
            Self::Info => tracing::Level::INFO,
            Self::Warn => tracing::Level::WARN,
            Self::Error => tracing::Level::ERROR,
        }
    }
}

macro_rules! markers {
    ($($name:ident $level:ident,)*) => {
        /// One structured log line with a fixed name. Emit it with [`crate::marker!`].
        #[expect(non_camel_case_types, reason = "the variant is the name that log readers search for")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Marker {
            $(#[doc = concat!("The marker `", stringify!($name), "`.")] $name,)*
        }

        impl Marker {
            /// All markers in catalogue order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The fixed name, as it stands in the field `marker`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The level at which it is logged unless the caller says otherwise.
            #[must_use]
            pub const fn level(self) -> Level {
                match self {
                    $(Self::$name => Level::$level,)*
                }
            }
        }
    };
}

markers! {
    // Startup, database, fences
    INGEST_SERVICE_STARTED Info,
    EXECUTION_ENGINE_START Info,
    EXECUTION_RUNTIME_DB_BOUND Info,
    EXECUTION_LIVE_RUNNER_START Info,
    EXECUTION_ATTACHED Info,
    DB_ROLE_VALIDATED Info,
    DB_ROLE_URL_MISMATCH Error,
    DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY Error,
    EXECUTION_BINDINGS_MISMATCH Error,
    DB_PHYSICAL_SEPARATION Info,
    DB_SCHEMA_NEWER Warn,
    DB_MIGRATIONS_STARTED Info,
    DB_MIGRATIONS_APPLIED Info,
    DB_MIGRATIONS_UP_TO_DATE Info,
    DB_MIGRATIONS_FAILED Error,
    FENCE_ACQUIRED Info,
    FENCE_BUSY Warn,
    FENCE_RELEASED Info,
    INGEST_FENCED_OUT Error,
    EXECUTION_FENCED_OUT Error,
    TICK_CLOCK_BEHIND Error,
    INGEST_DB_UNAVAILABLE Warn,
    DECISION_DB_UNAVAILABLE Error,
    INGEST_DB_RECOVERED Info,
    DECISION_DB_RECOVERED Info,
    // Ingest streams
    INGEST_LINEAGE_CHANGED Info,
    INGEST_RUN_ROLLOVER Info,
    INGEST_MAX_RUN_DURATION_REACHED Info,
    INGEST_WARMUP_STATE Info,
    DATA_WARMUP_START Info,
    DATA_WARMUP_COMPLETE Info,
    DATA_WARMUP_INSUFFICIENT Warn,
    INGEST_HEARTBEAT Info,
    INGEST_STREAM_HEALTH Info,
    INGEST_GAP_DETECTED Warn,
    INGEST_LINEAGE_RECOVERED Info,
    TRADES_BACKFILLED Info,
    DERIV_FEED_DEGRADED Warn,
    DERIV_FEED_RECOVERED Info,
    OI_POLL_STRETCHED Warn,
    QUOTE_WITHDRAWN Debug,
    L2_CHECKSUM_MISMATCH Warn,
    L2_SAMPLE_TICK Debug,
    L3_SUBSCRIBE_INCOMPLETE Warn,
    L3_RESYNC Warn,
    L3_RESYNC_LIMIT_REACHED Warn,
    WRITER_METRICS Info,
    SPOOL_OPENED Info,
    SPOOL_HIGH Warn,
    SPOOL_FULL Error,
    SPOOL_CLEAR Info,
    SPOOL_FAILED Error,
    SPOOL_CORRUPT Error,
    SPOOL_TRIMMED Debug,
    RAW_LOAD_STALLED Warn,
    RAW_LOAD_RECOVERED Info,
    RAW_DUPLICATE Warn,
    RAW_ROW_QUARANTINED Error,
    INGEST_RAW_DROPPED Warn,
    RESOURCE_TELEMETRY Info,
    UNIVERSE_SCOPE Info,
    UNIVERSE_START Info,
    UNIVERSE_LIMIT_OVERRIDE_ACTIVE Info,
    UNIVERSE_LIMIT_OVERRIDE_INACTIVE Info,
    UNIVERSE_VALIDATION_OK Info,
    UNIVERSE_PINNED_SYMBOL_MISMATCH Warn,
    UNIVERSE_RECOVERY_EXPAND Warn,
    UNIVERSE_REFRESH_STATE_TIMING Info,
    PARTITION_CREATED Info,
    PARTITION_DROPPED Info,
    CHECKPOINT_WRITTEN Info,
    CHECKPOINT_LOADED Info,
    // State, epoch, sync
    RUN_SYMBOL_STATE_REFRESH Info,
    FRAME_PUBLISHED Debug,
    FRAME_BACKLOG Warn,
    FRAMES_DISCARDED Warn,
    REFRESH_INCREMENTAL Info,
    STATE_REFRESH_SLOW Warn,
    RUN_SYMBOL_STATE_SYNC Info,
    SYNC_LAG_MS Info,
    STATE_PUBLISH_REJECTED Warn,
    INGEST_EPOCH_STARTED Info,
    EPOCH_VALIDITY_COMPUTED Info,
    INGEST_EPOCH_COMPLETED Info,
    INGEST_EPOCH_DEGRADED Warn,
    INGEST_EPOCH_INVALID Warn,
    UNIVERSE_SNAPSHOT_PUBLISHED Info,
    EXECUTION_UNIVERSE_SNAPSHOT_INSERT_FAILED Error,
    INGEST_EPOCH_CREATE_FAILED Error,
    INGEST_DUAL_WRITE_EPOCH_OK Info,
    INGEST_DUAL_WRITE_EPOCH_FAILED Error,
    INGEST_READY_FOR_EXECUTION_ATTACH Info,
    // Evaluation
    LIVE_EVALUATION_SCHEDULED Debug,
    LIVE_EVALUATION_STARTED Info,
    LIVE_EVALUATION_SKIPPED Warn,
    EXECUTION_EPOCH_BOUND Info,
    EXECUTION_UNIVERSE_BOUND Info,
    DATA_INTEGRITY_VERIFIED Info,
    EXECUTION_INGEST_LINEAGE_BREAK Warn,
    LINEAGE_BREAK_GRACE Info,
    LINEAGE_POST_SWITCH_CYCLE Info,
    STATE_SYNC_OK Debug,
    STATE_SYNC_REQUIRED Warn,
    INGEST_DECISION_SYNC_VISIBLE Info,
    EXECUTION_BLOCKED_GENERATION_MISMATCH Warn,
    DATA_FRESHNESS_EVALUATED Info,
    DATA_INTEGRITY_MATRIX Info,
    SYS_MODE_EXIT Info,
    SYS_MODE_ENTER Warn,
    READINESS_SYSTEM_BLOCK Warn,
    FEATURE_READY_SIGNAL Info,
    FEATURE_COVERAGE_L2 Info,
    FEATURE_FILTER_APPLIED Debug,
    FEATURE_INCOMPLETE_SYMBOLS Debug,
    ROUTE_ENGINE_SKIP Warn,
    EXECUTION_SYMBOL_FILTERED Debug,
    STRATEGY_FANOUT Debug,
    ROUTE_EVALUATED Debug,
    ROUTE_MAKER_EVALUATED Debug,
    ROUTE_TAKER_EVALUATED Debug,
    ROUTE_EXECUTION_MODE_CHOSEN Debug,
    ROUTE_EDGE_BREAKDOWN Debug,
    ROUTE_FEATURE_FALLBACK_USED Debug,
    ROUTE_UNIVERSE_EMPTY Info,
    ROUTE_V2_SUMMARY Info,
    READINESS_GATE_DECISION Debug,
    ROUTE_FRESHNESS_OK Debug,
    ROUTE_FRESHNESS_STALE Info,
    ROUTE_FRESHNESS_CONTEXT Debug,
    ROUTE_EXECUTION_BLOCKED_STALE_DATA Warn,
    PAIR_FILTER_RESULT Debug,
    ROUTE_SELECTED Info,
    ENGINE_START Info,
    ENGINE_CONFIG Info,
    ENGINE_SNAPSHOT_LOADED Info,
    ENGINE_LOG_TRUNCATED Warn,
    ENGINE_ROLL_FORWARD Info,
    ENGINE_RECOVERED Info,
    ENGINE_CAUGHT_UP Info,
    ENGINE_TICK_STATS Info,
    ENGINE_TICK_OVERRUN Warn,
    ENGINE_LAG Warn,
    ENGINE_STALE Warn,
    ENGINE_GAP_FILL Warn,
    ENGINE_FEED_DEGRADED Warn,
    ENGINE_FEED_RESYNC Info,
    ENGINE_TRANSITION Info,
    ENGINE_CLUSTER_TRANSITION Info,
    ENGINE_PHASE_TRANSITION Info,
    ENGINE_ALERT Info,
    ENGINE_SNAPSHOT_WRITTEN Info,
    ENGINE_ROTATED Info,
    ENGINE_DAY_MANIFEST Info,
    ENGINE_COMPRESSED Info,
    ENGINE_RETENTION Info,
    ENGINE_FATAL Error,
    ENGINE_DETERMINISM_BREACH Error,
    ENGINE_SHUTDOWN Info,
    ENGINE_GATE_BLOCK Debug,
    ENGINE_EXIT_REVIEW Info,
    AIGATE_CALL Info,
    SIZE_DECISION Info,
    CAPITAL_STATE Info,
    EDGE_NEGATIVE_HARD_BLOCK Warn,
    STRATEGY_REJECTED Debug,
    EXECUTION_PLAN Info,
    CHOKE_DECISION Info,
    LIVE_EVALUATION_AUDIT Info,
    BLOCKER_DISTRIBUTION Info,
    NO_ORDER_ECONOMIC_GATING Info,
    NO_ORDER_DATA_RUNTIME Info,
    NO_ORDER_ATTACH_BLOCKED Info,
    NO_ORDER_SYMBOL_DROP Debug,
    EVALUATION_SCALING Info,
    LIVE_EVALUATION_SLOW Warn,
    LIVE_EVALUATION_COMPLETED Info,
    // Orders
    DB_FIRST_ORDER_PERSISTED Info,
    ORDER_LIVE_SUBMIT Info,
    ORDER_ACK Info,
    ORDER_STANDBY_CLOSED Debug,
    ORDER_SUBMIT_UNKNOWN Warn,
    ORDER_REJECT Warn,
    ORDER_CANCEL_SENT Info,
    ORDER_CANCEL Info,
    ORDER_EXPIRED Info,
    ORDER_ERROR Warn,
    ORDER_FILL Info,
    FILL_LEDGER_COMMITTED Info,
    FILL_DUPLICATE_IGNORED Debug,
    FILL_PRICE_ZERO_REJECTED Warn,
    ORDER_LATE_FILL Error,
    ORDER_RESURRECTED Error,
    ORDER_OVERFILL Error,
    LEDGER_OVERSELL Error,
    ORDER_ILLEGAL_TRANSITION Error,
    ORDER_EVENT_BUFFERED Info,
    ORDER_EVENT_RELEASED Info,
    ORDER_EVENT_OUT_OF_ORDER Info,
    ORDER_SUSPECT Warn,
    ORDER_RECONCILE_REQUIRED Info,
    ORDER_RECONCILED Info,
    ORDER_LOST_OR_REJECTED Warn,
    UNKNOWN_EXCHANGE_ORDER Warn,
    RECONCILE_STARTED Info,
    RECONCILE_COMPLETE Info,
    RECONCILE_POSITION_STATE Info,
    ORDER_LATENCY Info,
    ROUTE_LATENCY_PROFILE Info,
    LATENCY_EDGE_PENALTY_APPLIED Info,
    SYMBOL_EXECUTION_LOCK_ACQUIRED Info,
    SYMBOL_EXECUTION_LOCK_RELEASED Debug,
    PRIVATE_WS_CONNECTED Info,
    PRIVATE_WS_SUBSCRIBED Info,
    PRIVATE_STREAM_SILENT Warn,
    PRIVATE_STREAM_GAP Warn,
    WS_UNHANDLED_EXEC_TYPE Warn,
    WS_UNHANDLED_ERROR Warn,
    PROOF_MODE_STATE Info,
    ROUTE_PROOF_ENTRY_FORCED Warn,
    ROUTE_PROOF_DISABLED Info,
    DMS_ARMED Info,
    DMS_REFRESHED Debug,
    DMS_DISARMED Info,
    FEE_MODEL_REFRESH_STARTED Info,
    FEE_MODEL_REFRESHED Info,
    FEE_MODEL_REFRESH_FAILED Warn,
    FEE_MODEL_FALLBACK_USED Warn,
    FEE_STATE_ACTIVE Info,
    // Safety
    QUIET_MODE_ENTER Warn,
    QUIET_MODE_ACTIVE Debug,
    SYMBOL_EXIT_ONLY Warn,
    SYMBOL_HARD_BLOCKED Warn,
    SYMBOL_SAFETY_CLEARED Info,
    CONSISTENCY_WATCHDOG Warn,
    STRATEGY_CELL_SUSPENDED Warn,
    // Exits and exposure
    EXPOSURE_PREAUTH_SENT Warn,
    EXIT_PLAN_CREATED Info,
    EXIT_ORDER_ACKED Info,
    EXIT_RUNTIME_PLAN_ARMED Info,
    EXPOSURE_PROTECTION_CONFIRMED Info,
    PROTECTION_SWAP Warn,
    PARTIAL_FILL_PROTECTION_UPDATE Info,
    POSITION_MONITOR_STARTED Info,
    POSITION_MONITOR_REFRESHED Debug,
    POSITION_MONITOR_STATUS Info,
    POSITION_MONITOR_SL_TRAILED Info,
    POSITION_MONITOR_TP_RAISED Info,
    POSITION_MONITOR_TP_AT_MARKET Info,
    EXIT_MODE_REROUTED Info,
    EXIT_REASON_TRIGGERED Info,
    EXIT_ORDER_SUBMITTED Info,
    EXIT_MAKER_FALLBACK_TO_MARKET Info,
    EXIT_ORDER_SKIPPED_STALE_ACK Warn,
    TP_MAKER_ORDER_REJECTED Warn,
    EXIT_INPUT_STALE Warn,
    EXIT_TIME_STOP_MISCONFIGURED Warn,
    EXIT_CANCEL_UNKNOWN Error,
    PROTECTION_RESERVED_FUNDS Error,
    MARKET_FILL_TIMEOUT_EXPOSURE_RISK Error,
    EXIT_COMPLETED Info,
    EQUITY_UPDATED_AFTER_TRADE Info,
    EQUITY_BELOW_MINIMUM_VIABLE Warn,
    EXPOSURE_DETECTED Info,
    EXPOSURE_UNPROTECTED Error,
    EXPOSURE_PROTECTION_STARTED Info,
    EXPOSURE_PROTECTION_FAILED Error,
    EXPOSURE_PROTECTION_FALLBACK_MARKET Error,
    EXIT_PLAN_RECONCILED Info,
    PHANTOM_POSITION_CORRECTED Warn,
    EXPOSURE_DUST_SKIP Debug,
    LEDGER_AUDIT Info,
    // Ops
    OBSERVABILITY_EXPORT_OK Info,
    OBSERVABILITY_EXPORT_FAILED Info,
    RETENTION_DONE Info,
    REFRESH_EQUIVALENCE Info,
    ALERT_RAISED Info,
    CONTROL_REQUEST_APPLIED Info,
    SHUTDOWN_STARTED Info,
    SHUTDOWN_COMPLETE Info,
}

#[cfg(test)]
mod tests {
    use super::{Level, Marker};

    #[test]
    fn names_are_unique_and_upper_case() {
        let mut seen = std::collections::BTreeSet::new();
        for marker in Marker::ALL {
            let name = marker.as_str();
            assert!(seen.insert(name), "{name} stands twice");
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn levels_follow_the_catalogue() {
        let table = [
            (Marker::INGEST_SERVICE_STARTED, Level::Info),
            (Marker::FRAME_PUBLISHED, Level::Debug),
            (Marker::FENCE_BUSY, Level::Warn),
            (Marker::DB_MIGRATIONS_FAILED, Level::Error),
            (Marker::EXPOSURE_UNPROTECTED, Level::Error),
        ];
        for (marker, level) in table {
            assert_eq!(marker.level(), level, "{}", marker.as_str());
        }
    }
}
