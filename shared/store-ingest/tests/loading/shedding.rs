//! F4: a process is killed in the middle of a burst of shedding.
//!
//! The killed process is this test in another process, told by its environment what it is: it writes a spool
//! until that sheds, says what it has shed, and waits for its end with the newest gap row still due.

use crate::rig::{
    RUN, TOKEN, WAIT, append, append_generation, cluster, generation, insert_generation, load_all,
    poll, settings,
};
use penstock_store::raw_rows::GenerationRow;
use penstock_store::samples::{SAMPLE_TIME, sample_derivative, sample_lineage_id, sample_raw};
use penstock_store::spool::loader::{LoadStep, Loader, LoaderSettings};
use penstock_store::spool::{
    Appended, DropRange, FillLevel, SpoolSettings, open_spool, start_writer,
};
use penstock_store_ingest::generations::generations_of_run;
use penstock_store_ingest::runs::{load_cursor, seq_holes};
use penstock_types::raw::{RawBody, RawRow, StatusRow};
use penstock_types::vocab::StatusKind;
use penstock_types::{FencingToken, Seq, UtcMicros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Names the directory of the process that is to be killed.
const VICTIM: &str = "PENSTOCK_TEST_VICTIM";

/// Rows that are shed or stored inside the burst before the kill: nearly three parts of a second.
const BURST_ROWS: i64 = 140;

/// What the killed process knew.
#[derive(Serialize, Deserialize)]
struct Told {
    /// Numbers that it shed.
    shed: BTreeSet<i64>,
    /// Numbers that stood in no gap row yet.
    due: BTreeSet<i64>,
    /// Newest number that was durable.
    last_seq: i64,
    /// Last numbers of its generations, and whether it held them complete.
    generations: Vec<(i64, bool)>,
}

/// A burst has a row each 20 ms.
const fn time_of(seq: i64) -> UtcMicros {
    SAMPLE_TIME.plus_millis(seq * 20)
}

/// Every kind of row; one in twelve is of the order-by-order book.
fn row(seq: i64) -> RawRow {
    let row = if seq % 3 == 0 { sample_derivative(seq) } else { sample_raw(RUN, seq) };
    RawRow { ts_local: time_of(seq), ..row }
}

/// The gap row of a range, as the core writes it.
fn gap_row(seq: i64, range: &DropRange) -> RawRow {
    let body = RawBody::Status(StatusRow {
        lineage_id: sample_lineage_id(RUN),
        venue: None,
        stream: range.stream.as_str().to_owned(),
        conn_id: None,
        kind: StatusKind::RawDrop,
        symbol: None,
        gap_from: Some(range.from),
        gap_to: Some(range.to),
        first_seq: Some(range.first_seq),
        last_seq: Some(range.last_seq),
        detail: "{}".to_owned(),
    });
    RawRow { seq: Seq(seq), ts_local: time_of(seq), body }
}

/// Fills a spool until it sheds, and does not survive that.
async fn be_killed(dir: &Path) {
    let opened = open_spool(&spool_of(dir), TOKEN).unwrap();
    let limits = SpoolSettings { bytes_max: 1 << 20, ..settings() };
    let (mut writer, _thread) =
        start_writer(Arc::clone(&opened.own.segments), limits, RUN, |_| {}).unwrap();
    let mut monitor = writer.monitor();
    let mut told =
        Told { shed: BTreeSet::new(), due: BTreeSet::new(), last_seq: 0, generations: Vec::new() };
    let mut seq = 0;
    let mut in_burst = 0;
    // The newest number is a stored one, and something is due.
    while in_burst < BURST_ROWS || told.shed.contains(&seq) || told.due.is_empty() {
        seq += 1;
        let is_shed = append(&mut writer, &row(seq)) == Appended::Shed;
        if is_shed {
            told.shed.insert(seq);
            told.due.insert(seq);
        }
        if monitor.level() == FillLevel::ShedBulk {
            if in_burst == 0 {
                let before = told.shed.first().map_or(seq, |first| first - 1);
                told.generations.push((before, true));
            }
            in_burst += 1;
        } else if !is_shed && seq % 50 == 0 {
            writer.request_sync();
            assert!(monitor.wait_synced(RUN, Seq(seq), WAIT).await);
        }
        for range in writer.due_drops(time_of(seq)) {
            seq += 1;
            assert_eq!(append(&mut writer, &gap_row(seq, &range)), Appended::Stored);
            told.due.retain(|n| !(range.first_seq.0..=range.last_seq.0).contains(n));
        }
    }
    assert!(writer.shed_in_run());
    told.generations.push((seq, false));
    for (n, (wm_seq, raw_complete)) in (1..).zip(told.generations.iter().copied()) {
        let row = GenerationRow { raw_complete, ..generation(n, wm_seq) };
        append_generation(&mut writer, &row);
    }
    writer.request_sync();
    assert!(monitor.wait_synced(RUN, Seq(seq), WAIT).await);
    told.last_seq = seq;
    let text = serde_json::to_vec(&told).unwrap();
    std::fs::write(dir.join("telling"), text).unwrap();
    std::fs::rename(dir.join("telling"), told_of(dir)).unwrap();
    let spared = tokio::time::timeout(WAIT, std::future::pending::<()>()).await;
    panic!("nobody killed this process: {spared:?}, {writer:?}");
}

fn spool_of(dir: &Path) -> PathBuf {
    dir.join("spool")
}

fn told_of(dir: &Path) -> PathBuf {
    dir.join("told")
}

/// F4: the kill leaves numbers that were shed and stand in no gap row. The successor loads every record
/// once, finds those numbers, and takes `raw_complete` from each generation above the first of them.
#[tokio::test]
async fn f4_kill_inside_a_shedding_burst() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return be_killed(Path::new(&dir)).await;
    }
    // given: a process that was killed inside a burst
    let (_pair, pool) = cluster().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(spool_of(dir.path())).unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shedding::f4_kill_inside_a_shedding_burst"])
        .env(VICTIM, dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    poll("the spool sheds", || told_of(dir.path()).exists()).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    let told: Told = serde_json::from_slice(&std::fs::read(told_of(dir.path())).unwrap()).unwrap();
    assert!(!told.due.is_empty(), "the burst had no end");
    assert!(told.due.len() < told.shed.len(), "parts of it were told before");
    // The newest generation stands, its inputs were never synced.
    insert_generation(&pool, 9, told.last_seq + 5).await;

    // when
    let opened = open_spool(&spool_of(dir.path()), FencingToken(TOKEN.0 + 1)).unwrap();
    let recovered = &opened.own.runs[0];
    let settings = LoaderSettings { rows_max: 500, ..LoaderSettings::default() };
    let segments = Arc::clone(&opened.own.segments);
    let steps = load_all(&mut Loader::new(pool.clone(), segments, None, settings)).await;

    // then
    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!(recovered.last_seq, Some(told.last_seq.unsigned_abs()));
    assert_eq!(closed.last_seq, Seq(told.last_seq));
    assert!(closed.gaps > 0, "the successor explains what was due");
    let cursor = load_cursor(&pool, RUN).await.unwrap().unwrap();
    assert_eq!(cursor.rows_loaded.unsigned_abs(), recovered.records, "each record once");
    let holes = seq_holes(&pool, RUN).await.unwrap();
    assert!(holes.iter().all(|hole| hole.explained), "{holes:?}");
    let missing: BTreeSet<i64> =
        holes.iter().flat_map(|hole| hole.first_missing.0..=hole.last_missing.0).collect();
    assert_eq!(missing, told.shed, "what was shed is missing, and nothing else");
    let complete: Vec<(i64, bool)> = generations_of_run(&pool, RUN)
        .await
        .unwrap()
        .iter()
        .map(|g| (g.wm_seq.0, g.raw_complete))
        .collect();
    let whole = told.generations[0].0;
    // A generation row that comes late carries the newest number of its segment; its own stays in it.
    assert_eq!(complete, [(whole, true), (told.last_seq, false), (told.last_seq + 5, false)]);
}
