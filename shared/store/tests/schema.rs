//! The migrated schema on real clusters: both roles' identities, age rules, the lists of columns
//! against the catalogue, and every view selected by the observer.

use penstock_store::identity;
use penstock_store::migrate::{SchemaError, check, migrate};
use penstock_store::partitions::{DailyTable, create_daily_partition, create_run_partitions};
use penstock_store::pools::{PoolSettings, connect_single};
use penstock_store::raw_rows::COPY_TARGETS;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store::{ClusterRole, StoreError};
use penstock_types::RunId;
use penstock_types::state_row::{COLUMNS, ColumnType};
use sqlx::{AssertSqlSafe, Connection, PgPool};

const ROLES: [ClusterRole; 2] = [ClusterRole::Ingest, ClusterRole::Decision];

async fn columns_of(pool: &PgPool, table: &str) -> Vec<(String, String)> {
    sqlx::query_as(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute
         where attrelid = to_regclass('penstock.' || $1) and attnum > 0 and not attisdropped
         order by attnum",
    )
    .bind(table)
    .fetch_all(pool)
    .await
    .expect("the catalogue answers")
}

#[tokio::test]
async fn state_column_list_equals_the_catalogue_of_both_clusters() {
    let pair = TestPair::new().await.unwrap();
    let type_name = |kind| match kind {
        ColumnType::Bigint => "bigint".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::Text => "text".to_owned(),
        ColumnType::Timestamp => "timestamp with time zone".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::TextArray => "text[]".to_owned(),
        ColumnType::Numeric(scale) => {
            let precision = match scale {
                12 => "",
                10 => "26",
                6 => "9",
                4 => "12",
                _ => "?",
            };
            format!("numeric({precision},{scale})")
        }
    };
    for role in ROLES {
        let pool = pair.pool(role, "observer_ro").await.unwrap();

        let catalogue = columns_of(&pool, "run_symbol_state").await;

        let names: Vec<&str> = catalogue.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>());
        for ((name, found), column) in catalogue.iter().zip(COLUMNS) {
            let wanted = type_name(column.kind);
            // Prices and quantities share scale 12 and differ in precision.
            let found = found.replace("numeric(24,12)", "numeric(,12)");
            let found = found.replace("numeric(28,12)", "numeric(,12)");
            assert_eq!(found, wanted, "type of {name}");
        }
    }
}

#[tokio::test]
async fn copy_targets_name_existing_columns_and_every_not_null_one() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Ingest, "observer_ro").await.unwrap();
    for target in COPY_TARGETS {
        let catalogue = columns_of(&pool, target.table).await;
        let required: Vec<String> = sqlx::query_scalar(
            "select attname::text from pg_attribute
             where attrelid = to_regclass('penstock.' || $1) and attnum > 0
               and attnotnull and not atthasdef and attidentity = ''",
        )
        .bind(target.table)
        .fetch_all(&pool)
        .await
        .unwrap();

        for column in target.columns {
            let known = catalogue.iter().any(|(name, _)| name == column);
            assert!(known, "{}.{column} is not in the catalogue", target.table);
        }
        for column in required {
            let listed = target.columns.contains(&column.as_str());
            assert!(listed, "{}.{column} is needed and not copied", target.table);
        }
    }
}

#[tokio::test]
async fn observer_selects_from_every_view_and_every_table() {
    let pair = TestPair::new().await.unwrap();
    for role in ROLES {
        let pool = pair.pool(role, "observer_ro").await.unwrap();
        let names: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class
             where relnamespace = to_regnamespace('penstock') and relkind in ('r', 'v', 'p')
               and relname <> 'installation' order by 1",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(names.len() > 15, "{role}: only {names:?}");
        for name in names {
            let text = format!("select count(*) from {name}");
            let count: i64 =
                sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&pool).await.unwrap();
            assert!(count >= 0, "{name}");
        }
    }
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    for view in ["v_now", "v_live_orders", "v_open_positions", "v_no_trade_24h", "v_state_top"] {
        let text = format!("select * from {view}");
        assert!(sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await.is_ok(), "{view}");
    }
    let story = "select * from v_order_story(gen_random_uuid())";
    assert!(sqlx::raw_sql(story).execute(&pool).await.is_ok());
    let salt = sqlx::query("select order_id_salt from installation").execute(&pool).await;
    assert_eq!(penstock_store::error::sqlstate(&salt.unwrap_err()).as_deref(), Some("42501"));
}

#[tokio::test]
async fn second_migration_changes_nothing_and_check_agrees() {
    let pair = TestPair::new().await.unwrap();
    for (role, login) in [(ClusterRole::Ingest, "ingest_rw"), (ClusterRole::Decision, "exec_rw")] {
        let settings = PoolSettings::service("penstock-test", 1);
        let mut conn = connect_single(&pair.url(role, login), role, &settings).await.unwrap();

        let reports = migrate(&mut conn, role).await.unwrap();
        let checked = check(&mut conn, role).await.unwrap();

        assert_eq!(reports.len(), 2);
        for report in reports.iter().chain(&checked) {
            assert!(report.applied.is_empty() && !report.newer, "{report:?}");
        }
        conn.close().await.unwrap();
    }
}

