//! What no writer may write into the tables of a whole decision: every vocabulary, every shape, each broken alone.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeSet;

/// A pair of databases with the pools of execution and of its owner.
async fn pools() -> (TestPair, PgPool, PgPool) {
    let pair = TestPair::new().await.unwrap();
    let exec = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    (pair, exec, owner)
}

/// A table, a row that it takes, and what it must refuse: column, value, and the state of the refusal.
struct Case {
    table: &'static str,
    row: Vec<(&'static str, &'static str)>,
    refused: Vec<(&'static str, &'static str, &'static str)>,
}

const CHECK: &str = "23514";
const MISSING: &str = "23503";

const DECISION: &str = "'dec_' || repeat('a', 64)";

fn decision_cases() -> Vec<Case> {
    vec![
        Case {
            table: "decisions",
            row: vec![
                ("decision_id", DECISION),
                ("evaluation_id", "1"),
                ("symbol", "'A/USD'"),
                ("version", "0"),
                ("parent_decision_id", "null"),
                ("strategy", "'Momentum'"),
                ("route", "'BreakoutContinuation'"),
                ("horizon", "'Short'"),
                ("edge_score_x10000", "0"),
                ("edge_bps_expected", "-3"),
                ("reasons", "'{STRAT_OK}'"),
                ("snapshot_hash", "''"),
                ("stage", "'STRATEGY_PROPOSE'"),
                ("contracts_version", "'1.0.0'"),
                ("created_at", "now()"),
                ("decision", "'{}'"),
            ],
            refused: vec![
                ("decision_id", "'dec_' || repeat('A', 64)", CHECK),
                ("decision_id", "'x'", CHECK),
                ("version", "2", CHECK),
                ("version", "-1", CHECK),
                ("version", "1", CHECK),
                ("parent_decision_id", DECISION, CHECK),
                ("strategy", "'momentum'", CHECK),
                ("horizon", "'Weekly'", CHECK),
                ("edge_score_x10000", "-1", CHECK),
                ("edge_score_x10000", "10001", CHECK),
                ("reasons", "'{}'", CHECK),
                ("reasons", "'{STRAT_FINE}'", CHECK),
                ("reasons", "'{STRAT_OK,ok}'", CHECK),
                ("stage", "'ORDER_FILL'", CHECK),
                ("stage", "'strategy_propose'", CHECK),
            ],
        },
        Case {
            table: "ai_gate_events",
            row: vec![
                ("decision_id", DECISION),
                ("attempt", "1"),
                ("evaluation_id", "1"),
                ("ts", "now()"),
                ("enabled", "true"),
                ("verdict", "'ALLOW'"),
                ("reasons", "'{AIGATE_OK}'"),
                ("model", "'m'"),
                ("latency_ms", "0"),
                ("snapshot_hash", "''"),
                ("input_hash", "'a'"),
                ("prompt_hash", "''"),
                ("raw_hash", "''"),
                ("modify_applied", "false"),
                ("error_code", "null"),
                ("error_detail_redacted", "repeat('é', 200)"),
            ],
            refused: vec![
                ("decision_id", "'dec_' || repeat('b', 64)", MISSING),
                ("attempt", "3", CHECK),
                ("attempt", "-1", CHECK),
                ("attempt", "0", CHECK),
                ("enabled", "false", CHECK),
                ("verdict", "'PASS'", CHECK),
                ("reasons", "'{}'", CHECK),
                ("reasons", "'{AIGATE_FINE}'", CHECK),
                ("latency_ms", "-1", CHECK),
                ("input_hash", "''", CHECK),
                ("modify_applied", "true", CHECK),
                ("error_code", "'AIGATE_ODD'", CHECK),
                ("error_detail_redacted", "repeat('é', 201)", CHECK),
            ],
        },
        Case {
            table: "risk_verdicts",
            row: vec![
                ("decision_id", DECISION),
                ("evaluation_id", "1"),
                ("ts", "now()"),
                ("verdict", "'ALLOW'"),
                ("reasons", "'{}'"),
                ("limits", "'{}'"),
                ("counters", "'{}'"),
                ("costs", "'{}'"),
                ("adjusted_min_edge_bps", "5"),
                ("multiplier_x10000", "10000"),
                ("sized_qty", "1"),
                ("sized_quote", "1"),
            ],
            refused: vec![
                ("decision_id", "'dec_' || repeat('b', 64)", MISSING),
                ("verdict", "'MODIFY'", CHECK),
                ("verdict", "'BLOCK'", CHECK),
                ("reasons", "'{RISK_MODE_BLOCK}'", CHECK),
                ("reasons", "'{RISK_ODD}'", CHECK),
                ("multiplier_x10000", "9999", CHECK),
            ],
        },
        Case {
            table: "decision_snapshots",
            row: vec![
                ("evaluation_id", "1"),
                ("symbol", "'A/USD'"),
                ("snapshot_hash", "repeat('a', 64)"),
                ("created_at", "now()"),
                ("snapshot", "'{}'"),
            ],
            refused: vec![
                ("snapshot_hash", "repeat('a', 63)", CHECK),
                ("snapshot_hash", "repeat('g', 64)", CHECK),
            ],
        },
        Case {
            table: "cycle_selections",
            row: vec![
                ("evaluation_id", "1"),
                ("ts", "now()"),
                ("topn", "'[]'"),
                ("topk_pre", "'{}'"),
                ("topk_final", "'{}'"),
                ("churn_guard_applied", "false"),
                ("correlation_applied", "false"),
                ("max_pairwise_corr_x10000", "-10000"),
                ("corr_pairs", "'[]'"),
                ("config_hash", "''"),
            ],
            refused: vec![
                ("max_pairwise_corr_x10000", "10001", CHECK),
                ("max_pairwise_corr_x10000", "-10001", CHECK),
            ],
        },
    ]
}

fn record_cases() -> Vec<Case> {
    vec![
        Case {
            table: "audit_events",
            row: vec![
                ("day", "date '2026-02-16'"),
                ("session_id", "gen_random_uuid()"),
                ("seq", "1"),
                ("ts", "now()"),
                ("local_received_at", "now()"),
                ("run_id", "0"),
                ("cycle_id", "0"),
                ("mode", "'LIVE'"),
                ("stage", "'BOOT'"),
                ("event_type", "'RUN_STARTED'"),
                ("reasons", "'{}'"),
                ("snapshot_id", "0"),
                ("generation_id", "0"),
                ("epoch_id", "0"),
                ("tick_id", "0"),
                ("decision_id", "''"),
                ("order_intent_id", "''"),
                ("symbol", "''"),
                ("data", "'{}'"),
                ("line_hash", "repeat('0', 64)"),
            ],
            refused: vec![
                ("seq", "0", CHECK),
                ("mode", "'PAPER'", CHECK),
                ("stage", "'RUN_STARTED'", CHECK),
                ("event_type", "'BOOT'", CHECK),
                ("event_type", "'run_started'", CHECK),
                ("reasons", "'{BOOT}'", CHECK),
                ("line_hash", "repeat('0', 65)", CHECK),
                ("day", "date '2026-02-17'", CHECK),
            ],
        },
        Case {
            table: "alerts",
            row: vec![
                ("source", "'ingest'"),
                ("severity", "'WARN'"),
                ("primary_reason", "'DISK_LOW_DEGRADE'"),
                ("reasons", "'{DISK_LOW_DEGRADE}'"),
                ("stage", "'BOOT'"),
                ("sys_mode", "'DEGRADE'"),
                ("summary", "''"),
                ("count", "1"),
                ("first_ts", "now()"),
                ("last_ts", "now()"),
            ],
            refused: vec![
                ("source", "'panel'", CHECK),
                ("severity", "'WARNING'", CHECK),
                ("primary_reason", "'DISK_LOW'", CHECK),
                ("reasons", "'{}'", CHECK),
                ("reasons", "'{DISK_LOW}'", CHECK),
                ("stage", "'ALERT_RAISED'", CHECK),
                ("sys_mode", "'HALT'", CHECK),
                ("count", "0", CHECK),
            ],
        },
        Case {
            table: "daily_summary",
            row: vec![
                ("day", "date '2026-02-16'"),
                ("created_at", "now()"),
                ("late", "false"),
                ("trades", "1"),
                ("wins", "1"),
                ("losses", "0"),
                ("gross_pnl_quote", "3"),
                ("fees_quote", "1"),
                ("net_pnl_quote", "2"),
                ("max_drawdown_quote", "0"),
                ("blocks_by_code", "'{}'"),
                ("dust_value_quote", "0"),
                ("uptime_s_by_mode", "'{}'"),
                ("uncovered_seconds", "0"),
            ],
            refused: vec![("net_pnl_quote", "3", CHECK), ("fees_quote", "0", CHECK)],
        },
        Case {
            table: "startup_recoveries",
            row: vec![
                ("session_id", "(select session_id from execution_sessions)"),
                ("ts", "now()"),
                ("class", "'CLEAN'"),
                ("orders_found", "0"),
                ("positions_found", "0"),
                ("orders_resolved", "0"),
                ("report", "'{}'"),
            ],
            refused: vec![
                ("class", "'DIRTY'", CHECK),
                ("session_id", "gen_random_uuid()", MISSING),
            ],
        },
    ]
}

/// Values that only together break what nothing else refuses first.
const TOGETHER: [(&str, [(&str, &str); 2]); 2] = [
    ("decisions", [("version", "2"), ("parent_decision_id", DECISION)]),
    ("risk_verdicts", [("verdict", "'BLOCK'"), ("reasons", "'{RISK_ODD}'")]),
];

fn statement(case: &Case, broken: &[(&str, &str)]) -> String {
    let names: Vec<&str> = case.row.iter().map(|(name, _)| *name).collect();
    let value =
        |name: &str| broken.iter().find(|(column, _)| *column == name).map(|(_, value)| *value);
    let values: Vec<&str> =
        case.row.iter().map(|(name, usual)| value(name).unwrap_or(usual)).collect();
    format!("insert into {} ({}) values ({})", case.table, names.join(", "), values.join(", "))
}

/// Every vocabulary and every shape that the tables of a decision promise, each broken alone by who may write them.
#[tokio::test]
async fn check_constraints() {
    let (_pair, pool, owner) = pools().await;
    for prepared in [
        "create table audit_events_20260216 partition of audit_events
             for values from ('2026-02-16') to ('2026-02-17')",
        "insert into execution_sessions (session_id, domain, mode, fencing_token, host, pid,
             git_commit, git_dirty, config_hash, started_at)
         values (gen_random_uuid(), 'd', 'attach', 1, 'h', 1, 'g', false, 'c', now())",
    ] {
        sqlx::query(AssertSqlSafe(prepared)).execute(&owner).await.unwrap();
    }
    let (mut refusals, mut broken_by_name) = (0, BTreeSet::new());
    for case in decision_cases().iter().chain(&record_cases()) {
        let alone =
            case.refused.iter().map(|(column, value, state)| (vec![(*column, *value)], *state));
        let together = TOGETHER.iter().filter(|(table, _)| *table == case.table);
        for (broken, state) in alone.chain(together.map(|(_, two)| (two.to_vec(), CHECK))) {
            for (column, _) in &broken {
                assert!(case.row.iter().any(|(name, _)| name == column), "{}.{column}", case.table);
            }
            let text = statement(case, &broken);
            let error = sqlx::query(AssertSqlSafe(text)).execute(&pool).await.unwrap_err();
            let found = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
            assert_eq!(found.as_deref(), Some(state), "{}: {broken:?}: {error}", case.table);
            let name = error.as_database_error().and_then(|e| e.constraint().map(str::to_owned));
            broken_by_name.extend(name.map(|name| (case.table.to_owned(), name)));
            refusals += 1;
        }
        // The same row unbroken is taken, so each refusal above was the broken column's.
        let whole = statement(case, &[]);
        sqlx::query(AssertSqlSafe(whole)).execute(&pool).await.unwrap();
    }
    let tables: Vec<String> =
        decision_cases().iter().chain(&record_cases()).map(|case| case.table.to_owned()).collect();
    let promised: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, k.conname::text
         from pg_constraint k
         join pg_class c on c.oid = k.conrelid
         where k.contype = 'c' and c.relname = any($1)",
    )
    .bind(&tables)
    .fetch_all(&owner)
    .await
    .unwrap();
    let left: Vec<_> = promised.iter().filter(|one| !broken_by_name.contains(one)).collect();
    assert!(left.is_empty(), "constraints that no row broke: {left:?}");
    println!("{refusals} broken rows refused, {} constraints, each broken", promised.len());
}

