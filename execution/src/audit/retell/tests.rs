//! Telling lost events on a real cluster and a real trail; the test writes the files, so that it holds them up where it
//! wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_audit::{Draft, Event, PREV_SESSION, Redactor, Trail};
use penstock_config::table::execution::ConsoleStage;
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open_lazy};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_trading::mode::{CauseCode, ModeTiming, Thresholds};
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{OrderId, SessionId, Symbol, Uuid};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pause;
use crate::audit::console::Console;
use crate::audit::error::AuditError;
use crate::audit::handle::Shared;
use crate::audit::keeper::Keeper;
use crate::audit::pressure::PressureLimits;
use crate::audit::queue::Waiting;
use crate::mode::{Changes, ModeHandle};

/// Longest wait for what takes seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Longest wait of one look into the queue.
const LOOK: Duration = Duration::from_millis(20);
/// A queue that takes eight events.
const LIMITS: PressureLimits =
    PressureLimits { capacity: 4, high_pct: 80, full_pct: 95, lag_ms_max: 600_000 };

struct World {
    pair: TestPair,
    pool: PgPool,
    shared: Arc<Shared>,
    trail: Trail,
    mode: ModeHandle,
    session: SessionId,
    dir: tempfile::TempDir,
    end: CancellationToken,
    /// When everything happens, however long the test takes to say so.
    at_ms: i64,
    _changes: Changes,
}

