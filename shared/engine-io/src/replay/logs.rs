//! A token's records one after the other, over all its files.
//!
//! Input: the directory of logs and a place to begin. Output: records. Invariants: headers name token, day,
//! configuration and the hash of the file before; ticks are contiguous over files, but for a cold start, which
//! begins a file; the first byte that is wrong is a fault with its code; nothing is skipped.

use crate::error::{Code, Fault};
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_HEADER_LEN, LogHeader, segments};
use crate::spans::Span;
use crate::stored::Stored;
use penstock_engine::record::{RECORD_LEN, Record};
use penstock_types::engine_view::TokenFlags;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

struct Open {
    path: PathBuf,
    reader: Stored,
    offset: u64,
    day: Day,
    /// Hash of the file so far; `None` when reading began behind its header.
    hash: Option<Sha256>,
}

/// Records of one token in their order, and what stands behind them.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// Bytes of the records.
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub records: Vec<Record>,
    /// Bytes that were hashed with each record: its own, and the header ahead of it.
    pub hashed: Vec<u64>,
    /// Why there are no more: the end of the last file, or a fault.
    pub stop: Option<Result<(), Fault>>,
    /// Bytes that were hashed on the way to the end.
    pub stop_hashed: u64,
}

impl Column {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.hashed.clear();
        (self.stop, self.stop_hashed) = (None, 0);
    }

    /// Shares `hashed` bytes out to the records that are not counted yet: all but the first have their own alone.
    fn count(&mut self, hashed: u64) {
        let new = self.records.len().saturating_sub(self.hashed.len());
        let all = u64::try_from(new * RECORD_LEN).unwrap_or(u64::MAX);
        let (each, ahead) = if hashed < all { (0, hashed) } else { (64, hashed - all) };
        if new == 0 {
            self.stop_hashed += ahead;
            return;
        }
        self.hashed.resize(self.records.len(), each);
        let first = self.records.len() - new;
        if let Some(first) = self.hashed.get_mut(first) {
            *first += ahead;
        }
    }
}

/// Records of one token.
pub struct LogStream {
    dirs: EngineDirs,
    pub(super) token: u16,
    fingerprint: u32,
    files: std::vec::IntoIter<(Day, u16)>,
    /// The first file that is not read yet: its configuration is another.
    pub(super) until: Option<(Day, u16)>,
    open: Option<Open>,
    previous: Option<[u8; 32]>,
    last_tick: Option<u64>,
    /// Hash that the newest opened file names as that of the file before it.
    pub header_previous: Option<[u8; 32]>,
    /// Bytes that were hashed.
    pub bytes_hashed: u64,
}

impl LogStream {
    /// From the beginning of a segment on.
    ///
    /// # Errors
    /// [`Code::Storage`] when the logs cannot be listed.
    pub fn from_segment(
        dirs: &EngineDirs,
        token: u16,
        fingerprint: u32,
        from: (Day, u16),
    ) -> Result<Self, Fault> {
        let mut files = segments(dirs, token)?;
        files.retain(|file| *file >= from);
        let (files, dirs) = (files.into_iter(), dirs.clone());
        Ok(Self {
            dirs,
            token,
            fingerprint,
            files,
            until: None,
            open: None,
            previous: None,
            last_tick: None,
            header_previous: None,
            bytes_hashed: 0,
        })
    }

    /// One segment alone.
    ///
    /// # Errors
    /// As [`LogStream::from_segment`].
    pub fn of_segment(
        dirs: &EngineDirs,
        token: u16,
        fingerprint: u32,
        only: (Day, u16),
    ) -> Result<Self, Fault> {
        let mut stream = Self::from_segment(dirs, token, fingerprint, only)?;
        stream.files = vec![only].into_iter();
        Ok(stream)
    }

