//! Level A: states, clusters, phases and alerts follow from the records.
//!
//! Input: logs of all tokens, alerts, configuration. Output: a report. Invariants: from genesis or a cold start
//! on everything is compared; where the logs begin later, or one day is asked for, a quarter of an hour is read
//! first, of which only discrete states are taken.

use super::fields::first_difference;
use super::log_streams::LogStreams;
use super::report::{Mismatch, Report, Verdict};
use super::state_chain::StateChain;
use crate::error::{Code, Fault};
use crate::layout::{Day, EngineDirs};
use crate::spans::{Segment, Spans, all_segments};
use crate::stored;
use crate::streams::STREAM_LEN_MAX;
use penstock_engine::alert::AlertBody;
use penstock_engine::record::Record;
use penstock_engine::{EngineConfig, Retrace, Retraced};
use penstock_types::engine_view::TokenFlags;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Threads that read logs: beyond them the thread that derives is what all wait for.
const READERS_MAX: usize = 4;
/// Records before a day that make every counter exact.
const LEAD_TICKS: u64 = 3_600;

struct Run<'a> {
    dirs: &'a EngineDirs,
    spans: Spans,
    /// Position of the span that is read.
    at: usize,
    config: EngineConfig,
    sha256: [u8; 32],
    streams: LogStreams,
    records: Vec<Record>,
    chain: StateChain,
    alerts: Sha256,
    alert_lines: BTreeMap<Day, std::vec::IntoIter<String>>,
    ticks: u64,
    bytes_hashed: u64,
}

/// Derives everything that level A can from the logs: from the first record on, or one day.
///
/// # Errors
/// The fault of a file that is damaged or missing; a difference is in the report.
pub fn level_a(
    dirs: &EngineDirs,
    config: &EngineConfig,
    day: Option<Day>,
) -> Result<Report, Fault> {
    level_a_after(dirs, config, day, Lead::Whole)
}

/// Threads that read logs beside the one that derives: none is left over on two cores, where the chain's hashes
/// have one too.
fn readers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, READERS_MAX)
}

/// What is there of the log before a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// All of it.
    Whole,
    /// Its header and its last records.
    End,
}

/// The same where only the end of the day before is there.
///
/// # Errors
/// As [`level_a`].
pub fn level_a_after(
    dirs: &EngineDirs,
    config: &EngineConfig,
    day: Option<Day>,
    before: Lead,
) -> Result<Report, Fault> {
    level_a_on(dirs, config, day, before, readers())
}

/// The same with a number of threads that read the logs, on which the report does not depend.
///
/// # Errors
/// As [`level_a`].
pub fn level_a_on(
    dirs: &EngineDirs,
    config: &EngineConfig,
    day: Option<Day>,
    before: Lead,
    readers: usize,
) -> Result<Report, Fault> {
    config.check()?;
    let all: Vec<(Segment, u16)> = all_segments(dirs)?
        .into_iter()
        .filter_map(|(segment, tokens)| Some((segment, *tokens.first()?)))
        .collect();
    let Some((first, _)) = all.first().copied() else {
        return Err(Fault::new(Code::LogHeader, "there is no log").of(&dirs.log));
    };
    let spans = Spans::of(dirs, config)?;
    let lead = match day.and_then(|day| day.0.checked_sub(1)) {
        Some(before) => lead_of(dirs, &spans, &all, Day(before))?,
        None => None,
    };
    let from = match (lead, day) {
        (Some((lead, _)), _) => lead,
        (None, Some(day)) => (day, 0),
        (None, None) => first,
    };
    let mut run = Run::new(dirs, spans, config, from, readers)?;
    // A day before it that is shorter than the lead is the engine's first: it is derived whole.
    let is_whole = match lead {
        Some((lead, ticks)) => run.lead(lead, ticks)? && before == Lead::Whole,
        None => true,
    };
    let last = day.map(Day::last_tick);
    let compare_from = lead.map_or(0, |((before, _), _)| Day(before.0 + 1).first_tick());
    let (mismatch, start) = run.all(is_whole, compare_from, last)?;
    run.report(mismatch, start)
}

/// The segment of the day before with which the lead begins, and how many of its last records belong to it: a change
/// of the configuration shortly before midnight leaves a short last segment. What stands ahead of a cold start says
/// nothing about the day.
fn lead_of(
    dirs: &EngineDirs,
    spans: &Spans,
    all: &[(Segment, u16)],
    before: Day,
) -> Result<Option<(Segment, u64)>, Fault> {
    let (mut found, mut due) = (None, LEAD_TICKS);
    for (segment, token) in all.iter().rev().filter(|((of, _), _)| *of == before) {
        if due == 0 {
            break;
        }
        found = Some((*segment, due));
        if spans.begins.values().any(|begin| begin.is_cold && begin.segment == *segment) {
            break;
        }
        let len = stored::Stored::open(&dirs.log_file(*token, before, segment.1))?.raw_len();
        due = due.saturating_sub(len.saturating_sub(64) / 64);
    }
    Ok(found)
}

