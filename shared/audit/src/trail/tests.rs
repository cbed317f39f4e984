//! A trail on a disk that runs full, refuses to sync and forgets what it was not made to keep.

use super::*;
use crate::event::Draft;
use crate::redact::Redactor;
use crate::verify::verify_dir;
use penstock_types::Uuid;
use penstock_types::vocab::StageName;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

const DAY_MS: i64 = 86_400_000;
const AT: i64 = 20_500 * DAY_MS + 1_000;

fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x0197_a5c0_0000_7000_8000_0000_0000_0000 + n))
}

fn event(event_type: AuditEventType, ts_ms: i64, key: &str, value: &str) -> Event {
    let draft = Draft::new(StageName::Boot, event_type, ts_ms).with(key, value);
    Event::new(draft, &Redactor::default()).unwrap()
}

fn start(trail: &Trail, ts_ms: i64) -> Event {
    let previous = trail.previous_hash().to_string();
    event(AuditEventType::RunStarted, ts_ms, PREV_SESSION, &previous)
}

fn marker(n: usize, ts_ms: i64) -> Event {
    event(AuditEventType::Marker, ts_ms, "marker", &format!("number {n}"))
}

/// What the disk does next.
#[derive(Default)]
struct Plan {
    room: Option<u64>,
    cut_fails: bool,
    sync_fails: bool,
}

/// A file on that disk: a failed sync leaves of it what an earlier one kept.
struct Fickle {
    file: File,
    kept: Vec<u8>,
    plan: Arc<Mutex<Plan>>,
}

impl Fickle {
    fn content(&self) -> Vec<u8> {
        let len = self.file.metadata().unwrap().len();
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut bytes, 0).unwrap();
        bytes
    }
}

impl Bytes for Fickle {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        let len = u64::try_from(bytes.len()).unwrap();
        let fits = plan.room.map_or(len, |room| room.min(len));
        plan.room = plan.room.map(|room| room - fits);
        let part = &bytes[..usize::try_from(fits).unwrap()];
        std::os::unix::fs::FileExt::write_all_at(&self.file, part, offset)?;
        if fits < len { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        if self.plan.lock().unwrap().cut_fails {
            return Err(io::Error::other("no cut"));
        }
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.plan.lock().unwrap().sync_fails {
            self.file.set_len(0)?;
            std::os::unix::fs::FileExt::write_all_at(&self.file, &self.kept, 0)?;
            return Err(io::Error::other("no sync"));
        }
        self.kept = self.content();
        Ok(())
    }
}

fn open_fickle(dir: &Path, n: u128, plan: &Arc<Mutex<Plan>>) -> Opened {
    let plan = Arc::clone(plan);
    let wrap: Wrap = Box::new(move |file| {
        let mut fickle = Fickle { file, kept: Vec::new(), plan: Arc::clone(&plan) };
        fickle.kept = fickle.content();
        Box::new(fickle)
    });
    Trail::open_with(dir, session(n), wrap).unwrap()
}

/// Everything in the files, one line after the other.
fn lines_in(dir: &Path) -> Vec<Line> {
    let days = crate::reader::days(dir).unwrap();
    let texts = days.values().map(|files| fs::read(files.plain.as_ref().unwrap()).unwrap());
    let all: Vec<u8> = texts.flatten().collect();
    let parts = all.split_inclusive(|b| *b == b'\n');
    parts.map(|line| Line::parse(line.strip_suffix(b"\n").unwrap()).unwrap()).collect()
}

#[test]
fn a_writer_can_be_handed_to_a_thread() {
    const fn is_send<T: Send>() {}
    is_send::<Trail>();
    is_send::<crate::backlog::Backlog>();
}

#[test]
fn a_line_that_did_not_fit_is_cut_and_what_waits_follows() {
    for cut_fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let mut trail = open_fickle(dir.path(), 1, &plan).trail;
        trail.append(&[start(&trail, AT)]).unwrap();
        trail.sync().unwrap();
        let before = fs::read(dir.path().join(Day::of_millis(AT).unwrap().file())).unwrap();
        let waiting = [marker(1, AT), marker(2, AT), marker(3, AT)];

        *plan.lock().unwrap() = Plan { room: Some(700), cut_fails, ..Plan::default() };
        for _ in 0..3 {
            let error = trail.append(&waiting).unwrap_err();
            assert_eq!((error.taken, error.done, trail.last_seq()), (0, Appended::default(), 1));
            assert!(matches!(error.cause, Cause::Storage(_)), "{}", error.cause);
        }
        let torn = fs::read(dir.path().join(Day::of_millis(AT).unwrap().file())).unwrap();
        assert_eq!(torn != before, cut_fails);

        *plan.lock().unwrap() = Plan::default();
        trail.sync().unwrap();
        let mended = fs::read(dir.path().join(Day::of_millis(AT).unwrap().file())).unwrap();
        assert_eq!(mended, before, "what was torn is cut before anything is called synced");
        assert_eq!(trail.append(&waiting).unwrap().lines.len(), 3);
        trail.sync().unwrap();
        let seqs: Vec<i64> = lines_in(dir.path()).iter().map(|line| line.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4]);
        assert!(verify_dir(dir.path()).unwrap().is_sound());
    }
}

