//! What a second derivation leaves, compared with what the first one left.
//!
//! Input: ticks and snapshots of the engine that runs again. Output: the first difference. Invariants: it reads
//! the directory and writes nothing under it; with a directory of its own it writes the same files there; what
//! the first run has and the second has not is a difference too.

use super::fields::first_difference;
use super::log_streams::LogStreams;
use super::report::Mismatch;
use super::rows::Block;
use crate::core::{Sink, TickFiles};
use crate::error::{Code, Fault};
use crate::layout::{Day, EngineDirs};
use crate::snapshots;
use crate::spans::Span;
use crate::stored;
use crate::streams::STREAM_LEN_MAX;
use crate::writer::Writer;
use penstock_engine::record::Record;
use penstock_engine::snapshot::{LogPosition, seal};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A day's lines of one stream.
#[derive(Default)]
struct Lines {
    day: Option<Day>,
    text: Vec<u8>,
    at: usize,
}

/// The comparing end of a replay.
pub(super) struct Compare {
    dirs: EngineDirs,
    logs: LogStreams,
    alerts: Lines,
    transitions: Lines,
    snapshots: BTreeSet<u64>,
    /// Lines up to this tick belong to what came before the start.
    from: u64,
    pub alerts_hash: Sha256,
    pub bytes_hashed: u64,
    pub mismatch: Option<Mismatch>,
    pub out: Option<Writer>,
}

fn recycle(blocks: Vec<Block>) {
    blocks.into_iter().for_each(Block::recycle);
}

/// Ends a run at its first difference.
fn breach() -> Fault {
    Fault::new(Code::Determinism, "the replay differs")
}

impl Compare {
    pub(super) fn new(
        dirs: &EngineDirs,
        logs: LogStreams,
        from: u64,
        out: Option<Writer>,
    ) -> Result<Self, Fault> {
        let snapshots = snapshots::all_ticks(dirs)?.into_iter().collect();
        Ok(Self {
            dirs: dirs.clone(),
            logs,
            alerts: Lines::default(),
            transitions: Lines::default(),
            snapshots,
            from,
            alerts_hash: Sha256::new(),
            bytes_hashed: 0,
            mismatch: None,
            out,
        })
    }

    fn differ(
        &mut self,
        tick: u64,
        token: Option<u16>,
        field: &str,
        expected: String,
        actual: String,
    ) -> Fault {
        let field = field.to_owned();
        self.mismatch = Some(Mismatch { tick, token, field, expected, actual });
        breach()
    }

    fn records(&mut self, tick: &TickFiles<'_>) -> Result<(), Fault> {
        self.logs.advance(&mut recycle)?;
        if self.logs.is_whole() && self.is_row(tick.records.as_flattened()) {
            return Ok(());
        }
        for (at, due) in tick.records.iter().enumerate().take(self.logs.tokens()) {
            let found = self.logs.cell(at)?;
            if found.as_ref().is_some_and(|(bytes, _)| bytes == due) {
                continue;
            }
            let token = u16::from_le_bytes([due[8], due[9]]);
            let expected = Record::decode(due).ok();
            let (field, want, got) = match (expected, &found) {
                (Some(expected), Some((_, actual))) => first_difference(&expected, actual)
                    .unwrap_or_else(|| ("bytes".to_owned(), hex::encode(due), String::new())),
                _ => ("record".to_owned(), hex::encode(due), "none".to_owned()),
            };
            return Err(self.differ(tick.tick, Some(token), &field, want, got));
        }
        Ok(())
    }

    /// The row has these bytes.
    fn is_row(&self, mut due: &[u8]) -> bool {
        for found in self.logs.bytes() {
            match due.split_at_checked(found.len()) {
                Some((part, rest)) if part == found => due = rest,
                Some(_) | None => return false,
            }
        }
        due.is_empty()
    }

    /// The lines of a stream, of which those of `tick` come next: a new day's are read, those of the day before
    /// must be at their end.
    fn open_lines(&mut self, tick: u64, is_alert: bool) -> Result<&mut Lines, Fault> {
        let day = Day::of(tick);
        let opened = if is_alert { self.alerts.day } else { self.transitions.day };
        if opened != Some(day) {
            self.rest_of_lines(tick, is_alert)?;
            let path =
                if is_alert { self.dirs.alerts_file(day) } else { self.dirs.transitions_file(day) };
            let text = stored::read_if_there(&path, STREAM_LEN_MAX)?.unwrap_or_default();
            let before = crate::streams::kept_len(&text, self.from);
            let at = usize::try_from(before).unwrap_or(usize::MAX).min(text.len());
            self.bytes_hashed += u64::try_from(text.len()).unwrap_or(u64::MAX);
            let lines = Lines { day: Some(day), text, at };
            if is_alert { self.alerts = lines } else { self.transitions = lines }
        }
        Ok(if is_alert { &mut self.alerts } else { &mut self.transitions })
    }

