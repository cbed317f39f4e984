//! The spool on a real directory: durable order, segments, runs, torn tails, the ring, two holders.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_store::spool::segments::Segments;
use penstock_store::spool::{
    Appended, Overflow, SpoolEvent, SpoolPosition, SpoolSettings, SpoolWriter, StreamCode,
    open_spool, start_writer,
};
use penstock_types::{FencingToken, RunId, Seq, UtcMicros};

const T0: UtcMicros = UtcMicros(1_750_000_000_000_000);

fn settings() -> SpoolSettings {
    SpoolSettings {
        segment_bytes: 4_096,
        free_bytes_min: 0,
        fsync_every: Duration::from_millis(5),
        ..SpoolSettings::raw(FencingToken(3), 1)
    }
}

type Events = Arc<Mutex<Vec<SpoolEvent>>>;

fn start(
    root: &Path,
    settings: SpoolSettings,
    run: i64,
) -> (SpoolWriter, std::thread::JoinHandle<()>, Arc<Segments>, Events) {
    let opened = open_spool(root, settings.token).unwrap();
    let segments = Arc::clone(&opened.own.segments);
    let events: Events = Arc::default();
    let sink = Arc::clone(&events);
    let (writer, thread) =
        start_writer(Arc::clone(&segments), settings, RunId(run), move |event| {
            sink.lock().unwrap().push(event);
        })
        .unwrap();
    // The lock lives as long as the test's directory is used.
    std::mem::forget(opened);
    (writer, thread, segments, events)
}

fn append(writer: &mut SpoolWriter, seq: i64, len: usize) -> Appended {
    let payload = vec![u8::try_from(seq % 251).unwrap(); len];
    writer.append(StreamCode::Trade, Seq(seq), 1, T0, &payload)
}

fn read_all(segments: &Segments, run: i64) -> Vec<(u64, usize)> {
    let mut at = SpoolPosition::start_of(RunId(run));
    let mut all = Vec::new();
    while let Some(batch) = segments.read_batch(at, 7).unwrap() {
        assert!(!batch.records.is_empty(), "a batch makes progress");
        all.extend(batch.records.iter().map(|r| (r.seq, batch.payload(r).len())));
        at = batch.end;
    }
    all
}

#[test]
fn records_come_back_in_order_over_segments_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, thread, segments, _) = start(dir.path(), settings(), 1);
    for seq in 1..=200 {
        assert_eq!(append(&mut writer, seq, 90), Appended::Stored);
    }
    writer.begin_run(RunId(2));
    for seq in 1..=5 {
        append(&mut writer, seq, 10);
    }
    drop(writer);
    thread.join().unwrap();

    let first = read_all(&segments, 1);
    let second = read_all(&segments, 2);

    assert_eq!(first, (1..=200).map(|s| (s, 90)).collect::<Vec<_>>());
    assert_eq!(second, (1..=5).map(|s| (s, 10)).collect::<Vec<_>>());
    assert_eq!(segments.runs(), [RunId(1), RunId(2)]);
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 5);
}

#[tokio::test]
async fn synced_number_is_announced_and_can_be_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let slow = SpoolSettings { fsync_every: Duration::from_secs(3_600), ..settings() };
    let (mut writer, _thread, _segments, _) = start(dir.path(), slow, 1);
    let mut monitor = writer.monitor();
    append(&mut writer, 1, 20);
    append(&mut writer, 2, 20);

    let too_early = monitor.wait_synced(RunId(1), Seq(2), Duration::from_millis(1)).await;
    writer.request_sync();
    let after = monitor.wait_synced(RunId(1), Seq(2), Duration::from_secs(20)).await;

    assert!(!too_early);
    assert!(after);
    assert_eq!(monitor.synced().seq, 2);
}

#[test]
fn restart_finds_every_synced_record_and_cuts_the_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, thread, _segments, _) = start(dir.path(), settings(), 1);
    for seq in 1..=60 {
        append(&mut writer, seq, 100);
    }
    drop(writer);
    thread.join().unwrap();
    let last = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "spl"))
        .max()
        .unwrap();
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() - 3]).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_files(dir.path(), copy.path());

    let opened = open_spool(copy.path(), FencingToken(4)).unwrap();

    let run = &opened.own.runs[0];
    assert_eq!((run.run_id, run.last_seq, run.records), (RunId(1), Some(59), 59));
    assert_eq!(opened.own.damage.len(), 1);
    assert!(opened.own.damage[0].torn_tail);
    assert_eq!(read_all(&opened.own.segments, 1).len(), 59);
    let cut = copy.path().join(last.file_name().unwrap()).with_extension("spl.cut");
    assert_eq!(std::fs::read(cut).unwrap().len(), 121);
}

