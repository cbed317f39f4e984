//! Are these really two clusters, and is each the one that its URL says?
//!
//! Input: one pool per cluster. Output: an identity per cluster and a verdict. Comparing database,
//! address and port would miss two poolers, two schemas or a physical clone; the system identifier
//! does not. The functions that judge are pure; only [`read`] asks the cluster.

use sqlx::{Connection, PgConnection, PgPool, Row};

use crate::error::StoreError;
use crate::role::ClusterRole;

/// What a cluster says about itself; the fields of the marker `DB_ROLE_VALIDATED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// Role that the pool expects.
    pub role: ClusterRole,
    /// `current_database()`.
    pub database: String,
    /// Address of the server; `None` on a socket.
    pub server_addr: Option<String>,
    /// Port of the server; `None` on a socket.
    pub server_port: Option<i32>,
    /// Made by initdb, different on every cluster but equal on physical clones.
    pub system_identifier: i64,
    /// For example 150018.
    pub server_version_num: i32,
    /// Roles that migrations wrote into `cluster_role`; empty before the first migration.
    pub role_rows: Vec<String>,
}

/// Whether the two clusters are separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separation {
    /// Two system identifiers.
    Physical,
    /// One cluster, admitted by `ALLOW_SINGLE_CLUSTER` (marker `DB_PHYSICAL_SEPARATION
    /// active=false`; every proof about two clusters fails).
    SingleAllowed,
}

/// Oldest server that is supported: PostgreSQL 15.
pub const SERVER_VERSION_NUM_MIN: i32 = 150_000;

/// Why a cluster is not the one that was meant (exit 78).
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database behind the URL is another one, as with a pooler's alias.
    #[error("DB_ROLE_URL_MISMATCH: {} names database {expected:?} but the server says {found:?}; next: correct the URL", role.url_key())]
    UrlMismatch {
        /// The pool's role.
        role: ClusterRole,
        /// Database of the URL.
        expected: String,
        /// Database of the server.
        found: String,
    },
    /// The cluster was set up for the other role.
    #[error("DB_ROLE_URL_MISMATCH: {} leads to a database whose role is {found:?}, not {role}; next: exchange the two URLs", role.url_key())]
    RoleMismatch {
        /// The pool's role.
        role: ClusterRole,
        /// Role rows of the database.
        found: Vec<String>,
    },
    /// Both URLs lead to one cluster.
    #[error(
        "DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY: INGEST_DATABASE_URL and DECISION_DATABASE_URL lead to one cluster (system identifier {system_identifier}); next: use two clusters, or ALLOW_SINGLE_CLUSTER=true for development"
    )]
    SameCluster {
        /// The identifier of both.
        system_identifier: i64,
    },
    /// The server is too old.
    #[error(
        "DB_VERSION_UNSUPPORTED: the {role} cluster runs server version {found}, at least {SERVER_VERSION_NUM_MIN} is needed; next: upgrade PostgreSQL"
    )]
    ServerTooOld {
        /// The pool's role.
        role: ClusterRole,
        /// `server_version_num`.
        found: i32,
    },
    /// The cluster could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks a cluster who it is.
