//! Closes without the decision cluster, by the row in stock, and what of them the next process knows.

use penstock_sim::account::OrderKind;
use penstock_sim::exchange::Side as SimSide;

use super::outage::{BASE, PREAUTH, world};
use super::place::until;
use super::{PLAN, POSITION, World};
use crate::account::EntryOutcome;

const EXITS: &str = "select string_agg(state, ' ' order by order_id) from execution_orders
    where role = 'exit' and state not in ('created', 'error')";
const REASON: &str = "select trigger_reason from exit_plans";
const SOURCES: &str = "select string_agg(e.event_type || ' ' || e.source, ', ' order by e.event_id)
    from execution_order_events e join execution_orders o using (order_id)
    where o.role = 'exit' and e.event_type in ('preauth_sent', 'fill')";
const DONE: &str = "select result from control_requests where kind = 'flatten'";

impl World {
    /// Sells at market that the venue carried out.
    fn sales(&self) -> usize {
        self.venue.venue.with(|e, _| {
            let orders = e.account().orders();
            orders.filter(|o| o.side == SimSide::Sell && o.kind == OrderKind::Market).count()
        })
    }

    fn request_file(&self, name: &str) -> std::path::PathBuf {
        self.state.path().join(name)
    }

    /// What `penstock flatten --offline` leaves behind.
    fn ask_by_file(&self) {
        let at = penstock_types::UtcMicros::from(chrono::Utc::now()).0;
        let text = format!(r#"{{"symbol":null,"by":"test","at":{at}}}"#);
        std::fs::write(self.request_file("flatten.request"), text).unwrap();
    }

    /// Whether a record of the spool has this text.
    fn is_on_disk(&self, text: &str) -> bool {
        let inside = |path: &std::path::Path| {
            let read = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&read).contains(text)
        };
        let files = std::fs::read_dir(self.state.path().join("exec")).unwrap();
        let mut paths: Vec<_> = files.map(|f| f.unwrap().path()).collect();
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                paths.extend(std::fs::read_dir(path).unwrap().map(|f| f.unwrap().path()));
            } else if inside(&path) {
                return true;
            }
        }
        false
    }

    async fn until_answered(&self) -> String {
        until("the answer of the file", || self.request_file("flatten.done").exists()).await;
        std::fs::read_to_string(self.request_file("flatten.done")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_by_file_closes_while_the_cluster_is_away_and_the_rows_follow() {
    // given a position under its stop
    let mut world = world().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    // when the cluster is killed and the operator asks by file
    world.own().kill().await;
    world.ask_by_file();
    let answer = world.until_answered().await;
    assert!(answer.contains("closing 1 positions"), "{answer}");
    assert!(!world.request_file("flatten.request").exists());
    // then the stop goes, the row in stock sells once, and nothing rests
    until("the sale", || world.sales() == 1).await;
    world.until_open("stop", SimSide::Sell, &[]).await;
    // and when the cluster is back the position is closed for this reason, once
    world.revive().await;
    world.until_word("position", POSITION, "closed").await;
    world.until_word("exit", EXITS, "filled").await;
    assert_eq!(world.word(REASON).await, "operator");
    assert_eq!(world.word(PREAUTH).await, "1");
    assert_eq!(world.sales(), 1);
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_without_the_cluster_outlives_the_process_that_sent_it() {
    // given a position that was sold without the cluster
    let mut world = world().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.own().kill().await;
    world.ask_by_file();
    until("the sale", || world.sales() == 1).await;
    until("its report on the disk", || world.is_on_disk(r#"exec_type\":\"filled"#)).await;
    // when the process dies before the cluster is back
    session.kill().await;
    world.revive().await;
    let next = world.session().await;
    // then its successor knows what went out and what came of it, and sells nothing more
    world.until_word("position", POSITION, "closed").await;
    world.until_word("exit", EXITS, "filled").await;
    assert_eq!(
        world.word(SOURCES).await,
        "preauth_sent local, fill ws_executions",
        "from the disk"
    );
    assert_eq!(world.word(REASON).await, "operator");
    assert_eq!(world.word(BASE).await, "0");
    assert_eq!(world.sales(), 1);
    world.agrees().await;
    next.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_decided_before_the_outage_goes_on_in_it() {
    // given a close whose stop is cancelled while the cluster dies
    let mut world = world().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.fault(r#"{"kind":"lost_ack","method":"cancel_order","count":1}"#);
    world.fault(r#"{"kind":"executions","action":"delay","count":1,"delay_ms":1500}"#);
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("plan", PLAN, "triggered").await;
    world.own().kill().await;
    // then it is sold without a write, once
    until("the sale", || world.sales() == 1).await;
    world.revive().await;
    world.until_word("position", POSITION, "closed").await;
    world.until_word("exit", EXITS, "filled").await;
    assert_eq!(world.word(PREAUTH).await, "1", "sent without a write");
    assert_eq!(world.sales(), 1);
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_by_row_is_answered_when_its_close_is_committed() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    sqlx::raw_sql(
        "insert into control_requests (kind, args, requested_by) values ('flatten', '{}', 'test')",
    )
    .execute(&world.home.pool("ops_rw").await)
    .await
    .unwrap();
    world.until_word("answer", DONE, "closing 1 positions").await;
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    session.kill().await;
}
