//! A start under another configuration than the newest snapshot's.
//!
//! Input: that snapshot, the logs, the SHA-256 that the operator accepts. Output: the same state under the
//! configuration of this start, behind everything that the ones before it still have to say. Invariants: nothing
//! is changed without the operator's word, which is asked for once: the segments that it opens are on disk before
//! the first tick under it, and a later start that finds them goes on without asking; a snapshot stays what the
//! configuration of its tick made of it; every token opens a segment under the same number.
//!
//! ```text
//! snapshot S of X, no segment behind it     X executes the journal to J and writes a snapshot · Y from J + 1
//! snapshot S of X, segments of Y behind it  Y from S + 1
//! the same, started under Z                 Y from S + 1 executes the journal to J · Z from J + 1
//! ```

use super::roll::roll_forward;
use super::start::{Base, FrameStore, StartOptions, Started, core_of, keep_breach};
use crate::core::Core;
use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::journal::Chain;
use crate::layout::{Day, EngineDirs, SEGMENT_MAX};
use crate::log::LogHeader;
use crate::snapshots::Loaded;
use crate::spans::{Segment, all_segments, newest_behind};
use crate::{archived, stored};
use penstock_engine::EngineConfig;
use penstock_engine::snapshot::{LogPosition, SnapshotContext};

/// Brings a start to its configuration, if the snapshot is of another.
///
/// # Errors
/// [`Code::SnapConfig`] with both hashes when nobody accepted it; what the roll-forward meets.
pub(super) fn under_config(
    base: Base,
    options: &StartOptions,
    store: &mut dyn FrameStore,
    started: &mut Started,
) -> Result<Base, Fault> {
    let sha256 = options.config.sha256();
    if let Some(named) = options.accept_config.filter(|named| *named != sha256) {
        let what = "the accepted configuration is not the one of this start; next: name its SHA-256 \
                    (--accept-config)";
        let fault = Fault::new(Code::SnapConfig, what);
        return Err(fault.differing(hex::encode(named), hex::encode(sha256)));
    }
    let Base::Other(loaded) = base else { return Ok(base) };
    let dirs = &options.dirs;
    let found = newest_behind(dirs, place_of(&loaded))?;
    let fingerprint = LogHeader::fingerprint(&sha256);
    if let Some((segment, _)) = found.filter(|(_, other)| *other == fingerprint) {
        ends_there(dirs, &loaded)?;
        return Ok(Base::Other(Box::new(changed(*loaded, &options.config, segment, started)?)));
    }
    if options.accept_config.is_none() {
        let had = loaded.engine.config().sha256();
        let what = "the newest snapshot is of another configuration; next: start with the one archived \
                    under configs/, or accept this one (--accept-config with its SHA-256)";
        let fault = Fault::new(Code::SnapConfig, what).in_tick(loaded.tick);
        return Err(fault.differing(hex::encode(had), hex::encode(sha256)));
    }
    if loaded.context.frame_seq == 0 {
        let what = "nothing was executed under the configuration of the snapshot; next: start with \
                    --cold-start";
        return Err(Fault::new(Code::SnapConfig, what).in_tick(loaded.tick));
    }
    let ended = end_of_others(*loaded, found, options, store, started)?;
    let segment = next_segment(dirs, Day::of(ended.tick + 1))?;
    Ok(Base::Other(Box::new(changed(ended, &options.config, segment, started)?)))
}

/// Day and segment in which the logs of a snapshot stand.
fn place_of(loaded: &Loaded) -> Segment {
    let segment = loaded.context.logs.iter().map(|log| log.segment).max().unwrap_or(0);
    (Day::of(loaded.tick), segment)
}

/// The snapshot is the last thing that its configuration said: an older one cannot be where another one began.
fn ends_there(dirs: &EngineDirs, loaded: &Loaded) -> Result<(), Fault> {
    for (token, log) in loaded.engine.config().tokens.iter().zip(&loaded.context.logs) {
        let path = dirs.log_file(token.id, Day::of(loaded.tick), log.segment);
        let len = stored::len_if_there(&path)?.unwrap_or(0);
        if log.offset > 64 && len != log.offset {
            let what = "the configuration changed behind this snapshot, not at it; next: recover from \
                        a newer snapshot";
            let fault = Fault::new(Code::SnapConfig, what).of(&path).of_token(token.id);
            return Err(fault.in_tick(loaded.tick).differing(log.offset, len));
        }
    }
    Ok(())
}

