//! What was damaged and what came of it, for people.
//!
//! Input: changes with their verdicts. Output: a table, a closing line, a verdict. Invariants: a change is named
//! only with a code of its kind's family; one that is not named, or named as something else, is told with file,
//! place and both values, and makes the whole a failure.

use super::flips::{Change, Tree};
use super::kinds::{Judges, Kind};
use penstock_engine_io::{Code, Fault};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// Changes that are told one by one.
const TOLD_MAX: usize = 20;

/// A change that was not named as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missed {
    pub kind: Kind,
    pub path: PathBuf,
    pub change: Change,
    /// What it was called, if anything.
    pub code: Option<Code>,
}

/// A kind of file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    pub files: u64,
    /// Files of which every byte was changed.
    pub every: u64,
    pub bytes: u64,
    /// Changes, those that the whole command judged once more not counted twice.
    pub flips: u64,
    pub named: u64,
    /// Judged by the whole command.
    pub whole: u64,
    pub codes: BTreeMap<Code, u64>,
    pub missed: Vec<Missed>,
}

impl Line {
    /// Counts a change and its verdict.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        path: &Path,
        change: Change,
        judged: Result<(), Fault>,
    ) {
        self.flips += 1;
        if self.judge(kind, path, change, judged.err()) {
            self.named += 1;
        }
    }

    /// Counts the verdict of the whole command on a change that was counted.
    pub(crate) fn judge_whole(
        &mut self,
        kind: Kind,
        path: &Path,
        change: Change,
        fault: Option<Fault>,
    ) {
        self.judge(kind, path, change, fault);
    }

    fn judge(&mut self, kind: Kind, path: &Path, change: Change, fault: Option<Fault>) -> bool {
        let code = fault.map(|fault| fault.code);
        if let Some(code) = code {
            *self.codes.entry(code).or_default() += 1;
        }
        let is_named = code.is_some_and(|code| code.exit() == kind.exit());
        if !is_named {
            let path = path.to_owned();
            self.missed.push(Missed { kind, path, change, code });
        }
        is_named
    }

    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.every += other.every;
        self.bytes += other.bytes;
        self.flips += other.flips;
        self.named += other.named;
        self.whole += other.whole;
        for (code, n) in other.codes {
            *self.codes.entry(code).or_default() += n;
        }
        self.missed.extend(other.missed);
    }
}

/// A folder.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    undamaged: Judges,
    pub lines: BTreeMap<Kind, Line>,
    /// Files that no verification is about.
    pub others: Vec<PathBuf>,
    before: String,
    pub after: String,
    /// Files that are not what they were.
    pub changed: Vec<PathBuf>,
}

impl Report {
    pub(crate) fn of(before: &Tree, undamaged: Judges) -> Self {
        let (before, after) = (before.sha256(), String::new());
        let (lines, others, changed) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { undamaged, lines, others, before, after, changed }
    }

    pub(crate) fn add(&mut self, kind: Kind, line: Line) {
        self.lines.entry(kind).or_default().add(line);
    }

    /// Changes that were not named as they should be.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &Missed> {
        self.lines.values().flat_map(|line| &line.missed)
    }

    /// Every change was named and nothing else changed.
    pub(crate) fn is_clean(&self) -> bool {
        self.missed().next().is_none() && self.changed.is_empty() && self.before == self.after
    }

    fn total(&self) -> Line {
        let mut total = Line::default();
        for line in self.lines.values() {
            total.add(line.clone());
        }
        total
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, line: &Line) -> fmt::Result {
    let codes: Vec<String> =
        line.codes.iter().map(|(code, n)| format!("{} {n}", code.name())).collect();
    writeln!(
        f,
        "{name:<20} {:>6} {:>11} {:>12} {:>9} {:>9} {:>7} {:>9}  {}",
        line.files,
        line.every,
        line.bytes,
        line.flips,
        line.named,
        line.missed.len(),
        line.whole,
        codes.join(", ")
    )
}

fn head(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<20} {:>6} {:>11} {:>12} {:>9} {:>9} {:>7} {:>9}  codes",
        "kind", "files", "every byte", "bytes", "changed", "named", "missed", "by whole"
    )
}

fn told<'a>(f: &mut fmt::Formatter<'_>, missed: impl Iterator<Item = &'a Missed>) -> fmt::Result {
    for missed in missed.take(TOLD_MAX) {
        let called = missed.code.map_or("nothing", Code::name);
        let Change { at, was, now } = missed.change;
        writeln!(
            f,
            "missed: {} byte {at}, {was:#04x} to {now:#04x}: named {called}, due family {}",
            missed.path.display(),
            missed.kind.exit()
        )?;
    }
    Ok(())
}

/// A bundle.
impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f)?;
        row(f, Kind::Bundle.name(), self)?;
        told(f, self.missed.iter())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judges { level_a, level_b, manifests } = &self.undamaged;
        writeln!(
            f,
            "undamaged: level A identical over {} ticks, level B over {} ticks of {} tokens, {manifests} \
             manifests verified",
            level_a.ticks, level_b.ticks, level_b.tokens
        )?;
        head(f)?;
        for (kind, line) in &self.lines {
            row(f, kind.name(), line)?;
        }
        row(f, "all", &self.total())?;
        told(f, self.missed())?;
        for path in &self.others {
            writeln!(f, "no verification is about {}", path.display())?;
        }
        for path in &self.changed {
            writeln!(f, "changed by a verification: {}", path.display())?;
        }
        writeln!(f, "tree before {}", self.before)?;
        write!(f, "tree after  {}", self.after)
    }
}
