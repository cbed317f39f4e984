//! Rows of alerts on a real decision cluster, written as the service's role.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_contracts::alert::{Alert, AlertSource};
use penstock_contracts::units::TsMs;
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::alerts::{
    RowKey, day_result, delivered, save, stored, two_epochs_not_valid, wal_bytes,
};
use penstock_types::vocab::{ReasonCode, Severity};
use serde_json::json;

fn alert(reason: &str, severity: &str, first_ms: i64, count: i64) -> Alert {
    let document = json!({"v": 1, "source": "execution", "sender": "execution",
        "severity": severity, "reason_code": reason, "reasons": [reason, "ENTER_DEGRADE"],
        "symbol": "", "stage": "POSITION_MANAGE", "sys_mode": "DEGRADE", "summary": "something",
        "count": count, "first_ts_ms": first_ms, "last_ts_ms": first_ms + count, "run_id": 17,
        "cycle_id": 3, "decision_id": "", "order_intent_id": "", "active": true,
        "metrics": {"pct": 81}});
    Alert::read(document.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn an_alert_is_one_row_from_its_opening_to_its_end_and_another_of_its_key_is_another_row() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let now = chrono::Utc::now().timestamp_millis();
    let crit = |first_ms, count| alert("LEDGER_MISMATCH", "CRIT", first_ms, count);
    let key = |first_ms| RowKey {
        source: AlertSource::Execution,
        reason: ReasonCode::LedgerMismatch,
        symbol: "",
        first_ms,
    };

    // It opens, counts, is taken by a way out twice, and an older state of it that comes late lowers nothing.
    save(&pool, &crit(now, 1), None).await.unwrap();
    save(&pool, &crit(now, 5), None).await.unwrap();
    save(&pool, &crit(now, 2), None).await.unwrap();
    delivered(&pool, &key(now), "webhook").await.unwrap();
    delivered(&pool, &key(now), "webhook").await.unwrap();
    let rows = stored(&pool).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].alert.count, rows[0].alert.last_ts_ms), (5, TsMs(now + 5)));
    assert_eq!(
        (rows[0].is_cleared, rows[0].delivered.as_slice()),
        (false, &["webhook".to_owned()][..])
    );

    // It ends, and a late state of it does not open it again.
    save(&pool, &crit(now, 5), Some(now + 100)).await.unwrap();
    save(&pool, &crit(now, 6), None).await.unwrap();
    let rows = stored(&pool).await.unwrap();
    assert_eq!((rows.len(), rows[0].is_cleared, rows[0].alert.count), (1, true, 6));

    // One that its process could not end any more is ended by the next of its key.
    save(&pool, &crit(now + 200, 1), None).await.unwrap();
    save(&pool, &crit(now + 300, 1), None).await.unwrap();
    let rows = stored(&pool).await.unwrap();
    let open: Vec<_> = rows.iter().filter(|r| !r.is_cleared).collect();
    assert_eq!((rows.len(), open.len()), (3, 1));
    assert_eq!(open[0].alert, crit(now + 300, 1), "as it was written");

    // What is not critical and has ended is not taken over; nor what ended a day ago.
    save(&pool, &alert("SPOOL_BACKLOG", "WARN", now, 1), Some(now + 1)).await.unwrap();
    let day = 86_400_000;
    save(&pool, &alert("ENGINE_FAILED", "CRIT", now - 2 * day, 1), Some(now - day - 1))
        .await
        .unwrap();
    let rows = stored(&pool).await.unwrap();
    assert!(rows.iter().all(|r| r.alert.reason_code == ReasonCode::LedgerMismatch), "{rows:?}");
    assert!(rows.iter().all(|r| r.alert.severity == Severity::Crit));
}

#[tokio::test]
async fn figures_can_be_read_by_the_services_role_also_when_there_is_nothing() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    assert!(wal_bytes(&pool).await.unwrap() > 0);
    assert!(!two_epochs_not_valid(&pool).await.unwrap());
    assert_eq!(day_result(&pool).await.unwrap(), None);
}
