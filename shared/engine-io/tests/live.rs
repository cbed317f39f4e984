//! A live engine over its files: it writes what it says, goes on where it stood, and its files prove it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;
#[path = "common/threads.rs"]
mod threads;

use common::*;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{Code, Day, EngineDirs, Mode, StartOptions};

#[test]
fn a_run_over_midnight_is_replayed_from_its_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(1_200);
    let frames = stream(MIDNIGHT - 400, 1_900, |tick| (100..140).contains(&(tick % 1_500)));
    whole_run(dir.path(), &config, &frames);
    let dirs = EngineDirs::under(dir.path());
    let before = tree(dir.path());
    let lines = |stream: &str| {
        let of = |day: &str| before.get(&format!("{stream}/2026-02-{day}.jsonl"));
        let count = |bytes: &Vec<u8>| bytes.iter().filter(|byte| **byte == b'\n').count();
        ["16", "17"].map(|day| of(day).map_or(0, count))
    };
    let [[moves, _], [alerts, more]] = [lines("transitions"), lines("alerts")];
    assert!(moves > 10 && alerts > 5 && more > 0, "{moves} {alerts} {more}");
    assert_eq!(before["log/1/2026-02-16.bin"].len(), 64 + 64 * 400);
    assert_eq!(before["log/3/2026-02-17.bin"].len(), 64 + 64 * 1_500);

    let out = tempfile::tempdir().unwrap();
    let again = EngineDirs::under(out.path());
    let b = level_b(&dirs, &config, ReplayStart::Genesis, None, Some(&again)).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch, b.ticks), (Verdict::Identical, &None, 1_900));
    for (name, bytes) in tree(out.path()) {
        assert!(before[&name] == bytes, "{name} of the second run");
    }
    let a = level_a(&dirs, &config, None).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch, a.ticks), (Verdict::Identical, &None, 1_900));
    assert_eq!((&a.state_chain, &a.alerts_hash), (&b.state_chain, &b.alerts_hash));
    let day = level_a(&dirs, &config, Some(Day::of(MIDNIGHT))).unwrap();
    assert_eq!((day.verdict, &day.first_mismatch, day.ticks), (Verdict::Identical, &None, 1_500));
    let snapshots = penstock_engine_io::snapshots::ticks(&dirs).unwrap();
    for tick in &snapshots {
        let some = level_b(&dirs, &config, ReplayStart::Snapshot(*tick), None, None).unwrap();
        assert_eq!((some.verdict, &some.first_mismatch), (Verdict::Identical, &None), "{tick}");
        assert_eq!(some.state_chain, b.state_chain);
    }
    assert!(snapshots.contains(&(MIDNIGHT - 1)), "the day closes with a snapshot");
    assert!(tree(dir.path()) == before, "a replay changes nothing");
    let json = b.json(std::time::Duration::from_secs(1)).unwrap();
    let text = String::from_utf8(json).unwrap();
    assert!(text.contains("\"verdict\":\"IDENTICAL\"") && text.contains("token_ticks_per_s"));
}

#[test]
fn a_changed_record_is_named_by_tick_token_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(1_200);
    let frames = stream(MIDNIGHT - 3_000, 900, |_| false);
    whole_run(dir.path(), &config, &frames);
    let dirs = EngineDirs::under(dir.path());
    let path = dirs.log_file(2, Day::of(MIDNIGHT - 1), 0);
    let bytes = std::fs::read(&path).unwrap();
    // A wrong state whose CRC is right: no file is damaged, the machine says that it cannot be.
    let mut bad = bytes.clone();
    let at = 64 + 64 * 500;
    bad[at + 12] = if bad[at + 12] == 2 { 3 } else { 2 };
    let crc = penstock_types::frame::crc32c(&bad[at..at + 60]);
    bad[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bad).unwrap();
    for report in [
        level_a(&dirs, &config, None).unwrap(),
        level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap(),
    ] {
        let found = report.first_mismatch.unwrap();
        assert_eq!((found.tick, found.token), (MIDNIGHT - 2_500, Some(2)));
        assert_eq!(found.field, "fsm_state");
        assert_eq!(report.verdict, Verdict::Breach);
    }
    // A damaged byte is no difference but a fault of the file.
    bad[at + 20] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let fault = level_a(&dirs, &config, None).unwrap_err();
    assert_eq!((fault.code, fault.offset), (Code::LogCorrupt, Some(64 + 64 * 500)));
    std::fs::write(&path, &bytes).unwrap();
    let alerts = dirs.alerts_file(Day::of(MIDNIGHT - 1));
    let mut text = std::fs::read(&alerts).unwrap();
    text.extend_from_slice(b"{\"tick_id\":1}\n");
    std::fs::write(&alerts, &text).unwrap();
    for report in [
        level_a(&dirs, &config, None).unwrap(),
        level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap(),
    ] {
        assert_eq!(report.first_mismatch.unwrap().field, "alerts");
    }
}

#[test]
fn an_engine_that_stops_and_starts_writes_what_one_that_never_stopped_writes() {
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(40);
    let frames = stream(MIDNIGHT - 700, 1_000, |tick| tick % 97 == 3);
    whole_run(one.path(), &config, &frames);
    let options = options(many.path(), &config);
    for chunk in frames.chunks(130) {
        let (mut session, started) = start(&options).unwrap();
        assert_eq!(started.rolled_ticks, 0, "a clean end leaves nothing to roll forward");
        feed(&mut session, chunk).unwrap();
        session.stop().unwrap();
    }
    assert_same(many.path(), one.path(), "restarts");
    let report =
        level_b(&EngineDirs::under(many.path()), &config, ReplayStart::Genesis, None, None);
    assert_eq!(report.unwrap().verdict, Verdict::Identical);
}

