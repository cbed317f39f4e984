//! A walk over the lines of the trail in their order: what each says about the one before it.
//!
//! Input: files by day, oldest first; rows of the database where they can be read. Output: findings. Invariants: the
//! first finding of a file is kept and the walk goes on, so that one fault does not hide another file's; behind a line
//! that cannot be read nothing is said about the next one's link.

use crate::database::{DatabaseError, Join};
use crate::day::Day;
use crate::finding::{Finding, What};
use crate::line::{Hash, Line};
use crate::reader::{DayFiles, Lines, Piece};
use penstock_types::SessionId;
use penstock_types::vocab::AuditEventType;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Key of RUN_STARTED's data: hash of the last line of the session before, zeros for the first of all.
pub const PREV_SESSION: &str = "prev_session_last_hash";

/// Key of AUDIT_DAY_SEALED's data: name of the file.
pub(crate) const SEALED_FILE: &str = "file";
/// Its lines.
pub(crate) const SEALED_LINES: &str = "lines";
/// Hash of its last line.
pub(crate) const SEALED_HASH: &str = "last_hash";

/// What was read of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// Ends of lines.
    pub(crate) lines: u64,
    /// Hash of the last line that could be read.
    pub(crate) last_hash: Option<Hash>,
    /// Of every byte, ready to go on.
    pub(crate) sha: Sha256,
}

/// The line before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// There is none: the walk begins with the trail.
    Nothing,
    /// It was not read, or cannot be.
    Unknown,
    Line(Last),
}

/// A line that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) session_id: SessionId,
    pub(crate) seq: i64,
    pub(crate) hash: Hash,
    ended: bool,
}

/// What an AUDIT_DAY_SEALED says.
struct Said {
    file: String,
    line: u64,
    place: (SessionId, i64),
    named: String,
    day: Option<Day>,
    lines: Option<u64>,
    last_hash: Option<Hash>,
}

/// A walk.
pub(crate) struct Walk {
    before: Before,
    begins_after: Option<(String, String)>,
    said: Vec<Said>,
    named: BTreeSet<String>,
    pub(crate) last: Option<Last>,
    pub(crate) seen: BTreeSet<SessionId>,
    pub(crate) summaries: BTreeMap<Day, Summary>,
    pub(crate) lines: u64,
    pub(crate) findings: Vec<Finding>,
}

impl Walk {
    /// A walk from the beginning of the trail, or from a file within it.
    pub(crate) const fn new(from_beginning: bool) -> Self {
        Self {
            before: if from_beginning { Before::Nothing } else { Before::Unknown },
            begins_after: None,
            said: Vec::new(),
            named: BTreeSet::new(),
            last: None,
            seen: BTreeSet::new(),
            summaries: BTreeMap::new(),
            lines: 0,
            findings: Vec::new(),
        }
    }

