//! Taking a fence, keeping it, giving it up.
//!
//! Order of the tries: the lock every 250 ms, the row at once whenever the lock was got, and every
//! 2 s without it. A fence taken without the lock (a stopped process of this host still has it)
//! tries the lock at every renewal and writes it with the row when it is got.

use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_types::{FencingToken, Uuid};
use sqlx::PgPool;
use tokio::time::Instant;

use super::lock_file::{LockFile, refuse_network_filesystem};
use super::rows::{self, AcquiredVia, Holder};
use super::{FenceError, FencedService};
use crate::error::StoreError;
use crate::role::ClusterRole;

const LOCK_EVERY: Duration = Duration::from_millis(250);
const ROW_EVERY: Duration = Duration::from_secs(2);

/// Who wants the fence, and for how long he waits.
#[derive(Debug, Clone)]
pub struct FenceRequest {
    /// Service.
    pub service: FencedService,
    /// Domain.
    pub domain: String,
    /// This process instance.
    pub holder_id: Uuid,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Lease in milliseconds.
    pub ttl_ms: i64,
    /// Directory of the lock file; must be on a filesystem of this host.
    pub state_dir: PathBuf,
    /// How long to wait for a busy fence (`FENCE_ACQUIRE_TIMEOUT_SECS`, 60).
    pub timeout: Duration,
}

/// What happens while the fence is taken or kept, for the caller's markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceEvent {
    /// `FENCE_BUSY reason=lock`: a process of this host has the lock file.
    BusyLock,
    /// `FENCE_BUSY reason=lease`: the row has a holder whose lease runs.
    BusyLease,
    /// `FENCE_ACQUIRED`.
    Acquired {
        /// How.
        via: AcquiredVia,
        /// Token.
        token: FencingToken,
    },
}

/// A fence that this process holds.
#[derive(Debug)]
pub struct Fence {
    request: FenceRequest,
    token: FencingToken,
    lock: Option<LockFile>,
}

impl Fence {
    /// Takes the fence.
    ///
    /// # Errors
    /// [`FenceError::Busy`] after the time-out; [`FenceError::Lock`]; [`FenceError::Store`] for an
    /// error that waiting cannot change.
    pub async fn acquire(
        pool: &PgPool,
        request: FenceRequest,
        mut on_event: impl FnMut(FenceEvent),
    ) -> Result<Self, FenceError> {
        refuse_network_filesystem(&request.state_dir)?;
        let path = lock_path(&request.state_dir, request.service, &request.domain);
        let started = Instant::now();
        let mut lock: Option<LockFile> = None;
        let mut next_row_try = started;
        loop {
            let had_lock = lock.is_some();
            if lock.is_none() {
                lock = LockFile::try_take(&path)?;
            }
            let got_lock_now = lock.is_some() && !had_lock;
            if got_lock_now || Instant::now() >= next_row_try {
                if lock.is_none() {
                    on_event(FenceEvent::BusyLock);
                }
                match try_row(pool, &request, lock.as_ref()).await {
                    Ok(Some((token, via))) => {
                        on_event(FenceEvent::Acquired { via, token });
                        return Ok(Self { request, token, lock });
                    }
                    Ok(None) => on_event(FenceEvent::BusyLease),
                    Err(error) if error.is_transient() => {}
                    Err(error) => return Err(error.into()),
                }
                next_row_try = Instant::now() + ROW_EVERY;
            }
            if started.elapsed() >= request.timeout {
                return Err(busy(pool, request, started.elapsed().as_secs()).await);
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    /// The token that every write of this process carries.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// Service, domain and holder as requested.
    #[must_use]
    pub const fn request(&self) -> &FenceRequest {
        &self.request
    }

    /// Whether the lock file is held; false beside a stopped predecessor of this host.
    #[must_use]
    pub const fn has_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// Extends the lease; call every third of it.
    ///
    /// # Errors
    /// [`FenceError::Lost`] when a newer instance has it; [`FenceError::Store`] when the cluster does
    /// not answer, which changes nothing: the token stays ours until somebody takes it.
    pub async fn renew(&mut self, pool: &PgPool) -> Result<(), FenceError> {
        if self.lock.is_none() {
            let FenceRequest { state_dir, service, domain, .. } = &self.request;
            self.lock = LockFile::try_take(&lock_path(state_dir, *service, domain))?;
        }
        let holder = holder(&self.request, self.lock.as_ref());
        if rows::renew(pool, &holder, self.token).await? {
            return Ok(());
        }
        Err(FenceError::Lost {
            service: self.request.service,
            domain: self.request.domain.clone(),
            token: self.token.0,
        })
    }

    /// Takes the own fence again after the decision cluster was away for longer than the lease; the
    /// token rises by one. `None` when another instance has it.
    ///
    /// # Errors
    /// [`FenceError::Store`].
    pub async fn reacquire(&mut self, pool: &PgPool) -> Result<Option<AcquiredVia>, FenceError> {
        match try_row(pool, &self.request, self.lock.as_ref()).await? {
            Some((token, via)) => {
                self.token = token;
                Ok(Some(via))
            }
            None => Ok(None),
        }
    }

    /// Ends the lease, then gives up the lock: a successor starts at once.
    ///
    /// # Errors
    /// [`FenceError::Store`]; the lock is given up all the same.
    pub async fn release(self, pool: &PgPool) -> Result<(), FenceError> {
        let FenceRequest { service, domain, .. } = &self.request;
        rows::release(pool, *service, domain, self.token).await?;
        Ok(())
    }
}

/// `<state dir>/<service>-<domain>.lock`.
#[must_use]
fn lock_path(state_dir: &Path, service: FencedService, domain: &str) -> PathBuf {
    state_dir.join(format!("{service}-{domain}.lock"))
}

fn holder<'a>(request: &'a FenceRequest, lock: Option<&'a LockFile>) -> Holder<'a> {
    Holder {
        service: request.service,
        domain: &request.domain,
        holder_id: request.holder_id,
        host: &request.host,
        pid: i32::try_from(request.pid).unwrap_or(i32::MAX),
        ttl_ms: request.ttl_ms,
        lock: lock.map(|lock| lock.identity().as_str()),
    }
}

async fn try_row(
    pool: &PgPool,
    request: &FenceRequest,
    lock: Option<&LockFile>,
) -> Result<Option<(FencingToken, AcquiredVia)>, StoreError> {
    rows::try_acquire(pool, &holder(request, lock)).await
}

async fn busy(pool: &PgPool, request: FenceRequest, waited_secs: u64) -> FenceError {
    let found = match pool.acquire().await {
        Ok(mut conn) => rows::read_fence(&mut conn, request.service, &request.domain).await,
        Err(e) => Err(StoreError::sql("read the fence", ClusterRole::Decision, e)),
    };
    match found {
        Ok(row) => FenceError::Busy {
            service: request.service,
            domain: request.domain,
            holder: row.map_or_else(
                || "the lock file's owner".to_owned(),
                |row| format!("process {} on {}", row.holder_pid, row.holder_host),
            ),
            waited_secs,
        },
        Err(error) => error.into(),
    }
}