impl<'a> Run<'a> {
    fn new(
        dirs: &'a EngineDirs,
        spans: Spans,
        config: &EngineConfig,
        from: Segment,
        readers: usize,
    ) -> Result<Self, Fault> {
        let at = spans.at(from);
        let mut streams = LogStreams::new(dirs, readers);
        let (mut config, mut sha256) = (config.clone(), None);
        if let Some(span) = spans.all.get(at) {
            streams.enter(span, from, &mut drop)?;
            (config, sha256) = (span.config.clone(), Some(span.sha256));
        }
        let sha256 = sha256.unwrap_or_else(|| config.sha256());
        Ok(Self {
            dirs,
            spans,
            at,
            config,
            sha256,
            streams,
            records: Vec::new(),
            chain: StateChain::start()?,
            alerts: Sha256::new(),
            alert_lines: BTreeMap::new(),
            ticks: 0,
            bytes_hashed: 0,
        })
    }

    /// Begins with the last `ticks` records of a segment, a quarter of an hour before a day; true when the segment
    /// is shorter and read whole.
    fn lead(&mut self, (before, segment): Segment, ticks: u64) -> Result<bool, Fault> {
        let mut is_whole = true;
        for (stream, token) in self.streams.now.iter_mut().zip(&self.config.tokens) {
            let path = self.dirs.log_file(token.id, before, segment);
            let len = stored::Stored::open(&path)?.raw_len();
            let offset = len.saturating_sub(64 * ticks);
            is_whole &= offset <= 64;
            stream.seek(offset, before.last_tick() - LEAD_TICKS)?;
        }
        Ok(is_whole)
    }

    /// Reads one record per token; false at the end of all logs.
    fn next_tick(&mut self) -> Result<bool, Fault> {
        self.records.clear();
        self.streams.advance(&mut |blocks| self.chain.take(blocks))?;
        if self.streams.is_whole() {
            if self.streams.as_one().is_none() {
                self.streams.gather(&mut self.records);
            }
            return self.are_of_one_tick().map(|()| true);
        }
        for (at, token) in self.config.tokens.iter().enumerate() {
            let Some((_, record)) = self.streams.cell(at)? else {
                if self.records.is_empty() {
                    continue;
                }
                let what = "the token's log ends before those of the others";
                return Err(Fault::new(Code::LogOffset, what).of_token(token.id));
            };
            self.records.push(record);
            self.are_of_one_tick()?;
        }
        if !self.records.is_empty() {
            let what = "a token's log ends before those of the others";
            return Err(Fault::new(Code::LogOffset, what));
        }
        Ok(false)
    }

    /// Records of the tick, ascending by token.
    fn records(&self) -> &[Record] {
        self.streams.as_one().unwrap_or(&self.records)
    }

    /// Tick of the records.
    fn tick(&self) -> u64 {
        self.records().first().map_or(0, |record| record.tick_id)
    }

    fn are_of_one_tick(&self) -> Result<(), Fault> {
        let tick = self.tick();
        match self.records().iter().find(|record| record.tick_id != tick) {
            None => Ok(()),
            Some(other) => {
                let what = "the token's log is not at the tick of the others";
                let fault = Fault::new(Code::LogOffset, what).in_tick(tick);
                Err(fault.of_token(other.token_id).differing(tick, other.tick_id))
            }
        }
    }

    /// Goes on with the next span, whose configuration is another; false when there is none.
    fn next_span(&mut self) -> Result<bool, Fault> {
        let Some(span) = self.spans.all.get(self.at + 1) else { return Ok(false) };
        self.at += 1;
        self.streams.enter(span, span.from, &mut |blocks| self.chain.take(blocks))?;
        (self.config, self.sha256) = (span.config.clone(), span.sha256);
        Ok(true)
    }

    /// Reads the next tick, under whatever configuration it was executed; nothing at the end of all logs, else
    /// whether the configuration is another than before.
    fn next_of_all(&mut self) -> Result<Option<bool>, Fault> {
        let mut is_changed = false;
        loop {
            if self.next_tick()? {
                return Ok(Some(is_changed));
            }
            // A span without a record was opened, and the engine ended before its first tick.
            if !self.next_span()? {
                return Ok(None);
            }
            is_changed = true;
        }
    }

    /// The records begin with the engine's first, or with those of a cold start.
    fn is_genesis(&self) -> bool {
        self.is_cold() || self.streams.is_first()
    }

    fn is_cold(&self) -> bool {
        self.records().first().is_some_and(|record| record.flags.contains(TokenFlags::COLD_START))
    }

