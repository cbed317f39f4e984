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
use std::collections::BTreeMap;
use std::path::PathBuf;

struct Open {
    path: PathBuf,
    reader: Stored,
    offset: u64,
    day: Day,
    /// Hash of the file so far; `None` when reading began behind its header.
    hash: Option<Sha256>,
}

/// Records of one token.
pub struct LogStream {
    dirs: EngineDirs,
    token: u16,
    fingerprint: u32,
    files: std::vec::IntoIter<(Day, u16)>,
    /// The first file that is not read yet: its configuration is another.
    until: Option<(Day, u16)>,
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
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let mut bytes = [0; RECORD_LEN];
            let filled = open.reader.fill(&mut bytes)?;
            if filled == 0 {
                let closed = self.open.take();
                self.previous =
                    closed.and_then(|open| open.hash).map(|hash| hash.finalize().into());
                continue;
            }
            let record = judge(open, self.token, self.last_tick, &bytes[..filled])?;
            if let Some(hash) = &mut open.hash {
                hash.update(bytes);
                self.bytes_hashed += 64;
            }
            open.offset += 64;
            self.last_tick = Some(record.tick_id);
            return Ok(Some((bytes, record)));
        }
    }

    /// Reads on with the files of a span, behind those that were read; a token that was not there in between
    /// begins at any tick.
    fn go_on(&mut self, span: &Span, was_away: bool) {
        self.fingerprint = span.fingerprint();
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

/// Records of all tokens of a configuration, and what was read of those that it does not have.
pub(super) struct LogStreams {
    dirs: EngineDirs,
    /// Ascending by token.
    pub now: Vec<LogStream>,
    away: BTreeMap<u16, LogStream>,
}

impl LogStreams {
    /// Nothing is read yet.
    pub(super) fn new(dirs: &EngineDirs) -> Self {
        Self { dirs: dirs.clone(), now: Vec::new(), away: BTreeMap::new() }
    }

    /// With streams that were made for a span.
    pub(super) fn of(dirs: &EngineDirs, span: &Span, mut now: Vec<LogStream>) -> Self {
        now.iter_mut().for_each(|stream| stream.until = span.until);
        Self { now, ..Self::new(dirs) }
    }

    /// Goes on with the tokens of a span from one of its segments on.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub(super) fn enter(&mut self, span: &Span, from: (Day, u16)) -> Result<(), Fault> {
        let mut had: BTreeMap<u16, LogStream> =
            self.now.drain(..).map(|stream| (stream.token, stream)).collect();
        for token in &span.config.tokens {
            let stream = match (had.remove(&token.id), self.away.remove(&token.id)) {
                (Some(mut stream), _) => {
                    stream.go_on(span, false);
                    stream
                }
                (None, Some(mut stream)) => {
                    stream.go_on(span, true);
                    stream
                }
                (None, None) => {
                    let fingerprint = span.fingerprint();
                    let mut stream =
                        LogStream::from_segment(&self.dirs, token.id, fingerprint, from)?;
                    stream.until = span.until;
                    stream
                }
            };
            self.now.push(stream);
        }
        self.away.append(&mut had);
        Ok(())
    }

    /// Bytes that were hashed.
    pub(super) fn bytes_hashed(&self) -> u64 {
        self.now.iter().chain(self.away.values()).map(|stream| stream.bytes_hashed).sum()
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
