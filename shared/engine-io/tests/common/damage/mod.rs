//! Damage, one byte at a time: is every changed byte named, and with the code of its kind?
//!
//! Input: a copy of an engine's folder, how many bytes of each file are changed, a seed. Output: per kind of file
//! what was changed, what was named and with which codes, and what was not. Invariants: one byte differs at a
//! time and is put back; a changed byte is judged by the verification that the commands call; the folder is the
//! same before and after, so nothing that verifies writes.

pub(crate) mod flips;
pub(crate) mod kinds;
pub(crate) mod report;
pub(crate) mod synthetic;

use flips::{Change, Open, Tree, offsets};
use kinds::{Found, Kind, Light, whole};
use penstock_engine_io::{Code, Fault};
use report::{Line, Report};
use std::path::Path;

/// How much is damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Bytes of a file that are changed; all of them when it has no more.
    pub per_file: usize,
    /// Most bytes of a manifest, a key or a compressed file of which every one is changed.
    pub every_len_max: u64,
    /// Changes of a file that are judged by the whole command too.
    pub whole: usize,
    /// Bytes of a stream or a configuration that are changed: nothing lighter than the whole command reads them.
    pub streams: usize,
    /// Where offsets and values come from.
    pub seed: u64,
}

impl Plan {
    fn bytes_of(&self, kind: Kind, len: u64) -> usize {
        let all = usize::try_from(len).unwrap_or(usize::MAX);
        match kind {
            Kind::Log | Kind::Frames | Kind::Quotes | Kind::Snapshot => self.per_file,
            Kind::Alerts | Kind::Transitions | Kind::Config => self.streams,
            Kind::Manifest | Kind::Key | Kind::Packed | Kind::Bundle => {
                if len <= self.every_len_max { all } else { self.per_file }
            }
        }
    }
}

/// Damages every file below `root`, which is changed and put back; `only` names the kinds.
pub(crate) fn run(root: &Path, plan: &Plan, only: &[Kind]) -> Result<Report, Fault> {
    let before = Tree::of(root)?;
    let undamaged = whole(root)?;
    let mut report = Report::of(&before, undamaged);
    for found in kinds::files(root)? {
        let Found { kind: Some(kind), path } = found else {
            report.others.push(found.path);
            continue;
        };
        if only.contains(&kind) {
            file(root, kind, &path, plan, &mut report)?;
        }
    }
    let after = Tree::of(root)?;
    report.changed = before.differs(&after);
    report.after = after.sha256();
    Ok(report)
}

fn file(
    root: &Path,
    kind: Kind,
    path: &Path,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Fault> {
    let mut open = Open::new(&root.join(path))?;
    let light = Light::new(root, kind, path)?;
    light.judge(0)?;
    let due = plan.bytes_of(kind, open.len());
    let name = path.to_string_lossy();
    let changes = offsets(open.len(), due, plan.seed, &name);
    let every = u64::from(u64::try_from(changes.len()) == Ok(open.len()));
    let mut line = Line { files: 1, every, bytes: open.len(), ..Line::default() };
    for (nth, at) in changes.into_iter().enumerate() {
        let change = open.damage(at, plan.seed, &name)?;
        line.take(kind, path, change, light.judge(at));
        if light.has_whole() && nth < plan.whole {
            line.whole += 1;
            line.judge_whole(kind, path, change, whole(root).err());
        }
        open.mend(change)?;
    }
    // What verified would have been written by now.
    light.judge(0)?;
    report.add(kind, line);
    Ok(())
}

/// Damages every byte of a bundle in memory; those that its index alone cannot know are judged as a file.
pub(crate) fn bundle(path: &Path, scratch: &Path, plan: &Plan) -> Result<Line, Fault> {
    use penstock_engine_io::bundle::{check_bundle, verify_bundle};
    let storage = |error: &std::io::Error| {
        Fault::new(Code::Storage, format!("failed to write a bundle: {error}"))
    };
    let mut bytes = penstock_engine_io::files::read(path, u64::MAX - 1)?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let places = offsets(len, plan.bytes_of(Kind::Bundle, len), plan.seed, &name);
    let every = u64::from(u64::try_from(places.len()) == Ok(len));
    let mut line = Line { files: 1, every, bytes: len, ..Line::default() };
    let mut nth = 0_u64;
    for at in places {
        let place = usize::try_from(at).unwrap_or(0);
        let Some(byte) = bytes.get_mut(place) else { continue };
        let change = Change::of(at, *byte, plan.seed, &name);
        *byte = change.now;
        let judged = match check_bundle(path, bytes.as_slice()) {
            Err(fault) => Err(fault),
            Ok(_) => {
                nth += 1;
                line.whole += 1;
                let dir = scratch.join(nth.to_string());
                std::fs::create_dir_all(&dir).map_err(|error| storage(&error))?;
                let copy = dir.join("bundle.tar");
                std::fs::write(&copy, &bytes).map_err(|error| storage(&error))?;
                verify_bundle(&copy, &dir.join("files")).map(|_| ())
            }
        };
        line.take(Kind::Bundle, Path::new(&name), change, judged);
        if let Some(byte) = bytes.get_mut(place) {
            *byte = change.was;
        }
    }
    Ok(line)
}
