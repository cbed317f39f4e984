//! A trail of three days and three sessions, and the rows that a database would have of it.

use penstock_audit::database::{Database, DatabaseError, Row, Told};
use penstock_audit::{Day, Draft, Event, Line, PREV_SESSION, Redactor, Sealed, Trail};
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{SessionId, Uuid};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) const DAY_MS: i64 = 86_400_000;
/// Noon of the first day.
pub(crate) const NOON: i64 = 20_500 * DAY_MS + DAY_MS / 2;

pub(crate) fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x0197_a5c0_0000_7000_8000_0000_0000_0000 + n))
}

pub(crate) fn day(ts_ms: i64) -> Day {
    Day::of_millis(ts_ms).unwrap()
}

pub(crate) fn event(draft: Draft) -> Event {
    Event::new(draft, &Redactor::default()).unwrap()
}

pub(crate) fn marker(n: usize, ts_ms: i64) -> Event {
    let draft = Draft::new(StageName::PositionManage, AuditEventType::Marker, ts_ms);
    event(draft.with("marker", "EXAMPLE").with("number", n))
}

pub(crate) fn started(trail: &Trail, ts_ms: i64) -> Event {
    let previous = trail.previous_hash().to_string();
    let draft = Draft::new(StageName::Boot, AuditEventType::RunStarted, ts_ms);
    event(draft.with(PREV_SESSION, previous))
}

pub(crate) fn ended(ts_ms: i64) -> Event {
    event(Draft::new(StageName::Shutdown, AuditEventType::RunEnded, ts_ms).with("exit_code", 0))
}

pub(crate) fn said(sealed: &Sealed, ts_ms: i64) -> Event {
    let draft = Draft::new(StageName::Boot, AuditEventType::AuditDaySealed, ts_ms);
    event(Draft { data: sealed.data(), ..draft })
}

/// Appends one event, and what must be said of a day that it ended.
pub(crate) fn put(trail: &mut Trail, event: Event, ts_ms: i64) {
    let done = trail.append(&[event]).unwrap();
    for sealed in done.sealed {
        let done = trail.append(&[said(&sealed, ts_ms)]).unwrap();
        assert_eq!(done.lines.len(), 1);
    }
}

/// Three days: the first session within a day, the second over midnight without an end, the third over the next.
pub(crate) fn example(dir: &Path) {
    let mut number = 0;
    let mut run = |n: u128, times: &[i64], ends: bool| {
        let opened = Trail::open(dir, session(n)).unwrap();
        assert!(opened.findings.is_empty(), "{:?}", opened.findings);
        let mut trail = opened.trail;
        let first = started(&trail, times[0]);
        put(&mut trail, first, times[0]);
        for ts_ms in times {
            number += 1;
            put(&mut trail, marker(number, *ts_ms), *ts_ms);
        }
        if ends {
            put(&mut trail, ended(times[times.len() - 1]), times[times.len() - 1]);
        }
        trail.sync().unwrap();
    };
    let (one, two, three) = (NOON, NOON + DAY_MS, NOON + 2 * DAY_MS);
    run(1, &[one, one + 1, one + 2], true);
    run(2, &[one + 3, one + 4, two, two + 1], false);
    run(3, &[two + 2, two + 3, three, three + 1, three + 2], false);
}

/// The files of a directory by name, but for the lock.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name != "audit.lock")
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

pub(crate) fn write_files(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Lines of a file, each with its newline.
pub(crate) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

pub(crate) fn parse(line: &[u8]) -> Line {
    Line::parse(line.strip_suffix(b"\n").unwrap()).unwrap()
}

/// Rows by session and number, with the day of each.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) rows: BTreeMap<(SessionId, i64), (Day, Row)>,
    at: Option<(SessionId, i64)>,
}

impl Rows {
    pub(crate) fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut rows = BTreeMap::new();
        for (_, bytes) in files.iter().filter(|(name, _)| name.ends_with(".jsonl")) {
            for line in split(bytes).iter().map(|line| parse(line)) {
                let row = Row {
                    seq: line.seq,
                    line_hash: line.hash,
                    told: Told::Event(Box::new(line.event.clone())),
                };
                rows.insert((line.session_id, line.seq), (line.event.day(), row));
            }
        }
        Self { rows, at: None }
    }
}

impl Database for Rows {
    fn sessions(&mut self) -> Result<Vec<(SessionId, Day)>, DatabaseError> {
        let mut last = BTreeMap::new();
        for ((session, _), (day, _)) in &self.rows {
            last.insert(*session, *day);
        }
        Ok(last.into_iter().collect())
    }

    fn seek(&mut self, session_id: SessionId) -> Result<(), DatabaseError> {
        self.at = Some((session_id, 0));
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<Row>, DatabaseError> {
        let (session, seq) = self.at.ok_or(DatabaseError("no session".to_owned()))?;
        let next = self.rows.range((session, seq + 1)..=(session, i64::MAX)).next();
        let Some((key, (_, row))) = next else { return Ok(None) };
        self.at = Some(*key);
        Ok(Some(row.clone()))
    }
}
