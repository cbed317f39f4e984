//! T40: what each role may and may not do, on a real cluster. A refusal is SQLSTATE 42501, a row
//! policy, or a read-only transaction; an accepted statement affects no row or is rolled back.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::error::sqlstate;
use penstock_store::testing::TestPair;
use sqlx::AssertSqlSafe;

/// Runs a statement in a transaction that is rolled back; the SQLSTATE of a refusal.
async fn try_as(
    pair: &TestPair,
    cluster: ClusterRole,
    login: &str,
    statement: &str,
) -> Option<String> {
    let pool = pair.pool(cluster, login).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *tx).await;
    let state = match outcome {
        Ok(_) => None,
        Err(error) => Some(sqlstate(&error).unwrap_or_else(|| error.to_string())),
    };
    tx.rollback().await.unwrap();
    pool.close().await;
    state
}

async fn seed(pair: &TestPair) {
    let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
    let exec = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    for (service, pool) in [("ingest", &pool), ("execution", &exec)] {
        sqlx::query(
            "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
                 holder_pid, acquired_at, renewed_at, lease_expires_at)
             values ($1, 'test', 1, gen_random_uuid(), 'h', 1, now(), now(), now())",
        )
        .bind(service)
        .execute(pool)
        .await
        .unwrap();
        sqlx::query(
            "insert into service_heartbeats (service, instance_id, domain, host, pid, started_at, ts,
                 status) values ($1, gen_random_uuid(), 'test', 'h', 1, now(), now(), '{}')",
        )
        .bind(service)
        .execute(pool)
        .await
        .unwrap();
    }
    sqlx::query(
        "insert into installation (installation_id, order_id_salt)
         values (gen_random_uuid(), decode(repeat('ab', 32), 'hex'))",
    )
    .execute(&exec)
    .await
    .unwrap();
    let ops = pair.pool(ClusterRole::Decision, "ops_rw").await.unwrap();
    for kind in ["new_lineage", "mode"] {
        sqlx::query(
            "insert into control_requests (kind, args, requested_by) values ($1, '{}', 't')",
        )
        .bind(kind)
        .execute(&ops)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn t40_writes_outside_a_role_are_refused_on_the_decision_cluster() {
    let pair = TestPair::new().await.unwrap();
    seed(&pair).await;
    let exec_refused = [
        "insert into run_symbol_state default values",
        "update run_symbol_state set book_ok = false",
        "delete from run_symbol_state",
        "update state_publication set row_count = 0",
        "insert into ingest_epochs default values",
        "update ingest_epochs set status = 'valid'",
        "insert into engine_tick_frames default values",
        "delete from engine_tick_frames",
        "insert into candles_1m default values",
        "delete from fills",
        "update fills set qty = 1",
        "delete from fills_ledger",
        "update fills_ledger set reason = 'x'",
        "delete from execution_order_events",
        "update execution_order_events set reason = 'x'",
        "update sys_mode_log set mode_to = 'NORMAL'",
        "delete from sys_mode_log",
        "update cycle_inputs set input = ''",
        "update engine_alerts set confidence = 0",
        "delete from engine_transitions",
        "update engine_checkpoints set tick_id = 0",
        "delete from engine_day_manifests",
        "delete from balance_changes",
        "delete from quarantined_trades",
        "update exec_configs set config = '{}'",
        "insert into control_requests (kind, args, requested_by) values ('mode', '{}', 'x')",
        "create table penstock.x (a int)",
    ];
    for statement in exec_refused {
        let state = try_as(&pair, ClusterRole::Decision, "exec_rw", statement).await;
        assert_eq!(state.as_deref(), Some("42501"), "exec_rw: {statement}");
    }
    let publisher_refused = [
        "insert into execution_orders default values",
        "select qty from execution_orders",
        "select base_qty from positions",
        "update positions set status = 'closed'",
        "insert into fills default values",
        "delete from fills",
        "insert into fills_ledger default values",
        "insert into sys_mode_log default values",
        "insert into engine_alerts default values",
        "delete from sys_mode_log",
        "update execution_sessions set mode = 'once'",
        "select order_id_salt from installation",
        "update engine_tick_frames set flags = 0",
        "delete from engine_tick_frames",
        "update ingest_epochs set status = 'valid'",
    ];
    for statement in publisher_refused {
        let state = try_as(&pair, ClusterRole::Decision, "publisher_rw", statement).await;
        assert_eq!(state.as_deref(), Some("42501"), "publisher_rw: {statement}");
    }
    for statement in ["delete from run_symbol_state", "insert into control_requests default values"]
    {
        let state = try_as(&pair, ClusterRole::Decision, "observer_ro", statement).await;
        assert!(state.is_some(), "observer_ro: {statement}");
    }
    let salt = "select order_id_salt from installation";
    for login in ["observer_ro", "ops_rw"] {
        let state = try_as(&pair, ClusterRole::Decision, login, salt).await;
        assert_eq!(state.as_deref(), Some("42501"), "{login}: {salt}");
    }
    let own = try_as(&pair, ClusterRole::Decision, "exec_rw", salt).await;
    assert_eq!(own, None);
}

#[tokio::test]
async fn t40_row_policies_keep_each_service_to_its_own_rows() {
    let pair = TestPair::new().await.unwrap();
    seed(&pair).await;
    let mine = [
        ("publisher_rw", "ingest", "execution", "l2_checksum", "operator", "new_lineage"),
        ("exec_rw", "execution", "ingest", "operator", "l2_checksum", "mode"),
    ];
    for (login, own, other, own_cause, other_cause, own_kind) in mine {
        let pool = pair.pool(ClusterRole::Decision, login).await.unwrap();
        for table in ["service_fences", "service_heartbeats"] {
            let column = if table == "service_fences" { "holder_host" } else { "host" };
            let text = format!("update {table} set {column} = 'x' where service = $1");
            for (service, expected) in [(own, 1), (other, 0)] {
                let done = sqlx::query(AssertSqlSafe(text.clone()))
                    .bind(service)
                    .execute(&pool)
                    .await
                    .unwrap();
                assert_eq!(done.rows_affected(), expected, "{login}: {table} of {service}");
            }
        }
        let insert = |cause: &str| {
            format!(
                "insert into symbol_safety_state (symbol, cause, mode, primary_reason, since,
                     updated_at, updated_by)
                 values ('A/B', '{cause}', 'exit_only', 'X', now(), now(), 'ingest')"
            )
        };
        let accepted = try_as(&pair, ClusterRole::Decision, login, &insert(own_cause)).await;
        let refused = try_as(&pair, ClusterRole::Decision, login, &insert(other_cause)).await;
        assert_eq!(accepted, None, "{login}: {own_cause}");
        assert_eq!(refused.as_deref(), Some("42501"), "{login}: {other_cause}");
        let answered: Vec<String> =
            sqlx::query_scalar("update control_requests set result = 'ok' returning kind")
                .fetch_all(&pool)
                .await
                .unwrap();
        assert_eq!(answered, [own_kind], "{login} answers only its kinds");
    }
}

#[tokio::test]
async fn t40_raw_rows_can_be_neither_changed_nor_deleted_and_execution_has_no_login() {
    let pair = TestPair::new().await.unwrap();
    for table in ["ticker_samples", "trade_samples", "l2_snap_metrics", "ingest_stream_events"] {
        for statement in [format!("delete from {table}"), format!("update {table} set seq = 1")] {
            let state = try_as(&pair, ClusterRole::Ingest, "ingest_rw", &statement).await;
            assert_eq!(state.as_deref(), Some("42501"), "ingest_rw: {statement}");
        }
        let statement = format!("insert into {table} default values");
        let state = try_as(&pair, ClusterRole::Ingest, "observer_ro", &statement).await;
        assert!(state.is_some(), "observer_ro: {statement}");
    }
    for login in ["exec_rw", "publisher_rw"] {
        let refused = pair.pool(ClusterRole::Ingest, login).await;
        assert!(refused.is_err(), "{login} has no login on the ingest cluster");
    }
}
