//! The audit writer on a real directory and a real decision cluster: pressure, outage, equality of both places,
//! damage. Each test has a directory and a database of its own.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use penstock_audit::{Draft, Line, Redactor, Report};
use penstock_config::table::execution::ConsoleStage;
use penstock_execution::audit::{
    AuditWriter, Console, Pressure, PressureLimits, WriterParts, run_ended,
};
use penstock_execution::mode::{Changes, ModeHandle};
use penstock_ops::verify::audit::judge;
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open_lazy};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_trading::mode::{CauseCode, ModeTiming, Thresholds};
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName, SysMode};
use penstock_types::{EvaluationId, OrderId, SessionId, Symbol, Uuid};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Longest wait for what takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Distance of two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Limits with a small queue.
const LIMITS: PressureLimits =
    PressureLimits { capacity: 64, high_pct: 80, full_pct: 95, lag_ms_max: 600_000 };

struct Place {
    dir: tempfile::TempDir,
    pair: TestPair,
    mode: ModeHandle,
    _changes: Changes,
}

impl Place {
    async fn new() -> Self {
        let timing = ModeTiming { stable_window_ms: 600_000, pause_auto_recover_feed: true };
        let (mode, changes) = ModeHandle::new(timing, Thresholds::default());
        let (dir, pair) = (tempfile::tempdir().unwrap(), TestPair::new().await.unwrap());
        Self { dir, pair, mode, _changes: changes }
    }

    fn trail(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn start(&self) -> AuditWriter {
        self.start_with(LIMITS)
    }

    fn start_with(&self, limits: PressureLimits) -> AuditWriter {
        let settings = PoolSettings::service("audit-test", 2);
        let url = self.pair.url(ClusterRole::Decision, "exec_rw");
        AuditWriter::start(WriterParts {
            dir: self.trail(),
            session_id: SessionId(Uuid::now_v7()),
            pool: open_lazy(&url, ClusterRole::Decision, &settings).unwrap(),
            mode: self.mode.clone(),
            redactor: Arc::new(Redactor::default()),
            limits,
            drop_samples: false,
            sync_every: Duration::from_millis(100),
            console: Console::start(ConsoleStage::Off, false, Box::new(std::io::sink())),
            clock: Arc::new(now_ms),
            run_started: Draft::new(StageName::Boot, AuditEventType::RunStarted, now_ms()),
        })
    }

    async fn reader(&self) -> PgPool {
        self.pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap()
    }

    async fn report(&self) -> Report {
        judge(self.trail(), Some(self.reader().await), None, None).await.unwrap()
    }

    /// The database takes nobody in any more, and throws out who is there.
    async fn shut(&self, is_open: bool) {
        let login = self.pair.url(ClusterRole::Decision, SUPERUSER_LOGIN);
        let name = url::Url::parse(&login).unwrap().path().trim_start_matches('/').to_owned();
        // From a database of the same cluster that is not the one that is shut.
        let elsewhere = login.replace(&format!("/{name}"), "/postgres");
        let settings = PoolSettings::service("audit-test", 1);
        let pool = open_lazy(&elsewhere, ClusterRole::Decision, &settings).unwrap();
        let text = format!("alter database \"{name}\" allow_connections {is_open}");
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&pool).await.unwrap();
        if !is_open {
            let text = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
            sqlx::query(text).bind(&name).execute(&pool).await.unwrap();
        }
        pool.close().await;
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn fill(number: i64) -> Draft {
    let draft = Draft::new(StageName::PositionManage, AuditEventType::OrderFill, now_ms());
    let symbol = Symbol::new("BTC/USD").ok();
    Draft { order_id: Some(OrderId(number)), symbol, ..draft }.with("filled_qty", "0.001")
}

fn ranked(number: i64) -> Draft {
    let draft = Draft::new(StageName::RankTopn, AuditEventType::RankTopn, now_ms());
    Draft { cycle_id: EvaluationId(number), ..draft }.with("items", Value::Array(Vec::new()))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(LOOK);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        looks.tick().await;
    }
}

/// Lines of a directory, in their order.
fn lines(dir: &Path) -> Vec<Line> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let read = |text: String| -> Vec<Line> {
        text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect()
    };
    texts.flat_map(read).collect()
}

