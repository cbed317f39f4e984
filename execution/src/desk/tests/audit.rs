//! What the desk says in the audit trail over an order's whole life.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use penstock_audit::payload::missing;
use penstock_audit::{Draft, Line, Redactor};
use penstock_config::table::execution::ConsoleStage;
use penstock_trading::mode::Thresholds;
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{SessionId, Uuid};

use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;
use crate::audit::{AuditWriter, Console, PressureLimits, WriterParts, run_ended};

/// A writer of its own, on the database of a world.
fn writer(dir: &std::path::Path, world: &World) -> AuditWriter {
    AuditWriter::start(WriterParts {
        dir: dir.to_owned(),
        session_id: SessionId(Uuid::now_v7()),
        pool: world.pool.clone(),
        mode: crate::mode::ModeHandle::new(super::place::TIMING, Thresholds::default()).0,
        redactor: Arc::new(Redactor::default()),
        limits: PressureLimits { capacity: 1_024, high_pct: 80, full_pct: 95, lag_ms_max: 5_000 },
        drop_samples: false,
        sync_every: Duration::from_millis(100),
        console: Console::start(ConsoleStage::Off, false, Box::new(std::io::sink())),
        run_started: Draft::new(StageName::Boot, AuditEventType::RunStarted, 1_771_243_200_000),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_on_every_line() {
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), &world);
    world.audit = Some(writer.handle());

    // when an entry is filled, protected, and closed
    let session = world.session().await;
    let sent = world.enter(&session, true).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    let status = session.desk.clone();
    super::place::until("flat", || status.status().open_positions == 0).await;
    session.kill().await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;

    // then each step is there, with its ids and its payload
    let lines = lines(dir.path());
    let said: BTreeSet<&str> = lines.iter().map(|l| l.event.event_type().as_str()).collect();
    for wanted in [
        "INTENT_STATE_CHANGED",
        "ORDER_SUBMIT",
        "ORDER_ACK",
        "ORDER_FILL",
        "ORDER_CLOSED",
        "PROTECTION_STATE_CHANGED",
        "POSITION_CHANGED",
        "CLOSE_SAFELY",
    ] {
        assert!(said.contains(wanted), "{wanted} is not among {said:?}");
    }
    lines.iter().for_each(judge);
    // and every state of the rows was said once
    let states = "select count(*)::text from execution_order_events where to_state is distinct from
        from_state";
    let rows: usize = world.word(states).await.parse().unwrap();
    let intents =
        lines.iter().filter(|l| l.event.event_type() == AuditEventType::IntentStateChanged);
    assert_eq!(intents.count(), rows);
}

fn lines(dir: &std::path::Path) -> Vec<Line> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let texts: Vec<String> = texts.collect();
    texts.iter().flat_map(|t| t.lines()).map(|l| Line::parse(l.as_bytes()).unwrap()).collect()
}

/// Ids and payload of a line.
fn judge(line: &Line) {
    let fields = line.event.fields();
    let event_type = line.event.event_type();
    let text = format!("{event_type} seq {}", line.seq);
    assert!(fields.ts_ms > 0 && fields.local_received_ms > 0, "{text}");
    match event_type {
        AuditEventType::IntentStateChanged
        | AuditEventType::OrderSubmit
        | AuditEventType::OrderAmend
        | AuditEventType::OrderCancel
        | AuditEventType::OrderAck
        | AuditEventType::OrderFill
        | AuditEventType::OrderClosed => {
            assert!(fields.order_id.is_some() && fields.symbol.is_some(), "{text}");
        }
        AuditEventType::ProtectionStateChanged
        | AuditEventType::PositionChanged
        | AuditEventType::CloseSafely => {
            assert!(fields.symbol.is_some(), "{text}");
            assert!(fields.data["position_id"].as_i64().unwrap() > 0, "{text}");
        }
        _ => {}
    }
    // The first line is the test's own and states no run.
    if event_type != AuditEventType::RunStarted {
        assert_eq!(missing(event_type, &fields.data), Vec::<&str>::new(), "{text}");
    }
}
