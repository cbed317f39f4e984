//! What the engine's files and rows have to be after all kills: what a replay of its journal makes, to the byte.
//!
//! Inputs: directories of a service that has ended, its configuration, its rows. Output: counts of what was
//! compared. The chains of checkpoints are added up here from records and frames alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use penstock_engine::EngineConfig;
use penstock_engine_io::journal::JournalReader;
use penstock_engine_io::log::{LOG_HEADER_LEN, LOG_LEN_MAX, segments};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{CHECKPOINT_TICKS, EngineDirs, stored};
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, Tier};
use penstock_types::frame::sha256;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::PgPool;

/// What was compared.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Judged {
    pub(crate) ticks: u64,
    pub(crate) files: usize,
    pub(crate) snapshots: usize,
    pub(crate) rows: usize,
}

impl Judged {
    pub(crate) fn add(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.files += other.files;
        self.snapshots += other.snapshots;
        self.rows += other.rows;
    }
}

/// Compares everything; `what` is said with a difference.
pub(crate) async fn judge(
    dirs: &EngineDirs,
    config: &EngineConfig,
    pool: &PgPool,
    what: &str,
) -> Judged {
    let again = tempfile::tempdir().unwrap();
    let out = EngineDirs::under(again.path());
    let b = level_b(dirs, config, ReplayStart::Genesis, None, Some(&out)).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None), "{what}: level B");
    let a = level_a(dirs, config, None).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch), (Verdict::Identical, &None), "{what}: level A");
    assert_eq!((a.ticks, &a.state_chain), (b.ticks, &b.state_chain), "{what}: both levels");
    assert!(!dirs.breach().exists(), "{what}: a breach was kept");
    let (files, snapshots) = same_files(dirs, &out, what);
    let rows = same_rows(dirs, &out, config, pool, what).await;
    Judged { ticks: b.ticks, files, snapshots, rows }
}

/// Files of the second run and of the service: logs and streams are the same, and so is every snapshot.
fn same_files(dirs: &EngineDirs, out: &EngineDirs, what: &str) -> (usize, usize) {
    let mut files = 0;
    let pairs = [
        (dirs.log.clone(), out.log.clone()),
        (dirs.alerts.clone(), out.alerts.clone()),
        (dirs.transitions(), out.transitions()),
    ];
    for (got, want) in pairs {
        let (had, wanted) = (names(&got), names(&want));
        assert_eq!(had, wanted, "{what}: files of {}", got.display());
        for name in &wanted {
            let (got, want) = (read(&got.join(name)), read(&want.join(name)));
            assert!(got == want, "{what}: {} differs", name.display());
        }
        files += wanted.len();
    }
    let all = penstock_engine_io::snapshots::ticks(dirs).unwrap();
    let made = penstock_engine_io::snapshots::ticks(out).unwrap();
    assert_eq!(all, made, "{what}: snapshots");
    for tick in &all {
        let (got, want) = (read(&dirs.snapshot(*tick)), read(&out.snapshot(*tick)));
        assert!(got == want, "{what}: the snapshot of tick {tick} differs");
    }
    assert!(!all.is_empty(), "{what}: no snapshot");
    (files, all.len())
}

fn read(path: &Path) -> Vec<u8> {
    stored::read(path, LOG_LEN_MAX).unwrap()
}

/// Files below a directory by the names of their raw form; not what a crash left beside them.
fn names(root: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            let plain = stored::plain_name(name);
            if plain.ends_with(".bin") || plain.ends_with(".jsonl") {
                let path = path.with_file_name(plain);
                names.push(path.strip_prefix(root).unwrap().to_owned());
            } else {
                let is_known = ["LOCK", ".probe"].contains(&plain)
                    || plain.contains(".cut")
                    || plain.ends_with(".zst.tmp");
                assert!(is_known, "{} is left over", path.display());
            }
        }
    }
    names.sort();
    // Raw and compressed for a moment.
    names.dedup();
    names
}

/// Lines of a stream in the order of its days.
fn lines(dir: &Path) -> Vec<String> {
    lines_now(dir).unwrap()
}

