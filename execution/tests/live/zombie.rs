//! The holder of the fence is stopped (SIGSTOP) for longer than its lease, a second instance takes over by the
//! lease, works, and the first goes on (SIGCONT): it ends with exit 75 and the venue hears nothing of it.
//!
//! Three moments of the stop: an entry is committed and not sent; a raise is committed and not sent; nothing
//! happens, with a position. Each with the second instance on the same state directory and on another one. While the
//! first goes on, the second is stopped itself: whatever reaches the venue then is the first one's.

use std::collections::BTreeSet;
use std::time::Duration;

use penstock_execution::desk::failpoints::{AFTER_COMMIT_BEFORE_SEND, AFTER_RAISE_BEFORE_AMEND};
use penstock_sim::ledger::RequestEntry;
use tokio::time::Instant;

use super::process::{Execution, until};
use super::world::World;

/// How long the first one is stopped at least: four leases.
const STOPPED: Duration = Duration::from_secs(60);
/// What a stopped process has handed to the kernel arrives within this.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

const TOKENS: &str = "select string_agg(distinct fencing_token::text, ',') from execution_orders
    where state <> 'created'";
const CLOSED: &str = "select count(*)::text from positions where status = 'closed'";
const ACQUIRED_US: &str = "select (extract(epoch from acquired_at) * 1000000)::bigint::text
    from service_fences where service = 'execution'";
const TOKEN: &str = "select fencing_token::text from service_fences where service = 'execution'";
const FIRST_ORDERS: &str = "select string_agg(role || ' ' || state, ', ' order by role, state)
    from execution_orders where fencing_token = 1 and state not in ('created', 'error')";

/// When the first one is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Between the commit of an entry and its first byte.
    EntryInHand,
    /// Between the commit of a raise and its amend.
    AmendDecided,
    /// With a position under its stop, and nothing to do.
    Idle,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_holder_that_slept_beyond_its_lease_sends_nothing_and_ends() {
    let moments = [Moment::EntryInHand, Moment::AmendDecided, Moment::Idle];
    let cases: Vec<(Moment, bool)> =
        moments.into_iter().flat_map(|moment| [(moment, false), (moment, true)]).collect();
    let runs: Vec<_> = cases.iter().map(|(m, apart)| tokio::spawn(sleeper(*m, *apart))).collect();
    let (mut failed, mut worlds) = (Vec::new(), Vec::new());
    for (case, run) in cases.iter().zip(runs) {
        // What failed has said so above.
        match run.await {
            Ok((said, world)) => {
                println!("{said}");
                // Its database would wait for the processes that are stopped in the other worlds.
                worlds.push(world);
            }
            Err(_) => failed.push(*case),
        }
    }
    assert!(failed.is_empty(), "did not hold: {failed:?}");
}