    /// Goes on behind `offset` bytes of the first file, of which the last record is of `tick`.
    ///
    /// # Errors
    /// What is wrong with the file's header; [`Code::Storage`].
    pub fn seek(&mut self, offset: u64, tick: u64) -> Result<(), Fault> {
        if offset <= 64 || !self.open_next()? {
            return Ok(());
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.reader.skip(offset.saturating_sub(open.offset))?;
        open.offset = offset;
        open.hash = None;
        self.last_tick = Some(tick);
        Ok(())
    }

    fn open_next(&mut self) -> Result<bool, Fault> {
        let is_within = |file: &&(Day, u16)| self.until.is_none_or(|until| **file < until);
        let Some((day, segment)) = self.files.as_slice().first().filter(is_within).copied() else {
            return Ok(false);
        };
        self.files.next();
        let path = self.dirs.log_file(self.token, day, segment);
        let mut reader = Stored::open(&path)?;
        let mut head = [0; LOG_HEADER_LEN];
        let of = |fault: Fault| fault.of(&path).of_token(self.token);
        let got = reader.fill(&mut head)?;
        if got < LOG_HEADER_LEN {
            let what = format!("the log has {got} bytes, its header alone has 64");
            return Err(of(Fault::new(Code::LogHeader, what).at(0)));
        }
        let header = LogHeader::decode(&head).map_err(of)?;
        if (header.token, header.day, header.fingerprint) != (self.token, day, self.fingerprint) {
            let what = "the log is of another token, day or configuration than its place says";
            return Err(of(Fault::new(Code::LogHeader, what).at(8)));
        }
        if self.previous.is_some_and(|previous| previous != header.previous) {
            let what = "the log does not name the hash of the token's log before it";
            return Err(of(Fault::new(Code::LogHeader, what).at(32)));
        }
        self.header_previous = Some(header.previous);
        let mut hash = Sha256::new();
        hash.update(head);
        self.bytes_hashed += 64;
        self.open = Some(Open { path, reader, offset: 64, day, hash: Some(hash) });
        Ok(true)
    }

    /// The next record; `None` at the end of the last file.
    ///
    /// # Errors
    /// [`Code::LogCorrupt`], [`Code::LogOffset`], [`Code::LogHeader`] with file and byte.
    pub fn next_record(&mut self) -> Result<Option<([u8; RECORD_LEN], Record)>, Fault> {
        let mut column = Column::default();
        self.next_part(1, &mut column);
        match (column.records.pop(), column.bytes.first_chunk(), column.stop) {
            (Some(record), Some(bytes), _) => Ok(Some((*bytes, record))),
            (_, _, Some(Err(fault))) => Err(fault),
            (_, _, Some(Ok(())) | None) => Ok(None),
        }
    }

    /// The next records of one file, at most `max` of them, behind those of the column, or why there are no more:
    /// read, judged and hashed together, with the same answers as one by one.
    pub(super) fn next_part(&mut self, max: usize, column: &mut Column) {
        let hashed = self.bytes_hashed;
        column.stop = loop {
            if self.open.is_none() {
                match self.open_next() {
                    Ok(true) => {}
                    Ok(false) => break Some(Ok(())),
                    Err(fault) => break Some(Err(fault)),
                }
            }
            let Some(open) = &mut self.open else { break Some(Ok(())) };
            let start = column.bytes.len();
            column.bytes.resize(start + max * RECORD_LEN, 0);
            let (filled, failed) = open.reader.fill_up_to(&mut column.bytes[start..]);
            if filled == 0 && failed.is_none() {
                column.bytes.truncate(start);
                let closed = self.open.take();
                self.previous =
                    closed.and_then(|open| open.hash).map(|hash| hash.finalize().into());
                continue;
            }
            break self.judge_part(column, (start, filled), failed).map(Err);
        };
        column.count(self.bytes_hashed - hashed);
    }

    /// Judges and hashes bytes of the open file that were just read; the first fault in or behind them.
    fn judge_part(
        &mut self,
        column: &mut Column,
        (start, filled): (usize, usize),
        failed: Option<Fault>,
    ) -> Option<Fault> {
        let open = self.open.as_mut()?;
        let had = column.records.len();
        // A record that a failed read cut short is the read's fault.
        let len = if failed.is_some() { filled / RECORD_LEN * RECORD_LEN } else { filled };
        let mut fault = failed;
        for bytes in column.bytes[start..start + len].chunks(RECORD_LEN) {
            match judge(open, self.token, self.last_tick, bytes) {
                Ok(record) => {
                    open.offset += 64;
                    self.last_tick = Some(record.tick_id);
                    column.records.push(record);
                }
                Err(wrong) => {
                    fault = Some(wrong);
                    break;
                }
            }
        }
        column.bytes.truncate(start + (column.records.len() - had) * RECORD_LEN);
        if let Some(hash) = &mut open.hash {
            let bytes = &column.bytes[start..];
            hash.update(bytes);
            self.bytes_hashed += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        fault
    }

    /// Reads on with the files of a span, behind those that were read; a token that was not there in between
    /// begins at any tick.
    pub(super) fn go_on(&mut self, span: &Span, fingerprint: u32, was_away: bool) {
        self.fingerprint = fingerprint;
        self.until = span.until;
        if was_away {
            self.last_tick = None;
        }
    }

    /// File and byte at which the next record stands.
    #[must_use]
    pub fn place(&self) -> Option<(PathBuf, u64)> {
        self.open.as_ref().map(|open| (open.path.clone(), open.offset))
    }
}

fn judge(open: &Open, token: u16, last: Option<u64>, bytes: &[u8]) -> Result<Record, Fault> {
    let of =
        |code, what: String| Fault::new(code, what).of(&open.path).at(open.offset).of_token(token);
    let Ok(whole) = <&[u8; RECORD_LEN]>::try_from(bytes) else {
        let what = format!("a record of {} bytes of 64 ends the file", bytes.len());
        return Err(of(Code::LogCorrupt, what));
    };
    let record = Record::decode(whole).map_err(|error| of(Code::LogCorrupt, error.to_string()))?;
    let is_cold = open.offset == 64 && record.flags.contains(TokenFlags::COLD_START);
    let due = last.filter(|_| !is_cold).map_or(record.tick_id, |last| last + 1);
    if record.token_id != token || record.tick_id != due || Day::of(record.tick_id) != open.day {
        let what = "the record does not stand where its token and tick say".to_owned();
        let fault = of(Code::LogOffset, what).in_tick(due);
        return Err(fault.differing(
            format!("tick {due} of token {token}"),
            format!("tick {} of token {}", record.tick_id, record.token_id),
        ));
    }
    Ok(record)
}
