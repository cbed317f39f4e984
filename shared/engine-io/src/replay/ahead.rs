//! Entries of the journal, read and hashed on a thread of their own while the ones before them are executed.
//!
//! Input: a reader of the journal, the first and last tick that are wanted. Output: batches in order. Invariants:
//! the order, and the entry at which a fault stands, are those of the reader; at most a few batches wait, and their
//! memory is used again; the thread has ended when this returns, whichever side was done first.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use penstock_types::frame::sha256;

use crate::error::Fault;
use crate::journal::{Entry, JournalReader};

/// Entries of a batch: handing over costs nothing beside hashing them.
const BATCH_LEN: usize = 64;
/// Batches that wait: what they hold stays within the cache of a core.
const BATCHES_LEN_MAX: usize = 2;
/// Batches that wait to be filled again: those that wait, that are executed and filled.
const SPARE_LEN_MAX: usize = BATCHES_LEN_MAX + 2;

/// Entries with the SHA-256 of their frame.
#[derive(Default)]
struct Batch {
    entries: Vec<(Entry, [u8; 32])>,
    /// Those of them that are filled.
    len: usize,
}

/// The executing end.
pub(super) struct Ahead {
    batches: Receiver<Result<Batch, Fault>>,
    spare: SyncSender<Batch>,
}

impl Ahead {
    /// Hands every entry to `take`, with the SHA-256 of its frame.
    ///
    /// # Errors
    /// The first fault of `take`, or what ended the reading.
    pub(super) fn each(
        self,
        mut take: impl FnMut(&Entry, [u8; 32]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for batch in &self.batches {
            let batch = batch?;
            for (entry, hash) in batch.entries.iter().take(batch.len) {
                take(entry, *hash)?;
            }
            // The reading is at its end when nobody fills it again.
            let _ = self.spare.try_send(batch);
        }
        Ok(())
    }
}

/// Runs `work` beside the reading of all entries behind `from` up to `until`.
///
/// # Errors
/// Those of `work`; a fault of the reading is handed to it in its place.
pub(super) fn read_ahead<T>(
    mut reader: JournalReader,
    wanted: (u64, Option<u64>),
    work: impl FnOnce(Ahead) -> Result<T, Fault>,
) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(BATCHES_LEN_MAX);
        let (spare, filled_again) = sync_channel::<Batch>(SPARE_LEN_MAX);
        scope.spawn(move || {
            loop {
                let mut batch = filled_again.try_recv().unwrap_or_default();
                let fault = batch.fill(&mut reader, wanted).err();
                let is_last = fault.is_some() || batch.len < BATCH_LEN;
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
        work(Ahead { batches, spare })
    })
}

impl Batch {
    fn fill(
        &mut self,
        reader: &mut JournalReader,
        (from, until): (u64, Option<u64>),
    ) -> Result<(), Fault> {
        self.len = 0;
        self.entries.resize_with(BATCH_LEN, || (Entry::blank(), [0; 32]));
        for (entry, hash) in &mut self.entries {
            loop {
                if !reader.next_into(entry)? || until.is_some_and(|until| entry.tick() > until) {
                    return Ok(());
                }
                if entry.tick() > from {
                    break;
                }
            }
            *hash = sha256(&entry.frame);
            self.len += 1;
        }
        Ok(())
    }
}
