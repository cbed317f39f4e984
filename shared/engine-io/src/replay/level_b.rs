//! Level B: every byte follows from the journal.
//!
//! Input: frames and quote blocks, configuration, genesis or a snapshot. Output: a report; with a directory of
//! its own, the files of the second run too. Invariants: the same engine code as live, with nothing skipped;
//! records, alerts, transitions and the snapshots that exist are compared byte for byte; a cold start begins
//! where the logs show one.

use super::ahead::read_ahead;
use super::compare::Compare;
use super::log_streams::LogStreams;
use super::logs::LogStream;
use super::report::{Report, Verdict};
use crate::core::{Core, Sink};
use crate::error::{Code, Fault};
use crate::files;
use crate::hooks::Hooks;
use crate::journal::{Chain, Entry, JournalReader};
use crate::layout::{Day, EngineDirs};
use crate::lifecycle::{Event, Lifecycle, Mode};
use crate::log::{LOG_HEADER_LEN, LOG_LEN_MAX, LogHeader, TokenLog};
use crate::snapshots;
use crate::spans::{Span, Spans, all_segments};
use crate::stored::{self, Stored};
use crate::streams::{STREAM_LEN_MAX, Stream, kept_len};
use crate::writer::{Files, Writer};
use penstock_engine::snapshot::LogPosition;
use penstock_engine::{Engine, EngineConfig};
use sha2::Digest;

/// Threads that read logs: one has less to do than the one that executes.
const READERS: usize = 1;

/// Where a replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayStart {
    /// With the first frame of the journal and an engine that has seen nothing.
    Genesis,
    /// Behind the snapshot of this tick.
    Snapshot(u64),
}

/// Derives everything from the journal and compares; `until` is the last tick that is derived, missing frames
/// before it included; `out` is a directory for the files of the second run.
///
/// # Errors
/// The fault of a file that is damaged or missing; a difference is in the report.
pub fn level_b(
    dirs: &EngineDirs,
    config: &EngineConfig,
    start: ReplayStart,
    until: Option<u64>,
    out: Option<&EngineDirs>,
) -> Result<Report, Fault> {
    let mut life = Lifecycle::new(Mode::Replay);
    config.check()?;
    life.take(Event::Done)?;
    let spans = Spans::of(dirs, config)?;
    let (engine, chain, logs) = base(dirs, config, start, &spans)?;
    let from = engine.last_tick().unwrap_or(0);
    let streams = log_streams(dirs, &engine, &spans, from, &logs)?;
    let writer = match out {
        Some(out) => Some(writer(dirs, out, engine.config(), from, &logs)?),
        None => None,
    };
    let compare = Compare::new(dirs, streams, from, writer)?;
    life.take(Event::Done)?;
    let mut core = Core::new(engine, chain, logs, compare);
    // The state before the first frame is a snapshot too, for as long as it is kept.
    let begun = match start {
        ReplayStart::Genesis if core.sink.wants_snapshot(from) => core.snapshot(),
        ReplayStart::Genesis | ReplayStart::Snapshot(_) => Ok(()),
    };
    let ran = begun.and_then(|()| run(&mut core, dirs, (from, until), &spans, out));
    let hashed = match ran {
        Ok(hashed) => hashed,
        Err(_) if core.sink.mismatch.is_some() => 0,
        Err(fault) => return Err(fault),
    };
    life.take(Event::EndOfInput)?;
    let last = core.engine.last_tick().unwrap_or(from);
    let ticks = last - from;
    let chain = core.engine.chain();
    let Compare { mismatch, alerts_hash, bytes_hashed, .. } = &mut core.sink;
    let verdict = if mismatch.is_some() { Verdict::Breach } else { Verdict::Identical };
    // Each record is hashed once for the chain of states.
    let tokens = u64::try_from(core.engine.config().tokens.len()).unwrap_or(u64::MAX);
    let bytes_hashed = *bytes_hashed + hashed + ticks * (32 + 64 * tokens);
    let (first_mismatch, alerts_hash) =
        (mismatch.take(), hex::encode(alerts_hash.clone().finalize()));
    let bytes_hashed = bytes_hashed + core.sink.log_bytes();
    if let Some(writer) = core.sink.out.take() {
        writer.end()?;
    }
    Ok(Report {
        replay_level: 'B',
        start: match start {
            ReplayStart::Genesis => "genesis".to_owned(),
            ReplayStart::Snapshot(tick) => format!("snapshot {tick}"),
        },
        ticks,
        tokens,
        bytes_hashed,
        first_mismatch,
        state_chain: Some(hex::encode(chain)),
        alerts_hash,
        verdict,
    })
}

