//! Building and writing the manifest of a closed day.
//!
//! Input: the files of a day and what only the caller knows. Output: the file. Invariants: a day is closed when
//! every token's last segment ends with its last tick; an existing manifest is never written again; days are
//! written in the order of their dates, because each names the one before.

use super::{
    ConfigEntry, FileEntry, JournalEntry, MANIFEST_LEN_MAX, Manifest, StreamEntry, TokenEntry,
};
use crate::error::{Code, Fault};
use crate::files;
use crate::journal::{JournalReader, hours};
use crate::keys::Signer;
use crate::layout::{DAY_TICKS, Day, EngineDirs, HOUR_TICKS};
use crate::log::{LOG_HEADER_LEN, LOG_LEN_MAX, segments, verify_segment};
use crate::spans::{self, Spans};
use crate::{merkle, snapshots, stored, streams};
use penstock_engine::EngineConfig;
use penstock_engine::config::SCHEMA;
use penstock_engine::record::RECORD_LEN;
use penstock_engine::snapshot::SnapshotView;
use penstock_types::engine_view::TokenFlags;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Milliseconds after the day behind which a manifest is late.
const LATE_MS: u64 = 60_000;
/// Milliseconds of a tick.
const TICK_MS: u64 = 250;

/// What the files do not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// SHA-256 of the program, in hexadecimal.
    pub engine_sha256: String,
    /// SHA-256 of the bindings, in hexadecimal.
    pub bindings_hash: Option<String>,
    /// Longest tick of the day.
    pub max_tick_us: Option<u64>,
    /// Now, milliseconds since the Unix epoch.
    pub written_at_ms: u64,
}

/// Flags of ticks, gathered over tokens.
struct Marks {
    gap: Vec<bool>,
    degraded: Vec<bool>,
    executed: Vec<bool>,
}

impl Marks {
    fn new() -> Self {
        let day = || vec![false; usize::try_from(DAY_TICKS).unwrap_or(0)];
        Self { gap: day(), degraded: day(), executed: day() }
    }

    fn note(&mut self, first_tick: u64, records: &[u8]) {
        let from = usize::try_from(first_tick % DAY_TICKS).unwrap_or(0);
        for (at, record) in (from..).zip(records.chunks_exact(RECORD_LEN)) {
            let flags = TokenFlags(u16::from_le_bytes([record[16], record[17]]));
            let set = |marks: &mut Vec<bool>, is_set: bool| {
                if let Some(mark) = marks.get_mut(at) {
                    *mark |= is_set;
                }
            };
            set(&mut self.gap, flags.contains(TokenFlags::GAP_FILL));
            set(&mut self.degraded, flags.contains(TokenFlags::DEGRADED));
            set(&mut self.executed, true);
        }
    }

    fn count(marks: &[bool]) -> u64 {
        u64::try_from(marks.iter().filter(|mark| **mark).count()).unwrap_or(u64::MAX)
    }
}

/// Builds, signs and writes the manifest of a closed day; one that is there is left alone.
///
/// # Errors
/// [`Code::ManMissing`] when the day is not closed; [`Code::LogCorrupt`] and its kin when a file of it is wrong.
pub fn close_day(
    dirs: &EngineDirs,
    config: &EngineConfig,
    day: Day,
    facts: &Facts,
    signer: Option<&Signer>,
) -> Result<Manifest, Fault> {
    let path = dirs.manifest(day);
    if std::fs::exists(&path).map_err(|error| Fault::storage("look at", &path, &error))? {
        return super::read_manifest(dirs, day);
    }
    let mut manifest = build(dirs, config, day, facts)?;
    if let Some(signer) = signer {
        manifest.key_id = Some(signer.key_id());
        manifest.signature = Some(signer.sign(&manifest.signed_bytes()?));
    }
    files::write_whole(&path, &manifest.bytes()?, files::CLOSED_MODE)?;
    Ok(manifest)
}

