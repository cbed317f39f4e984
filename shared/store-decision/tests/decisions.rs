//! The tables of a whole decision: what is written is read again, and a row that was edited is named.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_contracts::ai::record::GateEvent;
use penstock_contracts::fixtures::{self, NOW_MS};
use penstock_contracts::units::{HashOrEmpty, Hex64};
use penstock_contracts::vocab::{AiVerdict, RiskVerdictType};
use penstock_contracts::{Decision, RiskVerdict};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::ai_gate::{
    AiGateReadError, DecisionRecords, DecisionRow, DecisionSnapshotRow, RiskVerdictRow,
    SelectionRow, insert, of_evaluation,
};
use penstock_types::vocab::ReasonCode;
use penstock_types::{EvaluationId, Symbol, UtcMicros};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

fn at(ms: i64) -> UtcMicros {
    UtcMicros((NOW_MS + ms) * 1_000 + 7)
}

fn hash(text: &str) -> HashOrEmpty {
    HashOrEmpty(Some(Hex64::of_bytes(text.as_bytes())))
}

fn attempt(decision: &Decision, attempt: i16, ms: i64) -> GateEvent {
    GateEvent {
        decision_id: decision.decision_id.clone(),
        attempt,
        evaluation_id: decision.cycle_id,
        ts: at(ms),
        enabled: true,
        verdict: AiVerdict::Error,
        reasons: vec![ReasonCode::AigateHttpError],
        model: "m".to_owned(),
        latency_ms: 12,
        snapshot_hash: HashOrEmpty(Some(decision.snapshot_hash.clone())),
        input_hash: hash("input"),
        prompt_hash: hash("prompt"),
        raw_hash: hash(""),
        request: Some("{}".to_owned()),
        response: None,
        modified: None,
        modify_applied: false,
        error_code: Some(ReasonCode::AigateHttpError),
        error_detail: "status 500".to_owned(),
    }
}

fn off(decision: &Decision) -> GateEvent {
    let none = || HashOrEmpty(None);
    GateEvent {
        enabled: false,
        verdict: AiVerdict::Allow,
        reasons: vec![ReasonCode::AigateDisabled],
        model: String::new(),
        latency_ms: 0,
        snapshot_hash: none(),
        input_hash: none(),
        prompt_hash: none(),
        raw_hash: none(),
        request: None,
        error_code: None,
        error_detail: String::new(),
        ..attempt(decision, 0, 9)
    }
}