///
/// # Errors
/// [`StoreError`].
pub async fn read(pool: &PgPool, role: ClusterRole) -> Result<ClusterIdentity, StoreError> {
    let sql = |e| StoreError::sql("read the cluster's identity", role, e);
    let mut conn = pool.acquire().await.map_err(sql)?;
    let row = sqlx::query(
        "select current_database()::text, host(inet_server_addr()), inet_server_port(),
                (select system_identifier from pg_control_system()),
                current_setting('server_version_num')::int,
                to_regclass('penstock.cluster_role') is not null,
                coalesce(has_table_privilege(to_regclass('penstock.cluster_role'), 'select'), false)",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(sql)?;
    let has_role_table: bool = row.try_get(5).map_err(sql)?;
    let mut role_rows = Vec::new();
    if has_role_table {
        let may_read: bool = row.try_get(6).map_err(sql)?;
        role_rows = role_rows_of(&mut conn, may_read).await.map_err(sql)?;
    }
    Ok(ClusterIdentity {
        role,
        database: row.try_get(0).map_err(sql)?,
        server_addr: row.try_get(1).map_err(sql)?,
        server_port: row.try_get(2).map_err(sql)?,
        system_identifier: row.try_get(3).map_err(sql)?,
        server_version_num: row.try_get(4).map_err(sql)?,
        role_rows,
    })
}

/// Reads the role rows. The table comes with the first migration and the grants with the last: a service that
/// starts while another one migrates a fresh cluster may not read it yet, and reads it as the owner, whose
/// member every login role is that migrates.
async fn role_rows_of(conn: &mut PgConnection, may_read: bool) -> Result<Vec<String>, sqlx::Error> {
    let mut tx = conn.begin().await?;
    if !may_read {
        sqlx::query("set local role penstock_owner").execute(&mut *tx).await?;
    }
    let rows = sqlx::query_scalar("select role from penstock.cluster_role order by role")
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    Ok(rows)
}

/// Judges one cluster. Before the first migration there is no role row, and that is fine; a row of
/// the other role never is, so that exchanged URLs are seen before anything is migrated.
///
/// # Errors
/// [`IdentityError`].
pub fn judge_one(identity: &ClusterIdentity, url_database: &str) -> Result<(), IdentityError> {
    let role = identity.role;
    if identity.server_version_num < SERVER_VERSION_NUM_MIN {
        return Err(IdentityError::ServerTooOld { role, found: identity.server_version_num });
    }
    if identity.database != url_database {
        return Err(IdentityError::UrlMismatch {
            role,
            expected: url_database.to_owned(),
            found: identity.database.clone(),
        });
    }
    let ours = identity.role_rows.iter().any(|row| row == role.as_str());
    if !identity.role_rows.is_empty() && !ours {
        return Err(IdentityError::RoleMismatch { role, found: identity.role_rows.clone() });
    }
    Ok(())
}

/// Judges the pair.
///
/// # Errors
/// [`IdentityError::SameCluster`] unless `allow_single_cluster`.
pub fn judge_pair(
    a: &ClusterIdentity,
    b: &ClusterIdentity,
    allow_single_cluster: bool,
) -> Result<Separation, IdentityError> {
    if a.system_identifier != b.system_identifier {
        return Ok(Separation::Physical);
    }
    if allow_single_cluster {
        return Ok(Separation::SingleAllowed);
    }
    Err(IdentityError::SameCluster { system_identifier: a.system_identifier })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(role: ClusterRole, system_identifier: i64, rows: &[&str]) -> ClusterIdentity {
        ClusterIdentity {
            role,
            database: role.as_str().to_owned(),
            server_addr: None,
            server_port: None,
            system_identifier,
            server_version_num: 150_018,
            role_rows: rows.iter().map(|r| (*r).to_owned()).collect(),
        }
    }

    #[test]
    fn exchanged_urls_and_aliases_are_refused() {
        let swapped = identity(ClusterRole::Ingest, 1, &["decision"]);
        let fine = identity(ClusterRole::Ingest, 1, &["ingest"]);
        let fresh = identity(ClusterRole::Ingest, 1, &[]);
        let mut old = fresh.clone();
        old.server_version_num = 140_000;

        assert!(matches!(judge_one(&swapped, "ingest"), Err(IdentityError::RoleMismatch { .. })));
        assert!(matches!(judge_one(&fine, "other"), Err(IdentityError::UrlMismatch { .. })));
        assert!(matches!(judge_one(&old, "ingest"), Err(IdentityError::ServerTooOld { .. })));
        assert!(judge_one(&fine, "ingest").is_ok());
        assert!(judge_one(&fresh, "ingest").is_ok());
    }

    #[test]
    fn one_cluster_for_both_roles_needs_the_development_switch() {
        let ingest = identity(ClusterRole::Ingest, 7, &[]);
        let same = identity(ClusterRole::Decision, 7, &[]);
        let other = identity(ClusterRole::Decision, 8, &[]);

        assert!(matches!(
            judge_pair(&ingest, &same, false),
            Err(IdentityError::SameCluster { system_identifier: 7 })
        ));
        assert_eq!(judge_pair(&ingest, &same, true).unwrap(), Separation::SingleAllowed);
        assert_eq!(judge_pair(&ingest, &other, false).unwrap(), Separation::Physical);
    }
}