    /// Reads the file of a day. All but the newest are sealed.
    pub(crate) fn file(
        &mut self,
        day: Day,
        files: &DayFiles,
        is_newest: bool,
        join: &mut Option<Join<'_>>,
    ) -> Result<(), DatabaseError> {
        let name = file_name(files);
        let summary = match Lines::open(files) {
            Ok(Some(lines)) => self.lines_of(day, &name, lines, join)?,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.find(&name, None, None, What::Unreadable(error.to_string()));
                self.before = Before::Unknown;
                return Ok(());
            }
        };
        if summary.lines == 0 && !is_newest {
            self.find(&name, None, None, What::Empty);
        }
        self.judge_seal(day, files, &name, &summary, is_newest);
        self.summaries.insert(day, summary);
        Ok(())
    }

    fn lines_of(
        &mut self,
        day: Day,
        name: &str,
        mut lines: Lines,
        join: &mut Option<Join<'_>>,
    ) -> Result<Summary, DatabaseError> {
        let mut summary = Summary::default();
        loop {
            let at = summary.lines + 1;
            let bytes = match lines.next() {
                Ok(None) => break,
                Ok(Some(Piece::Line(bytes))) => bytes,
                Ok(Some(Piece::TooLong(bytes))) => {
                    let what = crate::line::LineError::TooLong { bytes }.into();
                    self.find(name, Some(at), None, what);
                    self.before = Before::Unknown;
                    summary.lines = at;
                    continue;
                }
                Ok(Some(Piece::Partial(bytes))) => {
                    self.find(name, Some(at), None, What::Partial { bytes });
                    self.before = Before::Unknown;
                    break;
                }
                Err(error) => {
                    self.find(name, Some(at), None, What::Unreadable(error.to_string()));
                    self.before = Before::Unknown;
                    break;
                }
            };
            summary.lines = at;
            self.lines += 1;
            match Line::parse(bytes) {
                Ok(line) => {
                    self.line(day, name, at, &line);
                    summary.last_hash = Some(line.hash);
                    if let Some(join) = join {
                        join.line(&line, name, at)?;
                    }
                }
                Err(error) => {
                    self.find(name, Some(at), None, error.into());
                    self.before = Before::Unknown;
                }
            }
        }
        summary.sha = lines.sha();
        Ok(summary)
    }

    fn line(&mut self, day: Day, name: &str, at: u64, line: &Line) {
        let place = Some((line.session_id, line.seq));
        let found = line.event.day();
        // The first line of a later day begins a file; one that comes late stays in the open one.
        if found > day || (at == 1 && found != day) {
            self.find(name, Some(at), place, What::Day { day, found });
        }
        if let Some(what) = self.judge_link(name, line) {
            self.find(name, Some(at), place, what);
        }
        self.seen.insert(line.session_id);
        let ended = line.event.event_type() == AuditEventType::RunEnded;
        let (session_id, seq, hash) = (line.session_id, line.seq, line.hash);
        let last = Last { session_id, seq, hash, ended };
        self.before = Before::Line(last);
        self.last = Some(last);
        if line.event.event_type() == AuditEventType::AuditDaySealed {
            let data = &line.event.fields().data;
            let text = |key: &str| data.get(key).and_then(|value| value.as_str());
            let named = text(SEALED_FILE).unwrap_or_default().to_owned();
            self.said.push(Said {
                file: name.to_owned(),
                line: at,
                place: (line.session_id, line.seq),
                day: Day::of_file(&named),
                named,
                lines: data.get(SEALED_LINES).and_then(serde_json::Value::as_u64),
                last_hash: text(SEALED_HASH).and_then(Hash::parse),
            });
        }
    }

    fn judge_link(&mut self, name: &str, line: &Line) -> Option<What> {
        let starts = line.event.event_type() == AuditEventType::RunStarted;
        match self.before {
            Before::Line(before) if before.session_id == line.session_id => {
                if before.seq.checked_add(1) != Some(line.seq) {
                    return Some(What::Seq { before: before.seq, found: line.seq });
                }
                if line.prev_hash != before.hash {
                    let (stated, before) = (line.prev_hash, before.hash);
                    return Some(What::Link { stated, before });
                }
                if before.ended {
                    return Some(What::AfterEnd);
                }
                starts.then_some(What::Start)
            }
            Before::Unknown if !starts && line.seq != 1 => None,
            Before::Nothing if !starts && line.seq != 1 => {
                self.begins_after = Some((name.to_owned(), line.prev_hash.to_string()));
                None
            }
            Before::Nothing | Before::Unknown | Before::Line(_) => {
                if !starts || line.seq != 1 || line.prev_hash != Hash::ZERO {
                    return Some(What::Start);
                }
                if self.seen.contains(&line.session_id) {
                    return Some(What::SessionAgain);
                }
                self.judge_session_link(name, line)
            }
        }
    }

    fn judge_session_link(&mut self, name: &str, line: &Line) -> Option<What> {
        let stated = line.event.fields().data.get(PREV_SESSION).and_then(|value| value.as_str());
        let stated = stated.unwrap_or_default().to_owned();
        match self.before {
            Before::Unknown => None,
            Before::Nothing if stated == Hash::ZERO.to_string() => None,
            Before::Nothing => {
                self.begins_after = Some((name.to_owned(), stated));
                None
            }
            Before::Line(before) if stated == before.hash.to_string() => None,
            Before::Line(before) => Some(What::SessionLink { stated, before: before.hash }),
        }
    }

    fn judge_seal(
        &mut self,
        day: Day,
        files: &DayFiles,
        name: &str,
        summary: &Summary,
        is_newest: bool,
    ) {
        let computed = hex::encode(summary.sha.clone().finalize());
        let what = match &files.seal {
            None if is_newest => return,
            None => What::SealMissing,
            Some(path) => match read_seal(path, day) {
                Ok(Some(sealed)) if sealed == computed => return,
                Ok(Some(sealed)) => What::SealDiffers { computed, sealed },
                Ok(None) => What::SealForm,
                Err(error) => What::Unreadable(error.to_string()),
            },
        };
        self.find(name, None, None, what);
    }

    /// The end of a walk from the beginning: what lines say about whole files. True when the beginning is one of the
    /// trail, or a line says what came before.
    pub(crate) fn finish(&mut self, from: Option<Day>) -> bool {
        let oldest = self.summaries.keys().next().copied();
        let mut explained = true;
        if let Some((file, stated)) = self.begins_after.take() {
            let explains = |said: &&Said| {
                said.last_hash.is_some_and(|hash| hash.to_string() == stated)
                    && said.day.is_some_and(|day| oldest.is_some_and(|oldest| day < oldest))
            };
            explained = self.said.iter().any(|said| explains(&said));
            if !explained {
                self.find(&file, Some(1), None, What::BeginsInside { stated });
            }
        }
        let first = match (from, oldest) {
            (Some(from), Some(oldest)) => Some(from.min(oldest)),
            (Some(day), None) | (None, Some(day)) => Some(day),
            (None, None) => None,
        };
        for said in std::mem::take(&mut self.said) {
            let what = match said.day.and_then(|day| self.summaries.get(&day)) {
                // A file that is named itself is the one that was changed.
                Some(_) if self.is_named(&said.named) => None,
                Some(found) => said_otherwise(&said, found),
                None => {
                    let expected = said.day.is_none_or(|day| first.is_none_or(|f| day >= f));
                    expected.then(|| What::SealedMissing { file: said.named.clone() })
                }
            };
            if let Some(what) = what {
                self.find(&said.file, Some(said.line), Some(said.place), what);
            }
        }
        explained
    }

    /// Days that a line says were sealed.
    pub(crate) fn said_days(&self) -> BTreeSet<Day> {
        self.said.iter().filter_map(|said| said.day).collect()
    }

    /// A file has a finding.
    pub(crate) fn is_named(&self, file: &str) -> bool {
        self.named.contains(file)
    }

    /// Keeps the first finding of a file.
    pub(crate) fn find(
        &mut self,
        file: &str,
        line: Option<u64>,
        place: Option<(SessionId, i64)>,
        what: What,
    ) {
        if self.named.insert(file.to_owned()) {
            self.findings.push(Finding { file: file.to_owned(), line, place, what });
        }
    }
}

