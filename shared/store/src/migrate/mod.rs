//! Schema migrations: three sets (`both` first, then `ingest` or `decision`), embedded in the
//! binary, run under an advisory lock as the owner of the schema.
//!
//! Input: one connection of a login role that is a member of `penstock_owner`. Output: what was
//! applied, or why the schema cannot be used. Invariants: a set is judged before anything of it is
//! applied; a schema that is newer than the binary is never migrated; a set that was altered or
//! applied by half is refused. It does not create roles or the schema itself.

mod adapter;
mod age;
mod embedded;

use sqlx::PgConnection;

pub use age::{AppliedVersion, CompatRow, SchemaAge, judge};
pub use embedded::{MigrationSet, known_versions};

use crate::error::{StoreError, describe};
use crate::pools::{ActAs, set_role};
use crate::role::ClusterRole;

/// Key of the advisory lock under which migrations run: the bytes of "PENSTOCK".
const ADVISORY_LOCK_KEY: i64 = 0x5045_4E53_544F_434B;

/// Why a schema cannot be used. All but [`SchemaError::Store`] need a human (exit 78).
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Read-only callers do not migrate.
    #[error(
        "schema set {set} is at version {found}, this binary needs {wanted}; next: start the service, which migrates, or run `penstock up`"
    )]
    Older {
        /// The set.
        set: MigrationSet,
        /// Version of the cluster; 0 = nothing applied.
        found: i32,
        /// Highest version of the binary.
        wanted: i32,
    },
    /// The schema was made by a newer version that excludes this binary.
    #[error(
        "schema set {set} is at version {found} and needs a binary that knows at least {min_binary_schema}, this one knows {known}; next: deploy the newer version"
    )]
    TooNew {
        /// The set.
        set: MigrationSet,
        /// Version of the cluster.
        found: i32,
        /// Lowest version that a binary must embed.
        min_binary_schema: i32,
        /// Highest version of the binary.
        known: i32,
    },
    /// An applied migration is not the one in this binary.
    #[error(
        "schema set {set}, migration V{version} ({name}) differs from the one that was applied; next: never edit an applied migration, restore it and add a new one"
    )]
    Changed {
        /// The set.
        set: MigrationSet,
        /// The version.
        version: i32,
        /// The migration's name.
        name: String,
    },
    /// The history has a hole or disagrees with `schema_compat`.
    #[error(
        "schema set {set} is half applied at version {version}: {problem}; next: restore the cluster from its backup, or finish the migration by hand"
    )]
    HalfApplied {
        /// The set.
        set: MigrationSet,
        /// The version.
        version: i32,
        /// What is missing.
        problem: &'static str,
    },
    /// A migration failed and was rolled back.
    #[error("migrating set {set}: {problem}; next: see the runbook of DB_MIGRATIONS_FAILED")]
    Failed {
        /// The set.
        set: MigrationSet,
        /// The server's message.
        problem: String,
    },
    /// The cluster could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SchemaError {
    /// Whether waiting can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Older { .. }
            | Self::TooNew { .. }
            | Self::Changed { .. }
            | Self::HalfApplied { .. }
            | Self::Failed { .. } => false,
        }
    }
}

/// What happened to one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetReport {
    /// The set.
    pub set: MigrationSet,
    /// Versions applied now.
    pub applied: Vec<i32>,
    /// Version of the cluster afterwards.
    pub version: i32,
    /// The cluster is newer than the binary, which may use it (marker `DB_SCHEMA_NEWER`).
    pub newer: bool,
}

/// Migrates both sets of a cluster.
///
/// The connection acts as the owner afterwards and should be closed.
///
/// # Errors
/// [`SchemaError`]; nothing of a refused set has been applied.
pub async fn migrate(
    conn: &mut PgConnection,
    role: ClusterRole,
) -> Result<Vec<SetReport>, SchemaError> {
    let sql = |action| move |e| SchemaError::Store(StoreError::sql(action, role, e));
    // A migration may rebuild an index, which takes longer than a service's statements.
    sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = '60s'")
        .execute(&mut *conn)
        .await
        .map_err(sql("set time-outs"))?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(ADVISORY_LOCK_KEY)
        .execute(&mut *conn)
        .await
        .map_err(sql("lock migrations"))?;
    let outcome = migrate_locked(conn, role).await;
    let unlock = sqlx::query("select pg_advisory_unlock($1)")
        .bind(ADVISORY_LOCK_KEY)
        .execute(&mut *conn)
        .await
        .map_err(sql("unlock migrations"));
    let reports = outcome?;
    unlock?;
    Ok(reports)
}

async fn migrate_locked(
    conn: &mut PgConnection,
    role: ClusterRole,
) -> Result<Vec<SetReport>, SchemaError> {
    set_role(conn, ActAs::Owner).await.map_err(|e| StoreError::sql("set role", role, e))?;
    let mut reports = Vec::with_capacity(2);
    for set in MigrationSet::of(role) {
        let age = inspect_set(conn, role, set).await?;
        let known = set.highest();
        let (applied, version, newer) = match age {
            SchemaAge::Current => (Vec::new(), known, false),
            SchemaAge::Newer { found } => (Vec::new(), found, true),
            SchemaAge::Older { .. } => (apply(conn, set).await?, known, false),
        };
        reports.push(SetReport { set, applied, version, newer });
    }
    Ok(reports)
}

async fn apply(conn: &mut PgConnection, set: MigrationSet) -> Result<Vec<i32>, SchemaError> {
    let mut adapter = adapter::Adapter(conn);
    let report = set.runner().run_async(&mut adapter).await.map_err(|error| {
        let problem = match error.kind() {
            refinery_core::error::Kind::Connection(what, source) => {
                match source.downcast_ref::<sqlx::Error>() {
                    Some(sqlx) => format!("{what}: {}", describe(sqlx)),
                    None => format!("{what}: {source}"),
                }
            }
            other => other.to_string(),
        };
        SchemaError::Failed { set, problem }
    })?;
    Ok(report.applied_migrations().iter().map(refinery_core::Migration::version).collect())
}

/// Judges a cluster's schema without changing anything: for `--check` and read-only tools.
///
/// # Errors
/// [`SchemaError`], also [`SchemaError::Older`].
pub async fn check(
    conn: &mut PgConnection,
    role: ClusterRole,
) -> Result<Vec<SetReport>, SchemaError> {
    let mut reports = Vec::with_capacity(2);
    for set in MigrationSet::of(role) {
        let known = set.highest();
        let (version, newer) = match inspect_set(conn, role, set).await? {
            SchemaAge::Current => (known, false),
            SchemaAge::Newer { found } => (found, true),
            SchemaAge::Older { found } => {
                return Err(SchemaError::Older { set, found, wanted: known });
            }
        };
        reports.push(SetReport { set, applied: Vec::new(), version, newer });
    }
    Ok(reports)
}

async fn inspect_set(
    conn: &mut PgConnection,
    role: ClusterRole,
    set: MigrationSet,
) -> Result<SchemaAge, SchemaError> {
    let sql = |e| StoreError::sql("read the schema history", role, e);
    let mut applied = Vec::new();
    if age::relation_exists(conn, set.history_table()).await.map_err(sql)? {
        applied = age::applied_versions(conn, set).await.map_err(sql)?;
    }
    let mut compat = Vec::new();
    if age::relation_exists(conn, "schema_compat").await.map_err(sql)? {
        compat = age::compat_rows(conn, set).await.map_err(sql)?;
    }
    age::judge(set, &known_versions(set), &applied, &compat)
}