/// The state under another configuration, whose logs begin with the next tick.
fn changed(
    loaded: Loaded,
    config: &EngineConfig,
    (day, segment): Segment,
    started: &mut Started,
) -> Result<Loaded, Fault> {
    let Loaded { tick, engine, context, bytes } = loaded;
    if day != Day::of(tick + 1) {
        let what = "the configuration changed long behind the snapshot; next: recover from a newer \
                    snapshot";
        return Err(Fault::new(Code::SnapConfig, what).in_tick(tick));
    }
    let engine = engine.changed(config)?;
    let position = LogPosition { segment, ..LogPosition::default() };
    let logs = vec![position; config.tokens.len()];
    started.changed_at = Some(tick + 1);
    Ok(Loaded { tick, engine, context: SnapshotContext { logs, ..context }, bytes })
}

/// The state behind everything that the configurations before still have to execute, with their files closed.
fn end_of_others(
    loaded: Loaded,
    pending: Option<(Segment, u32)>,
    options: &StartOptions,
    store: &mut dyn FrameStore,
    started: &mut Started,
) -> Result<Loaded, Fault> {
    let StartOptions { dirs, hooks, .. } = options;
    let had_fingerprint = LogHeader::fingerprint(&loaded.engine.config().sha256());
    let (tick, engine, context) = (loaded.tick, loaded.engine.clone(), loaded.context.clone());
    let mut own = Started::default();
    let base = match pending.filter(|(_, other)| *other != had_fingerprint) {
        None => loaded,
        Some((segment, other)) => {
            let Some(config) = archived::of_fingerprint(dirs, other)? else {
                let what = "the configuration of the newest logs is not archived";
                return Err(Fault::new(Code::SnapConfig, what).in_tick(tick));
            };
            changed(loaded, &config, segment, &mut own)?
        }
    };
    let (mut core, log_tick) = core_of(base, dirs, hooks, &mut own)?;
    roll_forward(&mut core, dirs, log_tick, store, &mut own)
        .map_err(|fault| keep_breach(dirs, fault))?;
    started.cut.append(&mut own.cut);
    started.refetched_frames += own.refetched_frames;
    let Core { engine: ended, chain, logs, sink, .. } = core;
    sink.end()?;
    let end = ended.last_tick().unwrap_or(tick);
    close_files(dirs, ended.config())?;
    if end == tick {
        // A configuration in between executed nothing: its segments go, as if it had never been.
        if let Some((segment, _)) = pending {
            for token in all_segments(dirs)?.remove(&segment).unwrap_or_default() {
                files::cut_whole(&dirs.log_file(token, segment.0, segment.1))?;
            }
        }
        return Ok(Loaded { tick, engine, context, bytes: Vec::new() });
    }
    let Chain { frame_seq, sha256, run_id, fencing_token } = chain;
    let context = SnapshotContext { frame_seq, frame_sha256: sha256, run_id, fencing_token, logs };
    Ok(Loaded { tick: end, engine: ended, context, bytes: Vec::new() })
}

/// Nothing is written into the newest logs of a configuration any more.
fn close_files(dirs: &EngineDirs, config: &EngineConfig) -> Result<(), Fault> {
    for token in &config.tokens {
        let Some((day, segment)) = crate::log::segments(dirs, token.id)?.pop() else { continue };
        let path = dirs.log_file(token.id, day, segment);
        if stored::form(&path)? == Some(stored::Form::Raw) {
            files::set_mode(&path, CLOSED_MODE)?;
        }
    }
    Ok(())
}

/// A segment of a day that no token has yet.
fn next_segment(dirs: &EngineDirs, day: Day) -> Result<Segment, Fault> {
    let all = all_segments(dirs)?;
    let newest = all.into_keys().filter(|(of, _)| *of == day).map(|(_, segment)| segment).max();
    let segment = newest.map_or(0, |newest| newest.saturating_add(1));
    if segment > SEGMENT_MAX {
        let what = "the day has no number for another segment; next: wait for the next day";
        let fault = Fault::new(Code::SnapConfig, what).of(&dirs.log);
        return Err(fault.differing(SEGMENT_MAX, segment));
    }
    Ok((day, segment))
}
