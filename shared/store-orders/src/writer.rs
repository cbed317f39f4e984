//! The writing side of one execution session: pool, domain, fence, session.
//!
//! Input: the session's fence token. Output: transactions that have already proven, with a share lock,
//! that the token is still the newest, so that nothing a newer session may see is written by an older
//! one. Invariants: `synchronous_commit` is on in each of them, because a send may follow its commit;
//! what runs inside [`ExecStore::within`] ends in time whether the server answers or not, and says
//! whether its commit had been sent; the cluster counts as back only when every transaction that was
//! given up on has ended one way or the other.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use penstock_store::ClusterRole;
use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::fence::{FenceError, FencedService, check_fence, check_fence_for_update};
use penstock_types::ids::IDS_PER_TOKEN;
use penstock_types::{FencingToken, SessionId, UtcMicros};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

/// Longest wait for a connection: less than the grace of an unprotected fill, which a cluster that went
/// away must not use up.
const CONNECT_WAIT: Duration = Duration::from_millis(1_000);
/// Longest wait for what the probe asks on a connection of its own: above the server's own limit for a
/// lock, which transactions that were given up on may still hold.
const PROBE_WAIT: Duration = Duration::from_millis(3_000);
/// Longest wait for the first statements of a transaction: above the server's own limit for a lock.
const BEGIN_WAIT: Duration = Duration::from_millis(3_000);
/// SQLSTATE classes of a cluster that is away: connection, resources (disk, connections), shutdown and
/// crash recovery.
const AWAY_CLASSES: [&str; 3] = ["08", "53", "57P"];

tokio::task_local! {
    /// Whether the verb that is being waited for has sent its commit.
    static COMMIT_SENT: Cell<bool>;
}

/// Why a write of the session failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The fence is lost, or could not be checked.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row holds a value that the product does not know.
    #[error(
        "{table} {id}: {problem}; next: `penstock doctor`, the row was altered by hand or by a newer version"
    )]
    Row {
        /// Table.
        table: &'static str,
        /// Key of the row.
        id: i64,
        /// What is wrong.
        problem: String,
    },
    /// A unique index refused: another live entry, position or reduce order stands.
    #[error(
        "{action} refused by {constraint}: {meaning}; next: wait until the other one has ended"
    )]
    Conflict {
        /// What was being done.
        action: &'static str,
        /// The index.
        constraint: String,
        /// What the index means.
        meaning: &'static str,
    },
}

impl WriteError {
    /// The session is fenced out: nothing may be sent or written any more (exit 75).
    #[must_use]
    pub const fn is_fenced_out(&self) -> bool {
        matches!(self, Self::Fence(FenceError::Lost { .. }))
    }

    /// The decision cluster is away: no connection, no answer to a commit, no room, a shutdown. A lock or
    /// a statement that took too long is not this.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) | Self::Fence(FenceError::Store(error)) => is_away(error),
            Self::Fence(
                FenceError::Busy { .. } | FenceError::Lost { .. } | FenceError::Lock(_),
            )
            | Self::Row { .. }
            | Self::Conflict { .. } => false,
        }
    }

    /// The commit was sent and its answer never came.
    #[must_use]
    pub const fn commit_unknown(&self) -> bool {
        matches!(self, Self::Store(StoreError::CommitUnknown { .. }))
    }

    pub(crate) fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> Self + Copy {
        move |source| match conflict(&source) {
            Some((constraint, meaning)) => Self::Conflict { action, constraint, meaning },
            None => Self::Store(StoreError::sql(action, ClusterRole::Decision, source)),
        }
    }

    pub(crate) fn row(table: &'static str, id: i64, problem: impl ToString) -> Self {
        Self::Row { table, id, problem: problem.to_string() }
    }
}

fn is_away(error: &StoreError) -> bool {
    match error {
        StoreError::CommitUnknown { .. } | StoreError::NotReady { .. } => true,
        StoreError::Url { .. } => false,
        StoreError::Sql { source, .. } => match penstock_store::error::sqlstate(source) {
            Some(code) => AWAY_CLASSES.iter().any(|class| code.starts_with(class)),
            None => penstock_store::error::is_transient(source),
        },
    }
}

fn conflict(error: &sqlx::Error) -> Option<(String, &'static str)> {
    let sqlx::Error::Database(db) = error else { return None };
    let name = db.constraint()?;
    let meaning = match name {
        "execution_orders_one_entry" => "the symbol has a live entry",
        "execution_orders_one_protection" => "the position has a live protection",
        "execution_orders_one_reduce" => "the position has a live reduce order",
        "execution_orders_standby_entry" | "execution_orders_standby_position" => {
            "a standby row of that kind exists"
        }
        "positions_one_open" => "the symbol has an open position",
        _ => return None,
    };
    Some((name.to_owned(), meaning))
}

/// Writes of one session. Clones share whether the cluster is taken for away.
#[derive(Debug, Clone)]
pub struct ExecStore {
    pool: PgPool,
    domain: String,
    token: FencingToken,
    session: SessionId,
    away: Arc<AtomicBool>,
}

impl ExecStore {
    /// Writes under a fence that was acquired.
    #[must_use]
    pub fn new(pool: PgPool, domain: &str, token: FencingToken, session: SessionId) -> Self {
        debug_assert!(token.0 > 0 && token.0 < IDS_PER_TOKEN);
        let away = Arc::new(AtomicBool::new(false));
        Self { pool, domain: domain.to_owned(), token, session, away }
    }