fn said_otherwise(said: &Said, found: &Summary) -> Option<What> {
    if said.lines == Some(found.lines) && said.last_hash == found.last_hash {
        return None;
    }
    let text = |lines: Option<u64>, hash: Option<Hash>| {
        let lines = lines.map_or("no number of".to_owned(), |lines| lines.to_string());
        let hash = hash.map_or("no last hash".to_owned(), |hash| hash.to_string());
        format!("{lines} lines, {hash}")
    };
    let found = text(Some(found.lines), found.last_hash);
    Some(What::SealedOtherwise { said: text(said.lines, said.last_hash), found })
}

/// Name of the file of a day that is read.
pub(crate) fn file_name(files: &DayFiles) -> String {
    let path = files.plain.as_ref().or(files.compressed.as_ref()).or(files.seal.as_ref());
    let name = path.and_then(|path| path.file_name());
    name.map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

/// The text of a seal, as `sha256sum --check` reads it.
pub(crate) fn seal_text(day: Day, sha256: &str) -> String {
    format!("{sha256}  {}\n", day.file())
}

/// The hash in a seal; none when it has another form.
pub(crate) fn read_seal(path: &Path, day: Day) -> std::io::Result<Option<String>> {
    let text = std::fs::read(path)?;
    let text = String::from_utf8(text).unwrap_or_default();
    let hash = text.get(..64).filter(|hash| crate::event::is_hex64(hash));
    Ok(hash.filter(|hash| seal_text(day, hash) == text).map(str::to_owned))
}