/// An evaluation with two finalists: one that the gate changed at its second attempt, one that it was not asked about.
fn records() -> DecisionRecords {
    let first = fixtures::decision();
    let mut changed = first.clone();
    changed.exit_plan.as_mut().unwrap().time_stop_secs = 600;
    let changed = changed.with_id().unwrap();
    let mut snapshot = fixtures::snapshot();
    snapshot.symbol = Symbol::new("ETH/USD").unwrap();
    let snapshot = snapshot.with_hash().unwrap();
    let mut other = first.clone();
    other.symbol = snapshot.symbol.clone();
    other.snapshot_hash = snapshot.metadata.snapshot_hash.clone();
    let other = other.with_id().unwrap();
    let applied = GateEvent {
        verdict: AiVerdict::Modify,
        reasons: vec![ReasonCode::AigateConcernProtection],
        response: Some(r#"{"choices":[]}"#.to_owned()),
        modified: Some(r#"{"exit_plan":{"time_stop_secs":600}}"#.to_owned()),
        modify_applied: true,
        error_code: None,
        error_detail: String::new(),
        ..attempt(&first, 2, 2)
    };
    let blocked = RiskVerdict {
        verdict: RiskVerdictType::Block,
        reasons: vec![ReasonCode::RiskModeBlock, ReasonCode::RiskMaxOpenPositions],
        ..fixtures::risk_verdict()
    };
    let verdict = |decision: &Decision, ms, verdict: &RiskVerdict| {
        RiskVerdictRow::of(decision.decision_id.clone(), first.cycle_id, at(ms), verdict)
    };
    let kept = |snapshot| DecisionSnapshotRow {
        evaluation_id: first.cycle_id,
        created_at: at(0),
        snapshot,
    };
    DecisionRecords {
        selection: Some(SelectionRow {
            evaluation_id: first.cycle_id,
            ts: at(0),
            topn: json!([{"symbol": "BTC/USD", "rank_index": 0, "score_x10000": 9_000, "features": {}}]),
            topk_pre: vec![first.symbol.clone()],
            topk_final: vec![first.symbol.clone(), other.symbol.clone()],
            churn_guard_applied: false,
            correlation_applied: true,
            max_pairwise_corr_x10000: -1_234,
            corr_pairs: json!([]),
            config_hash: "c".to_owned(),
        }),
        snapshots: vec![kept(fixtures::snapshot()), kept(snapshot)],
        gate: vec![attempt(&first, 1, 1), applied, off(&other)],
        verdicts: vec![
            verdict(&changed, 3, &fixtures::risk_verdict()),
            verdict(&other, 4, &blocked),
        ],
        decisions: vec![
            DecisionRow::proposed(first.clone(), at(0)),
            DecisionRow::proposed(other, at(0)),
            DecisionRow::modified(changed, first.decision_id, at(2)),
        ],
    }
}

/// A pair of databases with the pools of execution and of its owner.
async fn pools() -> (TestPair, PgPool, PgPool) {
    let pair = TestPair::new().await.unwrap();
    let exec = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    (pair, exec, owner)
}

#[tokio::test]
async fn what_is_written_of_an_evaluation_is_read_again() {
    let (_pair, pool, owner) = pools().await;
    let written = records();
    insert(&pool, &written).await.unwrap();

    let evaluation_id = EvaluationId(42);
    assert_eq!(of_evaluation(&pool, evaluation_id).await.unwrap(), written);
    let nothing = of_evaluation(&pool, EvaluationId(43)).await.unwrap();
    assert_eq!(nothing, DecisionRecords::default());

    let shown: Vec<(i16, Option<String>, Option<String>)> = sqlx::query_as(
        "select attempt, modified_decision_id, risk_verdict from v_ai_gate_events order by ts, attempt",
    )
    .fetch_all(&owner)
    .await
    .unwrap();
    let changed = written.decisions[2].decision.decision_id.as_str().to_owned();
    let verdict = |word: &str| Some(word.to_owned());
    // The first attempt changed nothing; its decision has no verdict of its own.
    let expected =
        [(1, None, None), (2, Some(changed), verdict("ALLOW")), (0, None, verdict("BLOCK"))];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_second_write_of_an_evaluation_is_refused_and_leaves_nothing() {
    let (_pair, pool, owner) = pools().await;
    let written = records();
    insert(&pool, &written).await.unwrap();
    let again = DecisionRecords { selection: None, snapshots: Vec::new(), ..written.clone() };
    assert!(insert(&pool, &again).await.is_err());
    let mut half = written;
    half.selection.as_mut().unwrap().evaluation_id = EvaluationId(77);
    assert!(insert(&pool, &half).await.is_err());
    let kept: i64 = sqlx::query_scalar("select count(*) from cycle_selections")
        .fetch_one(&owner)
        .await
        .unwrap();
    assert_eq!(kept, 1, "the refused transaction wrote its first row and lost it");
}

#[tokio::test]
async fn an_edited_row_is_named_when_it_is_read() {
    let (_pair, pool, owner) = pools().await;
    insert(&pool, &records()).await.unwrap();
    for (edit, table, column) in [
        (
            "update decisions set edge_bps_expected = 99 where version = 1",
            "decisions",
            "edge_bps_expected",
        ),
        (
            "update decision_snapshots set snapshot_hash = repeat('0', 64)",
            "decision_snapshots",
            "snapshot_hash",
        ),
    ] {
        let mut tx = owner.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(edit)).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        match of_evaluation(&pool, EvaluationId(42)).await {
            Err(AiGateReadError::Differs { table: t, column: c, .. }) => {
                assert_eq!((t, c), (table, column));
            }
            other => panic!("{other:?}"),
        }
        sqlx::query("delete from ai_gate_events").execute(&owner).await.unwrap();
        for table in ["risk_verdicts", "decisions", "decision_snapshots", "cycle_selections"] {
            let delete = format!("delete from {table}");
            sqlx::query(AssertSqlSafe(delete)).execute(&owner).await.unwrap();
        }
        insert(&pool, &records()).await.unwrap();
    }
    sqlx::query("update decisions set decision = decision - 'constraints'")
        .execute(&owner)
        .await
        .unwrap();
    let refused = of_evaluation(&pool, EvaluationId(42)).await.unwrap_err();
    assert!(refused.to_string().contains("constraints"), "{refused}");
}