async fn sleeper(moment: Moment, apart: bool) -> (String, World) {
    // given a holder that is stopped at its moment
    let world = World::new().await;
    let mut first = put_to_sleep(&world, moment).await;
    let slept = Instant::now();
    let connections = connections_of(&requests(&world));

    // when the second one takes the fence by the lease, reconciles and sends orders of its own
    let mut second = successor(&world, apart);
    let acquired = second.until_marker("FENCE_ACQUIRED").await;
    let taken_after = slept.elapsed();
    assert_eq!(acquired["via"], "lease", "{acquired}");
    second.until_marker("RECONCILE_COMPLETE").await;
    work(&world, &mut second, moment).await;
    let own = world.word(TOKENS).await;
    assert!(own.split(',').any(|token| token == "2"), "tokens of its orders: {own:?}");
    tokio::time::sleep_until(slept + STOPPED).await;

    // and the first goes on, alone in the world
    second.sleep().await;
    tokio::time::sleep_until(Instant::now() + ON_ITS_WAY).await;
    let before = requests(&world).len();
    let slept_for = slept.elapsed();
    let awake = Instant::now();
    first.go_on();
    let status = first.ended().await;
    let ended_after = awake.elapsed();
    tokio::time::sleep_until(Instant::now() + ON_ITS_WAY).await;

    // then it has ended as fenced out, and nothing of it reached the venue
    assert_eq!(status.code(), Some(75), "{status} {}", first.last_words());
    let all = requests(&world);
    let after: Vec<&RequestEntry> = all[before..].iter().collect();
    assert!(after.is_empty(), "{moment:?} {apart}: sent after its sleep: {after:?}");
    let acquired_us: i64 = world.word(ACQUIRED_US).await.parse().unwrap();
    assert_eq!(world.word(TOKEN).await, "2");
    let late = |r: &&RequestEntry| {
        r.first_byte_us >= acquired_us && connections.contains(&(r.via, r.connection))
    };
    let stale: Vec<&RequestEntry> = all.iter().filter(late).collect();
    assert!(stale.is_empty(), "{moment:?} {apart}: older session's connections: {stale:?}");

    // and the second goes on from where it was
    second.go_on();
    finish(&world, &mut second, moment).await;
    let orders = |r: &&RequestEntry| r.method == "add_order" && r.first_byte_us >= acquired_us;
    let said = format!(
        "{moment:?}, {}: stopped {:.1} s, fence taken after {:.1} s, {} orders of the second, first ended 75 after \
         {:.1} s, requests of the first after the newer fence: 0 of {}",
        if apart { "another state directory" } else { "the same state directory" },
        slept_for.as_secs_f64(),
        taken_after.as_secs_f64(),
        all.iter().filter(orders).count(),
        ended_after.as_secs_f64(),
        all.len(),
    );
    (said, world)
}

async fn put_to_sleep(world: &World, moment: Moment) -> Execution {
    let point = match moment {
        Moment::EntryInHand => Some(AFTER_COMMIT_BEFORE_SEND),
        Moment::AmendDecided => Some(AFTER_RAISE_BEFORE_AMEND),
        Moment::Idle => None,
    };
    let point = point.map(|name| format!("{name}=1*return(stop)"));
    let mut first = world.execution("first", point.as_deref());
    first.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    match moment {
        Moment::EntryInHand => {}
        Moment::AmendDecided => {
            world.until_protected(&first).await;
            world.heat(false);
            world.rise(400);
        }
        Moment::Idle => {
            world.until_protected(&first).await;
            world.heat(false);
            first.sleep().await;
        }
    }
    until("the stop", || first.sleeps()).await;
    first
}

fn successor(world: &World, apart: bool) -> Execution {
    let elsewhere = |name: &str| world.directory.path().join(name).display().to_string();
    // The trail has one writer, and a stopped process still is it: on its root a second one may not enter.
    let mut more = vec![("PENSTOCK_DATA", elsewhere("data-of-the-second"))];
    if apart {
        more.push(("STATE_DIRECTORY", elsewhere("state-of-the-second")));
    }
    world.execution_with("second", &more)
}

/// What the second one does before the first goes on: it sends at least one order.
async fn work(world: &World, second: &mut Execution, moment: Moment) {
    match moment {
        // The entry in hand is proven absent first; then the market is still worth one.
        Moment::EntryInHand => {
            world.until_word(second, FIRST_ORDERS, &["entry lost_or_rejected"]).await;
            world.until_protected(second).await;
            world.heat(false);
        }
        Moment::AmendDecided | Moment::Idle => {
            world.until_protected(second).await;
            world.ask("flatten").await;
            world.until_word(second, CLOSED, &["1"]).await;
            world.agrees("closed by the second").await;
        }
    }
}

async fn finish(world: &World, second: &mut Execution, moment: Moment) {
    if moment == Moment::EntryInHand {
        world.ask("flatten").await;
        world.until_word(second, CLOSED, &["1"]).await;
    }
    world.agrees("at the end").await;
    assert_eq!(second.stop().await, Some(0), "{}", second.last_words());
}

fn requests(world: &World) -> Vec<RequestEntry> {
    world.venue.venue.requests.all().0
}

fn connections_of(requests: &[RequestEntry]) -> BTreeSet<(&'static str, u64)> {
    requests.iter().map(|r| (r.via, r.connection)).collect()
}
