//! Entries of the journal, read and hashed on a thread of their own while the ones before them are executed.
//!
//! Input: a reader of the journal, the first and last tick that are wanted. Output: batches in order. Invariants:
//! the order, and the entry at which a fault stands, are those of the reader; at most a few batches wait; the thread
//! has ended when this returns, whichever side was done first.

use std::sync::mpsc::{Receiver, sync_channel};

use penstock_types::frame::sha256;

use crate::error::Fault;
use crate::journal::{Entry, JournalReader};

/// Entries of a batch: handing over costs nothing beside hashing them.
const BATCH_LEN: usize = 64;
/// Batches that wait.
const BATCHES_LEN_MAX: usize = 8;

/// Entries with the SHA-256 of their frame, or what ended the reading.
pub(super) type Batch = Result<Vec<(Entry, [u8; 32])>, Fault>;

/// Runs `work` beside the reading of all entries behind `from` up to `until`.
///
/// # Errors
/// Those of `work`; a fault of the reading is handed to it in its place.
pub(super) fn read_ahead<T>(
    mut reader: JournalReader,
    (from, until): (u64, Option<u64>),
    work: impl FnOnce(Receiver<Batch>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(BATCHES_LEN_MAX);
        scope.spawn(move || {
            loop {
                let mut batch = Vec::with_capacity(BATCH_LEN);
                let fault = fill(&mut reader, (from, until), &mut batch).err();
                let is_last = fault.is_some() || batch.len() < BATCH_LEN;
                // Nobody listens any more when the work has met a difference.
                if sender.send(Ok(batch)).is_err() {
                    return;
                }
                if let Some(fault) = fault {
                    let _ = sender.send(Err(fault));
                }
                if is_last {
                    return;
                }
            }
        });
        work(batches)
    })
}

fn fill(
    reader: &mut JournalReader,
    (from, until): (u64, Option<u64>),
    batch: &mut Vec<(Entry, [u8; 32])>,
) -> Result<(), Fault> {
    while batch.len() < BATCH_LEN {
        let Some(entry) = reader.next_entry()? else { return Ok(()) };
        let tick = entry.tick();
        if until.is_some_and(|until| tick > until) {
            return Ok(());
        }
        if tick > from {
            let hash = sha256(&entry.frame);
            batch.push((entry, hash));
        }
    }
    Ok(())
}
