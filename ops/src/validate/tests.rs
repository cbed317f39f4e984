//! A passing log passes every proof; without any one required marker its proof fails and names it.

use super::*;
use penstock_types::Decimal;
use serde_json::json;

fn line(ms: i64, service: &str, marker: &str, fields: serde_json::Value) -> Line {
    let ts = penstock_types::UtcMicros::from_millis(1_795_000_000_000 + ms);
    let mut all =
        json!({"ts": ts.rfc3339(), "level": "INFO", "service": service, "marker": marker});
    if let (Some(all), Some(more)) = (all.as_object_mut(), fields.as_object()) {
        all.extend(more.clone());
    }
    Line::parse(&all.to_string()).unwrap()
}

fn startup() -> Vec<Line> {
    vec![
        line(0, "ingest", "DB_ROLE_VALIDATED", json!({"role":"ingest","system_identifier":"1"})),
        line(0, "ingest", "DB_ROLE_VALIDATED", json!({"role":"decision","system_identifier":"2"})),
        line(1, "ingest", "DB_MIGRATIONS_APPLIED", json!({})),
        line(2, "ingest", "FENCE_ACQUIRED", json!({})),
        line(3, "ingest", "INGEST_SERVICE_STARTED", json!({})),
        line(
            4,
            "execution",
            "EXECUTION_ENGINE_START",
            json!({"git_commit":"c","git_branch":"main","build_profile":"release"}),
        ),
        line(5, "execution", "FENCE_ACQUIRED", json!({})),
        line(6, "execution", "FEE_STATE_ACTIVE", json!({})),
        line(7, "execution", "EXECUTION_ATTACHED", json!({})),
    ]
}

fn market() -> Vec<Line> {
    let mut lines = vec![
        line(8, "ingest", "WRITER_METRICS", json!({"load_lag_secs": 0.2})),
        line(9, "ingest", "INGEST_EPOCH_COMPLETED", json!({})),
        line(10, "ingest", "INGEST_DUAL_WRITE_EPOCH_OK", json!({})),
    ];
    for n in 0..4 {
        let at = 1_000 * n;
        lines.push(line(at, "ingest", "RUN_SYMBOL_STATE_REFRESH", json!({"generation_id": n})));
        lines.push(line(
            at,
            "ingest",
            "RUN_SYMBOL_STATE_SYNC",
            json!({"generation_id": n, "result": "ok"}),
        ));
        lines.push(line(at, "ingest", "REFRESH_INCREMENTAL", json!({"delta_l2_rows": 3})));
    }
    lines
}

fn evaluations(verdict: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for n in 1..=4 {
        let at = 100 * n;
        let e = json!({"session_id": "s", "evaluation": n});
        let put = |lines: &mut Vec<Line>, marker: &str, more: serde_json::Value| {
            let mut fields = e.clone();
            if let (Some(f), Some(m)) = (fields.as_object_mut(), more.as_object()) {
                f.extend(m.clone());
            }
            lines.push(line(at, "execution", marker, fields));
        };
        put(&mut lines, "LIVE_EVALUATION_STARTED", json!({}));
        put(&mut lines, "EXECUTION_UNIVERSE_BOUND", json!({}));
        put(&mut lines, "DATA_INTEGRITY_VERIFIED", json!({}));
        put(&mut lines, "INGEST_DECISION_SYNC_VISIBLE", json!({"gen_mismatch": 0}));
        put(&mut lines, "DATA_FRESHNESS_EVALUATED", json!({"evaluation_index": n}));
        put(&mut lines, "DATA_INTEGRITY_MATRIX", json!({}));
        put(&mut lines, "LIVE_EVALUATION_AUDIT", json!({}));
        put(&mut lines, "NO_ORDER_ECONOMIC_GATING", json!({}));
        put(
            &mut lines,
            "LIVE_EVALUATION_COMPLETED",
            json!({"verdict": verdict, "execute_count": 0}),
        );
    }
    lines
}

fn order() -> Vec<Line> {
    let id = json!({"cl_ord_id": "x", "role": "entry"});
    let markers = ["DB_FIRST_ORDER_PERSISTED", "ORDER_LIVE_SUBMIT", "ORDER_ACK", "ORDER_FILL"];
    let mut lines: Vec<Line> = (500..)
        .zip(markers)
        .map(|(at, marker)| line(at, "execution", marker, id.clone()))
        .collect();
    let exits = ["EXIT_PLAN_CREATED", "EXIT_RUNTIME_PLAN_ARMED", "EXIT_COMPLETED"];
    lines.extend((510..).zip(exits).map(|(at, m)| line(at, "execution", m, json!({}))));
    lines
}

fn log(verdict: &str) -> Lines {
    let mut all = startup();
    all.extend(market());
    all.extend(evaluations(verdict));
    all.extend(order());
    all.sort_by_key(|line| line.ts);
    Lines(all)
}

fn facts() -> SqlFacts {
    let net = Some(Decimal::new(-10, 2));
    SqlFacts {
        ingest: Some(IngestFacts {
            system_identifier: "1".to_owned(),
            rows_before: vec![("ticker".to_owned(), 1)],
            rows_after: vec![("ticker".to_owned(), 2)],
            unexplained_holes: 0,
            execution_connections: 0,
        }),
        decision: Some(DecisionFacts {
            system_identifier: "2".to_owned(),
            frames: 12,
            ticks: 12,
            frames_without_quotes: 0,
            feature_complete: 30,
            bound_epoch_status: Some("valid".to_owned()),
            cycles: 4,
            order: Some(OrderStory {
                cl_ord_id: "x".to_owned(),
                state: "filled".to_owned(),
                events: 5,
                event_seq_max: 5,
                fills: 1,
                ledger_rows: 1,
                latency: true,
                position_id: Some(1),
                position_status: Some("closed".to_owned()),
                position_base: Decimal::ZERO,
                folded_base: Decimal::ZERO,
                realized_net: net,
                net_from_fills: net,
            }),
        }),
        market_sockets: Some(Vec::new()),
    }
}

