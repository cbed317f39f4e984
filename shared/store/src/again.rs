//! Once more on another connection, when the one that the pool gave is dead.
//!
//! Purpose: a connection that served a moment ago is not asked whether it lives, because the question costs a
//! round trip in every transaction. After a quick restart of a cluster the first statement on such a
//! connection fails although the cluster is there. Inputs: a pool, a statement. Outputs: its result, or the
//! first error. Invariants: only what may take place twice is repeated, the begin of a transaction, a read, an
//! upsert of the same values; it is repeated once and within half a second; nothing is ever repeated after a
//! commit was sent. It does not wait for a cluster that is away.

use std::time::Duration;

use sqlx::postgres::Postgres;
use sqlx::{Connection, PgPool, Transaction};

/// Time for the second try. A cluster that is there answers in milliseconds; one that is not is the caller's
/// to report, without delay.
pub(crate) const AGAIN_WITHIN: Duration = Duration::from_millis(500);

/// Whether an error is about the connection and not about the statement: it broke, or its server process was
/// told to end (57P01, 57P02).
#[must_use]
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(db) => db.code().is_some_and(|code| {
            matches!(code.as_ref(), "57P01" | "57P02") || code.starts_with("08")
        }),
        _ => false,
    }
}

/// Closes the idle connections of a pool that do not answer.
pub async fn discard_dead(pool: &PgPool) {
    let mut kept = Vec::new();
    while let Some(mut idle) = pool.try_acquire() {
        match idle.ping().await {
            Ok(()) => kept.push(idle),
            // Closed on the spot, so that the next one who asks the pool does not get it.
            Err(_) => drop(idle.detach()),
        }
    }
}

/// Begins a transaction. `text` is `begin` with what belongs to it.
///
/// # Errors
/// The driver's; of two tries that of the first.
pub async fn begin(
    pool: &PgPool,
    text: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    once_more(pool, || pool.begin_with(text)).await
}

/// Runs something that may take place twice on connections of the pool.
///
/// # Errors
/// The driver's; of two tries that of the first.
pub async fn once_more<T, Done>(pool: &PgPool, action: impl Fn() -> Done) -> Result<T, sqlx::Error>
where
    Done: Future<Output = Result<T, sqlx::Error>>,
{
    let first = match action().await {
        Err(error) if is_lost(&error) => error,
        done => return done,
    };
    let again = async {
        discard_dead(pool).await;
        action().await
    };
    match tokio::time::timeout(AGAIN_WITHIN, again).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => Err(first),
    }
}
