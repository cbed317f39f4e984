//! A recorded stream of frames with quote blocks, an engine over a directory, and trees of files to compare.
//!
//! Input: tokens, ticks, a seed. Output: delivered frames; sessions; file trees. Invariants: the market is the
//! one of the engine's own tests; thresholds are so low that every machine moves within minutes.

#[path = "../../../engine/tests/common/mod.rs"]
pub(crate) mod made;
mod tape;

use penstock_engine::EngineConfig;
use penstock_engine_io::{
    EngineDirs, Fault, FrameStore, Hooks, NoStore, Session, StartOptions, Started,
};
use penstock_types::{FencingToken, RunId};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use tape::*;

/// Delivered frames of ticks, without those that `lost` names.
pub(crate) fn stream(first: u64, ticks: u64, lost: impl Fn(u64) -> bool) -> Vec<Delivered> {
    let mut tape = Tape::new(RunId(17), FencingToken(5), first);
    let mut frames = Vec::new();
    while tape.next_tick() < first + ticks {
        if lost(tape.next_tick()) {
            tape.lose(1);
        } else {
            frames.push(tape.frame(|_| ()).0);
        }
    }
    frames
}

/// Options of a start in tests.
pub(crate) fn options(root: &Path, config: &EngineConfig) -> StartOptions {
    let mut options = StartOptions::live(EngineDirs::under(root), config.clone());
    options.disk_free_min_bytes = 0;
    options
}

/// The table of frames.
pub(crate) struct Table<'a>(pub(crate) &'a [Delivered]);

impl FrameStore for Table<'_> {
    fn after(&mut self, frame_seq: u64) -> Result<Option<(Vec<u8>, Vec<u8>)>, Fault> {
        let at = usize::try_from(frame_seq).unwrap();
        Ok(self.0.get(at).map(|(_, frame, quotes)| (frame.clone(), quotes.clone())))
    }
}

pub(crate) fn start(options: &StartOptions) -> Result<(Session, Started), Fault> {
    Session::start(options, &mut NoStore)
}

/// Feeds frames until one is refused.
pub(crate) fn feed(session: &mut Session, frames: &[Delivered]) -> Result<(), Fault> {
    for (at, (_, frame, quotes)) in frames.iter().enumerate() {
        session.take(frame, quotes)?;
        // Frames of a test come faster than any disk.
        if at % 64 == 63 {
            session.wait()?;
        }
    }
    session.wait()
}

/// A run over all frames from nothing to a clean end.
pub(crate) fn whole_run(root: &Path, config: &EngineConfig, frames: &[Delivered]) {
    let (mut session, _) = start(&options(root, config)).unwrap();
    feed(&mut session, frames).unwrap();
    session.stop().unwrap();
}

/// A start that feeds what is missing after a crash, and a clean end.
pub(crate) fn go_on(
    options: &StartOptions,
    frames: &[Delivered],
    table: &mut dyn FrameStore,
) -> Result<Started, Fault> {
    let options = StartOptions { hooks: Hooks::none(), ..options.clone() };
    let (mut session, started) = Session::start(&options, table)?;
    let last = started.last_tick.unwrap_or(0);
    let rest: Vec<Delivered> = frames.iter().filter(|(tick, ..)| *tick > last).cloned().collect();
    feed(&mut session, &rest)?;
    session.stop()?;
    Ok(started)
}

/// Files under a root by name, without locks, kept cuts and temporary files.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let is_other = ["LOCK", ".cut", ".tmp"].iter().any(|end| name.ends_with(end));
            if !is_other {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The trees agree: logs, journal, streams whole; snapshots where both have them.
pub(crate) fn assert_same(got: &Path, want: &Path, context: &str) {
    let (got, want) = (tree(got), tree(want));
    let names = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| !name.starts_with("snapshots")).cloned().collect()
    };
    assert_eq!(names(&got), names(&want), "{context}");
    for (name, bytes) in &want {
        let found = got.get(name);
        assert!(
            found.is_none_or(|found| found == bytes),
            "{context}: {name} differs ({:?} bytes, {} expected)",
            found.map(Vec::len),
            bytes.len()
        );
    }
}
