//! Alerts on a real decision cluster, with receivers that are down, slow and well.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod sink;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_alerts::Metrics;
use penstock_config::{Process, Sources, resolve};
use penstock_execution::alerts::{self, Alerting};
use penstock_execution::attach::{Session, start};
use penstock_execution::context::Context;
use penstock_execution::mode::run_log;
use penstock_execution::settings::{RunMode, Settings};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::vocab::{ReasonCode, Severity, SysMode};
use serde_json::json;
use sink::{Receiver, State};
use sqlx::PgPool;

/// Settings against a test pair; a service beats this often.
fn settings(
    pair: &TestPair,
    state_dir: &std::path::Path,
    sinks: &[&Receiver],
    beat_ms: u32,
) -> Settings {
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        environment.insert(name.to_owned(), value.to_owned());
    };
    set("DECISION_DATABASE_URL", &pair.url(ClusterRole::Decision, "exec_rw"));
    if let [webhook, telegram, pushover] = sinks {
        let at =
            |receiver: &Receiver, path: &str| format!("http://127.0.0.1:{}{path}", receiver.port);
        set("ALERT_WEBHOOK_URL", &at(webhook, "/hook"));
        set("ALERT_WEBHOOK_TOKEN", "bearer-of-the-hook");
        set("ALERT_TELEGRAM_API_URL", &at(telegram, ""));
        set("ALERT_TELEGRAM_CHAT_ID", "4711");
        set("ALERT_TELEGRAM_TOKEN", "12345:abcdefgh");
        set("ALERT_PUSHOVER_API_URL", &at(pushover, ""));
        set("ALERT_PUSHOVER_TOKEN", "app-of-pushover");
        set("ALERT_PUSHOVER_USER", "user-of-pushover");
    }
    let state_dir = state_dir.display();
    let file = format!(
        "domain = \"test\"\nstate_directory = \"{state_dir}\"\nalert_send_timeout_ms = 500\n\
         audit_dir = \"{state_dir}/audit\"\n\
         heartbeat_interval_ms = {beat_ms}\n"
    );
    let sources = Sources {
        process: Process::Execution,
        file: Some(("test.toml".to_owned(), file)),
        environment,
        secret_files: BTreeMap::new(),
    };
    Settings::new(resolve(&sources).unwrap(), RunMode::Attach).unwrap()
}

/// Waits until a number of the database is this, at most half a minute.
async fn reaches(pool: &PgPool, sql: &str, want: i64) {
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    let mut seen = 0;
    for _ in 0..600 {
        beat.tick().await;
        seen = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        if seen == want {
            return;
        }
    }
    panic!("{sql}: {seen}, not {want}");
}

/// Waits until something holds, at most half a minute.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_500 {
        beat.tick().await;
        if holds() {
            return;
        }
    }
    panic!("{what} did not come");
}

/// The next life of the process: the same database and mode, nothing in memory.
async fn again(context: &Context) -> (Context, Alerting) {
    let settings = context.settings.clone();
    let alerts = alerts::alerts_of(&settings.config, &context.mode);
    let context = Context { alerts, ..context.clone() };
    let alerting = alerts::start(&context).await.unwrap();
    (context, alerting)
}

fn tell_many(context: &Context, turns: u32) {
    for turn in 0..turns {
        let symbol = format!("S{}/USD", turn % 10);
        let occurrence = context.alerts.occurrence(ReasonCode::QuoteStale, "quote withdrawn");
        context.alerts.raise(occurrence.of_symbol(&symbol));
    }
}

const LEDGER: &str = "LEDGER_MISMATCH";

