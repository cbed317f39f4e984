//! What the desk says in the audit trail over an order's whole life.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use penstock_audit::payload::missing;
use penstock_audit::{Draft, Line, Redactor};
use penstock_config::table::execution::ConsoleStage;
use penstock_store::testing::SUPERUSER_LOGIN;
use penstock_trading::mode::Thresholds;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_types::{SessionId, Uuid};

use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;
use crate::audit::{AuditWriter, Console, PressureLimits, WriterParts, run_ended};

/// A writer of its own, on the database of a world.
fn writer(dir: &std::path::Path, world: &World, capacity: usize) -> AuditWriter {
    AuditWriter::start(WriterParts {
        dir: dir.to_owned(),
        session_id: SessionId(Uuid::now_v7()),
        pool: world.pool.clone(),
        mode: crate::mode::ModeHandle::new(super::place::TIMING, Thresholds::default()).0,
        redactor: Arc::new(Redactor::default()),
        limits: PressureLimits { capacity, high_pct: 80, full_pct: 95, lag_ms_max: 5_000 },
        drop_samples: false,
        sync_every: Duration::from_millis(100),
        console: Console::start(ConsoleStage::Off, false, Box::new(std::io::sink())),
        clock: Arc::new(|| chrono::Utc::now().timestamp_millis()),
        run_started: Draft::new(StageName::Boot, AuditEventType::RunStarted, 1_771_243_200_000),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_on_every_line() {
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), &world, 1_024);
    world.audit = Some(writer.handle());

    // when an entry is filled, protected, and closed
    live_through(&mut world).await;
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
    // and every order that was sent says the hash that its event has
    let mut hashes = BTreeSet::new();
    for line in lines.iter().filter(|l| l.event.event_type() == AuditEventType::OrderSubmit) {
        let order = line.event.fields().order_id.unwrap();
        let hash = line.event.fields().data["payload_hash"].as_str().unwrap().to_owned();
        let asked = "select coalesce(max(payload ->> 'intent_hash'), '')
            from execution_order_events where order_id = $1";
        let stored: String =
            sqlx::query_scalar(asked).bind(order.0).fetch_one(&world.pool).await.unwrap();
        assert_eq!(stored, hash);
        // A row in stock that was never let out has none.
        let was_out = line.event.fields().data["outcome"] != "NOT_ATTEMPTED";
        assert_eq!(hash.len(), if was_out { 64 } else { 0 }, "order {order}");
        hashes.insert((order, hash));
    }
    let different: BTreeSet<&str> =
        hashes.iter().map(|(_, hash)| hash.as_str()).filter(|h| !h.is_empty()).collect();
    assert_eq!(different.len(), 3, "entry, stop and close: {hashes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_the_pairs_rules_reads_them_again_and_says_what_came_of_it() {
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), &world, 1_024);
    world.audit = Some(writer.handle());
    let session = world.session().await;
    // when the rules have changed behind us, and when they have not
    let login = penstock_store::testing::SUPERUSER_LOGIN;
    let owner = world.home.pool(login).await;
    sqlx::query("update instruments set content_hash = 'y'").execute(&owner).await.unwrap();
    for refusals in ["1", "2"] {
        let error =
            r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":1}"#;
        world.fault(error);
        let desk = session.desk.clone();
        super::place::until("the symbol is free", || desk.status().busy.is_empty()).await;
        assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
        let rejected = "select count(*)::text from execution_orders where state = 'rejected'";
        world.until_word("refusals", rejected, refusals).await;
    }
    // The cause is written behind what is said of the rules.
    let cause = "select count(*)::text from symbol_safety_state where cause = 'submit_error'";
    world.until_word("exit only", cause, "1").await;
    let desk = session.desk.clone();
    super::place::until("the end of it", || desk.status().busy.is_empty()).await;
    session.kill().await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;
    // then both are in the trail, the one as new rules, the other as a fault of our own
    let lines = lines(dir.path());
    let of_rules =
        lines.iter().filter(|l| l.event.event_type() == AuditEventType::FiltersRefreshed);
    let said: Vec<(String, &[ReasonCode])> = of_rules
        .map(|line| {
            judge(line);
            let fields = line.event.fields();
            let text = |key: &str| fields.data[key].as_str().unwrap();
            let words = format!("{} {} {}", text("old_hash"), text("new_hash"), text("cause"));
            (words, fields.reasons.as_slice())
        })
        .collect();
    let wanted: [(String, &[ReasonCode]); 2] = [
        ("x y REJECT".to_owned(), &[ReasonCode::FiltersRefreshed]),
        ("y y REJECT".to_owned(), &[ReasonCode::FiltersDriftDetected]),
    ];
    assert_eq!(said, wanted);
}