fn build(
    dirs: &EngineDirs,
    config: &EngineConfig,
    day: Day,
    facts: &Facts,
) -> Result<Manifest, Fault> {
    let mut marks = Marks::new();
    let spans = Spans::of(dirs, config)?;
    let tokens = token_entries(dirs, &spans, day, &mut marks)?;
    let mut leaves = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let hash: [u8; 32] = hex::decode(&token.sha256)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Fault::new(Code::Invariant, "a hash is not 32 bytes"))?;
        leaves.push(merkle::segment_leaf(token.token_id, &hash));
    }
    let close = snapshots::place(dirs, day.last_tick())?;
    let close_bytes = stored::read(&close, snapshots::SNAPSHOT_LEN_MAX)
        .map_err(|fault| Fault { code: Code::ManMissing, ..fault })?;
    let closing = SnapshotView::new(&close_bytes).map_err(|error| Fault::from(error).of(&close))?;
    let first_tick = tokens.iter().map(|token| token.first_tick).min().unwrap_or(0);
    let configs = config_entries(&spans, day, &tokens, facts);
    let open = snapshots::place(dirs, day.first_tick().saturating_sub(1))?;
    let state_chain_open = match stored::read_if_there(&open, snapshots::SNAPSHOT_LEN_MAX)? {
        Some(bytes) if first_tick == day.first_tick() => {
            let view = SnapshotView::new(&bytes).map_err(|error| Fault::from(error).of(&open))?;
            hex::encode(view.header.state_chain)
        }
        Some(_) | None => configs.first().map_or_else(String::new, |first| first.sha256.clone()),
    };
    let executed = Marks::count(&marks.executed);
    let gap_fill_ticks = Marks::count(&marks.gap);
    let ends_at_ms = (day.last_tick() + 1) * TICK_MS;
    Ok(Manifest {
        date: day.to_string(),
        schema_version: SCHEMA.to_owned(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine_sha256: facts.engine_sha256.clone(),
        configs,
        tokens,
        day_root: hex::encode(merkle::root(&leaves)),
        journal: journal_entry(dirs, day)?,
        alerts: stream_entry(&dirs.alerts_file(day))?,
        transitions: stream_entry(&dirs.transitions_file(day))?,
        state_chain_open,
        state_chain_close: hex::encode(closing.header.state_chain),
        snapshot_close_sha256: hex::encode(Sha256::digest(&close_bytes)),
        gap_fill_ticks,
        degraded_ticks: Marks::count(&marks.degraded),
        max_tick_us: facts.max_tick_us,
        uptime_ppm: executed.saturating_sub(gap_fill_ticks) * 1_000_000 / DAY_TICKS,
        prev_manifest_sha256: newest_before(dirs, day)?,
        genesis_sha256: genesis_of(dirs, day)?,
        late: facts.written_at_ms > ends_at_ms.saturating_add(LATE_MS),
        written_at_ms: facts.written_at_ms,
        key_id: None,
        signature: None,
    })
}

/// Configurations of the day by their first ticks. The bindings that the caller knows are those of the last one.
fn config_entries(
    spans: &Spans,
    day: Day,
    tokens: &[TokenEntry],
    facts: &Facts,
) -> Vec<ConfigEntry> {
    let mut first_ticks: BTreeMap<usize, u64> = BTreeMap::new();
    for token in tokens {
        let first = first_ticks.entry(spans.at((day, token.segment))).or_insert(token.first_tick);
        *first = token.first_tick.min(*first);
    }
    let last = first_ticks.keys().last().copied();
    let entry = |(at, from_tick): (usize, u64)| {
        let sha256 = hex::encode(spans.all.get(at)?.config.sha256());
        let bindings_hash = facts.bindings_hash.clone().filter(|_| Some(at) == last);
        Some(ConfigEntry { from_tick, sha256, bindings_hash })
    };
    first_ticks.into_iter().filter_map(entry).collect()
}

fn token_entries(
    dirs: &EngineDirs,
    spans: &Spans,
    day: Day,
    marks: &mut Marks,
) -> Result<Vec<TokenEntry>, Fault> {
    let mut entries: Vec<TokenEntry> = Vec::new();
    for id in spans::tokens(dirs)? {
        for (_, segment) in segments(dirs, id)?.into_iter().filter(|(of, _)| *of == day) {
            let path = dirs.log_file(id, day, segment);
            let bytes = stored::read(&path, LOG_LEN_MAX)?;
            let scan = verify_segment(&path, &bytes)?;
            let Some((first, last)) = scan.first_tick.zip(scan.last_tick()) else { continue };
            let own = spans.all.get(spans.at((day, segment)));
            let own = own.and_then(|span| span.config.tokens.iter().find(|token| token.id == id));
            let Some(token) = own else {
                let what = "the configuration of the log does not have its token";
                return Err(Fault::new(Code::LogHeader, what).of(&path).of_token(id));
            };
            let records = &bytes[LOG_HEADER_LEN..];
            marks.note(first, records);
            entries.push(TokenEntry {
                token_id: id,
                symbol: token.symbol.clone(),
                cluster_id: token.cluster,
                segment,
                first_tick: first,
                last_tick: last,
                records: scan.records,
                bytes: scan.valid_len(),
                sha256: hex::encode(Sha256::digest(&bytes)),
                record_root: hex::encode(merkle::root(&merkle::chunk_leaves(records))),
            });
        }
    }
    // A token that a change of the configuration dropped ends within the day.
    let last = spans.all.get(spans.at((day, u16::MAX)));
    for token in last.iter().flat_map(|span| &span.config.tokens) {
        let newest = entries.iter().rfind(|entry| entry.token_id == token.id);
        if newest.map(|entry| entry.last_tick) != Some(day.last_tick()) {
            let what = format!("{day} is not closed; next: wait for its last tick");
            return Err(Fault::new(Code::ManMissing, what).of_token(token.id));
        }
    }
    Ok(entries)
}

