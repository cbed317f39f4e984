//! The dead man's switch of the venue: a process that dies leaves its stop there, whatever the mode of the switch.
//!
//! The switch cancels everything a minute after its last renewal, so the world is looked at for longer than that after
//! the kill. The venue's log of requests says what went before the stop on the socket.

use std::time::Duration;

use penstock_sim::ledger::RequestEntry;
use tokio::time::Instant;

use super::process::until;
use super::world::World;

/// Longer than the switch takes to fire after its last renewal.
const FIRED_BY_NOW: Duration = Duration::from_secs(66);
const SWITCH: &str = "cancel_all_orders_after";

fn requests(world: &World) -> Vec<RequestEntry> {
    let mut all = world.venue.venue.requests.all().0;
    all.retain(|r| r.via == "ws");
    all.sort_by_key(|r| r.first_byte_us);
    all
}

fn asked(world: &World) -> usize {
    requests(world).iter().filter(|r| r.method == SWITCH).count()
}

fn open_orders(world: &World) -> usize {
    world.venue.venue.with(|e, _| e.account().open_orders().count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_process_leaves_its_stop_at_the_venue_in_every_mode_of_the_switch() {
    let (never, armed, flat) =
        tokio::join!(with_a_position("never"), with_a_position("flat_only"), flat());
    println!("{never}\n{armed}\n{flat}");
}

async fn with_a_position(mode: &str) -> String {
    let world = World::new().await;
    let mut life = world.execution_with("first", &[("KRAKEN_DMS_MODE", mode.to_owned())]);
    life.until_marker("EXECUTION_ATTACHED").await;
    // what an earlier session may have left is disarmed in both modes
    until("the first word to the switch", || asked(&world) >= 1).await;
    if mode == "flat_only" {
        life.until_marker("DMS_ARMED").await;
    }
    world.heat(true);
    world.until_protected(&life).await;
    world.heat(false);
    let on_the_socket = requests(&world);
    let adds: Vec<usize> =
        (0..on_the_socket.len()).filter(|i| on_the_socket[*i].method == "add_order").collect();
    let stop = adds[1];
    if mode == "flat_only" {
        let before = &on_the_socket[stop - 1];
        assert_eq!(before.method, SWITCH, "directly before the stop: {on_the_socket:?}");
        assert_eq!(before.connection, on_the_socket[stop].connection);
        assert!(!life.markers("DMS_DISARMED").is_empty());
    } else {
        assert_eq!(asked(&world), 1, "never armed");
        assert!(life.markers("DMS_ARMED").is_empty());
    }
    // when it is killed, and more time passes than the switch has
    life.kill().await;
    tokio::time::sleep_until(Instant::now() + FIRED_BY_NOW).await;
    // then the stop stands
    assert_eq!(open_orders(&world), 1, "{mode}: the stop");
    let total = asked(&world);
    format!(
        "{mode}: {total} requests of the switch, the stop stands {FIRED_BY_NOW:?} after the kill"
    )
}

async fn flat() -> String {
    let world = World::new().await;
    let mut life = world.execution_with("first", &[("KRAKEN_DMS_MODE", "flat_only".to_owned())]);
    life.until_marker("DMS_ARMED").await;
    // disarmed as something of before, armed, renewed after twenty seconds
    until("the renewal", || asked(&world) >= 3).await;
    life.kill().await;
    assert_eq!(open_orders(&world), 0);
    format!("flat_only, flat: armed and renewed, {} requests", asked(&world))
}