/// Executes the journal; bytes of frames that were hashed.
fn run(
    core: &mut Core<Compare>,
    dirs: &EngineDirs,
    (from, until): (u64, Option<u64>),
    spans: &Spans,
    out: Option<&EngineDirs>,
) -> Result<u64, Fault> {
    let reader = JournalReader::from_tick(dirs, from)?;
    let mut hashed = 0;
    read_ahead(reader, (from, until), |ahead| {
        ahead.each(|entry, sha256| {
            hashed += u64::try_from(entry.frame.len()).unwrap_or(u64::MAX);
            take(core, dirs, spans, out, (from, entry, sha256))
        })
    })?;
    if let Some(until) = until {
        change(core, dirs, spans, until, out)?;
        core.fill_to(until)?;
        core.sink.end_of_day(until)?;
        return Ok(hashed);
    }
    let last = core.engine.last_tick().unwrap_or(from);
    core.sink.left_over(last)?;
    Ok(hashed)
}

/// Executes one entry, behind what the logs say of a change or a cold start before it.
fn take(
    core: &mut Core<Compare>,
    dirs: &EngineDirs,
    spans: &Spans,
    out: Option<&EngineDirs>,
    (from, entry, sha256): (u64, &Entry, [u8; 32]),
) -> Result<(), Fault> {
    let tick = entry.tick();
    change(core, dirs, spans, tick, out)?;
    if let Some(begin) = spans.begins.get(&tick).filter(|begin| begin.is_cold && tick > from + 1)
        && let Some(span) = spans.all.get(begin.span)
    {
        let engine = self::begin(Engine::new_cold(&span.config)?, tick)?;
        let position = LogPosition { segment: begin.segment.1, ..LogPosition::default() };
        enter(core, dirs, span, begin.segment, out)?;
        core.begin_again(engine, position)?;
    }
    let chain = core.chain.with_hash(&entry.header, sha256)?;
    core.execute(&entry.header, &entry.events, chain)
}

/// Changes the configuration wherever the logs say that it changed, up to a tick.
fn change(
    core: &mut Core<Compare>,
    dirs: &EngineDirs,
    spans: &Spans,
    tick: u64,
    out: Option<&EngineDirs>,
) -> Result<(), Fault> {
    let last = core.engine.last_tick().unwrap_or(tick);
    if last >= tick {
        return Ok(());
    }
    for (first, begin) in spans.begins.range(last + 1..=tick).filter(|(_, begin)| !begin.is_cold) {
        let Some(span) = spans.all.get(begin.span) else { continue };
        core.fill_to(first - 1)?;
        enter(core, dirs, span, begin.segment, out)?;
        let position = LogPosition { segment: begin.segment.1, ..LogPosition::default() };
        core.go_on_with(core.engine.changed(&span.config)?, position);
    }
    Ok(())
}

/// Compares with, and writes, the logs of another span from one of its segments on.
fn enter(
    core: &mut Core<Compare>,
    dirs: &EngineDirs,
    span: &Span,
    segment: (Day, u16),
    out: Option<&EngineDirs>,
) -> Result<(), Fault> {
    let is_other = core.engine.config() != &span.config;
    let writer = match out {
        None => None,
        Some(out) => {
            let mut logs = Vec::with_capacity(span.config.tokens.len());
            for token in &span.config.tokens {
                let mut head = [0; LOG_HEADER_LEN];
                Stored::open(&dirs.log_file(token.id, segment.0, segment.1))?.fill(&mut head)?;
                let previous = LogHeader::decode(&head).map_or([0; 32], |header| header.previous);
                let fingerprint = span.fingerprint();
                logs.push(TokenLog::new(out, token.id, fingerprint, previous, segment.1));
            }
            Some(writer_of(out, &span.config, logs)?)
        }
    };
    // The logs of a cold start under the same configuration follow by themselves.
    core.sink.enter(Some(span).filter(|_| is_other), segment, writer)
}

/// The logs begin with records that follow from others which are not there any more.
fn begins_later(dirs: &EngineDirs) -> Result<bool, Fault> {
    let Some(((day, segment), tokens)) = all_segments(dirs)?.pop_first() else { return Ok(false) };
    let Some(token) = tokens.first().copied() else { return Ok(false) };
    let mut head = [0; LOG_HEADER_LEN];
    Stored::open(&dirs.log_file(token, day, segment))?.fill(&mut head)?;
    // A damaged header is told of where the log is read.
    Ok(LogHeader::decode(&head).is_ok_and(|header| header.previous != [0; 32]))
}

fn begin(mut engine: Engine, tick: u64) -> Result<Engine, Fault> {
    engine.start_at(tick)?;
    Ok(engine)
}

