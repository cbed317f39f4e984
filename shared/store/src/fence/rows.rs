//! The fence row: taking, renewing, giving up, checking. Runtime text, because both services use it.

use penstock_types::{FencingToken, UtcMicros, Uuid};
use sqlx::{PgConnection, PgPool, Row};

use super::{FenceError, FencedService};
use crate::again;
use crate::error::{StoreError, sqlstate};
use crate::role::ClusterRole;

const CLUSTER: ClusterRole = ClusterRole::Decision;

/// How a fence was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcquiredVia {
    /// There was no row.
    New,
    /// The lease of the holder had ended.
    Lease,
    /// The holder's process had ended, proven by its lock file.
    Lock,
}

impl AcquiredVia {
    /// The word of the marker.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Lease => "lease",
            Self::Lock => "lock",
        }
    }
}

/// A fence as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceRow {
    /// Token.
    pub fencing_token: FencingToken,
    /// Instance.
    pub holder_id: Uuid,
    /// Host.
    pub holder_host: String,
    /// Process.
    pub holder_pid: i32,
    /// End of the lease.
    pub lease_expires_at: UtcMicros,
    /// The lease has not ended by the decision cluster's clock.
    pub alive: bool,
}

pub(super) struct Holder<'a> {
    pub(super) service: FencedService,
    pub(super) domain: &'a str,
    pub(super) holder_id: Uuid,
    pub(super) host: &'a str,
    pub(super) pid: i32,
    pub(super) ttl_ms: i64,
    pub(super) lock: Option<&'a str>,
}

/// One try; `None` when somebody else holds the fence or a transaction of the holder still runs.
pub(super) async fn try_acquire(
    pool: &PgPool,
    holder: &Holder<'_>,
) -> Result<Option<(FencingToken, AcquiredVia)>, StoreError> {
    let sql = |e| StoreError::sql("acquire the fence", CLUSTER, e);
    let mut tx = again::begin(pool, "begin").await.map_err(sql)?;
    sqlx::raw_sql("set local lock_timeout = '2s'").execute(&mut *tx).await.map_err(sql)?;
    // Whose lock it was does not change while the lease runs out between this statement and the next.
    let before: Option<bool> = sqlx::query_scalar(
        "select lease_expires_at < clock_timestamp() or holder_lock is distinct from $3
         from service_fences where service = $1 and domain = $2",
    )
    .bind(holder.service.as_str())
    .bind(holder.domain)
    .bind(holder.lock)
    .fetch_optional(&mut *tx)
    .await
    .map_err(sql)?;
    let taken: Result<Option<i64>, sqlx::Error> = sqlx::query_scalar(
        "insert into service_fences as f
             (service, domain, fencing_token, holder_id, holder_host, holder_pid, holder_lock,
              acquired_at, renewed_at, lease_expires_at)
         values ($1, $2, 1, $3, $4, $5, $6, clock_timestamp(), clock_timestamp(),
              clock_timestamp() + $7 * interval '1 millisecond')
         on conflict (service, domain) do update set
             fencing_token = f.fencing_token + 1,
             holder_id = excluded.holder_id,
             holder_host = excluded.holder_host,
             holder_pid = excluded.holder_pid,
             holder_lock = excluded.holder_lock,
             acquired_at = excluded.acquired_at,
             renewed_at = excluded.renewed_at,
             lease_expires_at = excluded.lease_expires_at
         where f.lease_expires_at < clock_timestamp() or f.holder_lock = excluded.holder_lock
         returning fencing_token",
    )
    .bind(holder.service.as_str())
    .bind(holder.domain)
    .bind(holder.holder_id)
    .bind(holder.host)
    .bind(holder.pid)
    .bind(holder.lock)
    .bind(holder.ttl_ms)
    .fetch_optional(&mut *tx)
    .await;
    let taken = match taken {
        Ok(taken) => taken,
        // A transaction of the holder has the row: it is not ended yet.
        Err(error) if sqlstate(&error).as_deref() == Some("55P03") => None,
        Err(error) => return Err(sql(error)),
    };
    let Some(token) = taken else {
        tx.rollback().await.map_err(sql)?;
        return Ok(None);
    };
    tx.commit().await.map_err(|e| StoreError::commit("acquire the fence", CLUSTER, e))?;
    let via = match before {
        None => AcquiredVia::New,
        Some(true) => AcquiredVia::Lease,
        Some(false) => AcquiredVia::Lock,
    };
    Ok(Some((FencingToken(token), via)))
}

