//! The scratch pair and its databases.

use penstock_clusters::testing::TestClusters;
use penstock_clusters::{ClusterKind, SUPERUSER};
use sqlx::Connection;

async fn with_template(kind: ClusterKind) -> penstock_clusters::testing::TestDatabase {
    let clusters = TestClusters::get().await.expect("scratch clusters");
    clusters
        .database(kind, "scratch-test-v1", |urls| async move {
            let mut own = sqlx::PgConnection::connect(&urls.url(SUPERUSER)).await?;
            sqlx::raw_sql("create table penstock.seen (id int primary key)")
                .execute(&mut own)
                .await?;
            own.close().await?;
            Ok(())
        })
        .await
        .expect("a database")
}

#[tokio::test]
async fn two_tests_never_see_each_others_rows() {
    let one = with_template(ClusterKind::Ingest).await;
    let two = with_template(ClusterKind::Ingest).await;
    let mut first = sqlx::PgConnection::connect(&one.url(SUPERUSER)).await.expect("connects");
    sqlx::query("insert into penstock.seen values (1)")
        .execute(&mut first)
        .await
        .expect("inserted");

    let mut second = sqlx::PgConnection::connect(&two.url(SUPERUSER)).await.expect("connects");
    let rows: i64 = sqlx::query_scalar("select count(*) from penstock.seen")
        .fetch_one(&mut second)
        .await
        .expect("counted");

    assert_ne!(one.name(), two.name());
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn the_pair_is_two_clusters_and_a_database_goes_with_its_handle() {
    let ingest = with_template(ClusterKind::Ingest).await;
    let decision = with_template(ClusterKind::Decision).await;
    let mut identifiers = Vec::new();
    for database in [&ingest, &decision] {
        let mut own =
            sqlx::PgConnection::connect(&database.url(SUPERUSER)).await.expect("connects");
        let identifier: i64 =
            sqlx::query_scalar("select system_identifier from pg_control_system()")
                .fetch_one(&mut own)
                .await
                .expect("identifier");
        identifiers.push(identifier);
    }
    assert_ne!(identifiers[0], identifiers[1]);
    let url = ingest.url(SUPERUSER);
    drop(ingest);
    assert!(sqlx::PgConnection::connect(&url).await.is_err(), "dropped with its handle");
}