#[test]
fn lines_that_a_failed_sync_lost_are_named_and_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Arc::new(Mutex::new(Plan::default()));
    let mut trail = open_fickle(dir.path(), 1, &plan).trail;
    trail.append(&[start(&trail, AT)]).unwrap();
    trail.sync().unwrap();
    trail.append(&[marker(1, AT), marker(2, AT)]).unwrap();
    plan.lock().unwrap().sync_fails = true;
    let error = trail.sync().unwrap_err();
    assert_eq!((error.first_seq, error.last_seq), (2, 3));
    assert_eq!(lines_in(dir.path()).len(), 1, "the disk has forgotten them");
    trail.append(&[marker(3, AT)]).unwrap();
    assert_eq!(trail.unsynced(), Some((2, 4)));
    plan.lock().unwrap().sync_fails = false;
    trail.sync().unwrap();
    assert_eq!(trail.unsynced(), None);
    assert_eq!(lines_in(dir.path()).len(), 4);
    assert!(verify_dir(dir.path()).unwrap().is_sound());
}

#[test]
fn a_batch_over_midnight_says_what_of_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Arc::new(Mutex::new(Plan::default()));
    let mut trail = open_fickle(dir.path(), 1, &plan).trail;
    trail.append(&[start(&trail, AT)]).unwrap();
    let batch = [marker(1, AT), marker(2, AT + DAY_MS), marker(3, AT), marker(4, AT + DAY_MS)];
    let one = u64::try_from(lines_in(dir.path())[0].bytes().len()).unwrap();
    plan.lock().unwrap().room = Some(one);
    let error = trail.append(&batch).unwrap_err();
    assert_eq!((error.taken, error.done.lines.len(), error.done.sealed.len()), (1, 1, 1));
    plan.lock().unwrap().room = None;
    let done = trail.append(&batch[1..]).unwrap();
    assert_eq!((done.lines.len(), done.sealed.len()), (3, 0));
    let mut said = Draft::new(StageName::Boot, AuditEventType::AuditDaySealed, AT + DAY_MS);
    said.data = error.done.sealed[0].data();
    trail.append(&[Event::new(said, &Redactor::default()).unwrap()]).unwrap();
    trail.sync().unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.files, report.lines, report.sessions), (2, 6, 1));
}

proptest! {
    // Each case opens and syncs real files.
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_the_disk_refuses_every_event_is_there_once(
        steps in prop::collection::vec((0_u8..6, 0_u64..2_000, 0_i64..3), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let mut trail = open_fickle(dir.path(), 1, &plan).trail;
        let mut waiting = vec![start(&trail, AT)];
        let (mut written, mut now, mut given) = (Vec::new(), AT, 1);
        let mut put = |trail: &mut Trail, waiting: &mut Vec<Event>, now: i64| {
            let (done, taken) = match trail.append(waiting) {
                Ok(done) => (done, waiting.len()),
                Err(error) => (error.done, error.taken),
            };
            assert_eq!(done.lines.len(), taken);
            written.extend(waiting.drain(..taken));
            for sealed in done.sealed {
                let mut said = Draft::new(StageName::Boot, AuditEventType::AuditDaySealed, now);
                said.data = sealed.data();
                waiting.push(Event::new(said, &Redactor::default()).unwrap());
            }
        };
        for (kind, room, days) in steps {
            match kind {
                0 => *plan.lock().unwrap() = Plan { room: Some(room), ..Plan::default() },
                1 => *plan.lock().unwrap() = Plan { room: Some(room), cut_fails: true, sync_fails: true },
                2 => *plan.lock().unwrap() = Plan::default(),
                3 => drop(trail.sync()),
                4 => now += days * DAY_MS,
                _ => {
                    waiting.push(marker(given, now));
                    given += 1;
                    put(&mut trail, &mut waiting, now);
                }
            }
        }
        *plan.lock().unwrap() = Plan::default();
        while !waiting.is_empty() {
            put(&mut trail, &mut waiting, now);
        }
        prop_assert!(trail.sync().is_ok());
        let lines = lines_in(dir.path());
        let found: Vec<Event> = lines.into_iter().map(|line| line.event).collect();
        prop_assert_eq!(found, written);
        let report = verify_dir(dir.path()).unwrap();
        prop_assert!(report.is_sound(), "{:?}", report.findings);
    }
}