/// The files of a day's journal and the frames at its ends.
pub(super) fn journal_entry(dirs: &EngineDirs, day: Day) -> Result<JournalEntry, Fault> {
    let mut entry =
        JournalEntry { files: Vec::new(), first_frame_sha256: None, last_frame_sha256: None };
    let of_day: Vec<u64> = hours(&dirs.journal)?
        .into_iter()
        .filter(|(of, _)| *of == day)
        .map(|(_, hour)| day.first_tick() + hour * HOUR_TICKS)
        .collect();
    for tick in &of_day {
        for path in [dirs.frames_file(*tick), dirs.quotes_file(*tick)] {
            let (hash, bytes) = stored::Stored::open(&path)?.digest()?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let (name, sha256) = (name.to_owned(), hex::encode(hash));
            entry.files.push(FileEntry { name, sha256, bytes });
        }
    }
    if let Some(first) = of_day.first() {
        let found = JournalReader::from_tick(dirs, *first)?.next_entry()?;
        entry.first_frame_sha256 = found.map(|found| hex::encode(Sha256::digest(&found.frame)));
    }
    if let Some(last) = of_day.last() {
        let mut reader = JournalReader::from_tick(dirs, *last)?;
        let mut newest = None;
        while let Some(found) = reader.next_entry()? {
            if Day::of(found.tick()) != day {
                break;
            }
            newest = Some(found);
        }
        entry.last_frame_sha256 = newest.map(|found| hex::encode(Sha256::digest(&found.frame)));
    }
    Ok(entry)
}

pub(super) fn stream_entry(path: &Path) -> Result<StreamEntry, Fault> {
    let (count, sha256) = streams::digest(path)?;
    Ok(StreamEntry { count, sha256: hex::encode(sha256) })
}

/// Days that have a manifest, ascending.
///
/// # Errors
/// [`Code::Storage`].
pub fn days(dirs: &EngineDirs) -> Result<Vec<Day>, Fault> {
    let names = files::names(&dirs.manifests)?;
    Ok(names.iter().filter_map(|name| Day::parse(name.strip_suffix(".json")?)).collect())
}

/// SHA-256 of the document of a hard reset on the first day after it.
pub(super) fn genesis_of(dirs: &EngineDirs, day: Day) -> Result<Option<String>, Fault> {
    let path = dirs.genesis();
    let Some(bytes) = files::read_if_there(&path, crate::archive::DOCUMENT_LEN_MAX)? else {
        return Ok(None);
    };
    let genesis = crate::archive::Genesis::parse(&bytes).map_err(|fault| fault.of(&path))?;
    let after = |of: &Day| of.last_tick() > genesis.last_tick;
    let is_first = !days(dirs)?.into_iter().any(|of| after(&of) && of < day);
    Ok((after(&day) && is_first).then(|| hex::encode(Sha256::digest(&bytes))))
}

/// SHA-256 of the file of the newest manifest before a day.
pub(super) fn newest_before(dirs: &EngineDirs, day: Day) -> Result<Option<String>, Fault> {
    let Some(before) = days(dirs)?.into_iter().rfind(|of| *of < day) else { return Ok(None) };
    let bytes = files::read(&dirs.manifest(before), MANIFEST_LEN_MAX)?;
    Ok(Some(hex::encode(Sha256::digest(&bytes))))
}

/// Closed days without a manifest, ascending: their last snapshot exists.
///
/// # Errors
/// [`Code::Storage`].
pub fn missing_days(dirs: &EngineDirs) -> Result<Vec<Day>, Fault> {
    let have = days(dirs)?;
    let closes = |tick: &u64| *tick == Day::of(*tick).last_tick();
    let closed = snapshots::ticks(dirs)?.into_iter().filter(closes).map(Day::of);
    Ok(closed.filter(|day| !have.contains(day)).collect())
}

/// Writes the manifests that a crash or a stop over midnight left unwritten, in the order of their dates.
///
/// # Errors
/// As [`close_day`]. A day of which only the snapshot before its first tick exists has no log and is left out.
pub fn write_missing(
    dirs: &EngineDirs,
    config: &EngineConfig,
    facts: &Facts,
    signer: Option<&Signer>,
) -> Result<Vec<Day>, Fault> {
    let mut written = Vec::new();
    for day in missing_days(dirs)? {
        let has_log = config.tokens.iter().any(|token| {
            stored::form(&dirs.log_file(token.id, day, 0)).is_ok_and(|form| form.is_some())
        });
        if has_log {
            let facts = Facts { max_tick_us: None, ..facts.clone() };
            close_day(dirs, config, day, &facts, signer)?;
            written.push(day);
        }
    }
    Ok(written)
}