fn settings() -> Settings {
    Settings {
        proofs: PROOFS.iter().map(|p| (*p).to_owned()).collect(),
        min_evaluations: 3,
        state_refresh_interval_ms: 1_000,
        allow_single: false,
    }
}

fn code(lines: &Lines, sql: &SqlFacts) -> (u8, Vec<String>) {
    let checks = check_all(lines, sql, &settings());
    let failed = checks.iter().filter(|c| c.outcome != Outcome::Pass);
    let names = failed.map(|c| c.name.clone()).collect();
    (conclude(&checks, lines, &settings()).code, names)
}

#[test]
fn a_whole_log_passes_every_proof() {
    assert_eq!(code(&log("economically_empty"), &facts()), (0, Vec::new()));
}

#[test]
fn each_missing_marker_fails_and_is_named() {
    let whole = log("executed");
    let required = [
        ("ingest", "INGEST_SERVICE_STARTED"),
        ("execution", "EXECUTION_ENGINE_START"),
        ("ingest", "DB_ROLE_VALIDATED"),
        ("ingest", "DB_MIGRATIONS_APPLIED"),
        ("ingest", "FENCE_ACQUIRED"),
        ("execution", "FENCE_ACQUIRED"),
        ("execution", "FEE_STATE_ACTIVE"),
        ("ingest", "WRITER_METRICS"),
        ("ingest", "RUN_SYMBOL_STATE_REFRESH"),
        ("ingest", "RUN_SYMBOL_STATE_SYNC"),
        ("ingest", "INGEST_EPOCH_COMPLETED"),
        ("ingest", "INGEST_DUAL_WRITE_EPOCH_OK"),
        ("ingest", "REFRESH_INCREMENTAL"),
        ("execution", "EXECUTION_ATTACHED"),
        ("execution", "DATA_INTEGRITY_VERIFIED"),
        ("execution", "EXECUTION_UNIVERSE_BOUND"),
        ("execution", "DATA_FRESHNESS_EVALUATED"),
        ("execution", "DATA_INTEGRITY_MATRIX"),
        ("execution", "LIVE_EVALUATION_AUDIT"),
        ("execution", "INGEST_DECISION_SYNC_VISIBLE"),
        ("execution", "ORDER_LIVE_SUBMIT"),
        ("execution", "ORDER_ACK"),
        ("execution", "EXIT_PLAN_CREATED"),
        ("execution", "EXIT_RUNTIME_PLAN_ARMED"),
        ("execution", "EXIT_COMPLETED"),
        ("execution", "NO_ORDER_ECONOMIC_GATING"),
    ];
    for (service, marker) in required {
        let keep = |l: &&Line| !(l.service == service && l.marker == marker);
        let lines = Lines(whole.0.iter().filter(keep).cloned().collect());
        let (code, names) = code(&lines, &facts());
        assert_eq!(code, 1, "{service} {marker}");
        let named = names.iter().any(|n| n.contains(marker) || n.contains("NO_ORDER_*"));
        assert!(named, "{service} {marker}: {names:?}");
    }
}

#[test]
fn the_newest_cycles_decide_the_exit_code() {
    for (verdict, want) in [("attach_blocked", 4), ("data_blocked", 3), ("mode_blocked", 6)] {
        assert_eq!(code(&log(verdict), &facts()).0, want, "{verdict}");
    }
    let mut empty = facts();
    empty.decision.as_mut().unwrap().order = None;
    let keep = |l: &&Line| l.text("cl_ord_id").is_empty();
    let lines = Lines(log("economically_empty").0.iter().filter(keep).cloned().collect());
    assert_eq!(code(&lines, &empty).0, 5);
    let keep = |l: &&Line| l.number("evaluation").is_none_or(|n| n > 2);
    let short = Lines(log("executed").0.iter().filter(keep).cloned().collect());
    assert_eq!(code(&short, &facts()).0, 7);
}

#[test]
fn rows_that_disagree_fail() {
    let mut wrong = facts();
    wrong.decision.as_mut().unwrap().order.as_mut().unwrap().realized_net =
        Some(Decimal::new(-11, 2));
    let (code_, names) = code(&log("executed"), &wrong);
    assert_eq!(code_, 1);
    assert!(names[0].starts_with("realized_pnl order=x"), "{names:?}");
    let mut blind = facts();
    blind.ingest = None;
    assert_eq!(code(&log("executed"), &blind).0, 1);
}

proptest::proptest! {
    /// A log is written by somebody else: any line is read or passed over.
    #[test]
    fn any_line_of_a_log_is_read_or_passed_over(text in "\\PC{0,200}", ts in "\\PC{0,40}", n in proptest::prelude::any::<i64>()) {
        let _passed_over = Line::parse(&text);
        let framed = json!({"ts": ts, "service": text, "marker": text, "n": n}).to_string();
        if let Some(line) = Line::parse(&framed) {
            proptest::prop_assert_eq!(line.number("n"), Some(n));
            proptest::prop_assert_eq!(line.text("marker"), text);
        }
    }
}
