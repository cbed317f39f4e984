//! Where the engine stands before its first frame of this life: the last filled gap, the last tick of its files.
//!
//! Input: directories, the configuration. Output: ticks read from the ends of logs. Invariants: only whole
//! records are read, from raw files as from compressed ones; a file that cannot be read says nothing, because it was judged by the start already.

use std::path::Path;

use penstock_engine::EngineConfig;
use penstock_engine::record::RECORD_LEN;
use penstock_engine_io::log::{LOG_HEADER_LEN, segments};
use penstock_engine_io::stored::{self, Stored};
use penstock_engine_io::{Day, EngineDirs};
use penstock_trading::engine_gate::GAP_TICKS;
use penstock_types::engine_view::TokenFlags;

/// Newest tick within the last minute of the logs that stood for a missing frame. Every token has it.
pub(super) fn newest_gap(dirs: &EngineDirs, config: &EngineConfig) -> Option<u64> {
    let records = newest_records(dirs, config)?;
    let is_gap = |(_, flags): &(u64, TokenFlags)| flags.contains(TokenFlags::GAP_FILL);
    records.into_iter().rev().find(is_gap).map(|(tick, _)| tick)
}

/// Last tick of the logs.
pub(super) fn newest_logged(dirs: &EngineDirs, config: &EngineConfig) -> Option<u64> {
    newest_records(dirs, config)?.last().map(|(tick, _)| *tick)
}

fn newest_records(dirs: &EngineDirs, config: &EngineConfig) -> Option<Vec<(u64, TokenFlags)>> {
    let token = config.tokens.first()?.id;
    let (day, segment) = segments(dirs, token).ok()?.pop()?;
    tail(&dirs.log_file(token, day, segment))
}

fn tail(path: &Path) -> Option<Vec<(u64, TokenFlags)>> {
    let head = u64::try_from(LOG_HEADER_LEN).ok()?;
    let len = u64::try_from(RECORD_LEN).ok()?;
    let whole = stored::len_if_there(path).ok()??.checked_sub(head)? / len;
    let wanted = whole.min(GAP_TICKS.unsigned_abs());
    let bytes = part(path, head + (whole - wanted) * len, usize::try_from(wanted * len).ok()?)?;
    let record = |bytes: &[u8]| {
        let tick = u64::from_le_bytes(*bytes.first_chunk()?);
        let flags = u16::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
        Some((tick, TokenFlags(flags)))
    };
    Some(bytes.chunks_exact(RECORD_LEN).filter_map(record).collect())
}

/// Bytes of a file, raw or compressed, as far as they are there.
fn part(path: &Path, from: u64, len: usize) -> Option<Vec<u8>> {
    let mut stored = Stored::open(path).ok()?;
    stored.skip(from).ok()?;
    let mut bytes = vec![0; len];
    let filled = stored.fill(&mut bytes).ok()?;
    bytes.truncate(filled);
    Some(bytes)
}

/// File and offset of a token's record of a tick, as manifests name them.
pub(super) fn record_place(dirs: &EngineDirs, token: u16, tick: u64) -> Option<(String, u64)> {
    let day = Day::of(tick);
    let all = segments(dirs, token).ok()?;
    let of_day = all.into_iter().rev().filter(|(found, _)| *found == day);
    for (day, segment) in of_day {
        let path = dirs.log_file(token, day, segment);
        let Some(first) = first_tick(&path) else { continue };
        if first <= tick {
            let offset = (tick - first).checked_mul(64)?.checked_add(64)?;
            let name = path.file_name()?.to_str()?;
            return Some((format!("log/{token}/{name}"), offset));
        }
    }
    None
}

fn first_tick(path: &Path) -> Option<u64> {
    let bytes = part(path, u64::try_from(LOG_HEADER_LEN).ok()?, 8)?;
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}
