//! The key is locked out under a position, and the process is killed: its successor signs nothing before the end of
//! the lockout, the stop stands at the venue meanwhile, and afterwards everything goes on by itself.
//!
//! The file keeps the end of the lockout as it came, fifteen minutes ahead; the test brings it nearer.

use std::path::PathBuf;

use super::process::until;
use super::world::World;

/// Length of a lockout, milliseconds.
const LOCKOUT_MS: i64 = 15 * 60_000;
/// How far ahead the test puts its end, milliseconds.
const NEARER_MS: i64 = 30_000;

const CLOSED: &str = "select count(*)::text from positions where status = 'closed'";

fn file(world: &World) -> PathBuf {
    world.directory.path().join("state").join("venue.json")
}

fn kept(world: &World) -> serde_json::Value {
    let text = std::fs::read_to_string(file(world)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The end of the lockout that the file keeps, wall clock in milliseconds.
fn end_ms(world: &World) -> Option<i64> {
    let kept = kept(world);
    let scopes = kept["not_before"].as_array()?.clone();
    scopes.iter().find(|scope| scope[0] == "key").and_then(|scope| scope[1].as_i64())
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Signed calls that the venue saw within a span of wall time, milliseconds.
fn signed(world: &World, from_ms: i64, to_ms: i64) -> Vec<String> {
    let (all, _) = world.venue.venue.requests.all();
    let within = |us: i64| us >= from_ms * 1_000 && us < to_ms * 1_000;
    let signed = all.iter().filter(|r| r.via == "rest" && within(r.first_byte_us));
    signed.map(|r| r.method.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lockout_outlives_the_process_and_nothing_is_signed_before_its_end() {
    // given a protected position and a key that is locked out
    let world = World::new().await;
    let mut first = world.execution("first", None);
    first.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    world.until_protected(&first).await;
    world.heat(false);
    world.fault(
        r#"{"kind":"error","method":"OpenOrders","text":"EGeneral:Temporary lockout","count":1}"#,
    );
    until("the lockout in the file", || end_ms(&world).is_some()).await;
    let locked_ms = now_ms();
    let ahead_ms = end_ms(&world).unwrap() - locked_ms;
    assert!(ahead_ms > LOCKOUT_MS - 60_000 && ahead_ms <= LOCKOUT_MS, "{ahead_ms} ms");

    // when the process is killed, and another one starts long before the end
    first.kill().await;
    let mut file_now = kept(&world);
    let end = now_ms() + NEARER_MS;
    for scope in file_now["not_before"].as_array_mut().unwrap() {
        if scope[0] == "key" {
            scope[1] = end.into();
        }
    }
    std::fs::write(file(&world), file_now.to_string()).unwrap();
    let mut second = world.execution("second", None);
    second.until_marker("RECONCILE_COMPLETE").await;
    assert!(now_ms() >= end, "reconciled without a signed call");

    // then nothing was signed before the end, by either, and the stop stood all the time
    let early = signed(&world, locked_ms, end);
    assert!(early.is_empty(), "signed during the lockout: {early:?}");
    let later = signed(&world, end, i64::MAX / 1_000);
    assert!(!later.is_empty());
    world.until_protected(&second).await;
    let orders = world.venue.venue.with(|e, _| e.account().orders().count());
    assert_eq!(orders, 2, "the entry and its stop");
    println!("signed calls before the end: 0, afterwards {}: {later:?}", later.len());

    // and the account is traded on
    world.ask("flatten").await;
    world.until_word(&second, CLOSED, &["1"]).await;
    world.agrees("after the lockout").await;
    assert_eq!(second.stop().await, Some(0), "{}", second.last_words());
}

/// Nonces of one key over twenty lives, each of which is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonces_rise_over_twenty_killed_lives() {
    let world = World::new().await;
    for life in 0..20 {
        let mut life = world.execution(&format!("life{life}"), None);
        life.until_marker("RECONCILE_COMPLETE").await;
        life.kill().await;
    }
    let (all, _) = world.venue.venue.requests.all();
    let nonces: Vec<u64> = all.iter().filter_map(|r| r.nonce).collect();
    let refused = all.iter().filter(|r| r.outcome.contains("nonce")).count();
    println!("{} nonces over 20 lives, refused {refused}", nonces.len());
    assert_eq!(refused, 0);
    assert!(nonces.len() >= 20, "{}", nonces.len());
    assert!(nonces.windows(2).all(|pair| pair[0] < pair[1]), "{nonces:?}");
}
