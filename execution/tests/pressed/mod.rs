//! An evaluation whose trail is full: it waits for room and takes none that is kept for others.
//!
//! Inputs: a writer that cannot write, because a file stands in the place of its directory. Outputs: what waits, and what
//! the files have in the end. Invariants: no time is asserted; the evaluation is shown to wait by what it has not said.

use penstock_audit::{Draft, Redactor};
use penstock_config::table::execution::ConsoleStage;
use penstock_execution::audit::{
    AuditHandle, AuditWriter, Console, Pressure, PressureLimits, WriterParts, run_ended,
};
use penstock_types::vocab::{AuditEventType, StageName};

use super::*;

/// A small queue; its lag does not count.
const LIMITS: PressureLimits =
    PressureLimits { capacity: 64, high_pct: 80, full_pct: 95, lag_ms_max: 600_000 };
/// Looks at an evaluation that has to wait.
const LOOKS: usize = 20;

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn fill() -> Draft {
    Draft::new(StageName::PositionManage, AuditEventType::OrderFill, now_ms())
}

/// A writer of the session's kind whose directory cannot be opened.
fn blocked(rig: &Rig, dir: &Path) -> AuditWriter {
    std::fs::write(dir, "in the way").unwrap();
    let context = &rig.session.context;
    AuditWriter::start(WriterParts {
        dir: dir.to_owned(),
        session_id: context.session_id,
        pool: context.pool.clone(),
        mode: context.mode.clone(),
        redactor: Arc::new(Redactor::default()),
        limits: LIMITS,
        drop_samples: false,
        sync_every: Duration::from_millis(100),
        console: Console::start(ConsoleStage::Off, false, Box::new(std::io::sink())),
        clock: Arc::new(now_ms),
        run_started: Draft::new(StageName::Boot, AuditEventType::RunStarted, now_ms()),
    })
}

async fn full(audit: &AuditHandle) {
    until("the fault", || !audit.is_writing()).await;
    while audit.figures().queue_len < LIMITS.capacity {
        assert!(audit.post(fill()));
    }
    assert_eq!(audit.figures().pressure, Pressure::Full);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_waits_while_only_critical_events_are_taken_and_loses_nothing() {
    let mut rig = Rig::new(false).await;
    rig.market.epoch(1).await.unwrap();
    rig.market.generation(1, PICTURE).await.unwrap();
    // given: a trail that is full to its last place
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let writer = blocked(&rig, &path);
    let audit = writer.handle();
    full(&audit).await;
    let full_len = audit.figures().queue_len;
    // when: an evaluation has something to say
    let context = penstock_execution::context::Context {
        audit: audit.clone(),
        ..rig.session.context.clone()
    };
    let mut evaluator = Evaluator::new(context, Arc::clone(&rig.account));
    let evaluating = tokio::spawn(async move { evaluator.evaluate(Trigger::Generation).await });
    let begun = || async { rig.evaluations().await == 1 };
    while !begun().await {
        tokio::task::yield_now().await;
    }
    // then: its row stands, and it waits without a place of its own in the queue beyond the capacity
    for _ in 0..LOOKS {
        rig.beat.tick().await;
        assert!(!evaluating.is_finished(), "it waits");
        // Mode and pressure have their say; an evaluation that did not wait would have one for each pair, and more.
        let more = audit.figures().queue_len - full_len;
        assert!(more < N, "{more} events more");
    }
    // when: the directory can be written
    std::fs::remove_file(&path).unwrap();
    // then: it ends, and all of it is there
    let done = evaluating.await.unwrap();
    assert!(matches!(done, Evaluated::Done { verdict: Verdict::ModeBlocked, .. }), "{done:?}");
    assert_eq!(audit.figures().lost.count, 0);
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    let text: String = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for (word, count) in [("UNIVERSE_ELIGIBILITY", N), ("FILTERS_REFRESHED", N), ("RANK_TOPN", 1)] {
        let needle = format!("\"event_type\":\"{word}\"");
        assert_eq!(text.matches(&needle).count(), count, "{word}");
    }
}
