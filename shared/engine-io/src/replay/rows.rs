//! Records of some tokens tick by tick, read, judged and hashed ahead on threads of their own.
//!
//! Input: streams of tokens. Output: rows, one record per token, in blocks. Invariants: rows come in their order, and
//! the end or fault of a token stands in the row and place at which reading one by one meets it, so that nothing
//! depends on the number of threads; what was read behind a row is not seen before its turn; a few blocks wait per
//! thread and are used again; the threads have ended when this is gone. It compares nothing.

use super::logs::{Column, LogStream};
use crate::error::{Code, Fault};
use penstock_engine::record::{RECORD_LEN, Record};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Rows of a block: up to 4 KiB of each token are read and hashed at once.
const ROWS_LEN: usize = 64;
/// The same of thousands of tokens: below it each read costs more than what it reads.
const ROWS_LEN_MIN: usize = 8;
/// Records of a block, over all threads: with what is derived from them they stay within the cache of a core.
const RECORDS_LEN: usize = 4_096;
/// Blocks of a thread that wait to be read.
const BLOCKS_LEN_MAX: usize = 2;
/// Blocks of a thread that wait to be used again: those that may wait to be read, that are read and hashed.
const SPARE_LEN_MAX: usize = 8;

/// What a token has in a row: bytes and record, nothing at its end, or a fault.
pub(super) type Cell = Result<Option<([u8; RECORD_LEN], Record)>, Fault>;

/// Rows of the tokens of a thread.
#[derive(Default)]
pub(super) struct Block {
    tokens: usize,
    /// Rows in which every token has a record.
    rows: usize,
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// Bytes that were hashed for each row.
    hashed: Vec<u64>,
    /// The row behind them, if a token has no record in it; nothing follows it.
    last: Vec<Cell>,
    last_hashed: u64,
    /// The files of its first row name no file before them.
    is_first: bool,
    home: Option<SyncSender<Block>>,
}

impl Block {
    /// Bytes of a row, ascending by token; none of a row that is not whole.
    pub(super) fn bytes(&self, row: usize) -> &[u8] {
        let len = self.tokens * RECORD_LEN;
        self.bytes.get(row * len..(row + 1) * len).unwrap_or(&[])
    }

    /// Records of a whole row, ascending by token.
    fn records(&self, row: usize) -> &[Record] {
        self.records.get(row * self.tokens..(row + 1) * self.tokens).unwrap_or(&[])
    }

    /// Gives its memory back to whoever filled it.
    pub(super) fn recycle(mut self) {
        if let Some(home) = self.home.take() {
            // Nobody takes it any more when the thread has come to its end.
            let _ = home.try_send(self);
        }
    }

    fn fill(&mut self, streams: &mut [LogStream], columns: &mut [Column], rows_len: usize) {
        (self.tokens, self.rows, self.is_first) = (streams.len(), rows_len, true);
        self.bytes.clear();
        self.records.clear();
        self.hashed.clear();
        self.last.clear();
        let mut is_last = false;
        for (stream, column) in streams.iter_mut().zip(columns.iter_mut()) {
            column.clear();
            // Where a token before it has none, its own record in that row is looked at too.
            let due = self.rows + usize::from(is_last);
            stream.next_part(due, column);
            self.is_first &= stream.header_previous == Some([0; 32]);
            while column.records.len() < due && column.stop.is_none() {
                stream.next_part(due - column.records.len(), column);
            }
            if column.records.len() < due {
                (self.rows, is_last) = (column.records.len(), true);
            }
        }
        for row in 0..self.rows {
            let mut hashed = 0;
            for column in &*columns {
                self.bytes.extend_from_slice(&column.bytes[row * RECORD_LEN..][..RECORD_LEN]);
                self.records.push(column.records[row]);
                hashed += column.hashed[row];
            }
            self.hashed.push(hashed);
        }
        self.last_hashed = 0;
        if is_last {
            for column in columns {
                let (cell, hashed) = last_cell(column, self.rows);
                self.last.push(cell);
                self.last_hashed += hashed;
            }
        }
    }
}

