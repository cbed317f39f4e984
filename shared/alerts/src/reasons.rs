//! Which marker is which reason: every critical marker has one in the process that emits it, and so have the warnings
//! that alert.
//!
//! Input: a marker. Output: its reason in a process, or none. Invariants: a test reads the whole catalogue of markers: a
//! critical one without a reason, and a reason for a marker that is neither critical nor named here, fail it.

use penstock_contracts::alert::AlertSource;
use penstock_telemetry::Marker;
use penstock_types::vocab::ReasonCode;

use Marker as M;
use ReasonCode as R;

/// Markers of execution.
const EXECUTION: &[(ReasonCode, &[Marker])] = &[
    (
        R::DbUnavailable,
        &[M::DECISION_DB_UNAVAILABLE, M::SPOOL_FULL, M::SPOOL_FAILED, M::SPOOL_CORRUPT],
    ),
    (R::SingleWriterLost, &[M::EXECUTION_FENCED_OUT]),
    (R::ChecklistFailed, START_REFUSED),
    (R::BindingsMismatch, &[M::EXECUTION_BINDINGS_MISMATCH]),
    (R::EngineFailed, &[M::ENGINE_FATAL, M::ENGINE_DETERMINISM_BREACH]),
    (R::LedgerMismatch, &[M::ORDER_LATE_FILL, M::ORDER_OVERFILL, M::LEDGER_OVERSELL]),
    (R::OrderStateIllegal, &[M::ORDER_ILLEGAL_TRANSITION, M::ORDER_RESURRECTED]),
    (R::ProtectionMissing, &[M::EXPOSURE_UNPROTECTED, M::EXPOSURE_PROTECTION_FALLBACK_MARKET]),
    (R::ProtectionInstallFailed, &[M::EXPOSURE_PROTECTION_FAILED]),
    (R::CloseSafelyFailed, &[M::MARKET_FILL_TIMEOUT_EXPOSURE_RISK]),
    (R::ExitCancelUnknown, &[M::EXIT_CANCEL_UNKNOWN]),
    (R::ProtectionReservedFunds, &[M::PROTECTION_RESERVED_FUNDS]),
    (R::LiveLockMissing, &[M::EXPOSURE_DETECTED]),
    (R::SpoolBacklog, &[M::SPOOL_HIGH]),
];

/// Markers of ingest.
const INGEST: &[(ReasonCode, &[Marker])] = &[
    (R::DbUnavailable, &[M::DECISION_DB_UNAVAILABLE]),
    (R::SingleWriterLost, &[M::INGEST_FENCED_OUT]),
    (R::ChecklistFailed, START_REFUSED),
    (R::SpoolBacklog, &[M::SPOOL_HIGH, M::RAW_LOAD_STALLED]),
    (
        R::RawDataLoss,
        &[
            M::SPOOL_FULL,
            M::SPOOL_FAILED,
            M::SPOOL_CORRUPT,
            M::RAW_ROW_QUARANTINED,
            M::INGEST_RAW_DROPPED,
        ],
    ),
    (R::IngestFeedGap, &[M::INGEST_GAP_DETECTED, M::DERIV_FEED_DEGRADED]),
    (
        R::IngestPublishFailed,
        &[
            M::INGEST_EPOCH_CREATE_FAILED,
            M::EXECUTION_UNIVERSE_SNAPSHOT_INSERT_FAILED,
            M::INGEST_DUAL_WRITE_EPOCH_FAILED,
            M::FRAME_BACKLOG,
            M::TICK_CLOCK_BEHIND,
        ],
    ),
];

/// Both processes refuse a start with these.
const START_REFUSED: &[Marker] = &[
    M::DB_ROLE_URL_MISMATCH,
    M::DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY,
    M::DB_MIGRATIONS_FAILED,
];

/// The reason of a marker in a process.
#[must_use]
pub fn reason_of(process: AlertSource, marker: Marker) -> Option<ReasonCode> {
    let table = match process {
        AlertSource::Execution => EXECUTION,
        AlertSource::Ingest => INGEST,
    };
    let row = table.iter().find(|(_, markers)| markers.contains(&marker));
    row.map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_telemetry::Level;
    use penstock_types::vocab::Severity;
    use std::collections::BTreeSet;

    /// Not critical and alerting all the same.
    const MILDER: [Marker; 7] = [
        M::SPOOL_HIGH,
        M::RAW_LOAD_STALLED,
        M::INGEST_RAW_DROPPED,
        M::INGEST_GAP_DETECTED,
        M::DERIV_FEED_DEGRADED,
        M::FRAME_BACKLOG,
        // Only with EXECUTION_ENABLE=false.
        M::EXPOSURE_DETECTED,
    ];

    #[test]
    fn every_critical_marker_has_a_reason_and_nothing_else_but_what_is_named() {
        for marker in Marker::ALL {
            let reasons: BTreeSet<ReasonCode> =
                AlertSource::ALL.iter().filter_map(|p| reason_of(*p, *marker)).collect();
            let expected = marker.level() == Level::Error || MILDER.contains(marker);
            assert_eq!(!reasons.is_empty(), expected, "{}: {reasons:?}", marker.as_str());
            if marker.level() == Level::Error {
                assert!(reasons.iter().all(|r| r.severity() == Severity::Crit), "{reasons:?}");
            }
        }
    }

    #[test]
    fn a_marker_has_one_reason_in_a_process() {
        for table in [EXECUTION, INGEST] {
            let mut seen = BTreeSet::new();
            let markers = table.iter().flat_map(|(_, markers)| *markers);
            assert!(markers.into_iter().all(|marker| seen.insert(*marker)), "{table:?}");
        }
    }
}
