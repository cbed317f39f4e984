//! The proofs bootstrap, ingest, attach and evaluation; lifecycle stands beside them.

use super::check::Checks;
use super::sql::SqlFacts;
use super::{Lines, Settings};
use std::collections::BTreeMap;

/// Process up, schema current, clusters distinct, code traceable.
pub(super) fn bootstrap(lines: &Lines, sql: &SqlFacts) -> Checks {
    let mut checks = Checks::new("bootstrap");
    checks.marker(lines, "ingest", "INGEST_SERVICE_STARTED");
    let start = lines.from_service("execution", "EXECUTION_ENGINE_START").last();
    let traceable = start.is_some_and(|line| {
        ["git_commit", "git_branch", "build_profile"].iter().all(|key| !line.text(key).is_empty())
    });
    checks.put(
        "EXECUTION_ENGINE_START",
        traceable,
        "≥ 1 with git_commit, git_branch, build_profile",
        start.map_or_else(|| "0".to_owned(), |line| line.text("git_commit")),
    );
    let mut identifiers = BTreeMap::new();
    for line in lines.of("DB_ROLE_VALIDATED") {
        identifiers.insert(line.text("role"), line.text("system_identifier"));
    }
    let (ingest, decision) = (identifiers.get("ingest"), identifiers.get("decision"));
    let distinct = ingest.is_some() && decision.is_some() && ingest != decision;
    checks.put(
        "DB_ROLE_VALIDATED",
        distinct,
        "both roles, different system_identifier",
        format!("{identifiers:?}"),
    );
    match (&sql.ingest, &sql.decision) {
        (Some(i), Some(d)) => checks.put(
            "clusters_distinct",
            i.system_identifier != d.system_identifier,
            "different system_identifier",
            format!("{} {}", i.system_identifier, d.system_identifier),
        ),
        (None, _) | (_, None) => {
            checks.not_available("clusters_distinct", "both clusters answer", "no answer");
        }
    }
    let migrated = lines.count("DB_MIGRATIONS_APPLIED") + lines.count("DB_MIGRATIONS_UP_TO_DATE");
    checks.put("DB_MIGRATIONS_APPLIED|DB_MIGRATIONS_UP_TO_DATE", migrated > 0, "≥ 1", migrated);
    for service in ["ingest", "execution"] {
        let count = lines.from_service(service, "FENCE_ACQUIRED").count();
        checks.put(&format!("FENCE_ACQUIRED {service}"), count > 0, "≥ 1", count);
    }
    checks.marker(lines, "execution", "FEE_STATE_ACTIVE");
    let critical: Vec<&str> =
        lines.0.iter().filter(|l| l.level == "ERROR").map(|l| l.marker.as_str()).collect();
    checks.put("no_critical_marker", critical.is_empty(), "0", format!("{critical:?}"));
    checks
}

/// Data → state → epoch.
pub(super) fn ingest(lines: &Lines, sql: &SqlFacts, settings: &Settings) -> Checks {
    let mut checks = Checks::new("ingest");
    ingest_sql(&mut checks, sql);
    let lag = lines.of("WRITER_METRICS").last().map(|line| line.text("load_lag_secs"));
    let lag_ok = lag.as_deref().and_then(|t| t.parse::<f64>().ok()).is_some_and(|lag| lag < 5.0);
    checks.put("WRITER_METRICS", lag_ok, "load_lag_secs < 5", lag.unwrap_or_default());
    for name in ["SPOOL_FULL", "SPOOL_FAILED", "SPOOL_CORRUPT"] {
        checks.put(&format!("no {name}"), lines.count(name) == 0, "0", lines.count(name));
    }
    let window_ms = settings.observed_ms(lines);
    let wanted = window_ms * 8 / 10 / settings.state_refresh_interval_ms.max(1);
    cadence(&mut checks, lines, "RUN_SYMBOL_STATE_REFRESH", "", wanted);
    cadence(&mut checks, lines, "RUN_SYMBOL_STATE_SYNC", "ok", wanted);
    checks.marker(lines, "ingest", "INGEST_EPOCH_COMPLETED");
    checks.marker(lines, "ingest", "INGEST_DUAL_WRITE_EPOCH_OK");
    let with_l2 =
        lines.of("REFRESH_INCREMENTAL").filter(|l| l.number("delta_l2_rows") > Some(0)).count();
    checks.put("REFRESH_INCREMENTAL", with_l2 >= 3, "delta_l2_rows > 0 in ≥ 3", with_l2);
    checks
}

fn ingest_sql(checks: &mut Checks, sql: &SqlFacts) {
    match &sql.ingest {
        Some(facts) => {
            for (stream, before) in &facts.rows_before {
                let after = facts.rows_after.iter().find(|(name, _)| name == stream);
                let after = after.map_or(0, |(_, rows)| *rows);
                let name = format!("rows_grow {stream}");
                checks.put(&name, after > *before, &format!("> {before}"), after);
            }
            let holes = facts.unexplained_holes;
            checks.put("raw_seq_holes", holes == 0, "0 unexplained", holes);
        }
        None => {
            checks.not_available("rows_grow", "two samples", "the ingest cluster did not answer")
        }
    }
    match &sql.decision {
        Some(facts) => {
            let contiguous = facts.frames > 0 && facts.frames == facts.ticks;
            checks.put("frames_contiguous", contiguous, &facts.ticks.to_string(), facts.frames);
            let quoted = facts.frames_without_quotes == 0;
            checks.put("frames_quoted", quoted, "0 without a block", facts.frames_without_quotes);
            let complete = facts.feature_complete;
            checks.put("feature_complete", complete > 0, "> 0 symbols", complete);
        }
        None => checks.not_available("frames", "frames", "the decision cluster did not answer"),
    }
}

