//! What the account's file keeps over a process that is killed: a lockout, and the order of nonces.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::fake::{FakeRest, FakeSocket, config, rest_client};
use crate::orders::{Rig, order};
use penstock_types::UtcMicros;
use penstock_venue_orders::{
    Clock, EngineUse, NotSent, OrderOutcome, PrivateEvent, RestOutcome, SharedVenueState, Stamp,
    spawn_order_socket,
};
use penstock_venues::kraken::rates::{RestUse, Tier};
use penstock_venues::kraken::request::OrderRef;
use penstock_venues::kraken::rest::PrivateRequest;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const LOCKOUT: &str = r#"{"error":["EGeneral:Temporary lockout"]}"#;
const LOCKOUT_MS: i64 = 15 * 60_000;
/// Where wall time begins, ms.
const WALL_MS: i64 = 1_771_243_200_000;

/// A clock that the test moves, ms since the begin.
#[derive(Default)]
struct Hands(AtomicI64);

impl Hands {
    fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Stamp {
        let ms = self.0.load(Ordering::SeqCst);
        // The monotonic clock of each life may begin anywhere.
        Stamp { wall: UtcMicros((WALL_MS + ms) * 1_000), mono_ns: (ms + 7_000) * 1_000_000 }
    }
}

struct Lives {
    rest: FakeRest,
    clock: Arc<Hands>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Lives {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("venue.json");
        Self { rest: FakeRest::start().await, clock: Arc::default(), path, _directory: directory }
    }

    /// What a new process knows.
    fn state(&self) -> SharedVenueState {
        let (path, clock) = (self.path.clone(), self.clock.clone());
        SharedVenueState::open(path, "host".to_owned(), Tier::Pro, clock)
    }

    fn seen(&self) -> usize {
        self.rest.seen.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_lockout_outlives_a_killed_process_and_no_signed_call_leaves_before_its_end() {
    let lives = Lives::new().await;
    // given a process that is locked out and killed: nothing is saved at its end
    lives.state().save().unwrap();
    lives.clock.set(20_000);
    let first = rest_client(&lives.rest, lives.state());
    lives.rest.answer(200, LOCKOUT);
    let told = first.call(&PrivateRequest::BalanceEx, RestUse::Reserved).await;
    assert!(matches!(told, RestOutcome::Sent(_)), "{told:?}");
    drop(first);
    assert_eq!(lives.seen(), 1);

    // when others start before its end, each of which is killed as well
    for after_ms in [1, 1_000, 60_000, 300_000, LOCKOUT_MS - 1] {
        lives.clock.set(20_000 + after_ms);
        let state = lives.state();
        let client = rest_client(&lives.rest, state.clone());
        for request in [PrivateRequest::GetWebSocketsToken, PrivateRequest::BalanceEx] {
            let outcome = client.call(&request, RestUse::Reserved).await;
            let RestOutcome::NotSent(NotSent::Paused { wait_ms, .. }) = outcome else {
                panic!("{after_ms}: {outcome:?}")
            };
            assert_eq!(wait_ms, LOCKOUT_MS - after_ms);
        }
        // nor does the socket ask for its token
        let socket = FakeSocket::start().await;
        let (sender, mut events) = mpsc::channel(8);
        let cancel = CancellationToken::new();
        let running = spawn_order_socket(config(&socket.url), client, sender, cancel.clone());
        let running = running.unwrap();
        let Some(PrivateEvent::ConnectFailed { retry_in_ms, .. }) = events.recv().await else {
            panic!("a connection during the lockout")
        };
        assert_eq!(retry_in_ms, LOCKOUT_MS - after_ms);
        cancel.cancel();
        running.task.await.unwrap();
        state.save().unwrap();
    }
    assert_eq!(lives.seen(), 1, "signed calls before the end of the lockout");

    // then its end is its end
    lives.clock.set(20_000 + LOCKOUT_MS);
    let client = rest_client(&lives.rest, lives.state());
    let outcome = client.call(&PrivateRequest::BalanceEx, RestUse::Reserved).await;
    assert!(matches!(outcome, RestOutcome::Sent(_)), "{outcome:?}");
    assert_eq!(lives.seen(), 2);
}

#[tokio::test]
async fn a_lockout_holds_back_entries_on_an_open_socket_and_nothing_that_protects() {
    // given an open socket, and a lockout by REST
    let (rig, mut venue) = Rig::whole(64, |_| {}).await;
    rig.rest.answer(200, LOCKOUT);
    let told = rig.calls.call(&PrivateRequest::BalanceEx, RestUse::Reserved).await;
    assert!(matches!(told, RestOutcome::Sent(_)), "{told:?}");
    let calls = rig.rest.seen.lock().unwrap().len();

    // when everything is tried
    for usage in [EngineUse::Entry, EngineUse::Repeg] {
        let outcome = rig.orders().add_order(&order(None), usage).await.outcome;
        assert!(matches!(outcome, OrderOutcome::NotSent(NotSent::Paused { .. })), "{outcome:?}");
    }
    let orders = rig.orders();
    let protects = tokio::spawn(async move {
        let cancel = orders.cancel_order(OrderRef::OrderId("O"), "BTC/USD", 0);
        let stop = order(None);
        let stop = orders.add_order(&stop, EngineUse::Protective);
        tokio::join!(cancel, stop)
    });

    // then the cancel and the stop reach the venue, and nothing signed does
    let methods = [venue.request().await, venue.request().await].map(|r| r["method"].to_string());
    assert_eq!(methods, [r#""cancel_order""#, r#""add_order""#]);
    drop(venue);
    protects.await.unwrap();
    assert_eq!(rig.rest.seen.lock().unwrap().len(), calls);
}

#[tokio::test]
async fn nonces_rise_over_twenty_killed_processes_and_clocks_that_were_set_back() {
    let lives = Lives::new().await;
    let mut now_ms = 0;
    for life in 0..20 {
        // Every third start finds a clock that is an hour behind.
        now_ms += if life % 3 == 2 { -3_600_000 } else { 30_000 };
        lives.clock.set(now_ms);
        let state = lives.state();
        let client = rest_client(&lives.rest, state.clone());
        for call in 0..4 {
            let outcome = client.call(&PrivateRequest::BalanceEx, RestUse::Reserved).await;
            // The first life starts without memory and waits for its counter.
            assert!(life == 0 || matches!(outcome, RestOutcome::Sent(_)), "{life}: {outcome:?}");
            if call == 0 {
                state.save().unwrap();
            }
            // What follows within the second is saved by nobody.
            now_ms += 300;
            lives.clock.set(now_ms);
        }
    }
    let nonces = lives.rest.nonces();
    println!("{} nonces over 20 lives", nonces.len());
    assert!(nonces.len() >= 19 * 4);
    assert!(nonces.windows(2).all(|pair| pair[0] < pair[1]), "{nonces:?}");
}