/// The same of a stream that is being written; none while a file of it changes its form.
pub(crate) fn lines_now(dir: &Path) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for name in names(dir) {
        let text = String::from_utf8(stored::read(&dir.join(name), LOG_LEN_MAX).ok()?).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    Some(lines)
}

/// Rows of transitions, alerts and checkpoints are those of the second run.
async fn same_rows(
    dirs: &EngineDirs,
    out: &EngineDirs,
    config: &EngineConfig,
    pool: &PgPool,
    what: &str,
) -> usize {
    let mut wanted: Vec<String> =
        lines(&out.transitions()).iter().map(|line| row_of(line).to_string()).collect();
    let rows: Vec<Value> = sqlx::query_scalar(
        "select to_jsonb(t) - 'session_id' - 'created_at' from engine_transitions t",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut had: Vec<String> = rows.iter().map(Value::to_string).collect();
    wanted.sort();
    had.sort();
    assert_eq!(had, wanted, "{what}: rows of transitions");
    let mut count = had.len();

    let mut wanted = lines(&out.alerts);
    let mut had: Vec<String> =
        sqlx::query_scalar("select payload from engine_alerts").fetch_all(pool).await.unwrap();
    wanted.sort();
    had.sort();
    assert_eq!(had, wanted, "{what}: rows of alerts");
    count += had.len();

    let had: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "select tick_id, state_chain, frame_chain from engine_checkpoints order by tick_id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(had, checkpoints(dirs, out, config), "{what}: rows of checkpoints");
    count + had.len()
}

/// The row of a transition's line.
fn row_of(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    let field = |name: &str| line.get(name).cloned().unwrap_or(Value::Null);
    let states = |name: &str| match line["kind"].as_str().unwrap() {
        "token" => word::<FsmState>(&line[name]).code(),
        "cluster" => word::<ClusterState>(&line[name]).code(),
        "phase" => word::<EventPhase>(&line[name]).code(),
        other => panic!("there is no transition of a {other}"),
    };
    let subject = line.get("token_id").unwrap_or(&line["cluster_id"]);
    let tier = line.get("tier").map(|tier| word::<Tier>(tier).code());
    json!({
        "tick_id": field("tick_id"),
        "kind": field("kind"),
        "subject_id": subject,
        "cycle_id": field("cycle_id"),
        "event_id": field("event_id"),
        "from_code": states("from"),
        "to_code": states("to"),
        "edge": field("edge"),
        "pressure": field("pressure"),
        "fragile": field("fragile"),
        "trigger": field("trigger"),
        "unwind": field("unwind"),
        "cost": field("cost"),
        "tier": tier,
        "reason_bits": field("reason_bits"),
    })
}

fn word<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Chains at every checkpoint: records of the second run and frames of the journal added up.
fn checkpoints(
    dirs: &EngineDirs,
    out: &EngineDirs,
    config: &EngineConfig,
) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let mut ticks: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for token in &config.tokens {
        for (day, segment) in segments(out, token.id).unwrap() {
            let bytes = read(&out.log_file(token.id, day, segment));
            for record in bytes[LOG_HEADER_LEN..].chunks(64) {
                let tick = u64::from_le_bytes(*record.first_chunk().unwrap());
                ticks.entry(tick).or_default().extend_from_slice(record);
            }
        }
    }
    let mut frames = BTreeMap::new();
    let mut reader = JournalReader::from_tick(dirs, 0).unwrap();
    while let Some(entry) = reader.next_entry().unwrap() {
        frames.insert(entry.tick(), sha256(&entry.frame));
    }
    let mut state = config.sha256();
    let mut found = Vec::new();
    for (tick, records) in ticks {
        state = sha256(&[&state[..], &records[..]].concat());
        if tick.is_multiple_of(CHECKPOINT_TICKS) {
            let (_, frame) = frames.range(..=tick).next_back().unwrap();
            found.push((i64::try_from(tick).unwrap(), state.to_vec(), frame.to_vec()));
        }
    }
    found
}