    fn all(
        &mut self,
        is_whole: bool,
        compare_from: u64,
        last: Option<u64>,
    ) -> Result<(Option<Mismatch>, String), Fault> {
        if self.next_of_all()?.is_none() {
            return Err(Fault::new(Code::LogHeader, "the logs have no record").of(&self.dirs.log));
        }
        let first = self.tick();
        let mut out = Retraced::default();
        let mut compare_from = compare_from;
        let mut trace;
        let start;
        if is_whole && self.is_genesis() {
            trace = Retrace::from_genesis(&self.config, first)?;
            self.chain.begin(self.sha256, self.streams.row());
            start = "genesis".to_owned();
            if let Some(mismatch) = self.step(&mut trace, &mut out, compare_from)? {
                return Ok((Some(mismatch), start));
            }
        } else {
            trace = Retrace::from_records(&self.config, self.records())?;
            if is_whole {
                // Nothing stands before the records, so their own beginning makes the counters exact.
                compare_from = compare_from.max(first + LEAD_TICKS);
            }
            start = format!("records {first}");
        }
        let is_last = |run: &Self| Some(run.tick()) == last;
        while !(last.is_some() && is_last(self)) {
            let Some(is_changed) = self.next_of_all()? else { break };
            let tick = self.tick();
            if self.is_cold() {
                trace = Retrace::from_genesis(&self.config, tick)?;
                self.chain.begin(self.sha256, self.streams.row());
            } else if is_changed {
                trace = trace.changed(&self.config, tick)?;
            }
            if let Some(mismatch) = self.step(&mut trace, &mut out, compare_from)? {
                return Ok((Some(mismatch), start));
            }
        }
        Ok((self.left_over(), start))
    }

    fn step(
        &mut self,
        trace: &mut Retrace,
        out: &mut Retraced,
        compare_from: u64,
    ) -> Result<Option<Mismatch>, Fault> {
        trace.step(self.records(), out)?;
        self.chain.follow(self.streams.row());
        if self.chain.is_known {
            let records = u64::try_from(self.records().len()).unwrap_or(u64::MAX);
            self.bytes_hashed += 32 + 64 * records;
        }
        let tick = self.tick();
        if tick < compare_from {
            return Ok(None);
        }
        self.ticks += 1;
        self.load_alerts(Day::of(tick), compare_from)?;
        let pairs = out.records.iter().zip(self.records());
        for (expected, actual) in pairs.filter(|(expected, actual)| expected != actual) {
            if let Some((field, expected, actual_value)) = first_difference(expected, actual) {
                return Ok(Some(Mismatch {
                    tick,
                    token: Some(actual.token_id),
                    field,
                    expected,
                    actual: actual_value,
                }));
            }
        }
        for alert in &out.alerts {
            let symbol = match &alert.body {
                AlertBody::Token { record, .. } => {
                    let of =
                        |token: &&penstock_engine::config::TokenConfig| token.id == record.token_id;
                    self.config.tokens.iter().find(of).map_or("", |token| token.symbol.as_str())
                }
                AlertBody::Cluster { .. } => "",
            };
            let line = alert.payload_with_id(symbol);
            self.alerts.update(line.as_bytes());
            self.alerts.update(b"\n");
            let found = self.alert_lines.get_mut(&Day::of(tick)).and_then(Iterator::next);
            if found.as_ref() != Some(&line) {
                return Ok(Some(Mismatch {
                    tick,
                    token: None,
                    field: "alerts".to_owned(),
                    expected: line,
                    actual: found.unwrap_or_default(),
                }));
            }
        }
        Ok(None)
    }

    /// Reads the alerts of a day from a tick on, once.
    fn load_alerts(&mut self, day: Day, from: u64) -> Result<(), Fault> {
        if !self.alert_lines.contains_key(&day) {
            let path = self.dirs.alerts_file(day);
            let bytes = stored::read_if_there(&path, STREAM_LEN_MAX)?.unwrap_or_default();
            self.bytes_hashed += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let text = String::from_utf8_lossy(&bytes);
            let is_whole = from <= day.first_tick();
            let is_due =
                |line: &&str| is_whole || crate::streams::tick_of(line).is_none_or(|at| at >= from);
            let lines: Vec<String> = text.lines().filter(is_due).map(str::to_owned).collect();
            self.alert_lines.insert(day, lines.into_iter());
        }
        Ok(())
    }

    /// A published alert that does not follow from the log.
    fn left_over(&mut self) -> Option<Mismatch> {
        let (day, line) = self
            .alert_lines
            .iter_mut()
            .find_map(|(day, lines)| lines.next().map(|line| (*day, line)))?;
        let tick = crate::streams::tick_of(&line).unwrap_or(day.last_tick());
        Some(Mismatch {
            tick,
            token: None,
            field: "alerts".to_owned(),
            expected: String::new(),
            actual: line,
        })
    }

    fn report(mut self, first_mismatch: Option<Mismatch>, start: String) -> Result<Report, Fault> {
        let hashed = self.streams.bytes_hashed();
        let verdict = if first_mismatch.is_some() { Verdict::Breach } else { Verdict::Identical };
        self.streams.end(&mut |blocks| self.chain.take(blocks))?;
        let chain = self.chain.end()?;
        Ok(Report {
            replay_level: 'A',
            start,
            ticks: self.ticks,
            tokens: u64::try_from(self.config.tokens.len()).unwrap_or(u64::MAX),
            bytes_hashed: hashed + self.bytes_hashed,
            first_mismatch,
            state_chain: chain.map(hex::encode),
            alerts_hash: hex::encode(self.alerts.finalize()),
            verdict,
        })
    }
}