/// One receiver is down, one takes a request and never answers, one is well, and thousands of alerts are raised: what
/// raises never waits for any of them, the mode is judged and rows are written meanwhile, repetitions are one message,
/// and after a restart the two that are well again get the critical alert that they have not had, the third does not get
/// it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sink_matrix() {
    // given
    let pair = TestPair::new().await.unwrap();
    let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    let state_dir = tempfile::tempdir().unwrap();
    let webhook = Receiver::start(State::Down).await;
    let telegram = Receiver::start(State::Slow).await;
    let pushover = Receiver::start(State::Well).await;
    let settings = settings(&pair, state_dir.path(), &[&webhook, &telegram, &pushover], 5_000);
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let Session { context, fence: _fence, changes, audit: _audit } =
        start(settings, pool.clone()).await.unwrap();
    let alerting = alerts::start(&context).await.unwrap();
    let (mode, end) = (context.mode.clone(), context.end.clone());
    let watchdog = tokio::spawn(run_log(
        mode,
        changes,
        pool,
        context.session_id,
        std::sync::Arc::default(),
        end,
    ));

    // when: a flood, a critical alert in its midst, and a cause of the mode
    tell_many(&context, 3_000);
    let crit = context.alerts.occurrence(ReasonCode::LedgerMismatch, "position is not its fills");
    context.alerts.raise(crit.with_metrics(Metrics::default().with("position_id", 7)));
    tell_many(&context, 3_000);
    context.mode.raise(CauseCode::DriftLimitExceeded, Level::Pause, Some("51000".to_owned()));

    // then: none of it was lost or held up by a receiver
    assert_eq!(context.mode.current(), SysMode::Pause);
    let modes = "select count(*) from sys_mode_log where mode_to = 'PAUSE'";
    reaches(&owner, modes, 1).await;
    let flood =
        "select coalesce(sum(count), 0)::bigint from alerts where primary_reason = 'QUOTE_STALE'";
    reaches(&owner, flood, 6_000).await;
    let changed = "select count(*) from alerts where primary_reason = 'DRIFT_LIMIT_EXCEEDED'
        and reasons[2] = 'ENTER_PAUSE' and severity = 'CRIT' and sys_mode = 'PAUSE' and count = 1
        and metrics ->> 'drift_limit_exceeded' = '51000'";
    reaches(&owner, changed, 1).await;
    until("the critical alert", || !pushover.taken(LEDGER).is_empty()).await;
    let message = pushover.taken(LEDGER).remove(0);
    assert!(message.head.starts_with("POST /1/messages.json"), "{message:?}");
    assert!(message.body.contains("priority=1") && message.body.contains("user-of-pushover"));
    // The receivers that fail are told of through the one that is well.
    until("word of a receiver that fails", || !pushover.taken("ALERT_SINK_FAILED").is_empty())
        .await;
    for n in 0..10 {
        let name = format!("S{n}%2FUSD");
        assert!(pushover.taken(&format!("QUOTE_STALE+{name}%3A")).len() <= 1, "{name}");
    }
    let once = "select count(*) from alerts
        where primary_reason = 'LEDGER_MISMATCH' and delivered = '{pushover}' and count = 1";
    reaches(&owner, once, 1).await;

    // and when: the process ends and starts again, and the receivers are well
    alerting.finish(&context.alerts, 0, true).await;
    webhook.set(State::Well);
    telegram.set(State::Well);
    let before = pushover.taken(LEDGER).len();
    let (context, alerting) = again(&context).await;

    // then
    until("the webhook's", || !webhook.taken(LEDGER).is_empty()).await;
    until("Telegram's", || !telegram.taken(LEDGER).is_empty()).await;
    let posted = webhook.taken(LEDGER).remove(0);
    assert!(posted.head.to_lowercase().contains("authorization: bearer bearer-of-the-hook"));
    let document = penstock_alerts::Alert::read(posted.body.as_bytes()).unwrap();
    assert_eq!((document.severity, document.count), (Severity::Crit, 1));
    let told = telegram.taken(LEDGER).remove(0);
    assert!(told.head.starts_with("POST /bot12345:abcdefgh/sendMessage"), "{told:?}");
    let all = "select count(*) from alerts where primary_reason = 'LEDGER_MISMATCH'
        and delivered @> '{webhook,telegram,pushover}' and cardinality(delivered) = 3";
    reaches(&owner, all, 1).await;
    assert_eq!(pushover.taken(LEDGER).len(), before, "not twice");

    // and a receiver that sends its caller elsewhere has taken nothing
    webhook.set(State::Redirecting);
    let crit = context.alerts.occurrence(ReasonCode::OrderStateIllegal, "order is alive again");
    context.alerts.raise(crit);
    let others = "select count(*) from alerts where primary_reason = 'ORDER_STATE_ILLEGAL'
        and delivered @> '{telegram,pushover}' and not delivered @> '{webhook}'";
    reaches(&owner, others, 1).await;
    alerting.finish(&context.alerts, 0, true).await;
    context.end.cancel();
    watchdog.await.unwrap();
}

/// Age of a heartbeat in seconds that stays young for the whole test, and of one that is too old at once.
const LIVES: i64 = -3_600;
const KILLED: i64 = 16;
const HOLDER: &str = "00000000-0000-0000-0000-000000000001";

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

