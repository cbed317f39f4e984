//! The chain of states over rows that were derived, hashed on a thread of its own.
//!
//! Input: blocks whose rows were taken, and which of them belong to the chain. Output: the chain behind the last row.
//! Invariants: rows are hashed in their order, each once; a few blocks wait; the thread has ended when this is gone.

use super::rows::Block;
use crate::error::{Code, Fault};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Groups of blocks that wait.
const JOBS_LEN_MAX: usize = 2;

/// Rows in a group of blocks that follow one another in the chain.
struct Stretch {
    /// What the chain begins with anew.
    begin: Option<[u8; 32]>,
    rows: Range<usize>,
}

struct Job {
    /// Ascending by token.
    blocks: Vec<Block>,
    stretches: Vec<Stretch>,
}

/// The chain of states.
pub(super) struct StateChain {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<Option<[u8; 32]>>>,
    stretches: Vec<Stretch>,
    /// It has begun.
    pub is_known: bool,
}

impl StateChain {
    /// Starts the thread; nothing is known of the chain yet.
    pub(super) fn start() -> Result<Self, Fault> {
        let (jobs, queue) = sync_channel(JOBS_LEN_MAX);
        let thread = std::thread::Builder::new().name("replay-chain".to_owned());
        let thread = thread.spawn(move || hash_all(&queue)).map_err(|error| {
            let what = format!("failed to start the thread that hashes the chain: {error}");
            Fault::new(Code::Storage, what)
        })?;
        let (jobs, thread) = (Some(jobs), Some(thread));
        Ok(Self { jobs, thread, stretches: Vec::new(), is_known: false })
    }

    /// Begins, or begins anew, ahead of a row.
    pub(super) fn begin(&mut self, with: [u8; 32], row: usize) {
        self.is_known = true;
        self.stretches.push(Stretch { begin: Some(with), rows: row..row });
    }

    /// Goes on with a row, if the chain has begun.
    pub(super) fn follow(&mut self, row: usize) {
        if !self.is_known {
            return;
        }
        match self.stretches.last_mut() {
            Some(last) => last.rows.end = row + 1,
            None => self.stretches.push(Stretch { begin: None, rows: row..row + 1 }),
        }
    }

    /// Takes the blocks that the rows so far stand in.
    pub(super) fn take(&mut self, blocks: Vec<Block>) {
        if self.stretches.is_empty() {
            blocks.into_iter().for_each(Block::recycle);
            return;
        }
        let job = Job { blocks, stretches: std::mem::take(&mut self.stretches) };
        if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            // The end says that the thread has gone.
            self.jobs = None;
        }
    }

    /// The chain behind the last row; nothing when it has never begun.
    pub(super) fn end(&mut self) -> Result<Option<[u8; 32]>, Fault> {
        self.jobs = None;
        let chain = self.thread.take().and_then(|thread| thread.join().ok());
        let what = "the thread that hashes the chain has ended before its time";
        chain.ok_or_else(|| Fault::new(Code::Invariant, what))
    }
}

impl Drop for StateChain {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Whoever leaves in the middle has a fault of its own to tell of.
            let _ = thread.join();
        }
    }
}

fn hash_all(jobs: &Receiver<Job>) -> Option<[u8; 32]> {
    let mut chain = None;
    while let Ok(Job { blocks, stretches }) = jobs.recv() {
        for Stretch { begin, rows } in stretches {
            chain = begin.or(chain);
            let Some(chain) = &mut chain else { continue };
            for row in rows {
                let mut hash = Sha256::new();
                hash.update(*chain);
                blocks.iter().for_each(|block| hash.update(block.bytes(row)));
                *chain = hash.finalize().into();
            }
        }
        blocks.into_iter().for_each(Block::recycle);
    }
    chain
}