#[test]
fn damage_in_an_earlier_segment_moves_its_rest_to_bad() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, thread, segments, _) = start(dir.path(), settings(), 1);
    for seq in 1..=60 {
        append(&mut writer, seq, 100);
    }
    drop(writer);
    thread.join().unwrap();
    let path = segments.path(RunId(1), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let records_before = 10;
    bytes[64 + records_before * 124 + 40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_files(dir.path(), copy.path());

    let opened = open_spool(copy.path(), FencingToken(4)).unwrap();

    let damage = &opened.own.damage[0];
    assert!(!damage.torn_tail);
    assert!(copy.path().join("r00000000000000000001-s000001.spl.bad").exists());
    let read = read_all(&opened.own.segments, 1);
    assert_eq!(read.len(), 60 - (32 - records_before));
    assert_eq!(opened.own.runs[0].last_seq, Some(60));
}

/// F11: beside a process that holds the spool the second works in a directory of its own token, and takes
/// over what the first left when that is free.
#[test]
fn f11_own_token_spool_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_spool(dir.path(), FencingToken(1)).unwrap();

    let second = open_spool(dir.path(), FencingToken(2)).unwrap();
    let second_path = second.own.dir.path().to_owned();
    assert!(matches!(&second.busy[..], [busy] if busy.path() == dir.path()));
    assert!(second.busy[0].try_take().unwrap().is_none(), "its holder lives");
    drop(first);
    assert_eq!(second.busy[0].try_take().unwrap().unwrap().dir.path(), dir.path());
    drop(second);
    let third = open_spool(dir.path(), FencingToken(3)).unwrap();

    assert_eq!(second_path, dir.path().join("2"));
    assert_eq!(third.own.dir.path(), dir.path());
    assert_eq!(third.inherited.len(), 1);
    assert_eq!(third.inherited[0].dir.path(), second_path);
}

#[test]
fn ring_that_runs_over_sheds_all_but_status_and_names_the_range() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing is written or synced before the ring is full: the thread wakes at 64 KiB or 20 ms, and
    // the ring is smaller than one record needs.
    let tiny = SpoolSettings { ring_bytes: 100, ..settings() };
    let (mut writer, thread, _segments, _) = start(dir.path(), tiny, 1);

    let shed: Vec<Appended> = (1..=3).map(|seq| append(&mut writer, seq, 200)).collect();
    let status = writer.append(StreamCode::Status, Seq(4), 1, T0, &[1; 200]);
    let ranges = writer.drain_drops();

    assert_eq!(shed, [Appended::Shed; 3]);
    assert_eq!(status, Appended::Stored);
    assert!(writer.shed_in_run());
    assert_eq!(ranges.len(), 1);
    assert_eq!((ranges[0].first_seq, ranges[0].last_seq), (Seq(1), Seq(3)));
    drop(writer);
    thread.join().unwrap();
}

#[test]
fn fill_raises_the_level_and_a_frame_spool_drops_its_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let small = SpoolSettings { bytes_max: 10_000, ring_bytes: 8_192, ..settings() };
    let (mut writer, thread, _segments, events) = start(dir.path(), small.clone(), 1);
    let mut seq = 0;
    let shed = poll(|| {
        seq += 1;
        append(&mut writer, seq, 500) == Appended::Shed
    });
    assert!(shed, "a full spool sheds trades");
    drop(writer);
    thread.join().unwrap();
    assert!(events.lock().unwrap().iter().any(|e| matches!(e, SpoolEvent::Level { .. })));

    let dir = tempfile::tempdir().unwrap();
    let frames = SpoolSettings { overflow: Overflow::DropOldest, ..small };
    let (mut writer, thread, segments, events) = start(dir.path(), frames, 1);
    let mut tick = 0;
    let dropped = poll(|| {
        tick += 1;
        writer.append(StreamCode::Frame, Seq(tick), 1, T0, &[7; 500]);
        events.lock().unwrap().iter().any(|e| matches!(e, SpoolEvent::OldestDropped { .. }))
    });
    assert!(dropped, "the oldest segment goes");
    assert!(!segments.path(RunId(1), 1).exists());
    drop(writer);
    thread.join().unwrap();
}

/// F5: a device that refuses writes. Records wait in memory and are written when it returns.
#[test]
fn f5_spool_bypass_and_device_error() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("spool");
    let quick = SpoolSettings { device_retry: Duration::from_millis(20), ..settings() };
    let (mut writer, thread, segments, events) = start(&root, quick, 1);
    let monitor = writer.monitor();
    append(&mut writer, 1, 100);
    assert!(poll(|| monitor.synced().seq == 1));
    // No segment can be opened while the directory is away.
    let away = dir.path().join("away");
    std::fs::rename(&root, &away).unwrap();
    for seq in 2..=100 {
        assert_eq!(append(&mut writer, seq, 100), Appended::Stored);
    }
    let failed = poll(|| {
        events
            .lock()
            .unwrap()
            .iter()
            .any(|e| matches!(e, SpoolEvent::DeviceError { failed: true, .. }))
    });
    assert!(failed, "the second error is a failure");
    assert!(monitor.failed());

    std::fs::rename(&away, &root).unwrap();

    assert!(poll(|| monitor.synced().seq == 100), "everything is durable again");
    assert!(!monitor.failed());
    assert!(events.lock().unwrap().contains(&SpoolEvent::DeviceRecovered));
    drop(writer);
    thread.join().unwrap();
    let mut seqs: Vec<u64> = read_all(&segments, 1).iter().map(|(seq, _)| *seq).collect();
    seqs.sort_unstable();
    // A record may stand in the closed and in the new segment; the loader skips the second.
    seqs.dedup();
    assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
}

/// Repeats until true, for at most 20 s.
fn poll(mut done: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "spl") {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}
