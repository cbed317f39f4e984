//! What must hold when answers are lost, orders refused, processes killed.

use penstock_trading::mode::{CauseCode, Level};

use super::place::until;
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_venue_took_without_an_answer_is_found_and_never_sent_again() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.fault(r#"{"kind":"lost_ack","method":"add_order","count":1}"#);
    world.fault(r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":1500}"#);
    let sent = world.enter(&session, true).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    let orders = world.venue.venue.with(|e, _| e.account().orders().count());
    assert_eq!(orders, 2, "the entry once, its stop once");
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_answer_is_open_when_the_mode_worsens_goes_when_it_is_there() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.fault(r#"{"kind":"lost_ack","method":"add_order","count":1}"#);
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    // when a cause comes while the answer is awaited: nothing can be asked of the order yet
    session.mode.raise(CauseCode::OperatorRequest, Level::Degrade, None);
    // then it is cancelled all the same, and gives everything back
    world.until_word("entry", ENTRY, "canceled").await;
    let open = "select count(*)::text from capital_reservations where released_at is null";
    world.until_word("reservations", open, "0").await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_nobody_knows_is_looked_up_and_the_order_that_stands_is_found() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.fault(
        r#"{"kind":"error","method":"add_order","text":"EOrder:Odd weather","count":1,"executed":true}"#,
    );
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "filled").await;
    world.until_word("plan", PLAN, "armed").await;
    let rejected = "select count(*)::text from execution_orders where state = 'rejected'";
    world.until_word("rejected", rejected, "0").await;
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_end_the_entry_and_give_everything_back() {
    let mut world = World::new().await;
    let session = world.session().await;
    // a listed refusal
    world.fault(
        r#"{"kind":"error","method":"add_order","text":"EOrder:Insufficient funds","count":1}"#,
    );
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "rejected").await;
    let open = "select count(*)::text from capital_reservations where released_at is null";
    world.until_word("reservations", open, "0").await;
    let standby = "select count(*)::text from execution_orders where state = 'created'";
    world.until_word("standby rows", standby, "0").await;
    // a post-only order that would take is cancelled, without a quiet time
    let desk = session.desk.clone();
    until("the symbol is free", || desk.status().busy.is_empty()).await;
    let mut plan = world.plan(&session, true);
    plan.post_only = true;
    plan.tif = penstock_types::vocab::TimeInForce::Gtc;
    let sent = world.enter_with(&session, plan).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("entry", ENTRY, "canceled").await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_is_refused_is_placed_again() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":2}"#);
    world.fill_entry();
    world.until_word("plan", PLAN, "armed").await;
    let refused = "select count(*)::text from execution_orders
        where role = 'protection' and state = 'rejected'";
    world.until_word("refused stops", refused, "2").await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_session_is_taken_over_with_its_position_and_its_stop() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    session.kill().await;
    // when the next session starts, it owns the stop and supersedes the standby rows
    let next = world.session().await;
    world.until_word("plan", PLAN, "armed").await;
    let superseded = "select (count(*) > 0)::text from execution_orders
        where state = 'error' and state_reason = 'superseded'";
    world.until_word("standby rows", superseded, "true").await;
    let orders = world.venue.venue.with(|e, _| e.account().orders().count());
    assert_eq!(orders, 2, "nothing was sent again");
    assert_eq!(next.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    next.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_while_nobody_runs_gets_its_stop_at_the_next_start() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    session.kill().await;
    world.fill_entry();
    let next = world.session().await;
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    world.agrees().await;
    next.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_stream_loses_no_fill() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    // when the stream is cut and the entry fills before it is back
    world.fault(r#"{"kind":"cut","endpoint":"private"}"#);
    world.fill_entry();
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    world.agrees().await;
    session.kill().await;
}