fn is_pending(future: &mut std::pin::Pin<Box<impl Future>>) -> bool {
    matches!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_pressure() {
    // given a directory that cannot be written: a file stands in its place
    let place = Place::new().await;
    std::fs::write(place.trail(), "in the way").unwrap();
    let writer = place.start();
    let audit = writer.handle();
    // when nothing can be written, then that alone is a pause
    until("the fault", || !audit.is_writing()).await;
    until("PAUSE", || place.mode.current() == SysMode::Pause).await;
    assert!(place.mode.is_active(CauseCode::AuditChainBroken));
    assert_eq!(audit.figures().pressure, Pressure::Ok);

    // when 80 % of the queue wait, then it is high; at 95 % it is full
    // The stage that the pause entered waits already.
    until("the stage", || audit.figures().queue_len == 1).await;
    for number in 1..=50 {
        assert!(audit.post(fill(number)));
    }
    assert_eq!(audit.figures().pressure, Pressure::Ok);
    audit.post(fill(51));
    assert_eq!(audit.figures().pressure, Pressure::High);
    until("HIGH", || place.mode.is_active(CauseCode::DbWriterQueueHigh)).await;
    // and a producer that can wait does, for a while: there is room, and the pressure does not fall
    let mut slowed = Box::pin(audit.paced(ranked(0)));
    assert!(is_pending(&mut slowed));
    slowed.await;
    assert_eq!(audit.figures().pressure, Pressure::High);
    for number in 52..=63 {
        audit.post(fill(number));
    }
    assert_eq!(audit.figures().pressure, Pressure::Full);
    until("FULL", || place.mode.is_active(CauseCode::DbWriterQueueFull)).await;

    // when it is full, then producers of other lanes wait and critical ones are told nothing yet
    let mut normal = Box::pin(audit.normal(ranked(1)));
    let mut critical = Box::pin(audit.critical(fill(64)));
    assert!(is_pending(&mut normal));
    assert!(is_pending(&mut critical));
    // and who cannot wait is taken in beyond the capacity
    for number in 65..=100 {
        assert!(audit.post(fill(number)));
    }

    // when the directory can be written again, then everything is there, critical events first
    std::fs::remove_file(place.trail()).unwrap();
    critical.await.unwrap();
    normal.await;
    until("OK", || audit.figures().pressure == Pressure::Ok).await;
    until("no cause", || !place.mode.is_active(CauseCode::AuditChainBroken)).await;
    until("not full", || !place.mode.is_active(CauseCode::DbWriterQueueFull)).await;
    assert_eq!(place.mode.current(), SysMode::Pause, "the operator ends it");
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    let lines = lines(&place.trail());
    let mut fills: Vec<i64> = lines
        .iter()
        .filter(|line| line.event.event_type() == AuditEventType::OrderFill)
        .map(|line| line.event.fields().order_id.unwrap().0)
        .collect();
    fills.sort_unstable();
    assert_eq!(fills, (1..=100).collect::<Vec<_>>(), "nothing is lost and nothing twice");
    let said: Vec<&str> = lines
        .iter()
        .filter(|line| line.event.event_type() == AuditEventType::DbWriterBackpressure)
        .map(|line| line.event.fields().data["action"].as_str().unwrap())
        .collect();
    assert!(said.contains(&"DEGRADE") && said.contains(&"PAUSE"), "{said:?}");
    let report = place.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.rows, u64::try_from(lines.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_outage_backfill() {
    let place = Place::new().await;
    let writer = place.start_with(PressureLimits { capacity: 4_096, ..LIMITS });
    let audit = writer.handle();
    for number in 1..=100 {
        audit.critical(fill(number)).await.unwrap();
    }
    until("rows", || audit.figures().lag_ms == 0).await;

    // when the cluster goes away, then the first row that fails degrades and the files go on
    place.shut(false).await;
    for number in 101..=200 {
        audit.critical(fill(number)).await.unwrap();
    }
    until("the cause", || place.mode.is_active(CauseCode::DbUnavailable)).await;
    assert!(audit.is_writing());
    // far more than memory holds
    for number in 201..=5_000 {
        audit.normal(ranked(number)).await;
    }
    audit.critical(fill(5_001)).await.unwrap();
    assert!(audit.figures().lag_ms > 0);

    // when it is back, then every line gets its row, read back from the files
    place.shut(true).await;
    until("the end of the cause", || !place.mode.is_active(CauseCode::DbUnavailable)).await;
    until("rows", || audit.figures().lag_ms == 0).await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    let lines = lines(&place.trail());
    assert!(lines.len() >= 5_003, "{}", lines.len());
    let seqs: Vec<i64> = lines.iter().map(|line| line.seq).collect();
    let last = i64::try_from(lines.len()).unwrap();
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>(), "no hole");
    let report = place.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.rows, u64::try_from(lines.len()).unwrap());

    // and a session that ended without its rows leaves them to the next one
    place.shut(false).await;
    let writer = place.start();
    for number in 1..=300 {
        writer.handle().critical(fill(number)).await.unwrap();
    }
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    place.shut(true).await;
    let writer = place.start();
    let audit = writer.handle();
    audit.critical(fill(1)).await.unwrap();
    until("rows", || audit.figures().lag_ms == 0).await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    let report = place.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.sessions, report.rows), (3, report.lines));
}