/// What a token has in the row behind the whole ones, with the bytes that were hashed for it.
fn last_cell(column: &mut Column, row: usize) -> (Cell, u64) {
    let bytes = column.bytes.get(row * RECORD_LEN..).and_then(|bytes| bytes.first_chunk());
    match (column.records.get(row), bytes, column.stop.take()) {
        (Some(record), Some(bytes), _) => {
            (Ok(Some((*bytes, *record))), column.hashed.get(row).copied().unwrap_or(0))
        }
        (_, _, Some(Err(fault))) => (Err(fault), column.stop_hashed),
        (_, _, Some(Ok(())) | None) => (Ok(None), column.stop_hashed),
    }
}

/// A thread that reads some of the tokens.
struct Shard {
    tokens: usize,
    blocks: Option<Receiver<Block>>,
    thread: Option<JoinHandle<Vec<LogStream>>>,
}

impl Shard {
    fn start(mut streams: Vec<LogStream>, rows_len: usize) -> Result<Self, Fault> {
        let tokens = streams.len();
        let (sender, blocks) = sync_channel(BLOCKS_LEN_MAX);
        let (home, spare) = sync_channel::<Block>(SPARE_LEN_MAX);
        let read = move || {
            let mut columns = Vec::new();
            columns.resize_with(tokens, Column::default);
            loop {
                let mut block = spare.try_recv().unwrap_or_default();
                block.fill(&mut streams, &mut columns, rows_len);
                block.home = Some(home.clone());
                let is_last = !block.last.is_empty();
                // Nobody listens any more when a difference was met.
                if sender.send(block).is_err() || is_last {
                    return streams;
                }
            }
        };
        let thread = std::thread::Builder::new().name("replay-logs".to_owned()).spawn(read);
        let thread = thread.map_err(|error| {
            Fault::new(Code::Storage, format!("failed to start a thread that reads logs: {error}"))
        })?;
        Ok(Self { tokens, blocks: Some(blocks), thread: Some(thread) })
    }

    fn next(&self) -> Result<Block, Fault> {
        let block = self.blocks.as_ref().and_then(|blocks| blocks.recv().ok());
        block.ok_or_else(lost)
    }

    fn end(&mut self) -> Result<Vec<LogStream>, Fault> {
        self.blocks = None;
        self.thread.take().and_then(|thread| thread.join().ok()).ok_or_else(lost)
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        // Whoever leaves in the middle has a fault or a difference of its own to tell of.
        let _ = self.end();
    }
}

fn lost() -> Fault {
    Fault::new(Code::Invariant, "a thread that reads logs has ended before its time")
}

/// Where blocks go whose rows were all taken.
pub(super) type Done<'a> = &'a mut dyn FnMut(Vec<Block>);

/// Rows of all tokens, one of which is looked at.
pub(super) struct Rows {
    shards: Vec<Shard>,
    now: Vec<Block>,
    row: usize,
    /// Rows of each block but the last.
    rows_len: usize,
    hashed: u64,
}

impl Rows {
    /// Starts at most `readers` threads; `streams` ascend by token.
    pub(super) fn start(streams: Vec<LogStream>, readers: usize) -> Result<Self, Fault> {
        let rows_len = (RECORDS_LEN / streams.len().max(1)).clamp(ROWS_LEN_MIN, ROWS_LEN);
        Self::of_blocks(streams, readers, rows_len)
    }

    fn of_blocks(
        mut streams: Vec<LogStream>,
        readers: usize,
        rows_len: usize,
    ) -> Result<Self, Fault> {
        let len = streams.len().div_ceil(readers.max(1)).max(1);
        let mut shards = Vec::new();
        while !streams.is_empty() {
            let rest = streams.split_off(len.min(streams.len()));
            shards.push(Shard::start(std::mem::replace(&mut streams, rest), rows_len)?);
        }
        Ok(Self { shards, now: Vec::new(), row: 0, rows_len, hashed: 0 })
    }

    /// Looks at the next row; behind the last one there is none.
    pub(super) fn advance(&mut self, done: Done<'_>) -> Result<(), Fault> {
        if !self.now.is_empty() {
            if !self.is_whole() {
                return Ok(());
            }
            self.row += 1;
        }
        if self.now.is_empty() || self.row == self.rows_len {
            done(std::mem::take(&mut self.now));
            self.row = 0;
            for shard in &self.shards {
                self.now.push(shard.next()?);
            }
        }
        let of_row = |block: &Block| block.hashed.get(self.row).copied();
        self.hashed +=
            self.now.iter().map(|block| of_row(block).unwrap_or(block.last_hashed)).sum::<u64>();
        Ok(())
    }