    /// Token of the session.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// Domain of the session.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The pool, for reads.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Takes the cluster for away, or for back. While it is away nothing is tried but
    /// [`ExecStore::probe`]: whoever keeps stops alive must not wait for a server that does not answer.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    fn refuse_away(&self) -> Result<(), WriteError> {
        if self.away.load(Ordering::Acquire) {
            Err(self.no_answer("known to be away"))
        } else {
            Ok(())
        }
    }

    fn no_answer(&self, last: &str) -> WriteError {
        WriteError::Store(StoreError::NotReady {
            cluster: ClusterRole::Decision,
            waited_secs: 0,
            last: last.to_owned(),
        })
    }

    /// Waits for a verb of this store, but not for longer than `limit`: a server that hangs keeps its
    /// connections open and answers nothing, which no limit of its own can end. The verb is dropped at
    /// the limit: without its commit it is undone, with it the outcome is unknown until
    /// [`ExecStore::probe`] has succeeded.
    ///
    /// # Errors
    /// Those of the verb; at the limit [`StoreError::CommitUnknown`] or [`StoreError::NotReady`], both an
    /// outage.
    pub async fn within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        verb: impl Future<Output = Result<T, WriteError>>,
    ) -> Result<T, WriteError> {
        self.refuse_away()?;
        let waited = async {
            match tokio::time::timeout(limit, verb).await {
                Ok(done) => done,
                Err(_) if COMMIT_SENT.with(Cell::get) => {
                    let late = sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                    Err(WriteError::Store(StoreError::commit(action, ClusterRole::Decision, late)))
                }
                Err(_) => Err(self.no_answer(action)),
            }
        };
        COMMIT_SENT.scope(Cell::new(false), waited).await
    }

    /// A connection, soon or not at all.
    pub(crate) async fn conn(&self) -> Result<PoolConnection<Postgres>, WriteError> {
        self.refuse_away()?;
        self.connect().await
    }

    async fn connect(&self) -> Result<PoolConnection<Postgres>, WriteError> {
        match tokio::time::timeout(CONNECT_WAIT, self.pool.acquire()).await {
            Ok(conn) => conn.map_err(WriteError::sql("reach the decision cluster")),
            Err(_) => Err(self.no_answer("no connection within a second")),
        }
    }

    /// Asks whether the cluster is back and the fence still ours; drops connections that did not survive.
    /// It waits for every transaction that holds the fence: one that was given up on while the server
    /// hung ends first, so that what is read afterwards is all that will ever stand of it. The question
    /// goes over a connection of its own, because those of the pool may all wait for lost answers.
    ///
    /// # Errors
    /// [`WriteError`] while it is away, [`WriteError::Fence`] when a newer session has the fence.
    pub async fn probe(&self) -> Result<(), WriteError> {
        const ACTION: &str = "probe the decision cluster";
        let mut kept = Vec::new();
        while let Some(mut idle) = self.pool.try_acquire() {
            match tokio::time::timeout(CONNECT_WAIT, idle.ping()).await {
                Ok(Ok(())) => kept.push(idle),
                // Closed on the spot: a dead connection must not be the next writer's.
                Ok(Err(_)) | Err(_) => drop(idle.detach()),
            }
        }
        drop(kept);
        let asked = async {
            let sql = WriteError::sql(ACTION);
            let options = self.pool.connect_options();
            let mut own = PgConnection::connect_with(&options).await.map_err(sql)?;
            let service = FencedService::Execution;
            check_fence_for_update(&mut own, service, &self.domain, self.token).await?;
            own.close().await.map_err(sql)
        };
        match tokio::time::timeout(PROBE_WAIT, asked).await {
            Ok(answered) => answered?,
            Err(_) => return Err(self.no_answer(ACTION)),
        }
        // And the writers' connections serve again.
        self.connect().await.map(drop)
    }

    /// A transaction that holds the fence for share.
    ///
    /// # Errors
    /// [`WriteError::Fence`] when a newer session has it.
    pub async fn begin(
        &self,
        action: &'static str,
    ) -> Result<Transaction<'static, Postgres>, WriteError> {
        self.refuse_away()?;
        let sql = WriteError::sql(action);
        let opened = async {
            const BEGIN: &str = "begin; set local synchronous_commit = on";
            let begun = tokio::time::timeout(CONNECT_WAIT, again::begin(&self.pool, BEGIN)).await;
            let mut tx = match begun {
                Ok(tx) => tx.map_err(sql)?,
                Err(_) => return Err(self.no_answer("no connection within a second")),
            };
            check_fence(&mut tx, FencedService::Execution, &self.domain, self.token).await?;
            Ok(tx)
        };
        match tokio::time::timeout(BEGIN_WAIT, opened).await {
            Ok(tx) => tx,
            Err(_) => Err(self.no_answer(action)),
        }
    }

    /// Commits; an error that did not come from the server leaves the outcome unknown.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub async fn commit(
        &self,
        action: &'static str,
        tx: Transaction<'static, Postgres>,
    ) -> Result<(), WriteError> {
        // Outside of `within` nobody asks.
        let _ = COMMIT_SENT.try_with(|sent| sent.set(true));
        tx.commit()
            .await
            .map_err(|e| WriteError::Store(StoreError::commit(action, ClusterRole::Decision, e)))
    }

    /// The fence alone, before a cancel or an amend.
    ///
    /// # Errors
    /// [`WriteError::Fence`] when a newer session has it.
    pub async fn check(&self) -> Result<(), WriteError> {
        let mut conn = self.conn().await?;
        check_fence(&mut conn, FencedService::Execution, &self.domain, self.token).await?;
        Ok(())
    }
}

/// A time as the column's type; times outside the calendar's range become its ends.
#[must_use]
pub fn timestamp(at: UtcMicros) -> DateTime<Utc> {
    at.to_chrono().unwrap_or(if at.0 < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}