fn base(
    dirs: &EngineDirs,
    config: &EngineConfig,
    start: ReplayStart,
    spans: &Spans,
) -> Result<(Engine, Chain, Vec<LogPosition>), Fault> {
    match start {
        ReplayStart::Snapshot(tick) => {
            let loaded = snapshots::load_archived(dirs, config, tick)?;
            Ok((loaded.engine, Chain::of(&loaded.context), loaded.context.logs))
        }
        ReplayStart::Genesis => {
            let Some(first) = JournalReader::from_tick(dirs, 0)?.next_entry()? else {
                let what = "the journal has no frame to begin with";
                return Err(Fault::new(Code::JrnGap, what).of(&dirs.journal));
            };
            let cold = spans.begins.get(&first.tick()).filter(|begin| begin.is_cold);
            if cold.is_none() && begins_later(dirs)? {
                let what = "the logs do not begin with the engine's first tick; next: name the \
                            snapshot to begin with (--from-snapshot)";
                return Err(Fault::new(Code::SnapMissing, what).of(&dirs.journal));
            }
            let span = spans.all.get(cold.map_or(0, |begin| begin.span));
            let config = span.map_or(config, |span| &span.config);
            let engine =
                if cold.is_some() { Engine::new_cold(config)? } else { Engine::new(config)? };
            let segment = cold.map_or(0, |begin| begin.segment.1);
            let position = LogPosition { segment, ..LogPosition::default() };
            let logs = vec![position; config.tokens.len()];
            Ok((begin(engine, first.tick())?, Chain::default(), logs))
        }
    }
}

fn log_streams(
    dirs: &EngineDirs,
    engine: &Engine,
    spans: &Spans,
    tick: u64,
    logs: &[LogPosition],
) -> Result<LogStreams, Fault> {
    let config = engine.config();
    let fingerprint = LogHeader::fingerprint(&config.sha256());
    let mut streams = Vec::with_capacity(logs.len());
    for (token, position) in config.tokens.iter().zip(logs) {
        let is_open = position.offset > 64;
        // Behind the last tick of a day its log is not looked at.
        let is_closed = is_open && tick == Day::of(tick).last_tick();
        let from = match (is_open, is_closed) {
            (true, true) => (Day(Day::of(tick).0 + 1), 0),
            (true, false) => (Day::of(tick), position.segment),
            (false, _) => (Day::of(tick + 1), position.segment),
        };
        let mut stream = LogStream::from_segment(dirs, token.id, fingerprint, from)?;
        if !is_closed {
            stream.seek(position.offset, tick)?;
        }
        streams.push(stream);
    }
    let of_config = |span: &&Span| span.fingerprint() == fingerprint;
    let at = spans.at_tick(tick.saturating_add(1));
    let before = spans.all.get(..=at).unwrap_or(&[]);
    // Changed behind the start: the span of the start itself may have no record behind it.
    let span = before.iter().rev().find(of_config).or(spans.all.first());
    Ok(match span {
        Some(span) => LogStreams::of(dirs, READERS, span, streams),
        None => LogStreams::new(dirs, READERS),
    })
}

/// Files of the second run. What the start covers is taken over from the first one, so that both can be compared
/// file by file.
fn writer(
    dirs: &EngineDirs,
    out: &EngineDirs,
    config: &EngineConfig,
    from: u64,
    positions: &[LogPosition],
) -> Result<Writer, Fault> {
    for dir in out.all() {
        files::make_dir(&dir)?;
    }
    let fingerprint = LogHeader::fingerprint(&config.sha256());
    let day = Day::of(from);
    let mut logs = Vec::with_capacity(positions.len());
    for (token, position) in config.tokens.iter().zip(positions) {
        let is_open = position.offset > 64;
        let path = dirs.log_file(token.id, day, position.segment);
        let mut log = TokenLog::new(out, token.id, fingerprint, [0; 32], position.segment);
        if is_open && from == day.last_tick() {
            let previous = Stored::open(&path)?.digest()?.0;
            log = TokenLog::new(out, token.id, fingerprint, previous, 0);
        } else if is_open {
            log = TokenLog::new(out, token.id, fingerprint, [0; 32], 0);
            let bytes = stored::read(&path, LOG_LEN_MAX)?;
            let end = usize::try_from(position.offset).unwrap_or(usize::MAX).min(bytes.len());
            let copy = out.log_file(token.id, day, position.segment);
            files::make_dir(files::dir_of(&copy))?;
            files::write_whole(&copy, &bytes[..end], 0o640)?;
            log.resume(day, position)?;
        }
        logs.push(log);
    }
    for (path, copy) in [
        (dirs.alerts_file(day), out.alerts_file(day)),
        (dirs.transitions_file(day), out.transitions_file(day)),
    ] {
        let bytes = stored::read_if_there(&path, STREAM_LEN_MAX)?.unwrap_or_default();
        let kept = usize::try_from(kept_len(&bytes, from)).unwrap_or(0);
        if kept > 0 && from != day.last_tick() {
            files::write_whole(&copy, &bytes[..kept], 0o640)?;
        }
    }
    writer_of(out, config, logs)
}

fn writer_of(
    out: &EngineDirs,
    config: &EngineConfig,
    logs: Vec<TokenLog>,
) -> Result<Writer, Fault> {
    let files = Files {
        dirs: out.clone(),
        logs,
        alerts: Stream::new(out.alerts.clone()),
        transitions: Stream::new(out.transitions()),
        hooks: Hooks::none(),
    };
    Writer::start(files, config.snapshot_every_ticks.unsigned_abs())
}
