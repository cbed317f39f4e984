//! Rows of the engine on a real cluster: written once, compared when they are written again.

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::engine_rows::{
    AlertRow, CheckpointRow, ManifestRow, TransitionRow, newest_checkpoint, newest_ticks,
    put_alerts, put_checkpoint, put_manifest, put_transitions,
};
use penstock_store_decision::retention::{OldEngineRows, forget_engine_rows};
use penstock_types::{SessionId, TickId, Uuid};

const SESSION: SessionId = SessionId(Uuid::from_u128(1));
const LATER: SessionId = SessionId(Uuid::from_u128(2));

fn transition(tick_id: i64) -> TransitionRow {
    TransitionRow {
        tick_id,
        kind: "token".to_owned(),
        subject_id: 3,
        cycle_id: Some(1),
        from_code: 0,
        to_code: 1,
        edge: "forward".to_owned(),
        cost: Some(500_000),
        ..TransitionRow::default()
    }
}

fn alert(tick_id: i64) -> AlertRow {
    AlertRow {
        alert_id: format!("{tick_id:032x}"),
        tick_id,
        kind: 3,
        scope: "TOKEN".to_owned(),
        token_id: Some(3),
        cluster_id: 1,
        symbol: Some("BTC".to_owned()),
        direction: 2,
        confidence: 84,
        payload: r#"{"b":1, "a":2}"#.to_owned(),
        integrity: serde_json::json!({ "mode": "LIVE" }),
    }
}

#[tokio::test]
async fn a_row_is_written_once_and_another_content_is_named() {
    // given rows of a first session
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    assert_eq!(newest_ticks(&pool).await.unwrap(), (None, None));
    assert_eq!(newest_checkpoint(&pool).await.unwrap(), None);
    let phase = TransitionRow {
        kind: "phase".to_owned(),
        event_id: Some("E".to_owned()),
        cycle_id: None,
        cost: None,
        edge: "collapse".to_owned(),
        ..transition(12)
    };
    let moves = [transition(10), transition(11), phase];
    assert_eq!(put_transitions(&pool, SESSION, &moves).await.unwrap(), None);
    assert_eq!(put_alerts(&pool, SESSION, &[alert(9), alert(11)]).await.unwrap(), None);
    let checkpoint = CheckpointRow { tick_id: 240, state_chain: [1; 32], frame_chain: [2; 32] };
    assert!(put_checkpoint(&pool, &checkpoint).await.unwrap());

    // when a later session derives the same, with more behind
    let more = [transition(11), transition(13)];
    assert_eq!(put_transitions(&pool, LATER, &more).await.unwrap(), None);
    let other_program =
        AlertRow { integrity: serde_json::json!({ "mode": "LIVE", "x": 1 }), ..alert(11) };
    assert_eq!(put_alerts(&pool, LATER, &[other_program]).await.unwrap(), None);
    assert!(put_checkpoint(&pool, &checkpoint).await.unwrap());

    // then each stands once, as it was written first
    let rows: Vec<(i64, Uuid)> =
        sqlx::query_as("select tick_id, session_id from engine_transitions order by tick_id")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(rows, [(10, SESSION.0), (11, SESSION.0), (12, SESSION.0), (13, LATER.0)]);
    let payload: String =
        sqlx::query_scalar("select payload from engine_alerts where tick_id = 11")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(payload, r#"{"b":1, "a":2}"#, "the bytes are kept");
    assert_eq!(newest_ticks(&pool).await.unwrap(), (Some(13), Some(11)));
    assert_eq!(newest_checkpoint(&pool).await.unwrap(), Some(checkpoint));

    // and another content is named, whichever field it is in
    let changes: [fn(&mut TransitionRow); 4] = [
        |r| r.cost = Some(1),
        |r| r.cycle_id = None,
        |r| r.to_code = 5,
        |r| r.edge = "release".to_owned(),
    ];
    for change in changes {
        let mut other = transition(11);
        change(&mut other);
        let named = put_transitions(&pool, LATER, &[transition(10), other]).await.unwrap();
        assert_eq!(named.as_deref(), Some("token 3 at tick 11"));
    }
    let named = put_alerts(&pool, LATER, &[AlertRow { confidence: 1, ..alert(11) }]).await.unwrap();
    assert_eq!(named, Some(alert(11).alert_id));
    let other = CheckpointRow { state_chain: [9; 32], ..checkpoint };
    assert!(!put_checkpoint(&pool, &other).await.unwrap());
}

#[tokio::test]
async fn a_manifest_stands_once_for_its_day() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let row = ManifestRow {
        day: chrono::NaiveDate::from_ymd_opt(2026, 2, 16).unwrap(),
        manifest: "{}".to_owned(),
        sha256: [1; 32],
        day_root: [2; 32],
        key_id: None,
        late: true,
    };
    assert!(put_manifest(&pool, &row).await.unwrap());
    assert!(put_manifest(&pool, &row).await.unwrap());
    assert!(!put_manifest(&pool, &ManifestRow { sha256: [3; 32], ..row }).await.unwrap());
    let stands: i64 = sqlx::query_scalar("select count(*) from engine_day_manifests")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stands, 1);
}

#[tokio::test]
async fn old_rows_go_by_the_operators_role_alone_and_a_rehearsal_only_counts_them() {
    let pair = TestPair::new().await.unwrap();
    let service = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let operator = pair.pool(ClusterRole::Decision, "ops_rw").await.unwrap();
    put_transitions(&service, SESSION, &[transition(9), transition(10)]).await.unwrap();
    put_alerts(&service, SESSION, &[alert(8), alert(9), alert(10)]).await.unwrap();
    for tick_id in [240, 480] {
        let row = CheckpointRow { tick_id, state_chain: [1; 32], frame_chain: [2; 32] };
        assert!(put_checkpoint(&service, &row).await.unwrap());
    }
    let (said, checkpoints) = (TickId(10), TickId(480));
    let old = OldEngineRows { transitions: 1, alerts: 2, checkpoints: 1 };
    assert!(forget_engine_rows(&service, said, checkpoints, false).await.is_err(), "it only adds");
    for is_rehearsal in [true, true, false] {
        let went = forget_engine_rows(&operator, said, checkpoints, is_rehearsal).await.unwrap();
        assert_eq!(went, old);
    }
    let none = OldEngineRows { transitions: 0, alerts: 0, checkpoints: 0 };
    assert_eq!(forget_engine_rows(&operator, said, checkpoints, false).await.unwrap(), none);
    assert_eq!(newest_ticks(&service).await.unwrap(), (Some(10), Some(10)), "what is young stays");
}