#[tokio::test]
async fn newer_altered_and_half_applied_schemas_are_told_apart() {
    let pair = TestPair::new().await.unwrap();
    let role = ClusterRole::Ingest;
    let settings = PoolSettings::service("penstock-test", 1);
    let url = pair.url(role, SUPERUSER_LOGIN);
    let mut conn = connect_single(&url, role, &settings).await.unwrap();

    let newer =
        "insert into ingest_schema_history values (5, 'later', '2026-01-01T00:00:00Z', '1');
                 insert into schema_compat values ('ingest', 5, 4)";
    sqlx::raw_sql(newer).execute(&mut conn).await.unwrap();
    let admitted = migrate(&mut conn, role).await.unwrap();
    assert!(admitted[1].newer && admitted[1].version == 5 && admitted[1].applied.is_empty());

    sqlx::raw_sql("reset role; update schema_compat set min_binary_schema = 5 where version = 5")
        .execute(&mut conn)
        .await
        .unwrap();
    let excluded = migrate(&mut conn, role).await.unwrap_err();
    assert!(matches!(excluded, SchemaError::TooNew { found: 5, known: 4, .. }), "{excluded}");

    sqlx::raw_sql("reset role; delete from schema_compat where version = 5")
        .execute(&mut conn)
        .await
        .unwrap();
    let half = migrate(&mut conn, role).await.unwrap_err();
    assert!(matches!(half, SchemaError::HalfApplied { version: 5, .. }), "{half}");

    let altered = "reset role; delete from ingest_schema_history where version = 5;
                   update ingest_schema_history set checksum = '1' where version = 2";
    sqlx::raw_sql(altered).execute(&mut conn).await.unwrap();
    let changed = migrate(&mut conn, role).await.unwrap_err();
    assert!(matches!(changed, SchemaError::Changed { version: 2, .. }), "{changed}");

    let older = "reset role; delete from ingest_schema_history where version in (2, 3, 4);
                 delete from schema_compat where set_name = 'ingest' and version > 1";
    sqlx::raw_sql(older).execute(&mut conn).await.unwrap();
    let old = check(&mut conn, role).await.unwrap_err();
    assert!(matches!(old, SchemaError::Older { found: 1, wanted: 4, .. }), "{old}");
}

#[tokio::test]
async fn clusters_are_two_and_each_has_its_role() {
    let pair = TestPair::new().await.unwrap();
    let ingest_pool = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    let decision_pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();

    let ingest = identity::read(&ingest_pool, ClusterRole::Ingest).await.unwrap();
    let decision = identity::read(&decision_pool, ClusterRole::Decision).await.unwrap();
    let exchanged = identity::read(&decision_pool, ClusterRole::Ingest).await.unwrap();

    assert!(identity::judge_one(&ingest, &ingest.database).is_ok());
    assert!(identity::judge_one(&decision, &decision.database).is_ok());
    assert_eq!(ingest.role_rows, ["ingest"]);
    assert!(matches!(
        identity::judge_one(&exchanged, &exchanged.database),
        Err(identity::IdentityError::RoleMismatch { .. })
    ));
    assert!(matches!(
        identity::judge_pair(&ingest, &decision, false),
        Ok(identity::Separation::Physical)
    ));
    assert!(matches!(
        identity::judge_pair(&decision, &exchanged, false),
        Err(identity::IdentityError::SameCluster { .. })
    ));
}

#[tokio::test]
async fn run_partitions_are_made_once_and_owned_by_the_owner() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    for _ in 0..2 {
        let mut tx = pool.begin().await.unwrap();
        create_run_partitions(&mut tx, RunId(9)).await.unwrap();
        tx.commit().await.unwrap();
    }

    let owners: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, pg_get_userbyid(c.relowner)::text
         from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where c.relkind = 'r' and c.relname like '%\\_r9' order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let keys: i64 = sqlx::query_scalar(
        "select count(*) from pg_constraint
         where conrelid = 'penstock.trade_samples_r9'::regclass and contype in ('p', 'u')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let whoami: String =
        sqlx::query_scalar("select current_user::text").fetch_one(&pool).await.unwrap();

    assert_eq!(owners.len(), 7, "{owners:?}");
    assert!(owners.iter().all(|(_, owner)| owner == "penstock_owner"), "{owners:?}");
    assert_eq!(keys, 2);
    assert_eq!(whoami, "ingest_rw");
}

#[tokio::test]
async fn daily_partition_of_frames_is_made_by_the_publisher() -> Result<(), StoreError> {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 7, 7).unwrap();
    let mut conn = pool.acquire().await.unwrap();
    for table in [
        DailyTable::EngineTickFrames,
        DailyTable::EvaluationCandidates,
        DailyTable::RawPrivateExecutions,
        DailyTable::CycleInputs,
    ] {
        create_daily_partition(&mut conn, table, day).await?;
        create_daily_partition(&mut conn, table, day).await?;
        let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(table.partition(day))
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert!(exists, "{table:?}");
    }
    Ok(())
}

/// The table of roles comes with the first migration, the grants on it with the last.
#[tokio::test]
async fn a_service_that_starts_while_another_one_migrates_learns_who_the_cluster_is() {
    for (role, login) in [
        (ClusterRole::Ingest, "ingest_rw"),
        (ClusterRole::Decision, "publisher_rw"),
        (ClusterRole::Decision, "exec_rw"),
    ] {
        // given: a cluster between its first and its last migration
        let pair = TestPair::new().await.unwrap();
        let superuser = pair.pool(role, SUPERUSER_LOGIN).await.unwrap();
        let revoke = format!("revoke select on penstock.cluster_role from {login}, observer_ro");
        sqlx::raw_sql(AssertSqlSafe(revoke)).execute(&superuser).await.unwrap();

        // when
        let pool = pair.pool(role, login).await.unwrap();
        let found = identity::read(&pool, role).await.unwrap();

        // then: it is known, and nothing stays of how it was read
        assert_eq!(found.role_rows, [role.as_str()]);
        let user: String =
            sqlx::query_scalar("select current_user::text").fetch_one(&pool).await.unwrap();
        assert_eq!(user, login);

        // and: who never migrates is told what is missing
        let observer = pair.pool(role, "observer_ro").await.unwrap();
        let refused = identity::read(&observer, role).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{refused}");
    }
}