/// A marker that comes with each generation: often enough, ids strictly increasing.
fn cadence(checks: &mut Checks, lines: &Lines, marker: &str, result: &str, wanted: i64) {
    let ids: Vec<i64> = lines
        .of(marker)
        .filter(|line| result.is_empty() || line.text("result") == result)
        .filter_map(|line| line.number("generation_id"))
        .collect();
    let rising = ids.windows(2).all(|pair| pair[0] < pair[1]);
    let enough = !ids.is_empty() && i64::try_from(ids.len()).is_ok_and(|n| n >= wanted);
    let expected = format!("≥ {wanted}, ids rising");
    checks.put(marker, enough && rising, &expected, format!("{} rising={rising}", ids.len()));
}

/// Execution binds without an ingest of its own.
pub(super) fn attach(lines: &Lines, sql: &SqlFacts) -> Checks {
    let mut checks = Checks::new("attach");
    for marker in ["EXECUTION_ATTACHED", "DATA_INTEGRITY_VERIFIED", "EXECUTION_UNIVERSE_BOUND"] {
        checks.marker(lines, "execution", marker);
    }
    match &sql.decision {
        Some(facts) => {
            let status = facts.bound_epoch_status.clone().unwrap_or_default();
            let bound = status == "valid" || status == "degraded";
            checks.put("bound_epoch", bound, "valid or degraded", status);
        }
        None => checks.not_available("bound_epoch", "valid or degraded", "no answer"),
    }
    match &sql.ingest {
        Some(facts) => {
            let count = facts.execution_connections;
            checks.put("no_connection_to_ingest_cluster", count == 0, "0", count);
        }
        None => checks.not_available("no_connection_to_ingest_cluster", "0", "no answer"),
    }
    match &sql.market_sockets {
        Some(found) => {
            checks.put("no_market_data_socket", found.is_empty(), "none", format!("{found:?}"));
        }
        None => checks.not_available("no_market_data_socket", "none", "no process to look at"),
    }
    checks
}

/// Decisions are made and explained.
pub(super) fn evaluation(lines: &Lines, sql: &SqlFacts, settings: &Settings) -> Checks {
    let mut checks = Checks::new("evaluation");
    let steps = [
        ("LIVE_EVALUATION_STARTED", "evaluation"),
        ("DATA_FRESHNESS_EVALUATED", "evaluation_index"),
        ("DATA_INTEGRITY_MATRIX", "evaluation"),
        ("LIVE_EVALUATION_AUDIT", "evaluation"),
        ("LIVE_EVALUATION_COMPLETED", "evaluation"),
    ];
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (at, (marker, key)) in steps.iter().enumerate() {
        for line in lines.from_service("execution", marker) {
            let id = (line.text("session_id"), line.text(key));
            let next = seen.entry(id).or_default();
            // Only the step that is due moves an evaluation on: the order is part of the proof.
            *next += usize::from(*next == at);
        }
        let name = (*marker).to_owned();
        let reached = seen.values().filter(|steps_done| **steps_done > at).count();
        checks.put(
            &name,
            reached >= settings.min_evaluations,
            &format!("≥ {}", settings.min_evaluations),
            reached,
        );
    }
    let completed = lines.count("LIVE_EVALUATION_COMPLETED");
    let unexplained = without_one_reason(lines);
    checks.put(
        "NO_ORDER_* once per cycle without order",
        unexplained == 0,
        "0 without",
        unexplained,
    );
    let mismatch = lines
        .of("INGEST_DECISION_SYNC_VISIBLE")
        .filter(|line| line.number("gen_mismatch") != Some(0))
        .count();
    let visible = lines.count("INGEST_DECISION_SYNC_VISIBLE");
    let fine = visible > 0 && mismatch == 0;
    checks.put(
        "INGEST_DECISION_SYNC_VISIBLE",
        fine,
        "≥ 1, gen_mismatch=0",
        format!("{visible}, {mismatch} mismatches"),
    );
    let blocked = lines.count("EXECUTION_BLOCKED_GENERATION_MISMATCH");
    checks.put("no EXECUTION_BLOCKED_GENERATION_MISMATCH", blocked == 0, "0", blocked);
    match &sql.decision {
        Some(facts) => {
            // One cycle may be between its row and its marker while we look.
            let rows = usize::try_from(facts.cycles).unwrap_or_default();
            let equal = rows.abs_diff(completed) <= 1;
            checks.put("evaluation_cycles", equal, &completed.to_string(), rows);
        }
        None => checks.not_available("evaluation_cycles", &completed.to_string(), "no answer"),
    }
    checks
}

/// Completed evaluations without an order that do not have exactly one `NO_ORDER_*` marker.
fn without_one_reason(lines: &Lines) -> usize {
    let mut reasons: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut open = Vec::new();
    for line in lines.0.iter().filter(|line| line.service == "execution") {
        let id = (line.text("session_id"), line.text("evaluation"));
        match line.marker.as_str() {
            "NO_ORDER_ECONOMIC_GATING" | "NO_ORDER_DATA_RUNTIME" | "NO_ORDER_ATTACH_BLOCKED" => {
                *reasons.entry(id).or_default() += 1;
            }
            "LIVE_EVALUATION_COMPLETED" if line.number("execute_count") == Some(0) => open.push(id),
            _other => {}
        }
    }
    // The first completion of the window may have left its reason before it.
    open.iter().skip(1).filter(|id| reasons.get(*id) != Some(&1)).count()
}
