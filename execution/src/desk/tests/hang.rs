//! The decision cluster stands still under an open position: every process of it is stopped, so that
//! connections stay open and nothing is answered. That is an outage like any other, and it must be
//! noticed without the server's help. Each test has a cluster of its own; the venue's own books say what
//! was sent meanwhile.

use penstock_sim::exchange::{Qty, Side as SimSide};
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_trading::mode::CauseCode;

use super::home::Home;
use super::outage::{AHEAD, BASE, ENTRY_UNITS, PREAUTH, STOP_QTY, STOPS_SENT, world};
use super::place::until;
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;
use crate::desk::DeskConfig;

async fn hasty_world() -> World {
    let mut world = world().await;
    world.tune = |config| config.rows_answer_ms_max = DeskConfig::default().rows_answer_ms_max;
    world
}

/// Commits that write orders wait for whoever holds this lock; the server itself ends none of them.
const HOLD_COMMITS: &str = "
    create function hold() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock_shared(42); return null; end';
    create constraint trigger hold after insert on penstock.execution_orders
        deferrable initially deferred for each row execute function hold();
    select pg_advisory_lock(42)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_whose_rows_hang_gets_a_larger_stop_for_a_further_fill() {
    // given a position under its stop, so that the published state is read twice a second
    let mut world = hasty_world().await;
    let session = world.resting_entry().await;
    world.sell_into_bid(AHEAD + 40_000);
    world.until_word("plan", PLAN, "armed").await;
    // when the server hangs in the middle of whatever it was asked, and more is filled
    world.lose_cancels();
    world.own().hang();
    let mode = session.mode.clone();
    until("the outage", || mode.view().reasons.contains(&CauseCode::DbUnavailable)).await;
    world.sell_into_bid(30_000);
    // then the same stop covers it, and the rest of the entry goes, while the server still hangs
    world.until_open("stop", SimSide::Sell, &[Qty(70_000)]).await;
    world.until_open("cancel", SimSide::Buy, &[]).await;
    // and when it goes on, everything is booked once
    world.own().go_on();
    world.until_word("base", BASE, "0.0007").await;
    world.until_word("stop", STOP_QTY, "0.0007").await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(STOPS_SENT).await, "1");
    assert_eq!(world.word(PREAUTH).await, "0", "the stop that stood grew, no other was sent");
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_fill_while_the_server_hangs_gets_its_standby_stop_and_is_booked_once() {
    // given a resting entry
    let mut world = hasty_world().await;
    let session = world.resting_entry().await;
    // when the server hangs and the entry is filled whole
    world.own().hang();
    world.sell_into_bid(AHEAD + ENTRY_UNITS);
    // then its committed standby row protects it
    world.until_open("stop", SimSide::Sell, &[Qty(ENTRY_UNITS)]).await;
    world.own().go_on();
    // and when the server goes on the fill is booked once, under the one stop
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    assert_eq!(world.word(BASE).await, "0.001");
    assert_eq!(world.word(STOP_QTY).await, "0.001");
    assert_eq!(world.word(STOPS_SENT).await, "1", "one stop, the committed one");
    world.agrees().await;
    // and the position closes as any other
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_again_and_again_loses_and_doubles_nothing() {
    // given a resting entry
    let mut world = hasty_world().await;
    let session = world.resting_entry().await;
    world.lose_cancels();
    // when the server hangs three times, and each time a part is filled
    let mut filled = 0;
    for part in [30_000, 20_000, 10_000] {
        world.own().hang();
        let ahead = if filled == 0 { AHEAD } else { 0 };
        filled += part;
        world.sell_into_bid(ahead + part);
        // then the stop covers it before the server goes on
        world.until_open("stop", SimSide::Sell, &[Qty(filled)]).await;
        world.own().go_on();
        world.lose_cancels();
    }
    world.until_word("base", BASE, "0.0006").await;
    world.until_word("stop", STOP_QTY, "0.0006").await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(STOPS_SENT).await, "1");
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_commit_had_no_answer_stands_and_ends_without_a_byte_sent() {
    // given commits that stand still on the server, which gives up on none of them
    let mut world = World::at(Home::Shared(TestPair::new().await.unwrap())).await;
    let patient = PoolSettings {
        lock_timeout_ms: 0,
        statement_timeout_ms: 0,
        ..PoolSettings::service("penstock-test", 4)
    };
    let url = world.home.url("exec_rw");
    world.pool = open(&url, ClusterRole::Decision, &patient, super::LIMIT).await.unwrap();
    // Whatever comes before the commit has time enough, so that it is the commit that has no answer.
    world.tune = |config| config.rows_answer_ms_max = 5_000;
    let session = world.session().await;
    let mut holder = world.home.pool(SUPERUSER_LOGIN).await.acquire().await.unwrap().detach();
    sqlx::raw_sql(HOLD_COMMITS).execute(&mut holder).await.unwrap();
    // when an entry is committed
    let sent = world.enter(&session, false).await;
    // then the desk does not wait for the answer, and says that it failed
    assert!(matches!(sent, EntryOutcome::Failed { .. }), "{sent:?}");
    assert!(session.mode.view().reasons.contains(&CauseCode::DbUnavailable));
    // and when the commit comes about after all, its row ends, and the venue never heard of it
    sqlx::raw_sql("select pg_advisory_unlock(42)").execute(&mut holder).await.unwrap();
    world.until_word("entry", ENTRY, "error").await;
    assert_eq!(world.venue.venue.with(|e, _| e.account().orders().count()), 0);
    // and the symbol is free for the next one
    let mode = session.mode.clone();
    until("NORMAL", || {
        mode.judge();
        mode.current() == penstock_types::vocab::SysMode::Normal
    })
    .await;
    let sent = world.enter(&session, false).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("entry", ENTRY, "acked_open").await;
    assert_eq!(world.venue.venue.with(|e, _| e.account().orders().count()), 1);
    session.kill().await;
}
