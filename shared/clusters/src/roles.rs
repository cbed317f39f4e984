//! Purpose: roles and the schema of a cluster. Inputs: an open connection of a superuser. Outputs: the
//! roles, once per cluster; the schema with its default grants, once per database. Invariants: the
//! owner cannot log in; the other roles hold grants and are its members without inheriting; running it
//! twice changes nothing. Grants on tables come with the migrations, not from here.

use sqlx::{Connection, PgConnection};

use crate::kind::ClusterKind;

/// Roles of the ingest cluster.
pub const INGEST_ROLES: &str = "\
create role penstock_owner nologin;
create role observer_ro login;
create role ingest_rw login noinherit;
create role ops_rw login noinherit;
grant penstock_owner to ingest_rw, ops_rw;
grant observer_ro to ops_rw;
grant pg_monitor to observer_ro;
alter role observer_ro set default_transaction_read_only = on;
alter role observer_ro set search_path = penstock;
alter role ingest_rw set search_path = penstock;
alter role ops_rw set search_path = penstock;
";

/// Roles of the decision cluster.
pub const DECISION_ROLES: &str = "\
create role penstock_owner nologin;
create role observer_ro login;
create role publisher_rw login noinherit;
create role exec_rw login noinherit;
create role ops_rw login noinherit;
grant penstock_owner to publisher_rw, exec_rw, ops_rw;
grant observer_ro to exec_rw, ops_rw;
grant pg_monitor to observer_ro;
alter role observer_ro set default_transaction_read_only = on;
alter role observer_ro set search_path = penstock;
alter role publisher_rw set search_path = penstock;
alter role exec_rw set search_path = penstock;
alter role ops_rw set search_path = penstock;
";

/// Schema of a database on the ingest cluster.
pub const INGEST_SCHEMA: &str = "\
create schema penstock authorization penstock_owner;
grant usage on schema penstock to observer_ro, ingest_rw, ops_rw;
alter default privileges for role penstock_owner in schema penstock grant select on tables to observer_ro, ops_rw;
";

/// Schema of a database on the decision cluster.
pub const DECISION_SCHEMA: &str = "\
create schema penstock authorization penstock_owner;
grant usage on schema penstock to observer_ro, publisher_rw, exec_rw, ops_rw;
alter default privileges for role penstock_owner in schema penstock grant select on tables to observer_ro, ops_rw;
";

/// The whole script that an administrator runs on an external cluster.
#[must_use]
pub fn script(kind: ClusterKind) -> String {
    format!("{}{}", roles(kind), schema(kind))
}

const fn roles(kind: ClusterKind) -> &'static str {
    match kind {
        ClusterKind::Ingest => INGEST_ROLES,
        ClusterKind::Decision => DECISION_ROLES,
    }
}

const fn schema(kind: ClusterKind) -> &'static str {
    match kind {
        ClusterKind::Ingest => INGEST_SCHEMA,
        ClusterKind::Decision => DECISION_SCHEMA,
    }
}

/// Makes roles and schema where they are missing.
///
/// # Errors
/// Whatever the server says; the transaction is then undone.
pub async fn install(connection: &mut PgConnection, kind: ClusterKind) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Two databases of one cluster may be prepared at the same moment; roles belong to the cluster.
    sqlx::raw_sql("select pg_advisory_xact_lock(7421907365412803)")
        .execute(&mut *transaction)
        .await?;
    let has_roles: bool =
        sqlx::query_scalar("select exists (select from pg_roles where rolname = 'penstock_owner')")
            .fetch_one(&mut *transaction)
            .await?;
    if !has_roles {
        sqlx::raw_sql(roles(kind)).execute(&mut *transaction).await?;
    }
    let has_schema: bool =
        sqlx::query_scalar("select exists (select from pg_namespace where nspname = 'penstock')")
            .fetch_one(&mut *transaction)
            .await?;
    if !has_schema {
        sqlx::raw_sql(schema(kind)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