/// An event of any type with any content.
fn any_draft(at: usize) -> Draft {
    let event_type = AuditEventType::ALL[at % AuditEventType::ALL.len()];
    // These have their own places, and the writer says them.
    let own = matches!(
        event_type,
        AuditEventType::RunStarted | AuditEventType::RunEnded | AuditEventType::AuditDaySealed
    );
    let event_type = if own { AuditEventType::Marker } else { event_type };
    let stage = StageName::ALL[at % StageName::ALL.len()];
    let mut draft = Draft::new(stage, event_type, now_ms());
    draft.exchange_time_ms = if at.is_multiple_of(2) { 0 } else { now_ms() };
    draft.reasons = ReasonCode::ALL.iter().copied().skip(at).take(at % 4).collect();
    draft.cycle_id = EvaluationId(i64::try_from(at).unwrap());
    draft.symbol = Symbol::new("BTC/USD").ok().filter(|_| at.is_multiple_of(3));
    draft.order_id = Some(OrderId(9_007_199_254_740_991)).filter(|_| at.is_multiple_of(5));
    let text: String = match at % 6 {
        0 => "\u{0}\u{1}\"\\\u{7f}".to_owned(),
        1 => "żółć 價格 \u{1f680}".to_owned(),
        2 => "https://user:pass@example.com/a?b=c".to_owned(),
        3 => "x".repeat(70_000),
        4 => String::new(),
        _ => "{\"a\":[1,2,null]}".to_owned(),
    };
    draft
        .with("text", text)
        .with("numbers", json!([0, -1, 9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64]))
        .with("nested", json!({"z": {"b": true, "a": null}, "\u{0}k": [[], {}]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jsonl_equals_db() {
    let place = Place::new().await;
    let writer = place.start();
    let audit = writer.handle();
    for at in 0..2 * AuditEventType::ALL.len() {
        audit.critical(any_draft(at)).await.unwrap();
    }
    // Beside the running writer what is there so far is equal too, once its rows have come as far as that.
    let until = penstock_audit::LiveEnd::of(&place.trail()).unwrap();
    let end = until.map(|end| (end.session_id, end.seq));
    assert!(end.is_some(), "a writer holds the trail");
    let pool = place.reader().await;
    let (started, mut looks) = (Instant::now(), tokio::time::interval(LOOK));
    loop {
        let last = penstock_store_decision::audit::last_row(&pool).await.unwrap();
        if last.map(|(session, seq, _)| (session, seq)) >= end {
            break;
        }
        assert!(started.elapsed() < LIMIT, "the rows did not come as far as the lines");
        looks.tick().await;
    }
    let report = judge(place.trail(), Some(pool), None, until).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);

    writer.finish(Some(run_ended(0, Duration::ZERO))).await;

    let report = place.report().await;
    assert!(report.is_sound(), "{:?}", report.findings);
    let written = u64::try_from(2 * AuditEventType::ALL.len() + 2).unwrap();
    assert_eq!((report.lines, report.rows), (written, written));
}

/// Types that no part says yet; a type that is said must not stand here.
const NOT_YET: [AuditEventType; 1] = [AuditEventType::BackupDone];

/// Calls that make a draft of the type that stands in them.
const MAKERS: [&str; 5] = ["Draft::new", "event", "about", "draft", "bound"];

/// Sources below a folder, without tests.
fn sources(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_test =
            path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push(text.split("#[cfg(test)]\nmod").next().unwrap_or_default().to_owned());
        }
    }
}

/// A draft of the type is made: its name is an argument of a call that makes one, or one of a pair that such a call or
/// the table of requests takes apart. A comparison, a match and a list make none.
fn is_made(text: &str, event: AuditEventType) -> bool {
    let names = [format!("AuditEventType::{event:?}"), format!("E::{event:?}")];
    let in_call = |at: usize, name: &str| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if after.starts_with(|c: char| c.is_alphanumeric()) || before.ends_with(':') {
            return false;
        }
        let mut depth = 0;
        let open = before.rfind(|c: char| {
            depth += i32::from(c == ')') - i32::from(c == '(');
            depth < 0 || c == ';'
        });
        let Some(head) = open.map(|open| before[..open].trim_end()) else { return false };
        let is_call = MAKERS.iter().any(|maker| {
            let rest = head.strip_suffix(maker);
            rest.is_some_and(|r| !r.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
        });
        let is_pair = head.ends_with("let (stage, event) =") && after.contains("= bound(");
        let is_request = head.ends_with("Some(") && text.contains("const fn request(");
        is_call || is_pair || is_request
    };
    names.iter().any(|name| text.match_indices(name.as_str()).any(|(at, _)| in_call(at, name)))
}

#[test]
fn every_event_type_is_said_by_a_part_of_the_service() {
    let event = AuditEventType::OrderFill;
    for (text, is) in [
        ("let e = about(order, AuditEventType::OrderFill, ts);", true),
        ("Draft::new(stage(a), AuditEventType::OrderFill, 1)", true),
        ("matches!(x, AuditEventType::OrderFill)", false),
        ("\"ORDER_FILL\" => AuditEventType::OrderFill,", false),
        ("if draft.event_type == AuditEventType::OrderFill {}", false),
        ("is_missing(AuditEventType::OrderFill)", false),
        ("about(order, AuditEventType::OrderFilled, ts)", false),
    ] {
        assert_eq!(is_made(text, event), is, "{text}");
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut service, mut tool) = (Vec::new(), Vec::new());
    sources(&own.join("src"), &mut service);
    sources(&own.join("../ops/src"), &mut tool);
    // What the tool tells is said when the service knows the note and a command sends it.
    let is_noted = |event: AuditEventType| {
        let known = format!("\"{event}\" => AuditEventType::{event:?}");
        let sent = format!("\"note\": \"{event}\"");
        service.iter().any(|text| text.contains(&known)) && tool.iter().any(|t| t.contains(&sent))
    };
    // What is told anew from rows must have a part that says it at its time.
    let says = |text: &&String| !text.contains("const REBUILT");
    let is_said =
        |event| is_noted(event) || service.iter().filter(says).any(|text| is_made(text, event));
    let silent: Vec<AuditEventType> =
        AuditEventType::ALL.iter().copied().filter(|event| !is_said(*event)).collect();
    assert_eq!(silent, NOT_YET);
}

fn copy_of(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// One way to damage a file of lines; false when it leaves the file as it was.
fn damage(file: &Path, kind: u8, at: prop::sample::Index, other: prop::sample::Index) -> bool {
    let before = std::fs::read(file).unwrap();
    let mut after = before.clone();
    let mut lines: Vec<Vec<u8>> =
        before.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    match kind {
        0 => {
            let place = at.index(after.len());
            after[place] ^= u8::try_from(1 + other.index(255)).unwrap();
        }
        1 => {
            lines.remove(at.index(lines.len()));
            after = lines.concat();
        }
        2 => {
            let (a, b) = (at.index(lines.len()), other.index(lines.len()));
            lines.swap(a, b);
            after = lines.concat();
        }
        3 => {
            let line = lines[at.index(lines.len())].clone();
            lines.insert(other.index(lines.len() + 1), line);
            after = lines.concat();
        }
        _ => after.truncate(at.index(after.len())),
    }
    std::fs::write(file, &after).unwrap();
    after != before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chain_tamper() {
    // given a trail of two sessions with its rows
    let place = Place::new().await;
    for _ in 0..2 {
        let writer = place.start();
        for number in 1..=10 {
            writer.handle().critical(fill(number)).await.unwrap();
        }
        writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    }
    let report = place.report().await;
    assert!(report.is_sound() && report.lines == 24, "{report:?}");
    let pool = place.reader().await;
    let handle = tokio::runtime::Handle::current();
    // when it is damaged in any way, then the verification names it
    let cases = (0_u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let tried = tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(Config { cases: 256, ..Config::default() });
        runner.run(&cases, |(kind, at, other)| {
            let dir = copy_of(&place.trail());
            let file = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
                .unwrap();
            let is_damaged = damage(&file, kind, at, other);
            let judged = judge(dir.path().to_owned(), Some(pool.clone()), None, None);
            let report = handle.block_on(judged).unwrap();
            prop_assert_eq!(report.is_sound(), !is_damaged, "{:?}", report.findings);
            Ok(())
        })
    });
    tried.await.unwrap().unwrap();
}