/// Extends the lease and writes the lock's identity; false when the token is no longer ours.
pub(super) async fn renew(
    pool: &PgPool,
    holder: &Holder<'_>,
    token: FencingToken,
) -> Result<bool, StoreError> {
    // Twice is as good as once: the lease runs from the last.
    let renewal = || {
        sqlx::query(
            "update service_fences set renewed_at = clock_timestamp(),
                 lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond',
                 holder_lock = $5
             where service = $1 and domain = $2 and fencing_token = $3",
        )
        .bind(holder.service.as_str())
        .bind(holder.domain)
        .bind(token.0)
        .bind(holder.ttl_ms)
        .bind(holder.lock)
        .execute(pool)
    };
    let done = again::once_more(pool, renewal)
        .await
        .map_err(|e| StoreError::sql("renew the fence", CLUSTER, e))?;
    Ok(done.rows_affected() == 1)
}

/// Ends the lease now.
pub(super) async fn release(
    pool: &PgPool,
    service: FencedService,
    domain: &str,
    token: FencingToken,
) -> Result<(), StoreError> {
    sqlx::query(
        "update service_fences set lease_expires_at = clock_timestamp()
         where service = $1 and domain = $2 and fencing_token = $3",
    )
    .bind(service.as_str())
    .bind(domain)
    .bind(token.0)
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("release the fence", CLUSTER, e))
}

/// Inside a writing transaction: the token is still ours, and stays it until the transaction ends.
/// Shared, because frames, generations and renewals of one holder must not queue behind each other.
///
/// # Errors
/// [`FenceError::Lost`], [`StoreError::Sql`].
pub async fn check_fence(
    conn: &mut PgConnection,
    service: FencedService,
    domain: &str,
    token: FencingToken,
) -> Result<(), FenceError> {
    const TEXT: &str = "select 1 from service_fences
         where service = $1 and domain = $2 and fencing_token = $3 for share";
    check(conn, TEXT, service, domain, token).await
}

/// As [`check_fence`], but waits for every unfinished transaction of earlier and own writers: after
/// taking the fence and after a commit of unknown outcome.
///
/// # Errors
/// As [`check_fence`].
pub async fn check_fence_for_update(
    conn: &mut PgConnection,
    service: FencedService,
    domain: &str,
    token: FencingToken,
) -> Result<(), FenceError> {
    const TEXT: &str = "select 1 from service_fences
         where service = $1 and domain = $2 and fencing_token = $3 for update";
    check(conn, TEXT, service, domain, token).await
}

async fn check(
    conn: &mut PgConnection,
    text: &'static str,
    service: FencedService,
    domain: &str,
    token: FencingToken,
) -> Result<(), FenceError> {
    let row = sqlx::query(text)
        .bind(service.as_str())
        .bind(domain)
        .bind(token.0)
        .fetch_optional(conn)
        .await
        .map_err(|e| StoreError::sql("check the fence", CLUSTER, e))?;
    if row.is_some() {
        return Ok(());
    }
    Err(FenceError::Lost { service, domain: domain.to_owned(), token: token.0 })
}

/// Reads a fence for looking.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn read_fence(
    conn: &mut PgConnection,
    service: FencedService,
    domain: &str,
) -> Result<Option<FenceRow>, StoreError> {
    let sql = |e| StoreError::sql("read the fence", CLUSTER, e);
    let row = sqlx::query(
        "select fencing_token, holder_id, holder_host, holder_pid, lease_expires_at,
                lease_expires_at > clock_timestamp()
         from service_fences where service = $1 and domain = $2",
    )
    .bind(service.as_str())
    .bind(domain)
    .fetch_optional(conn)
    .await
    .map_err(sql)?;
    let Some(row) = row else { return Ok(None) };
    let expires: chrono::DateTime<chrono::Utc> = row.try_get(4).map_err(sql)?;
    Ok(Some(FenceRow {
        fencing_token: FencingToken(row.try_get(0).map_err(sql)?),
        holder_id: row.try_get(1).map_err(sql)?,
        holder_host: row.try_get(2).map_err(sql)?,
        holder_pid: row.try_get(3).map_err(sql)?,
        lease_expires_at: expires.into(),
        alive: row.try_get(5).map_err(sql)?,
    }))
}
