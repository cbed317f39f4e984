//! A connection that goes back to its pool only after a transaction that is known to have ended.
//!
//! A copy that is dropped half way shifts all later results of its connection by one, also inside a
//! transaction, and a cancelled future can be dropped anywhere. So one guard owns the connection
//! while a transaction with a copy runs; unless the transaction has committed or rolled back, the
//! connection is closed. A commit without an answer is *unknown*, never a failure.

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};

use crate::again;
use crate::error::StoreError;
use crate::right_of_way::Patience;
use crate::role::ClusterRole;

/// Head of a binary copy: signature, flags, length of the extension.
pub const COPY_HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes of one message of a copy: the server takes a message apart while the next one is on its way, but
/// only once it has all of it.
const COPY_MESSAGE_LEN: usize = 64 * 1_024;
/// End of a binary copy: a column count of −1.
pub const COPY_TRAILER: [u8; 2] = [0xff, 0xff];

/// Owns a pooled connection for the time of a transaction.
#[derive(Debug)]
pub struct CopyGuard {
    conn: Option<PoolConnection<Postgres>>,
    cluster: ClusterRole,
    clean: bool,
}

impl CopyGuard {
    /// Takes a connection from the pool.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn acquire(pool: &PgPool, cluster: ClusterRole) -> Result<Self, StoreError> {
        let conn =
            pool.acquire().await.map_err(|e| StoreError::sql("take a connection", cluster, e))?;
        Ok(Self { conn: Some(conn), cluster, clean: true })
    }

    /// A connection inside a transaction that began with `text`: the kept one, or one of the pool. One that
    /// turns out to be dead is replaced once. The second value says that the connection is not the kept one:
    /// what a session holds has to be made anew.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn begun(
        pool: &PgPool,
        cluster: ClusterRole,
        kept: Option<Self>,
        text: &'static str,
    ) -> Result<(Self, bool), StoreError> {
        let is_new = kept.is_none();
        let mut guard = match kept {
            Some(guard) => guard,
            None => Self::acquire(pool, cluster).await?,
        };
        let first = match guard.begin_with(text).await {
            Ok(()) => return Ok((guard, is_new)),
            Err(error) if error.is_lost() => error,
            Err(error) => return Err(error),
        };
        // Its connection is closed, nothing has begun on it.
        drop(guard);
        let again = async {
            again::discard_dead(pool).await;
            let mut guard = Self::acquire(pool, cluster).await?;
            guard.begin_with(text).await?;
            Ok::<_, StoreError>(guard)
        };
        match tokio::time::timeout(again::AGAIN_WITHIN, again).await {
            Ok(Ok(guard)) => Ok((guard, true)),
            Ok(Err(_)) | Err(_) => Err(first),
        }
    }

    /// The connection, for ordinary statements inside the transaction.
    pub fn conn(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("the connection leaves the guard only when it is dropped")
    }

    /// Starts a transaction. From here until its end the connection is not fit for the pool.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.begin_with("begin").await
    }

    /// Starts a transaction and sets its limits in one message: `text` is `begin` and `set local`
    /// statements behind it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn begin_with(&mut self, text: &'static str) -> Result<(), StoreError> {
        self.clean = false;
        let cluster = self.cluster;
        self.execute(text).await.map_err(|e| StoreError::sql("begin", cluster, e))
    }

    /// Commits. Afterwards the connection is fit for the pool again.
    ///
    /// # Errors
    /// [`StoreError::CommitUnknown`] when no answer came; [`StoreError::Sql`] when the server said
    /// no.
    pub async fn commit(&mut self, action: &'static str) -> Result<(), StoreError> {
        let cluster = self.cluster;
        self.execute("commit").await.map_err(|e| StoreError::commit(action, cluster, e))?;
        self.clean = true;
        Ok(())
    }

    /// Rolls back. A failure closes the connection, which rolls back as well.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        let cluster = self.cluster;
        self.execute("rollback").await.map_err(|e| StoreError::sql("roll back", cluster, e))?;
        self.clean = true;
        Ok(())
    }

    async fn execute(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(text).execute(self.conn()).await.map(|_| ())
    }

    /// Copies rows in. `statement` is `copy … from stdin (format binary)` built from closed lists;
    /// `parts` are tuples one after the other, cut anywhere; header and trailer are added here. Small parts
    /// share a message, so that nobody has to put them together before.
    ///
    /// # Errors
    /// The driver's error; the transaction is then aborted and must be rolled back.
    pub async fn copy_in(&mut self, statement: &str, parts: &[&[u8]]) -> Result<u64, sqlx::Error> {
        self.copy_in_bulk(statement, parts, &mut Patience::none()).await
    }

    /// The same for work that gives way to publications between two messages: the server has nothing to do
    /// meanwhile but what is already in the socket.
    ///
    /// # Errors
    /// As of [`Self::copy_in`].
    pub async fn copy_in_bulk(
        &mut self,
        statement: &str,
        parts: &[&[u8]],
        patience: &mut Patience,
    ) -> Result<u64, sqlx::Error> {
        let was_clean = core::mem::replace(&mut self.clean, false);
        let mut copy = self.conn().copy_in_raw(statement).await?;
        let mut message = Vec::with_capacity(COPY_MESSAGE_LEN);
        message.extend_from_slice(&COPY_HEADER);
        for part in parts {
            let mut rest = *part;
            while message.len() + rest.len() > COPY_MESSAGE_LEN {
                let (fits, left) = rest.split_at(COPY_MESSAGE_LEN - message.len());
                message.extend_from_slice(fits);
                patience.give_way().await;
                copy.send(&message[..]).await?;
                message.clear();
                rest = left;
            }
            message.extend_from_slice(rest);
        }
        patience.give_way().await;
        copy.send(&message[..]).await?;
        copy.send(&COPY_TRAILER[..]).await?;
        let rows = copy.finish().await?;
        self.clean = was_clean;
        Ok(rows)
    }

    /// Runs runtime text (settings, temporary tables) inside the transaction.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn run(&mut self, text: String) -> Result<u64, sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(self.conn()).await?;
        Ok(done.rows_affected())
    }

    /// Whether the connection would go back to the pool now.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }
}

impl Drop for CopyGuard {
    fn drop(&mut self) {
        if !self.clean
            && let Some(conn) = self.conn.as_mut()
        {
            conn.close_on_drop();
        }
    }
}