/// The functions behind the checks know every word of the types and no other.
#[tokio::test]
async fn the_vocabularies_of_the_database_are_those_of_the_types() {
    let (_pair, pool, _owner) = pools().await;
    let ok = async |function: &str, words: Vec<&str>| {
        let call =
            format!("select coalesce(bool_and({function}), false) from unnest($1::text[]) as w");
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        sqlx::query_scalar::<_, bool>(AssertSqlSafe(call))
            .bind(words)
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    let stages: Vec<&str> = StageName::ALL.iter().map(|word| word.as_str()).collect();
    let events: Vec<&str> = AuditEventType::ALL.iter().map(|word| word.as_str()).collect();
    let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|word| word.as_str()).collect();
    assert!(ok("stage_ok(w)", stages.clone()).await);
    assert!(ok("event_ok(w)", events.clone()).await);
    assert!(ok("reasons_ok(array[w])", reasons.clone()).await);
    // Words of one vocabulary are none of another, but for those that carry the same name.
    for event in events.iter().filter(|word| !stages.contains(word)) {
        assert!(!ok("stage_ok(w)", vec![event]).await, "{event}");
    }
    for stage in stages.iter().filter(|word| !reasons.contains(word)) {
        assert!(!ok("reasons_ok(array[w])", vec![stage]).await, "{stage}");
    }
}