async fn say(owner: &PgPool, age_secs: i64, alerts: &serde_json::Value) {
    let sql = "insert into service_heartbeats (service, instance_id, domain, host, pid, started_at,
            ts, status, alerts)
        values ('ingest', $1::uuid, 'test', 'host', 7, now(), now() - $2 * interval '1 second', '{}', $3)
        on conflict (service, instance_id) do update set ts = excluded.ts, alerts = excluded.alerts";
    sqlx::query(sql).bind(HOLDER).bind(age_secs).bind(alerts).execute(owner).await.unwrap();
}

fn entry(reason: &str, severity: &str, count: i64) -> serde_json::Value {
    json!({"v": 1, "reason_code": reason, "reasons": [reason], "severity": severity, "symbol": "",
        "summary": "raw spool 81 %", "count": count, "first_ts_ms": 1_771_243_200_012_i64,
        "last_ts_ms": 1_771_243_200_012_i64 + count, "run_id": 17, "metrics": {"pct": 81}})
}

fn ingest(what: &str) -> String {
    format!("select count(*) from alerts where source = 'ingest' and {what}")
}

/// Each alert of ingest's heartbeat becomes a row and an event of execution's with ingest's name, counts and ends as the
/// row says; a broken entry is dropped and told once; a heartbeat that is too old is an alert, once, and changes no mode.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_by_heartbeat() {
    // given: an ingest that holds its fence and beats, with two alerts and an entry that is none
    let pair = TestPair::new().await.unwrap();
    let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    let state_dir = tempfile::tempdir().unwrap();
    let settings = settings(&pair, state_dir.path(), &[], 1_000);
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let Session { context, fence: _fence, changes: _changes, audit: _audit } =
        start(settings, pool.clone()).await.unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    context.alerts.set_listener({
        let events = Arc::clone(&events);
        move |alert| events.lock().unwrap().push((alert.source, alert.reason_code, alert.count))
    });
    let fence = format!(
        "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
             holder_pid, acquired_at, renewed_at, lease_expires_at)
         values ('ingest', 'test', 1, '{HOLDER}', 'host', 7, now(), now(), now() + interval '1 hour')"
    );
    execute(&owner, &fence).await;
    let alerts = context.alerts.clone();
    let mode = context.mode.view();
    let alerting = alerts::start(&context).await.unwrap();
    let broken = json!({"v": 1, "reason_code": "NO_SUCH_REASON"});
    let two = [entry("SPOOL_BACKLOG", "WARN", 3), entry("RAW_DATA_LOSS", "CRIT", 1)];

    // when
    say(&owner, LIVES, &json!([two[0], two[1], broken])).await;

    // then
    let backlog =
        "primary_reason = 'SPOOL_BACKLOG' and count = 3 and run_id = 17 and cleared_at is null";
    reaches(&owner, &ingest(backlog), 1).await;
    let loss = "primary_reason = 'RAW_DATA_LOSS' and severity = 'CRIT' and cleared_at is null";
    reaches(&owner, &ingest(loss), 1).await;
    let told = "select count(*) from alerts where source = 'execution'
        and primary_reason = 'STRAT_INPUT_INVALID' and count = 1";
    reaches(&owner, told, 1).await;

    // and when: one counts on, one has ended
    say(&owner, LIVES, &json!([entry("SPOOL_BACKLOG", "CRIT", 9)])).await;
    let counted = "primary_reason = 'SPOOL_BACKLOG' and count = 9 and severity = 'CRIT'";
    reaches(&owner, &ingest(counted), 1).await;
    reaches(&owner, &ingest("primary_reason = 'RAW_DATA_LOSS' and cleared_at is not null"), 1)
        .await;

    // and when: it is killed
    say(&owner, KILLED, &json!([entry("SPOOL_BACKLOG", "CRIT", 9)])).await;
    let missing = "select count(*) from alerts where source = 'execution' and severity = 'CRIT'
        and primary_reason = 'INGEST_HEARTBEAT_MISSING' and count = 1 and cleared_at is null";
    reaches(&owner, missing, 1).await;

    // then: each was told as an event, once for each opening and escalation, and the mode is what it was
    alerting.finish(&alerts, 0, true).await;
    let mut events = events.lock().unwrap().clone();
    events.sort_unstable();
    let (own, other) =
        (penstock_alerts::AlertSource::Execution, penstock_alerts::AlertSource::Ingest);
    let mut want = vec![
        (own, ReasonCode::IngestHeartbeatMissing, 1),
        (own, ReasonCode::StratInputInvalid, 1),
        (other, ReasonCode::RawDataLoss, 1),
        (other, ReasonCode::SpoolBacklog, 3),
        (other, ReasonCode::SpoolBacklog, 9),
    ];
    want.sort_unstable();
    assert_eq!(events, want);
    assert_eq!(context.mode.view(), mode);
}
