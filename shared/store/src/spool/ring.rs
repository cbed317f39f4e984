//! The records that no disk holds yet, and their way past a device that refuses them.
//!
//! Inputs: what the spool thread has taken from its producer, in order; commits of the loader. Outputs:
//! the same records for a new segment, or, while the device has failed, for the loader. Invariants: a
//! record leaves this memory only when it is synced or committed; the loader sees it only while the
//! device has failed, and loads it after everything that is synced. A record that is committed and
//! written as well is loaded once: the cursor skips its number, an output conflicts with itself.

use std::collections::VecDeque;

use penstock_types::RunId;

use super::format::StreamCode;
use super::queue::pop_entry;

/// Entries of one run, in the inbox's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    id: u64,
    pub(super) run_id: RunId,
    pub(super) bytes: Vec<u8>,
}

/// The memory between the producer and the disk.
#[derive(Debug, Default)]
pub(super) struct Ring {
    chunks: VecDeque<Chunk>,
    newest_id: u64,
    committed_id: u64,
    /// Bytes that commits have freed since the spool thread last asked.
    freed_bytes: u64,
    is_bypass: bool,
}

/// A record of the ring, its payload copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RingRecord {
    pub(super) stream: StreamCode,
    pub(super) flags: u8,
    pub(super) seq: u64,
    pub(super) payload: Vec<u8>,
}

impl Ring {
    /// Takes entries over.
    pub(super) fn push(&mut self, run_id: RunId, bytes: Vec<u8>) {
        self.newest_id += 1;
        self.chunks.push_back(Chunk { id: self.newest_id, run_id, bytes });
    }

    /// Everything is synced: returns the bytes that are free now.
    pub(super) fn clear(&mut self) -> u64 {
        let bytes = self.chunks.iter().map(|chunk| chunk.bytes.len() as u64).sum();
        self.chunks.clear();
        bytes
    }

    /// Nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Hands everything out for writing; [`Self::put_back`] follows.
    pub(super) fn take(&mut self) -> VecDeque<Chunk> {
        core::mem::take(&mut self.chunks)
    }

    /// Takes back what was handed out, but for what was committed meanwhile.
    pub(super) fn put_back(&mut self, chunks: VecDeque<Chunk>) {
        assert!(self.chunks.is_empty(), "only the spool thread pushes, and it was writing");
        self.chunks = chunks;
        self.drop_committed();
    }

    /// Opens or closes the way past the device.
    pub(super) const fn set_bypass(&mut self, is_open: bool) {
        self.is_bypass = is_open;
    }

    /// Run of the oldest record, while the way past the device is open.
    pub(super) fn bypass_run(&self) -> Option<RunId> {
        self.chunks.front().filter(|_| self.is_bypass).map(|chunk| chunk.run_id)
    }

    /// The oldest records of a run and the mark to commit, while the way past the device is open.
    pub(super) fn batch(&self, run_id: RunId, rows_max: usize) -> Option<(Vec<RingRecord>, u64)> {
        self.bypass_run().filter(|run| *run == run_id)?;
        let (mut records, mut last) = (Vec::new(), 0);
        for chunk in self.chunks.iter().take_while(|chunk| chunk.run_id == run_id) {
            if !records.is_empty() && records.len() >= rows_max {
                break;
            }
            let mut rest = chunk.bytes.as_slice();
            while let Some(entry) = pop_entry(&mut rest) {
                let Some(stream) = StreamCode::from_code(entry.stream) else { continue };
                let (flags, payload) = (entry.flags, entry.payload.to_vec());
                records.push(RingRecord { stream, flags, seq: entry.seq.unsigned_abs(), payload });
            }
            last = chunk.id;
        }
        Some((records, last))
    }

    /// The cluster holds everything up to a mark.
    pub(super) fn commit(&mut self, mark: u64) {
        self.committed_id = self.committed_id.max(mark);
        self.drop_committed();
    }

    fn drop_committed(&mut self) {
        let mark = self.committed_id;
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.id <= mark) {
            self.freed_bytes += chunk.bytes.len() as u64;
        }
    }

    /// Bytes that commits have freed since the last call.
    pub(super) fn take_freed(&mut self) -> u64 {
        core::mem::take(&mut self.freed_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(7);

    /// A chunk's bytes with one entry per number.
    fn entries(numbers: core::ops::RangeInclusive<i64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for seq in numbers {
            super::super::queue::push_entry(
                &mut bytes,
                super::super::queue::ENTRY_RECORD,
                StreamCode::Trade.code(),
                0,
                1,
                seq,
                b"x",
            );
        }
        bytes
    }

    fn seqs(batch: Option<(Vec<RingRecord>, u64)>) -> Vec<u64> {
        batch.map_or_else(Vec::new, |(records, _)| records.iter().map(|r| r.seq).collect())
    }

    #[test]
    fn records_pass_the_device_only_while_it_has_failed() {
        let mut ring = Ring::default();
        ring.push(RUN, entries(1..=3));
        assert!(seqs(ring.batch(RUN, 10)).is_empty());
        ring.set_bypass(true);
        assert_eq!(seqs(ring.batch(RUN, 10)), [1, 2, 3]);
        assert!(seqs(ring.batch(RunId(8), 10)).is_empty());
    }

    #[test]
    fn a_batch_ends_at_its_limit_and_at_a_change_of_run() {
        let mut ring = Ring::default();
        ring.set_bypass(true);
        ring.push(RUN, entries(1..=3));
        ring.push(RUN, entries(4..=5));
        ring.push(RunId(8), entries(1..=1));
        assert_eq!(seqs(ring.batch(RUN, 2)), [1, 2, 3]);
        let (all, mark) = ring.batch(RUN, 100).unwrap();
        assert_eq!(all.len(), 5);
        ring.commit(mark);
        assert_eq!(ring.bypass_run(), Some(RunId(8)));
        assert_eq!(ring.take_freed(), entries(1..=5).len() as u64);
    }

    #[test]
    fn what_is_committed_while_it_is_being_written_does_not_come_back() {
        let mut ring = Ring::default();
        ring.set_bypass(true);
        ring.push(RUN, entries(1..=2));
        let (_, mark) = ring.batch(RUN, 10).unwrap();
        ring.push(RUN, entries(3..=4));
        let writing = ring.take();
        ring.commit(mark);
        assert!(ring.is_empty());
        ring.put_back(writing);
        assert_eq!(seqs(ring.batch(RUN, 10)), [3, 4]);
        assert_eq!(ring.clear(), entries(3..=4).len() as u64);
    }
}
