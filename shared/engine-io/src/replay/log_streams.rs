//! The records of all tokens of a configuration, over its changes.
//!
//! Input: spans of the logs. Output: rows of records. Invariants: ascending by token; a span is entered when the one
//! before it has been read to its end; tokens that a span does not have go on where they stood when they come again.

use super::logs::LogStream;
use super::rows::{Cell, Done, Rows};
use crate::error::Fault;
use crate::layout::{Day, EngineDirs};
use crate::spans::Span;
use penstock_engine::record::Record;
use std::collections::BTreeMap;

/// Records of all tokens of a configuration, and what was read of those that it does not have.
pub(super) struct LogStreams {
    dirs: EngineDirs,
    readers: usize,
    /// Ascending by token; none while they are read.
    pub now: Vec<LogStream>,
    rows: Option<Rows>,
    /// Bytes that were hashed before the rows.
    hashed: u64,
    away: BTreeMap<u16, LogStream>,
}

impl LogStreams {
    /// Nothing is read yet; `readers` threads will do it.
    pub(super) fn new(dirs: &EngineDirs, readers: usize) -> Self {
        let (now, away) = (Vec::new(), BTreeMap::new());
        Self { dirs: dirs.clone(), readers, now, rows: None, hashed: 0, away }
    }

    /// With streams that were made for a span.
    pub(super) fn of(
        dirs: &EngineDirs,
        readers: usize,
        span: &Span,
        mut now: Vec<LogStream>,
    ) -> Self {
        now.iter_mut().for_each(|stream| stream.until = span.until);
        Self { now, ..Self::new(dirs, readers) }
    }

    /// Goes on with the tokens of a span from one of its segments on.
    ///
    /// # Errors
    /// [`crate::Code::Storage`].
    pub(super) fn enter(
        &mut self,
        span: &Span,
        from: (Day, u16),
        done: Done<'_>,
    ) -> Result<(), Fault> {
        self.end(done)?;
        let fingerprint = span.fingerprint();
        let mut had: BTreeMap<u16, LogStream> =
            self.now.drain(..).map(|stream| (stream.token, stream)).collect();
        for token in &span.config.tokens {
            let stream = match (had.remove(&token.id), self.away.remove(&token.id)) {
                (Some(mut stream), _) => {
                    stream.go_on(span, fingerprint, false);
                    stream
                }
                (None, Some(mut stream)) => {
                    stream.go_on(span, fingerprint, true);
                    stream
                }
                (None, None) => {
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

    /// Looks at the next row.
    pub(super) fn advance(&mut self, done: Done<'_>) -> Result<(), Fault> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => {
                self.hashed = self.now.iter().map(|stream| stream.bytes_hashed).sum();
                self.rows.insert(Rows::start(std::mem::take(&mut self.now), self.readers)?)
            }
        };
        rows.advance(done)
    }

    /// Every token has a record in the row.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.as_ref().is_some_and(Rows::is_whole)
    }

    /// The row begins with files that name no file before them; only asked of a first row.
    pub(super) fn is_first(&self) -> bool {
        self.rows.as_ref().is_some_and(Rows::is_first)
    }

    /// Position of the row within its block.
    pub(super) fn row(&self) -> usize {
        self.rows.as_ref().map_or(0, Rows::row)
    }

    /// Tokens.
    pub(super) fn tokens(&self) -> usize {
        self.rows.as_ref().map_or(self.now.len(), Rows::tokens)
    }

    /// Bytes of a whole row, ascending by token.
    pub(super) fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().flat_map(Rows::bytes)
    }

    /// Records of a whole row where one thread reads all tokens.
    pub(super) fn as_one(&self) -> Option<&[Record]> {
        self.rows.as_ref().and_then(Rows::as_one)
    }

    /// Appends the records of a whole row.
    pub(super) fn gather(&self, records: &mut Vec<Record>) {
        if let Some(rows) = &self.rows {
            rows.gather(records);
        }
    }

    /// What the token at a place has in the row.
    pub(super) fn cell(&self, at: usize) -> Cell {
        self.rows.as_ref().map_or(Ok(None), |rows| rows.cell(at))
    }

    /// Bytes that were hashed up to the row.
    pub(super) fn bytes_hashed(&self) -> u64 {
        let sum = |streams: &mut dyn Iterator<Item = &LogStream>| -> u64 {
            streams.map(|stream| stream.bytes_hashed).sum()
        };
        let now = match &self.rows {
            Some(rows) => self.hashed + rows.bytes_hashed(),
            None => sum(&mut self.now.iter()),
        };
        now + sum(&mut self.away.values())
    }

    /// Ends the reading.
    pub(super) fn end(&mut self, done: Done<'_>) -> Result<(), Fault> {
        if let Some(rows) = self.rows.take() {
            self.now = rows.end(done)?;
        }
        Ok(())
    }
}