/// An entry that is filled, protected, and closed on request.
async fn live_through(world: &mut World) {
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_in_the_trail_once_its_answer_stands_with_who_gave_it() {
    // given a command, and a table that takes no answer and counts the attempts
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let writer = writer(dir.path(), &world, 1_024);
    world.audit = Some(writer.handle());
    let owner = world.home.pool(SUPERUSER_LOGIN).await;
    let refuses = "set search_path = penstock;
        create sequence attempts;
        grant select on attempts to exec_rw;
        create function refuse() returns trigger language plpgsql security definer as
            'begin perform nextval(''penstock.attempts''); raise exception ''no answer''; end';
        create trigger refuses before update on control_requests
            for each row execute function refuse();
        insert into control_requests (kind, args, requested_by) values ('flatten', '{}', 'alice')";
    sqlx::raw_sql(refuses).execute(&owner).await.unwrap();
    let session = world.session().await;

    // when the desk tried more than once, and then may answer
    let attempts = "select (last_value >= 2)::text from penstock.attempts";
    world.until_word("a second attempt", attempts, "true").await;
    sqlx::raw_sql("drop trigger refuses on penstock.control_requests")
        .execute(&owner)
        .await
        .unwrap();
    let answered = "select (applied_at is not null)::text from control_requests";
    world.until_word("the answer", answered, "true").await;
    session.kill().await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;

    // then it is said once
    let lines = lines(dir.path());
    let of = |line: &&Line| line.event.event_type() == AuditEventType::OperatorCommand;
    let said: Vec<&Line> = lines.iter().filter(of).collect();
    assert_eq!(said.len(), 1);
    let data = &said[0].event.fields().data;
    assert_eq!((&data["command"], &data["operator"]), (&"flatten".into(), &"alice".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_found_no_room_is_told_from_the_rows() {
    // given a directory that cannot be written, and a queue that is short
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("audit");
    std::fs::write(&trail, "in the way").unwrap();
    let writer = writer(&trail, &world, 4);
    let audit = writer.handle();
    world.audit = Some(audit.clone());

    // when more happens than twice the queue holds
    live_through(&mut world).await;
    let lost = audit.figures().lost;
    assert!(lost.count > 0 && lost.first_ms > 0 && lost.last_ms >= lost.first_ms, "{lost:?}");

    // and there is room again
    std::fs::remove_file(&trail).unwrap();
    let missing_states = "select count(*)::text from execution_order_events e
        where to_state is distinct from from_state and not exists (select 1 from audit_events a
            where a.event_type = 'INTENT_STATE_CHANGED' and a.order_intent_id = 'oi_' || e.order_id
                and a.data ->> 'order_state' = e.to_state)";
    world.until_word("events of every state", missing_states, "0").await;
    let missing_fills = "select count(*)::text from execution_order_events e
        where exec_id is not null and not exists (select 1 from audit_events a
            where a.event_type = 'ORDER_FILL' and a.order_intent_id = 'oi_' || e.order_id)";
    world.until_word("events of every fill", missing_fills, "0").await;
    super::place::until("rows", || audit.figures().lag_ms == 0).await;
    writer.finish(Some(run_ended(0, Duration::ZERO))).await;

    // then every state is there, once, those that were lost with where they come from
    let lines = lines(&trail);
    lines.iter().for_each(judge);
    let rebuilt = lines.iter().filter(|l| l.event.fields().data.contains_key("rebuilt_from"));
    assert!(rebuilt.count() > 0);
    let mut states: Vec<(i64, String)> = lines
        .iter()
        .filter(|l| l.event.event_type() == AuditEventType::IntentStateChanged)
        .map(|l| l.event.fields())
        .map(|f| (f.order_id.unwrap().0, f.data["order_state"].as_str().unwrap().to_owned()))
        .collect();
    let count = states.len();
    states.sort();
    states.dedup();
    assert_eq!(states.len(), count, "none twice");
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
