//! Level B: every byte follows from the journal.
//!
//! Input: frames and quote blocks, configuration, genesis or a snapshot. Output: a report; with a directory of
//! its own, the files of the second run too. Invariants: the same engine code as live, with nothing skipped;
//! records, alerts, transitions and the snapshots that exist are compared byte for byte.

use super::compare::Compare;
use super::logs::LogStream;
use super::report::{Report, Verdict};
use crate::core::Core;
use crate::error::{Code, Fault};
use crate::files;
use crate::journal::{Chain, JournalReader};
use crate::layout::{Day, EngineDirs};
use crate::lifecycle::{Event, Lifecycle, Mode};
use crate::log::{LogHeader, TokenLog};
use crate::snapshots;
use crate::streams::Stream;
use crate::writer::{Files, Hooks, Writer};
use penstock_engine::snapshot::LogPosition;
use penstock_engine::{Engine, EngineConfig};
use sha2::Digest;

/// Where a replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayStart {
    /// With the first frame of the journal and an engine that has seen nothing.
    Genesis,
    /// Behind the snapshot of this tick.
    Snapshot(u64),
}

/// Derives everything from the journal and compares; `until` is the last tick that is derived, `out` a
/// directory for the files of the second run.
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
    let (engine, chain, logs) = base(dirs, config, start)?;
    let from = engine.last_tick().unwrap_or(0);
    let streams = log_streams(dirs, config, from, &logs)?;
    let writer = match out {
        Some(out) => Some(writer(out, config)?),
        None => None,
    };
    let compare = Compare::new(dirs, streams, from, writer)?;
    life.take(Event::Done)?;
    let mut core = Core::new(engine, chain, logs, compare);
    let ran = run(&mut core, dirs, from, until);
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
    let tokens = u64::try_from(config.tokens.len()).unwrap_or(u64::MAX);
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
    from: u64,
    until: Option<u64>,
) -> Result<u64, Fault> {
    let mut reader = JournalReader::from_tick(dirs, from)?;
    let mut hashed = 0;
    while let Some(entry) = reader.next_entry()? {
        if entry.tick() <= from {
            continue;
        }
        if until.is_some_and(|until| entry.tick() > until) {
            return Ok(hashed);
        }
        let chain = core.chain.with(&entry.header, &entry.frame)?;
        hashed += u64::try_from(entry.frame.len()).unwrap_or(u64::MAX);
        core.execute(&entry.header, &entry.events, chain)?;
    }
    let last = core.engine.last_tick().unwrap_or(from);
    core.sink.left_over(last)?;
    Ok(hashed)
}

fn base(
    dirs: &EngineDirs,
    config: &EngineConfig,
    start: ReplayStart,
) -> Result<(Engine, Chain, Vec<LogPosition>), Fault> {
    match start {
        ReplayStart::Snapshot(tick) => {
            let loaded = snapshots::load(dirs, config, tick)?;
            Ok((loaded.engine, Chain::of(&loaded.context), loaded.context.logs))
        }
        ReplayStart::Genesis => {
            let Some(first) = JournalReader::from_tick(dirs, 0)?.next_entry()? else {
                let what = "the journal has no frame to begin with";
                return Err(Fault::new(Code::JrnGap, what).of(&dirs.journal));
            };
            let mut engine = Engine::new(config)?;
            engine.start_at(first.tick())?;
            let logs = vec![LogPosition::default(); config.tokens.len()];
            Ok((engine, Chain::default(), logs))
        }
    }
}

fn log_streams(
    dirs: &EngineDirs,
    config: &EngineConfig,
    tick: u64,
    logs: &[LogPosition],
) -> Result<Vec<LogStream>, Fault> {
    let fingerprint = LogHeader::fingerprint(&config.sha256());
    let mut streams = Vec::with_capacity(logs.len());
    for (token, position) in config.tokens.iter().zip(logs) {
        let is_open = position.offset > 64;
        let day = if is_open { Day::of(tick) } else { Day::of(tick + 1) };
        let from = (day, position.segment);
        let mut stream = LogStream::from_segment(dirs, token.id, fingerprint, from)?;
        stream.seek(position.offset, tick)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Files of the second run.
fn writer(out: &EngineDirs, config: &EngineConfig) -> Result<Writer, Fault> {
    for dir in out.all() {
        files::make_dir(&dir)?;
    }
    let fingerprint = LogHeader::fingerprint(&config.sha256());
    let log = |token: &penstock_engine::config::TokenConfig| {
        TokenLog::new(out, token.id, fingerprint, [0; 32], 0)
    };
    let files = Files {
        dirs: out.clone(),
        logs: config.tokens.iter().map(log).collect(),
        alerts: Stream::new(out.alerts.clone()),
        transitions: Stream::new(out.transitions()),
        hooks: Hooks::none(),
    };
    Writer::start(files, config.snapshot_every_ticks.unsigned_abs())
}