impl World {
    async fn new() -> Self {
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
        let session = SessionId(Uuid::now_v7());
        let started =
            "insert into execution_sessions (session_id, domain, mode, fencing_token, host,
                pid, git_commit, git_dirty, config_hash, started_at)
             values ($1, 'test', 'attach', 7, 'host', 1, 'none', false, 'none', now())";
        sqlx::query(started).bind(session.0).execute(&pool).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let timing = ModeTiming { stable_window_ms: 600_000, pause_auto_recover_feed: true };
        let (mode, changes) = ModeHandle::new(timing, Thresholds::default());
        let console = Console::start(ConsoleStage::Off, false, Box::new(std::io::sink()));
        let shared = Arc::new(Shared::new(LIMITS, false, console));
        let mut trail = Trail::open(dir.path(), session).unwrap().trail;
        let (end, at_ms) = (CancellationToken::new(), chrono::Utc::now().timestamp_millis());
        let started = Draft::new(StageName::Boot, AuditEventType::RunStarted, at_ms);
        let started = started.with(PREV_SESSION, trail.previous_hash().to_string());
        trail.append(&[Event::new(started, &Redactor::default()).unwrap()]).unwrap();
        Self { pair, pool, shared, trail, mode, session, dir, end, at_ms, _changes: changes }
    }

    /// An order that was just let out.
    async fn order(&self, id: i64) {
        let order = "insert into execution_orders (order_id, cl_ord_id, session_id, fencing_token, symbol,
                side, role, order_type, tif, qty, state, state_since, created_at, updated_at)
             overriding system value
             values ($1, ('00000000-0000-8000-8000-00000007' || lpad(to_hex($1 & 65535), 4, '0'))::uuid,
                $2, 7, 'BTC/USD', 'buy', 'dust_topup', 'market', 'ioc', 1, 'pending_submit', now(),
                now(), now())";
        sqlx::query(order).bind(id).bind(self.session.0).execute(&self.pool).await.unwrap();
        self.moved(id, 1, None, "pending_submit").await;
    }

    /// A change of its state.
    async fn moved(&self, id: i64, seq: i32, from: Option<&str>, to: &str) {
        let event = "insert into execution_order_events (order_id, event_seq, source, event_type,
                from_state, to_state, ts_local, dedupe_key)
             values ($1, $2, 'local', 'test', $3, $4, to_timestamp($5::float8 / 1000), int4send($2))";
        let asked = sqlx::query(event).bind(id).bind(seq).bind(from).bind(to).bind(self.at_ms);
        asked.execute(&self.pool).await.unwrap();
    }

    /// An event about an order.
    fn of(&self, order: i64, event_type: AuditEventType) -> Draft {
        let draft = Draft::new(StageName::ExecuteIntent, event_type, self.at_ms);
        Draft { order_id: Some(OrderId(order)), symbol: Symbol::new("BTC/USD").ok(), ..draft }
    }

    /// The event of a state.
    fn moved_to(&self, order: i64, state: &str) -> Draft {
        self.of(order, AuditEventType::IntentStateChanged).with("order_state", state)
    }

    /// Fills the queue with what is not lost, then loses an event; what a thread of files would hold is taken out.
    fn lose(&self, kept: Vec<Draft>) -> Vec<Waiting> {
        let mut drafts = kept;
        while drafts.len() < 2 * LIMITS.capacity {
            let noise = Draft::new(StageName::RankTopn, AuditEventType::RankTopn, self.at_ms);
            drafts.push(noise.with("items", serde_json::json!([])).with("config_hash", ""));
        }
        for draft in drafts {
            assert!(self.shared.queue.force(Waiting::new(draft, None)));
        }
        assert!(!self.shared.queue.force(Waiting::new(self.moved_to(1, "pending_submit"), None)));
        self.shared.queue.take(2 * LIMITS.capacity, Duration::ZERO).0
    }

    fn start(&self) -> JoinHandle<()> {
        let dir = self.dir.path().to_owned();
        let (pool, shared) = (self.pool.clone(), Arc::clone(&self.shared));
        let keeper = Keeper::new(pool, shared, dir, self.session, self.mode.clone());
        tokio::spawn(keeper.run(self.end.clone()))
    }

    /// What came into the queue since the last look.
    async fn look(&self) -> Vec<Waiting> {
        let shared = Arc::clone(&self.shared);
        let taken = tokio::task::spawn_blocking(move || shared.queue.take(256, LOOK).0);
        taken.await.unwrap()
    }

    /// As the thread of the files does: line, sync, rows, acknowledgement.
    fn write(&mut self, taken: Vec<Waiting>) {
        let (mut events, mut acks) = (Vec::new(), Vec::new());
        for Waiting { draft, ack, .. } in taken {
            match Event::new(draft, &Redactor::default()) {
                Ok(event) => {
                    events.push(event);
                    acks.extend(ack);
                }
                Err(error) => {
                    let refused =
                        ack.map(|ack| ack.send(Err(AuditError::Refused(error.to_string()))));
                    assert!(refused.is_none_or(|sent| sent.is_ok()));
                }
            }
        }
        if !events.is_empty() {
            let lines = self.trail.append(&events).unwrap().lines;
            self.trail.sync().unwrap();
            self.shared.rows.push(lines);
        }
        for ack in acks {
            ack.send(Ok(())).unwrap();
        }
    }

    /// Writes what comes until the trail says a thing so often.
    async fn write_until(&mut self, event_type: &str, order: i64, times: i64) {
        let started = Instant::now();
        while self.count(event_type, order).await < times {
            assert!(started.elapsed() < LIMIT, "{event_type} of order {order}");
            let taken = self.look().await;
            self.write(taken);
        }
    }

    /// Takes a right of the service, or gives it back.
    async fn may_read_changes(&self, may: bool) {
        let login = self.pair.url(ClusterRole::Decision, SUPERUSER_LOGIN);
        let settings = PoolSettings::service("audit-test", 1);
        let owner = open_lazy(&login, ClusterRole::Decision, &settings).unwrap();
        let text = if may {
            "grant select on penstock.execution_order_events to exec_rw"
        } else {
            "revoke select on penstock.execution_order_events from exec_rw"
        };
        sqlx::query(text).execute(&owner).await.unwrap();
        owner.close().await;
    }

    /// Rows of a type about an order.
    async fn count(&self, event_type: &str, order: i64) -> i64 {
        let asked = "select count(*) from audit_events
             where event_type = $1 and order_intent_id = 'oi_' || $2::bigint";
        let asked = sqlx::query_scalar(asked).bind(event_type).bind(order);
        asked.fetch_one(&self.pool).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_line_is_not_told_a_second_time() {
    // given two orders that were let out, the events of one of them in the hands of the files' thread
    let mut world = World::new().await;
    world.order(1).await;
    world.order(2).await;
    let attempted = world.of(1, AuditEventType::OrderSubmit).with("outcome", "ATTEMPTED");
    let held = world.lose(vec![world.moved_to(1, "pending_submit"), attempted]);
    let keeper = world.start();

    // when the keeper begins to tell what was lost, before they are written
    let started = Instant::now();
    let first = loop {
        let taken = world.look().await;
        if !taken.is_empty() {
            break taken;
        }
        assert!(started.elapsed() < LIMIT, "something is said");
    };
    world.write(held);
    world.write(first);

    // then what was lost is told, and what only waited is there once
    world.write_until("ORDER_SUBMIT", 2, 1).await;
    world.end.cancel();
    keeper.await.unwrap();
    for order in [1, 2] {
        for event_type in ["INTENT_STATE_CHANGED", "ORDER_SUBMIT"] {
            assert_eq!(world.count(event_type, order).await, 1, "{event_type} of {order}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_fails_is_given_up_and_is_no_outage_of_the_cluster() {
    // given a lost event, and a cluster that takes rows and does not answer about changes of orders
    let mut world = World::new().await;
    world.may_read_changes(false).await;
    let held = world.lose(Vec::new());
    let keeper = world.start();
    world.write(held);

    // when it was asked as often as it is
    let given_up =
        "select count(*) from audit_events where data ->> 'marker' = 'AUDIT_EVENTS_UNTOLD'";
    let started = Instant::now();
    loop {
        let taken = world.look().await;
        world.write(taken);
        assert!(!world.mode.is_active(CauseCode::DbUnavailable), "rows are written");
        let said: i64 = sqlx::query_scalar(given_up).fetch_one(&world.pool).await.unwrap();
        if said > 0 {
            break;
        }
        assert!(started.elapsed() < LIMIT, "it is given up");
    }

    // then that is counted, and the next loss is told again
    assert_eq!(world.shared.queue.lost().untold, 1);
    world.may_read_changes(true).await;
    world.order(5).await;
    let held = world.lose(Vec::new());
    world.write(held);
    world.write_until("ORDER_SUBMIT", 5, 1).await;
    world.end.cancel();
    keeper.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_of_event_is_judged_by_itself_and_a_refused_one_costs_no_other() {
    // given an order whose number no event can have, before all others
    let mut world = World::new().await;
    world.order(9_007_199_254_740_993).await;
    // and one whose change of state was said and whose request was not
    world.order(2).await;
    let held = world.lose(vec![world.moved_to(2, "pending_submit")]);
    // and one that the venue took, lost sight of, and had all the time
    world.order(3).await;
    let states =
        ["pending_submit", "acked_open", "suspect", "reconcile_required", "acked_open", "canceled"];
    for (pair, seq) in states.windows(2).zip(2..) {
        world.moved(3, seq, Some(pair[0]), pair[1]).await;
    }
    world.write(held);
    let keeper = world.start();

    // when the last of it is told
    world.write_until("ORDER_CLOSED", 3, 1).await;
    world.end.cancel();
    keeper.await.unwrap();

    // then each thing is said once, and what was refused is counted
    let wanted = [
        ("INTENT_STATE_CHANGED", 2, 1),
        ("ORDER_SUBMIT", 2, 1),
        ("INTENT_STATE_CHANGED", 3, 6),
        ("ORDER_ACK", 3, 1),
        ("ORDER_CLOSED", 3, 1),
    ];
    for (event_type, order, times) in wanted {
        assert_eq!(world.count(event_type, order).await, times, "{event_type} of {order}");
    }
    assert_eq!(world.shared.queue.lost().untold, 2, "a change and a request");
}

#[test]
fn each_pause_is_twice_the_one_before_it_and_there_is_an_end() {
    let pauses: Vec<u64> =
        (1..).map_while(pause).map(|p| u64::try_from(p.as_millis()).unwrap()).collect();
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000]);
}