#[test]
fn what_cannot_be_started_is_refused_with_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(40);
    let frames = stream(MIDNIGHT - 700, 200, |_| false);
    whole_run(dir.path(), &config, &frames);
    let options = options(dir.path(), &config);
    let code = |options: &StartOptions| start(options).err().unwrap().code;
    let (session, _) = start(&options).unwrap();
    assert_eq!(code(&options), Code::EnvLock, "one writer");
    session.stop().unwrap();
    let full = StartOptions { disk_free_min_bytes: u64::MAX, ..options.clone() };
    assert_eq!(code(&full), Code::EnvDisk);
    let mut other = options.clone();
    other.config.stale.book += 1;
    assert_eq!(code(&other), Code::SnapConfig);
    let mut wrong = options.clone();
    wrong.config.warmup_minutes = 99;
    assert_eq!(code(&wrong), Code::CfgRange);
    let replay = StartOptions { mode: Mode::Replay, ..options.clone() };
    assert_eq!(code(&replay), Code::Invariant);
    let newest = penstock_engine_io::snapshots::ticks(&options.dirs).unwrap().pop().unwrap();
    let path = options.dirs.snapshot(newest);
    let bytes = std::fs::read(&path).unwrap();
    let mut bad = bytes.clone();
    bad[700] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    assert_eq!(code(&options), Code::SnapChecksum, "no other is taken in its place");
    let survey = penstock_engine_io::snapshots::survey(&options.dirs, &config).unwrap();
    assert_eq!(survey[0].1.as_ref().err().unwrap().code, Code::SnapChecksum);
    // By hand, an older one by name; and from the first frame.
    let older = survey[1].0;
    assert!(survey[1].1.is_ok());
    std::fs::remove_file(&path).unwrap();
    for options in [
        StartOptions { mode: Mode::SnapshotRecovery, snapshot: Some(older), ..options.clone() },
        StartOptions { mode: Mode::SnapshotRecovery, from_genesis: true, ..options.clone() },
    ] {
        let (mut session, started) = start(&options).unwrap();
        assert_eq!(started.last_tick, Some(MIDNIGHT - 501));
        let (_, frame, quotes) = &frames[0];
        assert_eq!(session.take(frame, quotes).unwrap_err().code, Code::Invariant);
        session.stop().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the fresh snapshot is the lost one");
        std::fs::remove_file(&path).unwrap();
    }
    for tick in penstock_engine_io::snapshots::ticks(&options.dirs).unwrap() {
        std::fs::remove_file(options.dirs.snapshot(tick)).unwrap();
    }
    assert_eq!(code(&options), Code::SnapMissing);
    let cold = StartOptions { is_cold: true, ..options.clone() };
    let (mut session, _) = start(&cold).unwrap();
    let more = stream(MIDNIGHT - 400, 50, |_| false);
    feed(&mut session, &more).unwrap();
    session.stop().unwrap();
    let path = options.dirs.log_file(1, Day::of(MIDNIGHT - 1), 1);
    assert_eq!(std::fs::metadata(path).unwrap().len(), 64 + 50 * 64, "a new segment");
}

#[test]
fn a_frame_that_does_not_follow_stops_the_engine_for_good() {
    let config = config(40);
    let frames = stream(MIDNIGHT - 700, 60, |_| false);
    for (change, code) in [(0_usize, Code::JrnGap), (1, Code::FrameCrc), (2, Code::JrnChain)] {
        let dir = tempfile::tempdir().unwrap();
        let (mut session, _) = start(&options(dir.path(), &config)).unwrap();
        feed(&mut session, &frames[..50]).unwrap();
        assert!(session.take(&frames[10].1, &frames[10].2).unwrap().is_known);
        let (_, mut frame, quotes) = frames[if change == 0 { 51 } else { 50 }].clone();
        match change {
            1 => frame[100] ^= 1,
            2 => {
                frame[50] ^= 1;
                let crc = penstock_types::frame::crc32c(&frame[..92]);
                frame[92..96].copy_from_slice(&crc.to_le_bytes());
            }
            _ => {}
        }
        assert_eq!(session.take(&frame, &quotes).unwrap_err().code, code);
        assert_eq!(session.take(&frames[50].1, &frames[50].2).unwrap_err().code, code);
        assert_eq!(session.engine().unwrap().last_tick(), Some(MIDNIGHT - 651));
        assert_eq!(session.stop().unwrap_err().code, code);
        // A new process goes on.
        go_on(&options(dir.path(), &config), &frames, &mut Table(&frames)).unwrap();
    }
}

#[test]
fn a_block_that_is_no_block_withdraws_every_quote_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(40);
    let mut frames = stream(MIDNIGHT - 700, 20, |_| false);
    frames[5].2[30] ^= 1;
    frames[6].2 = frames[7].2.clone();
    let (mut session, _) = start(&options(dir.path(), &config)).unwrap();
    for (at, (_, frame, quotes)) in frames.iter().enumerate() {
        assert_eq!(session.take(frame, quotes).unwrap().has_quotes, at != 5 && at != 6);
    }
    session.stop().unwrap();
    let dirs = EngineDirs::under(dir.path());
    let mut reader =
        penstock_engine_io::journal::JournalReader::from_tick(&dirs, MIDNIGHT - 700).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(penstock_types::frame::decode_quotes(&entry.quotes).unwrap());
    }
    assert_eq!(entries.len(), 20);
    assert!(entries[5].full && entries[5].entries.is_empty());
    assert!(!entries[8].entries.is_empty());
}