    fn lines(&mut self, tick: u64, is_alert: bool, due: &str) -> Result<(), Fault> {
        let lines = self.open_lines(tick, is_alert)?;
        let end = lines.text.len().min(lines.at + due.len());
        let found = lines.text.get(lines.at..end).unwrap_or(&[]);
        if found == due.as_bytes() {
            lines.at = end;
            return Ok(());
        }
        let found = String::from_utf8_lossy(found).into_owned();
        let field = if is_alert { "alerts" } else { "transitions" };
        Err(self.differ(tick, None, field, due.to_owned(), found))
    }

    /// Records that the first run has of a configuration behind the second one's end of it.
    fn left_over_records(&mut self) -> Result<(), Fault> {
        self.logs.advance(&mut recycle)?;
        for at in 0..self.logs.tokens() {
            if let Some((bytes, record)) = self.logs.cell(at)? {
                let (token, actual) = (Some(record.token_id), hex::encode(bytes));
                return Err(self.differ(record.tick_id, token, "record", "none".into(), actual));
            }
        }
        Ok(())
    }

    /// Goes on with the logs of a span, and with the second run's own.
    pub(super) fn enter(
        &mut self,
        span: Option<&Span>,
        from: (Day, u16),
        out: Option<Writer>,
    ) -> Result<(), Fault> {
        if let Some(out) = std::mem::replace(&mut self.out, out) {
            out.end()?;
        }
        let Some(span) = span else { return Ok(()) };
        self.left_over_records()?;
        self.logs.enter(span, from, &mut recycle)
    }

    /// What the first run has behind the second one's end.
    pub(super) fn left_over(&mut self, last: u64) -> Result<(), Fault> {
        self.left_over_records()?;
        for is_alert in [true, false] {
            self.lines(last, is_alert, "")?;
            self.rest_of_lines(last, is_alert)?;
        }
        if let Some(tick) = self.snapshots.range(last + 1..).next().copied() {
            return Err(self.differ(tick, None, "snapshot", "none".into(), "a file".into()));
        }
        Ok(())
    }

    /// Lines that the day of `until`, if it ends with it, has behind the second run's.
    pub(super) fn end_of_day(&mut self, until: u64) -> Result<(), Fault> {
        if until == Day::of(until).last_tick() {
            for is_alert in [true, false] {
                self.lines(until, is_alert, "")?;
                self.rest_of_lines(until, is_alert)?;
            }
        }
        Ok(())
    }

    fn rest_of_lines(&mut self, tick: u64, is_alert: bool) -> Result<(), Fault> {
        let lines = if is_alert { &self.alerts } else { &self.transitions };
        let rest = lines.text.get(lines.at..).unwrap_or(&[]);
        if rest.is_empty() {
            return Ok(());
        }
        let rest = String::from_utf8_lossy(rest).into_owned();
        let field = if is_alert { "alerts" } else { "transitions" };
        Err(self.differ(tick, None, field, String::new(), rest))
    }

    /// Bytes of the logs that were hashed.
    pub(super) fn log_bytes(&self) -> u64 {
        self.logs.bytes_hashed()
    }
}

impl Sink for Compare {
    fn tick(&mut self, tick: &TickFiles<'_>) -> Result<(), Fault> {
        self.alerts_hash.update(tick.alerts.as_bytes());
        self.records(tick)?;
        self.lines(tick.tick, true, tick.alerts)?;
        self.lines(tick.tick, false, tick.transitions)?;
        match &mut self.out {
            Some(out) => out.tick(tick),
            None => Ok(()),
        }
    }

    fn wants_snapshot(&self, tick: u64) -> bool {
        self.snapshots.contains(&tick)
    }

    fn snapshot(&mut self, tick: u64, bytes: &[u8], logs: &[LogPosition]) -> Result<(), Fault> {
        // A damaged snapshot is a fault of its own; only a whole one can differ.
        let had = snapshots::read_checked(&self.dirs, tick)?;
        self.bytes_hashed += u64::try_from(had.len()).unwrap_or(u64::MAX);
        let mut due = bytes.to_vec();
        seal(&mut due);
        if had != due {
            let at = had.iter().zip(&due).take_while(|(a, b)| a == b).count();
            let part = |bytes: &[u8]| {
                let end = bytes.len().min(at + 8);
                hex::encode(bytes.get(at..end).unwrap_or(&[]))
            };
            let (want, got) = (part(&due), part(&had));
            return Err(self.differ(tick, None, &format!("snapshot byte {at}"), want, got));
        }
        match &mut self.out {
            Some(out) => out.snapshot(tick, bytes, logs),
            None => Ok(()),
        }
    }

    fn close_day(&mut self) -> Result<(), Fault> {
        match &mut self.out {
            Some(out) => out.close_day(),
            None => Ok(()),
        }
    }
}
