//! Keeps the pending shadow trades of the session.
//!
//! Purpose: look at every publication that the service sees, write what has ended. Inputs: published states, word of
//! new openings, pending rows. Outputs: resolved rows, folded cells. Invariants: a look at a state waits for no
//! statement; one statement's work is under way at a time; a failed one comes again with the next publication; after
//! a restart the pending rows are read again.

use std::future::Future;
use std::pin::Pin;

use penstock_store_orders::cells::{CellKey, CellSuspended};
use penstock_store_orders::shadow::{EndedShadow, PendingShadow};
use penstock_store_orders::{ExecStore, WriteError};
use tokio::sync::watch;

use super::book::{Book, Mids};
use super::say_suspended;
use crate::context::Context;
use crate::cycle::watch::Seen;

/// Rows of one read.
const READ_MAX: usize = 512;

/// What a piece of work brought.
enum Done {
    Read(Result<Vec<PendingShadow>, WriteError>),
    Wrote(Option<CellKey>, Vec<EndedShadow>, Result<Option<CellSuspended>, WriteError>),
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

struct Keeper {
    store: ExecStore,
    book: Book,
    /// There may be rows that are not held.
    unread: bool,
    /// The last work failed: nothing is tried before the next publication.
    failed: bool,
    /// Oldest message that a mid may come from, milliseconds.
    message_age_ms_max: i64,
}

/// Keeps them until the session stops or another one has the fence.
pub(in crate::cycle) async fn run_shadows(
    context: Context,
    mut seen: watch::Receiver<Option<Seen>>,
    mut opened: watch::Receiver<()>,
) {
    let (pool, session) = (context.pool.clone(), context.session_id);
    let mut keeper = Keeper {
        store: ExecStore::new(pool, context.domain(), context.token, session),
        book: Book::default(),
        unread: true,
        failed: false,
        message_age_ms_max: context.settings.decide.live_data_max_age_secs * 1_000,
    };
    let mut work: Option<Work> = None;
    loop {
        if work.is_none() {
            work = keeper.next();
        }
        // The end first; then states, of which none may be missed for the sake of a statement.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            Ok(()) = seen.changed() => {
                if let Some(seen) = &*seen.borrow_and_update() {
                    keeper.see(seen);
                }
            }
            Ok(()) = opened.changed() => keeper.unread = true,
            done = under_way(&mut work) => {
                work = None;
                if keeper.take(done).is_err() {
                    return;
                }
            }
        }
    }
}

/// The end of the work that is under way; without one it never comes.
async fn under_way(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Another session has the fence.
struct FencedOut;

impl Keeper {
    fn see(&mut self, seen: &Seen) {
        self.failed = false;
        let rows = seen.rows.iter().filter(|row| {
            row.book_ok
                && row.generation_id == seen.generation
                && i64::from(row.msg_age_ms) <= self.message_age_ms_max
        });
        let by_symbol = rows.filter_map(|row| Some((row.symbol.clone(), row.mid?))).collect();
        self.book.see(Mids { at: seen.published_at, by_symbol });
    }

    /// What to do next: ends before reads, which would only bring more of them.
    fn next(&mut self) -> Option<Work> {
        if self.failed {
            return None;
        }
        let store = self.store.clone();
        if let Some((cell, ends)) = self.book.due() {
            return Some(Box::pin(async move {
                let written = store.end_shadows(cell, &ends).await;
                Done::Wrote(cell, ends, written)
            }));
        }
        let (after, room) = self.book.wants();
        if !self.unread || room == 0 {
            return None;
        }
        self.unread = false;
        let limit = i64::try_from(room.min(READ_MAX)).unwrap_or(0);
        Some(Box::pin(async move { Done::Read(store.pending_shadows(after, limit).await) }))
    }

    fn take(&mut self, done: Done) -> Result<(), FencedOut> {
        let failed = match done {
            Done::Read(Ok(rows)) => {
                // Only a read without a row has seen the last one.
                self.unread |= !rows.is_empty();
                self.book.add(rows);
                None
            }
            Done::Read(Err(error)) => {
                self.unread = true;
                Some(error)
            }
            Done::Wrote(cell, ends, Ok(suspended)) => {
                self.book.written(cell, &ends);
                suspended.iter().for_each(say_suspended);
                None
            }
            Done::Wrote(_, _, Err(error)) => Some(error),
        };
        let Some(error) = failed else { return Ok(()) };
        tracing::warn!("shadow trades wait for the next publication: {error}");
        self.failed = true;
        if error.is_fenced_out() { Err(FencedOut) } else { Ok(()) }
    }
}