    /// Position of the row within its block.
    pub(super) const fn row(&self) -> usize {
        self.row
    }

    /// Every token has a record in the row.
    pub(super) fn is_whole(&self) -> bool {
        self.now.iter().all(|block| self.row < block.rows)
    }

    /// The block begins with files that name no file before them.
    pub(super) fn is_first(&self) -> bool {
        self.now.iter().all(|block| block.is_first)
    }

    /// Bytes of a whole row, ascending by token.
    pub(super) fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.now.iter().map(|block| block.bytes(self.row))
    }

    /// Records of a whole row where one thread reads all tokens.
    pub(super) fn as_one(&self) -> Option<&[Record]> {
        match self.now.as_slice() {
            [block] if self.is_whole() => Some(block.records(self.row)),
            _ => None,
        }
    }

    /// Appends the records of a whole row.
    pub(super) fn gather(&self, records: &mut Vec<Record>) {
        self.now.iter().for_each(|block| records.extend_from_slice(block.records(self.row)));
    }

    /// What the token at a place has in the row.
    pub(super) fn cell(&self, mut at: usize) -> Cell {
        for block in &self.now {
            if at >= block.tokens {
                at -= block.tokens;
                continue;
            }
            let of_row = self.row * block.tokens + at;
            let bytes = block.bytes.get(of_row * RECORD_LEN..).and_then(|all| all.first_chunk());
            return match (block.records.get(of_row), bytes) {
                (Some(record), Some(bytes)) if self.row < block.rows => Ok(Some((*bytes, *record))),
                _ => block.last.get(at).cloned().unwrap_or(Ok(None)),
            };
        }
        Ok(None)
    }

    /// Tokens.
    pub(super) fn tokens(&self) -> usize {
        self.shards.iter().map(|shard| shard.tokens).sum()
    }

    /// Bytes that were hashed for the rows that were looked at.
    pub(super) const fn bytes_hashed(&self) -> u64 {
        self.hashed
    }

    /// Ends the threads; the streams stand where they have read to, which is their end if the last row was seen.
    pub(super) fn end(mut self, done: Done<'_>) -> Result<Vec<LogStream>, Fault> {
        done(std::mem::take(&mut self.now));
        let mut streams = Vec::with_capacity(self.tokens());
        for shard in &mut self.shards {
            streams.append(&mut shard.end()?);
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Day, EngineDirs};
    use crate::log::LogHeader;
    use penstock_types::frame::{crc32c, sha256};
    use proptest::prelude::*;

    const MIDNIGHT: u64 = 7_085_145_600;
    const TOKENS: u16 = 5;

    /// A record of a tick and token, the known one in all else.
    fn record(tick: u64, token: u16) -> Vec<u8> {
        let mut bytes = hex::decode(concat!(
            "001b4ca601000000030044e4030302020040080288fc07003cc70b00f42f0900",
            "e02e0000a07a0300c8bb1cfbfffffffff137000060ea0000a0680600852c5eed"
        ))
        .unwrap();
        bytes[..8].copy_from_slice(&tick.to_le_bytes());
        bytes[8..10].copy_from_slice(&token.to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Logs of all tokens around midnight: `ahead` ticks before it, `behind` after it.
    fn write(dirs: &EngineDirs, ahead: u64, behind: u64) {
        for token in 0..TOKENS {
            let mut previous = [0; 32];
            for ticks in [MIDNIGHT - ahead..MIDNIGHT, MIDNIGHT..MIDNIGHT + behind] {
                let day = Day::of(ticks.start);
                let mut bytes =
                    LogHeader { token, day, fingerprint: 7, previous }.encode().to_vec();
                ticks.for_each(|tick| bytes.extend(record(tick, token)));
                previous = sha256(&bytes);
                let path = dirs.log_file(token, day, 0);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }

    fn streams(dirs: &EngineDirs, ahead: u64) -> Vec<LogStream> {
        let from = (Day::of(MIDNIGHT - ahead), 0);
        (0..TOKENS).map(|token| LogStream::from_segment(dirs, token, 7, from).unwrap()).collect()
    }

    /// All cells row by row up to the first row that is not whole, with the bytes hashed up to each.
    type Read = Vec<(Vec<String>, u64)>;

    fn text(cell: &Cell) -> String {
        format!("{cell:?}")
    }

    fn one_by_one(mut streams: Vec<LogStream>) -> Read {
        let mut read = Vec::new();
        loop {
            let cells: Vec<Cell> = streams.iter_mut().map(LogStream::next_record).collect();
            let is_last = !cells.iter().all(|cell| matches!(cell, Ok(Some(_))));
            let hashed = streams.iter().map(|stream| stream.bytes_hashed).sum();
            read.push((cells.iter().map(text).collect(), hashed));
            if is_last {
                return read;
            }
        }
    }

    fn ahead(streams: Vec<LogStream>, readers: usize, rows_len: usize) -> Read {
        let (mut read, mut seen) = (Vec::new(), 0);
        let mut rows = Rows::of_blocks(streams, readers, rows_len).unwrap();
        loop {
            rows.advance(&mut |blocks| seen += blocks.len()).unwrap();
            let cells: Vec<Cell> = (0..usize::from(TOKENS)).map(|at| rows.cell(at)).collect();
            read.push((cells.iter().map(text).collect(), rows.bytes_hashed()));
            if rows.is_whole() {
                let mut records = Vec::new();
                rows.gather(&mut records);
                let whole: Vec<_> = cells.into_iter().filter_map(|cell| cell.unwrap()).collect();
                let bytes: Vec<u8> = whole.iter().flat_map(|(bytes, _)| *bytes).collect();
                assert_eq!(rows.bytes().collect::<Vec<_>>().concat(), bytes);
                assert_eq!(whole.iter().map(|(_, record)| *record).collect::<Vec<_>>(), records);
                continue;
            }
            let shards = rows.shards.len();
            let ended = rows.end(&mut |blocks| seen += blocks.len()).unwrap();
            assert_eq!(ended.len(), usize::from(TOKENS));
            assert_eq!(seen, shards * read.len().div_ceil(rows_len));
            return read;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_are_those_of_reading_one_by_one_however_many_threads_there_are(
            (before, behind) in (1_u64..150, 0_u64..150),
            hurt in prop::collection::vec((0..TOKENS, any::<bool>(), any::<bool>(), 0_usize..9_999), 0..4),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let dirs = EngineDirs::under(dir.path());
            write(&dirs, before, behind);
            for (token, is_cut, is_late, at) in hurt {
                let day = Day::of(if is_late { MIDNIGHT } else { MIDNIGHT - 1 });
                let path = dirs.log_file(token, day, 0);
                let mut bytes = std::fs::read(&path).unwrap();
                let at = at % bytes.len().max(1);
                if is_cut {
                    bytes.truncate(at);
                } else if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                std::fs::write(&path, bytes).unwrap();
            }
            let want = one_by_one(streams(&dirs, before));
            let is_fault = |read: &Read| read.last().unwrap().0.iter().any(|cell| cell.starts_with("Err"));
            for (readers, rows_len) in [(1, 64), (2, 64), (3, 8), (9, 1)] {
                let got = ahead(streams(&dirs, before), readers, rows_len);
                prop_assert_eq!(got.len(), want.len());
                for (got, want) in got.iter().zip(&want).take(want.len() - 1) {
                    prop_assert_eq!(got, want);
                }
                prop_assert_eq!(&got.last().unwrap().0, &want.last().unwrap().0);
                // Where a fault ends the reading nobody asks what was hashed.
                prop_assert!(is_fault(&got) || got.last() == want.last());
            }
        }
    }

    #[test]
    fn whoever_leaves_in_the_middle_waits_for_no_reader() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        write(&dirs, 1_000, 1);
        let mut rows = Rows::start(streams(&dirs, 1_000), 2).unwrap();
        rows.advance(&mut drop).unwrap();
        assert!(rows.is_whole() && rows.is_first());
        let streams = rows.end(&mut drop).unwrap();
        assert!(streams.iter().all(|stream| stream.bytes_hashed < 64 * 1_000));
    }
}
